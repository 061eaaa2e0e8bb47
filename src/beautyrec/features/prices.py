"""Features of what a product costs: against its own past, against its list price, against what it cost the shop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from beautyrec.data.log import EventLog
from beautyrec.data.schema import AVAILABLE_AT, COST, EVENT, ITEM_ID, ORDER, PRICE, ROOM_ID
from beautyrec.errors import ConfigError
from beautyrec.features.builder import ROW, Feature
from beautyrec.features.counts import PARTS, parts, window_of
from beautyrec.features.history import Past, attach


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

    def expr(self, log: EventLog, keys: Any) -> Any:
        """Log ratio of the price and a mean of earlier ones."""
        import ibis

        events = log.events.filter((log.events[EVENT] == ORDER) & (parts(log.events[PRICE]) > 0))
        events = events.select(ITEM_ID, AVAILABLE_AT, paid=parts(events[PRICE]), n=ibis.literal(1, "int64"))
        sums = Past.of(events, keys, {"known": self.days}).known([ITEM_ID], ["paid", "n"])
        known = attach(priced(log, keys), sums, [ITEM_ID])
        mean = known["paid_known"] / known["n_known"].nullif(0) / PARTS
        return known.select(ROW, price_against_past=(known["price_now"] / mean).ln())


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

    def expr(self, log: EventLog, keys: Any) -> Any:
        """One less the ratio of two prices."""
        known = priced(log, keys)
        return known.select(ROW, discount_depth=1 - known["price_now"] / known["list_price"])


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

    def expr(self, log: EventLog, keys: Any) -> Any:
        """The part of the price above the cost."""
        known = priced(log, keys)
        return known.select(ROW, margin=1 - known["cost"] / known["price_now"])


def priced(log: EventLog, keys: Any) -> Any:
    """``keys`` (Ibis table with ``room_id, item_id``) with ``list_price, cost, price_now``; prices of 0 are gaps."""
    items = log.items.select(ITEM_ID, COST, list_price=log.items[PRICE].nullif(0))
    shelves = log.shelves.select(ROOM_ID, ITEM_ID, shelf_price=log.shelves[PRICE].nullif(0))
    joined = keys.left_join(items, ITEM_ID, rname="list_{name}")
    joined = joined.left_join(shelves, [ROOM_ID, ITEM_ID], rname="shelf_{name}")
    kept = joined.select(*keys.columns, "list_price", COST, "shelf_price")
    return kept.mutate(price_now=kept["shelf_price"].coalesce(kept["list_price"])).drop("shelf_price")
