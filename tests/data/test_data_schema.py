# ruff: noqa: E501 (one case a line)
from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from beautyrec.data.schema import TABLES, agree_on_ids, empty, validate
from beautyrec.errors import SchemaError


def change(frames, table, column, rows, value):
    frame = frames[table].copy()
    if column not in frame or not pd.api.types.is_float_dtype(frame[column]):
        frame[column] = frame[column].astype(object) if column in frame else None
    frame.loc[rows, column] = value
    return frame


@pytest.mark.parametrize("table", TABLES)
def test_good_tables_pass_and_come_out_in_the_form_of_the_schema(tiny_frames, table):
    before = tiny_frames[table].copy(deep=True)
    checked = validate(table, tiny_frames[table], "frame")
    names = list(TABLES[table].names)
    assert checked.column_names[: len(names)] == names
    assert checked.num_rows == len(before)
    pd.testing.assert_frame_equal(tiny_frames[table], before)
    assert validate(table, checked, "table").equals(checked)
    assert empty(table).schema.names == names


@pytest.mark.parametrize(
    ("table", "column", "rows", "value", "says"),
    [
        ("events", "ts", [5], pd.NaT, r"column 'ts': 1 of \d+ rows have no value \(first: row 5, value missing\)"),
        ("events", "event", [3, 4], "clik", r"column 'event': 2 of \d+ rows have an unknown name \(first: row 3, value clik\)"),
        ("events", "price", [2, 7, 9], -1.0, r"column 'price': 3 of \d+ rows are below 0 \(first: row 2, value -1.0\)"),
        ("events", "price", [2], np.inf, r"column 'price': 1 of \d+ rows are infinite \(first: row 2, value inf\)"),
        ("items", "price", [1], -0.5, r"table items, column 'price': 1 of 12 rows are below 0 \(first: row 1, value -0.5\)"),
        ("items", "cost", [1], -0.5, r"column 'cost': 1 of 12"),
        ("events", "propensity", [0, 1], 0.0, r"column 'propensity': 2 of \d+ rows are not above 0 \(first: row 0"),
        ("events", "propensity", [6], 1.5, r"column 'propensity': 1 of \d+ rows are above 1 \(first: row 6, value 1.5\)"),
        ("events", "slate_propensity", [6], -0.1, r"column 'slate_propensity': 1 of \d+ rows are not above 0"),
        ("events", "position", [6], 0, r"column 'position': 1 of \d+ rows are below 1 \(first: row 6, value 0\)"),
        ("events", "position", [6], 1.5, r"column 'position': 1 of \d+ rows are not whole \(first: row 6, value 1.5\)"),
        ("events", "quantity", [6], 0, r"column 'quantity': 1 of \d+ rows are below 1"),
        ("events", "event_id", [6], 2, r"column 'event_id': 1 of \d+ rows repeat .* \(first: row 6, value .*2"),
        ("items", "item_id", [6], "item-00", r"column 'item_id': 1 of 12 rows repeat .* \(first: row 6, .*item-00"),
        ("shelves", "item_id", [1], "item-00", r"columns 'room_id', 'item_id': 1 of 14 rows repeat"),
        ("shelves", "stock", [1], -1, r"column 'stock': 1 of 14 rows are below 0"),
        ("shelves", "draw_probability", [0], 0.9, r"does not sum to 1 in 1 of 2 groups by 'room_id', 8 of 14 rows \(first: room_id room-a"),
        ("shelves", "draw_probability", [9], None, r"column 'draw_probability': does not sum to 1 in 1 of 2"),
        ("rooms", "ends_at", [1], pd.Timestamp("2026-01-01", tz="UTC"), r"column 'ends_at': 1 of 2 rows lie before 'starts_at'"),
    ],
)  # fmt: skip
def test_bad_rows_are_counted_and_shown(tiny_frames, table, column, rows, value, says):
    frame = change(tiny_frames, table, column, rows, value)
    with pytest.raises(SchemaError, match=says) as caught:
        validate(table, frame, "log.csv")
    assert str(caught.value).startswith(f"log.csv: table {table}")


@pytest.mark.parametrize(
    ("table", "column", "values", "says"),
    [
        ("events", "ts", lambda c: c.dt.tz_localize(None), "column 'ts': holds timestamp.us. in its .* rows, not times with a time zone"),
        ("events", "ts", lambda c: c.astype(str), "column 'ts': holds .*string.*not times with a time zone"),
        ("events", "available_at", lambda c: pd.Timestamp("2020-01-01", tz="UTC"), r"column 'available_at': \d+ of \d+ rows lie before 'ts'"),
        ("events", "user_id", lambda c: c > 3, "column 'user_id': holds bool in its .*, not integers or strings"),
        ("events", "user_id", lambda c: c + 0.5, r"column 'user_id': \d+ of \d+ rows are not whole"),
        ("events", "event_id", lambda c: c.astype(str), "column 'event_id': holds .*string.*, not whole numbers"),
        ("events", "event_id", lambda c: c.astype("uint64") + 2**63, "column 'event_id': does not fit into int64"),
        ("items", "price", lambda c: c.astype(str), "column 'price': holds .*string.*, not numbers"),
        ("items", "brand", lambda c: 3, "column 'brand': holds int64 in its 12 rows, not strings"),
        ("items", "title", lambda c: [1, "x"] * 6, "column 'title': mixes types"),
    ],
)  # fmt: skip
def test_wrong_types(tiny_frames, table, column, values, says):
    frame = tiny_frames[table].copy()
    frame[column] = values(frame.get(column))
    with pytest.raises(SchemaError, match=says):
        validate(table, frame, "frame")


def test_missing_doubled_and_unknown_columns(tiny_frames):
    events = tiny_frames["events"]
    with pytest.raises(SchemaError, match=r"columns 'event', 'user_id' missing\. It has 'ts'"):
        validate("events", events.drop(columns=["event", "user_id"]), "frame")
    with pytest.raises(SchemaError, match=r"column 'propensty' not known\. Rename or drop; known are 'event_id'"):
        validate("events", events.rename(columns={"propensity": "propensty"}), "frame")
    doubled = pa.table([pa.array([1]), pa.array([2])], names=["user_id", "user_id"])
    with pytest.raises(SchemaError, match="column 'user_id' there more than once"):
        validate("users", doubled, "table")


def test_items_keep_other_columns(tiny_frames):
    items = tiny_frames["items"].assign(colour="red")
    assert validate("items", items, "frame").column("colour").to_pylist() == ["red"] * 12


def test_casts():
    frame = pd.DataFrame(
        {
            "item_id": pd.Categorical(["b", "a"]),
            "price": [3, 4],
            "launched_at": pd.to_datetime(["2026-01-01 08:00:00.000000001", None]).tz_localize("Asia/Shanghai"),
        }
    )
    table = validate("items", frame, "frame")
    assert table.schema.field("item_id").type == pa.string()
    assert table.column("price").to_pylist() == [3.0, 4.0]
    assert table.column("launched_at").to_pylist()[0] == pd.Timestamp("2026-01-01T00:00Z").to_pydatetime()
    assert table.schema.field("launched_at").type == pa.timestamp("us", "UTC")


def test_gaps_make_floats_of_integers_and_are_taken_back(tiny_frames):
    assert str(tiny_frames["events"]["position"].dtype) == "float64"
    position = validate("events", tiny_frames["events"], "frame").column("position")
    assert position.type == pa.int64()
    assert position.null_count == tiny_frames["events"]["position"].isna().sum() > 0


def test_available_at_is_ts_where_it_is_not_given(tiny_frames):
    events = tiny_frames["events"]
    table = validate("events", events, "frame")
    assert table.column("available_at").equals(table.column("ts"))
    later = events["ts"] + pd.Timedelta("1h")
    some = later.where(events.index % 2 == 0)
    table = validate("events", events.assign(available_at=some), "frame")
    expected = some.fillna(events["ts"])
    assert table.column("available_at").to_pandas().tolist() == expected.tolist()


def test_shelf_without_any_chances_may_be(tiny_frames):
    shelves = tiny_frames["shelves"].copy()
    shelves.loc[shelves["room_id"] == "room-a", "draw_probability"] = np.nan
    assert validate("shelves", shelves, "frame").column("draw_probability").null_count == 8


def test_ids_of_one_kind_everywhere(tiny_frames):
    tables = {name: validate(name, frame, "frame") for name, frame in tiny_frames.items()}
    assert agree_on_ids(tables)["events"].equals(tables["events"])
    numbers = tiny_frames["items"].assign(item_id=range(12))
    with pytest.raises(SchemaError, match=re.escape("column 'item_id': holds string in events, int64 in items")):
        agree_on_ids(tables | {"items": validate("items", numbers, "frame")})
    bare = validate("events", tiny_frames["events"].drop(columns="room_id"), "frame")
    assert bare.schema.field("room_id").type == pa.int64()
    assert agree_on_ids(tables | {"events": bare})["events"].schema.field("room_id").type == pa.string()
