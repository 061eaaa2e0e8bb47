"""The form of matrix factorisation: factors of users, factors of items, and numpy."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from beautyrec.models.base import Known, ModelState, Recommender
from beautyrec.models.top_k import best_columns
from beautyrec.types import Float32Array, IntArray
from beautyrec.workers import over_blocks, usable_threads

MANY = 128
"""Users ranked together from which a copy of the item factors in another layout pays; as chunks of scores are bounded, it is
only made for catalogues of at most some 30,000 items."""

SPAN = 2**15
"""Items scored together where the catalogue has more and there are many users: a product of few rows would read all factors
again for every few users."""

SEVERAL = 8
"""Users from which on that pays."""


@dataclass(frozen=True, eq=False)
class FactorRecommender(Recommender):
    """Scores ``user_factors @ item_factors.T + item_bias``: matrix factorisation, and the last state of a network.

    Args:
        known: users, items, what was seen, popularity.
        user_factors: [U, d].
        item_factors: [I, d].
        item_bias: [I], or None where there is none.
    """

    user_factors: Float32Array
    item_factors: Float32Array
    item_bias: Float32Array | None = None
    kind: ClassVar[str] = "factors"
    chunk_scores: ClassVar[int] = 2**22
    """More than other forms, 16 MB: a matrix product of few rows spends its time on laying out the items."""

    @cached_property
    def _item_columns(self) -> Float32Array:
        """[d, I] the factors of the items, laid out as a product of many rows reads them."""
        return np.ascontiguousarray(self.item_factors.T)

    def _block(self, user_ix: IntArray, columns: IntArray | None, room: Float32Array | None = None) -> Float32Array:
        if columns is not None:
            factors = self.item_factors[columns].T
        else:
            many = room is not None and len(user_ix) >= MANY
            factors = self._item_columns if many else self.item_factors.T
        out = None if room is None else room[: len(user_ix)]
        block: Float32Array = np.matmul(self.user_factors[user_ix], factors, out=out)  # [b, d] @ [d, C]
        if self.item_bias is not None:
            block += self.item_bias if columns is None else self.item_bias[columns]
        return block

    def top_k(
        self, user_ix: IntArray, k: int, *, exclude_seen: bool = True, candidates: IntArray | None = None
    ) -> tuple[IntArray, Float32Array]:
        """As every recommender's; the best of a large catalogue are the best of those of its parts."""
        n_items = len(self.items)
        if candidates is not None or n_items <= SPAN or len(user_ix) < SEVERAL or not 1 <= k <= SPAN // 2:
            return super().top_k(user_ix, k, exclude_seen=exclude_seen, candidates=candidates)
        top = np.empty((len(user_ix), k), dtype=np.int64)
        values = np.empty((len(user_ix), k), dtype=np.float32)
        height = max(1, self.chunk_scores // SPAN)
        rooms = threading.local()

        def rank(rows: slice) -> None:
            if not hasattr(rooms, "scores"):
                rooms.scores = np.empty(height * SPAN, dtype=np.float32)
            top[rows], values[rows] = self._best_of_spans(user_ix[rows], k, exclude_seen, rooms.scores)

        over_blocks(rank, len(user_ix), height, threads=usable_threads())
        return top, values

    def _best_of_spans(
        self, user_ix: IntArray, k: int, exclude_seen: bool, room: Float32Array
    ) -> tuple[IntArray, Float32Array]:
        """The best of each user, [b, k]; ``room`` holds the scores of all of them for one span."""
        n_items, b = len(self.items), len(user_ix)
        row, entry = self.seen.entries(user_ix if exclude_seen else user_ix[:0])
        taken = self.seen.item_ix[entry]
        users, cold = self.user_factors[user_ix], self.seen.counts(user_ix) == 0
        items, scores = [], []
        for start in range(0, n_items, SPAN):
            span = slice(start, min(start + SPAN, n_items))
            width = span.stop - start
            block = np.matmul(users, self.item_factors[span].T, out=room[: b * width].reshape(b, width))
            if self.item_bias is not None:
                block += self.item_bias[span]
            block[cold] = self.popularity[span]
            inside = (taken >= start) & (taken < span.stop)
            block[row[inside], taken[inside] - start] = -np.inf
            best, score = best_columns(block, min(k, width))
            items.append(np.where(best < 0, -1, best + start))
            scores.append(score)
        place, values = best_columns(np.concatenate(scores, axis=1), k)  # equal ones stand in the order of the items
        found = np.take_along_axis(np.concatenate(items, axis=1), np.maximum(place, 0), axis=1)
        return np.where(place < 0, -1, found), values

    def state(self) -> ModelState:
        """Known, factors and bias."""
        arrays = self.known.arrays() | {"user_factors": self.user_factors, "item_factors": self.item_factors}
        if self.item_bias is not None:
            arrays["item_bias"] = self.item_bias
        return ModelState(self.kind, arrays, {})

    @classmethod
    def from_state(cls, state: ModelState) -> Self:
        """The recommender that gave ``state``."""
        known = Known.from_state(state)
        user_factors = state.array("user_factors", (len(known.users), None))
        item_factors = state.array("item_factors", (len(known.items), user_factors.shape[1]))
        bias = state.array("item_bias", (len(known.items),)) if "item_bias" in state.arrays else None
        return cls(known, user_factors, item_factors, bias)
