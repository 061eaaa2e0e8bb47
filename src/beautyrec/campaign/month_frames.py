"""The state of a campaign as frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from beautyrec.campaign.calendar import Calendar
from beautyrec.campaign.confirmation import Confirmation
from beautyrec.campaign.month_trial import Trial
from beautyrec.campaign.review import Decision, Review

TRIAL_COLUMNS: Final = (
    "number",
    "date",
    "round",
    "family",
    "params",
    "state",
    "value",
    "values",
    "estimate",
    "ci_low",
    "ci_high",
    "verdict",
    "reason",
    "barred",
    "metrics",
    "days",
    "seconds",
    "seed",
    "worker",
)
REVIEW_COLUMNS: Final = (
    "round",
    "number",
    "family",
    "estimate",
    "ci_low",
    "ci_high",
    "verdict",
    "calibration",
    "coverage",
    "ctr_lift",
    "fit_seconds",
    "ms_per_request",
    "scenes",
    "barred",
    "params",
)
CONFIRMED_COLUMNS: Final = (
    "before_estimate",
    "luck",
    "luck_low",
    "luck_high",
    "pooled",
    "p_value",
    "p_adjusted",
    "stopped",
)


def trial_frame(trials: Sequence[Trial], calendar: Calendar) -> pd.DataFrame:
    """One row a trial, by number.

    Columns: ``number, date, round, family, params`` (a dict), ``state`` (``complete``, ``pruned``, ``failed``, or ``waiting``
    where it is not over), ``value`` of the first objective, ``values`` of all (a dict), ``estimate, ci_low, ci_high`` of
    its lift, ``verdict, reason, barred`` (a tuple), ``metrics`` (a dict), ``days`` (a tuple of dicts), ``seconds``,
    ``seed, worker``.
    """
    return pd.DataFrame([_trial_row(trial, calendar) for trial in trials], columns=list(TRIAL_COLUMNS))


def _trial_row(trial: Trial, calendar: Calendar) -> dict[str, Any]:
    task, result = trial.task, trial.result
    head = {"number": task.number, "date": calendar.name(task.day), "round": task.round, "family": task.family}
    head |= {"params": dict(task.params), "seed": task.seed}
    if result is None:
        return {**head, "state": "waiting", "value": math.nan}
    value = next(iter(result.values.values()), math.nan) if trial.complete else math.nan
    lift = {name: result.metrics.get(name, math.nan) for name in ("estimate", "ci_low", "ci_high")}
    kept = ("state", "values", "verdict", "reason", "barred", "metrics", "days", "seconds", "worker")
    return {**head, "value": value, **lift, **{name: getattr(result, name) for name in kept}}


def day_frame(days: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a day: ``day, date, round`` (0 in the confirmation), ``phase, trials, seconds, note``, and counts of events."""
    rows = [{**{key: value for key, value in day.items() if key != "events"}, **day["events"]} for day in days]
    head = ["day", "date", "round", "phase", "trials", "seconds", "note"]
    frame = pd.DataFrame(rows)
    frame = frame.reindex(columns=[*head, *(name for name in frame if name not in head)])
    return frame.assign(trials=frame["trials"].fillna(0).astype("int64"))


def review_frame(reviews: Sequence[Review], confirmation: Confirmation | None) -> pd.DataFrame:
    """One row a round and candidate, best first; those of the confirmation have round 0 and the last columns."""
    rows = [{"round": each.round, **row} for each in reviews for row in each.rows]
    rows += [{"round": 0, **row} for row in (confirmation.rows if confirmation else ())]
    return pd.DataFrame(rows, columns=[*REVIEW_COLUMNS, *CONFIRMED_COLUMNS])


def decision_frame(decisions: Sequence[Decision]) -> pd.DataFrame:
    """One row a decision: ``round, what, subject, reasons``."""
    rows = [(each.round, each.what, each.subject, "; ".join(each.reasons)) for each in decisions]
    return pd.DataFrame(rows, columns=["round", "what", "subject", "reasons"])
