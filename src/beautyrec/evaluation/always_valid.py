"""The lift of an A/B test that may be looked at every day, and stopped at any of them.

A 95 % interval made for one look misses the truth far more than once in twenty if it is looked at again and again, and a
test stopped when it looks good is stopped when chance looks good. A *confidence sequence* holds the truth at all looks at
once with 95 %. This one is the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas,
*Time-uniform central limit theory and asymptotic confidence sequences* (Annals of Statistics 2024), built on the normal
mixture of Robbins (1970) and Howard, Ramdas, McAuliffe and Sekhon (2021)::

    estimate +- standard error * sqrt( (t r + 1) / (t r) * log((t r + 1) / alpha^2) ),      t users so far

where ``r = (-2 log alpha + log(1 - 2 log alpha)) / n`` makes it narrowest about when n users are there. The estimate is
the log of the ratio of the two variants, its standard error that of the delta method. It is some 1.5 times as wide as the
interval for one look at n users: that is the price of looking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.estimate import Estimate, Lift, Verdict
from beautyrec.types import BoolArray, FloatArray, IntArray

FIRST_EVENTS = 30
"""Users with an event that each variant must have before a look says anything. The sequence leans on the central limit
theorem at every look, and the first is where that is weakest; until then the interval is everything."""

ESTIMATOR = "a/b test, always valid"


@dataclass(frozen=True)
class Look:
    """What a test says once so many users are there.

    Args:
        users: in both variants together.
        lift: with the always-valid interval; refused while there are too few events.
    """

    users: int
    lift: Lift


def lift_at_looks(
    numerator: npt.ArrayLike,
    treated: npt.ArrayLike,
    looks: Sequence[int],
    *,
    planned_users: int,
    denominator: npt.ArrayLike | None = None,
    metric: str = "mean",
    confidence: float = 0.95,
) -> list[Look]:
    """The lift at each look, with intervals that hold the truth at all of them together.

    A user's row must be final when it is counted: take the events of a fixed time after a user's entry, the same for all,
    and count users once that time is over.

    Args:
        numerator: [n] what is summed over users, such as orders, in the order of their entry.
        treated: [n] whether the user got the treatment.
        looks: numbers of users, rising, each at most n, at which it is looked.
        planned_users: at about how many users a decision is expected; fixed before the test. The interval is narrowest there.
        denominator: [n] what the sum is divided by, such as impressions; 1 if None, for a mean over users.
        metric: name of the metric.
        confidence: chance to hold the truth at all looks, between 0 and 1.

    Raises:
        EvaluationError: lengths differ, values are not finite or negative, or looks are out of order or out of range.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> treated = rng.random(20_000) < 0.5
        >>> orders = rng.random(20_000) < np.where(treated, 0.12, 0.10)
        >>> found = lift_at_looks(orders, treated, [5_000, 20_000], planned_users=20_000)[-1].lift.estimate
        >>> found.ci_low < 0.2 < found.ci_high
        True
    """
    over = np.asarray(numerator, dtype=np.float64)
    under = np.ones(len(over)) if denominator is None else np.asarray(denominator, dtype=np.float64)
    arm, at = np.asarray(treated, dtype=np.bool_), np.asarray(looks, dtype=np.int64)
    _check(over, under, arm, at, planned_users=planned_users, confidence=confidence)
    treatment, control = (_Arm.of(over, under, rows, at) for rows in (arm, ~arm))
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.log(treatment.ratio / control.ratio)
        half = widening(at, planned_users, 1 - confidence) * np.sqrt(treatment.variance + control.variance)
    ready = np.minimum(treatment.events, control.events) >= FIRST_EVENTS
    method = f"randomised test, asymptotic confidence sequence of the log ratio, {confidence:.0%} at all looks together"
    found = []
    for place, users in enumerate(at.tolist()):
        estimate = None
        if ready[place]:
            ends = value[place] + half[place] * np.array([0.0, -1.0, 1.0])
            middle, low, high = np.expm1(ends).tolist()
            estimate = Estimate(middle, low, high, users, "relative", method)
        target, logging = (_level(side.ratio[place]) for side in (treatment, control))
        verdict, reasons = _verdict(int(min(treatment.events[place], control.events[place])))
        lift = Lift(metric, ESTIMATOR, estimate, target, logging, float(treatment.users[place]), verdict, reasons)
        found.append(Look(users, lift))
    return found


def widening(users: IntArray, planned_users: int, alpha: float) -> FloatArray:
    """[looks] what a standard error is multiplied by, in place of the 1.96 of one look.

    Args:
        users: [looks] how many there are.
        planned_users: where it is to be least, about.
        alpha: chance to miss at any look.

    Examples:
        >>> widening(np.array([1_000, 10_000]), 10_000, 0.05).round(2).tolist()
        [3.86, 3.04]
    """
    narrowest = (-2 * log(alpha) + log(1 - 2 * log(alpha))) / planned_users
    spread = users * narrowest
    factor: FloatArray = np.sqrt((spread + 1) / spread * np.log((spread + 1) / alpha**2))
    return factor


@dataclass(frozen=True, eq=False)
class _Arm:
    """One variant at each look.

    Args:
        users: [looks] how many.
        events: [looks] how many have an event.
        ratio: [looks] of the sums.
        variance: [looks] of the log of the ratio, delta method.
    """

    users: IntArray
    events: IntArray
    ratio: FloatArray
    variance: FloatArray

    @classmethod
    def of(cls, over: FloatArray, under: FloatArray, rows: BoolArray, at: IntArray) -> _Arm:
        def so_far(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return np.cumsum(np.where(rows, values, 0))[at - 1]

        y, d = so_far(over), so_far(under)
        squares = so_far(over**2), so_far(over * under), so_far(under**2)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = y / d
            residual = squares[0] - 2 * ratio * squares[1] + ratio**2 * squares[2]
            variance = np.maximum(residual, 0) / y**2
        return cls(so_far(np.ones(len(rows), dtype=np.int64)), so_far((over > 0).astype(np.int64)), ratio, variance)


def _level(ratio: float) -> float | None:
    return float(ratio) if np.isfinite(ratio) else None


def _verdict(events: int) -> tuple[Verdict, tuple[str, ...]]:
    if events >= FIRST_EVENTS:
        return Verdict.TRUST, ()
    return Verdict.REFUSE, (
        f"one variant has only {events} users with an event; it says nothing before {FIRST_EVENTS}",
    )


def _check(
    over: FloatArray, under: FloatArray, arm: BoolArray, at: IntArray, *, planned_users: int, confidence: float
) -> None:
    n = len(over)
    if len(under) != n or len(arm) != n:
        raise EvaluationError(
            f"numerator has {n} users, denominator {len(under)}, treated {len(arm)}; pass as many each."
        )
    for name, values in (("numerator", over), ("denominator", under)):
        wrong = ~(np.isfinite(values) & (values >= 0))
        if wrong.any():
            raise EvaluationError(f"{name}: {int(wrong.sum())} of {n} values are negative or not finite.")
    if not len(at) or at[0] < 1 or at[-1] > n or (np.diff(at) <= 0).any():
        raise EvaluationError(f"looks {at[:5].tolist()} must rise from 1 at least to {n} at most.")
    if not 0 < confidence < 1 or planned_users < 1:
        raise EvaluationError(
            f"confidence is {confidence} and planned_users {planned_users}; use (0, 1) and 1 or more."
        )
