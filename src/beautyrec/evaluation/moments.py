"""Counts, means and covariances of columns: all that an average, a ratio and their intervals need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from beautyrec.errors import EvaluationError
from beautyrec.types import FloatArray

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


def cluster_sums(rows: FloatArray, cluster: npt.NDArray[Any]) -> FloatArray:
    """[G, m] sums of ``rows`` [n, m] over the G different values of ``cluster`` [n], in their sorted order.

    Examples:
        >>> cluster_sums(np.array([[1.0], [2.0], [5.0]]), np.array(["b", "a", "b"])).tolist()
        [[2.0], [6.0]]
    """
    _, group = np.unique(cluster, return_inverse=True)
    columns = [np.bincount(group, weights=column) for column in rows.T]
    return np.stack(columns, axis=1)
