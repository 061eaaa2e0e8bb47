"""Histories cut into pieces and packed into batches of like length: what sequential models are trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from beautyrec.data.interactions import Interactions
from beautyrec.models.known import spans
from beautyrec.types import Float32Array, FloatArray, IntArray


class Pieces(NamedTuple):
    """Stretches of the flat list of all events.

    Args:
        start: [p] first event of each.
        length: [p] how many events.
    """

    start: IntArray
    length: IntArray

    def padded(self, values: IntArray, padding: int) -> IntArray:
        """[p, longest] the ``values`` of the events of each piece, ``padding`` after its end.

        Examples:
            >>> Pieces(np.array([1, 3]), np.array([2, 1])).padded(np.array([9, 8, 7, 6]), -1).tolist()
            [[8, 7], [6, -1]]
        """
        row, event = spans(self.start, self.length)
        column = event - self.start[row]
        out = np.full((len(self.start), int(self.length.max(initial=0))), padding, dtype=np.int64)
        out[row, column] = values[event]
        return out

    def take(self, which: IntArray) -> Pieces:
        """The pieces at ``which``."""
        return Pieces(self.start[which], self.length[which])


def cut(start: IntArray, end: IntArray, max_len: int) -> Pieces:
    """Pieces of at most ``max_len + 1`` events so that every step from an event to the next lies in exactly one.

    Args:
        start: [U] first event of each user.
        end: [U] the event after the last.
        max_len: steps a piece at most; the last piece of a user is cut from the end and is the fullest.

    Examples:
        >>> pieces = cut(np.array([0, 5]), np.array([5, 6]), 3)
        >>> sorted(zip(pieces.start.tolist(), pieces.length.tolist()))
        [(0, 2), (1, 4)]
    """
    steps = np.maximum(end - start - 1, 0)
    user, nth = spans(np.zeros(len(start), dtype=np.int64), -(-steps // max_len))
    stop = end[user] - nth * max_len
    begin = np.maximum(start[user], stop - max_len - 1)
    return Pieces(begin, stop - begin)


def batches_of_like_length(length: IntArray, events: int, rng: np.random.Generator | None) -> Iterator[IntArray]:
    """Groups of pieces with about ``events`` events each, of nearly one length so that little is padding.

    Args:
        length: [p] events of each piece.
        events: events of a batch; a longer piece is a batch of its own.
        rng: shuffles within a length and the order of the batches; None keeps the order.

    Examples:
        >>> [batch.tolist() for batch in batches_of_like_length(np.array([4, 2, 4, 2]), 4, None)]
        [[1, 3], [0], [2]]
    """
    shuffled = np.arange(len(length)) if rng is None else rng.permutation(len(length))
    order = shuffled[np.argsort(length[shuffled], kind="stable")]
    group = (np.cumsum(length[order]) - 1) // events
    bounds = np.flatnonzero(np.diff(group, prepend=-1, append=-1))
    which = np.arange(len(bounds) - 1) if rng is None else rng.permutation(len(bounds) - 1)
    return (order[bounds[b] : bounds[b + 1]] for b in which)


class Negatives(NamedTuple):
    """Draws items to be told from the next one.

    Args:
        chance: [I] of each item at each draw.
        cumulative: [I] its sums.
    """

    chance: FloatArray
    cumulative: FloatArray

    @classmethod
    def mixed(cls, popularity: Float32Array, by_popularity: float) -> Negatives:
        """A share ``by_popularity`` of the draws in proportion to ``popularity`` [I], the others even."""
        weight = popularity.astype(np.float64)
        chance = by_popularity * weight / weight.sum() + (1 - by_popularity) / len(weight)
        return cls(chance, np.cumsum(chance))

    def draw(self, n: int, rng: np.random.Generator) -> IntArray:
        """[n] indices, with replacement."""
        at: IntArray = np.searchsorted(self.cumulative, rng.random(n) * self.cumulative[-1], side="right")
        return np.minimum(at, len(self.chance) - 1)


def item_codes(log: Interactions, columns: Sequence[str], buckets: int) -> list[IntArray]:
    """For each of ``columns`` [I] the value of every item as a number from 1, 0 where it has none.

    Args:
        log: its item table is read.
        columns: of the item table; those that it lacks are left out.
        buckets: groups of like size into which fractional numbers are cut; whole numbers and texts are taken as they are.

    Examples:
        >>> log = Interactions.from_frame(
        ...     pd.DataFrame({"user_id": [1] * 4, "item_id": list("abcd"), "ts": pd.to_datetime(["2026-01-01"] * 4)}),
        ...     item_table=pd.DataFrame({"item_id": list("abcd"), "price": [1.5, 2.5, None, 9.0], "brand": list("xyxy")}))
        >>> [codes.tolist() for codes in item_codes(log, ["price", "colour", "brand"], 2)]
        [[1, 1, 0, 2], [1, 2, 1, 2]]
    """
    table = pd.DataFrame() if log.item_table is None else log.item_table
    return [_codes(table[column], buckets) for column in columns if column in table]


def _codes(values: pd.Series[Any], buckets: int) -> IntArray:
    """[I] from 1, 0 for a missing value."""
    if pd.api.types.is_float_dtype(values) and values.nunique() > buckets:
        values = pd.qcut(values, buckets, labels=False, duplicates="drop")
    code, _ = pd.factorize(values, sort=True)
    return np.asarray(code + 1, dtype=np.int64)
