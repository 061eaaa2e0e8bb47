from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beautyrec.data.log import EventLog
from beautyrec.data.mapping import CsvForm, Currency, LogMapping, read_mapping
from beautyrec.data.reading import import_log
from beautyrec.errors import ConfigError, DataError, SchemaError, SourceError

CONFIGS = Path(__file__).parents[2] / "configs" / "sources"
COLUMNS = {"event": "act", "ts": "t", "user_id": "u", "item_id": "i"}
MAPPING = LogMapping(COLUMNS, event_names={"impression": ("show",), "click": ("tap",)}, time_zone="UTC", items={})
HEAD = "act,t,u,i\n"
GOOD = "show,2026-03-01 10:00:00,u1,a\n"


def bring(text, tmp_path, mapping=MAPPING, name="events.csv", **options):
    """The import of one file: the events as a frame, rejected rows, and what was said."""
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    (said,) = import_log([mapping], [path], tmp_path / "log", threads=1, **({"max_rejected": 1.0} | options))
    return events(tmp_path / "log"), rejected(tmp_path / "log"), said


def events(folder):
    log = EventLog.read(folder)
    return log.engine.frame(log.events.order_by("event_id"))


def rejected(folder, table="events"):
    path = folder / "rejected" / f"{table}.csv"
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["file", "line", "reason", "text"])


def digest(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_rows_come_in_order_of_time_then_of_the_file(tmp_path):
    text = HEAD + "tap,2026-03-02 10:00:00,u1,b\nshow,2026-03-01 10:00:00,u2,c\nshow,2026-03-01 10:00:00,u1,a\n"
    found, bad, said = bring(text, tmp_path)
    assert found[["event_id", "event", "user_id", "item_id"]].to_numpy().tolist() == [
        [0, "impression", "u2", "c"],
        [1, "impression", "u1", "a"],
        [2, "click", "u1", "b"],
    ]
    assert (found["available_at"] == found["ts"]).all()
    assert bad.empty
    assert (said.read, said.kept, said.rejected) == (3, 3, 0)
    days = sorted(path.name for path in (tmp_path / "log" / "events.parquet").iterdir())
    assert days == ["day=2026-03-01", "day=2026-03-02"]
    kind = (
        pq.ParquetFile(tmp_path / "log" / "events.parquet" / days[0] / "part-0.parquet").metadata.row_group(0).column(0)
    )
    assert kind.compression == "ZSTD"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("jump,2026-03-01 10:00:00,u1,a", "event 'jump' is not a known event"),
        ("show,yesterday,u1,a", "ts 'yesterday' is not a time"),
        ("show,1815-03-01 10:00:00,u1,a", "ts '1815-03-01 10:00:00' is not between 1900 and 2261"),
        ("show,infinity,u1,a", "ts 'infinity' is not a time"),
        ("show,2026-03-01 10:00:00 CST,u1,a", "ts '2026-03-01 10:00:00 CST' is not a time"),
        ("show,2026-03-01 10:00:00,,a", "user_id is missing"),
        (",2026-03-01 10:00:00,,a", "event is missing; user_id is missing"),
        ("show,2026-03-01 10:00:00,u1", "missing columns: Expected Number of Columns: 4 Found: 3"),
        ("show,2026-03-01 10:00:00,u1,a,b", "too many columns: Expected Number of Columns: 4 Found: 5"),
    ],
)
def test_a_row_that_does_not_pass_has_its_line_and_reason(tmp_path, row, reason):
    found, bad, said = bring(HEAD + GOOD + GOOD + row + "\n" + GOOD, tmp_path)
    assert len(found) == 3
    assert bad[["line", "reason"]].to_numpy().tolist() == [[4, reason]]
    assert bad["file"].iloc[0] == str(tmp_path / "events.csv")
    assert (said.read, said.kept, said.rejected) == (4, 3, 1)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("-1", "price -1.0 is below 0"),
        ("cheap", "price 'cheap' is not a number"),
        ("inf", "price is infinite"),
        ("nan", "price 'nan' is not a number"),
    ],
)
def test_numbers_keep_to_their_bounds(tmp_path, value, reason):
    mapping = replace(MAPPING, columns=COLUMNS | {"price": "p"})
    good = GOOD.replace("\n", ",2.5\n")
    _, bad, _ = bring(HEAD.replace("\n", ",p\n") + good + good.replace("2.5", value), tmp_path, mapping)
    assert bad[["line", "reason"]].to_numpy().tolist() == [[3, reason]]


@pytest.mark.parametrize(
    ("text", "whole"), [("7", 7), ("007", 7), ("7.0", 7), ("1.5", None), ("0x1F", None), ("1e3", None)]
)
def test_a_whole_number_is_never_rounded(tmp_path, text, whole):
    mapping = replace(MAPPING, integer_ids=("user_id",))
    found, bad, _ = bring(HEAD + GOOD.replace("u1", "1") + GOOD.replace("u1", text), tmp_path, mapping)
    assert found["user_id"].tolist() == ([1] if whole is None else [1, whole])
    assert bad["reason"].tolist() == ([f"user_id '{text}' is not a whole number"] if whole is None else [])


def test_lines_are_right_behind_line_ends_in_fields_blank_lines_and_damaged_rows(tmp_path):
    rows = [b'show,2026-03-01 10:00:00,"u\n1",a', b"", b"show,2026", b"jump,2026-03-01 10:00:00,u1,a", b'show,x,u1,"a']
    found, bad, _ = bring(b"\r\n".join([HEAD.strip().encode(), *rows]), tmp_path)
    assert found["user_id"].tolist() == ["u\n1"]
    assert bad["line"].tolist() == [5, 6, 7]


csv_rows = st.lists(
    st.sampled_from(
        [
            ("show,2026-03-01 10:00:00,u1,a", None),
            ('show,2026-03-01 10:00:00,"u\n\n1",a', None),
            ('show,2026-03-01 10:00:00,"u""1",a', None),
            ("", ""),
            ("jump,2026-03-01 10:00:00,u1,a", "event"),
            ('show,2026-03-01 10:00:00,"",a', "user_id"),
            ('show,"never\n",u1,a', "ts"),
            ("show,2026-03-01 10:00:00,u1", "missing columns"),
            ("show,2026-03-01 10:00:00,u1,a,b,c", "too many columns"),
        ]
    ),
    max_size=25,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(csv_rows, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_every_rejected_row_has_its_line(tmp_path_factory, rows, end, closed, named):
    folder = tmp_path_factory.mktemp("lines")
    rows = [("show,2026-03-01 10:00:00,u1,a", None), *rows]
    lines = ([HEAD.strip()] if named else []) + [row for row, _ in rows]
    text = end.join(lines) + (end if closed else "")
    (folder / "events.csv").write_bytes(text.encode())
    wanted, line = [], 2 if named else 1
    for row, reason in rows:
        wanted += [(line, reason)] if reason else []
        line += 1 + row.count("\n")
    mapping = MAPPING if named else replace(MAPPING, csv=CsvForm(header=("act", "t", "u", "i")))
    (said,) = import_log([mapping], [folder / "events.csv"], folder / "log", max_rejected=1.0, threads=1)
    bad = rejected(folder / "log")
    assert bad["line"].tolist() == [line for line, _ in wanted]
    assert all(found.startswith(reason) for found, (_, reason) in zip(bad["reason"], wanted, strict=True))
    assert said.kept == sum(reason is None for _, reason in rows)


def test_bytes_that_are_no_utf8_are_one_rejected_row(tmp_path):
    _, bad, said = bring((HEAD + GOOD).encode() + b"show,2026-03-01 10:00:00,\xff\xfe,a\n" + GOOD.encode(), tmp_path)
    assert bad["line"].tolist() == [3]
    assert said.kept == 2


json_rows = st.lists(
    st.tuples(
        st.sampled_from(["show", "tap", "jump", None]),
        st.sampled_from(["2026-03-01 23:59:59", "2026-03-02T00:00:00+08:00", "then", "1700-01-01"]),
        st.sampled_from(["1", "2", "", "x", "line\nend", 'quo"te']),
        st.sampled_from(["2.5", "-1", "", "0"]),
    ),
    min_size=1,
    max_size=12,
)


def by_hand(rows):
    """Which rows pass: (event, time, user, price), sorted by time."""
    names = {"show": "impression", "tap": "click"}
    kept = []
    for event, moment, user, price in rows:
        if event in names and moment[:2] == "20" and user != "" and price != "-1":
            stamp = pd.Timestamp(moment)
            stamp = stamp.tz_convert("UTC") if stamp.tzinfo else stamp.tz_localize("Asia/Shanghai").tz_convert("UTC")
            kept.append((names[event], stamp, user, float(price) if price else None))
    return sorted(kept, key=lambda row: row[1])


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(json_rows, st.sampled_from(["csv", "json", "parquet", "csv.gz", "json.gz", "csv.zst"]))
def test_every_format_gives_the_rows_of_the_slow_rule(tmp_path_factory, rows, form):
    folder = tmp_path_factory.mktemp("rows")
    rows = [*rows, ("show", "2026-03-01 12:00:00", "1", "1.0")]
    frame = pd.DataFrame(rows, columns=["act", "t", "u", "p"]).assign(i="a")
    path = folder / f"events.{form}"
    if form == "parquet":
        frame.to_parquet(path)
    elif "json" in form:
        frame.to_json(path, orient="records", lines=True)
    else:
        with pa.output_stream(str(path), compression="detect") as out:
            out.write(frame.to_csv(index=False).encode())
    mapping = replace(MAPPING, columns=COLUMNS | {"price": "p"}, time_zone="")
    (said,) = import_log([mapping], [path], folder / "log", max_rejected=1.0, threads=1)
    found = events(folder / "log")[["event", "ts", "user_id", "price"]]
    got = [(e, t, u, None if np.isnan(p) else p) for e, t, u, p in found.itertuples(index=False)]
    assert got == by_hand(rows)
    assert said.zone == "Asia/Shanghai (not given)"
    assert said.read == len(rows) == said.kept + said.rejected
    assert len(rejected(folder / "log")) == said.rejected


def test_json_lines_have_nested_values_and_a_line_that_is_none_is_rejected(tmp_path):
    good = {"act": "show", "at": {"ms": 1772359200000}, "u": 7, "i": "a"}
    lines = [json.dumps(good), "", '{"act": "show", "at"', json.dumps(good | {"u": None})]
    mapping = replace(MAPPING, columns=COLUMNS | {"ts": "at.ms"}, time_format="epoch_ms")
    found, bad, _ = bring("\n".join(lines), tmp_path, mapping, "events.jsonl")
    assert found["ts"].tolist() == [pd.Timestamp("2026-03-01T10:00:00Z")]
    assert found["user_id"].tolist() == ["7"]
    assert bad["line"].tolist() == [3, 4]
    assert bad["reason"].iloc[1] == "user_id is missing"


def test_parquet_keeps_its_times_and_nested_values_and_counts_its_rows(tmp_path):
    naive = pa.array([pd.Timestamp("2026-03-01 10:00:00.000001"), pd.Timestamp("2026-03-01 10:00")], pa.timestamp("us"))
    who = pa.array([{"id": 1.0}, {"id": float("nan")}], pa.struct([("id", pa.float64())]))
    pq.write_table(pa.table({"act": ["show", "tap"], "t": naive, "who": who, "i": [1, 2]}), tmp_path / "e.parquet")
    mapping = replace(
        MAPPING, columns=COLUMNS | {"user_id": "who.id"}, time_zone="Asia/Tokyo", integer_ids=("user_id",)
    )
    import_log([mapping], [tmp_path / "e.parquet"], tmp_path / "log", max_rejected=0.5)
    assert events(tmp_path / "log")["ts"].tolist() == [pd.Timestamp("2026-03-01T01:00:00.000001Z")]
    bad = rejected(tmp_path / "log")
    assert bad[["line", "reason"]].to_numpy().tolist() == [[2, "user_id is missing"]]


def test_nan_is_a_gap_among_numbers_and_a_word_among_texts(tmp_path):
    pd.DataFrame({"i": ["a", "b"], "name": ["nan", None], "p": [np.nan, 2.5]}).to_parquet(tmp_path / "items.parquet")
    mapping = LogMapping({"item_id": "i", "title": "name", "price": "p"}, "items")
    import_log([mapping], [tmp_path / "items.parquet"], tmp_path / "log")
    found = pq.read_table(tmp_path / "log" / "items.parquet").to_pylist()
    assert found == [{"item_id": "a", "title": "nan", "price": None}, {"item_id": "b", "title": None, "price": 2.5}]


@pytest.mark.parametrize(
    ("form", "text", "moment"),
    [
        ("", "2026-03-01 10:00:00", "2026-03-01T02:00Z"),
        ("", "2026-03-01 10:00:00.25+01", "2026-03-01T09:00:00.25Z"),
        ("", "2026-03-01 10:00:00 UTC", "2026-03-01T10:00Z"),
        ("", "2026-03-01T10:00:00Z", "2026-03-01T10:00Z"),
        ("", "2026-03-01 10:00:00 Asia/Tokyo", "2026-03-01T01:00Z"),
        ("epoch_s", "1772359200.5", "2026-03-01T10:00:00.5Z"),
        ("epoch_us", "1772359200000001", "2026-03-01T10:00:00.000001Z"),
        ("%d.%m.%Y %H:%M", "01.03.2026 10:00", "2026-03-01T02:00Z"),
        ("%d.%m.%Y %H:%M %z", "01.03.2026 10:00 +0100", "2026-03-01T09:00Z"),
    ],
)
def test_times_without_a_zone_are_of_the_mappings_zone(tmp_path, form, text, moment):
    mapping = replace(MAPPING, time_format=form, time_zone="Asia/Shanghai")
    found, _, said = bring(HEAD + f"show,{text},u1,a\n", tmp_path, mapping)
    assert found["ts"].tolist() == [pd.Timestamp(moment)]
    assert said.zone == "Asia/Shanghai"


@pytest.mark.parametrize("text", ["1e30", "-1e30", "9300000000000", "nan"])
def test_a_number_beyond_all_times_is_a_reason_and_no_crash(tmp_path, text):
    found, bad, _ = bring(
        HEAD + f"show,1772359200,u,a\nshow,{text},u,a\n", tmp_path, replace(MAPPING, time_format="epoch_s")
    )
    assert len(found) == 1
    assert bad["reason"].tolist() == [f"ts '{text}' is not a time"]


def test_late_rows_keep_both_times_and_none_is_known_before_it_happened(tmp_path):
    mapping = replace(MAPPING, columns=COLUMNS | {"available_at": "known"})
    rows = ["2026-03-01 12:00:00", "", "2026-03-01 09:00:00"]
    text = HEAD.replace("\n", ",known\n") + "".join(GOOD.replace("\n", f",{known}\n") for known in rows)
    found, bad, _ = bring(text, tmp_path, mapping)
    assert (found["available_at"] - found["ts"]).tolist() == [pd.Timedelta("2h"), pd.Timedelta(0)]
    assert bad[["line", "reason"]].to_numpy().tolist() == [[4, "available_at lies before ts"]]


def test_units_currency_and_constants(tmp_path):
    mapping = replace(
        MAPPING,
        columns=COLUMNS | {"price": "fen"},
        constants={"policy": "house", "quantity": 2},
        units={"price": 0.01},
        currency=Currency("CNY", "money", {"USD": 7.0}),
    )
    rows = ["100,CNY", "100,USD", "100,EUR", "100,", ",", "50,CNY"]
    text = HEAD.replace("\n", ",fen,money\n") + "".join(GOOD.replace("\n", f",{row}\n") for row in rows)
    found, bad, said = bring(text, tmp_path, mapping)
    assert found["price"].fillna(-1).tolist() == pytest.approx([1.0, 7.0, -1, 0.5])
    assert bad["reason"].tolist() == [
        f"currency {name}: neither CNY nor one with a rate" for name in ("EUR", "missing")
    ]
    assert found["policy"].unique().tolist() == ["house"]
    assert found["quantity"].unique().tolist() == [2]
    assert said.currency == "CNY"


def test_ignored_events_are_counted_and_not_checked(tmp_path):
    found, bad, said = bring(HEAD + GOOD + "beat,never,,\n" * 3, tmp_path, replace(MAPPING, ignore=("beat",)))
    assert (len(found), len(bad), said.ignored) == (1, 0, {"beat": 3})
    assert said.read == said.kept + sum(said.ignored.values())


def test_a_row_that_repeats_what_names_it_is_rejected(tmp_path):
    mapping = replace(MAPPING, unique=("uuid",))
    text = HEAD.replace("\n", ",uuid\n") + "".join(GOOD.replace("\n", f",{key}\n") for key in ("x", "y", "x"))
    _, bad, said = bring(text, tmp_path, mapping)
    assert bad[["line", "reason"]].to_numpy().tolist() == [[4, "repeats uuid of a row above"]]
    assert said.reasons == {"repeats uuid of a row above": 1}


def test_an_event_id_that_is_given_is_kept_and_stands_once(tmp_path):
    mapping = replace(MAPPING, columns=COLUMNS | {"event_id": "id"})
    text = HEAD.replace("\n", ",id\n") + "".join(GOOD.replace("\n", f",{key}\n") for key in (9, 4, 9))
    found, bad, _ = bring(text, tmp_path, mapping)
    assert found["event_id"].tolist() == [4, 9]
    assert bad["line"].tolist() == [4]


def test_a_file_without_names_with_another_delimiter_and_encoding(tmp_path):
    mapping = replace(MAPPING, csv=CsvForm(delimiter=";", header=("act", "t", "u", "i"), encoding="gb18030"))
    text = "show;2026-03-01 10:00:00;用户;口红\nshow;never;用户;口红\n"
    found, bad, _ = bring(text.encode("gb18030"), tmp_path, mapping)
    assert found[["user_id", "item_id"]].to_numpy().tolist() == [["用户", "口红"]]
    assert bad["line"].tolist() == [2]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("named", [True, False])
def test_a_byte_order_mark_is_no_part_of_a_name_or_a_value(tmp_path, encoding, named):
    form = CsvForm(header=() if named else ("act", "t", "u", "i"), encoding=encoding)
    text = (HEAD if named else "") + GOOD.replace("u1", "ü") + "jump,,,\n"
    found, bad, _ = bring(text.encode(encoding), tmp_path, replace(MAPPING, csv=form))
    assert found[["event", "user_id"]].to_numpy().tolist() == [["impression", "ü"]]
    assert bad["line"].tolist() == [3 if named else 2]


def test_a_folder_with_partitions_packed_files_and_others(tmp_path):
    shop = tmp_path / "shop"
    for day in ("2026-03-01", "2026-03-02"):
        (shop / f"day={day}").mkdir(parents=True)
        with gzip.open(shop / f"day={day}" / "part.csv.gz", "wt") as file:
            file.write(f"act,u,i\nshow,{day},a\njump,{day},a\n")
    (shop / "_SUCCESS").write_text("")
    (shop / "notes.md").write_text("")
    mapping = replace(MAPPING, columns=COLUMNS | {"ts": "day"})
    (said,) = import_log([mapping], [shop], tmp_path / "log", max_rejected=0.5)
    found = events(tmp_path / "log")
    assert found["ts"].dt.strftime("%Y-%m-%d").tolist() == found["user_id"].tolist() == ["2026-03-01", "2026-03-02"]
    assert rejected(tmp_path / "log")["file"].tolist() == [
        f"day={day}/part.csv.gz" for day in ("2026-03-01", "2026-03-02")
    ]
    assert (said.files, said.skipped) == (2, ["notes.md"])
    import_log([mapping], [shop / "**" / "*.csv.gz"], tmp_path / "again", max_rejected=0.5)
    pd.testing.assert_frame_equal(events(tmp_path / "again"), found)


def test_several_mappings_fill_a_log_in_one_go(tmp_path):
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "shown.csv").write_text("t,u,i\n2026-03-01 10:00:00,u1,b\n2026-03-01 10:02:00,u1,a\n")
    (shop / "paid.csv").write_text("when,who,what,paid\n2026-03-01 10:01:00,u1,b,5\n")
    (shop / "goods.csv").write_text("sku,name,stars\nb,balm,4.5\na,aloe,\n")
    mine = {"ts": "t", "user_id": "u", "item_id": "i"}
    brought = import_log(
        [
            LogMapping(mine, files="shown*", constants={"event": "impression"}, time_zone="UTC"),
            LogMapping(
                {"ts": "when", "user_id": "who", "item_id": "what", "price": "paid"},
                files="paid*",
                constants={"event": "order"},
                time_zone="UTC",
            ),
            LogMapping(
                {"item_id": "sku", "title": "name", "stars": "stars"},
                "items",
                files="goods*",
                kinds={"stars": "number"},
            ),
        ],
        [shop],
        tmp_path / "log",
    )
    log = EventLog.read(tmp_path / "log")
    assert [part.kept for part in brought] == [2, 1, 2]
    assert log.impressions()[["item_id", "ordered", "revenue"]].to_numpy().tolist() == [
        ["b", True, 5.0],
        ["a", False, 0.0],
    ]
    items = log.engine.frame(log.items.order_by("item_id"))
    assert items[["item_id", "title", "stars"]].fillna(0).to_numpy().tolist() == [
        ["a", "aloe", 0.0],
        ["b", "balm", 4.5],
    ]


def test_items_of_events_are_the_last_that_was_known(tmp_path):
    mapping = replace(MAPPING, items={"title": "name"})
    rows = ["show,2026-03-01 10:00:00,u1,a,new", "show,2026-03-01 09:00:00,u1,a,old", "show,2026-03-01 11:00:00,u1,a,"]
    bring(HEAD.replace("\n", ",name\n") + "\n".join(rows), tmp_path, mapping)
    assert pd.read_parquet(tmp_path / "log" / "items.parquet").to_numpy().tolist() == [["a", "new"]]


def test_tables_that_no_mapping_fills_stay_and_the_filled_ones_are_replaced(tmp_path):
    bring(HEAD + GOOD + "jump,2026-03-01 10:00:00,u1,a\n", tmp_path)
    before = digest(tmp_path / "log")
    rooms = tmp_path / "rooms.csv"
    rooms.write_text(
        "room,kind,who,from,to\nr1,new,May,2026-03-01 20:00,2026-03-01 22:00\nr2,,May,2026-03-01,2026-03-02\n"
    )
    mapping = LogMapping(
        {"room_id": "room", "scene": "kind", "host": "who", "starts_at": "from", "ends_at": "to"}, "rooms"
    )
    import_log([mapping], [rooms], tmp_path / "log", max_rejected=0.5)
    after = digest(tmp_path / "log")
    assert {name: after.get(name) for name in before} == before
    assert after.keys() - before.keys() == {"rooms.parquet", "rejected/rooms.csv"}
    bring(HEAD + GOOD, tmp_path)
    assert digest(tmp_path / "log").keys() == after.keys() - {"rejected/events.csv"}


def random_shop(folder, rows=3000, seed=0):
    rng = np.random.default_rng(seed)
    folder.mkdir()
    for part in range(3):
        moments = pd.Timestamp("2026-03-01") + pd.to_timedelta(rng.integers(0, 3 * 86400, rows), unit="s")
        frame = pd.DataFrame(
            {"act": rng.choice(["show", "tap"], rows), "t": moments.astype(str), "u": rng.integers(0, 50, rows)}
        )
        frame.assign(i=rng.integers(0, 20, rows)).to_csv(folder / f"{part}.csv", index=False)


def test_twice_the_same_import_gives_the_same_bytes_with_any_number_of_threads(tmp_path):
    random_shop(tmp_path / "shop")
    digests = []
    for threads in (1, 2, 2):
        import_log([MAPPING], [tmp_path / "shop"], tmp_path / "log", threads=threads)
        digests.append(digest(tmp_path / "log"))
    assert digests[0] == digests[1] == digests[2]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    ids = events(tmp_path / "log")["event_id"]
    assert ids.tolist() == list(range(9000))


def test_a_log_that_is_sorted_first_is_the_same(tmp_path, monkeypatch):
    random_shop(tmp_path / "shop")
    sorted_first = []
    for limit in (1e9, 0):
        monkeypatch.setattr("beautyrec.data.log_files._SCATTERED", limit)
        import_log([MAPPING], [tmp_path / "shop"], tmp_path / "log", threads=2)
        sorted_first.append(digest(tmp_path / "log"))
    assert sorted_first[0] == sorted_first[1]


def test_progress_goes_up_to_the_end(tmp_path):
    random_shop(tmp_path / "shop", rows=100)
    calls = list[tuple[int, int]]()
    import_log([MAPPING], [tmp_path / "shop"], tmp_path / "log", on_progress=lambda *done: calls.append(done))
    done = [part for part, _ in calls]
    assert len({total for _, total in calls}) == 1
    assert done == sorted(done)
    assert len(done) == 3 + 3  # files, days
    assert done[-1] == calls[0][1]


def test_more_rejected_rows_than_allowed_fail_and_leave_the_log(tmp_path):
    bring(HEAD + GOOD, tmp_path)
    before = digest(tmp_path / "log")
    with pytest.raises(DataError, match=r"1 of 3 rows do not pass, more than 0.01.*line 3: event 'jump'"):
        bring(HEAD + GOOD + "jump,2026-03-01 10:00:00,u1,a\n" + GOOD, tmp_path, max_rejected=0.01)
    after = digest(tmp_path / "log")
    assert {name: after[name] for name in before} == before
    assert pd.read_csv(tmp_path / "log" / "rejected" / "events-failed.csv")["line"].tolist() == [3]
    bring(HEAD + GOOD, tmp_path)
    assert digest(tmp_path / "log") == before


def test_a_share_of_exactly_the_bound_passes(tmp_path):
    _, bad, _ = bring(HEAD + GOOD * 99 + "jump,2026-03-01 10:00:00,u1,a\n", tmp_path, max_rejected=0.01)
    assert len(bad) == 1


@pytest.mark.parametrize("wait", [0.05, 0.4, 0.8])
def test_a_killed_import_leaves_the_log_as_it_was(tmp_path, wait):
    bring(HEAD + GOOD, tmp_path)
    before = digest(tmp_path / "log")
    random_shop(tmp_path / "shop", rows=40_000)
    code = (
        "import sys; from beautyrec.data.mapping import LogMapping; from beautyrec.data.reading import import_log\n"
        f"mapping = LogMapping({COLUMNS!r}, event_names={{'impression': ('show',), 'click': ('tap',)}}, items={{}})\n"
        "print('go', flush=True)\n"
        "while True: import_log([mapping], [sys.argv[1]], sys.argv[2], threads=1, on_progress=lambda *_: print(1, flush=True))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "shop"), str(tmp_path / "log")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for _ in range(2):
        process.stdout.readline()
    time.sleep(wait)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    found = digest(tmp_path / "log")
    import_log([replace(MAPPING, time_zone="")], [tmp_path / "shop"], tmp_path / "whole", threads=1)
    assert found in (before, digest(tmp_path / "whole"))


def test_what_is_wrong_with_files_is_said(tmp_path):
    with pytest.raises(SourceError, match=r"'.*none.csv' is not there"):
        import_log([MAPPING], [tmp_path / "none.csv"], tmp_path / "log")
    with pytest.raises(SourceError, match="no files of table events"):
        import_log([MAPPING], [tmp_path], tmp_path / "log")
    with pytest.raises(SchemaError, match=r"events.csv': columns \['i', 'u'\] are missing. It has \['act', 't'\]"):
        bring("act,t\nshow,2026-03-01\n", tmp_path)
    with pytest.raises(SourceError, match="is empty"):
        bring("", tmp_path)
    with pytest.raises(SourceError, match="have no rows"):
        bring(HEAD, tmp_path)
    with pytest.raises(SourceError, match="more than once"):
        bring("act,t,t,i\n", tmp_path)
    with pytest.raises(SourceError, match="cannot be read as csv"):
        bring(gzip.compress((HEAD + GOOD * 100).encode())[:60], tmp_path, name="events.csv.gz")
    with pytest.raises(SourceError, match="cannot be read as parquet"):
        bring("PAR1", tmp_path, name="events.parquet")
    with pytest.raises(SourceError, match="does not tell the format"):
        bring(HEAD, tmp_path, name="events.dat")
    with pytest.raises(SourceError, match="there is no 'utf-99'"):
        bring(HEAD, tmp_path, replace(MAPPING, csv=CsvForm(encoding="utf-99")))
    with pytest.raises(DataError, match="of 1 rows none is left: 1 are rejected, most of them as event"):
        bring(HEAD + "jump,,,\n", tmp_path)
    assert not (tmp_path / "log").exists()


def test_a_folder_with_other_things_is_not_written_over(tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "thesis.txt").write_text("years of work")
    with pytest.raises(SourceError, match=r"'thesis\.txt'"):
        bring(HEAD + GOOD, tmp_path)


def test_mappings_that_do_not_go_together(tmp_path):
    with pytest.raises(ConfigError, match="there is no mapping"):
        import_log([], [tmp_path], tmp_path / "log")
    with pytest.raises(ConfigError, match="fills the table items"):
        import_log([MAPPING, LogMapping({"item_id": "i"}, "items")], [tmp_path], tmp_path / "log")
    with pytest.raises(ConfigError, match="'item_id' is there in some mappings only"):
        import_log(
            [LogMapping(COLUMNS), LogMapping({"item_id": "i"}, "items", integer_ids=("item_id",))],
            [tmp_path],
            tmp_path / "log",
        )
    with pytest.raises(ConfigError, match="event_id"):
        import_log(
            [replace(MAPPING, items=None), LogMapping(COLUMNS | {"event_id": "id"})], [tmp_path], tmp_path / "log"
        )


def test_shelves_that_do_not_sum_to_one_are_refused(tmp_path):
    mapping = LogMapping({"room_id": "r", "item_id": "i", "draw_probability": "p"}, "shelves")
    (tmp_path / "shelves.csv").write_text("r,i,p\n1,a,0.5\n1,b,0.4\n")
    with pytest.raises(SchemaError, match="does not sum to 1"):
        import_log([mapping], [tmp_path / "shelves.csv"], tmp_path / "log")
    assert not (tmp_path / "log").exists()


@pytest.mark.shared
def test_the_cut_line_of_the_taobao_sample_is_one_rejected_row(shared_data, tmp_path):
    mapping = read_mapping(CONFIGS / "taobao-userbehavior.toml")
    (said,) = import_log([mapping], [shared_data / "taobao-userbehavior-sample"], tmp_path / "log")
    assert (said.read, said.kept, said.rejected) == (84_476, 84_475, 1)
    bad = rejected(tmp_path / "log")
    assert bad[["file", "line"]].to_numpy().tolist() == [["UserBehavior-first-84k.csv.gz", 84_476]]
    assert bad["text"].tolist() == ["100370,1968385,1875258,pv"]
    assert EventLog.read(tmp_path / "log").describe()["events"] == {
        "cart": 4_497,
        "favourite": 2_356,
        "view": 75_872,
        "order": 1_750,
    }


@pytest.mark.shared
def test_the_rees46_sample_imports(shared_data, tmp_path):
    mapping = read_mapping(CONFIGS / "rees46.toml")
    (said,) = import_log([mapping], [shared_data / "rees46-cosmetics-sample"], tmp_path / "log")
    assert (said.files, said.read, said.rejected) == (5, 4_995, 0)
    assert said.kept + said.ignored["remove_from_cart"] == 4_995


@pytest.mark.shared
def test_beauty_imports_whole_with_the_catalogue_and_each_users_order_is_kept(shared_data, tmp_path):
    folder = shared_data / "amazon-beauty-2014"
    mappings = [read_mapping(CONFIGS / f"amazon-beauty-{table}.toml") for table in ("events", "items")]
    brought = import_log(mappings, [folder], tmp_path / "log")
    assert [(part.kept, part.rejected) for part in brought] == [(198_502, 0), (12_101, 0)]
    found = events(tmp_path / "log").sort_values(["user_id", "event_id"])
    source = pd.read_parquet(folder / "interactions.parquet").sort_values(["user_id", "pos"])
    assert found["item_id"].tolist() == source["item_id"].tolist()


def test_the_page_about_bringing_a_log_is_right(tmp_path):
    page = (CONFIGS.parents[1] / "docs" / "bring-your-own-log.md").read_text(encoding="utf-8")
    rows, mapping = (page.split(f"```{kind}\n", 1)[1].split("```", 1)[0] for kind in ("text", "toml"))
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "part-1.csv").write_text(rows)
    (tmp_path / "events.toml").write_text(mapping)
    (said,) = import_log([read_mapping(tmp_path / "events.toml")], [tmp_path], tmp_path / "log")
    assert (said.kept, said.rejected) == (3, 0)
    shown = EventLog.read(tmp_path / "log").impressions()
    assert shown[["clicked", "ordered", "revenue"]].to_numpy().tolist() == [[True, True, 129.0]]


def test_the_example_mapping_reads_what_it_describes(tmp_path):
    (tmp_path / "events").mkdir()
    row = {"action": "pay", "happened": "2026-03-01 20:00", "arrived": "2026-03-01 20:05", "viewer": 7, "sku": "s1"}
    row |= {"page_view": "p", "room": "r", "slot": 2, "chance": 0.25, "price_fen": 1000, "pieces": 3, "money": "USD"}
    row |= {"sku_title": "serum", "sku_category": "NULL", "uuid": "x"}
    rows = [row, row | {"uuid": "y", "action": "heartbeat"}, row | {"uuid": "z", "action": "show"}]
    (tmp_path / "events" / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (said,) = import_log([read_mapping(CONFIGS / "example-events.toml")], [tmp_path], tmp_path / "log")
    assert (said.kept, said.rejected, said.ignored) == (2, 0, {"heartbeat": 1})
    paid = events(tmp_path / "log").iloc[0]
    assert (paid["event"], paid["user_id"], paid["quantity"], paid["policy"]) == ("order", 7, 3, "house")
    assert paid["price"] == pytest.approx(71.0)
    assert (paid["ts"], paid["available_at"]) == tuple(pd.to_datetime(["2026-03-01T12:00Z", "2026-03-01T12:05Z"]))
    assert pd.read_parquet(tmp_path / "log" / "items.parquet")["category"].isna().all()


def test_paths_may_have_any_letters(tmp_path):
    folder = tmp_path / "it's [a] *shop?"
    folder.mkdir()
    found, bad, _ = bring(HEAD + GOOD + "jump,,,\n", folder)
    assert (len(found), bad["line"].tolist()) == (1, [3])
    import_log([MAPPING], [folder / "events.csv"], tmp_path / "b", max_rejected=0.5)
    pd.DataFrame({"act": ["show"], "t": ["2026-03-01"], "u": ["u"], "i": ["a"]}).to_parquet(folder / "e.parquet")
    import_log([MAPPING], [folder / "e.parquet"], folder / "c")
    assert len(events(folder / "c")) == 1
