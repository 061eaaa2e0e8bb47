"""The values of the scorecard's dimensions, as they were known at a moment."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from beautyrec.data.log import EventLog
from beautyrec.data.schema import (
    AVAILABLE_AT,
    BRAND,
    CATEGORY,
    EVENT,
    IMPRESSION,
    ITEM_ID,
    PRICE,
    ROOM_ID,
    STARTS_AT,
    STOCK,
    TITLE,
)
from beautyrec.features.builder import AS_OF
from beautyrec.features.feature_set import FeatureSet
from beautyrec.features.feedback import ItemAge, ItemRating
from beautyrec.features.items import (
    HeatTrend,
    ItemHeat,
    PriceInCategory,
    SmoothedCTR,
    SmoothedCVR,
    SmoothedReturnRate,
)
from beautyrec.features.prices import Margin
from beautyrec.features.shelf import StockCover
from beautyrec.selection.candidates import check_currency

_DAYS = 30
CURRENCY = "currency"
"""A column that a catalogue may have; where it says several currencies nothing can be compared."""


def dimension_values(log: EventLog, as_of: pd.Timestamp, pctcvr: Mapping[object, float] | None = None) -> pd.DataFrame:
    """One row a product of the catalogue: what the scorecard looks at, and what lists and line-ups show.

    Prices and stock are those of the last shelf that a product lay on before ``as_of``; the list price where it never did.

    Args:
        log: events, catalogue, rooms, shelves; nothing that became known at ``as_of`` or later is seen.
        as_of: the moment, with a zone.
        pctcvr: orders per impression by product, from a model; the smoothed rates of the last 30 days where it is None.

    Returns:
        ``item_id, title, brand, category, price, stock``; the dimensions ``heat, trend, margin, feedback, return_rate,
        price_position, stock_cover, novelty, pctcvr``; ``ctr`` and ``cvr``, which make up the last; the evidence
        ``impressions, ratings``; and ``currency`` where the catalogue has such a column.

    Raises:
        SchemaError: the catalogue's prices are in several currencies.
    """
    frame = log.engine.frame
    money = [name for name in (CURRENCY,) if name in log.items.columns]
    items = frame(log.items.select(ITEM_ID, TITLE, BRAND, CATEGORY, PRICE, *money).order_by(ITEM_ID))
    check_currency(items, "catalogue")
    table = items.merge(_last_shelves(log, as_of), on=ITEM_ID, how="left", suffixes=("", "_shelf"))
    keys = table[[ITEM_ID, ROOM_ID]].assign(**{AS_OF: as_of})
    builders = (
        ItemHeat((_DAYS,)),
        HeatTrend(),
        Margin(),
        ItemRating(),
        SmoothedReturnRate(),
        PriceInCategory(),
        StockCover(),
        ItemAge(),
        SmoothedCTR(_DAYS),
        SmoothedCVR(_DAYS),
    )
    found = FeatureSet(builders).compute(log, keys)
    events = log.events.filter(
        (log.events[EVENT] == IMPRESSION)
        & (log.events[AVAILABLE_AT] < as_of)
        & (log.events[AVAILABLE_AT] >= as_of - pd.Timedelta(days=_DAYS))
    )
    shown = frame(events.group_by(ITEM_ID).aggregate(n=events.count())).set_index(ITEM_ID)["n"]
    ctr, smoothed = found["item_ctr"], found["item_ctr"] * found["item_cvr"]
    rate = smoothed if pctcvr is None else table[ITEM_ID].map(pctcvr).astype(np.float64)
    return pd.DataFrame(
        {
            **{name: table[name] for name in (ITEM_ID, TITLE, BRAND, CATEGORY, *money)},
            PRICE: table[f"{PRICE}_shelf"].fillna(table[PRICE]),
            STOCK: table[STOCK].astype(np.float64),
            "heat": found[f"item_heat_{_DAYS}d"],
            "trend": found["item_heat_trend"],
            "margin": found["margin"],
            "feedback": found["item_rating"],
            "return_rate": found["item_return_rate"],
            "price_position": found["price_in_category"],
            "stock_cover": found["stock_cover"],
            "novelty": found["item_age"].fillna(found["item_days_seen"]),
            "pctcvr": 1000.0 * rate,
            "ctr": ctr,
            "cvr": (rate / ctr).clip(upper=1.0),
            "impressions": table[ITEM_ID].map(shown).fillna(0.0).astype(np.float64),
            "ratings": found["item_ratings"],
        }
    )


def _last_shelves(log: EventLog, as_of: pd.Timestamp) -> pd.DataFrame:
    """The last room before ``as_of`` on whose shelf each product lay: ``item_id, room_id, price, stock``."""
    frame = log.engine.frame
    rooms = frame(log.rooms.filter(log.rooms[STARTS_AT] < as_of).select(ROOM_ID, STARTS_AT))
    shelves = frame(log.shelves.select(ROOM_ID, ITEM_ID, PRICE, STOCK)).merge(rooms, on=ROOM_ID)
    shelves = shelves.sort_values(STARTS_AT, kind="stable").drop_duplicates(ITEM_ID, keep="last")
    return shelves[[ITEM_ID, ROOM_ID, PRICE, STOCK]]
