"""The features of the benchmark as they are written in pandas: running sums by entity, looked up with ``merge_asof``.

Nothing is looped over; keys are taken one by one, as they come. Each block gives columns of the names that the builders give.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

DAY = pd.Timedelta(days=1)
ACTIONS = ("click", "cart", "favourite", "order")
Columns = dict[str, "pd.Series[float]"]


def compute(log: dict[str, pd.DataFrame], keys: pd.DataFrame) -> pd.DataFrame:
    """[n] keys with the twenty features.

    Args:
        log: the tables ``events, items, rooms, shelves``.
        keys: [n] ``event_id, user_id, item_id, room_id, position, as_of``.
    """
    events = log["events"].sort_values("available_at", kind="stable")
    events = events.merge(log["items"][["item_id", "category", "brand"]], on="item_id", how="left")
    keys = keys.merge(log["items"].rename(columns={"price": "list_price"}), on="item_id", how="left")
    keys = keys.sort_values("as_of", kind="stable", ignore_index=True)
    columns = {
        **_heat(events, keys),
        **_rates(events, keys),
        **_prices(log, events, keys),
        **_user(events, keys),
        **_affinities(events, keys),
        **_user_item(events, keys),
        **_occasion(log, keys),
    }
    return keys[["event_id"]].assign(**columns)


def _before(events: pd.DataFrame, keys: pd.DataFrame, by: Sequence[str], name: str, back: int = 0) -> pd.Series:  # type: ignore[type-arg]
    """[n] the last of a column of the events, sorted by time, before each key's moment less ``back`` days, by entity."""
    at = keys[[*by]].assign(at=keys["as_of"] - back * DAY)
    found = pd.merge_asof(
        at,
        events[[*by, "available_at", name]],
        left_on="at",
        right_on="available_at",
        by=list(by) or None,
        allow_exact_matches=False,
    )
    return found[name]


def _count(events: pd.DataFrame, keys: pd.DataFrame, by: Sequence[str], days: int | None = None) -> pd.Series:  # type: ignore[type-arg]
    """[n] how many of the events lie in the window before each key, by entity."""
    return _sum(events.assign(one=1), keys, by, "one", days)


def _sum(events: pd.DataFrame, keys: pd.DataFrame, by: Sequence[str], name: str, days: int | None) -> pd.Series:  # type: ignore[type-arg]
    running = events.groupby(list(by))[name].cumsum() if by else events[name].cumsum()
    events = events[[*by, "available_at"]].assign(running=running)
    now = _before(events, keys, by, "running").fillna(0)
    return now if days is None else now - _before(events, keys, by, "running", days).fillna(0)


def _heat(events: pd.DataFrame, keys: pd.DataFrame) -> Columns:
    actions = events[events["event"].isin(ACTIONS)]
    heat = {days: _count(actions, keys, ["item_id"], days) for days in (1, 3, 7, 21, 30)}
    trend = np.log((1 + heat[3]) / (1 + heat[21] * (3 / 21)))
    return {**{f"item_heat_{days}d": heat[days] for days in (1, 7, 30)}, "item_heat_trend": trend}


def _rates(events: pd.DataFrame, keys: pd.DataFrame) -> Columns:
    settings = {
        "item_ctr": ("click", "impression", 30, 1000.0, 300.0),
        "item_cvr": ("order", "click", 30, 100.0, 30.0),
        "item_return_rate": ("return", "order", 90, 100.0, 30.0),
    }
    columns: Columns = {}
    for name, (success, trial, days, of_category, of_item) in settings.items():
        rate = pd.Series(0.0, index=keys.index)
        for by, strength in (([], 0.0), (["category"], of_category), (["item_id"], of_item)):
            successes = _count(events[events["event"] == success], keys, by, days)
            trials = np.maximum(_count(events[events["event"] == trial], keys, by, days), successes)
            rate = (successes + strength * rate) / (trials + strength)
        columns[name] = rate
    return columns


def _prices(log: dict[str, pd.DataFrame], events: pd.DataFrame, keys: pd.DataFrame) -> Columns:
    shelves = log["shelves"][["room_id", "item_id", "price"]]
    price = keys[["room_id", "item_id"]].merge(shelves, on=["room_id", "item_id"], how="left")["price"]
    price = price.fillna(keys["list_price"])
    median = keys["category"].map(log["items"].groupby("category")["price"].median())
    orders = events[(events["event"] == "order") & (events["price"] > 0)]
    paid = _sum(orders, keys, ["item_id"], "price", 90) / _count(orders, keys, ["item_id"], 90)
    return {"price_in_category": np.log(price / median), "price_against_past": np.log(price / paid)}


def _last(events: pd.DataFrame, keys: pd.DataFrame, by: Sequence[str]) -> pd.Series:  # type: ignore[type-arg]
    """[n] when the last event known before each key happened."""
    return _before(events.assign(last=events.groupby(list(by))["ts"].cummax()), keys, by, "last")


def _user(events: pd.DataFrame, keys: pd.DataFrame) -> Columns:
    return {"user_recency": (keys["as_of"] - _last(events, keys, ["user_id"])) / DAY}


def _affinities(events: pd.DataFrame, keys: pd.DataFrame) -> Columns:
    taken = events[events["event"].isin(["click", "order"])]
    theirs, every = _count(taken, keys, ["user_id"]), _count(taken, keys, [])
    columns: Columns = {}
    for name in ("category", "brand"):
        everybody = _count(taken, keys, [name]) / every
        columns[f"user_{name}_affinity"] = (_count(taken, keys, ["user_id", name]) + 3 * everybody) / (theirs + 3)
    return columns


def _user_item(events: pd.DataFrame, keys: pd.DataFrame) -> Columns:
    by = ["user_id", "item_id"]
    of = {name: events[events["event"] == name] for name in ("impression", "click", "order", "cart")}
    put, ordered = _last(of["cart"], keys, by), _last(of["order"], keys, by)
    return {
        "user_item_seen": _count(of["impression"], keys, by),
        "user_item_clicks": _count(of["click"], keys, by),
        "user_item_orders": _count(of["order"], keys, by),
        "user_item_since_seen": (keys["as_of"] - _last(of["impression"], keys, by)) / DAY,
        "user_item_in_cart": (put.notna() & (ordered.isna() | (put > ordered))).astype(float),
    }


def _occasion(log: dict[str, pd.DataFrame], keys: pd.DataFrame) -> Columns:
    scenes = log["rooms"].set_index("room_id")["scene"]
    return {
        "hour": (keys["as_of"] + pd.Timedelta(hours=8)).dt.hour.astype(float),
        "scene": keys["room_id"].map(scenes).map({f"scene {code}": float(code) for code in range(3)}),
        "position": keys["position"].astype(float),
    }
