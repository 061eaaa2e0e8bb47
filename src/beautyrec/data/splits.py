"""Train and test: by a moment in time, by each user's last interactions, or day after day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from beautyrec.data.interactions import Interactions
from beautyrec.data.times import Length, Moment, length, microseconds, utc
from beautyrec.errors import DataError


@dataclass(frozen=True, eq=False)
class Split:
    """Two sides of the same interactions; both keep the vocabularies, and so the full catalogue, of the whole.

    Args:
        train: what a model may be fitted on.
        test: what it is asked about.
        cutoff: train lies before it and test does not; None where the cut is another one.
    """

    train: Interactions
    test: Interactions
    cutoff: pd.Timestamp | None = None


class Window(NamedTuple):
    """A stretch of time.

    Attributes:
        start: its first moment.
        end: the first moment after it.
    """

    start: pd.Timestamp
    end: pd.Timestamp


def split_at(interactions: Interactions, cutoff: Moment) -> Split:
    """Cut at one moment for all: train is what happened before it.

    Raises:
        DataError: ``cutoff`` has no time zone, or a side is empty.

    Examples:
        >>> frame = pd.DataFrame({"user_id": [7, 7, 9], "item_id": ["a", "b", "a"],
        ...                       "ts": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"], utc=True)})
        >>> split = split_at(Interactions.from_frame(frame), "2026-01-02T00:00Z")
        >>> len(split.train), len(split.test)
        (1, 2)
    """
    cutoff = utc(cutoff)
    before = interactions.ts < microseconds(cutoff)
    if not before.any() or before.all():
        sides = f"{int(before.sum())} of {len(before)} interactions lie before"
        raise DataError(f"split: {sides} {cutoff}, so a side is empty.{_range(interactions)}")
    return Split(interactions.where(before), interactions.where(~before), cutoff)


def _range(interactions: Interactions) -> str:
    if not len(interactions):
        return " There are none: check what was read."
    first, last = pd.to_datetime([interactions.ts.min(), interactions.ts.max()], unit="us", utc=True)
    return f" Choose a cutoff after {first} and at or before {last}."


def leave_last_out(interactions: Interactions, holdout: int = 1) -> Split:
    """Hold out each user's last interactions, in their order; who has no more than ``holdout`` stays in train whole.

    Apply it to the train side again for a validation set.

    Args:
        interactions: in order of time a user; ties keep the order they came in.
        holdout: how many to hold out, at least 1.

    Raises:
        DataError: ``holdout`` is below 1, or nobody has more than that.

    Examples:
        >>> frame = pd.DataFrame({"user_id": [7, 7, 9], "item_id": ["a", "b", "a"],
        ...                       "ts": pd.to_datetime(["2026-01-01", "2026-01-01", "2026-01-03"], utc=True)})
        >>> split = leave_last_out(Interactions.from_frame(frame))
        >>> split.test.items.ids_at(split.test.item_ix).tolist(), len(split.train)
        (['b'], 2)
    """
    if holdout < 1:
        raise DataError(f"split: holdout is {holdout}; hold out at least 1 interaction a user.")
    count = np.diff(interactions.indptr)
    user = interactions.user_ix
    from_end = interactions.indptr[1:][user] - np.arange(len(interactions))
    held = (from_end <= holdout) & (count[user] > holdout)
    if not held.any():
        raise DataError(f"split: none of {len(count)} users has more than {holdout} interactions. Hold out fewer.")
    return Split(interactions.where(~held), interactions.where(held))


def walk_forward(start: Moment, days: int, step: Length = "1D") -> Iterator[Window]:
    """Windows one after the other: fit on what was known before ``start`` of each, test on what happened within.

    Args:
        start: where the first begins.
        days: how many there are.
        step: how long each is.

    Raises:
        DataError: ``start`` has no time zone, or ``days`` or ``step`` is not above 0.

    Examples:
        >>> [str(window.start.date()) for window in walk_forward("2026-02-27T00:00Z", 3)]
        ['2026-02-27', '2026-02-28', '2026-03-01']
    """
    begin, each = utc(start), length(step)
    if days < 1 or each <= pd.Timedelta(0):
        raise DataError(f"walk_forward: {days} windows of {each}; both are to be above 0.")
    return (Window(begin + place * each, begin + (place + 1) * each) for place in range(days))
