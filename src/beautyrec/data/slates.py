"""Requests as arrays: what was on the shelf, what was shown of it at which position, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.data.schema import (
    CLICKED,
    DRAW_PROBABILITY,
    EVENT_ID,
    ITEM_ID,
    ORDERED,
    POSITION,
    PROPENSITY,
    REQUEST_ID,
    REVENUE,
    ROOM_ID,
    TS,
    USER_ID,
)
from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import SchemaError
from beautyrec.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Shelves:
    """What could be shown in each room: R rooms, C products on the widest shelf.

    Args:
        rooms: the rooms, R of them.
        items: the catalogue.
        item_ix: [R, C] index of the item in the catalogue, -1 where the shelf is narrower than C.
        draw_probability: [R, C] the logging policy's chance to draw the product first, 0 beyond the shelf. A row sums
            to 1, or is all NaN on the shelf where the log does not have it.

    Examples:
        >>> frame = pd.DataFrame({"room_id": ["r", "r", "q"], "item_id": [1, 2, 2], "draw_probability": [.3, .7, 1]})
        >>> shelves = Shelves.from_frame(frame, Vocabulary.from_ids([1, 2]))
        >>> shelves.rooms.ids.tolist(), shelves.item_ix.tolist(), shelves.draw_probability.tolist()
        (['q', 'r'], [[1, -1], [0, 1]], [[1.0, 0.0], [0.3, 0.7]])
    """

    rooms: Vocabulary
    items: Vocabulary
    item_ix: IntArray
    draw_probability: FloatArray

    @classmethod
    def from_frame(cls, shelves: pd.DataFrame, items: Vocabulary) -> Shelves:
        """Shelves from the table of that name; a shelf keeps the order of its rows.

        Raises:
            UnknownIdError: a product of a shelf is not in ``items``.
        """
        rooms = Vocabulary.from_ids(shelves[ROOM_ID])
        room_ix = rooms.indices(shelves[ROOM_ID])
        order = np.argsort(room_ix, kind="stable")
        row = room_ix[order]
        widths = np.bincount(row, minlength=len(rooms))
        column = np.arange(len(row)) - np.repeat(np.cumsum(widths) - widths, widths)
        shape = (len(rooms), int(widths.max(initial=0)))
        item_ix = np.full(shape, -1, np.int64)
        item_ix[row, column] = items.indices(shelves[ITEM_ID])[order]
        draw = np.zeros(shape)
        draw[row, column] = shelves[DRAW_PROBABILITY].to_numpy(np.float64)[order]
        return cls(rooms, items, item_ix, draw)

    def columns(self, room_ix: IntArray, item_ix: IntArray) -> IntArray:
        """[n] where on the shelf of a room [n] an item [n] lies, -1 where it does not."""
        width = len(self.items)
        rows, columns = np.nonzero(self.item_ix >= 0)
        keys = rows * width + self.item_ix[rows, columns]
        found = pd.Index(keys).get_indexer(pd.Index(room_ix * width + item_ix))
        on_shelf = (found >= 0) & (item_ix >= 0)
        return np.where(on_shelf, columns[found], -1).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Slates:
    """Requests in the order of time: B requests, K positions, C products on the widest shelf.

    Args:
        shelves: what could be shown.
        request_id: [B] ids of the requests.
        user_id: [B] who was shown the slate.
        room_ix: [B] index of the room in ``shelves.rooms``.
        ts: [B] when, microseconds since 1970-01-01 UTC.
        shown: [B, K] column of the product on its room's shelf, at position k + 1; -1 after a slate's end.
        clicked: [B, K] whether it was clicked; false after the end.
        ordered: [B, K] whether it was ordered; false after the end.
        revenue: [B, K] what its orders paid; 0 after the end.
        propensity: [B, K] the logging policy's chance of the product given those above it; NaN where the log does not
            have it and after the end.
    """

    shelves: Shelves
    request_id: npt.NDArray[Any]
    user_id: npt.NDArray[Any]
    room_ix: IntArray
    ts: IntArray
    shown: IntArray
    clicked: BoolArray
    ordered: BoolArray
    revenue: FloatArray
    propensity: FloatArray

    @classmethod
    def from_frame(cls, impressions: pd.DataFrame, shelves: Shelves) -> Slates:
        """Slates from impressions, as :meth:`EventLog.impressions` gives them; those without a request are left out.

        Raises:
            SchemaError: an impression of a request has no position, lies in a room without a shelf or shows a product
                that is not on it; or a request has a position twice or not at all, or has several users or rooms.
        """
        frame = impressions[impressions[REQUEST_ID].notna()]
        ids, start, row = _requests(frame)
        column = _columns(frame, row)
        room, shown = _placed(frame, shelves)
        first = np.unique(row, return_index=True)[1]
        users = pd.factorize(frame[USER_ID])[0]
        mixed = (users != users[first][row]) | (room != room[first][row])
        _refuse(frame, mixed, "have another user or room than the rest of their request", "Give each request its id.")
        shape = (len(ids), int(column.max(initial=-1)) + 1)

        def spread(values: Any, empty: Any) -> npt.NDArray[Any]:
            array = np.full(shape, empty)
            array[row, column] = values
            return array

        return cls(
            shelves,
            request_id=ids,
            user_id=frame[USER_ID].to_numpy()[first],
            room_ix=room[first],
            ts=start,
            shown=spread(shown, np.int64(-1)),
            clicked=spread(frame[CLICKED], False),
            ordered=spread(frame[ORDERED], False),
            revenue=spread(frame[REVENUE], 0.0),
            propensity=spread(frame[PROPENSITY], np.nan),
        )

    def __len__(self) -> int:
        return len(self.ts)

    def where(self, keep: BoolArray) -> Slates:
        """The requests where ``keep`` [B] is true; shelves and the number of positions stay."""
        rows = np.flatnonzero(keep)
        names = ("request_id", "user_id", "room_ix", "ts", "shown", "clicked", "ordered", "revenue", "propensity")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


def _requests(frame: pd.DataFrame) -> tuple[npt.NDArray[Any], IntArray, IntArray]:
    """Ids [B] and first times [B] of the requests in the order of time, and of each impression [n] its request."""
    request, found = pd.factorize(frame[REQUEST_ID])
    ts = np.asarray(frame[TS].dt.as_unit("us").astype("int64"), dtype=np.int64)
    start = np.full(len(found), np.iinfo(np.int64).max)
    np.minimum.at(start, request, ts)
    by_time = np.argsort(start, kind="stable")
    place = np.empty_like(by_time)
    place[by_time] = np.arange(len(found))
    return np.asarray(found)[by_time], start[by_time], place[request]


def _placed(frame: pd.DataFrame, shelves: Shelves) -> tuple[IntArray, IntArray]:
    """[n] the index of each impression's room, and [n] the column of its product on the shelf."""
    room = shelves.rooms.indices_or_missing(frame[ROOM_ID])
    _refuse(frame, room < 0, "lie in a room that has no shelf", "Add its products to the table 'shelves'.")
    shown = shelves.columns(room, shelves.items.indices_or_missing(frame[ITEM_ID]))
    _refuse(frame, shown < 0, "show a product that is not on their room's shelf", "Add it to the table 'shelves'.")
    return room, shown


def _columns(frame: pd.DataFrame, row: IntArray) -> IntArray:
    """[n] position - 1 of each impression; within a request they are 0, 1, 2, ... each once."""
    position = frame[POSITION].to_numpy(np.float64)
    _refuse(frame, np.isnan(position), "have a request but no position", "Log the position, from 1 at the top.")
    column = position.astype(np.int64) - 1
    twice = pd.DataFrame({"row": row, "column": column}).duplicated().to_numpy()
    _refuse(frame, twice, "stand at a position that their request has already", "Keep one row for each.")
    beyond = column >= np.bincount(row)[row]
    _refuse(frame, beyond, "stand below a position that is missing", "Keep requests whole, from 1 down.")
    return column


def _refuse(frame: pd.DataFrame, bad: BoolArray, what: str, remedy: str) -> None:
    """Raise a SchemaError that counts ``bad`` [n] and shows the first."""
    if bad.any():
        first = frame.iloc[int(bad.argmax())]
        raise SchemaError(
            f"slates: {int(bad.sum())} of {len(bad)} impressions {what} (first: event {first[EVENT_ID]}, request "
            f"{first[REQUEST_ID]}, room {first[ROOM_ID]}, item {first[ITEM_ID]}, position {first[POSITION]}). {remedy}"
        )
