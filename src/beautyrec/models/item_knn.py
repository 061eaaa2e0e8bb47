"""Item neighbours: what is bought by those who bought what you bought last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from beautyrec.data.interactions import Interactions
from beautyrec.models.base import Known
from beautyrec.models.checks import require_bound, require_events
from beautyrec.models.known import recency_weight
from beautyrec.models.recommenders import ItemSimilarityRecommender
from beautyrec.types import Float32Array, IntArray, Progress

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PRODUCT_NONZEROS = 8_000_000
"""Products of two entries taken at one time, which bounds the memory of a fit."""


@dataclass(frozen=True)
class BM25:
    """Okapi BM25 weights, an item as the document and its users as the terms.

    ``w(u, i) = idf(u) x (k1 + 1) / (x + k1 (1 - b + b |i| / mean |i|))`` where x is the weight of u and i, ``|i|`` the
    sum of the item's weights, ``idf(u) = ln(1 + (I - n_u + .5) / (n_u + .5))`` and ``n_u`` the number of the user's
    items. Robertson and Zaragoza, *The Probabilistic Relevance Framework: BM25 and Beyond* (2009), eq. 3.15.
    """

    k1: float = 1.2
    """How soon more of the same stops to count."""
    b: float = 0.75
    """How much the weights of items with many users are lowered, 0 to 1."""

    def __post_init__(self) -> None:
        require_bound("item_knn.bm25", "k1", self.k1, 0)
        require_bound("item_knn.bm25", "b", self.b, 0, 1)

    def __call__(self, matrix: csr_matrix) -> csr_matrix:
        """[U, I] the weights in place of those of ``matrix``."""
        weighted = matrix.tocoo(copy=True)
        length = np.asarray(matrix.sum(axis=0)).ravel()
        taken = np.diff(matrix.indptr)
        idf = np.log1p((matrix.shape[1] - taken + 0.5) / (taken + 0.5))
        norm = self.k1 * (1 - self.b + self.b * length / max(float(length.mean()), 1e-12))
        x = weighted.data
        weighted.data = (idf[weighted.row] * x * (self.k1 + 1) / (x + norm[weighted.col])).astype(np.float32)
        return weighted.tocsr()


@dataclass(frozen=True)
class ItemKNN:
    """Scores an item by its similarity to the items of the user's history, the last of them counting most.

    ``s(i, j) = x_i . x_j / (|x_i| |x_j| + shrinkage)`` over the columns x of the weighted user-item matrix, the
    largest ``neighbours`` of each j kept, and ``score(u, j) = sum_e decay ** steps_back(e) * s(i_e, j)``.
    Sarwar et al., *Item-based Collaborative Filtering Recommendation Algorithms* (WWW 2001).

    Examples:
        >>> import pandas as pd
        >>> log = Interactions.from_frame(pd.DataFrame({"user_id": [1, 1, 2, 2, 3], "item_id": list("ababa"),
        ...     "ts": pd.to_datetime(["2026-01-01"] * 5, utc=True)}))
        >>> ItemKNN().fit(log).recommend([3], 1)["item_id"].tolist()
        ['b']
    """

    neighbours: int = 200
    """Similar items kept for each item."""
    decay: float = 0.7
    """Weight of an item of the history relative to the one after it; 1 forgets the order."""
    shrinkage: float = 40.0
    """Added to the product of norms: pulls similarities that rest on few users towards 0."""
    bm25: BM25 | None = None
    """Weights in place of those of the log; None keeps the log's, which makes the similarity a cosine."""

    def __post_init__(self) -> None:
        require_bound("item_knn", "neighbours", self.neighbours, 1)
        require_bound("item_knn", "decay", self.decay, 1e-6, 1)
        require_bound("item_knn", "shrinkage", self.shrinkage, 0)

    def fit(
        self,
        train: Interactions,
        *,
        seed: int = 0,  # noqa: ARG002  (nothing is drawn)
        on_progress: Progress | None = None,
    ) -> ItemSimilarityRecommender:
        """Compare all pairs of items that share a user; memory is bounded by blocks of items.

        Raises:
            FitError: ``train`` has fewer than two events.
        """
        require_events(train, "item_knn")
        known = Known.of(train)
        matrix = train.matrix() if self.bm25 is None else self.bm25(train.matrix())
        indptr, neighbour_ix, similarity = self._neighbours(matrix, on_progress)
        weight = recency_weight(known.seen, self.decay) * train.weight
        return ItemSimilarityRecommender(known, weight, indptr, neighbour_ix, similarity)

    def _neighbours(self, matrix: csr_matrix, on_progress: Progress | None) -> tuple[IntArray, IntArray, Float32Array]:
        """CSR of the similarities kept, by the item ``i`` of the history."""
        from scipy.sparse import csr_matrix

        n_items = matrix.shape[1]
        by_item = matrix.T.tocsr()
        norm = np.sqrt(np.asarray(by_item.multiply(by_item).sum(axis=1)).ravel())
        blocks = list(_item_blocks(matrix, by_item))
        rows, columns, values = [], [], []
        for done, block in enumerate(blocks, start=1):
            product = (by_item[block] @ matrix).tocoo()  # [block, I] items j of this block against all items i
            target, source = product.row + block.start, product.col
            kept = target != source
            value = product.data[kept] / (norm[target[kept]] * norm[source[kept]] + self.shrinkage)
            best = _largest(target[kept], value, self.neighbours)
            rows.append(source[kept][best])
            columns.append(target[kept][best])
            values.append(value[best].astype(np.float32))
            if on_progress:
                on_progress(done, len(blocks))
        entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        similar = csr_matrix(entries, shape=(n_items, n_items))
        similar.sort_indices()
        return similar.indptr.astype(np.int64), similar.indices.astype(np.int64), similar.data


def _item_blocks(matrix: csr_matrix, by_item: csr_matrix) -> Iterator[slice]:
    """Consecutive items whose products with all others number at most ``PRODUCT_NONZEROS``, at least one a block."""
    cost = np.asarray(by_item.astype(bool) @ np.diff(matrix.indptr)).ravel().astype(np.int64)
    block_of = np.cumsum(cost) // PRODUCT_NONZEROS
    starts = np.flatnonzero(np.diff(block_of, prepend=-1))
    return (slice(int(a), int(b)) for a, b in zip(starts, [*starts[1:], len(cost)], strict=True))


def _largest(group: IntArray, value: Float32Array, k: int) -> IntArray:
    """The places of the ``k`` largest values of each group; among equals the first."""
    order = np.lexsort((-value, group))
    ordered = group[order]
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    size = np.diff([*first, len(ordered)])
    rank = np.arange(len(ordered)) - np.repeat(first, size)
    return order[rank < k]
