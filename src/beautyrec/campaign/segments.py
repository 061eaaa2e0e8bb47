"""What to tell the requests of a ranking table apart by: any column of users, of items or of events, and how warm they are.

A segment is a callable from the relevant pairs of the test side to a label for each pair. In the row of a segment only its
own pairs are relevant, and only users who have one are counted: so users, items and scenes are cut in one way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.data.interactions import Interactions
from beautyrec.data.log import EventLog
from beautyrec.data.schema import CLICK, EVENT, EVENT_ID, ITEM_ID, ORDER, ROOM_ID, SCENE, TS, USER_ID
from beautyrec.errors import EvaluationError
from beautyrec.evaluation.ranking_table import warmth
from beautyrec.types import IntArray

UNKNOWN = "unknown"
"""The segment of pairs whose label is missing."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """What was taken in test: n pairs of user and item, and the train side that came before.

    Args:
        train: what models were fitted on; its vocabularies name the users and items.
        user_ix: [n] index of the user.
        item_ix: [n] index of the item.
    """

    train: Interactions
    user_ix: IntArray
    item_ix: IntArray


class Segment(Protocol):
    """A cut of the relevant pairs."""

    @property
    def name(self) -> str:
        """What it cuts by."""
        ...

    def __call__(self, pairs: Pairs) -> npt.NDArray[Any]:
        """[n] the label of each pair."""
        ...


@dataclass(frozen=True, eq=False)
class ByUser:
    """By a column of the users.

    Args:
        column: its values, by ``user_id`` as the index, each once; its name is that of the segment.

    Examples:
        >>> ByUser(pd.Series({7: "gold", 9: "new"}, name="tier")).name
        'by tier'
    """

    column: pd.Series[Any]

    @property
    def name(self) -> str:
        """What it cuts by."""
        return f"by {self.column.name}"

    def __call__(self, pairs: Pairs) -> npt.NDArray[Any]:
        """[n] the value of each pair's user."""
        return _labels(self.column, pairs.train.users.ids_at(pairs.user_ix))


@dataclass(frozen=True, eq=False)
class ByItem:
    """By a column of the items, such as the category.

    Args:
        column: its values, by ``item_id`` as the index, each once; its name is that of the segment.
    """

    column: pd.Series[Any]

    @property
    def name(self) -> str:
        """What it cuts by."""
        return f"by {self.column.name}"

    def __call__(self, pairs: Pairs) -> npt.NDArray[Any]:
        """[n] the value of each pair's item."""
        return _labels(self.column, pairs.train.items.ids_at(pairs.item_ix))


@dataclass(frozen=True, eq=False)
class ByEvent:
    """By a column of the events in which users took items, such as the scene of the room.

    Args:
        events: ``user_id``, ``item_id`` and the column, in the order of time; the last event of a pair counts.
        column: its name.
    """

    events: pd.DataFrame
    column: str

    @property
    def name(self) -> str:
        """What it cuts by."""
        return f"by {self.column}"

    def __call__(self, pairs: Pairs) -> npt.NDArray[Any]:
        """[n] the value of each pair's last event."""
        users, items = pairs.train.users, pairs.train.items
        width = len(items)
        user_ix = users.indices_or_missing(self.events[USER_ID])
        item_ix = items.indices_or_missing(self.events[ITEM_ID])
        known = (user_ix >= 0) & (item_ix >= 0)
        values = pd.Series(self.events[self.column].to_numpy(object)[known], (user_ix * width + item_ix)[known])
        return _labels(values[~values.index.duplicated(keep="last")], pairs.user_ix * width + pairs.item_ix)


def by_scene(log: EventLog, taken: Sequence[str] = (ORDER, CLICK)) -> ByEvent:
    """By the scene of the room in which an item was taken; what was taken outside of rooms is *unknown*.

    Args:
        log: what the pairs come from.
        taken: names of the events that take an item.
    """
    events = log.events.filter(log.events[EVENT].isin(list(taken))).order_by(TS, EVENT_ID)
    frame = log.engine.frame(events.select(USER_ID, ITEM_ID, ROOM_ID))
    scene = log.engine.frame(log.rooms.select(ROOM_ID, SCENE)).set_index(ROOM_ID)[SCENE]
    return ByEvent(frame.assign(**{SCENE: frame[ROOM_ID].map(scene)}), SCENE)


@dataclass(frozen=True, eq=False)
class UserWarmth:
    """By how warm users are: *hot* with events in train, *warm* with features only, *cold* with neither.

    Args:
        described: ids of users of whom anything else is known.
    """

    described: pd.Index = field(default_factory=lambda: pd.Index([]))
    name: str = "by warmth of the user"

    def __call__(self, pairs: Pairs) -> npt.NDArray[Any]:
        """[n] hot, warm or cold."""
        users = pairs.train.users
        label = warmth(np.diff(pairs.train.indptr), pd.Index(users.ids).isin(self.described))
        return label[pairs.user_ix]


@dataclass(frozen=True)
class ItemWarmth:
    """By how warm items are: *hot* with events in train, *warm* with a row in the catalogue only, *cold* with neither."""

    name: str = "by warmth of the item"

    def __call__(self, pairs: Pairs) -> npt.NDArray[Any]:
        """[n] hot, warm or cold."""
        items, table = pairs.train.items, pairs.train.item_table
        described = np.zeros(len(items), dtype=np.bool_)
        if table is not None:
            described = table.drop(columns=ITEM_ID, errors="ignore").notna().any(axis=1).to_numpy()
        return warmth(np.bincount(pairs.train.item_ix, minlength=len(items)), described)[pairs.item_ix]


def _labels(values: pd.Series[Any], ids: Any) -> npt.NDArray[Any]:
    """[n] the value at each id as text, *unknown* where there is none."""
    if values.index.has_duplicates:
        twice = int(values.index.duplicated().sum())
        raise EvaluationError(f"segment '{values.name}': {twice} ids stand twice in its index. Keep one row for each.")
    found = values.astype(object).reindex(pd.Index(ids))
    return np.asarray(found.where(found.notna(), UNKNOWN).astype(str), dtype=str)
