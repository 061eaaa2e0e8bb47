"""Reading a publisher's CSV file, plain or gz, column by column; a row that does not fit is set aside with its line.

DuckDB reads it, so what is not asked for is not kept, and a file may be larger than the memory that its text would need.
"""

from __future__ import annotations

import csv
import glob
import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beautyrec.data.sources.frames import REASON, check_share, rejected_rows
from beautyrec.data.sources.kinds import TEXT, Kind, named, quoted, verdict
from beautyrec.data.sources.text_lines import text_lines
from beautyrec.errors import MissingExtraError, SchemaError, SourceError
from beautyrec.types import IntArray

EPOCH_MS: Final = "{0} between 631152000000 and 4102444800000"
"""Rule of a column of milliseconds since 1970: it is of 1990 to 2099, so that seconds or microseconds do not pass for it."""
_RAW: Final = "raw_text_"
_PLACE: Final = "place_among_rows"
_WHOLE_ROW: Final = "text_of_row"
_WHY: Final[Mapping[str, str]] = {
    "MISSING COLUMNS": "too few values",
    "TOO MANY COLUMNS": "too many values",
    "UNQUOTED VALUE": "a quote that does not close",
    "LINE SIZE OVER MAXIMUM": "a line too long",
    "INVALID ENCODING": "not UTF-8",
}


class Rows(NamedTuple):
    """What a file holds."""

    table: pa.Table
    """The sound rows, in the order of the file, with the columns that were asked for."""
    rejected: pa.Table
    """The others: ``file, line, reason, text``."""


@dataclass(frozen=True)
class Delimited:
    """A publisher's CSV format.

    Args:
        columns: name to kind of the columns that must be there.
        optional: likewise for columns that may be absent; they come out only where they are there, and may have gaps.
        gaps: which of ``columns`` may have gaps.
        rules: what is wrong with a row, to the condition in SQL that sound rows meet.
        header: whether the first line names the columns; else they stand in the order of ``columns``.
        keep: condition in SQL of the rows that are wanted; sound rows that are not are not read, and count nowhere.
        others: whether columns that are not named here come out too, as text.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from beautyrec.data.sources.kinds import NUMBER, WHOLE
        >>> form = Delimited({"item": WHOLE, "price": NUMBER}, rules={"price below 0": "price >= 0"})
        >>> with TemporaryDirectory() as folder:
        ...     written = Path(folder, "a.csv").write_text(chr(10).join(["item,price", "7,2.5", "7,-1"]))
        ...     rows = form.read(Path(folder, "a.csv"), max_rejected=0.5)
        >>> rows.table.to_pylist(), rows.rejected.to_pydict()["reason"]
        ([{'item': 7, 'price': 2.5}], ['price below 0'])
    """

    columns: Mapping[str, Kind]
    optional: Mapping[str, Kind] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()
    rules: Mapping[str, str] = field(default_factory=dict)
    header: bool = True
    keep: str = "true"
    others: bool = False

    def read(self, path: Path, max_rejected: float) -> Rows:
        """The rows of a file.

        Args:
            path: a CSV file; compressed by gzip where its name ends in ``.gz``.
            max_rejected: the largest share of its rows that may be rejected.

        Raises:
            SourceError: it is absent, empty or cannot be read.
            SchemaError: a column is missing or doubled, or too many rows do not fit.
            MissingExtraError: DuckDB is not installed.
        """
        names = header_of(path) if self.header else list(self.columns)
        missing = [name for name in self.columns if name not in names]
        if missing:
            raise SchemaError(f"{path}: columns {missing} are missing; it has {names}. Take the publisher's original.")
        if len(set(names)) < len(names):
            raise SchemaError(
                f"{path}: columns {sorted({n for n in names if names.count(n) > 1})} are there twice. Keep one."
            )
        table, errors = _scan(path, self._query(names), len(names), self.header)
        rows = _sort_out(path, table, errors, int(self.header))
        check_share(path, rows.rejected, rows.table.num_rows + rows.rejected.num_rows, max_rejected)
        if not rows.table.num_rows:
            raise SourceError(f"'{path}' has no sound rows. Take the publisher's original.")
        return rows

    def _query(self, names: list[str]) -> str:
        """What is taken of each row of the table ``raw``, its place, and the first thing that is wrong with it."""
        kinds = {**(dict.fromkeys(names, TEXT) if self.others else {}), **self.optional, **self.columns}
        wanted = {name: (f"{_RAW}{place}", kinds[name]) for place, name in enumerate(names) if name in kinds}
        gaps = (*self.gaps, *(name for name in wanted if name not in self.columns))
        values = ", ".join(f"{kind.value(text)} as {named(name)}" for name, (text, kind) in wanted.items())
        row = " || ',' || ".join(f"coalesce({_RAW}{place}, '')" for place in range(len(names)))
        return f"""
            typed as (select *, {values} from raw),
            judged as (select *, case {verdict(wanted, gaps, dict(self.rules))} end as {REASON} from typed)
            select {", ".join(named(name) for name in wanted)}, {_PLACE}, {REASON},
                   case when {REASON} is not null then {row} end as {_WHOLE_ROW}
            from judged where {REASON} is not null or ({self.keep})"""  # noqa: S608 (names and rules are the package's own)


def header_of(path: Path) -> list[str]:
    """The names of the columns in the first line of a CSV file, plain or gz.

    Raises:
        SourceError: it is absent, empty or cannot be read.
    """
    how: dict[str, Any] = {"mode": "rt", "encoding": "utf-8-sig", "errors": "replace"}
    try:
        with gzip.open(path, **how) if path.suffix == ".gz" else path.open(**how) as file:
            line = file.readline()
    except FileNotFoundError:
        raise SourceError(f"'{path}' is not there. Put the publisher's file there.") from None
    except (OSError, EOFError) as error:
        raise SourceError(f"'{path}' cannot be read as CSV: {error}") from None
    if not line.strip():
        raise SourceError(f"'{path}' is empty. Take the publisher's original.")
    return next(csv.reader([line]))


def _scan(path: Path, query: str, width: int, header: bool) -> tuple[pa.Table, list[tuple[int, str, str]]]:
    """The rows that have as many values as there are columns, and the others: line, kind of error, text."""
    try:
        import duckdb
    except ImportError:
        raise MissingExtraError("duckdb", "data") from None
    if not path.exists():
        raise SourceError(f"'{path}' is not there. Put the publisher's file there.")
    columns = ", ".join(f"{_RAW}{place}: 'VARCHAR'" for place in range(width))
    source = (
        f"read_csv({quoted(glob.escape(str(path)))}, auto_detect=false, header={str(header).lower()}, delim=',', quote='\"', "
        f"escape='\"', columns={{{columns}}}, store_rejects=true)"
    )
    raw = f"with raw as (select *, row_number() over () - 1 as {_PLACE} from {source})"  # noqa: S608
    with duckdb.connect() as connection:
        try:
            table = connection.sql(f"{raw}, {query}").to_arrow_table()
            errors = connection.execute(
                "select line, first(error_type::varchar order by column_idx), any_value(csv_line) "
                "from reject_errors group by line order by line"
            ).fetchall()
        except duckdb.Error as error:
            raise SourceError(f"'{path}' cannot be read as CSV: {str(error).splitlines()[0]}") from None
    return table, errors


def _sort_out(path: Path, table: pa.Table, errors: list[tuple[int, str, str]], first: int) -> Rows:
    """Sound rows, and those that could not be read or broke a rule; ``first`` is how many lines stand before the rows."""
    broken = pc.is_valid(table.column(REASON))
    wrong = table.filter(broken)
    unread = np.array([line for line, _, _ in errors], dtype=np.int64)
    lines = (
        _lines(path, wrong.column(_PLACE).to_numpy(), unread, first)
        if wrong.num_rows
        else wrong.column(_PLACE).to_numpy()
    )
    rejected = rejected_rows(
        path,
        [*unread.tolist(), *lines.tolist()],
        [*(_WHY.get(why, why.lower()) for _, why, _ in errors), *wrong.column(REASON).to_pylist()],
        [*((text or "").strip() for _, _, text in errors), *wrong.column(_WHOLE_ROW).to_pylist()],
    )
    return Rows(table.filter(pc.invert(broken)).drop_columns([REASON, _PLACE, _WHOLE_ROW]), rejected)


def _lines(path: Path, places: IntArray, unread: IntArray, first: int) -> IntArray:
    """The lines of rows by their place among the rows that were read: blank lines and lines not read stand between them."""
    blank = [
        np.flatnonzero(pc.equal(lines, "").to_numpy(zero_copy_only=False)) + start for start, lines in text_lines(path)
    ]
    between = np.union1d(unread, np.concatenate(blank))
    rank = between - 1 - first - np.arange(len(between))  # how many rows that were read come before each of them
    lines: IntArray = places + 1 + first + np.searchsorted(rank, places, side="right")
    return lines
