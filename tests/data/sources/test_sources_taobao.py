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
    log = read_taobao(written(tmp_path, LINES))
    events = log.engine.frame(log.events.order_by("event_id"))
    assert events["event"].tolist() == ["order", "view", "cart", "favourite"]
    assert events["user_id"].tolist() == [2, 1, 1, 2]
    assert events["ts"].iloc[0] == pd.Timestamp(1511544060, unit="s", tz="UTC")
    assert events["quantity"].fillna(0).tolist() == [1, 0, 0, 0]
    items = log.engine.frame(log.items.order_by("item_id"))
    assert items[["item_id", "category"]].to_numpy().tolist() == [[10, "7"], [11, "8"]], "the first category is kept"


def test_a_last_line_that_is_cut_is_left_out_and_gzip_is_read(tmp_path):
    with gzip.open(tmp_path / "UserBehavior-part.csv.gz", "wt") as file:
        file.write("\n".join([*LINES, "3,12,9,p"]))
    assert read_taobao(tmp_path).describe()["events"] == {"view": 1, "cart": 1, "favourite": 1, "order": 1}


@pytest.mark.parametrize(
    ("lines", "error", "message"),
    [
        ([LINES[0], "3,12", LINES[1]], SchemaError, r"1 of 3 lines do not have 5 values \(first: line 2\)"),
        (["1,10,7,look,1511544070"], SchemaError, "'event': 1 of 1 rows are not one of"),
        (["1,10,7,pv,soon"], SourceError, "cannot be read as CSV"),
    ],
)
def test_damage_elsewhere_is_named(tmp_path, lines, error, message):
    with pytest.raises(error, match=message):
        read_taobao(written(tmp_path, lines))


def test_parquet_needs_its_columns(tmp_path):
    pd.DataFrame({"user_id": [1], "ts": [1511544070]}).to_parquet(tmp_path / "events.parquet")
    with pytest.raises(SchemaError, match="'item_id', 'category_id', 'event'"):
        read_taobao(tmp_path)
    with pytest.raises(SourceError, match="holds neither"):
        read_taobao(tmp_path / "nothing")


@pytest.mark.shared
def test_the_sample_reads_alike_from_both_formats(shared_data, tmp_path):
    folder = shared_data / "taobao-userbehavior-sample"
    (tmp_path / "UserBehavior.csv.gz").write_bytes(next(folder.glob("*.csv.gz")).read_bytes())
    one, other = read_taobao(folder), read_taobao(tmp_path)
    assert one.describe() == other.describe()
    assert one.describe()["events"] == {"view": 75_872, "cart": 4_497, "favourite": 2_356, "order": 1_750}
