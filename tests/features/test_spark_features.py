"""The same features on DuckDB and on Spark."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from beautyrec.data.external import ExternalSource
from beautyrec.data.log import EventLog
from beautyrec.data.sources.taobao import read_taobao
from beautyrec.engine import Engine
from beautyrec.features.buyers import UserWithItem
from beautyrec.features.context import Hour, Weekday
from beautyrec.features.external import External, coverage_by_scene
from beautyrec.features.family import full_family, hosts_of, price_edges_of, scenes_of
from beautyrec.features.feature_set import FeatureSet
from beautyrec.features.items import ItemHeat, SmoothedCTR
from beautyrec.features.sequences import LastEvents
from beautyrec.testing.features import START, Shop, shops

pytestmark = pytest.mark.spark

DAY = pd.Timedelta(days=1)
PANEL = ExternalSource("panel", "user_id", "delivered", "10D", ("visits", "spend"))
BOUGHT = pd.DataFrame(
    {
        "user_id": [0, 0, 0, 1, 1, 2, 9],
        "delivered": START + np.array([0, 5, 30, 10, 10.5, 20, 1]) * DAY,
        "visits": [1.0, 2.0, np.nan, 4.0, 5.0, 6.0, 7.0],
        "spend": [0.5, 1.5, 2.5, np.nan, 4.5, 5.5, 6.5],
    }
)
FAMILY = FeatureSet(
    (*full_family(("evening", "launch"), ("Mei", "Lin"), (3.0, 10.0), utc_offset=8).builders, External.of(PANEL))
)
SEQUENCES = LastEvents(n=4, names=("order", "click", "impression"))
FEW = settings(
    max_examples=2, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)


def equal(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """The same rows: gaps in the same places, numbers but for the last digit of a logarithm."""
    pd.testing.assert_frame_equal(found, expected, rtol=1e-14, atol=0)


def log_of(shop: Shop, engine=None) -> EventLog:
    log = EventLog.from_frames(shop.events, shop.items, rooms=shop.rooms, shelves=shop.shelves, engine=engine)
    return PANEL.read(BOUGHT).join(log)


def same_histories(builder: LastEvents, keys: pd.DataFrame, on_duckdb: EventLog, on_spark: EventLog) -> int:
    """Checks that the sequences of both logs are equal, and counts their events."""
    items = on_duckdb.catalogue()
    expected = builder.compute(on_duckdb, keys, items)
    for one, other in zip(builder.compute(on_spark, keys, items), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    return int((expected.events >= 0).sum())


@FEW
@given(shops(least_events=80, least_keys=30))
def test_random_logs(spark_engine, shop):
    """Ties, late rows, rows that stand there twice, gaps, users and products without any past."""
    on_duckdb, on_spark = log_of(shop), log_of(shop, spark_engine)
    equal(FAMILY.compute(on_spark, shop.keys), FAMILY.compute(on_duckdb, shop.keys))
    same_histories(SEQUENCES, shop.keys, on_duckdb, on_spark)


def test_real_behaviour(spark_engine, shared_data):
    """Taobao's sample: 84,475 events of 815 users, at the moments of some of them and a microsecond later."""
    sample = read_taobao(shared_data / "taobao-userbehavior-sample")
    on_duckdb, on_spark = sample.log(), sample.log(spark_engine)
    events = on_duckdb.engine.frame(on_duckdb.events.order_by("event_id"))
    keys = events.sample(400, random_state=5)[["user_id", "item_id", "ts"]].rename(columns={"ts": "as_of"})
    keys = pd.concat([keys, keys.assign(as_of=keys["as_of"] + pd.Timedelta("1us"))], ignore_index=True)
    keys = keys.assign(room_id=0, position=1)
    family = full_family(("evening",), ("Lin",), (5.0,), utc_offset=8)
    expected = family.compute(on_duckdb, keys)
    assert expected[["user_recency", "item_heat_7d", "user_category_affinity", "user_item_in_cart"]].nunique().min() > 1
    equal(family.compute(on_spark, keys), expected)
    assert same_histories(LastEvents(n=20, names=("order", "view")), keys, on_duckdb, on_spark) > len(keys)


def test_what_is_written_is_what_is_computed(spark_engine, tiny_frames, tmp_path):
    log = EventLog.from_frames(**tiny_frames, engine=spark_engine)
    clicks = (
        tiny_frames["events"].query("event == 'click'").head(20).assign(as_of=lambda rows: rows["ts"], number=range(20))
    )
    keys = clicks[["number", "user_id", "item_id", "as_of"]]
    family = FeatureSet((ItemHeat(), UserWithItem(), SmoothedCTR()))
    family.write(log, spark_engine.table(keys), tmp_path / "features")
    found = pd.read_parquet(tmp_path / "features").set_index("number").sort_index()[list(family.names)]
    expected = family.compute(EventLog.from_frames(**tiny_frames), keys.reset_index(drop=True))
    pd.testing.assert_frame_equal(found, expected, check_names=False, rtol=1e-12)


@pytest.mark.parametrize("empty", ["events", "keys"])
def test_nothing_happened_or_nothing_is_asked(spark_engine, tiny_frames, empty):
    frames = tiny_frames | {"events": tiny_frames["events"].iloc[: 0 if empty == "events" else None]}
    logs = [EventLog.from_frames(**frames, engine=engine) for engine in (None, spark_engine)]
    as_of = pd.Timestamp("2026-03-02 20:00", tz="UTC")
    keys = pd.DataFrame({"user_id": 100, "item_id": ["item-00", "item-07"], "room_id": "room-a", "as_of": as_of})
    keys = keys.iloc[: 0 if empty == "keys" else None]
    family = FeatureSet((ItemHeat(), Hour()))
    expected, found = (family.compute(log, keys) for log in logs)
    equal(found, expected)
    assert same_histories(SEQUENCES, keys, *logs) == 0


def test_the_zone_of_the_session_changes_nothing(spark_engine, tiny_frames):
    """Spark takes 24 hours for a day of the session's zone; clocks change in New York on 8 March."""
    keys = pd.DataFrame(
        {"item_id": "item-00", "as_of": pd.date_range("2026-03-08 13:30", periods=6, freq="h", tz="America/New_York")}
    )
    family = FeatureSet((ItemHeat(days=(7,)), Hour(utc_offset=-5), Weekday(utc_offset=8)))
    expected = family.compute(EventLog.from_frames(**tiny_frames), keys)
    assert set(expected["item_heat_7d"] > 0) == {True, False}
    session = spark_engine.session.newSession()
    session.conf.set("spark.sql.session.timeZone", "America/New_York")
    equal(family.compute(EventLog.from_frames(**tiny_frames, engine=Engine.spark(session)), keys), expected)
    assert session.conf.get("spark.sql.session.timeZone") == "America/New_York"


def test_what_the_family_is_told_of_a_log(spark_engine, tiny_frames):
    one, other = (EventLog.from_frames(**tiny_frames, engine=engine) for engine in (None, spark_engine))
    for told in (scenes_of, hosts_of, lambda log: price_edges_of(log, 4)):
        assert told(other) == told(one)
    bought = pd.DataFrame({"user_id": [100, 101], "delivered": START, "visits": 1, "spend": 2})
    shares = [coverage_by_scene(PANEL.read(bought).join(log), PANEL) for log in (one, other)]
    pd.testing.assert_frame_equal(*shares)


def test_tables_lent_to_the_engine_are_given_back(spark_engine, tiny_frames):
    log = EventLog.from_frames(**tiny_frames, engine=spark_engine)
    before = spark_engine.connection.list_tables()
    FeatureSet((Hour(),)).compute(log, pd.DataFrame({"as_of": [START]}))
    assert spark_engine.connection.list_tables() == before
