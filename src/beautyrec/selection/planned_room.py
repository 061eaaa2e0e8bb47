"""A room that is only planned: what its products will cost, as rooms of its kind usually ask, and a log in which it stands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from beautyrec.data.log import EventLog
from beautyrec.data.schema import (
    DRAW_PROBABILITY,
    ENDS_AT,
    HOST,
    ITEM_ID,
    PRICE,
    ROOM_ID,
    SCENE,
    STARTS_AT,
    STOCK,
)
from beautyrec.data.times import utc
from beautyrec.errors import ConfigError

_STRENGTH = 5.0
_CENT = 0.01


def usual_prices(log: EventLog, as_of: pd.Timestamp, scene: str, *, days: int = 30) -> pd.DataFrame:
    """What each product of the catalogue may be expected to cost in a room of a kind.

    The list price less what rooms of the scene took off: of ``n`` of them with the product on the shelf the mean discount ``x``,
    drawn to the mean ``m`` of all products there: ``(n x + 5 m) / (n + 5)``. A line-up that is planned at list prices and sold
    at a discount promises margins that nobody gets, and expects fewer orders than come.

    Args:
        log: rooms, shelves, catalogue; nothing from ``as_of`` on is looked at.
        as_of: the moment, with a zone.
        scene: the kind of room.
        days: how long ago a room may be.

    Returns:
        ``item_id, list_price, discount, price``; a product without a list price has gaps.

    Raises:
        ConfigError: no room of the scene with prices on its shelf began in these days; says which were held.
    """
    frame, end = log.engine.frame, utc(as_of)
    held = log.rooms.filter((log.rooms[STARTS_AT] < end) & (log.rooms[STARTS_AT] >= end - pd.Timedelta(days=days)))
    rooms = frame(held.select(ROOM_ID, SCENE))
    items = frame(log.items.select(ITEM_ID, PRICE).order_by(ITEM_ID)).rename(columns={PRICE: "list_price"})
    shelves = frame(log.shelves.select(ROOM_ID, ITEM_ID, PRICE)).merge(rooms[rooms[SCENE] == scene], on=ROOM_ID)
    rows = shelves.merge(items[items["list_price"] > 0], on=ITEM_ID).dropna(subset=[PRICE])
    if rows.empty:
        others = ", ".join(sorted(rooms[SCENE].unique())) or "none"
        raise ConfigError(
            f"usual prices: no room of scene '{scene}' with prices began in the {days} days before {as_of}; held were: "
            f"{others}. Name one of these, or leave the scene out."
        )
    taken = (1 - rows[PRICE] / rows["list_price"]).groupby(rows[ITEM_ID])
    n, mean = items[ITEM_ID].map(taken.size()).fillna(0), items[ITEM_ID].map(taken.mean()).fillna(0.0)
    everywhere = float((1 - rows[PRICE] / rows["list_price"]).mean())
    discount = ((n * mean + _STRENGTH * everywhere) / (n + _STRENGTH)).where(items["list_price"] > 0)
    price = (items["list_price"] * (1 - discount)).round(2).clip(lower=_CENT)
    return items.assign(discount=discount, price=price)


def at_prices(products: pd.DataFrame, prices: pd.DataFrame) -> pd.DataFrame:
    """Products at other prices: ``price`` as given, ``margin`` (a share of it) as the same cost leaves.

    Args:
        products: ``item_id, price`` and ``margin``, a share of the price, as of
            :func:`beautyrec.selection.dimension_values.dimension_values`.
        prices: ``item_id, price``; a product that is not there, or has a gap, keeps its own.

    Examples:
        >>> shelf = pd.DataFrame({"item_id": [1, 2], "price": [10.0, 20.0], "margin": [0.4, 0.5]})
        >>> at_prices(shelf, pd.DataFrame({"item_id": [1], "price": [8.0]}))[["price", "margin"]].round(2).to_dict("list")
        {'price': [8.0, 20.0], 'margin': [0.25, 0.5]}
    """
    asked = products["item_id"].map(prices.set_index("item_id")["price"])
    price = asked.where(asked > 0, products["price"]).astype(np.float64)
    cost = products["price"] * (1 - products["margin"])
    return products.assign(price=price, margin=1 - cost / price)


def with_planned(
    log: EventLog, scene: str, starts_at: pd.Timestamp, prices: pd.DataFrame, *, host: str = ""
) -> tuple[EventLog, int | str]:
    """The log with a planned room in it, so that features of its products are those at its prices; and the room's id.

    Args:
        log: what is known.
        scene: the kind of room.
        starts_at: when it begins, with a zone.
        prices: ``item_id, price`` of what may lie on its shelf.
        host: who holds it.
    """
    ids = log.engine.frame(log.rooms.select(ROOM_ID))[ROOM_ID]
    room: int | str = int(ids.max()) + 1 if pd.api.types.is_integer_dtype(ids) and len(ids) else "planned"
    begins = utc(starts_at)
    rooms = {ROOM_ID: [room], SCENE: [scene], HOST: [host], STARTS_AT: [begins]}
    rooms[ENDS_AT] = [begins + pd.Timedelta(hours=2)]
    n = len(prices)
    shelf = {ROOM_ID: [room] * n, ITEM_ID: prices[ITEM_ID].tolist(), PRICE: prices[PRICE].to_numpy(np.float64)}
    shelf |= {DRAW_PROBABILITY: np.full(n, 1 / max(n, 1)), STOCK: pa.nulls(n, pa.int64())}
    joined = {"rooms": _with(log, log.rooms, rooms), "shelves": _with(log, log.shelves, shelf)}
    return replace(log, **joined), room


def _with(log: EventLog, table: Any, rows: dict[str, Any]) -> Any:
    """The table with more rows; columns that these do not have are left out."""
    kept = table.select(*rows)
    return kept.union(log.engine.table(pa.table(rows)).cast(kept.schema()))
