from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.log import EventLog
from beautyrec.engine import Engine
from beautyrec.errors import ConfigError, SchemaError
from beautyrec.features.builder import Feature, Looked
from beautyrec.features.context import Hour, Position, Scene
from beautyrec.features.family import first_family, scenes_of
from beautyrec.features.feature_set import FeatureSet
from beautyrec.features.items import ItemHeat
from beautyrec.features.keys import KeyColumn, distinct
from beautyrec.features.users import UserRecency

MARCH = pd.Timestamp("2026-03-02 12:00", tz="UTC")


@pytest.fixture
def keys(tiny_frames):
    """One key an impression of the tiny log, looked at from the start of its room."""
    shown = tiny_frames["events"].query("event == 'impression'")
    starts = tiny_frames["rooms"].set_index("room_id")["starts_at"]
    frame = shown[["user_id", "item_id", "room_id", "position"]].assign(as_of=shown["room_id"].map(starts))
    return frame.set_index(np.arange(len(frame)) * 10 + 3)


def test_family_gives_its_columns_in_the_order_and_index_of_the_keys(tiny_log, keys):
    family = first_family(scenes_of(tiny_log), utc_offset=8)
    found = family.compute(tiny_log, keys)
    assert tuple(found) == family.names
    assert (found.dtypes == np.float64).all()
    pd.testing.assert_index_equal(found.index, keys.index)
    assert found["hour"].unique().tolist() == [4.0]
    assert found["scene"].tolist() == (keys["room_id"] == "room-b").astype(float).tolist()
    first_room = keys["room_id"] == "room-a"
    assert (found.loc[first_room, "item_heat_7d"] == 0).all()
    assert found.loc[first_room, "user_recency"].isna().all()
    assert (found.loc[~first_room, "item_heat_7d"] > 0).any()


def test_one_key_alone_has_the_values_it_has_among_others(tiny_log, keys):
    family = first_family(scenes_of(tiny_log))
    whole = family.compute(tiny_log, keys)
    for row in (47, 179):
        alone = family.compute(tiny_log, keys.iloc[[row]])
        pd.testing.assert_frame_equal(alone, whole.iloc[[row]], rtol=1e-12)


def test_no_keys_give_no_rows(tiny_log, keys):
    found = first_family(scenes_of(tiny_log)).compute(tiny_log, keys.iloc[:0])
    assert found.shape == (0, 13)


def test_keys_are_not_changed(tiny_log, keys):
    before = keys.copy(deep=True)
    first_family(scenes_of(tiny_log)).compute(tiny_log, keys)
    pd.testing.assert_frame_equal(keys, before)


def test_tables_lent_to_the_engine_are_given_back(tiny_log, keys):
    def tables():
        return tiny_log.engine.connection.raw_sql("SELECT table_name FROM duckdb_tables()").fetchall()

    before = tables()
    first_family(scenes_of(tiny_log)).compute(tiny_log, keys)
    assert tables() == before


def test_progress_counts_what_is_asked_of_and_the_end(tiny_log, keys):
    seen = []
    features = FeatureSet((Hour(), ItemHeat(), UserRecency(), Position()))
    features.compute(tiny_log, keys, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def clicks(*moments, engine=None):
    at = pd.to_datetime(list(moments), utc=True)
    events = pd.DataFrame({"event_id": range(len(at)), "event": "click", "ts": at, "user_id": 1, "item_id": "serum"})
    return EventLog.from_frames(events, pd.DataFrame({"item_id": ["serum"]}), engine=engine)


def heat(log, as_of):
    return (
        FeatureSet((ItemHeat(days=(7,)),))
        .compute(log, pd.DataFrame({"item_id": ["serum"], "as_of": [as_of]}))
        .iloc[0, 0]
    )


def test_window_holds_its_start_and_not_its_end():
    log = clicks(MARCH - pd.Timedelta("7D"), MARCH)
    microsecond = pd.Timedelta("1us")
    assert heat(log, MARCH) == 1
    assert heat(log, MARCH + microsecond) == 1
    assert heat(log, MARCH - microsecond) == 1
    assert heat(log, MARCH + pd.Timedelta("7D")) == 1
    assert heat(log, MARCH + pd.Timedelta("7D") + microsecond) == 0


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_days_have_24_hours_whatever_the_zone_of_the_session(zone):
    engine = Engine.duckdb(memory_limit="200MB", threads=1)
    engine.connection.raw_sql(f"SET TimeZone = '{zone}'")
    after_clocks_changed = pd.Timestamp("2026-03-10 12:00", tz="UTC")
    log = clicks(after_clocks_changed - pd.Timedelta(hours=24 * 7), engine=engine)
    assert heat(log, after_clocks_changed) == 1
    assert heat(log, after_clocks_changed + pd.Timedelta("1us")) == 0
    hours = FeatureSet((Hour(),)).compute(log, pd.DataFrame({"as_of": [after_clocks_changed]}))
    assert hours["hour"].tolist() == [12.0]


def test_fingerprint_changes_with_meaning_alone():
    one = FeatureSet((ItemHeat((1, 7)), Scene(("a", "b"))))
    assert one.fingerprint == FeatureSet((ItemHeat((1, 7)), Scene(("a", "b")))).fingerprint
    others = [
        FeatureSet((Scene(("a", "b")), ItemHeat((1, 7)))),
        FeatureSet((ItemHeat((1, 8)), Scene(("a", "b")))),
        FeatureSet((ItemHeat((1, 7)), Scene(("b", "a")))),
        FeatureSet((ItemHeat((1, 7)),)),
    ]
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 5


def test_fingerprint_of_the_family_is_known():
    """A change here means that stored models no longer fit: raise the version of the builder that changed."""
    assert first_family(["a", "b"]).fingerprint == "5012fafd307c1973"


def test_describe_has_one_row_a_feature():
    family = first_family(["a", "b"])
    table = family.describe()
    assert tuple(table["name"]) == family.names
    assert table.set_index("name").loc["scene", "unit"] == "code: 0 a, 1 b"


def test_key_columns_are_those_that_the_builders_need():
    assert FeatureSet((Hour(),)).key_columns == ("as_of",)
    assert set(first_family(["a"]).key_columns) == {"user_id", "item_id", "room_id", "position", "as_of"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda keys: keys.drop(columns="item_id"), "columns \\['item_id'\\] are missing"),
        (lambda keys: keys.assign(as_of=keys["as_of"].dt.tz_localize(None)), "a time with a zone"),
        (lambda keys: keys.assign(as_of=keys["as_of"].where(keys["position"] > 1)), "60 gaps in 180 rows"),
        (lambda keys: keys.assign(user_id="Mei"), "'user_id' is str, the log has int64"),
        (lambda keys: keys.assign(position="first"), "'position' is str"),
    ],
)
def test_wrong_keys_are_named(tiny_log, keys, change, message):
    with pytest.raises(SchemaError, match=message):
        first_family(["evening"]).compute(tiny_log, change(keys))


def test_names_must_be_unique_and_there():
    with pytest.raises(ConfigError, match="twice: \\['hour'\\]"):
        FeatureSet((Hour(), Hour(utc_offset=8)))
    with pytest.raises(ConfigError, match="0 features"):
        FeatureSet(())


@dataclass(frozen=True)
class Doubled:
    """A builder that looks products up in a table that has some of them twice."""

    version: ClassVar[int] = 1
    entity: tuple[str, ...] = ("item_id",)
    features: tuple[Feature, ...] = (Feature("doubled", "none", "none"),)

    def needs(self, log):
        twice = log.items.filter(log.items["item_id"] == "item-03").union(log.items)
        return {"price": Looked(twice, ("item_id",), "price")}

    def values(self, known):
        return {"doubled": known["price"]}


def test_a_table_with_a_key_twice_is_named(tiny_log, keys, tmp_path):
    features = FeatureSet((ItemHeat(), Doubled()))
    message = "'price' is looked up by item_id in a table that has 1 of them more than once"
    with pytest.raises(ConfigError, match=message):
        features.compute(tiny_log, keys)
    with pytest.raises(ConfigError, match=message):
        features.write(tiny_log, tiny_log.events.mutate(as_of=tiny_log.events["ts"]), tmp_path / "f.parquet")
    assert not list(tmp_path.iterdir())


@dataclass(frozen=True)
class Odd(Doubled):
    """A builder that wants a key nobody has."""

    entity: tuple[str, ...] = ("weather",)


def test_unknown_key_column_is_named(tiny_log, keys):
    with pytest.raises(SchemaError, match="'weather' is not a key column"):
        FeatureSet((Odd(),)).compute(tiny_log, keys.assign(weather="rain"))


def test_recency_does_not_depend_on_the_unit_of_as_of(tiny_log, keys):
    recency = FeatureSet((UserRecency(),))
    later = keys.assign(as_of=keys["as_of"] + pd.Timedelta("3D"))
    nanoseconds = later.assign(as_of=later["as_of"].dt.as_unit("ns").dt.tz_convert("Asia/Shanghai"))
    pd.testing.assert_frame_equal(recency.compute(tiny_log, later), recency.compute(tiny_log, nanoseconds))


def test_distinct_agrees_with_pandas_even_where_codes_would_overflow(rng):
    wide = [KeyColumn(rng.integers(-1, 3, 500), _Values(2**40)) for _ in range(4)]
    rows, place = distinct(wide)
    frame = pd.DataFrame({number: column.codes for number, column in enumerate(wide)})
    assert len(rows) == len(frame.drop_duplicates())
    pd.testing.assert_frame_equal(frame.iloc[rows[place]].reset_index(drop=True), frame)


class _Values:
    """Stands for as many distinct values as it says."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count


def test_rates_use_live_rooms_alone(tiny_log, keys):
    """Purchases outside rooms have no impressions; they must not raise the rates."""
    family = first_family(scenes_of(tiny_log))
    events = tiny_log.engine.frame(tiny_log.events)
    outside = events[events["event"] == "order"].assign(room_id=None, event_id=lambda rows: rows["event_id"] + 10_000)
    more = EventLog.from_frames(
        pd.concat([events, outside]).astype({"event_id": "int64"}),
        tiny_log.engine.frame(tiny_log.items),
        rooms=tiny_log.engine.frame(tiny_log.rooms),
        shelves=tiny_log.engine.frame(tiny_log.shelves),
    )
    rates = ["item_ctr", "item_cvr"]
    pd.testing.assert_frame_equal(family.compute(more, keys)[rates], family.compute(tiny_log, keys)[rates])
    assert replace(more).engine is not tiny_log.engine
