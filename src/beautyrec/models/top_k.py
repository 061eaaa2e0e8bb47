"""The k best columns of each row: exact, fast, and with ties broken the same way every time."""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np
import numpy.typing as npt

from beautyrec.types import BoolArray, Float32Array, IntArray

LINE, STRIDE = 16, 8
"""Every eighth run of 16 columns (a cache line of 32-bit floats) is the sample that a threshold is guessed from."""

CROWD = 16
"""A row with more than this many times k columns above its threshold is full of ties and goes another way."""

TILE = 2**19
"""Scores looked at together, 2 MB of them, so that the second look finds them in a near cache."""

WORD = 8
"""Bytes of a word."""

_SIGN = np.int32(0x7FFFFFFF)
_NEVER = np.int64(~(0x807FFFFF - 2**32) << 32 | 0x7FFFFFFF)
"""The key of -inf in a column after all others."""


def best_columns(scores: Float32Array, k: int) -> tuple[IntArray, Float32Array]:
    """The ``k`` best columns of each row, best first; among equals the lower column first.

    A sample of the columns says which score about 2 k of them reach; only those are sorted, as whole numbers that hold
    the score in their upper half and the column in their lower. Rows for which the guess was wrong, or that are full of
    ties, are cut exactly instead, so that the answer never depends on the sample.

    Args:
        scores: [b, C] scores; -inf says *never*. NaN is not allowed. It is only read.
        k: how many, at least 1; more than C gives padding.

    Returns:
        columns [b, k], with -1 where a row has fewer than k scores above -inf, and their scores [b, k], -inf there.

    Examples:
        >>> columns, values = best_columns(np.array([[1.0, 3.0, 3.0, -np.inf]], dtype=np.float32), 4)
        >>> columns.tolist(), values.tolist()
        ([[1, 2, 0, -1]], [[3.0, 3.0, 1.0, -inf]])
    """
    b, width = scores.shape
    columns = np.full((b, k), -1, dtype=np.int64)
    values = np.full((b, k), -np.inf, dtype=np.float32)
    if not b or not width:
        return columns, values
    height = max(1, min(b, TILE // width))
    reach = np.zeros((height, width + -width % WORD), dtype=np.bool_)
    for start in range(0, b, height):
        rows = slice(start, min(start + height, b))
        _best_of_tile(scores[rows], reach[: rows.stop - start], columns[rows], values[rows])
    return columns, values


def _best_of_tile(scores: Float32Array, reach: BoolArray, columns: IntArray, values: Float32Array) -> None:
    """Write the best of ``scores`` [b, C] into ``columns`` and ``values`` [b, k], which hold the padding already.

    ``reach`` is room for b rows of C columns and the rest of the last word, which stays false.
    """
    (b, width), k = scores.shape, columns.shape[1]
    most = min(k, width)
    np.greater_equal(scores, _threshold(scores, most)[:, None], out=reach[:, :width])
    place, ends = _places(reach)
    count = np.diff(ends)
    wrong = (count < most) | (count > CROWD * most)
    if wrong.any():
        reach[wrong, :width] = _cut_ties(scores[wrong], most)
        place, ends = _places(reach)
        count = np.diff(ends)
    first = np.arange(b)
    column = place - np.repeat(first * reach.shape[1], count)
    found = scores.reshape(-1).take(column + np.repeat(first * width, count))
    keys = np.full((b, int(count.max())), _NEVER)
    keys[np.arange(keys.shape[1]) < count[:, None]] = _keys(found, column)
    keys.sort(axis=1)
    best, score = _read_keys(keys[:, :most])
    there = score > -np.inf
    columns[:, :most][there] = best[there]
    values[:, :most] = score


def _places(reach: BoolArray) -> tuple[IntArray, IntArray]:
    """Flat places of what is true in [b, W], and where those of each row begin among them, [b + 1].

    Eight columns are looked at as one word, as nearly all of them are false.
    """
    b, width = reach.shape
    words = reach.view(np.uint64).reshape(-1)
    word = np.flatnonzero(words != 0)
    inside = np.flatnonzero(words[word].view(np.bool_))
    place = (word[inside >> 3] << 3) | (inside & 7)  # words of eight
    return place, np.searchsorted(place, np.arange(b + 1) * width)


def _keys(score: Float32Array, column: IntArray) -> IntArray:
    """[n] whole numbers that rise as scores fall, and among equal scores as columns rise.

    The bits of a float, read as an integer, rise with it if those below the sign are turned over for negative numbers.
    """
    bits = (score + np.float32(0)).view(np.int32)  # -0 becomes 0
    key: IntArray = ((~(bits ^ ((bits >> 31) & _SIGN))).astype(np.int64) << 32) | column
    return key


def _read_keys(keys: IntArray) -> tuple[IntArray, Float32Array]:
    """Columns and scores of keys."""
    rising = ~(keys >> 32).astype(np.int32)
    return keys & 0xFFFFFFFF, (rising ^ ((rising >> 31) & _SIGN)).view(np.float32)


def _threshold(scores: Float32Array, k: int) -> Float32Array:
    """[b] a score that k columns of the row or some more reach, as a rule.

    Of the k best a sample of an eighth holds k / 8 on average, with a variance below that; three standard deviations more
    are asked for.
    """
    b, width = scores.shape
    runs = width // (LINE * STRIDE)
    rank = ceil(k / STRIDE + 3 * sqrt(k / STRIDE)) + 1
    if runs * LINE < 4 * rank:  # too few for a sample to say much
        return _kth(scores, k)
    spread = scores[:, : runs * LINE * STRIDE].reshape(b, runs, LINE * STRIDE)
    return _kth(spread[:, :, :LINE].reshape(b, runs * LINE), rank)


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
