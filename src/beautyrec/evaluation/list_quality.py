"""What ranked lists are like besides being right: novel, varied, leaning to what is popular anyway.

Every function gives one value a request, as :mod:`beautyrec.evaluation.ranking` does. Places left empty (-1) are not
counted; an empty list is neither novel nor varied nor popular, and gets 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.ranking import Hits
from beautyrec.types import BoolArray, FloatArray, IntArray


class Ratio(NamedTuple):
    """A metric that is a ratio of two means over requests.

    Attributes:
        above: [B] what is summed above the line.
        below: [B] what is summed below it.
    """

    above: FloatArray
    below: FloatArray


def novelty(lists: IntArray, counts: FloatArray) -> FloatArray:
    """[B] mean self-information of the items listed, ``-log2 p``, in bits: how little known they are.

    ``p = (count + 1) / (all counts + I)``, so that an item that nobody took has one too. Castells, Vargas and Wang,
    *Novelty and Diversity Metrics for Recommender Systems* (DDR 2011).

    Args:
        lists: [B, k] indices of items; -1 is padding.
        counts: [I] how often each item was taken in training.

    Raises:
        EvaluationError: a count is negative or not finite, or a list names an item beyond them.

    Examples:
        >>> novelty(np.array([[0, 1], [1, -1]]), np.array([5.0, 1.0])).tolist()  # p of 6/8 and 2/8
        [1.207518749639422, 2.0]
    """
    _check_counts(lists, counts)
    return _mean_over_places(lists, -np.log2((counts + 1) / (counts.sum() + len(counts))))


def popularity(lists: IntArray, counts: FloatArray) -> FloatArray:
    """[B] mean popularity of the items listed, as the share of the catalogue that is taken less often.

    Items taken equally often share the middle of their places, so the mean over the catalogue is one half: that is what a
    list drawn at random has.

    Args:
        lists: [B, k] indices of items; -1 is padding.
        counts: [I] how often each item was taken in training.

    Raises:
        EvaluationError: as `novelty`.

    Examples:
        >>> popularity(np.array([[0, 1], [2, -1]]), np.array([5.0, 1.0, 1.0])).round(4).tolist()
        [0.5833, 0.3333]
    """
    _check_counts(lists, counts)
    return _mean_over_places(lists, rank_share(counts))


def popularity_bias(
    lists: IntArray, indptr: IntArray, relevant_ix: IntArray, counts: FloatArray, share: FloatArray | None = None
) -> FloatArray:
    """[B] how much more popular the items listed are than those that were taken: difference of mean `popularity`.

    0 where lists are as popular as what viewers take of their own accord, up to 1 where a model shows what sells
    anyway to those who want what does not. The idea is the popularity lift of Abdollahpouri et al., *The Unfairness of
    Popularity Bias in Recommendation* (RMSE 2019), with ranks for counts, which a few best-sellers would decide.

    Args:
        lists: [B, k] indices of items; -1 is padding.
        indptr: [B + 1] the relevant items of request ``b`` are ``relevant_ix[indptr[b]:indptr[b + 1]]``, at least one.
        relevant_ix: [n] indices of items.
        counts: [I] how often each item was taken in training.
        share: [I] the `rank_share` of ``counts``, if it is there already.

    Raises:
        EvaluationError: as `novelty`, or a relevant item is beyond the counts.

    Examples:
        >>> popularity_bias(np.array([[0]]), np.array([0, 1]), np.array([1]), np.array([5.0, 1.0])).tolist()
        [0.5]
    """
    _check_counts(lists, counts)
    _check_relevant(relevant_ix, len(counts))
    share = rank_share(counts) if share is None else share
    request = np.repeat(np.arange(len(lists)), np.diff(indptr))
    taken = np.bincount(request, weights=share[relevant_ix], minlength=len(lists)) / np.maximum(np.diff(indptr), 1)
    bias: FloatArray = _mean_over_places(lists, share) - taken
    return bias


def debiased_recall(found: Hits, lists: IntArray, indptr: IntArray, relevant_ix: IntArray, weight: FloatArray) -> Ratio:
    """Recall in which each relevant item counts by a weight, as a ratio of means over requests.

    ``sum of weights of the relevant items found / sum of weights of all relevant items``. With weights that fall with
    popularity (see `popularity_weight`) it is the recall that would be seen if items had been noticed evenly: Steck, *Item
    Popularity and Recommendation Accuracy* (RecSys 2011); Yang et al., *Unbiased Offline Recommender Evaluation for
    Missing-Not-At-Random Implicit Feedback* (RecSys 2018, self-normalised). The ratio is over all requests: within a
    request of one relevant item the weight would cancel.

    Args:
        found: the comparison of ``lists`` with the relevant items.
        lists: [B, k] indices of items; -1 is padding.
        indptr: [B + 1] as for `hits`.
        relevant_ix: [n] likewise; an item named twice in a request counts once.
        weight: [I] above 0.

    Raises:
        EvaluationError: a weight is not above 0 and finite, or a relevant item is beyond the weights.

    Examples:
        >>> lists, indptr, relevant = np.array([[0], [0]]), np.array([0, 1, 2]), np.array([0, 1])
        >>> found = Hits(np.array([[True], [False]]), np.array([1, 1]))
        >>> above, below = debiased_recall(found, lists, indptr, relevant, np.array([1.0, 4.0]))
        >>> above.tolist(), below.tolist()
        ([1.0, 0.0], [1.0, 4.0])
    """
    right = np.isfinite(weight) & (weight > 0)
    if not right.all():
        raise EvaluationError(
            f"debiased recall: {int((~right).sum())} of {len(weight)} weights are not above 0 and finite, the first is "
            f"{weight[~right][0]} at item {int((~right).argmax())}."
        )
    _check_relevant(relevant_ix, len(weight))
    request, place = np.nonzero(found.at)
    above = np.bincount(request, weights=weight[lists[request, place]], minlength=len(lists))
    key = np.unique(np.repeat(np.arange(len(lists)), np.diff(indptr)) * len(weight) + relevant_ix)
    below = np.bincount(key // len(weight), weights=weight[key % len(weight)], minlength=len(lists))
    return Ratio(np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64))


def popularity_weight(counts: FloatArray, power: float = 0.5) -> FloatArray:
    """[I] ``(count + 1) ** -power``: the inverse of how likely an item was noticed, if that grows with its popularity.

    Args:
        counts: [I] how often each item was taken in training.
        power: 0 for plain recall; Steck found 0.5 to fit ratings; 1 trusts popularity to be nothing but exposure.

    Examples:
        >>> popularity_weight(np.array([0.0, 3.0])).tolist()
        [1.0, 0.5]
    """
    weight: FloatArray = (counts + 1.0) ** -power
    return weight


def diversity(lists: IntArray, group: IntArray) -> FloatArray:
    """[B] share of the pairs of items in a list that are of different groups (categories, say).

    Intra-list diversity with a distance of 0 within and 1 between groups; Ziegler et al., *Improving Recommendation Lists
    Through Topic Diversification* (WWW 2005). Lists of fewer than two items get 0.

    Args:
        lists: [B, k] indices of items; -1 is padding.
        group: [I] the group of each item; -1 where it is unknown, and then it is like no other.

    Raises:
        EvaluationError: a list names an item beyond the groups.

    Examples:
        >>> diversity(np.array([[0, 1, 2], [0, 1, -1]]), np.array([7, 7, 3])).round(4).tolist()
        [0.6667, 0.0]
    """
    _check_listed(lists, len(group), "groups")
    known = np.append(group, -1).astype(np.int32)
    count = np.count_nonzero(lists >= 0, axis=1)
    pairs = count * (count - 1) / 2
    return _share(pairs - _equal_pairs(known.take(lists, mode="wrap")), pairs)


def _equal_pairs(group: npt.NDArray[np.int32]) -> FloatArray:
    """[B] pairs of equal values in the rows [B, k]; those below 0 are equal to none.

    In a sorted row the pairs are neighbours, then next neighbours, and so on, until no two are equal any more.
    """
    apart = np.where(group < 0, -1 - np.arange(group.shape[1], dtype=np.int32), group)
    apart.sort(axis=1)
    pairs = np.zeros(len(group))
    for lag in range(1, group.shape[1]):
        equal = np.count_nonzero(apart[:, lag:] == apart[:, :-lag], axis=1)
        if not equal.any():
            break
        pairs += equal
    return pairs


def spread(lists: IntArray, vectors: npt.NDArray[np.floating]) -> FloatArray:
    """[B] one minus the mean cosine of the pairs of items in a list: intra-list diversity by vectors.

    ``1 - (|sum v|^2 - n) / (n (n - 1))`` with ``v`` of length 1, which needs no pairs. Lists of fewer than two items get 0.

    Args:
        lists: [B, k] indices of items; -1 is padding.
        vectors: [I, d] one for each item, none of length 0.

    Raises:
        EvaluationError: a vector has length 0 or is not finite.

    Examples:
        >>> spread(np.array([[0, 1], [0, 2]]), np.array([[2.0, 0.0], [3.0, 0.0], [0.0, 1.0]])).tolist()
        [0.0, 1.0]
    """
    length = np.linalg.norm(vectors, axis=1)
    bad = ~(np.isfinite(length) & (length > 0))
    if bad.any():
        raise EvaluationError(f"spread: {int(bad.sum())} of {len(vectors)} vectors have length 0 or are not finite.")
    unit = np.concatenate([vectors / length[:, None], np.zeros((1, vectors.shape[1]))])
    total = np.zeros((len(lists), vectors.shape[1]))
    for place in lists.T:
        total += unit[place]
    count = np.count_nonzero(lists >= 0, axis=1).astype(np.float64)
    pairs = count * (count - 1)
    return _share(pairs - ((total**2).sum(axis=1) - count), pairs)


def _check_counts(lists: IntArray, counts: FloatArray) -> None:
    wrong = ~(np.isfinite(counts) & (counts >= 0))
    if wrong.any():
        raise EvaluationError(f"ranking: {int(wrong.sum())} of {len(counts)} counts are negative or not finite.")
    _check_listed(lists, len(counts), "counts")


def _check_listed(lists: IntArray, n_items: int, what: str) -> None:
    if lists.max(initial=-1) >= n_items:
        raise EvaluationError(f"ranking: lists name item {int(lists.max())}; there are {what} for {n_items} items.")


def _check_relevant(relevant_ix: IntArray, n_items: int) -> None:
    if relevant_ix.max(initial=-1) >= n_items:
        raise EvaluationError(f"ranking: item {int(relevant_ix.max())} is relevant; there are {n_items} items.")


def _mean_over_places(lists: IntArray, value: FloatArray) -> FloatArray:
    """[B] mean of ``value`` [I] over the items of each list; 0 for an empty one."""
    there: BoolArray = lists >= 0
    total = np.append(value, 0.0).take(lists, mode="wrap").sum(axis=1)
    return _share(total, np.count_nonzero(there, axis=1).astype(np.float64))


def rank_share(counts: FloatArray) -> FloatArray:
    """[I] the share of items with a lower count, equals counted half.

    Args:
        counts: [I] how often each item was taken in training.

    Examples:
        >>> rank_share(np.array([5.0, 1.0])).tolist()
        [0.75, 0.25]
    """
    ordered = np.sort(counts)
    low, high = np.searchsorted(ordered, counts), np.searchsorted(ordered, counts, side="right")
    share: FloatArray = (low + high) / (2.0 * len(counts))
    return share


def _share(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)
