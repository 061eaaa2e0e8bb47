"""Builders of what a product costs, how it is spoken of, how new it is, against the plainest way to say it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from beautyrec.errors import ConfigError
from beautyrec.features.context import Host, RoomMinute, Weekday
from beautyrec.features.feedback import ItemAge, ItemRarity, ItemRating
from beautyrec.features.items import SmoothedReturnRate
from beautyrec.features.prices import DiscountDepth, Margin, PriceAgainstPast
from beautyrec.features.shelf import ShelfSize, StockCover
from beautyrec.testing.features import START, FeatureContract

DAY = pd.Timedelta(days=1)


def since(known, key, days):
    """Events that became known in the last days."""
    return known[known["available_at"] >= key.as_of - pd.Timedelta(hours=24 * days)]


def of_item(known, key, *names):
    return known[(known["item_id"] == key.item_id) & known["event"].isin(names)]


def shelf_of(shop, key):
    rows = shop.shelves[(shop.shelves["room_id"] == key.room_id) & (shop.shelves["item_id"] == key.item_id)]
    return rows.astype(object).iloc[0] if len(rows) else None


def price_now(shop, key):
    shelf = shelf_of(shop, key)
    if shelf is not None and shelf["price"] > 0:
        return shelf["price"]
    return shop.item(key.item_id)["price"] or math.nan


class TestPriceAgainstPast(FeatureContract):
    builder = PriceAgainstPast(days=20)

    def oracle(self, known, key, shop):
        paid = [price for price in of_item(since(known, key, 20), key, "order")["price"] if price > 0]
        return {"price_against_past": math.log(price_now(shop, key) / (sum(paid) / len(paid))) if paid else math.nan}


class TestDiscountDepth(FeatureContract):
    builder = DiscountDepth()

    def oracle(self, known, key, shop):
        return {"discount_depth": 1 - price_now(shop, key) / (shop.item(key.item_id)["price"] or math.nan)}


class TestMargin(FeatureContract):
    builder = Margin()

    def oracle(self, known, key, shop):
        cost, price = shop.item(key.item_id)["cost"] or math.nan, price_now(shop, key)
        return {"margin": (price - cost) / price}


class TestStockCover(FeatureContract):
    builder = StockCover(days=10)

    def oracle(self, known, key, shop):
        sold = of_item(since(known, key, 10), key, "order")["quantity"].fillna(1).sum()
        shelf = shelf_of(shop, key)
        if shelf is None or pd.isna(shelf["stock"]):
            return {"stock_cover": math.nan}
        return {"stock_cover": shelf["stock"] / ((1 + sold) / 10)}


class TestShelfSize(FeatureContract):
    builder = ShelfSize()

    def oracle(self, known, key, shop):
        return {"shelf_size": (shop.shelves["room_id"] == key.room_id).sum() or math.nan}


class TestSmoothedReturnRate(FeatureContract):
    builder = SmoothedReturnRate(days=25, strength=2.0, category_strength=5.0)

    def oracle(self, known, key, shop):
        category = shop.item(key.item_id)["category"]
        recent = since(known, key, 25)
        categories = recent["item_id"].map(lambda item: shop.item(item)["category"])
        same = categories.isna() if category is None else categories == category
        rate = 0.0
        for rows, strength in ((recent, 0.0), (recent[same.astype(bool)], 5.0), (of_item(recent, key, *NAMES), 2.0)):
            returns, orders = ((rows["event"] == name).sum() for name in NAMES)
            trials = max(returns, orders)
            rate = (returns + strength * rate) / (trials + strength) if trials + strength else math.nan
        return {"item_return_rate": rate}


NAMES = ("return", "order")


class TestItemRating(FeatureContract):
    builder = ItemRating(strength=2.0)

    def oracle(self, known, key, shop):
        rated = known[known["rating"].notna()]
        own = rated[rated["item_id"] == key.item_id]
        mean = rated["rating"].sum() / len(rated) if len(rated) else math.nan
        return {
            "item_rating": (own["rating"].sum() + 2 * mean) / (len(own) + 2),
            "item_ratings": len(own),
            "item_rating_age": (key.as_of - own["ts"].max()) / DAY if len(own) else math.nan,
        }


class TestItemAge(FeatureContract):
    builder = ItemAge()

    def oracle(self, known, key, shop):
        launched = shop.item(key.item_id)["launched_at"]
        own = known[known["item_id"] == key.item_id]
        return {
            "item_age": (key.as_of - launched) / DAY if launched and launched <= key.as_of else math.nan,
            "item_days_seen": (key.as_of - own["ts"].min()) / DAY if len(own) else math.nan,
        }


class TestItemRarity(FeatureContract):
    builder = ItemRarity(days=15)

    def oracle(self, known, key, shop):
        shown = since(known[known["event"] == "impression"], key, 15)
        return {"item_rarity": math.log2((1 + len(shown)) / (1 + len(of_item(shown, key, "impression"))))}


class TestHost(FeatureContract):
    builder = Host(("Mei", "Ana"))

    def oracle(self, known, key, shop):
        return {"host": {1: 0.0}.get(key.room_id, np.nan)}


class TestWeekday(FeatureContract):
    builder = Weekday(utc_offset=8)

    def oracle(self, known, key, shop):
        return {"weekday": float(key.as_of.tz_convert("Asia/Shanghai").day_of_week)}


class TestRoomMinute(FeatureContract):
    builder = RoomMinute()

    def oracle(self, known, key, shop):
        starts = {0: START, 1: START + 30 * DAY}.get(key.room_id)
        return {"room_minute": (key.as_of - starts) / pd.Timedelta(minutes=1) if starts else math.nan}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PriceAgainstPast(days=0), "at least 1 day"),
        (lambda: StockCover(days=0), "at least 1 day"),
        (lambda: ItemRarity(days=-1), "at least 1 day"),
        (lambda: ItemRating(strength=0.0), "above 0"),
        (lambda: Host(()), "at least one"),
        (lambda: Host(("Mei", "Mei")), "each once"),
        (lambda: Weekday(utc_offset=-13), "from -12 to 14"),
    ],
)
def test_settings_out_of_bounds_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
