"""How far could propensities be wrong before the sign of the lift changes?

The marginal sensitivity model (Tan 2006, "A distributional approach for causal inference using propensity scores"; Zhao,
Small and Bhattacharya 2019): the true weight of each impression is anywhere between ``w / gamma`` and ``w gamma``. For a
self-normalised value the extremes are known: the lowest gives ``1 / gamma`` to all outcomes above a threshold and ``gamma``
to all below, and the highest the reverse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import SlateEvidence
from beautyrec.types import FloatArray

_LARGEST = 1e6  # factors beyond are as good as none


@dataclass(frozen=True)
class Sensitivity:
    """How robust the sign of a lift is to wrong propensities.

    Args:
        lift: of the outcome per impression, self-normalised, if propensities are right.
        tipping: the least factor by which weights, each in its own way, would have to be off for the lift to be 0; 1 if it
            is 0 already, infinity if no factor does it.

    Examples:
        >>> from beautyrec.evaluation.evidence import impressions
        >>> rng = np.random.default_rng(0)
        >>> good = rng.random(4000) < 0.5
        >>> log = impressions(target=np.where(good, 0.8, 0.2), logging=np.full(4000, 0.5),
        ...                   clicked=rng.random(4000) < np.where(good, 0.2, 0.1))
        >>> 1.0 < tipping_point(log).tipping < 1.2
        True
    """

    lift: float
    tipping: float


def tipping_point(evidence: SlateEvidence, outcome: str = "clicked") -> Sensitivity:
    """The sign of the lift of an outcome per impression under wrong weights.

    It speaks of systematic error, not of noise: read it beside the interval. A factor of 1.02 says that propensities off
    by 2 % in the worst pattern would do; one of 2, that they would have to be off by half or double.

    Args:
        evidence: the log, weighted towards the target policy.
        outcome: one of its outcomes.

    Raises:
        EvaluationError: the outcome never happened, or all weights are 0.
    """
    shown = evidence.shown
    weight, worth = evidence.weight[shown], evidence.outcomes.of(outcome)[shown]
    if not worth.sum() > 0 or not weight.sum() > 0:
        raise EvaluationError(
            f"there is no lift to tip: {worth.sum():g} {outcome}, a total weight of {weight.sum():g}."
        )
    logged = float(worth.mean())
    value = extreme(weight, worth, 1.0, highest=True)
    lift = value / logged - 1
    if value == logged:
        return Sensitivity(lift, 1.0)
    return Sensitivity(lift, _tipping(weight, worth, logged, highest=value < logged))


def extreme(weight: FloatArray, worth: FloatArray, factor: float, *, highest: bool) -> float:
    """The largest or smallest weighted mean of ``worth`` [n] with each weight off by at most ``factor``.

    Args:
        weight: [n], at least 0, not all 0.
        worth: [n].
        factor: at least 1.
        highest: the largest, else the smallest.

    Examples:
        >>> round(extreme(np.ones(2), np.array([0.0, 1.0]), 3.0, highest=True), 3)
        0.9
    """
    sign = 1.0 if highest else -1.0
    order = np.argsort(-sign * worth)
    weight, worth = weight[order], worth[order]
    mass, sums = np.append(0.0, np.cumsum(weight)), np.append(0.0, np.cumsum(weight * worth))
    total = mass * factor + (mass[-1] - mass) / factor
    means = (sums * factor + (sums[-1] - sums) / factor) / total
    return float(sign * (sign * means).max())


def _tipping(weight: FloatArray, worth: FloatArray, wanted: float, *, highest: bool) -> float:
    """The factor at which the extreme value meets ``wanted``, by bisection over its logarithm."""

    def reached(factor: float) -> bool:
        value = extreme(weight, worth, factor, highest=highest)
        return value >= wanted if highest else value <= wanted

    if not reached(_LARGEST):
        return float("inf")
    low, high = 0.0, float(np.log(_LARGEST))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(float(np.exp(middle))) else (middle, high)
    return float(np.exp(high))
