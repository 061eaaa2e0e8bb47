"""Empirical Bernstein intervals: guaranteed for bounded values, whatever their distribution."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import isfinite

import numpy as np

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.intervals.base import Ends, check_clusters
from beautyrec.evaluation.moments import Columns, Moments, Smooth
from beautyrec.types import FloatArray, IntArray


def bernstein_half_width(variance: FloatArray, width: FloatArray, n: int, chance: float) -> FloatArray:
    """How far the mean of n independent values may be from its expectation, but for a chance.

    ``sqrt(2 V ln(4 / d) / n) + 7 w ln(4 / d) / (3 (n - 1))`` on both sides together, with V the variance that was seen
    (divisor n - 1) and w the width of the range that the values cannot leave (Maurer and Pontil 2009, "Empirical Bernstein
    bounds and sample variance penalization", theorem 4, used once for each side).

    Args:
        variance: that was seen, any shape.
        width: of the range, likewise.
        n: values, at least 2.
        chance: d, that the expectation lies farther off.

    Examples:
        >>> round(float(bernstein_half_width(np.array(0.09), np.array(1.0), 10_000, 0.05)), 4)
        0.0099
    """
    log = np.log(4 / chance)
    half: FloatArray = np.sqrt(2 * variance * log / n) + 7 * width * log / (3 * (n - 1))
    return half


@dataclass(frozen=True)
class EmpiricalBernstein:
    """An interval of a ratio that covers at least as often as asked, for any number of clusters; wide.

    Every column that the ratio depends on gets an interval of its own by `bernstein_half_width`, the chance to miss
    being split evenly between them, so that all hold together with the confidence asked (Bonferroni). The ends are the
    least and the largest ratio that any corner of this box gives. Between corners there is none beyond: the ratio is
    linear above and below in each column by itself, hence monotone in it, as long as what is below stays positive;
    where it may not, there is no interval. The range of a column's sum over a cluster follows from the bounds given here,
    and they must be known and not read from the log, or nothing is guaranteed: the largest weight is at most 1 over the
    smallest chance that the logging policy gives to anything.

    Guaranteed for `IPS`, `SNIPS` and `ClippedIPS`; for `DM`, `DR` and what is made of them if the model was fitted on other
    clusters and expects no more than can happen. Not for estimators that are tuned on the log itself (`RegressedDR`,
    `Chosen`). Room conversion is not a mean of bounded values; there is no interval of it.

    Args:
        largest_weight: that any impression can have.
        largest_cluster: impressions that one cluster can have.
        smallest_cluster: likewise, at least.
        largest_revenue: of one impression; None leaves metrics of revenue without an interval.

    Raises:
        EvaluationError: a bound that is not a finite number above 0, or a smallest cluster above the largest.

    Examples:
        >>> sums = np.stack([np.random.default_rng(0).random(5000) < 0.5, np.ones(5000)], axis=1).astype(float)
        >>> columns = Columns(("logged clicked", "impressions"), sums)
        >>> ends = EmpiricalBernstein(largest_weight=1, largest_cluster=1).ratio(columns, lambda m: m[0], lambda m: m[1])
        >>> ends.low < 0.5 < ends.high, round(ends.high - ends.low, 2)
        (True, 0.05)
    """

    largest_weight: float
    largest_cluster: int
    smallest_cluster: int = 1
    largest_revenue: float | None = None

    def __post_init__(self) -> None:
        bounds = (self.largest_weight, self.largest_cluster, self.smallest_cluster, self.largest_revenue or 1.0)
        if not all(isfinite(bound) and bound > 0 for bound in bounds) or self.smallest_cluster > self.largest_cluster:
            raise EvaluationError(
                f"{self} is not a set of bounds: they must be finite and above 0, the smallest cluster at most the largest. "
                f"Without a bound nothing can be guaranteed; use another interval."
            )

    def ratio(self, columns: Columns, above: Smooth, below: Smooth, confidence: float = 0.95) -> Ends:
        """See `beautyrec.evaluation.intervals.base.Interval.ratio`."""
        moments = columns.moments
        check_clusters(moments.count)
        if columns.clusters != moments.count:
            raise EvaluationError(
                f"{columns.clusters:,} clusters were added up into {moments.count:,} buckets; the bounds are of single "
                f"clusters. Use more buckets, or another interval."
            )
        with np.errstate(divide="ignore", invalid="ignore"):
            value = moments.value(lambda means: above(means) / below(means))
        if not isfinite(value):
            raise EvaluationError("the ratio has no finite value: too few events.")
        used = _used(moments, above, below)
        low, high = self._ranges(columns, used)
        chance = (1 - confidence) / max(len(used), 1)
        half = bernstein_half_width(np.diag(moments.covariance)[used], high - low, moments.count, chance)
        box = np.stack([np.maximum(moments.mean[used] - half, low), np.minimum(moments.mean[used] + half, high)])
        corners = _corners(moments.mean, used, box)
        with np.errstate(divide="ignore", invalid="ignore"):
            top, bottom = np.asarray(above(corners)), np.asarray(below(corners))
            found = np.divide(top, bottom) + np.zeros(corners.shape[1])
        if not (np.isfinite(found).all() and (top >= 0).all() and (bottom > 0).all()):
            raise EvaluationError(
                f"{moments.count:,} clusters with weights up to {self.largest_weight:g} do not bound the ratio with "
                f"certainty {confidence:.0%}: too few events. Use a longer log, or another interval."
            )
        method = f"empirical bernstein over clusters, weights up to {self.largest_weight:g}, at least {confidence:.0%}"
        return Ends(value, float(found.min()), float(found.max()), method)

    def _ranges(self, columns: Columns, used: IntArray) -> tuple[FloatArray, FloatArray]:
        """Least and largest possible sums over a cluster of the columns used."""
        ranges = np.array([self._range(columns.names[at], columns.names) for at in used]).reshape(len(used), 2)
        low, high = ranges.T
        slack = 1e-9 * (high - low) + 1e-12
        outside = (columns.sums[:, used] < low - slack) | (columns.sums[:, used] > high + slack)
        if outside.any():
            number = int(outside.any(axis=0).argmax())
            raise EvaluationError(
                f"'{columns.names[used[number]]}' of {int(outside[:, number].sum())} of {len(outside)} clusters is outside "
                f"[{low[number]:g}, {high[number]:g}], which is all that the bounds allow. A bound is wrong: {self}."
            )
        return low, high

    def _range(self, name: str, names: tuple[str, ...]) -> tuple[float, float]:
        """Of one column; names are those of `beautyrec.evaluation.totals.Ledger`."""
        kind, _, outcome = name.partition(" ")
        shown, weight = float(self.largest_cluster), self.largest_weight
        largest = self.largest_revenue if outcome == "revenue" else 1.0
        if largest is None:
            raise EvaluationError("largest_revenue is not given; without a bound there is no guaranteed interval.")
        ranges = {
            "requests": (1.0, shown),
            "impressions": (float(self.smallest_cluster), shown),
            "logged": (0.0, shown * largest),
            "plain": (0.0, shown * largest),
            "divisor": (0.0, shown * weight),
            "weighted": (-shown * weight * largest if f"plain {outcome}" in names else 0.0, shown * weight * largest),
        }
        if kind not in ranges:
            raise EvaluationError(
                f"no bound is known for '{name}' (whether a viewer buys at all is no mean of bounded values). Use another "
                f"metric or interval."
            )
        return ranges[kind]


def _used(moments: Moments, above: Smooth, below: Smooth) -> IntArray:
    """Numbers of the columns that the ratio depends on: those with a derivative, at the means or near them."""
    near = Moments(moments.count, moments.mean * (1 + 0.1 * np.cos(np.arange(len(moments.mean)))), moments.covariance)
    depends = np.zeros(len(moments.mean), dtype=np.bool_)
    for at in (moments, near):
        effect = np.abs(at.gradient(lambda means: above(means) / below(means))) * (np.abs(at.mean) + 1)
        depends |= ~(effect <= 1e-9 * abs(at.value(lambda means: above(means) / below(means))))
    return np.flatnonzero(depends)


def _corners(mean: FloatArray, used: IntArray, box: FloatArray) -> FloatArray:
    """[m, 2^u] the means, with each of the u columns used at its low or high end ``box`` [2, u], all combinations."""
    pick = np.array(list(product((0, 1), repeat=len(used))), dtype=np.int64).reshape(2 ** len(used), -1).T
    corners = np.repeat(mean[:, None], pick.shape[1], axis=1)
    corners[used] = box[pick, np.arange(len(used))[:, None]]
    return corners
