"""How well ranked lists hold what was taken afterwards: one value a request, and their mean with an interval.

A list is compared with the set of *relevant* items of its request. :class:`Hits` is that comparison, made once; the
metrics are functions of it that return a value for every request, because intervals and paired comparisons need them.

::

    lists [B, k] + relevant  ->  hits  ->  recall(h), ndcg(h), ... [B]  ->  mean_estimate  ->  Estimate

What lists are like whatever was taken (novel, popular, diverse) is in :mod:`beautyrec.evaluation.list_quality`; tables by
segment and comparisons of two models are in :mod:`beautyrec.evaluation.ranking_table`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.estimate import Estimate
from beautyrec.types import BoolArray, FloatArray, IntArray

_Z95 = 1.959963984540054
_BLOCK = 2**20  # comparisons held at one time


class Hits(NamedTuple):
    """Which places of which lists hold a relevant item.

    Attributes:
        at: [B, k] true where the item at that place is relevant; padding is not.
        relevant: [B] how many relevant items the request has, at least 1.
    """

    at: BoolArray
    relevant: IntArray


def hits(lists: IntArray, indptr: IntArray, relevant_ix: IntArray) -> Hits:
    """Compare ranked lists with the relevant items of their requests.

    Args:
        lists: [B, k] indices of items, best first; -1 is padding.
        indptr: [B + 1] the relevant items of request ``b`` are ``relevant_ix[indptr[b]:indptr[b + 1]]``.
        relevant_ix: [n] indices of items; one named twice in a request counts once.

    Raises:
        EvaluationError: lengths differ, there is no request, lists have no place, an index is not a whole number or is
            below -1 (below 0 for what is relevant), a request has nothing relevant, or a list names an item twice.

    Examples:
        >>> found = hits(np.array([[4, 2, 9], [1, -1, -1]]), np.array([0, 2, 3]), np.array([2, 7, 3]))
        >>> found.at.tolist(), found.relevant.tolist()
        ([[False, True, False], [False, False, False]], [2, 1])
    """
    requests = len(lists)
    check_sets(lists, indptr, relevant_ix)
    _check_indices(lists, relevant_ix)
    _refuse_repeats(lists)
    width = int(max(lists.max(initial=0), relevant_ix.max(initial=0))) + 1
    keys = np.unique(np.repeat(np.arange(requests), np.diff(indptr)) * width + relevant_ix)
    request = keys // width
    relevant = np.bincount(request, minlength=requests)
    if not relevant.all():
        empty = int(np.count_nonzero(relevant == 0))
        raise EvaluationError(f"ranking: {empty} of {requests} requests have no relevant item. Leave them out.")
    return Hits(_places(lists, request, keys % width), relevant.astype(np.int64))


def check_sets(lists: IntArray, indptr: IntArray, relevant_ix: IntArray) -> None:
    """Raises an `EvaluationError` where lists are not [B, k] or ``indptr`` does not cut what is relevant into B sets."""
    if lists.ndim != 2 or lists.shape[1] == 0:
        raise EvaluationError(f"ranking: lists have shape {lists.shape}; they must be [B, k] with k at least 1.")
    if len(lists) == 0 or len(indptr) != len(lists) + 1:
        raise EvaluationError(
            f"ranking: {len(lists)} lists and {len(indptr) - 1} sets of relevant items; pass as many of each, at least 1."
        )
    if indptr[0] != 0 or indptr[-1] != len(relevant_ix) or (np.diff(indptr) < 0).any():
        raise EvaluationError(
            f"ranking: indptr must rise from 0 to {len(relevant_ix)}, the number of relevant items; it goes from "
            f"{indptr[0]} to {indptr[-1]}, with {int(np.count_nonzero(np.diff(indptr) < 0))} steps down."
        )


def _check_indices(lists: IntArray, relevant_ix: IntArray) -> None:
    """Raise where lists hold neither items nor padding, or what is relevant is not an item."""
    for name, values, least in (("lists name", lists, -1), ("relevant are", relevant_ix, 0)):
        if values.size and not np.issubdtype(values.dtype, np.integer):
            raise EvaluationError(f"ranking: {name} {values.dtype} values; pass indices of items, not scores.")
        if values.min(initial=least) < least:
            wrong = int(np.count_nonzero(values < least))
            raise EvaluationError(
                f"ranking: {name} {wrong} indices below {least}, the least is {values.min()}. Leave unknown items out."
            )


def _places(lists: IntArray, request: IntArray, item_ix: IntArray) -> BoolArray:
    """[B, k] where the lists hold the relevant pairs [n] of request and item, looked up a block of pairs at a time."""
    at = np.zeros(lists.shape, dtype=np.bool_)
    block = max(1, _BLOCK // max(1, lists.shape[1]))
    for start in range(0, len(request), block):
        rows = request[start : start + block]
        pair, place = np.nonzero(lists[rows] == item_ix[start : start + block, None])
        at[rows[pair], place] = True
    return at


def _refuse_repeats(lists: IntArray) -> None:
    """Raise where a list names an item twice: it would be paid twice."""
    small = lists.max(initial=0) < np.iinfo(np.int32).max
    ordered: IntArray = lists.astype(np.int32 if small else np.int64)  # half the memory is half the time
    ordered.sort(axis=1)
    repeated = ordered[:, 1:] == ordered[:, :-1]
    repeated &= ordered[:, 1:] >= 0
    if repeated.any():
        lost = repeated.any(axis=1)
        raise EvaluationError(
            f"ranking: {int(lost.sum())} of {len(lists)} lists name an item twice, the first is list "
            f"{int(lost.argmax())}. Rank every item once."
        )


def recall(found: Hits) -> FloatArray:
    """[B] hits / relevant items, all of them: with more than k relevant items it cannot reach 1.

    Examples:
        >>> recall(Hits(np.array([[True, False]]), np.array([4]))).tolist()
        [0.25]
    """
    share: FloatArray = np.count_nonzero(found.at, axis=1) / found.relevant
    return share


def precision(found: Hits) -> FloatArray:
    """[B] hits / k; places left empty count as misses.

    Examples:
        >>> precision(Hits(np.array([[True, False]]), np.array([4]))).tolist()
        [0.5]
    """
    share: FloatArray = np.count_nonzero(found.at, axis=1) / found.at.shape[1]
    return share


def hit_rate(found: Hits) -> FloatArray:
    """[B] 1 where the list holds a relevant item, 0 where not.

    Examples:
        >>> hit_rate(Hits(np.array([[True, True], [False, False]]), np.array([4, 1]))).tolist()
        [1.0, 0.0]
    """
    return np.where(found.at.any(axis=1), 1.0, 0.0)


def ndcg(found: Hits) -> FloatArray:
    """[B] discounted gain over the best that any list of k could have.

    ``sum over hits of 1 / log2(rank + 1)``, rank from 1, over the same sum with hits at ranks ``1..min(k, relevant)``.
    Järvelin and Kekäläinen, *Cumulated Gain-based Evaluation of IR Techniques* (TOIS 2002), with gains of 0 and 1.
    Libraries differ in the gain, the discount and the ideal list: align them before comparing.

    Examples:
        >>> ndcg(Hits(np.array([[False, True]]), np.array([1]))).round(4).tolist()
        [0.6309]
    """
    k = found.at.shape[1]
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discount)[np.minimum(found.relevant, k) - 1]
    request, place = np.nonzero(found.at)
    gain = np.bincount(request, weights=discount[place], minlength=len(found.at))
    return np.asarray(gain / ideal, dtype=np.float64)


def reciprocal_rank(found: Hits) -> FloatArray:
    """[B] 1 / rank of the first hit, 0 where there is none; its mean is the MRR.

    Examples:
        >>> reciprocal_rank(Hits(np.array([[False, True, True]]), np.array([2]))).tolist()
        [0.5]
    """
    first: IntArray = found.at.argmax(axis=1)
    there = found.at[np.arange(len(first)), first]
    return np.where(there, 1 / (first + 1), 0.0)


def average_precision(found: Hits) -> FloatArray:
    """[B] precision at the rank of each hit, summed, over all relevant items; its mean is the MAP.

    As in TREC's evaluation: relevant items that are not in the list count with a precision of 0, so with more than k
    relevant items it cannot reach 1.

    Examples:
        >>> average_precision(Hits(np.array([[True, False, True]]), np.array([2]))).round(4).tolist()
        [0.8333]
    """
    request, place = np.nonzero(found.at)
    before = np.searchsorted(request, request)  # hits of all requests before this one
    precision_there = (np.arange(1, len(request) + 1) - before) / (place + 1)
    total = np.bincount(request, weights=precision_there, minlength=len(found.at))
    return np.asarray(total / found.relevant, dtype=np.float64)


def coverage(lists: IntArray, n_items: int) -> float:
    """Share of the catalogue that stands in at least one list.

    Args:
        lists: [B, k] indices of items; -1 is padding.
        n_items: items in the catalogue.

    Examples:
        >>> coverage(np.array([[0, 1], [1, -1]]), 4)
        0.5
    """
    stands = np.zeros(n_items + 1, dtype=np.bool_)
    stands[lists] = True  # padding, -1, is the last place
    return int(stands[:-1].sum()) / n_items


def mean_estimate(values: FloatArray, unit: str) -> Estimate:
    """The mean of values of independent requests with its 95 % interval, ``mean ± 1.96 s / sqrt(B)``.

    The central limit theorem carries it; it is short of 95 % where fewer than about ten values differ from 0.

    Args:
        values: [B] one a request, of different users.
        unit: what the values are, such as ``"recall@10"``.

    Raises:
        EvaluationError: fewer than two values, or some are not finite.

    Examples:
        >>> mean_estimate(np.array([0.0, 1.0, 0.0, 1.0]), "recall@10").value
        0.5
    """
    n = len(values)
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if n < 2 or bad:
        raise EvaluationError(
            f"{unit}: {n} values, {bad} of them not finite; an interval needs two or more, all finite."
        )
    mean = float(values.mean())
    half = _Z95 * float(values.std(ddof=1)) / n**0.5
    return Estimate(mean, mean - half, mean + half, n, unit, "mean over requests, normal interval")
