"""Builders of a viewer as a buyer against the plainest way to say what they mean."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from beautyrec.errors import ConfigError
from beautyrec.features.buyers import UserOrders, UserPriceBandAffinity, UserWithItem
from beautyrec.testing.features import FeatureContract

DAY = pd.Timedelta(days=1)


class TestUserOrders(FeatureContract):
    builder = UserOrders(days=(5, 30))

    def oracle(self, known, key, shop):
        orders = known[(known["user_id"] == key.user_id) & (known["event"] == "order")]
        recent = {days: orders[orders["available_at"] >= key.as_of - days * DAY] for days in (5, 30)}
        spend = {d: sum(p * (1 if pd.isna(q) else q) for p, q in zip(rows["price"], rows["quantity"], strict=True) if p > 0)
                 for d, rows in recent.items()}  # fmt: skip
        return {
            "user_order_recency": (key.as_of - orders["ts"].max()) / DAY if len(orders) else math.nan,
            "user_orders_5d": len(recent[5]),
            "user_orders_30d": len(recent[30]),
            "user_spend_5d": spend[5],
            "user_spend_30d": spend[30],
        }


class TestUserPriceBandAffinity(FeatureContract):
    builder = UserPriceBandAffinity(edges=(3.0, 6.0), strength=2.0)

    def oracle(self, known, key, shop):
        def band(item_id):
            price = shop.item(item_id)["price"]
            return None if price is None else (price >= 3) + (price >= 6)

        taken = known[known["event"].isin(["click", "order"])]
        bands = [band(item_id) for item_id in taken["item_id"]]
        theirs = [band(item_id) for item_id in taken[taken["user_id"] == key.user_id]["item_id"]]
        own = band(key.item_id)
        if own is None or not bands:
            return {"user_price_band_affinity": math.nan}
        everybody = bands.count(own) / len(bands)
        return {"user_price_band_affinity": (theirs.count(own) + 2 * everybody) / (len(theirs) + 2)}


class TestUserWithItem(FeatureContract):
    builder = UserWithItem()

    def oracle(self, known, key, shop):
        own = known[(known["user_id"] == key.user_id) & (known["item_id"] == key.item_id)]
        times = {name: own[own["event"] == name]["ts"] for name in ("impression", "click", "order", "cart")}
        put, ordered = times["cart"].max(), times["order"].max()
        return {
            "user_item_seen": len(times["impression"]),
            "user_item_clicks": len(times["click"]),
            "user_item_orders": len(times["order"]),
            "user_item_since_seen": (key.as_of - times["impression"].max()) / DAY
            if len(times["impression"])
            else math.nan,
            "user_item_in_cart": float(put is not pd.NaT and (ordered is pd.NaT or put > ordered)),
        }


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UserOrders(days=()), "at least 1 day"),
        (lambda: UserPriceBandAffinity(edges=()), "at least one"),
        (lambda: UserPriceBandAffinity(edges=(5.0, 5.0)), "each above the last"),
    ],
)
def test_settings_out_of_bounds_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
