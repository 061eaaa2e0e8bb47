"""Features of the room's shelf: how long the stock lasts, how many products stand beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from beautyrec.data.log import EventLog
from beautyrec.data.schema import AVAILABLE_AT, EVENT, ITEM_ID, ORDER, QUANTITY, ROOM_ID, STOCK
from beautyrec.errors import ConfigError
from beautyrec.features.builder import ROW, Feature
from beautyrec.features.counts import window_of
from beautyrec.features.history import Past, attach


@dataclass(frozen=True)
class StockCover:
    """How many days the room's stock of a product lasts at the pace of late.

    ``stock_cover = stock / ((1 + units) / days)``, of the ``units`` whose order became known in the window; an order
    that states no quantity is one. The 1 keeps it finite where nothing was sold.

    Args:
        days: length of the window.
    """

    days: int = 14
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.days < 1:
            raise ConfigError(f"StockCover: days is {self.days}; give at least 1 day.")

    @property
    def entity(self) -> tuple[str, ...]:
        """The room and the product."""
        return (ROOM_ID, ITEM_ID)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One duration."""
        missing = "the product is not on the room's shelf, or its stock is not known"
        return (Feature("stock_cover", "days", window_of(self.days), missing),)

    def expr(self, log: EventLog, keys: Any) -> Any:
        """Stock over the units sold a day."""
        events = log.events.filter(log.events[EVENT] == ORDER)
        events = events.select(ITEM_ID, AVAILABLE_AT, units=events[QUANTITY].fill_null(1))
        sums = Past.of(events, keys, {"known": self.days}).known([ITEM_ID], ["units"])
        sold = attach(keys, sums, [ITEM_ID])
        shelves = log.shelves.select(ROOM_ID, ITEM_ID, STOCK)
        known = sold.left_join(shelves, [ROOM_ID, ITEM_ID], rname="shelf_{name}")
        return known.select(ROW, stock_cover=known[STOCK] * float(self.days) / (1 + known["units_known"]))


@dataclass(frozen=True)
class ShelfSize:
    """How many products are on the room's shelf. It reads the shelves, no events."""

    version: ClassVar[int] = 1

    @property
    def entity(self) -> tuple[str, ...]:
        """The room."""
        return (ROOM_ID,)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One count."""
        return (Feature("shelf_size", "products", "the room's shelf", "the room has no shelf"),)

    def expr(self, log: EventLog, keys: Any) -> Any:
        """Products by room."""
        sizes = log.shelves.group_by(ROOM_ID).aggregate(size=log.shelves.count())
        known = keys.left_join(sizes, ROOM_ID, rname="shelf_{name}")
        return known.select(ROW, shelf_size=known["size"].cast("float64"))
