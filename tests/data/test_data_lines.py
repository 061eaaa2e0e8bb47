from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beautyrec.data.lines import TextForm, lines_of, records


def by_hand(text):
    """Line and blankness of each record, as Python's reader has them."""
    reader = csv.reader(io.StringIO(text, newline=""))
    line, found = 1, []
    for record in reader:
        found.append((line, not record))
        line = reader.line_num + 1
    return found


def cut(data, places):
    places = sorted({place % (len(data) + 1) for place in places})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


fields = st.text(alphabet='ab,"\n', max_size=5)
tables = st.lists(st.lists(fields, min_size=1, max_size=3) | st.just([]), max_size=12)


@given(tables, st.lists(st.integers(0, 200), max_size=4), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_records_are_those_of_pythons_reader_however_the_text_is_cut(rows, places, end, closed):
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=end, quoting=csv.QUOTE_NONNUMERIC).writerows(rows)
    text = out.getvalue()
    text = text if closed or not text else text.removesuffix(end)
    found = [
        (int(line), bool(blank))
        for first, blanks in records(cut(text.encode(), places), '"')
        for line, blank in zip(first, blanks, strict=True)
    ]
    assert found == by_hand(text)


def test_without_a_quote_every_line_is_a_record():
    found = [line for first, _ in records([b'a"\n"b\nc'], "") for line in first.tolist()]
    assert found == [1, 2, 3]


def ask(path, taken, left, total):
    return lines_of(path, TextForm(True, '"', ","), np.array(taken), np.array(left, np.int64), total)


def test_lines_of_taken_and_left_records(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'a,b\n1,"x\ny"\n\n3\n5,6\n')  # records: names, 1, blank, 3 (left), 5
    taken, left = ask(path, [1, 2], [4], 2)
    assert taken.tolist() == [2, 6]
    assert left.tolist() == [5]


def test_a_quote_inside_of_a_field_is_no_beginning(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'a,b\n1,5" screen\n2,x\n3,y\n')
    taken, _ = ask(path, [1, 2, 3], [], 3)
    assert taken.tolist() == [2, 3, 4]


@pytest.mark.parametrize("total", [1, 3])
def test_no_lines_where_the_counts_do_not_agree(tmp_path, total):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n1,2\n3,4\n")
    assert ask(path, [1], [], total) is None


def test_a_quote_that_is_never_closed_gives_no_lines_and_no_endless_search(tmp_path, monkeypatch):
    monkeypatch.setattr("beautyrec.data.lines._LONGEST", 1 << 10)
    path = tmp_path / "a.csv"
    path.write_bytes(b'a,b\n1,"' + b"x\n" * 200_000)
    assert ask(path, [1], [], 1) is None
