"""On which lines of a text file its records stand."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from beautyrec.data.source_files import blocks, open_bytes
from beautyrec.types import BoolArray, IntArray

_NEWLINE: Final = ord("\n")
_RETURN: Final = ord("\r")

Records = Iterable[tuple[IntArray, BoolArray]]
"""Parts of a file: [r] the line each record begins on, from 1, and [r] whether it is blank."""


def records(parts: Iterable[bytes], quote: str) -> Iterator[tuple[IntArray, BoolArray]]:
    r"""The records of a text, part by part: lines, but that a line end between quotes ends nothing.

    Quotes inside of a field are doubled (RFC 4180), so a line end is between quotes if an odd number of quotes stands
    before it.

    Args:
        parts: the text in UTF-8, cut anywhere.
        quote: the quote, one character; none where it is empty.

    Examples:
        >>> [(first.tolist(), blank.tolist()) for first, blank in records([b'a\n"b', b'\nc"\n\nd'], '"')]
        [([1], [False]), ([2, 4], [False, True]), ([5], [False])]
    """
    rest, line = b"", 1
    for part in parts:
        rest += part
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


def _by_csv(path: Path, quote: str, delimiter: str) -> Iterator[tuple[IntArray, BoolArray]]:
    """The records as Python's reader has them, one by one: slow, and right where quotes stand inside of fields."""
    with open_bytes(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline="")
        reader = csv.reader(text, delimiter=delimiter, quotechar=quote)
        line = 1
        for record in reader:
            yield np.array([line], np.int64), np.array([not record])
            line = reader.line_num + 1


def lines_of(
    path: Path, taken: IntArray, left: IntArray, total: int, *, header: bool, quote: str, delimiter: str
) -> tuple[IntArray, IntArray] | None:
    """The lines of some records of a file.

    Args:
        path: the file, in UTF-8.
        taken: [t] numbers of records among those that the reader took, from 1.
        left: [l] numbers of records that it left, from 1; these count the line of names and blank lines.
        total: how many it took.
        header: whether the first record that is not blank is the line of names.
        quote: the quote, one character; none where it is empty.
        delimiter: what stands between fields.

    Returns:
        [t] and [l] lines, from 1; None where the records of the file are not those that the reader saw.
    """
    ways: list[Callable[[], Records]] = [lambda: records(blocks(path), quote)]
    if quote:
        ways.append(lambda: _by_csv(path, quote, delimiter))
    for way in ways:
        try:
            first, blank = (np.concatenate(parts) for parts in zip(*way(), strict=True))
        except csv.Error:  # a field longer than Python's reader takes
            continue
        wanted = ~blank
        inside = left[left <= len(first)] - 1
        wanted[inside] = False
        if header:
            wanted[int((~blank).argmax())] = False
        lines = first[wanted]
        if len(lines) == total and len(inside) == len(left):
            return lines[taken - 1], first[left - 1]
    return None
