from __future__ import annotations

import gzip

import pandas as pd
import pytest

from beautyrec.data.sources.taobao import read_taobao
from beautyrec.errors import SchemaError, SourceError

LINES = ["1,10,7,pv,1511544070", "1,11,8,cart,1511544075", "2,10,7,buy,1511544060", "2,11,9,fav,1511544099"]


def written(folder, lines, name="UserBehavior.csv", end="\n"):
    (folder / name).write_text("\n".join(lines) + end)
    return folder


def test_the_publishers_lines_become_a_log(tmp_path):
    source = read_taobao(written(tmp_path, LINES))
    events = source.events.to_pandas()
    assert events["event_id"].tolist() == [0, 1, 2, 3]
    assert events["event"].tolist() == ["order", "view", "cart", "favourite"]
    assert events["user_id"].tolist() == [2, 1, 1, 2]
    assert events["ts"].iloc[0] == pd.Timestamp(1511544060, unit="s", tz="UTC")
    assert events["quantity"].fillna(0).tolist() == [1, 0, 0, 0]
    items = source.items.to_pylist()
    assert items == [{"item_id": 10, "category": "7"}, {"item_id": 11, "category": "8"}], "the first category is kept"
    assert source.rejected.num_rows == 0
    assert source.log().describe()["events"] == {"view": 1, "cart": 1, "favourite": 1, "order": 1}


def test_a_last_line_that_is_cut_is_a_rejected_row_with_its_line(tmp_path):
    path = tmp_path / "UserBehavior-part.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write("\n".join([*LINES, "3,12,9,p"]))
    source = read_taobao(tmp_path, max_rejected=0.2)
    assert source.events.num_rows == 4
    assert source.rejected.to_pylist() == [
        {"file": str(path), "line": 5, "reason": "too few values", "text": "3,12,9,p"}
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("3,12", "too few values"),
        ("1,10,7,look,1511544070", "event is not one of pv, cart, fav, buy"),
        ("1,10,7,pv,soon", "ts is not a whole number"),
        ("1,10,7,pv,-2134949234", "the time is not seconds of 1970 to 2100"),
        ("x,10,7,pv,1511544070", "user_id is not a whole number"),
    ],
)
def test_damage_anywhere_is_named(tmp_path, line, why):
    written(tmp_path, [LINES[0], line, LINES[1]])
    rejected = read_taobao(tmp_path, max_rejected=0.5).rejected.to_pylist()
    assert [(row["line"], row["reason"]) for row in rejected] == [(2, why)]
    with pytest.raises(SchemaError, match=r"1 of 3 rows are damaged, more than 0.01 of them \(first: line 2"):
        read_taobao(tmp_path)


def test_parquet_needs_its_columns_and_names(tmp_path):
    pd.DataFrame({"user_id": [1], "ts": [1511544070]}).to_parquet(tmp_path / "events.parquet")
    with pytest.raises(SchemaError, match="'item_id', 'category_id', 'event'"):
        read_taobao(tmp_path)
    row = {"user_id": [1], "item_id": [2], "category_id": [3], "event": ["look"], "ts": [1511544070]}
    pd.DataFrame(row).to_parquet(tmp_path / "events.parquet")
    with pytest.raises(SchemaError, match="'event': 1 of 1 rows are not one of"):
        read_taobao(tmp_path)


def test_one_file_is_needed_and_no_more(tmp_path):
    with pytest.raises(SourceError, match="holds neither"):
        read_taobao(tmp_path / "nothing")
    for name in ("UserBehavior.csv", "UserBehavior-part.csv"):
        written(tmp_path, LINES, name)
    with pytest.raises(SourceError, match="holds 2 files"):
        read_taobao(tmp_path)


@pytest.mark.shared
def test_the_cut_last_line_of_the_sample_is_one_rejected_row(shared_data, tmp_path):
    folder = shared_data / "taobao-userbehavior-sample"
    source = read_taobao(folder)
    with gzip.open(next(folder.glob("*.csv.gz")), "rt") as file:
        lines = file.read().splitlines()
    [row] = source.rejected.to_pylist()
    assert (row["line"], row["reason"], row["text"]) == (len(lines), "too few values", lines[-1])
    assert row["line"] == 84_476
    log = source.log()
    assert log.describe()["events"] == {"view": 75_872, "cart": 4_497, "favourite": 2_356, "order": 1_750}
    (tmp_path / "events.parquet").write_bytes((folder / "events.parquet").read_bytes())
    assert read_taobao(tmp_path).log().describe() == log.describe()
