"""The forms that fitted models take: a few arrays and numpy, alike after a fit and after a load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from beautyrec.data.interactions import Interactions
from beautyrec.errors import ArtifactError
from beautyrec.models.base import Known, ModelState, Recommender
from beautyrec.models.blended import BlendRecommender
from beautyrec.models.factors import MANY, FactorRecommender
from beautyrec.models.featured import FeatureFactorRecommender, TowerRecommender
from beautyrec.models.fold_in import gram, least_squares_users, newly_known
from beautyrec.models.known import recency_weight, spans
from beautyrec.models.reranked import RerankRecommender
from beautyrec.models.top_k import best_columns
from beautyrec.types import Float32Array, FloatArray, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = [
    "MANY",
    "RECOMMENDERS",
    "FactorRecommender",
    "FeatureFactorRecommender",
    "ItemScoreRecommender",
    "ItemSimilarityRecommender",
    "LeastSquaresRecommender",
    "TowerRecommender",
    "recommender_from_state",
]


@dataclass(frozen=True, eq=False, kw_only=True)
class LeastSquaresRecommender(FactorRecommender):
    """Factors of which those of a user are a least squares solution given those of the items, so that others can join.

    Args:
        known: users, items, what was seen, popularity.
        user_factors: [U, d].
        item_factors: [I, d].
        item_bias: not used.
        regularization: pull of the factors towards 0.
        alpha: confidence in the last interaction of a user, at weight 1.
        decay: confidence in an interaction relative to the next one of the same user.
    """

    regularization: float
    alpha: float
    decay: float
    kind: ClassVar[str] = "least_squares"

    @cached_property
    def _gram(self) -> FloatArray:
        """[d, d] of the items, which fold-ins have in common."""
        return gram(self.item_factors)

    def fold_in(self, history: Interactions) -> Self:
        """For the users of ``history``: the least squares solution for each, the items as they were fitted.

        Raises:
            UnknownIdError: the items of ``history`` are not those of the model, in their order.
        """
        known = newly_known(self.known, history)
        confidence = self.alpha * history.weight * recency_weight(known.seen, self.decay)
        users = least_squares_users(known.seen, confidence, self.item_factors, self.regularization, self._gram)
        return replace(self, known=known, user_factors=users)

    def state(self) -> ModelState:
        """Known, factors and what they were fitted with."""
        meta = {"regularization": self.regularization, "alpha": self.alpha, "decay": self.decay}
        return ModelState(self.kind, super().state().arrays, meta)

    @classmethod
    def from_state(cls, state: ModelState) -> Self:
        """The recommender that gave ``state``."""
        base = FactorRecommender.from_state(state)
        model = cls(
            base.known,
            base.user_factors,
            base.item_factors,
            regularization=state.number("regularization"),
            alpha=state.number("alpha"),
            decay=state.number("decay"),
        )
        _ = model._gram  # now, not when the first user is folded in
        return model


@dataclass(frozen=True, eq=False)
class ItemSimilarityRecommender(Recommender):
    """Scores the weights of similar items, summed over a user's history: ``score(u, j) = sum_e w_e s(i_e, j)``.

    Args:
        known: users, items, what was seen, popularity.
        history_weight: [n] weight ``w`` of each entry of ``known.seen``.
        indptr: [I + 1] the neighbours of item ``i`` are entries ``indptr[i]:indptr[i + 1]``.
        neighbour_ix: [m] index of each neighbour ``j``.
        similarity: [m] how much an ``i`` in the history says for ``j``.
        decay: what ``history_weight`` was made with, and is for users who join later: the weight of an entry relative
            to the one after it.
    """

    history_weight: Float32Array
    indptr: IntArray
    neighbour_ix: IntArray
    similarity: Float32Array
    decay: float = 1.0
    kind: ClassVar[str] = "item_similarity"
    chunk_scores: ClassVar[int] = 2**18
    """Fewer than other forms: sums are scattered over the chunk, which has to stay in the nearest cache."""

    @classmethod
    def of(cls, known: Known, weight: Float32Array, similar: csr_matrix, decay: float) -> Self:
        """From the matrix of similarities.

        Args:
            known: users, items, what was seen, popularity.
            weight: [n] of the interactions in ``known.seen``.
            similar: [I, I] row i has what an ``i`` in the history says for each item.
            decay: weight of an entry of the history relative to the one after it.
        """
        similar.sort_indices()
        pointers, columns = similar.indptr.astype(np.int64), similar.indices.astype(np.int64)
        history_weight = recency_weight(known.seen, decay) * weight
        return cls(known, history_weight, pointers, columns, similar.data.astype(np.float32), decay)

    def fold_in(self, history: Interactions) -> Self:
        """For the users of ``history``: their weights, the similarities as they were fitted.

        Raises:
            UnknownIdError: the items of ``history`` are not those of the model, in their order.
        """
        known = newly_known(self.known, history)
        return replace(self, known=known, history_weight=recency_weight(known.seen, self.decay) * history.weight)

    def _block(self, user_ix: IntArray, columns: IntArray | None, room: Float32Array | None = None) -> Float32Array:  # noqa: ARG002
        n_items = len(self.items)
        row, entry = self.seen.entries(user_ix)
        item_ix = self.seen.item_ix[entry]
        starts = self.indptr[item_ix]
        place, neighbour = spans(starts, self.indptr[item_ix + 1] - starts)
        cell = (row * n_items)[place] + self.neighbour_ix[neighbour]
        weight = self.history_weight[entry][place] * self.similarity[neighbour]
        total = np.bincount(cell, weights=weight, minlength=len(user_ix) * n_items)
        block = total.astype(np.float32).reshape(len(user_ix), n_items)
        return block if columns is None else block[:, columns]

    def state(self) -> ModelState:
        """Known, the weights of the histories and the similarities."""
        own: dict[str, npt.NDArray[Any]] = {
            "history_weight": self.history_weight,
            "indptr": self.indptr,
            "neighbour_ix": self.neighbour_ix,
            "similarity": self.similarity,
        }
        return ModelState(self.kind, self.known.arrays() | own, {"decay": self.decay})

    @classmethod
    def from_state(cls, state: ModelState) -> Self:
        """The recommender that gave ``state``."""
        known = Known.from_state(state)
        neighbour_ix = state.array("neighbour_ix", (None,))
        return cls(
            known,
            history_weight=state.array("history_weight", (len(known.seen.item_ix),)),
            indptr=state.array("indptr", (len(known.items) + 1,)),
            neighbour_ix=neighbour_ix,
            similarity=state.array("similarity", (len(neighbour_ix),)),
            decay=state.number("decay"),
        )


@dataclass(frozen=True, eq=False)
class ItemScoreRecommender(Recommender):
    """One score an item, the same for every user.

    Args:
        known: users, items, what was seen, popularity. ``popularity`` is kept apart from ``item_score``: the scores
            may be of a window of time only.
        item_score: [I].
    """

    item_score: Float32Array
    kind: ClassVar[str] = "item_scores"

    def fold_in(self, history: Interactions) -> Self:
        """For the users of ``history``: the same scores.

        Raises:
            UnknownIdError: the items of ``history`` are not those of the model, in their order.
        """
        return replace(self, known=newly_known(self.known, history))

    def scores(
        self, user_ix: IntArray, columns: IntArray | None = None, room: Float32Array | None = None
    ) -> Float32Array:
        """[B, C] the scores of the items, for users with and without a history alike."""
        return self._block(user_ix, columns, room)

    def _block(self, user_ix: IntArray, columns: IntArray | None, room: Float32Array | None = None) -> Float32Array:  # noqa: ARG002
        score = self.item_score if columns is None else self.item_score[columns]
        return np.tile(score, (len(user_ix), 1))

    def top_k(
        self, user_ix: IntArray, k: int, *, exclude_seen: bool = True, candidates: IntArray | None = None
    ) -> tuple[IntArray, Float32Array]:
        """As every recommender's; looks only at as many of the best items as users can have seen, plus ``k``."""
        most_seen = int(self.seen.counts(user_ix).max(initial=0)) if exclude_seen else 0
        allowed = np.arange(len(self.items)) if candidates is None else np.unique(candidates)
        if 1 <= k < len(allowed):
            best, _ = best_columns(self.item_score[allowed][None, :], min(k + most_seen, len(allowed)))
            allowed = allowed[best[0][best[0] >= 0]]
        return super().top_k(user_ix, k, exclude_seen=exclude_seen, candidates=allowed)

    def state(self) -> ModelState:
        """Known and the scores."""
        return ModelState(self.kind, self.known.arrays() | {"item_score": self.item_score}, {})

    @classmethod
    def from_state(cls, state: ModelState) -> Self:
        """The recommender that gave ``state``."""
        known = Known.from_state(state)
        return cls(known, state.array("item_score", (len(known.items),)))


RECOMMENDERS: Mapping[str, type[Recommender]] = MappingProxyType(
    {
        form.kind: form
        for form in (
            FactorRecommender,
            BlendRecommender,
            FeatureFactorRecommender,
            ItemScoreRecommender,
            ItemSimilarityRecommender,
            LeastSquaresRecommender,
            RerankRecommender,
            TowerRecommender,
        )
    }
)
"""The forms by kind."""


def recommender_from_state(state: ModelState) -> Recommender:
    """The recommender that gave ``state``, whatever its form.

    Raises:
        ArtifactError: the kind is unknown, or an array is missing or of another shape.
    """
    if state.kind not in RECOMMENDERS:
        raise ArtifactError(f"model state: kind '{state.kind}' is unknown; known are {sorted(RECOMMENDERS)}.")
    return RECOMMENDERS[state.kind].from_state(state)
