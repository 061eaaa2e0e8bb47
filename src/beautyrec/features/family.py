"""The features that models of click and order start from."""

from __future__ import annotations

from collections.abc import Sequence

from beautyrec.data.log import EventLog
from beautyrec.data.schema import SCENE
from beautyrec.features.context import Hour, Position, Scene
from beautyrec.features.feature_set import FeatureSet
from beautyrec.features.items import HeatTrend, ItemHeat, PriceInCategory, SmoothedCTR, SmoothedCVR
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
