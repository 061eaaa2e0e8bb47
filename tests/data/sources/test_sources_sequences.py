from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from beautyrec.data.sources.sequences import read_sequences
from beautyrec.errors import SchemaError, SourceError

SEQUENCES = {1: [2, 3, 4], 2: [5], 3: [3, 3, 9]}


def one_line_a_user():
    return "".join(f"{user} {' '.join(map(str, items))}\n" for user, items in SEQUENCES.items())


def one_line_an_item():
    return "".join(f"{user} {item}\n" for user, items in SEQUENCES.items() for item in items)


def by_user(source):
    events = source.events.to_pandas()
    return {user: rows["item_id"].tolist() for user, rows in events.groupby("user_id")}


@pytest.mark.parametrize("text", [one_line_a_user(), one_line_an_item(), one_line_a_user().replace(" ", "\t").rstrip()])
def test_both_layouts_give_the_sequences(tmp_path, text):
    path = tmp_path / "Beauty.txt"
    path.write_text(text)
    source = read_sequences(path)
    assert by_user(source) == SEQUENCES
    assert source.items.to_pydict()["item_id"] == [2, 3, 4, 5, 9]
    assert source.rejected.num_rows == 0
    assert source.log().describe()["events"] == {"order": 7}


def test_times_say_the_place_in_the_sequence(tmp_path):
    path = tmp_path / "Beauty.txt.gz"
    with gzip.open(path, "wt") as file:
        file.write(one_line_a_user())
    events = read_sequences(path, start="2020-01-01T00:00+08:00", step="1h", event="click").events.to_pandas()
    place = events.groupby("user_id").cumcount()
    expected = pd.Timestamp("2019-12-31T16:00Z") + place * pd.Timedelta("1h")
    assert (events["ts"] == expected).all()
    assert (events["event"] == "click").all()
    assert events["quantity"].isna().all()


def test_damaged_lines_are_named_and_blank_ones_do_not_count(tmp_path):
    path = tmp_path / "Beauty.txt"
    path.write_text("1 2\n\n3\n4 x 5\n 6 7 8 \n")
    source = read_sequences(path, max_rejected=0.5)
    assert by_user(source) == {1: [2], 6: [7, 8]}
    assert source.rejected.to_pydict() == {
        "file": [str(path)] * 2,
        "line": [3, 4],
        "reason": ["no item", "a value is not a whole number"],
        "text": ["3", "4 x 5"],
    }
    with pytest.raises(
        SchemaError, match=r"2 of 4 rows are damaged, more than 0\.4 of them \(first: line 3, no item, in '3'\)"
    ):
        read_sequences(path, max_rejected=0.4)


@pytest.mark.parametrize(
    ("text", "says"), [("", "is empty"), ("\n\n", "has no rows"), ("1 2\n\xff\n", "cannot be read")]
)
def test_files_without_sequences(tmp_path, text, says):
    path = tmp_path / "Beauty.txt"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SourceError, match=says):
        read_sequences(path)


def test_an_absent_file_and_one_that_is_no_gz(tmp_path):
    with pytest.raises(SourceError, match="is not there"):
        read_sequences(tmp_path / "Beauty.txt")
    (tmp_path / "Beauty.txt.gz").write_text("1 2\n")
    with pytest.raises(SourceError, match="cannot be read"):
        read_sequences(tmp_path / "Beauty.txt.gz")


def test_a_step_of_no_length_is_refused(tmp_path):
    (tmp_path / "Beauty.txt").write_text("1 2\n")
    with pytest.raises(SchemaError, match="step"):
        read_sequences(tmp_path / "Beauty.txt", step="0s")


def test_beauty_as_sequence_text(shared_data, tmp_path):
    table = pq.read_table(shared_data / "amazon-beauty-2014" / "interactions.parquet").to_pandas()
    table = table.sort_values(["user_id", "pos"], kind="stable")
    table[["user_id", "item_id"]].to_csv(tmp_path / "beauty.txt", sep=" ", header=False, index=False)
    source = read_sequences(tmp_path / "beauty.txt")
    assert source.events.num_rows == 198_502
    events = source.events.to_pandas().sort_values(["user_id", "ts"])
    np.testing.assert_array_equal(events["item_id"], table["item_id"])
    assert (len(source.items), events["user_id"].nunique()) == (12_101, 22_363)
