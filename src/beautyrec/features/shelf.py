"""Features of the room's shelf: how long the stock lasts, how many products stand beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from beautyrec.data.log import EventLog
from beautyrec.data.schema import ITEM_ID, ORDER, ROOM_ID, STOCK
from beautyrec.errors import ConfigError
from beautyrec.features.amounts import Sum, units
from beautyrec.features.builder import Asked, Feature, Looked, Need
from beautyrec.features.counts import window_of


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

    def needs(self, log: EventLog) -> Mapping[str, Need]:
        """The stock, and units sold in the window."""
        stock = Looked(log.shelves, (ROOM_ID, ITEM_ID), STOCK)
        return {"stock": stock, "sold": Asked(Sum((ORDER,), units), (ITEM_ID,), self.days)}

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """Stock over the units sold a day."""
        return {"stock_cover": known["stock"] * float(self.days) / (1 + known["sold"])}


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

    def needs(self, log: EventLog) -> Mapping[str, Need]:
        """Products by room."""
        sizes = log.shelves.group_by(ROOM_ID).aggregate(size=log.shelves.count())
        return {"size": Looked(sizes, (ROOM_ID,), "size")}

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """Their count."""
        return {"shelf_size": known["size"]}
