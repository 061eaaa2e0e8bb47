"""Features of a product: how it has gone lately, and its price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from beautyrec.data.log import EventLog
from beautyrec.data.schema import (
    CATEGORY,
    CLICK,
    IMPRESSION,
    ITEM_ID,
    ORDER,
    PRICE,
    RETURN,
    ROOM_ID,
)
from beautyrec.errors import ConfigError
from beautyrec.features.amounts import Sum
from beautyrec.features.builder import Asked, Feature, Looked, Need
from beautyrec.features.counts import asked_of_rate, smoothed_rate, window_of

ACTIONS = (CLICK, "cart", "favourite", ORDER)
"""What a viewer does of his own will, and so counts as heat."""


@dataclass(frozen=True)
class ItemHeat:
    """How often a product was clicked, put in a cart, marked as favourite or ordered lately.

    ``item_heat_{d}d`` is the count of such events known in the ``d`` days before ``as_of``, one column for each ``d``.

    Args:
        days: lengths of the windows.
    """

    days: tuple[int, ...] = (1, 7, 30)
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not self.days or min(self.days) < 1:
            raise ConfigError(f"ItemHeat: days is {self.days}; give lengths of at least 1 day.")

    @property
    def entity(self) -> tuple[str, ...]:
        """The product."""
        return (ITEM_ID,)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One count a window."""
        return tuple(Feature(f"item_heat_{days}d", "events", window_of(days)) for days in self.days)

    def needs(self, log: EventLog) -> Mapping[str, Need]:  # noqa: ARG002
        """Actions by product in each window."""
        heat = Sum(ACTIONS)
        return {f"item_heat_{days}d": Asked(heat, (ITEM_ID,), days) for days in self.days}

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """The counts."""
        return {feature.name: known[feature.name] for feature in self.features}


@dataclass(frozen=True)
class HeatTrend:
    """Whether a product is heating up or cooling down.

    ``item_heat_trend = log((1 + heat in the short window) / (1 + heat in the long one * short / long))``: 0 where the
    last days are like the ones before, or nothing happened; 0.69 where they are twice as hot.

    Args:
        short: days of the short window.
        long: days of the long window, which contains the short one.
    """

    short: int = 3
    long: int = 21
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 1 <= self.short < self.long:
            raise ConfigError(f"HeatTrend: windows are {self.short} and {self.long} days; give 1 <= short < long.")

    @property
    def entity(self) -> tuple[str, ...]:
        """The product."""
        return (ITEM_ID,)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One log ratio."""
        return (Feature("item_heat_trend", "log ratio", f"{window_of(self.short)}, against {window_of(self.long)}"),)

    def needs(self, log: EventLog) -> Mapping[str, Need]:  # noqa: ARG002
        """Actions by product in both windows."""
        heat = Sum(ACTIONS)
        return {"short": Asked(heat, (ITEM_ID,), self.short), "long": Asked(heat, (ITEM_ID,), self.long)}

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """Log ratio of two counts."""
        expected = 1 + known["long"] * (self.short / self.long)
        return {"item_heat_trend": ((1 + known["short"]) / expected).ln()}


@dataclass(frozen=True)
class SmoothedCTR:
    """Clicks per impression of a product in live rooms, drawn towards its category and that towards the whole shop.

    With impressions ``n``, clicks ``c`` and Beta priors of means ``m`` and fixed strengths ``s``, the posterior mean is
    ``(c + s m) / (n + s)``: of the shop for the category, of the category for the product (Gelman et al. 2013,
    *Bayesian Data Analysis*, 3rd ed., ch. 5). Where more clicks than impressions are known, impressions count as many.

    Args:
        days: length of the window.
        strength: impressions that the category's rate is worth for a product.
        category_strength: impressions that the shop's rate is worth for a category.
    """

    days: int = 30
    strength: float = 300.0
    category_strength: float = 1000.0
    version: ClassVar[int] = 1

    @property
    def entity(self) -> tuple[str, ...]:
        """The product, and its category."""
        return (ITEM_ID, CATEGORY)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One rate."""
        missing = "nothing was shown in any room in the window"
        return (Feature("item_ctr", "clicks / impression", window_of(self.days), missing),)

    def needs(self, log: EventLog) -> Mapping[str, Need]:  # noqa: ARG002
        """Clicks and impressions in live rooms."""
        return asked_of_rate(Sum((CLICK,), rooms=True), Sum((IMPRESSION,), rooms=True), self.days)

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """The smoothed rate."""
        return {"item_ctr": smoothed_rate(known, (self.strength, self.category_strength))}


@dataclass(frozen=True)
class SmoothedCVR:
    """Orders per click of a product in live rooms, drawn towards its category and that towards the whole shop.

    As :class:`SmoothedCTR`, of orders on clicks.

    Args:
        days: length of the window.
        strength: clicks that the category's rate is worth for a product.
        category_strength: clicks that the shop's rate is worth for a category.
    """

    days: int = 30
    strength: float = 30.0
    category_strength: float = 100.0
    version: ClassVar[int] = 1

    @property
    def entity(self) -> tuple[str, ...]:
        """The product, and its category."""
        return (ITEM_ID, CATEGORY)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One rate."""
        missing = "nothing was clicked or ordered in any room in the window"
        return (Feature("item_cvr", "orders / click", window_of(self.days), missing),)

    def needs(self, log: EventLog) -> Mapping[str, Need]:  # noqa: ARG002
        """Orders and clicks in live rooms."""
        return asked_of_rate(Sum((ORDER,), rooms=True), Sum((CLICK,), rooms=True), self.days)

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """The smoothed rate."""
        return {"item_cvr": smoothed_rate(known, (self.strength, self.category_strength))}


@dataclass(frozen=True)
class SmoothedReturnRate:
    """Returns per order of a product, drawn towards its category and that towards the whole shop.

    As :class:`SmoothedCTR`, of returns on orders, wherever they happened. A return counts when it becomes known, so its
    order may lie before the window.

    Args:
        days: length of the window.
        strength: orders that the category's rate is worth for a product.
        category_strength: orders that the shop's rate is worth for a category.
    """

    days: int = 90
    strength: float = 30.0
    category_strength: float = 100.0
    version: ClassVar[int] = 1

    @property
    def entity(self) -> tuple[str, ...]:
        """The product, and its category."""
        return (ITEM_ID, CATEGORY)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One rate."""
        missing = "nothing was ordered or returned in the window"
        return (Feature("item_return_rate", "returns / order", window_of(self.days), missing),)

    def needs(self, log: EventLog) -> Mapping[str, Need]:  # noqa: ARG002
        """Returns and orders."""
        return asked_of_rate(Sum((RETURN,)), Sum((ORDER,)), self.days)

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """The smoothed rate."""
        return {"item_return_rate": smoothed_rate(known, (self.strength, self.category_strength))}


@dataclass(frozen=True)
class PriceInCategory:
    """Whether a product is dear or cheap for what it is.

    ``price_in_category = log(price / median list price of the category)``: the price on the room's shelf, else the list
    price; 0 is the middle, 0.69 twice as dear. Products without a category are compared among themselves. It reads the
    catalogue and the shelves, no events.
    """

    version: ClassVar[int] = 1

    @property
    def entity(self) -> tuple[str, ...]:
        """The room and the product."""
        return (ROOM_ID, ITEM_ID, CATEGORY)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One log ratio."""
        missing = "the product or its category has no price above 0"
        return (Feature("price_in_category", "log ratio", "the catalogue, the room's shelf", missing),)

    def needs(self, log: EventLog) -> Mapping[str, Need]:
        """List price and that of the shelf, and the median of the category."""
        items = log.items.mutate(list_price=log.items[PRICE].nullif(0))
        medians = items.group_by(CATEGORY).aggregate(median=items["list_price"].median())
        return {**prices(log), "median": Looked(medians, (CATEGORY,), "median")}

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """Log ratio of two prices."""
        return {"price_in_category": (price_now(known) / known["median"]).ln()}


def prices(log: EventLog) -> dict[str, Need]:
    """What :func:`price_now` needs; prices of 0 are gaps."""
    items = log.items.select(ITEM_ID, list_price=log.items[PRICE].nullif(0))
    shelves = log.shelves.select(ROOM_ID, ITEM_ID, shelf_price=log.shelves[PRICE].nullif(0))
    return {
        "list_price": Looked(items, (ITEM_ID,), "list_price"),
        "shelf_price": Looked(shelves, (ROOM_ID, ITEM_ID), "shelf_price"),
    }


def price_now(known: Mapping[str, Any]) -> Any:
    """The price on the room's shelf, else the list price."""
    return known["shelf_price"].coalesce(known["list_price"])
