"""The review of a round: the best of each family on the same days, what is dropped, and who is champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from beautyrec.campaign.judging import Candidate, Judge
from beautyrec.campaign.month_spec import GateConfig, MonthSpec
from beautyrec.campaign.month_trial import FAILED, PRUNED, Trial
from beautyrec.campaign.trying import barred
from beautyrec.errors import EvaluationError


@dataclass(frozen=True)
class Decision:
    """What was decided, and why.

    Args:
        round: in which; 0 for the confirmation.
        what: ``promote``, ``keep``, ``drop``, ``search``, ``confirm`` or ``reject``.
        subject: a family, or a trial as ``trial 12 (funnel)``.
        reasons: in words.
    """

    round: int
    what: str
    subject: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Review:
    """What a round came to.

    Args:
        round: its number.
        days: dates that candidates were judged on.
        rows: one a candidate, best lower bound first.
        families: what each family's trials cost and came to.
        decisions: what was decided.
        champion: the number of the champion's trial from now on; None while the policy of the log is kept.
        drop: families that are out, and why.
    """

    round: int
    days: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    families: tuple[Mapping[str, Any], ...]
    decisions: tuple[Decision, ...]
    champion: int | None
    drop: Mapping[str, str]

    @property
    def leader(self) -> str | None:
        """The family of the best candidate that is surely better than the policy of the log; None where there is none.

        While the log cannot tell, the best lower bound is that of the policy most like the log's own.
        """
        sure = (str(row["family"]) for row in self.rows if not row["barred"] and _low(row) > 0)
        return next(sure, None)

    def to_json(self) -> dict[str, Any]:
        """Plain values that :meth:`from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Review:
        """The review that :meth:`to_json` wrote."""
        lists = {name: tuple(entry[name]) for name in ("days", "rows", "families")}
        return cls(**{**entry, **lists, "decisions": decisions_from(entry["decisions"])})


def decisions_from(entries: Sequence[Mapping[str, Any]]) -> tuple[Decision, ...]:
    """Decisions as JSON has them."""
    return tuple(Decision(**{**entry, "reasons": tuple(entry["reasons"])}) for entry in entries)


def candidates(trials: Sequence[Trial], spec: MonthSpec, champion: int | None) -> list[Trial]:
    """Whom a review compares: the best trial of each family, the best ones of all, and the champion."""
    objective = spec.aim.objectives[0]
    done = [trial for trial in trials if trial.complete and trial.result is not None]
    ranked = sorted(
        done, key=lambda one: (bool(one.result and one.result.barred), -one.standing(objective), one.number)
    )
    best = {trial.task.family: trial for trial in reversed(ranked)}
    chosen = {trial.number: trial for trial in [*best.values(), *ranked[: spec.gate.finalists]]}
    chosen |= {trial.number: trial for trial in done if trial.number == champion}
    return [chosen[number] for number in sorted(chosen)]


def row_of(trial: Trial, judge: Judge, days: range, as_of: int, spec: MonthSpec) -> dict[str, Any]:
    """A candidate on ``days``: its lift, scenes, calibration and cost, and what bars it."""
    row = {"number": trial.number, "family": trial.task.family, "params": dict(trial.task.params)}
    try:
        judged = judge.judge(Candidate(trial.task.family, trial.task.params), days, as_of, spec.metric, scenes=True)
        lift = judged.lift(spec.metric)
    except EvaluationError as error:
        empty = dict.fromkeys(("estimate", "ci_low", "ci_high", "target", "logging"))
        return {**row, **empty, "verdict": "refuse", "reason": str(error), "scenes": {}, "barred": [str(error)]}
    scenes = {
        str(scene["scene"]): {
            **{
                name: None if pd.isna(scene[name]) else float(scene[name]) for name in ("estimate", "ci_low", "ci_high")
            },
            "verdict": str(scene["verdict"]),
        }
        for scene in judged.scenes.to_dict("records")
    }
    told = judged.table[judged.table["estimate"].notna()]
    return {
        **row,
        **{name: float(lift[name]) for name in ("estimate", "ci_low", "ci_high", "target", "logging")},
        "verdict": str(lift["verdict"]),
        "reason": str(lift["reasons"]),
        **{f"{name}_lift": float(value) for name, value in zip(told["metric"], told["estimate"], strict=True)},
        **judged.metrics,
        "scenes": scenes,
        "barred": barred(str(lift["verdict"]), judged.metrics, spec.gate),
    }


def gate(row: Mapping[str, Any], limits: GateConfig) -> list[str]:
    """What keeps a candidate from being promoted; empty for nothing.

    A scene counts where its lift can be trusted; of others the log of a few days cannot say that they are worse.

    Examples:
        >>> row = {"barred": [], "ci_low": 0.1, "scenes": {"flash": {"estimate": -0.2, "verdict": "trust"}}}
        >>> gate(row, GateConfig())
        ['scene flash is -20.0%, worse than its tolerance of 10.0%']
        >>> gate(row, GateConfig(scenes={"flash": 0.3}))
        []
    """
    found = list(row["barred"])
    if row["ci_low"] is None or row["ci_low"] <= 0:
        found.append("its lower bound is not above zero")
    for name, scene in row["scenes"].items():
        tolerance = limits.scenes.get(name, limits.scene_tolerance)
        if scene["verdict"] == "trust" and scene["estimate"] is not None and scene["estimate"] < -tolerance:
            found.append(f"scene {name} is {scene['estimate']:+.1%}, worse than its tolerance of {tolerance:.1%}")
    return found


def review(
    number: int,
    dates: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    trials: Sequence[Trial],
    spec: MonthSpec,
    champion: int | None,
) -> Review:
    """What follows from the rows of a round.

    A family is dropped where its best candidate's upper bound lies below the best candidate's lower bound, or where none
    of its trials came to an end.

    Args:
        number: of the round.
        dates: that the rows were judged on.
        rows: of :func:`row_of`.
        trials: all so far.
        spec: of the month.
        champion: the number of the champion's trial until now.
    """
    ranked = sorted(rows, key=lambda row: (bool(row["barred"]), -_low(row), row["number"]))
    families = family_rows(trials, ranked)
    drop = _losers(ranked, families)
    decision, now = _champion(number, ranked, spec, champion)
    dropped = [Decision(number, "drop", name, (why,)) for name, why in drop.items()]
    return Review(number, tuple(dates), tuple(ranked), tuple(families), (decision, *dropped), now, drop)


def family_rows(trials: Sequence[Trial], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a family: trials, how they ended, what they cost, and its best candidate."""
    best = {str(row["family"]): row for row in reversed(rows)}
    found = []
    for name in dict.fromkeys(trial.task.family for trial in trials):
        over = [trial.result for trial in trials if trial.task.family == name and trial.result is not None]
        states = [result.state for result in over]
        top = best.get(name, {})
        found.append(
            {
                "family": name,
                "trials": len(over),
                "failed": states.count(FAILED),
                "pruned": states.count(PRUNED),
                "seconds": sum(result.seconds for result in over),
                "best": top.get("number"),
                **{
                    key: top.get(key)
                    for key in ("estimate", "ci_low", "ci_high", "verdict", "calibration", "fit_seconds")
                },
            }
        )
    return found


def _losers(ranked: Sequence[Mapping[str, Any]], families: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Families that cannot win, and why; never all of them."""
    leader = next((row for row in ranked if not row["barred"]), None)
    drop = {}
    for family in families:
        name = str(family["family"])
        if family["trials"] and family["failed"] == family["trials"]:
            drop[name] = f"all of its {family['trials']} trials failed"
        elif (
            leader
            and family["ci_high"] is not None
            and family["ci_high"] < leader["ci_low"]
            and name != leader["family"]
        ):
            drop[name] = (
                f"at best {family['ci_high']:+.1%} by its upper bound, while trial {leader['number']} ({leader['family']}) "
                f"has at least {leader['ci_low']:+.1%}"
            )
    return drop if len(drop) < len(families) else {}


def _champion(
    number: int, ranked: Sequence[Mapping[str, Any]], spec: MonthSpec, champion: int | None
) -> tuple[Decision, int | None]:
    """Promote the best that passes the gate, if its lower bound is above that of the champion on the same days."""
    held = "the policy of the log" if champion is None else f"trial {champion}"
    passing = [row for row in ranked if not gate(row, spec.gate)]
    holder = next((row for row in ranked if row["number"] == champion), None)
    if not passing:
        reasons = [f"{title(row)}: {'; '.join(gate(row, spec.gate))}" for row in ranked]
        return Decision(number, "keep", held, ("no candidate passes the gate", *reasons)), champion
    best = max(passing, key=lambda row: (_low(row), -row["number"]))
    lift = f"lift {best['estimate']:+.1%} [{best['ci_low']:+.1%}, {best['ci_high']:+.1%}], verdict {best['verdict']}"
    if best["number"] == champion:
        return Decision(number, "keep", held, (f"it is still the best that passes the gate: {lift}",)), champion
    if holder is not None and _low(best) <= _low(holder):
        reason = f"{title(best)} passes the gate with {lift}, and has no higher lower bound"
        return Decision(number, "keep", held, (reason,)), champion
    return Decision(number, "promote", title(best), (lift, f"in place of {held}")), int(best["number"])


def title(row: Mapping[str, Any]) -> str:
    """A candidate in words."""
    return f"trial {row['number']} ({row['family']})"


def _low(row: Mapping[str, Any]) -> float:
    return -1.0 if row["ci_low"] is None else float(row["ci_low"])
