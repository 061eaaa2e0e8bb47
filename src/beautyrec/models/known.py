"""What a recommender knows of its users and items besides its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from beautyrec.data.interactions import Interactions
from beautyrec.data.vocabulary import Vocabulary
from beautyrec.models.state import ModelState, vocabulary_arrays, vocabulary_from
from beautyrec.types import Float32Array, IntArray


@dataclass(frozen=True, eq=False)
class History:
    """The items of each user, oldest first.

    Args:
        indptr: [U + 1] user ``u`` has entries ``indptr[u]:indptr[u + 1]``.
        item_ix: [n] index of the item of each entry.

    Examples:
        >>> history = History(np.array([0, 2, 2, 3]), np.array([4, 1, 0]))
        >>> history.counts(np.array([0, 1, -1])).tolist()
        [2, 0, 0]
        >>> history.items_of(0).tolist(), history.items_of(-1).tolist()
        ([4, 1], [])
        >>> row, entry = history.entries(np.array([2, 0]))
        >>> row.tolist(), history.item_ix[entry].tolist()
        ([0, 1, 1], [0, 4, 1])
    """

    indptr: IntArray
    item_ix: IntArray

    def counts(self, user_ix: IntArray) -> IntArray:
        """[B] how many entries each user has; 0 for an index of -1."""
        count: IntArray = self.indptr[user_ix + 1] - self.indptr[user_ix]
        return np.where(user_ix < 0, 0, count)

    def items_of(self, user: int) -> IntArray:
        """The items of one user, oldest first; none for an index of -1."""
        return self.item_ix[self.indptr[user] : self.indptr[user + 1]] if user >= 0 else self.item_ix[:0]

    def entries(self, user_ix: IntArray) -> tuple[IntArray, IntArray]:
        """The entries of ``user_ix`` [B] one after another: the row 0..B-1 each belongs to, and its place."""
        counts = self.counts(user_ix)
        return spans(self.indptr[np.maximum(user_ix, 0)], counts)


def recency_weight(history: History, decay: float) -> Float32Array:
    """[n] ``decay`` to the power of the steps back from the end of the user's history; the last entry weighs 1.

    Examples:
        >>> history = History(np.array([0, 3, 4]), np.array([5, 2, 7, 1]))
        >>> recency_weight(history, 0.5).tolist()
        [0.25, 0.5, 1.0, 1.0]
    """
    counts = np.diff(history.indptr)
    steps_back = np.repeat(history.indptr[1:], counts) - 1 - np.arange(len(history.item_ix))
    weight: Float32Array = np.power(np.float32(decay), steps_back, dtype=np.float32)
    return weight


def spans(starts: IntArray, counts: IntArray) -> tuple[IntArray, IntArray]:
    """The indices of ``starts[r] : starts[r] + counts[r]`` for every r in turn, and the r of each.

    Examples:
        >>> row, index = spans(np.array([10, 5]), np.array([2, 3]))
        >>> row.tolist(), index.tolist()
        ([0, 0, 1, 1, 1], [10, 11, 5, 6, 7])
    """
    row = np.repeat(np.arange(len(counts)), counts)
    before = np.cumsum(counts) - counts
    return row, np.arange(len(row)) + (starts - before)[row]


@dataclass(frozen=True, eq=False)
class Known:
    """What a recommender knows of its users and items besides its parameters.

    Args:
        users: the vocabulary of users, U of them.
        items: the vocabulary of items, I of them.
        seen: what each user took in training.
        popularity: [I] sum of the weights of each item in training; ranks items for users without a history.
    """

    users: Vocabulary
    items: Vocabulary
    seen: History
    popularity: Float32Array

    @classmethod
    def of(cls, train: Interactions) -> Known:
        """What ``train`` says."""
        popularity = np.bincount(train.item_ix, weights=train.weight, minlength=len(train.items))
        return cls(train.users, train.items, History(train.indptr, train.item_ix), popularity.astype(np.float32))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """As arrays for a :class:`ModelState`; the inverse of :meth:`from_state`."""
        seen = {"seen_indptr": self.seen.indptr, "seen_item_ix": self.seen.item_ix}
        vocabularies = vocabulary_arrays("users", self.users) | vocabulary_arrays("items", self.items)
        return {**seen, "popularity": self.popularity, **vocabularies}

    @classmethod
    def from_state(cls, state: ModelState) -> Known:
        """What :meth:`arrays` put into ``state``."""
        users, items = vocabulary_from(state, "users"), vocabulary_from(state, "items")
        seen = History(state.array("seen_indptr", (len(users) + 1,)), state.array("seen_item_ix", (None,)))
        return cls(users, items, seen, state.array("popularity", (len(items),)))
