"""The k best columns of each row: exact, fast, and with ties broken the same way every time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from beautyrec.errors import FitError
from beautyrec.types import BoolArray, Float32Array, IntArray

FOLDS, GROUPS = 16, 4
"""Columns are put into groups of at most 16, and at least 4 times k groups: then few have two of the k best."""

CROWD = 16
"""A row with more than this many times k columns above its threshold is full of ties and goes another way."""

TILE = 2**19
"""Scores looked at together, 2 MB of them, so that the second look finds them in a near cache."""

WORDS = 64
"""Flags in a word of words, see `_true`."""

_SIGN = np.int32(0x7FFFFFFF)
_NEVER = np.int64(~(0x807FFFFF - 2**32) << 32 | 0x7FFFFFFF)
"""The key of -inf in a column after all others."""


def best_columns(scores: Float32Array, k: int) -> tuple[IntArray, Float32Array]:
    """The ``k`` best columns of each row, best first; among equals the lower column first.

    The best of groups of columns say which score at least k columns and few more reach; only those are sorted, as whole
    numbers that hold the score in their upper half and the column in their lower. Rows that are full of ties are cut
    exactly first.

    Args:
        scores: [b, C] scores; -inf says *never*. It is only read.
        k: how many, at least 1; more than C gives padding.

    Returns:
        columns [b, k], with -1 where a row has fewer than k scores above -inf, and their scores [b, k], -inf there.

    Raises:
        FitError: a score is NaN.

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
    reach = np.zeros((height, width + -width % WORDS), dtype=np.bool_)
    for start in range(0, b, height):
        rows = slice(start, min(start + height, b))
        _best_of_tile(scores[rows], reach[: rows.stop - start], columns[rows], values[rows])
    return columns, values


def _best_of_tile(scores: Float32Array, reach: BoolArray, columns: IntArray, values: Float32Array) -> None:
    """Write the best of ``scores`` [b, C] into ``columns`` and ``values`` [b, k], which hold the padding already.

    ``reach`` is room for b rows of C columns and the rest of the last words, which stays false.
    """
    (b, width), k = scores.shape, columns.shape[1]
    most = min(k, width)
    np.greater_equal(scores, _threshold(scores, most)[:, None], out=reach[:, :width])
    place, ends = _places(reach)
    count = np.diff(ends)
    crowded = count > CROWD * most
    if crowded.any():
        reach[crowded, :width] = _cut_ties(scores[crowded], most)
        place, ends = _places(reach)
        count = np.diff(ends)
    first = np.arange(b)
    column = place - np.repeat(first * reach.shape[1], count)
    found = scores.reshape(-1).take(column + np.repeat(first * width, count))
    keys = np.full((b, int(count.max())), _NEVER)
    keys[np.arange(keys.shape[1]) < count[:, None]] = _keys(found, column)
    if keys.shape[1] > most:
        keys.partition(most - 1, axis=1)
        keys = keys[:, :most]
    keys.sort(axis=1)
    best, score = _read_keys(keys)
    there = score > -np.inf
    columns[:, :most][there] = best[there]
    values[:, :most] = score


def _places(reach: BoolArray) -> tuple[IntArray, IntArray]:
    """Flat places of what is true in [b, W], and where those of each row begin among them, [b + 1]."""
    b, width = reach.shape
    place = _true(reach.reshape(-1))
    return place, np.searchsorted(place, np.arange(b + 1) * width)


def _true(flags: BoolArray, levels: int = 2) -> IntArray:
    """Places of what is true among ``flags``; their number divides by 8 to the power of ``levels``.

    Eight are looked at as one word, as nearly all are false, and at the next level eight words; what is left to search is
    dense enough for a search without branches.
    """
    if levels == 0:
        return np.flatnonzero(flags)
    words = flags.view(np.uint64)
    word = _true(words != 0, levels - 1)
    inside = np.flatnonzero(words[word].view(np.bool_))
    place: IntArray = (word[inside >> 3] << 3) | (inside & 7)  # words of eight
    return place


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
    """[b] a score that at least k columns of the row reach, and few more.

    Columns are put into groups, each of those that stand a fixed distance apart. The k-th largest of the groups' best is
    such a score; more than k columns reach it only where a group holds two of them.
    """
    b, width = scores.shape
    folds = min(FOLDS, width // (GROUPS * k))
    if folds < 2:
        _refuse_nan(scores)
        return _kth(scores, k)
    groups = width // folds
    best = np.maximum.reduce(scores[:, : folds * groups].reshape(b, folds, groups), axis=1)
    _refuse_nan(best, scores[:, folds * groups :])  # the best of what holds a NaN is NaN
    best.partition(groups - k, axis=1)
    limit: Float32Array = best[:, groups - k]
    return limit


def _refuse_nan(*parts: Float32Array) -> None:
    """Raise where a row of the parts, each [b, any], holds a NaN."""
    lost = np.any([np.isnan(part).any(axis=1) for part in parts], axis=0)
    if lost.any():
        raise FitError(
            f"ranking: the scores of {int(lost.sum())} of {len(lost)} rows looked at hold NaN: parameters of the model are "
            "not finite. Look at the data it was fitted on, or fit it with a smaller step."
        )


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
