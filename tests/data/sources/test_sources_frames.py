from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.data.sources.frames import (
    REJECTED,
    SourceFrames,
    all_rejected,
    by_time,
    check_share,
    first_each,
    from_epoch,
    one_each,
    rejected_rows,
    renamed,
)
from beautyrec.errors import SchemaError


@given(st.lists(st.integers(0, 3), max_size=20))
def test_events_of_one_time_stay_in_their_order(seconds):
    table = pa.table({"ts": from_epoch(pa.chunked_array([seconds], pa.int64()), "s"), "row": np.arange(len(seconds))})
    events = by_time(table).to_pydict()
    assert events["row"] == sorted(range(len(seconds)), key=lambda row: (seconds[row], row))
    assert events["event_id"] == list(range(len(seconds)))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([None, "a", "b"])), min_size=1, max_size=20))
def test_the_first_value_there_is(rows):
    table = pa.table({"brand": pa.array([brand for _, brand in rows], pa.string()), "id": [key for key, _ in rows]})
    expected = {key: next((b for k, b in rows if k == key and b is not None), None) for key, _ in rows}
    assert first_each(table, "id").to_pylist() == [{"id": key, "brand": expected[key]} for key in sorted(expected)]


def test_names_of_events_and_pieces_of_orders():
    names = renamed(pa.chunked_array([["buy", "look", None, "pv"]]), {"pv": "view", "buy": "order"})
    assert names.to_pylist() == ["order", None, None, "view"]
    assert one_each(pa.table({"event": ["order", "view"]}), "order").to_pydict()["quantity"] == [1, None]


@pytest.mark.parametrize(
    ("rows", "most", "passes"), [(100, 0.01, True), (99, 0.01, False), (1, 1.0, True), (0, 0.5, False)]
)
def test_a_share_is_reached_but_not_passed(tmp_path, rows, most, passes):
    rejected = rejected_rows(tmp_path / "a.csv", [7], ["no item"], ["1,,3"])
    if passes:
        check_share(tmp_path / "a.csv", rejected, rows, most)
    else:
        with pytest.raises(SchemaError, match=rf"a\.csv: 1 of {rows} rows are damaged, .*line 7, no item, in '1,,3'\)"):
            check_share(tmp_path / "a.csv", rejected, rows, most)


def test_reasons_are_counted_by_file_the_most_first(tmp_path):
    tables = [
        rejected_rows(tmp_path / "b.csv", [3, 2], ["cut", "cut"], ["", ""]),
        rejected_rows(tmp_path / "a.csv", [9], ["cut"], [""]),
    ]
    nothing = pa.table({})
    source = SourceFrames(nothing, nothing, all_rejected(tables))
    assert source.rejected.schema == REJECTED
    assert source.rejected.to_pydict()["line"] == [2, 3, 9]
    assert source.reasons().to_dict("records") == [
        {"file": str(tmp_path / "b.csv"), "reason": "cut", "rows": 2},
        {"file": str(tmp_path / "a.csv"), "reason": "cut", "rows": 1},
    ]
    assert SourceFrames(nothing, nothing, all_rejected([])).reasons().empty
