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


def full_family(log: EventLog, utc_offset: int = 0, bands: int = 5) -> FeatureSet:
    """Every builder of the package that needs no source beside the log: :func:`first_family`, and what it leaves out.

    What has to be declared is taken from ``log`` once: scenes, hosts, and the edges of price bands. Keep the set, or its
    builders, with the model: made again from another log it may be another.

    Args:
        log: the log that the set is made for.
        utc_offset: hours that the shop's clock is ahead of UTC.
        bands: how many price bands, cut at quantiles of the list prices; fewer where prices are few.

    Raises:
        DataError: the log has no rooms.
    """
    scenes, hosts, edges = scenes_of(log), hosts_of(log), price_edges_of(log, bands)
    if not scenes:
        raise DataError("full_family: the log has 0 rooms. Give it the table 'rooms', or compose a FeatureSet without.")
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
            *((UserPriceBandAffinity(edges),) if edges else ()),
            UserWithItem(),
            Host(hosts),
            Weekday(utc_offset),
            RoomMinute(),
        )
    )


def hosts_of(log: EventLog) -> tuple[str, ...]:
    """The hosts of the rooms in a log, sorted."""
    return tuple(sorted(log.engine.frame(log.rooms.select(HOST).distinct())[HOST]))


def price_edges_of(log: EventLog, bands: int) -> tuple[float, ...]:
    """The list prices that cut the catalogue into bands of about as many products; none where it has no prices.

    Raises:
        ConfigError: ``bands`` is below 2.
    """
    if bands < 2:
        raise ConfigError(f"price_edges_of: bands is {bands}; give at least 2.")
    prices = log.engine.frame(log.items.select(PRICE))[PRICE].dropna()
    edges = prices.quantile(np.arange(1, bands) / bands).unique() if len(prices) else []
    return tuple(float(edge) for edge in edges)
