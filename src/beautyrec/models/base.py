"""The contract of retrieval models: a learner is fitted once and gives a recommender that never changes.

Only numpy and pandas are needed here, so that a process that scores needs nothing that trains.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, Self

import numpy as np
import pandas as pd

from beautyrec.data.interactions import Interactions
from beautyrec.data.vocabulary import Ids, Vocabulary
from beautyrec.errors import ConfigError
from beautyrec.models.known import History, Known, spans
from beautyrec.models.state import ModelState
from beautyrec.models.top_k import best_columns
from beautyrec.types import Float32Array, IntArray, Progress
from beautyrec.workers import over_blocks, usable_threads

__all__ = ["History", "Known", "Learner", "ModelState", "OnUnknown", "Recommender"]

OnUnknown = Literal["raise", "fallback", "skip"]
"""What to do with a user nobody has seen: raise, recommend what is popular, or leave the user out; a candidate nobody has
seen raises, comes last, or is left out."""

CHUNK_SCORES = 2**20
"""Scores held at one time while ranking, whatever the number of users: 4 MB of 32-bit floats, which caches hold."""


class Learner(Protocol):
    """Hyperparameters of a model, as a frozen dataclass; :meth:`fit` leaves it as it was."""

    def fit(self, train: Interactions, *, seed: int = 0, on_progress: Progress | None = None) -> Recommender:
        """A recommender fitted on ``train``; the same seed gives the same recommender.

        Raises:
            FitError: the model cannot be fitted on ``train``; says why.
        """
        ...


@dataclass(frozen=True, eq=False)
class Recommender(ABC):
    """A fitted model that ranks items for users; it never changes.

    Scores are unitless and only order the items of one user. A user in the vocabulary who took nothing in training,
    and an index of -1, get the popularity of the items as scores.

    Args:
        known: users, items, what was seen, popularity.
    """

    known: Known
    kind: ClassVar[str]
    chunk_scores: ClassVar[int] = CHUNK_SCORES
    """Scores held at one time while ranking."""

    @property
    def users(self) -> Vocabulary:
        """The users it was fitted on."""
        return self.known.users

    @property
    def items(self) -> Vocabulary:
        """The items it ranks."""
        return self.known.items

    @property
    def seen(self) -> History:
        """What each user took in training."""
        return self.known.seen

    @property
    def popularity(self) -> Float32Array:
        """[I] what ranks items for users without a history."""
        return self.known.popularity

    @abstractmethod
    def _block(self, user_ix: IntArray, columns: IntArray | None, room: Float32Array | None = None) -> Float32Array:
        """[b, C] scores of users with a history for the items ``columns`` [C], all I where it is None.

        A new array, or one in ``room`` [at least b, C], where the form can save the memory by it.
        """

    @abstractmethod
    def state(self) -> ModelState:
        """Everything needed to build this recommender again with :meth:`from_state`."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: ModelState) -> Self:
        """The recommender that gave ``state``; its scores are the same to the bit.

        Raises:
            ArtifactError: an array is missing or of another shape.
        """

    def scores(
        self, user_ix: IntArray, columns: IntArray | None = None, room: Float32Array | None = None
    ) -> Float32Array:
        """[B, C] scores of the items ``columns`` [C], of all I items where it is None.

        They may be written into ``room`` [at least B, C] where it is given: the next call with it then overwrites them.
        """
        warm = self.seen.counts(user_ix) > 0
        if warm.all():
            return self._block(user_ix, columns, room)
        popularity = self.popularity if columns is None else self.popularity[columns]
        block = np.tile(popularity, (len(user_ix), 1))
        if warm.any():
            block[warm] = self._block(user_ix[warm], columns)
        return block

    def scores_at(self, user_ix: IntArray, item_ix: IntArray) -> Float32Array:
        """Scores of items that differ by request, as on the shelves of rooms.

        Args:
            user_ix: [B] index of the user, -1 for an unknown one.
            item_ix: [B, C] index of each item, -1 for padding.

        Returns:
            [B, C] scores, -inf at padding.
        """
        found = np.empty(item_ix.shape, dtype=np.float32)
        for rows in _chunks(len(user_ix), self.chunk_scores // max(1, len(self.items))):
            found[rows] = np.take_along_axis(self.scores(user_ix[rows]), np.maximum(item_ix[rows], 0), axis=1)
        found[item_ix < 0] = -np.inf
        return found

    def top_k(
        self, user_ix: IntArray, k: int, *, exclude_seen: bool = True, candidates: IntArray | None = None
    ) -> tuple[IntArray, Float32Array]:
        """The best ``k`` items of each user, best first; among equals the lower item index first.

        Memory is bounded: users are taken in chunks of at most ``chunk_scores`` scores, one a thread. Many chunks are
        shared by as many threads as BLAS would take: those of ``OMP_NUM_THREADS``, or one a core. A user alone gets the
        scores it gets among others up to about 1e-6 of their size: matrix products of other shapes add in another order.

        Args:
            user_ix: [B] index of each user; -1 for an unknown one, who gets what is popular.
            k: how many, at least 1.
            exclude_seen: leave out what the user took in training.
            candidates: [C] indices of the only items allowed; all where it is None.

        Returns:
            items [B, k] and scores [B, k]; -1 and -inf where a user has fewer than k items.

        Raises:
            ConfigError: ``k`` is below 1.
            FitError: a score is NaN.
        """
        if k < 1:
            raise ConfigError(f"top_k: k is {k}; ask for at least 1 item.")
        columns = None if candidates is None else np.unique(candidates)
        width = len(self.items) if columns is None else len(columns)
        top = np.full((len(user_ix), k), -1, dtype=np.int64)
        values = np.full((len(user_ix), k), -np.inf, dtype=np.float32)

        rooms = threading.local()  # one a thread: memory that is there already need not be cleared by the system
        height = max(1, self.chunk_scores // max(1, width))

        def rank(rows: slice) -> None:
            if not hasattr(rooms, "scores"):
                rooms.scores = np.empty((min(height, len(user_ix)), width), dtype=np.float32)
            block = self.scores(user_ix[rows], columns, rooms.scores)
            if exclude_seen:
                self._strike_seen(block, user_ix[rows], columns)
            top[rows], values[rows] = best_columns(block, k)

        over_blocks(rank, len(user_ix), height, threads=usable_threads() if len(user_ix) > height else 1)
        if columns is not None:
            top = np.where(top < 0, -1, columns[top]) if len(columns) else top
        return top, values

    def _strike_seen(self, block: Float32Array, user_ix: IntArray, columns: IntArray | None) -> None:
        """Set what each user took to -inf in ``block`` [b, C], in place."""
        if columns is None and len(user_ix) == 1:  # a user alone, who waits: the same without rows
            block[0, self.seen.items_of(int(user_ix[0]))] = -np.inf
            return
        row, entry = self.seen.entries(user_ix)
        column = self.seen.item_ix[entry]
        if columns is not None:
            column_of = np.full(len(self.items), -1, dtype=np.int64)
            column_of[columns] = np.arange(len(columns))
            column = column_of[column]
            row, column = row[column >= 0], column[column >= 0]
        block[row, column] = -np.inf

    def recommend(
        self,
        users: Ids,
        k: int,
        *,
        exclude_seen: bool = True,
        candidates: Ids | None = None,
        on_unknown: OnUnknown = "raise",
    ) -> pd.DataFrame:
        """The best ``k`` items of each user, by their ids.

        Args:
            users: [B] ids of users, in the order wanted.
            k: how many, at least 1; a user with fewer items left gets those.
            exclude_seen: leave out what the user took in training.
            candidates: ids of the only items allowed; all where it is None.
            on_unknown: a user not in the vocabulary raises, gets what is popular (``"fallback"``), or is left out
                (``"skip"``). Likewise a candidate: it raises, comes after all others with a score of -inf, or is left out.

        Returns:
            A frame ``user_id, item_id, score, rank``, one row a recommendation, ``rank`` from 1.

        Raises:
            UnknownIdError: a user or a candidate is unknown and ``on_unknown`` is ``"raise"``.
            ConfigError: ``k`` is below 1, or ``on_unknown`` is none of the three.
        """
        ids = pd.Index(users)
        user_ix = _indices(self.users, ids, on_unknown)
        if on_unknown == "skip":
            ids, user_ix = ids[user_ix >= 0], user_ix[user_ix >= 0]
        allowed, strangers = None, pd.Index([])
        if candidates is not None:
            item_ix = _indices(self.items, candidates, on_unknown)
            allowed = item_ix[item_ix >= 0]
            strangers = pd.Index(candidates)[item_ix < 0].unique() if on_unknown == "fallback" else strangers
        top, values = self.top_k(user_ix, k, exclude_seen=exclude_seen, candidates=allowed)
        row, place = np.nonzero(top >= 0)
        columns = {
            "user_id": ids[row],
            "item_id": self.items.ids_at(top[row, place]),
            "score": values[row, place],
            "rank": place + 1,
        }
        found = pd.DataFrame(columns)
        return found if strangers.empty else _with_strangers(found, ids, (top >= 0).sum(axis=1), strangers, k)


def _indices(vocabulary: Vocabulary, ids: Ids, on_unknown: OnUnknown) -> IntArray:
    """[n] the index of each id, -1 where it is unknown and that is allowed."""
    if on_unknown not in ("raise", "fallback", "skip"):
        raise ConfigError(f"recommend: on_unknown is {on_unknown!r}; use 'raise', 'fallback' or 'skip'.")
    return vocabulary.indices(ids) if on_unknown == "raise" else vocabulary.indices_or_missing(ids)


def _with_strangers(found: pd.DataFrame, users: pd.Index, count: IntArray, strangers: pd.Index, k: int) -> pd.DataFrame:
    """``found``, where users [B] have ``count`` items each, with unknown items after them until there are ``k``."""
    row, place = spans(np.zeros_like(count), np.minimum(k - count, len(strangers)))
    columns = {
        "user_id": users[row],
        "item_id": strangers[place],
        "score": np.float32(-np.inf),
        "rank": count[row] + place + 1,
    }
    both = pd.concat([found, pd.DataFrame(columns)], ignore_index=True)
    order = np.lexsort([both["rank"].to_numpy(), np.concatenate([np.repeat(np.arange(len(count)), count), row])])
    return both.iloc[order].reset_index(drop=True)


def _chunks(n: int, size: int) -> Iterator[slice]:
    """Slices that cover ``range(n)``, each of at most ``size`` and at least 1."""
    step = max(1, size)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))
