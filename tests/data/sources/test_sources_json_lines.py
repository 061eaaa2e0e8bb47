from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.data.sources.json_lines import JsonLines
from beautyrec.data.sources.kinds import NUMBER, TEXT, WHOLE
from beautyrec.data.sources.sequences import read_sequences
from beautyrec.data.sources.text_lines import text_lines
from beautyrec.errors import SourceError

FORMAT = JsonLines(
    {"id": ("$.id", TEXT), "n": ("$.n", WHOLE), "x": ("$.deep.x", NUMBER), "path": ("$.path[0][*]", TEXT)},
    gaps=("n", "x", "path"),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), min_size=1, max_size=12)
AWKWARD = st.sampled_from(
    [
        "it's",
        'say "so"',
        'it\'s "both"',
        "back\\slash",
        "\\x41",
        "\\'",
        "None",
        "u'",
        "True, False",
        "{'a': 1}",
        "\U0001f600",
        "\U0001b2fc\\U0001b2fc",
        "\x01\x7f",
    ]
)


@settings(max_examples=40, deadline=None)
@given(
    ids=st.lists(TEXTS | AWKWARD, min_size=1, max_size=8),
    more=st.dictionaries(
        TEXTS,
        TEXTS | AWKWARD | st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
        max_size=3,
    ),
    write=st.sampled_from([repr, json.dumps, lambda row: json.dumps(row, ensure_ascii=False)]),
)
def test_python_literals_and_json_give_the_same_values(tmp_path_factory, ids, more, write):
    path = tmp_path_factory.mktemp("json") / "a.json"
    rows = [
        {**more, "id": text, "n": place, "deep": {"x": place / 4}, "path": [["a", text]]}
        for place, text in enumerate(ids)
    ]
    path.write_text("".join(f"{write(row)}\n" for row in rows), encoding="utf-8", newline="\n")
    read = FORMAT.read(path, max_rejected=0)
    assert read.table.to_pydict() == {
        "id": ids,
        "n": list(range(len(ids))),
        "x": [place / 4 for place in range(len(ids))],
        "path": [f"a|{text}" for text in ids],
    }


def test_numbers_are_not_rounded_and_gaps_stay_gaps(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"id": "a", "n": 1.5}\n{"id": "b", "deep": {}}\n{"id": "c", "deep": {"x": "much"}, "path": []}\n')
    rows = FORMAT.read(path, max_rejected=1)
    assert rows.table.to_pylist() == [{"id": "b", "n": None, "x": None, "path": None}]
    assert rows.rejected.to_pydict()["reason"] == ["n is not a whole number", "x is not a number"]


@given(
    lines=st.lists(st.sampled_from(["", "abc", 'a "b', "x" * 40, "1,2"]), min_size=1, max_size=40),
    block=st.sampled_from([64, 100, 1000]),
)
def test_batches_count_their_lines(tmp_path_factory, lines, block):
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_text("\n".join([*lines, "end"]))
    batches = list(text_lines(path, block))
    assert [line for _, batch in batches for line in batch.to_pylist()] == [*lines, "end"]
    assert [first for first, _ in batches] == [
        1 + sum(len(batch) for _, batch in batches[:place]) for place in range(len(batches))
    ]


def test_a_cut_gz_is_refused(tmp_path):
    whole = gzip.compress("".join(f"{number} {number**3}\n" for number in range(5000)).encode())
    path = tmp_path / "a.txt.gz"
    path.write_bytes(whole[: len(whole) // 2])
    for read in (read_sequences, lambda path: FORMAT.read(path, 1)):
        with pytest.raises(SourceError, match="cannot be read as text"):
            read(path)
