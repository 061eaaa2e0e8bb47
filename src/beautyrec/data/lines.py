"""On which lines of a text file its records stand."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from beautyrec.data.source_files import blocks, open_bytes
from beautyrec.types import BoolArray, IntArray

_NEWLINE: Final = ord("\n")
_RETURN: Final = ord("\r")
_LONGEST: Final = 1 << 26
_AT_ONCE: Final = 10_000

Records = Iterable[tuple[IntArray, BoolArray]]
"""Parts of a file: [r] the line each record begins on, from 1, and [r] whether it is blank."""


class TextForm(NamedTuple):
    """How the records of a text stand in it."""

    header: bool
    """Whether the first record that is not blank is the line of names."""

    quote: str
    """The quote, one character; none where it is empty."""

    delimiter: str
    """What stands between fields."""


def records(parts: Iterable[bytes], quote: str) -> Iterator[tuple[IntArray, BoolArray]]:
    r"""The records of a text, part by part: lines, but that a line end between quotes ends nothing.

    Quotes inside of a field are doubled (RFC 4180), so a line end is between quotes if an odd number of quotes stands
    before it.

    Args:
        parts: the text in UTF-8, cut anywhere.
        quote: the quote, one character; none where it is empty.

    Raises:
        csv.Error: a record does not end within 64 MiB, as where a quote is never closed.

    Examples:
        >>> [(first.tolist(), blank.tolist()) for first, blank in records([b'a\n"b', b'\nc"\n\nd'], '"')]
        [([1], [False]), ([2, 4], [False, True]), ([5], [False])]
    """
    rest, line = b"", 1
    for part in parts:
        rest += part
        if len(rest) > _LONGEST:
            raise csv.Error(f"no record ends within {_LONGEST} bytes, from line {line} on")
        first, blank, used = _cut(np.frombuffer(rest, np.uint8), quote)
        if used:
            yield first + line, blank
            line += rest.count(b"\n", 0, used)
            rest = rest[used:]
    if rest:
        yield np.array([line], np.int64), np.array([rest == b"\r"])


def _cut(text: np.typing.NDArray[np.uint8], quote: str) -> tuple[IntArray, BoolArray, int]:
    """Lines of the whole records in ``text``, from 0, whether each is blank, and how many bytes they take."""
    newline = np.flatnonzero(text == _NEWLINE)
    ends = newline
    if quote:
        quotes = np.flatnonzero(text == ord(quote))
        ends = newline[np.searchsorted(quotes, newline) % 2 == 0]
    if not len(ends):
        return np.empty(0, np.int64), np.empty(0, np.bool_), 0
    starts = np.concatenate([[0], ends[:-1] + 1])
    length = ends - starts
    blank = (length == 0) | ((length == 1) & (text[starts] == _RETURN))
    return np.searchsorted(newline, starts).astype(np.int64), blank, int(ends[-1]) + 1


def _by_csv(path: Path, form: TextForm) -> Iterator[tuple[IntArray, BoolArray]]:
    """The records as Python's reader has them, one by one: slow, and right where quotes stand inside of fields."""
    with open_bytes(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline="")
        reader = csv.reader(text, delimiter=form.delimiter, quotechar=form.quote)
        found = ((reader.line_num, not record) for record in reader)
        end = 0
        while some := list(itertools.islice(found, _AT_ONCE)):
            ends = np.array([line for line, _ in some], np.int64)
            yield np.concatenate([[end], ends[:-1]]) + 1, np.array([blank for _, blank in some])
            end = int(ends[-1])


def lines_of(
    path: Path, form: TextForm, taken: IntArray, left: IntArray, total: int
) -> tuple[IntArray, IntArray] | None:
    """The lines of some records of a file, which is read once from its beginning to its end and not kept.

    Args:
        path: the file, in UTF-8.
        form: how its records stand in it.
        taken: [t] numbers of records among those that the reader took, from 1, ascending.
        left: [l] numbers of records that it left, from 1, ascending; these count the line of names and blank lines.
        total: how many it took.

    Returns:
        [t] and [l] lines, from 1; None where the records of the file are not those that the reader saw.
    """
    ways: list[Callable[[], Records]] = [lambda: records(blocks(path), form.quote)]
    if form.quote:
        ways.append(lambda: _by_csv(path, form))
    for way in ways:
        try:
            found = _look_up(way(), taken, left, total, form.header)
        except csv.Error:  # a record longer than can be
            continue
        if found is not None:
            return found
    return None


def _look_up(
    parts: Records, taken: IntArray, left: IntArray, total: int, header: bool
) -> tuple[IntArray, IntArray] | None:
    lines_taken, lines_left = np.zeros(len(taken), np.int64), np.zeros(len(left), np.int64)
    seen = counted = 0
    for first, blank in parts:
        wanted = ~blank
        if header and wanted.any():
            wanted[int(wanted.argmax())] = header = False
        here = slice(*np.searchsorted(left, [seen + 1, seen + len(first) + 1]))
        wanted[left[here] - seen - 1] = False
        lines_left[here] = first[left[here] - seen - 1]
        lines = first[wanted]
        here = slice(*np.searchsorted(taken, [counted + 1, counted + len(lines) + 1]))
        lines_taken[here] = lines[taken[here] - counted - 1]
        seen, counted = seen + len(first), counted + len(lines)
    return (lines_taken, lines_left) if counted == total and not (left > seen).any() else None
