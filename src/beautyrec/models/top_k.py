"""The k best columns of each row: exact, fast, and with ties broken the same way every time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from beautyrec.types import BoolArray, Float32Array, IntArray

GROUP = 64
"""Columns looked at together when a threshold is sought."""

CROWD = 16
"""A row with more than this many times k columns above its threshold is full of ties and goes another way."""


def best_columns(scores: Float32Array, k: int) -> tuple[IntArray, Float32Array]:
    """The ``k`` best columns of each row, best first; among equals the lower column first.

    The k-th largest of the maxima of groups of columns is a score that at least k columns reach, so only the few
    columns that reach it have to be sorted. Rows where ties make those many are cut exactly instead.

    Args:
        scores: [b, C] scores; -inf says *never*. NaN is not allowed. It is only read.
        k: how many, at least 1; more than C gives padding.

    Returns:
        columns [b, k], with -1 where a row has fewer than k scores above -inf, and their scores [b, k], -inf there.

    Example:
        >>> columns, values = best_columns(np.array([[1.0, 3.0, 3.0, -np.inf]], dtype=np.float32), 4)
        >>> columns.tolist(), values.tolist()
        ([[1, 2, 0, -1]], [[3.0, 3.0, 1.0, -inf]])
    """
    b, width = scores.shape
    columns = np.full((b, k), -1, dtype=np.int64)
    values = np.full((b, k), -np.inf, dtype=np.float32)
    if not b or not width:
        return columns, values
    reach = scores >= _threshold(scores, min(k, width))[:, None]
    crowded = np.count_nonzero(reach, axis=1) > CROWD * k
    if crowded.any():
        reach[crowded] = _cut_ties(scores[crowded], min(k, width))
    row, column = np.divmod(np.flatnonzero(reach), width)
    score = scores[row, column]
    order = np.lexsort((column, -score, row))
    row, column, score = row[order], column[order], score[order]
    rank = np.arange(len(row)) - np.searchsorted(row, np.arange(b))[row]
    keep = (rank < k) & (score > -np.inf)
    columns[row[keep], rank[keep]] = column[keep]
    values[row[keep], rank[keep]] = score[keep]
    return columns, values


def _threshold(scores: Float32Array, k: int) -> Float32Array:
    """[b] a score that at least ``k`` columns of the row reach."""
    b, width = scores.shape
    groups = width // GROUP
    if groups < 2 * k:  # too few for their maxima to say much
        return _kth(scores, k)
    # Columns g, g + groups, g + 2 groups, ... are group g: maxima along the middle axis run over contiguous memory.
    return _kth(scores[:, : groups * GROUP].reshape(b, GROUP, groups).max(axis=1), k)


def _cut_ties(scores: Float32Array, k: int) -> BoolArray:
    """[b, C] true for exactly ``k`` columns of each row: all above the k-th score, then the first of its equals."""
    limit = _kth(scores, k)[:, None]
    above, equal = scores > limit, scores == limit
    missing = k - np.count_nonzero(above, axis=1)
    keep: BoolArray = above | (equal & (np.cumsum(equal, axis=1, dtype=np.int32) <= missing[:, None]))
    return keep


def _kth(scores: npt.NDArray[np.float32], k: int) -> Float32Array:
    """[b] the k-th largest of each row."""
    at = scores.shape[1] - k
    kth: Float32Array = np.partition(scores, at, axis=1)[:, at]
    return kth
