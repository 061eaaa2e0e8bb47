"""Each builder against the plainest way to say what it means."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from beautyrec.errors import ConfigError
from beautyrec.features.context import Hour, Position, Scene
from beautyrec.features.items import HeatTrend, ItemHeat, PriceInCategory, SmoothedCTR, SmoothedCVR
from beautyrec.features.users import UserBrandAffinity, UserCategoryAffinity, UserRecency
from beautyrec.testing.features import FeatureContract

ACTIONS = ["click", "cart", "favourite", "order"]


def since(known, key, days):
    """Events that became known in the last days."""
    return known[known["available_at"] >= key.as_of - pd.Timedelta(hours=24 * days)]


def with_catalogue(events, shop):
    return events.merge(shop.items, on="item_id", how="left")


def same(column, value):
    """Where a column has the value; a gap is the same as a gap."""
    return column.isna() if value is None else column == value


class TestItemHeat(FeatureContract):
    builder = ItemHeat(days=(1, 7, 30))

    def oracle(self, known, key, shop):
        actions = known[(known["item_id"] == key.item_id) & known["event"].isin(ACTIONS)]
        return {f"item_heat_{days}d": len(since(actions, key, days)) for days in (1, 7, 30)}


class TestHeatTrend(FeatureContract):
    builder = HeatTrend(short=3, long=12)

    def oracle(self, known, key, shop):
        actions = known[(known["item_id"] == key.item_id) & known["event"].isin(ACTIONS)]
        short, long = len(since(actions, key, 3)), len(since(actions, key, 12))
        return {"item_heat_trend": math.log((1 + short) / (1 + long / 4))}


def smoothed(known, key, shop, names, days, strengths):
    """Posterior means down the levels: shop, category, product."""
    events = with_catalogue(since(known, key, days), shop)
    events = events[events["room_id"].notna()]
    category = shop.item(key.item_id)["category"]
    of_category, of_item = same(events["category"], category), events["item_id"] == key.item_id
    rate = 0.0
    for where, strength in ((events["event"] != "", 0.0), (of_category, strengths[0]), (of_item, strengths[1])):
        successes, trials = ((events[where]["event"] == name).sum() for name in names)
        trials = max(trials, successes)
        rate = (successes + strength * rate) / (trials + strength) if trials + strength else math.nan
    return rate


class TestSmoothedCTR(FeatureContract):
    builder = SmoothedCTR(days=10, strength=3.0, category_strength=7.0)

    def oracle(self, known, key, shop):
        return {"item_ctr": smoothed(known, key, shop, ("click", "impression"), 10, (7.0, 3.0))}


class TestSmoothedCVR(FeatureContract):
    builder = SmoothedCVR(days=30, strength=2.0, category_strength=5.0)

    def oracle(self, known, key, shop):
        return {"item_cvr": smoothed(known, key, shop, ("order", "click"), 30, (5.0, 2.0))}


class TestPriceInCategory(FeatureContract):
    builder = PriceInCategory()

    def oracle(self, known, key, shop):
        item = shop.item(key.item_id)
        peers = shop.items[same(shop.items["category"], item["category"])]["price"]
        median = peers[peers > 0].median()
        shelf = shop.shelves[(shop.shelves["room_id"] == key.room_id) & (shop.shelves["item_id"] == key.item_id)]
        price = item["price"] or math.nan
        if len(shelf) and shelf["price"].iloc[0] > 0:
            price = shelf["price"].iloc[0]
        return {"price_in_category": math.log(price / median)}


class TestUserRecency(FeatureContract):
    builder = UserRecency()

    def oracle(self, known, key, shop):
        last = known[known["user_id"] == key.user_id]["ts"].max()
        return {"user_recency": (key.as_of - last) / pd.Timedelta(days=1) if last is not pd.NaT else math.nan}


def affinity(known, key, shop, attribute, strength):
    taken = with_catalogue(known[known["event"].isin(["click", "order"])], shop)
    value = shop.item(key.item_id)[attribute]
    if value is None or len(taken) == 0:
        return math.nan
    theirs = taken[taken["user_id"] == key.user_id]
    everybody = (taken[attribute] == value).mean()
    return ((theirs[attribute] == value).sum() + strength * everybody) / (len(theirs) + strength)


class TestUserCategoryAffinity(FeatureContract):
    builder = UserCategoryAffinity(strength=3.0)

    def oracle(self, known, key, shop):
        return {"user_category_affinity": affinity(known, key, shop, "category", 3.0)}


class TestUserBrandAffinity(FeatureContract):
    builder = UserBrandAffinity(strength=0.5)

    def oracle(self, known, key, shop):
        return {"user_brand_affinity": affinity(known, key, shop, "brand", 0.5)}


class TestHour(FeatureContract):
    builder = Hour(utc_offset=8)

    def oracle(self, known, key, shop):
        return {"hour": float(key.as_of.tz_convert("Asia/Shanghai").hour)}


class TestScene(FeatureContract):
    builder = Scene(("brand day", "launch"))

    def oracle(self, known, key, shop):
        return {"scene": {1: 1.0}.get(key.room_id, np.nan)}


class TestPosition(FeatureContract):
    builder = Position()

    def oracle(self, known, key, shop):
        return {"position": float(key.position)}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ItemHeat(days=()), "at least 1 day"),
        (lambda: ItemHeat(days=(7, 0)), "at least 1 day"),
        (lambda: HeatTrend(short=7, long=7), "short < long"),
        (lambda: Hour(utc_offset=15), "from -12 to 14"),
        (lambda: Scene(()), "at least one"),
        (lambda: Scene(("a", "a")), "each once"),
    ],
)
def test_settings_out_of_bounds_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
