from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.data.sources.delimited import Delimited, header_of
from beautyrec.data.sources.kinds import NUMBER, TEXT, TIME, WHOLE, one_of
from beautyrec.errors import SchemaError, SourceError

FORMAT = Delimited({"a": WHOLE, "b": NUMBER}, gaps=("b",), rules={"b below 0": "b >= 0"})
SOUND, BLANK = "1,2", ""
DAMAGE = {
    "1": "too few values",
    "1,2,3": "too many values",
    "x,2": "a is not a whole number",
    "1,-2": "b below 0",
    ",2": "no a",
}


@settings(max_examples=40, deadline=None)
@given(
    lines=st.lists(st.sampled_from([SOUND, BLANK, *DAMAGE]), max_size=30),
    gz=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_lines_and_reasons_of_any_mixture(tmp_path_factory, lines, gz, end):
    path = tmp_path_factory.mktemp("csv") / ("a.csv.gz" if gz else "a.csv")
    text = end.join(["a,b", SOUND, *lines, ""]).encode()
    path.write_bytes(gzip.compress(text) if gz else text)
    rows = FORMAT.read(path, max_rejected=1)
    expected = [(place + 3, DAMAGE[line]) for place, line in enumerate(lines) if line in DAMAGE]
    assert list(zip(*(rows.rejected.to_pydict()[name] for name in ("line", "reason")), strict=True)) == expected
    assert rows.rejected.to_pydict()["text"] == [line for line in lines if line in DAMAGE]
    assert rows.table.num_rows == 1 + lines.count(SOUND)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (
            WHOLE,
            {"7": 7, " -12 ": -12, "9223372036854775807": 2**63 - 1},
            ["1.5", "1e3", "0x1", "9223372036854775808", "1_0"],
        ),
        (NUMBER, {"1.5": 1.5, "-1e3": -1000.0, "3": 3.0}, ["nan", "inf", "1,5", "cheap"]),
        (one_of("it's", "b"), {"it's": "it's", "b": "b"}, ["B", "a"]),
        (TEXT, {"x": "x", "1": "1"}, []),
    ],
)
def test_values_are_read_as_they_stand_or_not_at_all(tmp_path, kind, good, bad):
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["a", *(f'"{text}"' for text in (*good, *bad)), ""]))
    rows = Delimited({"a": kind}).read(path, max_rejected=1)
    assert rows.table.to_pydict()["a"] == list(good.values())
    assert rows.rejected.to_pydict()["reason"] == [f"a is not {kind.noun}"] * len(bad)


def test_times_with_and_without_their_zone(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a\n2019-11-01 00:00:02 UTC\n2019-11-01T00:00:02Z\n2019-13-01 00:00:02 UTC\n")
    rows = Delimited({"a": TIME}).read(path, max_rejected=1)
    assert [str(time) for time in rows.table.to_pydict()["a"]] == ["2019-11-01 00:00:02"] * 2
    assert rows.rejected.to_pydict()["line"] == [4]


def test_columns_in_another_order_optional_ones_and_others(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('\ufeff"b",extra,a,c\n2,x,1,\n')
    assert FORMAT.read(path, 0).table.to_pydict() == {"b": [2], "a": [1]}
    optional = Delimited(FORMAT.columns, optional={"c": WHOLE, "d": WHOLE})
    assert optional.read(path, 0).table.to_pydict() == {"b": [2], "a": [1], "c": [None]}
    assert Delimited(FORMAT.columns, others=True).read(path, 0).table.to_pydict() == {
        "b": [2],
        "extra": ["x"],
        "a": [1],
        "c": [None],
    }


def test_rows_that_are_not_wanted_count_nowhere_and_do_not_shift_lines(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,9\n2,1\n3,-1\n")
    rows = Delimited(FORMAT.columns, rules=FORMAT.rules, keep="b < 5").read(path, 0.5)
    assert rows.table.to_pydict() == {"a": [2], "b": [1]}
    assert rows.rejected.to_pydict()["line"] == [4]


def test_bytes_that_are_not_text_and_names_with_wildcards(tmp_path):
    folder = tmp_path / "odd[1]*"
    folder.mkdir()
    (folder / "a?.csv").write_bytes(b"a,b\n1,\xff\n3,4\n")
    rows = FORMAT.read(folder / "a?.csv", max_rejected=0.5)
    assert rows.table.to_pydict() == {"a": [3], "b": [4]}
    assert rows.rejected.to_pydict()["reason"] == ["not UTF-8"]


def test_a_cut_gz_and_doubled_columns_are_refused(tmp_path):
    path = tmp_path / "a.csv.gz"
    whole = gzip.compress("".join(["a,b\n", *(f"{number},{number**3}\n" for number in range(5000))]).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"a\.csv\.gz' cannot be read as CSV"):
        FORMAT.read(path, max_rejected=1)
    (tmp_path / "b.csv").write_text("a,a,b\n1,2,3\n")
    with pytest.raises(SchemaError, match=r"columns \['a'\] are there twice"):
        FORMAT.read(tmp_path / "b.csv", 0)
    with pytest.raises(SourceError, match="is not there"):
        header_of(tmp_path / "c.csv")


def test_the_cut_last_line_of_the_taobao_sample(shared_data):
    path = shared_data / "taobao-userbehavior-sample" / "UserBehavior-first-84k.csv.gz"
    if not path.exists():
        pytest.skip(f"needs the Taobao sample ('{path}' is not there)")
    ids = dict.fromkeys(["user", "item", "category"], WHOLE)
    form = Delimited({**ids, "event": one_of("pv", "cart", "fav", "buy"), "seconds": WHOLE}, header=False)
    rows = form.read(path, max_rejected=0.01)
    with gzip.open(path, "rt") as file:
        lines = file.read().splitlines()
    assert rows.table.num_rows == len(lines) - 1
    assert rows.rejected.to_pylist() == [
        {"file": str(path), "line": len(lines), "reason": "too few values", "text": lines[-1]}
    ]
