"""What every feature builder must satisfy; a test class inherits it, sets ``builder`` and writes ``oracle``."""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from beautyrec.data.log import EventLog
from beautyrec.data.schema import EVENT_NAMES
from beautyrec.engine import Engine
from beautyrec.features.builder import FeatureBuilder
from beautyrec.features.feature_set import FeatureSet

START = pd.Timestamp("2026-03-01 00:00", tz="UTC")
"""First moment of the random shops; clocks change in New York on 8 March, within the windows."""

_CALM = [HealthCheck.differing_executors, HealthCheck.too_slow, HealthCheck.data_too_large]


@dataclass(frozen=True)
class Shop:
    """A small random log and some keys.

    Args:
        events: rows of the events, with ties, late rows and rows that stand there twice.
        items: the catalogue, with gaps.
        rooms: the rooms.
        shelves: what is on them.
        keys: keys of features, some of users and products that the events do not have.
    """

    events: pd.DataFrame
    items: pd.DataFrame
    rooms: pd.DataFrame
    shelves: pd.DataFrame
    keys: pd.DataFrame

    @property
    def log(self) -> EventLog:
        """The log of the shop."""
        return EventLog.from_frames(self.events, self.items, rooms=self.rooms, shelves=self.shelves, engine=_engine())

    def known(self, as_of: pd.Timestamp) -> pd.DataFrame:
        """The events that had become available before a moment."""
        return self.events[self.events["available_at"] < as_of]

    def item(self, item_id: str) -> Mapping[str, Any]:
        """What the catalogue says of a product; gaps are None."""
        rows = self.items[self.items["item_id"] == item_id]
        row = rows.astype(object).iloc[0] if len(rows) else pd.Series(None, index=self.items.columns, dtype=object)
        return {str(name): None if pd.isna(value) else value for name, value in row.items()}


@cache
def _engine() -> Engine:
    """An engine whose clock is not UTC's: no feature may depend on that."""
    engine = Engine.duckdb(memory_limit="500MB", threads=1)
    engine.connection.raw_sql("SET TimeZone = 'America/St_Johns'")
    return engine


@st.composite
def shops(draw: st.DrawFn, *, least_events: int = 0, least_keys: int = 1) -> Shop:
    """Small random shops: moments lie on a grid of half days over 40 days, so that ties are common."""
    moments = st.integers(0, 80).map(lambda half_days: START + pd.Timedelta(hours=12 * half_days))
    delays = st.sampled_from([0, 0, 0, 1, 12, 60]).map(lambda hours: pd.Timedelta(hours=hours))
    item_ids = [f"item {number}" for number in range(5)]
    event = st.tuples(
        st.sampled_from([*EVENT_NAMES, "impression", "click", "order"]),
        moments,
        delays,
        st.integers(0, 2),
        st.sampled_from(item_ids),
        st.sampled_from([None, 0, 1, 1]),
        st.sampled_from([None, 0.0, 2.5, 7.0]),
        st.sampled_from([None, 1, 3]),
        st.sampled_from([None, None, 1.0, 4.5]),
    )
    names = ["event", "ts", "delay", "user_id", "item_id", "room_id", "price", "quantity", "rating"]
    rows = draw(st.lists(event, min_size=least_events, max_size=least_events + 40))
    twice = draw(st.integers(0, len(rows)))
    events = pd.DataFrame(rows + rows[:twice], columns=pd.Index(names))
    events = events.assign(event_id=np.arange(len(events)), room_id=events["room_id"].astype("Int64"))
    events = events.astype({"price": float, "quantity": "Int64", "rating": float})
    events["ts"] = pd.to_datetime(events["ts"], utc=True).dt.as_unit("us")
    events["available_at"] = events["ts"] + pd.to_timedelta(events.pop("delay"))
    key = st.tuples(moments, st.integers(0, 3), st.sampled_from([*item_ids, "unheard of"]), st.integers(0, 2))
    keys = pd.DataFrame(
        draw(st.lists(key, min_size=least_keys, max_size=least_keys + 8)),
        columns=pd.Index(["as_of", "user_id", "item_id", "room_id"]),
    )
    keys["as_of"] = pd.to_datetime(keys["as_of"], utc=True).dt.tz_convert("Asia/Shanghai")
    keys["position"] = draw(st.lists(st.integers(1, 10), min_size=len(keys), max_size=len(keys)))
    return Shop(events, draw(_catalogues(item_ids)), _rooms(), draw(_shelves(item_ids)), keys)


@st.composite
def _catalogues(draw: st.DrawFn, item_ids: list[str]) -> pd.DataFrame:
    """A catalogue with a gap in every column, at the first product and perhaps elsewhere."""
    others = len(item_ids) - 1
    column = {
        "category": st.sampled_from([None, "lips", "lips", "eyes"]),
        "brand": st.sampled_from([None, "ours", "theirs"]),
        "price": st.sampled_from([None, 0.0, 3.0, 5.0, 12.5]),
        "cost": st.sampled_from([None, 1.5, 4.0]),
        "launched_at": st.sampled_from([None, START, START + pd.Timedelta(days=20)]),
    }
    values = {name: [None, *draw(st.lists(of, min_size=others, max_size=others))] for name, of in column.items()}
    frame = pd.DataFrame({"item_id": item_ids, **values})
    frame["launched_at"] = pd.to_datetime(frame["launched_at"], utc=True).dt.as_unit("us")
    return frame.astype({"price": float, "cost": float, "category": "str", "brand": "str"})


@st.composite
def _shelves(draw: st.DrawFn, item_ids: list[str]) -> pd.DataFrame:
    """Some products of room 0 at prices of their own."""
    on = draw(st.lists(st.sampled_from(item_ids), unique=True, min_size=1))
    prices = draw(st.lists(st.sampled_from([None, 2.0, 8.0]), min_size=len(on), max_size=len(on)))
    stock = draw(st.lists(st.sampled_from([None, 0, 30]), min_size=len(on), max_size=len(on)))
    frame = pd.DataFrame({"room_id": 0, "item_id": on, "price": np.array(prices, dtype=float)})
    return frame.assign(stock=pd.array(stock, dtype="Int64"))


def _rooms() -> pd.DataFrame:
    """Rooms 0 and 1; keys name a room 2 as well, which is not there."""
    return pd.DataFrame(
        {
            "room_id": [0, 1],
            "scene": ["evening", "launch"],
            "host": ["Lin", "Mei"],
            "starts_at": [START, START + pd.Timedelta(days=30)],
            "ends_at": START + pd.Timedelta(days=30, hours=2),
        }
    )


class FeatureContract:
    """Inherit as ``class TestMine(FeatureContract): builder = Mine()`` with an ``oracle``."""

    builder: ClassVar[FeatureBuilder]

    def oracle(self, known: pd.DataFrame, key: Any, shop: Shop) -> Mapping[str, float]:
        """The features of one key, from the events ``known`` to it, in the plainest way; NaN where missing."""
        raise NotImplementedError

    def compute(self, shop: Shop) -> pd.DataFrame:
        return FeatureSet((self.builder,)).compute(shop.log, shop.keys)

    @settings(max_examples=3, deadline=None, suppress_health_check=_CALM)
    @given(shops())
    def test_equals_the_oracle(self, shop: Shop) -> None:
        self.check(shop)

    @settings(max_examples=2, deadline=None, suppress_health_check=_CALM, phases=[Phase.generate])
    @given(shops(least_events=60, least_keys=30))
    def test_equals_the_oracle_on_many_keys(self, shop: Shop) -> None:
        self.check(shop)

    def check(self, shop: Shop) -> None:
        keys: Iterator[Any] = shop.keys.itertuples()
        expected = [self.oracle(shop.known(key.as_of), key, shop) for key in keys]
        found = self.compute(shop)
        assert list(found) == list(expected[0])
        pd.testing.assert_frame_equal(found, pd.DataFrame(expected).astype(float), rtol=1e-9, atol=1e-12)

    @settings(max_examples=2, deadline=None, suppress_health_check=_CALM)
    @given(shops(), st.randoms(use_true_random=False))
    def test_neither_order_nor_the_future_changes_anything(self, shop: Shop, random: Any) -> None:
        moment = shop.keys["as_of"].iloc[0]
        shop = replace(shop, keys=shop.keys.assign(as_of=moment))
        past = replace(shop, events=shop.known(moment))
        shuffled = {
            name: (frame := getattr(shop, name)).iloc[random.sample(range(len(frame)), len(frame))]
            for name in ("events", "items", "rooms", "shelves", "keys")
        }
        expected = self.compute(past)
        pd.testing.assert_frame_equal(self.compute(Shop(**shuffled)).loc[shop.keys.index], expected, rtol=1e-12)

    def test_every_feature_is_described(self) -> None:
        table = FeatureSet((self.builder,)).describe()
        assert (table[["name", "unit", "window", "missing", "entity"]].map(len) > 0).all(axis=None)
        assert type(self.builder).__doc__
