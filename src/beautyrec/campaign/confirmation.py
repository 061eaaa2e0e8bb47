"""The confirmation: finalists only, on days that no trial has touched, corrected for how many are compared."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from beautyrec.campaign.month_spec import MonthSpec
from beautyrec.campaign.review import Decision, decisions_from, gate, title
from beautyrec.evaluation.multiple import holm

Z95 = 1.959963984540054


@dataclass(frozen=True)
class Confirmation:
    """What the finalists were worth on fresh days.

    Args:
        days: dates they were judged on.
        rows: one a finalist, with ``before_estimate, before_low, before_high`` on the days of the last round, ``estimate,
            ci_low, ci_high`` on these, ``luck`` (before less after) with ``luck_low`` and ``luck_high``, ``pooled`` (both
            together), ``p_value`` and ``p_adjusted`` of no lift at all, and ``stopped`` (what the gate says).
        decisions: what was decided.
        champion: the number of its trial; None where the policy of the log is kept.
        challenger: that of the runner-up.
    """

    days: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    decisions: tuple[Decision, ...]
    champion: int | None
    challenger: int | None

    def to_json(self) -> dict[str, Any]:
        """Plain values that :meth:`from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Confirmation:
        """The confirmation that :meth:`to_json` wrote."""
        lists = {name: tuple(entry[name]) for name in ("days", "rows")}
        return cls(**{**entry, **lists, "decisions": decisions_from(entry["decisions"])})


def confirm(
    dates: Sequence[str], before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], spec: MonthSpec
) -> Confirmation:
    """What follows from the finalists' rows before and after.

    A finalist is confirmed where it passes the gate on the fresh days and Holm's p-value of no lift is below 0.05. Of those
    the highest estimate on all days together is champion: the fresh days alone would let chance choose anew. What is
    promised of it is what the fresh days say.

    Args:
        dates: the fresh days.
        before: rows of the last review, of the finalists.
        after: their rows on the fresh days, in the same order.
        spec: of the month.
    """
    adjusted = holm([_p_value(row) for row in after])
    rows = []
    for old, new, p in zip(before, after, adjusted, strict=True):
        stopped = gate(new, spec.gate)
        if not p < 0.05:
            stopped.append(f"no lift at all cannot be ruled out: p = {p:.3f} for {len(after)} finalists together")
        earlier = {
            f"before_{name}": old[key]
            for name, key in (("estimate", "estimate"), ("low", "ci_low"), ("high", "ci_high"))
        }
        rows.append(
            {**new, **earlier, **_luck(old, new), "p_value": _p_value(new), "p_adjusted": float(p), "stopped": stopped}
        )
    rows.sort(key=lambda row: (bool(row["stopped"]), -row["pooled"], row["number"]))
    passed = [int(row["number"]) for row in rows if not row["stopped"]]
    decisions = tuple(
        Decision(0, "reject" if row["stopped"] else "promote" if place == 0 else "confirm", title(row), _reasons(row))
        for place, row in enumerate(rows)
    )
    champion = passed[0] if passed else None
    others = [int(row["number"]) for row in rows if row["number"] != champion and not row["barred"]]
    return Confirmation(tuple(dates), tuple(rows), decisions, champion, others[0] if others else None)


def _reasons(row: Mapping[str, Any]) -> tuple[str, ...]:
    if row["luck"] is None:
        return tuple(row["stopped"])
    p = "p < 0.0001" if row["p_adjusted"] < 1e-4 else f"p = {row['p_adjusted']:.4f}"
    lift = f"lift {row['estimate']:+.1%} [{row['ci_low']:+.1%}, {row['ci_high']:+.1%}] on fresh days, {p}"
    less = f"{row['luck']:+.1%} [{row['luck_low']:+.1%}, {row['luck_high']:+.1%}]"
    luck = f"luck, what was found before ({row['before_estimate']:+.1%}) less this, {less}"
    return (lift, luck, *row["stopped"])


def _p_value(row: Mapping[str, Any]) -> float:
    """One-sided, of no lift, from the interval on the scale of log(1 + lift)."""
    scale = _scale(row)
    return 1.0 if scale is None else 0.5 * math.erfc(scale[0] / scale[1] / math.sqrt(2))


def _scale(row: Mapping[str, Any]) -> tuple[float, float] | None:
    """log(1 + lift) and its standard error; None where the log cannot tell."""
    if row["estimate"] is None or row["verdict"] == "refuse" or row["ci_low"] <= -1:
        return None
    error = (math.log1p(row["ci_high"]) - math.log1p(row["ci_low"])) / (2 * Z95)
    return math.log1p(row["estimate"]), max(error, 1e-12)


def _luck(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, float | None]:
    """How much less was found on fresh days, and both together by the inverse of their variances."""
    old, new = _scale(before), _scale(after)
    if old is None or new is None:
        return {"luck": None, "luck_low": None, "luck_high": None, "pooled": -1.0}
    luck = before["estimate"] - after["estimate"]
    low = luck - math.hypot(before["estimate"] - before["ci_low"], after["ci_high"] - after["estimate"])
    high = luck + math.hypot(before["ci_high"] - before["estimate"], after["estimate"] - after["ci_low"])
    weights = [1 / error**2 for _, error in (old, new)]
    pooled = (weights[0] * old[0] + weights[1] * new[0]) / sum(weights)
    return {"luck": luck, "luck_low": low, "luck_high": high, "pooled": math.expm1(pooled)}
