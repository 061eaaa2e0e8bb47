"""The simulated month, and the real purchases before it, as the tables of an event log."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from beautyrec.data import schema
from beautyrec.data.slates import Shelves, Slates
from beautyrec.data.vocabulary import Vocabulary
from beautyrec.simulate.config import LEGACY, WorldConfig
from beautyrec.simulate.live import Catalogue
from beautyrec.simulate.month import SECOND_US, Month
from beautyrec.simulate.rooms import Schedule
from beautyrec.types import BoolArray, FloatArray, IntArray

_TIME = pa.timestamp("us", tz="UTC")


def purchase_events(purchases: pd.DataFrame) -> pa.Table:
    """The purchases as ``order`` events 0, 1, 2, ... in their order: no request, no room, no price, known at once."""
    ts = _times(np.asarray(purchases[schema.TS].dt.as_unit("us").astype("int64"), dtype=np.int64))
    return pa.table(
        {
            schema.EVENT_ID: pa.array(np.arange(len(purchases))),
            schema.EVENT: _words(schema.ORDER, len(purchases)),
            schema.TS: ts,
            schema.AVAILABLE_AT: ts,
            schema.USER_ID: _ids(purchases[schema.USER_ID].to_numpy()),
            schema.ITEM_ID: _ids(purchases[schema.ITEM_ID].to_numpy()),
            schema.QUANTITY: pa.array(np.ones(len(purchases), dtype=np.int64)),
        }
    )


def month_events(
    month: Month, users: Vocabulary, catalogue: Catalogue, price: FloatArray, first_id: int, seed: int
) -> pa.Table:
    """The month's impressions, clicks and orders in the order of time, ids from ``first_id`` on.

    An impression is known at once, a click seconds after it; an order minutes after it, one in ten only hours later.
    """
    row, column, kind, ts, known = _happened(month, np.random.default_rng([seed, 31]))
    live, room = month.live[row, column], month.places.row[row]
    names = pa.array([schema.IMPRESSION, schema.CLICK, schema.ORDER])
    return pa.table(
        {
            schema.EVENT_ID: pa.array(first_id + np.arange(len(row))),
            schema.EVENT: names.take(pa.array(kind)),
            schema.TS: _times(ts),
            schema.AVAILABLE_AT: _times(known),
            schema.USER_ID: _ids(users.ids_at(month.places.user_ix[row])),
            schema.ITEM_ID: _ids(catalogue.live.ids_at(live)),
            schema.REQUEST_ID: pa.array(row + 1),
            schema.ROOM_ID: pa.array(room + 1),
            schema.POSITION: pa.array(column + 1),
            schema.PROPENSITY: pa.array(month.propensity[row, column]),
            schema.SLATE_PROPENSITY: pa.array(month.slate_propensity[row]),
            schema.POLICY: _words(LEGACY, len(row)),
            schema.PRICE: pa.array(price[room, live]),
            schema.QUANTITY: pa.array(np.ones(len(row), dtype=np.int64), mask=kind != 2),
        }
    )


def rooms_table(schedule: Schedule, config: WorldConfig) -> pd.DataFrame:
    """The ``rooms`` of the log."""
    return pd.DataFrame(
        {
            schema.ROOM_ID: schedule.rooms.ids,
            schema.SCENE: np.array([scene.name for scene in config.scenes], dtype=object)[schedule.scene],
            schema.HOST: np.array(host_names(config), dtype=object)[schedule.host],
            schema.STARTS_AT: pd.to_datetime(schedule.start, unit="us", utc=True),
            schema.ENDS_AT: pd.to_datetime(schedule.end, unit="us", utc=True),
        }
    )


def host_names(config: WorldConfig) -> list[str]:
    """Names of the hosts."""
    return [f"host_{number}" for number in range(1, config.hosts + 1)]


def shelves_table(month: Month, schedule: Schedule, catalogue: Catalogue) -> pd.DataFrame:
    """The ``shelves`` of the log, room by room, products in the order of the shelf."""
    room, column = np.nonzero(month.shelf >= 0)
    live = month.shelf[room, column]
    return pd.DataFrame(
        {
            schema.ROOM_ID: schedule.rooms.ids_at(room),
            schema.ITEM_ID: catalogue.live.ids_at(live),
            schema.DRAW_PROBABILITY: month.draw[room, column],
            schema.PRICE: schedule.price[room, live],
            schema.STOCK: month.stock[room, column],
        }
    )


def month_slates(month: Month, users: Vocabulary, catalogue: Catalogue, schedule: Schedule) -> Slates:
    """The month's requests as the log gives them, without the way through its tables."""
    index = np.append(catalogue.items.indices(catalogue.live.ids), -1)
    there = month.live >= 0
    price = schedule.price[month.places.row[:, None], month.live]
    return Slates(
        shelves=Shelves(schedule.rooms, catalogue.items, index[month.shelf], month.draw),
        request_id=np.arange(1, len(month.ts) + 1),
        user_id=users.ids_at(month.places.user_ix),
        room_ix=month.places.row,
        ts=month.ts,
        shown=month.shown,
        clicked=month.clicked,
        ordered=month.ordered,
        revenue=np.where(month.ordered, price, 0.0),
        propensity=np.where(there, month.propensity, np.nan),
    )


def _happened(month: Month, rng: np.random.Generator) -> tuple[IntArray, ...]:
    """Request, column, kind (0 impression, 1 click, 2 order), time and time known of each event, in the order of time."""
    there = month.live >= 0
    late = np.where(rng.random(there.shape) < 0.1, 60.0, 1.0)  # one order in ten comes by a nightly file
    click_known = month.click_at + _seconds(3, 0.8, there.shape, rng)
    order_known = month.order_at + np.minimum(_seconds(90, 1.0, there.shape, rng) * late, 12 * 3600 * SECOND_US).astype(
        np.int64
    )
    shown_at = np.broadcast_to(month.ts[:, None], there.shape)
    parts = [
        _part(there, shown_at, shown_at),
        _part(month.clicked, month.click_at, click_known),
        _part(month.ordered, month.order_at, order_known),
    ]
    row, column = (np.concatenate([part[name] for part in parts]) for name in ("row", "column"))
    ts, known = (np.concatenate([part[name] for part in parts]) for name in ("ts", "known"))
    kind = np.repeat(np.arange(3), [len(part["row"]) for part in parts])
    order = np.lexsort((column, row, kind, ts))
    return tuple(values[order] for values in (row, column, kind, ts, known))


def _part(where: BoolArray, ts: IntArray, known: IntArray) -> dict[str, IntArray]:
    """Rows, columns and times of one kind of event."""
    row, column = np.nonzero(where)
    return {"row": row, "column": column, "ts": ts[row, column], "known": known[row, column]}


def _seconds(usual: float, spread: float, shape: tuple[int, ...], rng: np.random.Generator) -> IntArray:
    """Log-normal times around ``usual`` seconds, in microseconds."""
    return (usual * rng.lognormal(0, spread, shape) * SECOND_US).astype(np.int64)


def _times(us: IntArray) -> pa.Array:
    return pa.array(us).cast(_TIME)


def _ids(ids: npt.NDArray[Any]) -> pa.Array:
    """Ids as Arrow: 64-bit integers or strings."""
    array = pa.array(ids)
    return array.cast(pa.int64()) if pa.types.is_integer(array.type) else array


def _words(word: str, count: int) -> pa.Array:
    """``word``, ``count`` times."""
    return pa.repeat(pa.scalar(word), count)
