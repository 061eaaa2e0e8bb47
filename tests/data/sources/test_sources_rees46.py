from __future__ import annotations

import gzip

import pandas as pd
import pytest

from beautyrec.data.log import EventLog
from beautyrec.data.sources.rees46 import read_rees46
from beautyrec.errors import SchemaError, SourceError

HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"
NOVEMBER = [
    "2019-11-01 00:00:02 UTC,view,5802432,1487580009286598681,,,0.32,562076640,09fafd6c-6c99-46b1-834f-33527f4de241",
    "2019-11-01 00:00:09 UTC,cart,5844397,1487580006317032337,,,2.38,553329724,2067216c-31b5-455d-a1cc-af0575a34ffb",
    "2019-11-01 00:00:10 UTC,remove_from_cart,5844397,1487580006317032337,,,2.38,553329724,2067216c",
]
OCTOBER = [
    "2019-10-31 23:59:59 UTC,purchase,5802432,1487580009286598681,appliances.environment.vacuum,runail,0.32,1,s",
    "2019-10-31 23:59:58 UTC,view,5802432,1487580009286598681,,,,2,s",
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "2019-Nov.csv").write_text("\n".join([HEADER, *NOVEMBER]))
    with gzip.open(tmp_path / "2019-Oct.csv.gz", "wt") as file:
        file.write("\n".join([HEADER, *OCTOBER, ""]))
    return tmp_path


def test_months_plain_and_gz_become_events_in_order_of_time(folder):
    source = read_rees46(folder)
    events = source.events.to_pandas()
    assert events["event_id"].tolist() == [0, 1, 2, 3]
    assert events["event"].tolist() == ["view", "order", "view", "cart"]
    assert events["user_id"].tolist() == [2, 1, 562076640, 553329724]
    assert events["ts"].iloc[1] == pd.Timestamp("2019-10-31T23:59:59Z")
    assert events["price"].fillna(-1).tolist() == [-1, 0.32, 0.32, 2.38]
    assert events["quantity"].fillna(0).tolist() == [0, 1, 0, 0]
    assert source.rejected.num_rows == 0
    assert source.log().describe()["events"] == {"cart": 1, "view": 2, "order": 1}


def test_what_left_the_cart_is_kept_beside(folder):
    removed = read_rees46(folder).beside["remove_from_cart"].to_pylist()
    assert removed == [
        {"ts": pd.Timestamp("2019-11-01T00:00:10Z"), "user_id": 553329724, "item_id": 5844397, "price": 2.38}
    ]


def test_an_item_has_the_first_value_there_is(folder):
    items = read_rees46(folder).items.to_pylist()
    assert items == [
        {
            "item_id": 5802432,
            "category": "1487580009286598681",
            "brand": "runail",
            "category_path": "appliances|environment|vacuum",
        },
        {"item_id": 5844397, "category": "1487580006317032337", "brand": None, "category_path": None},
    ]


def test_a_catalogue_of_its_own(tmp_path):
    (tmp_path / "data_2022_nov.csv").write_text(
        "event_time,event_type,product_id,price,user_id,user_session\n2022-11-01 00:00:00 UTC,view,7,1.5,9,s\n"
    )
    (tmp_path / "item.csv").write_text("product_id,category_id,category_code,brand\n7,,,\n8,12,,cnd\n7,11,,\n")
    items = read_rees46(tmp_path).items.to_pandas()
    assert items["item_id"].tolist() == [7, 8]
    assert items["category"].tolist() == ["11", "12"]
    assert read_rees46(tmp_path).log().describe()["items"] == 2


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("2019-11-01 00:00:02 UTC,view,x,1,,,0.32,5,s", "product_id is not a whole number"),
        ("2019-11-01 00:00:02 UTC,view,1.5,1,,,0.32,5,s", "product_id is not a whole number"),
        ("2019-11-01 00:00:02 UTC,view,1,1,,,inf,5,s", "price is not a number"),
        ("yesterday,view,1,1,,,0.32,5,s", "event_time is not a time"),
        (
            "2019-11-01 00:00:02 UTC,look,1,1,,,0.32,5,s",
            "event_type is not one of view, cart, purchase, remove_from_cart",
        ),
        ("2019-11-01 00:00:02 UTC,view,1,1,,,cheap,5,s", "price is not a number"),
        ("2019-11-01 00:00:02 UTC,view,1,1,,,-79.37,5,s", "price below 0"),
        ("2019-11-01 00:00:02 UTC,view,1,1,,,0.32,,s", "no user_id"),
        ("2019-11-01 00:00:02 UTC,view,1", "too few values"),
        ("2019-11-01 00:00:02 UTC,view,1,1,,,0.32,5,s,more", "too many values"),
    ],
)
def test_a_damaged_row_is_named_with_its_line(tmp_path, line, why):
    path = tmp_path / "2019-Nov.csv"
    path.write_text("\n".join([HEADER, NOVEMBER[0], line, NOVEMBER[1], ""]))
    source = read_rees46(tmp_path, max_rejected=0.5)
    assert source.events.num_rows == 2
    rejected = source.rejected.to_pylist()
    assert [(row["file"], row["line"], row["reason"]) for row in rejected] == [(str(path), 3, why)]
    assert source.reasons().to_dict("records") == [{"file": str(path), "reason": why, "rows": 1}]
    with pytest.raises(
        SchemaError, match=r"Nov\.csv: 1 of 3 rows are damaged, more than 0\.01 of them \(first: line 3, .*original"
    ):
        read_rees46(tmp_path)


def test_lines_of_rules_and_of_damage_do_not_shift_each_other(tmp_path):
    good, rule, damage = NOVEMBER[0], NOVEMBER[0].replace("0.32", "-1"), "cut"
    lines = [damage, rule, good, damage, damage, rule, rule, good, damage]
    (tmp_path / "a.csv").write_text("\n".join([HEADER, *lines, ""]))
    rejected = read_rees46(tmp_path, max_rejected=1).rejected.to_pydict()
    expected = [(2 + place, line) for place, line in enumerate(lines) if line != good]
    assert rejected["line"] == [number for number, _ in expected]
    assert [why == "price below 0" for why in rejected["reason"]] == [line == rule for _, line in expected]


def test_absent_empty_and_cut_files(tmp_path):
    with pytest.raises(SourceError, match="holds no CSV file with the column 'event_type'"):
        read_rees46(tmp_path)
    path = tmp_path / "a.csv"
    path.write_text("")
    with pytest.raises(SourceError, match=r"a\.csv' is empty"):
        read_rees46(tmp_path)
    path.write_text(f"{HEADER}\n")
    with pytest.raises(SourceError, match=r"a\.csv' has no sound rows"):
        read_rees46(tmp_path)
    path.write_text("event_time,event_type,product_id,user_id\n2019-11-01 00:00:02 UTC,view,1,2\n")
    with pytest.raises(SchemaError, match=r"columns \['price'\] are missing; it has \['event_time'"):
        read_rees46(tmp_path)
    path.rename(tmp_path / "a.csv.gz")
    with pytest.raises(SourceError, match="cannot be read as CSV"):
        read_rees46(tmp_path)


def test_the_five_real_months_and_their_catalogue(shared_data, tmp_path):
    folder = shared_data / "rees46-cosmetics-sample"
    if not folder.is_dir():
        pytest.skip(f"needs the REES46 sample ('{folder}' is not there)")
    source = read_rees46(folder)
    assert source.rejected.num_rows == 0
    assert source.events.num_rows + source.beside["remove_from_cart"].num_rows == 5 * 999
    assert source.items.num_rows == 54_043
    log = source.log()
    assert log.describe()["events"] == {"cart": 1300, "view": 2321, "order": 323}
    log.write(tmp_path / "log")
    assert EventLog.read(tmp_path / "log").describe() == log.describe()
