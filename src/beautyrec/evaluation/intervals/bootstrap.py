"""The Poisson bootstrap: clusters counted a random number of times."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, factorial, sqrt
from statistics import NormalDist

import numpy as np

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.intervals.base import Ends, check_clusters
from beautyrec.evaluation.intervals.student import student_quantile
from beautyrec.evaluation.moments import Columns, Grouping, Smooth
from beautyrec.types import FloatArray

_AT_ONCE = 4_000_000  # counts held at one time
_BEYOND = 2  # replicates that must lie beyond each end


@dataclass(frozen=True)
class PoissonBootstrap:
    """The interval of a ratio from replicates in which every cluster counts Poisson(1) times.

    A cluster counts as a whole, so what hangs together stays together. Poisson counts are those of drawing with
    replacement but for their fixed sum, and are drawn for each cluster alone (Hanley and MacGibbon 2006, "Creating
    non-parametric bootstrap samples using Poisson frequencies"; Chamandy, Muralidharan, Najmi and Naidu 2012, "Estimating
    uncertainty for massive data streams").

    Where there are more clusters than ``buckets``, whole clusters are dealt to buckets at random first and the sums of
    the buckets are resampled, as in that paper. The spread is then estimated from B numbers: its relative error is about
    ``1 / sqrt(2 B)``, 1.1 % for 4,096 buckets, beside the ``1 / sqrt(2 R)`` of R replicates, 2.2 % for 1,000.

    The ends are percentiles, since a percentile of a ratio is that of its logarithm: nothing is assumed of the scale. Their
    levels are moved out by ``sqrt(G / (G - 1))`` and Student's t for G - 1 degrees of freedom, which percentiles lack
    where clusters are few (Hesterberg 2015, "What teachers should know about the bootstrap"). Corrections for bias and
    skewness (BCa) are left out: on logs with heavy weights their analytic form covered no better and was at times several
    times as wide (``docs/decisions/0004-intervals.md``), and their ends rest on the farthest few replicates.

    Args:
        seed: of the counts; one seed gives all estimators the same.
        replicates: R, how many.
        buckets: B, at least 2.

    Raises:
        EvaluationError: no replicates, or fewer than two buckets.

    Examples:
        >>> sums = np.random.default_rng(0).gamma(4.0, size=(500, 2))
        >>> ends = PoissonBootstrap(seed=1).ratio(Columns(("a", "b"), sums), lambda m: m[0], lambda m: m[1])
        >>> ends.low < 1 < ends.high
        True
    """

    seed: int
    replicates: int = 1000
    buckets: int = 4096

    def __post_init__(self) -> None:
        if self.replicates < 1 or self.buckets < 2:
            raise EvaluationError(
                f"replicates is {self.replicates}, buckets {self.buckets}; they must be at least 1 and 2."
            )

    def ratio(self, columns: Columns, above: Smooth, below: Smooth, confidence: float = 0.95) -> Ends:
        """See `beautyrec.evaluation.intervals.base.Interval.ratio`."""
        check_clusters(len(columns.sums))
        level = self._level(len(columns.sums), confidence)
        means = columns.sums.mean(axis=0)
        samples = self.means(columns.sums).T
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(np.divide(above(means), below(means)))
            found = np.asarray(np.divide(above(samples), below(samples)), dtype=np.float64)
        lost = int((~np.isfinite(found)).sum())
        if lost or not np.isfinite(value):
            raise EvaluationError(f"{lost} of {self.replicates} replicates have no finite value: too few events.")
        low, high = np.quantile(found, (level, 1 - level))
        method = f"poisson bootstrap over clusters, {self.replicates} replicates, {confidence:.0%}"
        return Ends(value, float(low), float(high), method)

    def means(self, sums: FloatArray) -> FloatArray:
        """[R, m] column means of each replicate, NaN in one that counts nothing.

        Args:
            sums: [G, m] of each cluster.
        """
        rng = np.random.default_rng(self.seed)
        if len(sums) > self.buckets:
            bucket = rng.integers(0, self.buckets, len(sums))
            held = np.bincount(bucket, minlength=self.buckets).astype(np.float64)
            sums = Grouping(bucket, self.buckets).sums(list(sums.T))
        else:
            held = np.ones(len(sums))
        parts = np.concatenate([sums, held[:, None]], axis=1)
        step, table = max(1, _AT_ONCE // len(parts)), _poisson_table()
        totals = [
            table[rng.integers(0, len(table), (min(step, self.replicates - start), len(parts)), np.uint16)] @ parts
            for start in range(0, self.replicates, step)
        ]
        drawn = np.concatenate(totals)
        with np.errstate(invalid="ignore"):
            means: FloatArray = drawn[:, :-1] / drawn[:, -1:]
        return means

    def _level(self, clusters: int, confidence: float) -> float:
        """The share of replicates below the lower end."""
        quantile = student_quantile(0.5 + confidence / 2, clusters - 1)
        level = NormalDist().cdf(-quantile * sqrt(clusters / (clusters - 1)))
        if level * self.replicates < _BEYOND:
            raise EvaluationError(
                f"{self.replicates} replicates are too few for {clusters} clusters and a confidence of {confidence:g}: at "
                f"least {ceil(_BEYOND / level):,} are needed."
            )
        return level


def _poisson_table() -> FloatArray:
    """[65,536] counts, each as often as Poisson(1) has it: an entry drawn evenly is such a count.

    Much quicker than to draw them one by one. Mean and variance are 1 to within 1e-4.
    """
    size = 2**16
    chance = np.array([exp(-1) / factorial(count) for count in range(12)])
    return np.searchsorted(np.cumsum(chance), (np.arange(size) + 0.5) / size).astype(np.float64)
