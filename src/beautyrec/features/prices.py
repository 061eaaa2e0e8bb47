"""Features of what a product costs: against its own past, against its list price, against what it cost the shop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from beautyrec.data.log import EventLog
from beautyrec.data.schema import COST, ITEM_ID, ORDER, ROOM_ID
from beautyrec.errors import ConfigError
from beautyrec.features.amounts import PARTS, Sum, paid, with_price
from beautyrec.features.builder import Asked, Feature, Looked, Need
from beautyrec.features.counts import window_of
from beautyrec.features.items import price_now, prices


@dataclass(frozen=True)
class PriceAgainstPast:
    """Whether a product is dearer or cheaper than it was sold of late.

    ``price_against_past = log(price / mean price of its orders known in the window)``: the price on the room's shelf,
    else the list price; 0 is as before, -0.69 half the price. Orders without a price above 0 do not count. Prices are
    taken to four decimals.

    Args:
        days: length of the window.
    """

    days: int = 90
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.days < 1:
            raise ConfigError(f"PriceAgainstPast: days is {self.days}; give at least 1 day.")

    @property
    def entity(self) -> tuple[str, ...]:
        """The room and the product."""
        return (ROOM_ID, ITEM_ID)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One log ratio."""
        missing = "the product has no price above 0 now, or was not sold at one in the window"
        return (Feature("price_against_past", "log ratio", window_of(self.days), missing),)

    def needs(self, log: EventLog) -> Mapping[str, Need]:
        """The price, and those of the orders of the product."""
        amounts = {"paid": Sum((ORDER,), paid), "n": Sum((ORDER,), with_price)}
        return {**prices(log), **{name: Asked(amount, (ITEM_ID,), self.days) for name, amount in amounts.items()}}

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """Log ratio of the price and a mean of earlier ones."""
        mean = known["paid"] / known["n"].nullif(0) / PARTS
        return {"price_against_past": (price_now(known) / mean).ln()}


@dataclass(frozen=True)
class DiscountDepth:
    """How much of the list price the room takes off.

    ``discount_depth = 1 - price on the room's shelf / list price``: 0.3 for 30 % off, 0 where the shelf has no price of
    its own, below 0 where the room is dearer. It reads the catalogue and the shelves, no events.
    """

    version: ClassVar[int] = 1

    @property
    def entity(self) -> tuple[str, ...]:
        """The room and the product."""
        return (ROOM_ID, ITEM_ID)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One share."""
        missing = "the product has no list price above 0"
        return (Feature("discount_depth", "share of the list price", "the catalogue, the room's shelf", missing),)

    def needs(self, log: EventLog) -> Mapping[str, Need]:
        """Both prices."""
        return prices(log)

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """One less the ratio of two prices."""
        return {"discount_depth": 1 - price_now(known) / known["list_price"]}


@dataclass(frozen=True)
class Margin:
    """What is left of the price after what the product cost the shop.

    ``margin = (price - cost) / price``: the price on the room's shelf, else the list price. It reads the catalogue and
    the shelves, no events.
    """

    version: ClassVar[int] = 1

    @property
    def entity(self) -> tuple[str, ...]:
        """The room and the product."""
        return (ROOM_ID, ITEM_ID)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One share."""
        missing = "the product has no price above 0, or its cost is not known"
        return (Feature("margin", "share of the price", "the catalogue, the room's shelf", missing),)

    def needs(self, log: EventLog) -> Mapping[str, Need]:
        """The price and the cost."""
        return {**prices(log), "cost": Looked(log.items, (ITEM_ID,), COST)}

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """The part of the price above the cost."""
        return {"margin": 1 - known["cost"] / price_now(known)}
