"""Features of a viewer: when he was last there, and what he has taken to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from beautyrec.data.log import EventLog
from beautyrec.data.schema import BRAND, CATEGORY, USER_ID
from beautyrec.features.amounts import Last
from beautyrec.features.builder import Asked, Feature, Need
from beautyrec.features.counts import asked_of_share, days_since, smoothed_share


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

    def needs(self, log: EventLog) -> Mapping[str, Need]:  # noqa: ARG002
        """The last event by viewer."""
        return {"last": Asked(Last(), (USER_ID,))}

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """Days since it."""
        return {"user_recency": days_since(known["last"], known)}


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

    def needs(self, log: EventLog) -> Mapping[str, Need]:  # noqa: ARG002
        """Clicks and orders by viewer and category."""
        return asked_of_share(USER_ID, CATEGORY)

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """The smoothed share."""
        return {"user_category_affinity": smoothed_share(known, known[CATEGORY], self.strength)}


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

    def needs(self, log: EventLog) -> Mapping[str, Need]:  # noqa: ARG002
        """Clicks and orders by viewer and brand."""
        return asked_of_share(USER_ID, BRAND)

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """The smoothed share."""
        return {"user_brand_affinity": smoothed_share(known, known[BRAND], self.strength)}
