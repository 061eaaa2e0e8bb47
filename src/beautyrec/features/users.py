"""Features of a viewer: when he was last there, and what he has taken to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from beautyrec.data.log import EventLog
from beautyrec.data.schema import AVAILABLE_AT, BRAND, CATEGORY, CLICK, EVENT, ITEM_ID, ORDER, USER_ID
from beautyrec.features.builder import ROW, Feature
from beautyrec.features.counts import days_since, smoothed_share


@dataclass(frozen=True)
class UserRecency:
    """Days since the viewer's last event of any kind, an impression included.

    ``user_recency = (as_of - ts of the latest event known before as_of) / 1 day``.
    """

    version: ClassVar[int] = 1

    @property
    def entity(self) -> tuple[str, ...]:
        """The viewer."""
        return (USER_ID,)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One duration."""
        return (Feature("user_recency", "days", "all the past", "the viewer has no event yet"),)

    def expr(self, log: EventLog, keys: Any) -> Any:
        """Days since the last event by viewer."""
        known = days_since(log, keys, [USER_ID])
        return known.select(ROW, user_recency=known["since"])


@dataclass(frozen=True)
class UserCategoryAffinity:
    """The share of the viewer's past clicks and orders that went to the product's category, smoothed.

    ``user_category_affinity = (k + s q) / (n + s)``: of the viewer's ``n`` clicks and orders ``k`` were in the
    category, which has the share ``q`` of everybody's; the prior is worth ``s``. A new viewer has the share ``q``.

    Args:
        strength: clicks and orders that everybody's share is worth.
    """

    strength: float = 3.0
    version: ClassVar[int] = 1

    @property
    def entity(self) -> tuple[str, ...]:
        """The viewer and the category."""
        return (USER_ID, CATEGORY)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One share."""
        missing = "the product has no category, or nobody has clicked or ordered yet"
        return (Feature("user_category_affinity", "share", "all the past", missing),)

    def expr(self, log: EventLog, keys: Any) -> Any:
        """Smoothed share by viewer and category."""
        share = _taken_share(log, keys, CATEGORY, self.strength)
        return share.select(ROW, user_category_affinity=share["share"])


@dataclass(frozen=True)
class UserBrandAffinity:
    """The share of the viewer's past clicks and orders that went to the product's brand, smoothed.

    As :class:`UserCategoryAffinity`, by brand.

    Args:
        strength: clicks and orders that everybody's share is worth.
    """

    strength: float = 3.0
    version: ClassVar[int] = 1

    @property
    def entity(self) -> tuple[str, ...]:
        """The viewer and the brand."""
        return (USER_ID, BRAND)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One share."""
        missing = "the product has no brand, or nobody has clicked or ordered yet"
        return (Feature("user_brand_affinity", "share", "all the past", missing),)

    def expr(self, log: EventLog, keys: Any) -> Any:
        """Smoothed share by viewer and brand."""
        share = _taken_share(log, keys, BRAND, self.strength)
        return share.select(ROW, user_brand_affinity=share["share"])


def _taken_share(log: EventLog, keys: Any, attribute: str, strength: float) -> Any:
    """``keys`` with ``share``: of the viewer's clicks and orders, those on products with the key's ``attribute``."""
    return smoothed_share(taken(log, log.items.select(ITEM_ID, attribute)), keys, USER_ID, attribute, strength)


def taken(log: EventLog, attributes: Any) -> Any:
    """The clicks and orders, with the attributes of their products (Ibis table with ``item_id``)."""
    events = log.events.filter(log.events[EVENT].isin([CLICK, ORDER])).select(USER_ID, ITEM_ID, AVAILABLE_AT)
    return events.left_join(attributes, ITEM_ID).drop(f"{ITEM_ID}_right")
