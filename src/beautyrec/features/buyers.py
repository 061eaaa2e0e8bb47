"""Features of a viewer as a buyer: how lately, how often and for how much, at which prices, and what of this product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from beautyrec.data.log import EventLog
from beautyrec.data.schema import (
    AVAILABLE_AT,
    CART,
    CLICK,
    EVENT,
    IMPRESSION,
    ITEM_ID,
    ORDER,
    PRICE,
    QUANTITY,
    TS,
    USER_ID,
)
from beautyrec.errors import ConfigError
from beautyrec.features.builder import AS_OF, ROW, Feature
from beautyrec.features.counts import PARTS, days_between, days_since, parts, smoothed_share, window_of
from beautyrec.features.history import ALL, Past, attach
from beautyrec.features.users import taken


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

    def expr(self, log: EventLog, keys: Any) -> Any:
        """Orders by viewer."""
        import ibis

        events = log.events.filter(log.events[EVENT] == ORDER)
        spend = parts(events[PRICE] * events[QUANTITY].fill_null(1))
        events = events.select(USER_ID, AVAILABLE_AT, spend=spend, orders=ibis.literal(1, "int64"))
        sums = Past.of(events, keys, {f"{days}d": days for days in self.days}).known([USER_ID], ["orders", "spend"])
        known = attach(days_since(log, keys, [USER_ID], [ORDER]), sums, [USER_ID])
        counts = {f"user_orders_{days}d": known[f"orders_{days}d"].cast("float64") for days in self.days}
        amounts = {f"user_spend_{days}d": known[f"spend_{days}d"] / PARTS for days in self.days}
        return known.select(ROW, user_order_recency=known["since"], **counts, **amounts)


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

    def expr(self, log: EventLog, keys: Any) -> Any:
        """Smoothed share by viewer and band."""
        price = log.items[PRICE]
        band = sum((price >= edge).cast("int64") for edge in self.edges)
        bands = log.items.select(ITEM_ID, band=band)
        known = keys.left_join(bands, ITEM_ID, rname="list_{name}").select(*keys.columns, "band")
        share = smoothed_share(taken(log, bands), known, USER_ID, "band", self.strength)
        return share.select(ROW, user_price_band_affinity=share["share"])


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

    def expr(self, log: EventLog, keys: Any) -> Any:
        """Counts, and times of the last ones, by viewer and product."""
        import ibis

        by, counts = [USER_ID, ITEM_ID], {"seen": IMPRESSION, "clicks": CLICK, "orders": ORDER}
        events = log.events.filter(log.events[EVENT].isin([*counts.values(), CART]))
        columns = {name: (events[EVENT] == event).cast("int8") for name, event in counts.items()}
        for name, event in {"last_seen": IMPRESSION, "put": CART, "ordered": ORDER}.items():
            columns[name] = ibis.ifelse(events[EVENT] == event, events[TS], ibis.null(events[TS].type()))
        past = Past.of(events.select(*by, AVAILABLE_AT, **columns), keys, {"known": ALL})
        known = attach(keys, past.known(by, list(columns)), by)
        put, ordered = known["put_known"], known["ordered_known"]
        in_cart = put.notnull() & (ordered.isnull() | (put > ordered))
        return known.select(
            ROW,
            **{f"user_item_{name}": known[f"{name}_known"].cast("float64") for name in counts},
            user_item_since_seen=days_between(known["last_seen_known"], known[AS_OF]),
            user_item_in_cart=ibis.ifelse(in_cart, 1.0, 0.0),
        )
