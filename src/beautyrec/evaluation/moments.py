"""Counts, means and covariances of columns: all that an average, a ratio and their intervals need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.errors import EvaluationError
from beautyrec.types import FloatArray, IntArray

Smooth = Callable[[npt.NDArray[Any]], Any]
"""A smooth function of the [m] means, written with operations that also take complex numbers."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and covariance of m columns over n clusters; two of them merge with ``+``.

    Args:
        count: n, the clusters (users, say), each one row of column sums.
        mean: [m] mean of each column.
        covariance: [m, m] with divisor ``n - 1``; zeros where n is 1.

    Examples:
        >>> left, right = Moments.of(np.array([[1.0], [2.0]])), Moments.of(np.array([[6.0]]))
        >>> (left + right).mean.tolist(), (left + right).covariance.tolist()
        ([3.0], [[7.0]])
    """

    count: int
    mean: FloatArray
    covariance: FloatArray

    @classmethod
    def of(cls, rows: FloatArray) -> Moments:
        """Moments of ``rows`` [n, m], one row a cluster.

        Raises:
            EvaluationError: no rows, or values that are not finite.
        """
        if rows.ndim != 2 or len(rows) == 0:
            raise EvaluationError(f"moments need rows [n, m] with n above 0; got shape {rows.shape}.")
        unusable = ~np.isfinite(rows).all(axis=1)
        if unusable.any():
            raise EvaluationError(
                f"{int(unusable.sum())} of {len(rows)} rows are not finite; the first is row {int(unusable.argmax())}."
            )
        mean = rows.mean(axis=0)
        centred = rows - mean
        return cls(len(rows), mean, centred.T @ centred / max(len(rows) - 1, 1))

    def __add__(self, other: Moments) -> Moments:
        """Moments of both parts together (Chan, Golub and LeVeque 1979).

        Raises:
            EvaluationError: the two have a different number of columns.
        """
        if len(self.mean) != len(other.mean):
            raise EvaluationError(f"moments of {len(self.mean)} and {len(other.mean)} columns cannot be merged.")
        count = self.count + other.count
        step = other.mean - self.mean
        squares = self.covariance * (self.count - 1) + other.covariance * (other.count - 1)
        squares = squares + np.outer(step, step) * (self.count * other.count / count)
        return Moments(count, self.mean + step * (other.count / count), squares / max(count - 1, 1))

    def value(self, of: Smooth) -> float:
        """The function ``of`` at the means."""
        return float(np.real(of(self.mean)))

    def gradient(self, of: Smooth) -> FloatArray:
        """[m] its derivatives at the means, to machine precision: ``Im of(mean + i h e_j) / h`` (Squire and Trapp 1998)."""
        step = 1e-30
        return np.array([np.imag(of(self.mean + 1j * step * unit)) / step for unit in np.eye(len(self.mean))])

    def variance(self, of: Smooth) -> float:
        """Variance of ``of`` at the means by the delta method: ``g' covariance g / n`` with ``g`` its gradient."""
        gradient = self.gradient(of)
        return max(float(gradient @ self.covariance @ gradient), 0.0) / self.count


@dataclass(frozen=True, eq=False)
class Grouping:
    """Which cluster each row belongs to.

    Args:
        index: [B] number of each row's cluster; None where every row is a cluster of its own, in order.
        count: G, how many clusters there are.

    Examples:
        >>> Grouping.of(np.array(["b", "a", "b"])).sums([np.array([1.0, 2.0, 5.0])]).tolist()
        [[2.0], [6.0]]
    """

    index: IntArray | None
    count: int

    @classmethod
    def of(cls, cluster: npt.NDArray[Any]) -> Grouping:
        """From an id [B] of each row; clusters are numbered in the order of their sorted ids.

        Raises:
            EvaluationError: ids that are missing (None, NaN or NaT); says how many and where first.
        """
        cluster = np.asarray(cluster)
        missing = np.asarray(pd.isna(cluster)) if cluster.dtype.kind in "OfMm" else np.zeros(0, dtype=np.bool_)
        if missing.any():
            raise EvaluationError(
                f"cluster: {int(missing.sum())} of {len(cluster)} ids are missing; the first is in row "
                f"{int(missing.argmax())}. Drop these rows, or give each an id of its own."
            )
        if cluster.dtype.kind == "i" and len(cluster):
            return cls._of_whole_numbers(cluster.astype(np.int64, copy=False))
        index, ids = pd.factorize(cluster, sort=True)
        return cls(np.asarray(index, dtype=np.int64), len(ids))

    @classmethod
    def _of_whole_numbers(cls, cluster: IntArray) -> Grouping:
        """Without a sort where ids rise from row to row, or are not spread much wider than the rows are many."""
        if (cluster[1:] > cluster[:-1]).all():
            return cls(None, len(cluster))
        low, high = int(cluster.min()), int(cluster.max())
        if high - low >= 4 * len(cluster) + 1000:
            ids, index = np.unique(cluster, return_inverse=True)
            return cls(index, len(ids))
        there = np.zeros(high - low + 1, dtype=np.bool_)
        there[cluster - low] = True
        rank = np.cumsum(there) - 1
        return cls(rank[cluster - low], int(rank[-1]) + 1)

    def sums(self, columns: Sequence[FloatArray]) -> FloatArray:
        """[G, m] sums of m columns, each [B], over each cluster."""
        if self.index is None:
            found = np.stack(columns)
        else:
            found = np.stack([np.bincount(self.index, column, self.count) for column in columns])
        return found.T


def cluster_sums(rows: FloatArray, cluster: npt.NDArray[Any]) -> FloatArray:
    """[G, m] sums of ``rows`` [n, m] over the G different values of ``cluster`` [n], in their sorted order.

    Raises:
        EvaluationError: ids that are missing.

    Examples:
        >>> cluster_sums(np.array([[1.0], [2.0], [5.0]]), np.array(["b", "a", "b"])).tolist()
        [[2.0], [6.0]]
    """
    return Grouping.of(cluster).sums(list(rows.T))


@dataclass(frozen=True, eq=False)
class Columns:
    """Named sums over clusters, from which functions of their means and the intervals of these are made.

    Args:
        names: [m] names of the columns.
        sums: [G, m] sums over each cluster, or over each of G parts that hold whole clusters.
        held: clusters in all parts together; one a row if None.
    """

    names: tuple[str, ...]
    sums: FloatArray
    held: int | None = None

    @cached_property
    def moments(self) -> Moments:
        """Moments of the columns over the rows of ``sums``."""
        return Moments.of(self.sums)

    @property
    def clusters(self) -> int:
        """How many independent clusters there are."""
        return len(self.sums) if self.held is None else self.held

    def named(self, means: Any) -> Mapping[str, Any]:
        """Each of the values [m] by the name of its column."""
        return dict(zip(self.names, means, strict=True))
