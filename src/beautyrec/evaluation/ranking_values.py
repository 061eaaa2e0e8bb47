"""All metrics of ranked lists at once, a block of requests at a time and on several threads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beautyrec.errors import EvaluationError
from beautyrec.evaluation import list_quality, ranking
from beautyrec.evaluation.list_quality import Ratio
from beautyrec.types import FloatArray, IntArray
from beautyrec.workers import over_blocks, usable_threads

BLOCK = 2**18
"""Places of lists looked at together: 2 MB of indices, so that the second metric finds them in a near cache."""

Values = FloatArray | Ratio
"""[B] values of one metric, or what stands above and below the line of one."""


@dataclass(frozen=True, eq=False)
class ItemFacts:
    """What metrics beyond right and wrong need to know of the items.

    Args:
        counts: [I] how often each was taken in training.
        group: [I] the group of each, such as its category, -1 where it is unknown; no `diversity` if None.
        power: of the inverse popularity that `debiased_recall` weighs by.
    """

    counts: FloatArray
    group: IntArray | None = None
    power: float = 0.5


def ranking_values(lists: IntArray, indptr: IntArray, relevant_ix: IntArray, items: ItemFacts) -> dict[str, Values]:
    """Ten metrics (nine without groups), each with a value for every request.

    Args:
        lists: [B, k] indices of items, best first; -1 is padding.
        indptr: [B + 1] the relevant items of request ``b`` are ``relevant_ix[indptr[b]:indptr[b + 1]]``.
        relevant_ix: [n] indices of items; one named twice in a request counts once.
        items: what is known of them.

    Returns:
        ``recall, precision, hit_rate, ndcg, map, mrr, novelty, popularity_bias, debiased_recall`` (a ratio) and
        ``diversity``, for :func:`beautyrec.evaluation.ranking_table.ranking_table`.

    Raises:
        EvaluationError: as `hits` and `novelty`.

    Examples:
        >>> values = ranking_values(np.array([[0, 1]]), np.array([0, 1]), np.array([1]), ItemFacts(np.array([3.0, 1.0])))
        >>> values["recall"].tolist(), values["mrr"].tolist()
        ([1.0], [0.5])
    """
    ranking.check_sets(lists, indptr, relevant_ix)
    share = list_quality.rank_share(items.counts)
    parts: dict[int, dict[str, Values]] = {}

    def judge(rows: slice) -> None:
        part = slice(indptr[rows.start], indptr[rows.stop])
        own = indptr[rows.start : rows.stop + 1] - indptr[rows.start]
        parts[rows.start] = _of_block(lists[rows], own, relevant_ix[part], items, share)

    try:
        over_blocks(judge, len(lists), BLOCK // max(1, lists.shape[1]), threads=usable_threads())
    except EvaluationError:
        ranking.hits(lists, indptr, relevant_ix)  # counts what is wrong over all requests, where it is that
        raise
    blocks = [parts[start] for start in sorted(parts)]
    return {name: _joined([block[name] for block in blocks]) for name in blocks[0]}


def _of_block(
    lists: IntArray, indptr: IntArray, relevant_ix: IntArray, items: ItemFacts, share: FloatArray
) -> dict[str, Values]:
    found = ranking.hits(lists, indptr, relevant_ix)
    weight = list_quality.popularity_weight(items.counts, items.power)
    values: dict[str, Values] = {
        "recall": ranking.recall(found),
        "precision": ranking.precision(found),
        "hit_rate": ranking.hit_rate(found),
        "ndcg": ranking.ndcg(found),
        "map": ranking.average_precision(found),
        "mrr": ranking.reciprocal_rank(found),
        "novelty": list_quality.novelty(lists, items.counts),
        "popularity_bias": list_quality.popularity_bias(lists, indptr, relevant_ix, items.counts, share),
        "debiased_recall": list_quality.debiased_recall(found, lists, indptr, relevant_ix, weight),
    }
    if items.group is not None:
        values["diversity"] = list_quality.diversity(lists, items.group)
    return values


def _joined(parts: list[Values]) -> Values:
    ratios = [part for part in parts if isinstance(part, Ratio)]
    if ratios:
        return Ratio(np.concatenate([part.above for part in ratios]), np.concatenate([part.below for part in ratios]))
    return np.concatenate([part for part in parts if not isinstance(part, Ratio)])
