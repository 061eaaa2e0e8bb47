"""Features of a product: how it has gone lately, and its price."""

from __future__ import annotations

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
    ROOM_ID,
)
from beautyrec.errors import ConfigError
from beautyrec.features.builder import ROW, Feature
from beautyrec.features.counts import counted, smoothed_rate, window_of
from beautyrec.features.history import Past, attach

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

    def expr(self, log: EventLog, keys: Any) -> Any:
        """Counts of actions by product."""
        events = counted(log, {"item_heat": ACTIONS})
        windows = {f"{days}d": days for days in self.days}
        known = attach(keys, Past.of(events, keys, windows).known([ITEM_ID], ["item_heat"]), [ITEM_ID])
        return known.select(ROW, *(feature.name for feature in self.features))


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

    def expr(self, log: EventLog, keys: Any) -> Any:
        """Log ratio of two counts by product."""
        events = counted(log, {"heat": ACTIONS})
        windows = {"short": self.short, "long": self.long}
        known = attach(keys, Past.of(events, keys, windows).known([ITEM_ID], ["heat"]), [ITEM_ID])
        expected = 1 + known["heat_long"] * (self.short / self.long)
        return known.select(ROW, item_heat_trend=((1 + known["heat_short"]) / expected).ln())


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

    def expr(self, log: EventLog, keys: Any) -> Any:
        """Smoothed clicks per impression."""
        events = counted(log, {"successes": [CLICK], "trials": [IMPRESSION]}, rooms=True)
        rate = smoothed_rate(log, events, keys, self.days, (self.strength, self.category_strength))
        return rate.select(ROW, item_ctr=rate["rate"])


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

    def expr(self, log: EventLog, keys: Any) -> Any:
        """Smoothed orders per click."""
        events = counted(log, {"successes": [ORDER], "trials": [CLICK]}, rooms=True)
        rate = smoothed_rate(log, events, keys, self.days, (self.strength, self.category_strength))
        return rate.select(ROW, item_cvr=rate["rate"])


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

    def expr(self, log: EventLog, keys: Any) -> Any:
        """Smoothed returns per order."""
        events = counted(log, {"successes": ["return"], "trials": [ORDER]})
        rate = smoothed_rate(log, events, keys, self.days, (self.strength, self.category_strength))
        return rate.select(ROW, item_return_rate=rate["rate"])


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

    def expr(self, log: EventLog, keys: Any) -> Any:
        """Log ratio of two prices."""
        items = log.items.select(ITEM_ID, CATEGORY, list_price=log.items[PRICE].nullif(0))
        medians = items.group_by(CATEGORY).aggregate(median=items["list_price"].median()).rename(of=CATEGORY)
        shelves = log.shelves.select(ROOM_ID, ITEM_ID, shelf_price=log.shelves[PRICE].nullif(0))
        prices = items.select(ITEM_ID, "list_price")
        joined = keys.left_join(prices, ITEM_ID, rname="list_{name}").left_join(
            shelves, [ROOM_ID, ITEM_ID], rname="shelf_{name}"
        )
        joined = joined.left_join(medians, joined[CATEGORY].identical_to(medians["of"]))
        price = joined["shelf_price"].coalesce(joined["list_price"])
        return joined.select(ROW, price_in_category=(price / joined["median"]).ln())
