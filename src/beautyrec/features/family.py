"""The features that models of click and order start from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from beautyrec.data.log import EventLog
from beautyrec.data.schema import HOST, PRICE, SCENE
from beautyrec.errors import ConfigError, DataError
from beautyrec.features.buyers import UserOrders, UserPriceBandAffinity, UserWithItem
from beautyrec.features.context import Host, Hour, Position, RoomMinute, Scene, Weekday
from beautyrec.features.feature_set import FeatureSet
from beautyrec.features.feedback import ItemAge, ItemRarity, ItemRating
from beautyrec.features.items import (
    HeatTrend,
    ItemHeat,
    PriceInCategory,
    SmoothedCTR,
    SmoothedCVR,
    SmoothedReturnRate,
)
from beautyrec.features.prices import DiscountDepth, Margin, PriceAgainstPast
from beautyrec.features.shelf import ShelfSize, StockCover
from beautyrec.features.users import UserBrandAffinity, UserCategoryAffinity, UserRecency


def first_family(scenes: Sequence[str], utc_offset: int = 0) -> FeatureSet:
    """Heat and its trend, smoothed rates, price, recency, affinities, hour, scene, position.

    Args:
        scenes: the kinds of rooms, in an order that is kept; see :func:`scenes_of`.
        utc_offset: hours that the shop's clock is ahead of UTC.

    Examples:
        >>> first_family(["evening", "launch"]).names[:4]
        ('item_heat_1d', 'item_heat_7d', 'item_heat_30d', 'item_heat_trend')
    """
    return FeatureSet(
        (
            ItemHeat(),
            HeatTrend(),
            SmoothedCTR(),
            SmoothedCVR(),
            PriceInCategory(),
            UserRecency(),
            UserCategoryAffinity(),
            UserBrandAffinity(),
            Hour(utc_offset),
            Scene(tuple(scenes)),
            Position(),
        )
    )


def scenes_of(log: EventLog) -> tuple[str, ...]:
    """The kinds of rooms in a log, sorted."""
    return tuple(sorted(log.engine.frame(log.rooms.select(SCENE).distinct())[SCENE]))


def full_family(
    scenes: Sequence[str], hosts: Sequence[str], price_edges: Sequence[float], utc_offset: int = 0
) -> FeatureSet:
    """:func:`first_family` and all that it leaves out: every builder that needs no source beside the log.

    Args:
        scenes: the kinds of rooms, in an order that is kept; see :func:`scenes_of`.
        hosts: the hosts, in an order that is kept; see :func:`hosts_of`.
        price_edges: prices that part the bands, rising; see :func:`price_edges_of`.
        utc_offset: hours that the shop's clock is ahead of UTC.

    Examples:
        >>> full_family(["evening"], ["Lin"], [5.0, 20.0]).names[-3:]
        ('host', 'weekday', 'room_minute')
    """
    return FeatureSet(
        (
            *first_family(scenes, utc_offset).builders,
            SmoothedReturnRate(),
            PriceAgainstPast(),
            DiscountDepth(),
            Margin(),
            StockCover(),
            ShelfSize(),
            ItemRating(),
            ItemAge(),
            ItemRarity(),
            UserOrders(),
            UserPriceBandAffinity(tuple(price_edges)),
            UserWithItem(),
            Host(tuple(hosts)),
            Weekday(utc_offset),
            RoomMinute(),
        )
    )


def hosts_of(log: EventLog) -> tuple[str, ...]:
    """The hosts of the rooms in a log, sorted."""
    return tuple(sorted(log.engine.frame(log.rooms.select(HOST).distinct())[HOST]))


def price_edges_of(log: EventLog, bands: int) -> tuple[float, ...]:
    """The list prices that cut the catalogue into bands of about as many products; fewer where prices are few.

    Raises:
        ConfigError: ``bands`` is below 2.
        DataError: no product has a price.
    """
    if bands < 2:
        raise ConfigError(f"price_edges_of: bands is {bands}; give at least 2.")
    items = log.engine.frame(log.items.select(PRICE))[PRICE]
    prices = items.dropna()
    if prices.empty:
        raise DataError(
            f"price_edges_of: 0 of {len(items)} products have a price. Give the edges, or leave the bands out."
        )
    return tuple(float(edge) for edge in prices.quantile(np.arange(1, bands) / bands).unique())
