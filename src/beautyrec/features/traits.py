"""What the catalogue says of a product, so that events and keys can share it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from beautyrec.data.schema import BRAND, CATEGORY, ITEM_ID, PRICE

OF_THE_ITEM: Final = (CATEGORY, BRAND)
"""The columns of the catalogue by which events can be asked."""


@dataclass(frozen=True)
class PriceBand:
    """The band of the list price, as the count of edges at or below it.

    Args:
        edges: prices that part the bands, rising.
    """

    edges: tuple[float, ...]

    @property
    def name(self) -> str:
        """Name of its column."""
        return "band_" + "_".join(str(edge) for edge in self.edges).replace(".", "_")

    def of(self, items: Any) -> Any:
        """The band of each product of the catalogue, null where there is no price."""
        return sum((items[PRICE] >= edge).cast("int64") for edge in self.edges)


By = str | PriceBand
"""A column that events and keys share: one of their own, or what the catalogue says of the product."""


def name_of(by: By) -> str:
    """Name of its column."""
    return by if isinstance(by, str) else by.name


def is_trait(by: By) -> bool:
    """Whether the catalogue says it."""
    return not isinstance(by, str) or by in OF_THE_ITEM


def here(by: By) -> str:
    """Name of its column where the catalogue is brought to a table: none of the table's own."""
    return f"_{name_of(by)}" if is_trait(by) else name_of(by)


def described(table: Any, items: Any, bys: Iterable[By]) -> Any:
    """A table that has ``item_id``, with the traits among ``bys`` as the catalogue has them, named as :func:`here` says."""
    traits = {here(by): items[by] if isinstance(by, str) else by.of(items) for by in bys if is_trait(by)}
    if not traits:
        return table
    listed = items.select(_listed=items[ITEM_ID], **traits)
    return table.left_join(listed, table[ITEM_ID] == listed["_listed"]).drop("_listed")
