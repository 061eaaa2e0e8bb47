"""The files of a source: which there are, what their columns are called, and their text."""

from __future__ import annotations

import codecs
import csv
import glob
import io
import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from beautyrec.data.mapping import CsvForm, LogMapping
from beautyrec.errors import SourceError

FORMATS: Final[Mapping[str, str]] = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), "csv"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), "json"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
}
PACKED: Final = (".gz", ".zst")
_BLOCK: Final = 1 << 22


@dataclass(frozen=True)
class SourceFile:
    """One file that rows are read from.

    Args:
        path: where it lies.
        name: what to call it in messages and beside rejected rows.
        format: ``"csv"``, ``"json"`` or ``"parquet"``.
        keys: values that its folders name, as ``day=2026-03-01`` does.
    """

    path: Path
    name: str
    format: str
    keys: Mapping[str, str] = field(default_factory=dict)


def find_files(paths: Iterable[str | Path], mapping: LogMapping) -> tuple[list[SourceFile], list[str]]:
    """The files of a mapping, in the order of their names, and the names of those in the folders that cannot be read.

    Names that begin with ``.`` or ``_`` are no data, in folders.

    Args:
        paths: files, folders or patterns such as ``logs/*.csv.gz``.
        mapping: which of the files in folders it wants, and of which format they are.

    Raises:
        SourceError: a path is not there, no file fits, or the format of one cannot be told.
    """
    found: dict[str, SourceFile] = {}
    skipped: list[str] = []
    for given in paths:
        path = Path(given)
        if path.is_dir():
            for place in _within(path, mapping.files):
                name = place.relative_to(path).as_posix()
                kind = _format(place, mapping)
                if kind is None:
                    skipped.append(name)
                else:
                    found[str(place)] = SourceFile(place, name, kind, _keys(place.relative_to(path)))
        else:
            for place in _matching(path):
                found[str(place)] = _named(place, mapping)
    if not found:
        wanted = f" that match '{mapping.files}'" if mapping.files else ""
        there = ", ".join(f"'{path}'" for path in paths)
        raise SourceError(
            f"{there}: no files of table {mapping.table}{wanted}. Correct the path, or 'files' in the mapping."
        )
    return sorted(found.values(), key=lambda file: (file.name, str(file.path))), sorted(skipped)


def _within(folder: Path, pattern: str) -> list[Path]:
    places = folder.glob(pattern) if pattern else folder.rglob("*")
    plain = (place for place in places if place.is_file())
    return [place for place in plain if not any(part[0] in "._" for part in place.relative_to(folder).parts)]


def _matching(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    places = [Path(place) for place in glob.glob(str(path), recursive=True)]  # noqa: PTH207 (an absolute pattern)
    files = [place for place in places if place.is_file()]
    if not files:
        raise SourceError(f"'{path}' is not there. Name a file, a folder or a pattern of files.")
    return files


def _named(place: Path, mapping: LogMapping) -> SourceFile:
    kind = _format(place, mapping)
    if kind is None:
        raise SourceError(f'\'{place}\': its name does not tell the format. Set format = "csv", "json" or "parquet".')
    return SourceFile(place, str(place), kind, _keys(place))


def _format(place: Path, mapping: LogMapping) -> str | None:
    if mapping.format != "by name":
        return mapping.format
    suffixes = [suffix.lower() for suffix in place.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None


def _keys(place: Path) -> dict[str, str]:
    pairs = (part.split("=", 1) for part in place.parts[:-1] if "=" in part)
    return {key: unquote(value) for key, value in pairs}


def delimiter(file: SourceFile, form: CsvForm) -> str:
    """What stands between two fields of a CSV file."""
    return form.delimiter or ("\t" if ".tsv" in file.path.suffixes else ",")


def column_names(file: SourceFile, form: CsvForm) -> list[str]:
    """The columns of a CSV or Parquet file.

    Raises:
        SourceError: the file cannot be read, is empty, or names a column twice.
    """
    if file.format == "parquet":
        with _refusing(file):
            return list(pq.read_schema(file.path).names)
    if form.header:
        return list(form.header)
    with _refusing(file), open_bytes(file.path) as stream:
        text = io.TextIOWrapper(stream, encoding=_with_mark(form.encoding), errors="replace", newline="")
        lines = itertools.islice(text, 1000)
        names = next(
            (line for line in csv.reader(lines, delimiter=delimiter(file, form), quotechar=form.quote) if line), None
        )
    if names is None:
        raise SourceError(f"'{file.path}' is empty. A CSV file begins with the names of its columns.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SourceError(f"'{file.path}': columns {twice} are there more than once. Name them with [csv] header.")
    return names


def _with_mark(encoding: str) -> str:
    """The encoding, such that a byte order mark at the beginning is no part of the first name."""
    return "utf-8-sig" if is_utf8(encoding) else encoding


def is_utf8(encoding: str) -> bool:
    """Whether a name is one of those of UTF-8.

    Raises:
        SourceError: Python knows no such encoding.
    """
    try:
        return codecs.lookup(encoding).name == "utf-8"
    except LookupError:
        raise SourceError(f"[csv] encoding: there is no '{encoding}'. Name one as in 'utf-8' or 'gb18030'.") from None


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked where it ends in ``.gz`` or ``.zst``."""
    stream: Any = pa.input_stream(str(path), compression="detect", buffer_size=_BLOCK)
    with stream:
        yield stream


def blocks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, a block at a time."""
    with open_bytes(path) as stream:
        while block := stream.read(_BLOCK):
            yield block


def in_utf8(file: SourceFile, encoding: str, folder: Path) -> Path:
    """The file itself if it is UTF-8, else a copy that is, in ``folder``; its lines are the same.

    Bytes that the encoding does not have become U+FFFD.
    """
    if is_utf8(encoding):
        return file.path
    copy = folder / "in_utf8.csv"
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    with copy.open("wb") as out:
        for block in blocks(file.path):
            out.write(decoder.decode(block).encode())
        out.write(decoder.decode(b"", final=True).encode())
    return copy


@contextmanager
def _refusing(file: SourceFile) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"'{file.path}' cannot be read as {file.format}: {str(error).splitlines()[0]}") from None
