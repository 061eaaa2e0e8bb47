"""Intervals of smooth functions of cluster means that cover also where weights are uneven and orders are few.

The leave-one-cluster-out values of a function give its standard error (the jackknife: a little above the delta method's,
and closer to the error seen) and the kurtosis of the clusters' influences. The quantile is Student's with
``G / kurtosis`` degrees of freedom, a count of the clusters that effectively carry the variance: with uneven weights it can be
20 where G is 5,000. Where all clusters count alike this is the usual interval. Satterthwaite's rule (1946) for the relative
variance of an estimated variance would give ``2 G / (kurtosis - 1)``, about twice as many. Half of them makes up for a standard
error that is itself 5 to 8 % too small where weights are uneven: on 400 simulated worlds the full rule covered 93.1 to 95.2 %,
this one 94.4 to 95.7 %.

Measured on 3,600 simulated slate logs with 80 to 300 orders and an effective share of 20 to 36 %, for the lift of four
metrics on the log scale: the normal interval with the delta method's standard error covered 89 to 96 %, this one 94 to
96 %, at a median width of 1.06 to 1.46 times the normal one's. Corrections for skewness on top (Hall's transformation,
DiCiccio and Efron's ABC) balanced the two tails better, but covered no better and were now and then several times as wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.intervals.base import Ends
from beautyrec.evaluation.intervals.student import student_quantile
from beautyrec.evaluation.moments import Columns, Smooth
from beautyrec.types import FloatArray


@dataclass(frozen=True)
class Jackknife:
    """A function of cluster means, with what its interval needs.

    Args:
        value: the function at the means of all clusters.
        standard_error: from its leave-one-out values.
        kurtosis: of the clusters' influences; 3 if they were normal.
        clusters: G.

    Examples:
        >>> knife = Jackknife.of(np.array([[1.0], [2.0], [3.0], [4.0]]), lambda means: means[0])
        >>> round(knife.value, 3), round(knife.standard_error, 3)
        (2.5, 0.645)
    """

    value: float
    standard_error: float
    kurtosis: float
    clusters: int

    @classmethod
    def of(cls, sums: FloatArray, of: Smooth) -> Jackknife:
        """From the sums [G, m] of each cluster and a function of the column means [m, ...].

        Raises:
            EvaluationError: fewer than two clusters, or a value that is not finite.
        """
        clusters = len(sums)
        if clusters < 2:
            raise EvaluationError(f"an interval needs at least 2 clusters; there is {clusters}. Use a longer log.")
        mean = sums.mean(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(of(mean))
            left_out = np.asarray(of(mean[:, None] - (sums - mean).T / (clusters - 1)), dtype=np.float64)
        if not (np.isfinite(value) and np.isfinite(left_out).all()):
            lost = int((~np.isfinite(left_out)).sum())
            raise EvaluationError(
                f"the value is not finite without one of {lost} of {clusters} clusters: too few events."
            )
        with np.errstate(over="ignore"):
            influence = left_out.mean() - left_out
            second, fourth = float((influence**2).mean()), float((influence**4).mean())
        if not np.isfinite(fourth):
            raise EvaluationError("values without one cluster differ too much for an interval: too few events.")
        if second**2 == 0:
            return cls(value, 0.0, 3.0, clusters)
        kurtosis = fourth / second**2
        return cls(value, sqrt(second * (clusters - 1)), kurtosis, clusters)

    @property
    def degrees(self) -> float:
        """Clusters that effectively carry the variance, at least 2."""
        return max(self.clusters / self.kurtosis, 2.0)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Low and high end.

        Args:
            confidence: chance to cover, between 0 and 1.
        """
        half_width = student_quantile(0.5 + confidence / 2, self.degrees) * self.standard_error
        return self.value - half_width, self.value + half_width


@dataclass(frozen=True)
class LeaveOneOut:
    """The interval of a ratio from leave-one-cluster-out values of its logarithm; the default.

    The logarithm needs positive values, with any cluster left out as well. Doubly robust values of rare events may not be;
    the interval is then that of the ratio itself.

    Examples:
        >>> sums = np.array([[2.0, 1.0], [3.0, 2.0], [5.0, 2.0], [4.0, 2.0]])
        >>> ends = LeaveOneOut().ratio(Columns(("a", "b"), sums), lambda m: m[0], lambda m: m[1])
        >>> ends.value, ends.low < 2 < ends.high
        (2.0, True)
    """

    def ratio(self, columns: Columns, above: Smooth, below: Smooth, confidence: float = 0.95) -> Ends:
        """See `beautyrec.evaluation.intervals.base.Interval.ratio`."""
        try:
            knife = Jackknife.of(columns.sums, lambda means: np.log(above(means) / below(means)))
            with np.errstate(over="ignore"):
                value, (low, high), scale = np.exp(knife.value), np.exp(knife.interval(confidence)), "log ratio"
            if not np.isfinite(high):
                raise EvaluationError("the interval has no upper end")
        except EvaluationError:
            knife = Jackknife.of(columns.sums, lambda means: above(means) / below(means))
            value, (low, high), scale = knife.value, knife.interval(confidence), "ratio"
        method = f"jackknife over clusters of the {scale}, {confidence:.0%}"
        return Ends(float(value), float(low), float(high), method)
