"""Features of a viewer as a buyer: how lately, how often and for how much, at which prices, and what of this product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from beautyrec.data.log import EventLog
from beautyrec.data.schema import CART, CLICK, IMPRESSION, ITEM_ID, ORDER, USER_ID
from beautyrec.errors import ConfigError
from beautyrec.features.amounts import PARTS, Last, Sum, spent
from beautyrec.features.builder import Asked, Feature, Looked, Need
from beautyrec.features.counts import asked_of_share, days_since, smoothed_share, window_of
from beautyrec.features.traits import PriceBand


@dataclass(frozen=True)
class UserOrders:
    """Recency, frequency and money: days since the viewer's last order, orders and spending in windows.

    ``user_spend_{d}d`` adds up ``price * quantity`` of the orders known in ``d`` days, taken to four decimals; an order
    without a price adds nothing, one that states no quantity is one.

    Args:
        days: lengths of the windows.
    """

    days: tuple[int, ...] = (30, 180)
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not self.days or min(self.days) < 1:
            raise ConfigError(f"UserOrders: days is {self.days}; give lengths of at least 1 day.")

    @property
    def entity(self) -> tuple[str, ...]:
        """The viewer."""
        return (USER_ID,)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One duration, and a count and an amount a window."""
        recency = Feature("user_order_recency", "days", "all the past", "the viewer has no order yet")
        counts = (Feature(f"user_orders_{days}d", "orders", window_of(days)) for days in self.days)
        amounts = (Feature(f"user_spend_{days}d", "the shop's currency", window_of(days)) for days in self.days)
        return (recency, *counts, *amounts)

    def needs(self, log: EventLog) -> Mapping[str, Need]:  # noqa: ARG002
        """The last order by viewer, orders and spending in each window."""
        asked: dict[str, Need] = {"last": Asked(Last((ORDER,)), (USER_ID,))}
        for days in self.days:
            asked[f"orders_{days}"] = Asked(Sum((ORDER,)), (USER_ID,), days)
            asked[f"spend_{days}"] = Asked(Sum((ORDER,), spent), (USER_ID,), days)
        return asked

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """Days since the last order, counts, and amounts."""
        counts = {f"user_orders_{days}d": known[f"orders_{days}"] for days in self.days}
        amounts = {f"user_spend_{days}d": known[f"spend_{days}"] / PARTS for days in self.days}
        return {"user_order_recency": days_since(known["last"], known), **counts, **amounts}


@dataclass(frozen=True)
class UserPriceBandAffinity:
    """The share of the viewer's past clicks and orders that went to products of this one's price band, smoothed.

    As :class:`~beautyrec.features.users.UserCategoryAffinity`, by the band of the list price. Edges are part of the
    feature, so a product is in the same band in training and in scoring.

    Args:
        edges: prices that part the bands, rising; a product at an edge is in the band above.
        strength: clicks and orders that everybody's share is worth.
    """

    edges: tuple[float, ...]
    strength: float = 3.0
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not self.edges or list(self.edges) != sorted(set(self.edges)):
            raise ConfigError(f"UserPriceBandAffinity: edges are {self.edges}; give at least one, each above the last.")

    @property
    def entity(self) -> tuple[str, ...]:
        """The viewer and the product."""
        return (USER_ID, ITEM_ID)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One share."""
        missing = "the product has no price, or nobody has clicked or ordered yet"
        return (Feature("user_price_band_affinity", "share", "all the past", missing),)

    def needs(self, log: EventLog) -> Mapping[str, Need]:
        """Clicks and orders by viewer and band."""
        band = PriceBand(self.edges)
        bands = log.items.select(ITEM_ID, band=band.of(log.items))
        return {**asked_of_share(USER_ID, band), "band": Looked(bands, (ITEM_ID,), "band")}

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """The smoothed share."""
        return {"user_price_band_affinity": smoothed_share(known, known["band"], self.strength)}


@dataclass(frozen=True)
class UserWithItem:
    """What the viewer has had to do with this very product: shown, clicked, ordered, in the cart.

    ``user_item_in_cart`` is 1 where he last put it there after he last ordered it, as far as is known, else 0.
    """

    version: ClassVar[int] = 1

    @property
    def entity(self) -> tuple[str, ...]:
        """The viewer and the product."""
        return (USER_ID, ITEM_ID)

    @property
    def features(self) -> tuple[Feature, ...]:
        """Three counts, a duration, and a state."""
        past = "all the past"
        return (
            Feature("user_item_seen", "impressions", past),
            Feature("user_item_clicks", "clicks", past),
            Feature("user_item_orders", "orders", past),
            Feature("user_item_since_seen", "days", past, "the viewer has not been shown the product yet"),
            Feature("user_item_in_cart", "1 if it is in the cart, else 0", past),
        )

    def needs(self, log: EventLog) -> Mapping[str, Need]:  # noqa: ARG002
        """Counts, and times of the last ones, by viewer and product."""
        names = {"seen": IMPRESSION, "clicks": CLICK, "orders": ORDER}
        times = {"last_seen": IMPRESSION, "put": CART, "ordered": ORDER}
        pair = (USER_ID, ITEM_ID)
        return {
            **{name: Asked(Sum((event,)), pair) for name, event in names.items()},
            **{name: Asked(Last((event,)), pair) for name, event in times.items()},
        }

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """Counts, days since the last, and whether it was put into the cart after it was ordered."""
        import ibis

        put, ordered = known["put"], known["ordered"]
        in_cart = put.notnull() & (ordered.isnull() | (put > ordered))
        return {
            **{f"user_item_{name}": known[name] for name in ("seen", "clicks", "orders")},
            "user_item_since_seen": days_since(known["last_seen"], known),
            "user_item_in_cart": ibis.ifelse(in_cart, 1, 0),
        }
