"""The delta method: an interval from count, means and covariances alone."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, isfinite, sqrt

import numpy as np

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.intervals.base import Ends, check_clusters
from beautyrec.evaluation.intervals.student import student_quantile
from beautyrec.evaluation.moments import Columns, Moments, Smooth

_FARTHEST = 300.0  # of the logarithm: the ends beyond are no numbers


@dataclass(frozen=True)
class Delta:
    """The interval of a ratio by the delta method, on its logarithm where both parts are positive.

    ``log R +- t_(G-1) sqrt(g' C g / G)`` with C the covariance of the columns over G clusters and g the gradient of
    ``log R`` (Cramér 1946, *Mathematical Methods of Statistics*, chapter 28; Deng, Knoblich and Lu 2018, "Applying the delta
    method in metric analytics", for ratios over users). It needs `Moments` and nothing else, so parts that were read
    elsewhere merge with ``+`` first. Right for many clusters of like weight. It does not know of skewness: with few events
    and heavy weights it is too narrow (89 to 96 % where 95 % were asked; see `intervals.jackknife`).

    Examples:
        >>> rows = np.array([[2.0, 1.0], [3.0, 2.0], [5.0, 2.0], [4.0, 2.0]])
        >>> merged = Moments.of(rows[:1]) + Moments.of(rows[1:])
        >>> ends = Delta().of_moments(merged, lambda m: m[0], lambda m: m[1])
        >>> round(ends.value, 3), round(ends.low, 2), round(ends.high, 2)
        (2.0, 1.38, 2.9)
    """

    def ratio(self, columns: Columns, above: Smooth, below: Smooth, confidence: float = 0.95) -> Ends:
        """See `beautyrec.evaluation.intervals.base.Interval.ratio`."""
        return self.of_moments(columns.moments, above, below, confidence)

    def of_moments(self, moments: Moments, above: Smooth, below: Smooth, confidence: float = 0.95) -> Ends:
        """The interval of ``above / below`` from moments over clusters.

        Args:
            moments: of columns of sums, one row a cluster.
            above: as for `ratio`, of complex means as well.
            below: likewise.
            confidence: chance to cover, between 0 and 1.

        Raises:
            EvaluationError: fewer than two clusters, or a ratio that is not finite.
        """
        check_clusters(moments.count)
        with np.errstate(divide="ignore", invalid="ignore"):
            top, bottom = moments.value(above), moments.value(below)
            value = float(np.divide(top, bottom))
        if not isfinite(value):
            raise EvaluationError(f"the ratio is {top:g} / {bottom:g}: too few events for a value.")
        quantile = student_quantile(0.5 + confidence / 2, moments.count - 1)
        half = inf
        if top > 0 and bottom > 0:
            half = quantile * sqrt(moments.variance(lambda means: np.log(above(means) / below(means))))
        if half < _FARTHEST:
            low, high, scale = value * exp(-half), value * exp(half), "log ratio"
        else:
            half = quantile * sqrt(moments.variance(lambda means: above(means) / below(means)))
            low, high, scale = value - half, value + half, "ratio"
        return Ends(value, low, high, f"delta method over clusters of the {scale}, {confidence:.0%}")
