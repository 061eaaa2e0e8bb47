"""Reading a publisher's CSV file, plain or gz, column by column; a row that does not fit is set aside with its line.

DuckDB reads it, so what is not asked for is not kept, and a file may be larger than the memory that its text would need.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beautyrec.data.sources.frames import REASON, check_share, rejected_rows
from beautyrec.errors import MissingExtraError, SchemaError, SourceError

WHOLE: Final = "BIGINT"
NUMBER: Final = "DOUBLE"
TEXT: Final = "VARCHAR"
TIME: Final = "TIMESTAMP"
NOUNS: Final[Mapping[str, str]] = {WHOLE: "a whole number", NUMBER: "a number", TIME: "a time"}
_WHY: Final[Mapping[str, str]] = {
    "MISSING COLUMNS": "too few values",
    "TOO MANY COLUMNS": "too many values",
    "UNQUOTED VALUE": "a quote that does not close",
    "LINE SIZE OVER MAXIMUM": "a line too long",
    "INVALID ENCODING": "not UTF-8",
}
_PLACE: Final = "place_among_rows"
EPOCH_MS: Final = "{0} between 631152000000 and 4102444800000"
"""Rule of a column of milliseconds since 1970: it is of 1990 to 2099, so that seconds or microseconds do not pass for it."""


class Rows(NamedTuple):
    """What a file holds."""

    table: pa.Table
    """The sound rows, in the order of the file, with the columns that were asked for."""
    rejected: pa.Table
    """The others: ``file, line, reason, text``."""


def one_of(*names: str) -> str:
    """The type of a column in which only these names may stand.

    Examples:
        >>> one_of("view", "buy")
        "ENUM('view', 'buy')"
    """
    return f"ENUM({', '.join(_text(name) for name in names)})"


@dataclass(frozen=True)
class Delimited:
    """A publisher's CSV format.

    Args:
        columns: name to type of the columns that must be there: `WHOLE`, `NUMBER`, `TEXT`, `TIME` or `one_of`.
        optional: likewise for columns that may be absent; they come out only where they are there.
        gaps: which of ``columns`` may have gaps.
        rules: what is wrong with a row, to the condition in SQL that sound rows meet.
        header: whether the first line names the columns; else they stand in the order of ``columns``.
        keep: condition in SQL of the rows that are wanted; the others are not read, and count nowhere.
        others: whether columns that are not named here come out too, as text.
    """

    columns: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=dict)
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
            SchemaError: a column is missing, or too many rows do not fit.
            MissingExtraError: DuckDB is not installed.
        """
        names = header_of(path) if self.header else list(self.columns)
        missing = [name for name in self.columns if name not in names]
        if missing:
            raise SchemaError(f"{path}: columns {missing} are missing; it has {names}. Take the publisher's original.")
        types = {name: {**self.columns, **self.optional}.get(name, TEXT) for name in names}
        table, errors = _scan(path, types, (self._query(names), self.keep), self.header)
        rows = _sort_out(path, table, errors, types, int(self.header))
        check_share(path, rows.rejected, rows.table.num_rows + rows.rejected.num_rows, max_rejected)
        if not rows.table.num_rows:
            raise SourceError(f"'{path}' has no rows. Take the publisher's original.")
        return rows

    def _query(self, names: list[str]) -> str:
        """What is taken of each row, and the first rule that it breaks."""
        wanted = [name for name in names if self.others or name in self.columns or name in self.optional]
        checks = {f"no {name}": f"{_name(name)} is not null" for name in self.columns if name not in self.gaps}
        cases = " ".join(f"when ({rule}) is false then {_text(why)}" for why, rule in {**checks, **self.rules}.items())
        kept = ", ".join(
            f"{_name(name)}::VARCHAR as {_name(name)}" if self._is_enum(name) else _name(name) for name in wanted
        )
        return f"{kept}, {f'case {cases} end' if cases else 'null::VARCHAR'} as {_name(REASON)}"

    def _is_enum(self, name: str) -> bool:
        return self.columns.get(name, "").startswith("ENUM")


def header_of(path: Path) -> list[str]:
    """The names of the columns in the first line of a CSV file, plain or gz.

    Raises:
        SourceError: it is absent, empty or cannot be read.
    """
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig") as file
        ):
            line = file.readline()
    except FileNotFoundError:
        raise SourceError(f"'{path}' is not there. Put the publisher's file there.") from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise SourceError(f"'{path}' cannot be read as CSV: {error}") from None
    if not line.strip():
        raise SourceError(f"'{path}' is empty. Take the publisher's original.")
    return next(csv.reader([line]))


def _scan(
    path: Path, types: Mapping[str, str], query: tuple[str, str], header: bool
) -> tuple[pa.Table, list[tuple[Any, ...]]]:
    """The rows that DuckDB can read, and the errors of the others: line, column, kind of error, text.

    ``query`` is what is taken of a row, and which rows are wanted.
    """
    try:
        import duckdb
    except ImportError:
        raise MissingExtraError("duckdb", "data") from None
    if not path.exists():
        raise SourceError(f"'{path}' is not there. Put the publisher's file there.")
    columns = ", ".join(f"{_text(name)}: {_text(kind)}" for name, kind in types.items())
    source = (
        f"read_csv(?, auto_detect=false, header={str(header).lower()}, delim=',', quote='\"', escape='\"', "
        f"columns={{{columns}}}, store_rejects=true)"
    )
    numbered = f"select *, row_number() over () - 1 as {_PLACE} from {source}"  # noqa: S608 (names are the package's own)
    wanted = f"select {query[0]}, {_PLACE} from ({numbered}) where {query[1]}"  # noqa: S608
    with duckdb.connect() as connection:
        try:
            table = connection.sql(wanted, params=[str(path)]).to_arrow_table()
            errors = connection.execute(
                "select line, first(column_name order by column_idx), first(error_type::VARCHAR order by column_idx), "
                "any_value(csv_line) from reject_errors group by line order by line"
            ).fetchall()
        except duckdb.Error as error:
            raise SourceError(f"'{path}' cannot be read as CSV: {str(error).splitlines()[0]}") from None
    return table, errors


def _sort_out(path: Path, table: pa.Table, errors: list[tuple[Any, ...]], types: Mapping[str, str], first: int) -> Rows:
    """Sound rows, and those that could not be read or broke a rule; ``first`` is how many lines stand before the rows."""
    broken = pc.is_valid(table.column(REASON))
    sound = table.filter(pc.invert(broken)).drop_columns([REASON, _PLACE])
    wrong = table.filter(broken)
    places = wrong.column(_PLACE).to_numpy()
    unread = np.array([error[0] for error in errors], dtype=np.int64)
    rank = unread - 1 - first - np.arange(len(unread))  # how many rows that were read come before each that was not
    lines = places + 1 + first + np.searchsorted(rank, places, side="right")
    values = [wrong.column(name).cast(pa.string()) for name in sound.column_names]
    shown = pc.binary_join_element_wise(*values, ",", null_handling="replace", null_replacement="")
    return Rows(
        sound,
        rejected_rows(
            path,
            [*unread.tolist(), *lines.tolist()],
            [*(_reason(error, types) for error in errors), *wrong.column(REASON).to_pylist()],
            [*(error[3] for error in errors), *shown.to_pylist()],
        ),
    )


def _reason(error: tuple[Any, ...], types: Mapping[str, str]) -> str:
    _, column, kind, _ = error
    if kind == "CAST":
        return f"{column} is not {NOUNS.get(types[column], 'a known name')}"
    return _WHY.get(kind, kind.lower())


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
