from __future__ import annotations

import gzip

import pandas as pd
import pytest

from beautyrec.data.sources.retailrocket import read_retailrocket
from beautyrec.errors import SchemaError, SourceError

MS = 1_433_221_332_000
EVENTS = f"""timestamp,visitorid,event,itemid,transactionid
{MS + 2117},257597,view,355908,
{MS},992329,transaction,248676,4000
{MS + 5},992329,addtocart,248676,
"""
PROPERTIES = f"""timestamp,itemid,property,value
{MS + 9},248676,categoryid,13
{MS},248676,categoryid,12
{MS},248676,available,1
{MS},460429,790,n15360.000
{MS},460429,categoryid,1
"""
TREE = "categoryid,parentid\n1,\n11,1\n12,11\n13,1\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "events.csv").write_text(EVENTS)
    (tmp_path / "item_properties_part1.csv").write_text(PROPERTIES)
    with gzip.open(tmp_path / "item_properties_part2.csv.gz", "wt") as file:
        file.write(f"timestamp,itemid,property,value\n{MS + 4},248676,available,0\n")
    (tmp_path / "category_tree.csv").write_text(TREE)
    return tmp_path


def test_events_by_time(folder):
    source = read_retailrocket(folder)
    events = source.events.to_pandas()
    assert events["event"].tolist() == ["order", "cart", "view"]
    assert events["user_id"].tolist() == [992329, 992329, 257597]
    assert events["quantity"].fillna(0).tolist() == [1, 0, 0]
    assert events["ts"].iloc[2] == pd.Timestamp(MS + 2117, unit="ms", tz="UTC")
    assert source.rejected.num_rows == 0
    assert source.log().describe()["events"] == {"cart": 1, "view": 1, "order": 1}


def test_items_have_the_first_category_and_its_path(folder):
    items = read_retailrocket(folder).items.to_pandas().set_index("item_id")
    assert items.index.tolist() == [248676, 355908, 460429]
    assert items["category"].fillna("-").tolist() == ["12", "-", "1"]
    assert items["category_path"].fillna("-").tolist() == ["1|11|12", "-", "1"]


def test_properties_say_from_when_they_were_known(folder):
    changes = read_retailrocket(folder).beside["properties"].to_pandas()
    expected = [
        (248676, 0, "categoryid", "12"),
        (248676, 0, "available", "1"),
        (248676, 4, "available", "0"),
        (248676, 9, "categoryid", "13"),
        (460429, 0, "categoryid", "1"),
    ]
    after = (changes["available_at"] - pd.Timestamp(MS, unit="ms", tz="UTC")).dt.total_seconds() * 1000
    assert list(zip(changes["item_id"], after, changes["property"], changes["value"], strict=True)) == expected


def test_events_alone_give_items_without_categories(tmp_path):
    (tmp_path / "events.csv").write_text(EVENTS)
    assert read_retailrocket(tmp_path).items.to_pydict()["item_id"] == [248676, 355908]


@pytest.mark.parametrize(
    ("file", "line", "why"),
    [
        ("events", f"{MS},1,look,2,", "event is not one of view, addtocart, transaction"),
        ("events", f"{MS},,view,2,", "no visitorid"),
        ("events", f"{MS // 1000}x,1,view,2,", "timestamp is not a whole number"),
        ("events", f"{MS * 1000},1,view,2,", "timestamp is not milliseconds of 1990 to 2100"),
        ("item_properties_part1", f"{MS},1,categoryid,", "no value"),
        ("item_properties_part1", f"{MS},1", "too few values"),
        ("category_tree", "x,1", "categoryid is not a whole number"),
    ],
)
def test_a_damaged_row_is_named_with_its_line(folder, file, line, why):
    path = folder / f"{file}.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, line, ""]))
    rejected = read_retailrocket(folder, max_rejected=0.3).rejected.to_pylist()
    assert [(row["file"], row["line"], row["reason"]) for row in rejected] == [(str(path), len(lines) + 1, why)]
    with pytest.raises(SchemaError, match=rf"{file}\.csv: 1 of \d rows are damaged"):
        read_retailrocket(folder)


def test_a_tree_that_goes_in_a_circle(folder):
    (folder / "category_tree.csv").write_text("categoryid,parentid\n1,2\n2,1\n3,\n")
    with pytest.raises(SchemaError, match=r"category_tree: 2 of 3 categories have no root.*first: 1"):
        read_retailrocket(folder)


def test_absent_empty_and_cut_files(tmp_path):
    with pytest.raises(SourceError, match=r"holds no 'events\.csv'"):
        read_retailrocket(tmp_path)
    (tmp_path / "events.csv").write_text("")
    with pytest.raises(SourceError, match="is empty"):
        read_retailrocket(tmp_path)
    (tmp_path / "events.csv").write_text("timestamp,visitorid,event\n1,2,view\n")
    with pytest.raises(SchemaError, match=r"columns \['itemid'\] are missing"):
        read_retailrocket(tmp_path)
