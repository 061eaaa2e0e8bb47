"""Events that are read where they lie are the events that would have been read into memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from beautyrec.data import schema
from beautyrec.data.in_place import events_in_place
from beautyrec.data.log import EventLog
from beautyrec.engine import Engine
from beautyrec.errors import SchemaError

HOUR = pa.scalar(3_600_000_000, pa.duration("us"))


def write(folder, frames, events):
    folder.mkdir(exist_ok=True)
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet")
    pq.write_table(events, folder / "events.parquet")


def with_column(events, name, values):
    return events.set_column(events.column_names.index(name), name, values)


def same(log, expected):
    for name in ("events", "items", "users", "rooms", "shelves"):
        found, wanted = getattr(log, name), getattr(expected, name)
        assert found.schema() == wanted.schema(), name
        pd.testing.assert_frame_equal(log.engine.frame(found), expected.engine.frame(wanted))


def taken_as_it_is(folder):
    return events_in_place(Engine.duckdb(), folder / "events.parquet") is not None


IN_PLACE = {
    "as they are": lambda events: events,
    "columns that are absent": lambda events: events.drop_columns(["position", "propensity", "policy", "price"]),
    "without rooms": lambda events: events.drop_columns(["room_id"]),
    "late": lambda events: with_column(events, "available_at", pc.add(events["ts"], HOUR)),
    "known when they happened": lambda events: with_column(
        events, "available_at", pa.nulls(len(events), events["ts"].type)
    ),
    "another order of columns": lambda events: events.select(events.column_names[::-1]),
    "no time of knowing": lambda events: events.drop_columns(["available_at"]),
}
IN_MEMORY = {
    "ids do not rise": lambda events: events.take(list(range(len(events)))[::-1]),
    "numbers as integers": lambda events: with_column(events, "price", pc.fill_null(events["price"], 1).cast("int64")),
    "ids as floats": lambda events: with_column(events, "user_id", events["user_id"].cast("float64")),
    "times in another zone": lambda events: with_column(
        events, "ts", events["ts"].cast(pa.timestamp("us", "Asia/Shanghai"))
    ),
    "a number that is none": lambda events: with_column(
        events, "price", pc.if_else(pc.equal(events["event_id"], 3), np.nan, events["price"])
    ),
    "no events": lambda events: events.slice(0, 0),
}


@pytest.mark.parametrize("change", [*IN_PLACE, *IN_MEMORY])
def test_the_log_is_the_same_wherever_events_lie(change, tiny_frames, tmp_path):
    events = (IN_PLACE | IN_MEMORY)[change](schema.validate("events", tiny_frames["events"], "frame"))
    write(tmp_path, tiny_frames, events)
    assert taken_as_it_is(tmp_path) == (change in IN_PLACE)
    same(EventLog.read(tmp_path), EventLog.from_frames(**(tiny_frames | {"events": events})))


BROKEN = {
    "unknown name": ("event", "gaze", "have an unknown name"),
    "no user": ("user_id", None, "have no value"),
    "price below 0": ("price", -1.0, "are below 0"),
    "chance of 0": ("propensity", 0.0, "are not above 0"),
    "chance above 1": ("propensity", 1.5, "are above 1"),
    "infinite price": ("price", np.inf, "are infinite"),
    "known before it was": ("available_at", pd.Timestamp("2020-01-01", tz="UTC"), "lie before 'ts'"),
    "id twice": ("event_id", 0, "repeat an id"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_one_bad_row_is_refused_as_ever(name, tiny_frames, tmp_path):
    column, value, message = BROKEN[name]
    events = schema.validate("events", tiny_frames["events"], "frame")
    values = events[column].to_pylist()
    values[5] = value
    write(tmp_path, tiny_frames, with_column(events, column, pa.array(values, events[column].type)))
    with pytest.raises(SchemaError, match=rf"events\.parquet: table events, .*: 1 of {len(events)} rows {message}"):
        EventLog.read(tmp_path)


def test_events_are_not_copied(tiny_log, tmp_path):
    tiny_log.write(tmp_path / "log")
    log = EventLog.read(tmp_path / "log")
    rows = log.engine.connection.raw_sql("SELECT sum(estimated_size) FROM duckdb_tables()").fetchall()[0][0]
    assert rows == 12 + 8 + 2 + len(log.engine.frame(log.shelves))


def test_a_folder_of_files_with_other_columns(tiny_log, tmp_path):
    tiny_log.write(tmp_path)
    events = pq.read_table(tmp_path / "events.parquet")
    (tmp_path / "events.parquet").unlink()
    (tmp_path / "events.parquet" / "day=1").mkdir(parents=True)
    pq.write_table(events.slice(0, 100), tmp_path / "events.parquet" / "day=1" / "a.parquet")
    pq.write_table(events.slice(100).drop_columns(["policy"]), tmp_path / "events.parquet" / "day=2.parquet")
    found = EventLog.read(tmp_path)
    assert taken_as_it_is(tmp_path)
    policies = found.engine.frame(found.events)["policy"]
    assert policies.isna().sum() == len(events) - 100 + events.slice(0, 100).column("policy").null_count


def test_a_log_may_be_written_over_the_one_it_was_read_from(tiny_log, tmp_path):
    tiny_log.write(tmp_path / "log")
    log = EventLog.read(tmp_path / "log")
    before = log.describe()
    log.write(tmp_path / "log")
    assert EventLog.read(tmp_path / "log").describe() == before
