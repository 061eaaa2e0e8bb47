"""The state of a campaign as frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from beautyrec.campaign.calendar import Calendar
from beautyrec.campaign.confirmation import Confirmation
from beautyrec.campaign.journal import quiet
from beautyrec.campaign.month_trial import Trial
from beautyrec.campaign.review import Decision, Review
from beautyrec.campaign.samplers import optuna
from beautyrec.campaign.slots import distributions
from beautyrec.campaign.space import Family
from beautyrec.errors import MissingExtraError

LEAST_TRIALS: Final = 10
"""Trials of a family that came to an end, below which nothing is said of its parameters."""

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
    "epochs",
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
    its lift, ``verdict, reason, barred`` (a tuple), ``metrics`` (a dict), ``days`` (a tuple of dicts), ``epochs`` (a tuple),
    ``seconds, seed, worker``.
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
    kept = ("state", "values", "verdict", "reason", "barred", "metrics", "days", "epochs", "seconds", "worker")
    return {**head, "value": value, **lift, **{name: getattr(result, name) for name in kept}}


def day_frame(days: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a day: ``day, date, round`` (0 in the confirmation), ``phase, trials, seconds, note``, and counts of events."""
    rows = [{**{key: value for key, value in day.items() if key != "events"}, **day["events"]} for day in days]
    head = ["day", "date", "round", "phase", "trials", "seconds", "note"]
    frame = pd.DataFrame(rows, columns=None if rows else head)
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


def front_frame(trials: pd.DataFrame, objectives: Sequence[str]) -> pd.DataFrame:
    """Which trials no other beats in two numbers at once.

    Args:
        trials: of :func:`trial_frame`; those that did not come to an end or are barred are left out.
        objectives: one or two; beside one alone stand the trial's seconds, of which fewer are better.

    Returns:
        ``number, family, first, second, front``, one row a trial.
    """
    sound = trials[(trials["state"] == "complete") & ~trials["barred"].map(bool)]
    frame = sound[["number", "family"]].assign(first=[values[objectives[0]] for values in sound["values"]])
    more = [values[objectives[1]] for values in sound["values"]] if len(objectives) > 1 else sound["seconds"]
    frame = frame.assign(second=more)
    sign = 1 if len(objectives) > 1 else -1
    ranked = frame.assign(good=sign * frame["second"]).sort_values(["good", "first"], ascending=False)
    before = ranked["first"].cummax().shift(fill_value=-math.inf)
    return frame.assign(front=(ranked["first"] > before).reindex(frame.index))


def importance_frame(trials: pd.DataFrame, families: Mapping[str, Family], seed: int) -> pd.DataFrame:
    """How much each parameter matters within its family: ``family, parameter, importance, trials``, largest first.

    The importance is that of functional ANOVA over a random forest (Hutter, Hoos and Leyton-Brown, *An Efficient Approach for
    Assessing Hyperparameter Importance*, ICML 2014). A family with fewer than :data:`LEAST_TRIALS` complete trials or with
    one value for all is left out.

    Args:
        trials: of :func:`trial_frame`.
        families: with the whole space of each.
        seed: of the forest.

    Raises:
        MissingExtraError: scikit-learn or optuna is not installed.
    """
    done = trials[trials["state"] == "complete"]
    rows: list[tuple[str, str, float, int]] = []
    for name, part in done.groupby("family", sort=False):
        if len(part) >= LEAST_TRIALS and part["value"].max() > part["value"].min():
            shares = _importance(families[str(name)], part, seed)
            rows += [(str(name), key, share, len(part)) for key, share in shares.items()]
    return pd.DataFrame(rows, columns=["family", "parameter", "importance", "trials"])


def _importance(family: Family, trials: pd.DataFrame, seed: int) -> dict[str, float]:
    module = optuna()
    ranges = distributions("", family.space, family.space)
    with quiet(module):
        study = module.create_study(direction="maximize")
        for params, value in zip(trials["params"], trials["value"], strict=True):
            named = {f".{key}": params[key] for key in family.space}
            study.add_trial(module.trial.create_trial(params=named, distributions=ranges, value=float(value)))
        try:
            evaluator = module.importance.FanovaImportanceEvaluator(seed=seed)
            found = module.importance.get_param_importances(study, evaluator=evaluator)
        except ImportError:
            raise MissingExtraError("scikit-learn", "train") from None
    return {key.removeprefix("."): float(share) for key, share in found.items()}
