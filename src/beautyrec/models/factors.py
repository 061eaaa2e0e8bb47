"""The form of matrix factorisation: factors of users, factors of items, and numpy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from beautyrec.models.base import Known, ModelState, Recommender
from beautyrec.types import Float32Array, IntArray

MANY = 128
"""Users ranked together from which a copy of the item factors in another layout pays; as chunks of scores are bounded, it is
only made for catalogues of at most some 30,000 items."""


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
