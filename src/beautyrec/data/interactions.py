"""Who took which item when, as arrays: what retrieval models are fitted on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import MissingExtraError, SchemaError
from beautyrec.types import BoolArray, Float32Array, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True, eq=False)
class Interactions:
    """Interactions sorted by user and, within a user, by time (ties keep the order they came in).

    Args:
        users: the vocabulary of users, U of them.
        items: the vocabulary of items, I of them.
        user_ix: [n] index of the user, ascending.
        item_ix: [n] index of the item.
        ts: [n] when it happened, microseconds since 1970-01-01 UTC.
        weight: [n] how much it counts, above 0; 1 for a purchase.
        item_table: columns that describe the items (``category``, ``brand``, ``price``), one row an item in the
            order of ``items``; None where nothing is known of them.

    Examples:
        >>> frame = pd.DataFrame({"user_id": [7, 7, 9], "item_id": ["b", "a", "a"],
        ...                       "ts": pd.to_datetime(["2026-01-02", "2026-01-01", "2026-01-03"], utc=True)})
        >>> Interactions.from_frame(frame).item_ix.tolist()
        [0, 1, 0]
    """

    users: Vocabulary
    items: Vocabulary
    user_ix: IntArray
    item_ix: IntArray
    ts: IntArray
    weight: Float32Array
    item_table: pd.DataFrame | None = None

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        users: Vocabulary | None = None,
        items: Vocabulary | None = None,
        item_table: pd.DataFrame | None = None,
    ) -> Interactions:
        """Interactions from a frame with ``user_id``, ``item_id``, ``ts`` and, if wanted, ``weight``.

        Args:
            frame: one row an interaction; it is not changed.
            users: vocabulary to use; that of the frame where it is None.
            items: likewise for items.
            item_table: a frame with ``item_id`` and what is known of the items; put into the order of ``items``.

        Raises:
            SchemaError: a column is missing.
            UnknownIdError: an id is not in a vocabulary that was given.
        """
        for column in ("user_id", "item_id", "ts"):
            if column not in frame:
                raise SchemaError(
                    f"interactions: column '{column}' is missing; the frame has {list(frame)}. Rename it."
                )
        users = users or Vocabulary.from_ids(frame["user_id"])
        items = items or Vocabulary.from_ids(frame["item_id"])
        user_ix, item_ix = users.indices(frame["user_id"]), items.indices(frame["item_id"])
        ts = np.asarray(pd.to_datetime(frame["ts"], utc=True).dt.as_unit("us").astype("int64"), dtype=np.int64)
        weight = frame["weight"].to_numpy(np.float32) if "weight" in frame else np.ones(len(frame), np.float32)
        order = np.lexsort((np.arange(len(frame), dtype=np.int64), ts, user_ix))
        table = None
        if item_table is not None:
            table = item_table.set_index("item_id").reindex(items.ids).rename_axis("item_id").reset_index()
        return cls(users, items, user_ix[order], item_ix[order], ts[order], weight[order], table)

    def __len__(self) -> int:
        return len(self.user_ix)

    @cached_property
    def indptr(self) -> IntArray:
        """[U + 1] where each user's interactions start; user ``u`` has rows ``indptr[u]:indptr[u + 1]``."""
        counts = np.bincount(self.user_ix, minlength=len(self.users))
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def matrix(self) -> csr_matrix:
        """[U, I] sparse sum of weights by user and item, float32.

        Raises:
            MissingExtraError: ``scipy`` is not installed.
        """
        try:
            from scipy.sparse import csr_matrix
        except ModuleNotFoundError:
            raise MissingExtraError("scipy", "train") from None

        shape = (len(self.users), len(self.items))
        matrix = csr_matrix((self.weight, (self.user_ix, self.item_ix)), shape=shape, dtype=np.float32)
        matrix.sum_duplicates()
        return matrix

    def where(self, keep: BoolArray) -> Interactions:
        """The rows where ``keep`` [n] is true, with the same vocabularies."""
        rows = np.flatnonzero(keep)
        return replace(
            self, user_ix=self.user_ix[rows], item_ix=self.item_ix[rows], ts=self.ts[rows], weight=self.weight[rows]
        )
