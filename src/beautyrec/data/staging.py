"""Rows of a source's files, read, checked and numbered, in a table of the engine until they are written."""

# ruff: noqa: S608 (queries are made of texts: every name and value of the user's is quoted by row_sql)
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from beautyrec.data import row_sql, schema
from beautyrec.data.lines import TextForm, lines_of
from beautyrec.data.mapping import LogMapping
from beautyrec.data.row_sql import FILE, ITEM_PREFIX, ORDINAL, REASON, ROW
from beautyrec.data.source_files import SourceFile, column_names, delimiter, in_utf8
from beautyrec.errors import SchemaError, SourceError
from beautyrec.types import IntArray

DAY: Final = "_day"
REJECTED: Final = ("file", "line", "reason", "text")
"""Columns of the rejected rows: name of the file; line, from 1 (of Parquet: the row), -1 where it cannot be told; what is
wrong; the row as it came."""
_REJECTED_TYPES: Final = "file VARCHAR, line BIGINT, reason VARCHAR, text VARCHAR"


@dataclass(frozen=True, eq=False)
class Staged:
    """What came of the files of one mapping.

    Args:
        mapping: how they were read.
        table: name of the table that the rows are in.
        files: the files; their numbers are those from ``first`` on.
        first: number of the first file.
        taken: [f] rows that the reader took from each file.
        left: name of the table of the rows that the reader could not take: ``file`` (number), ``record`` (from 1),
            ``reason``, ``row``.
        read: all rows of the files.
    """

    mapping: LogMapping
    table: str
    files: list[SourceFile]
    first: int
    taken: list[int]
    left: str
    read: int

    def has(self, column: str) -> bool:
        """Whether the mapping fills a column of ours."""
        return column in self.mapping.targets


def stage(
    con: Any,
    mapping: LogMapping,
    files: list[SourceFile],
    first: int,
    folder: Path,
    on_file: Callable[[SourceFile], None],
) -> Staged:
    """Read the files of a mapping, one after the other, into a table of the connection.

    Args:
        con: the DuckDB connection.
        mapping: how they are read.
        files: the files.
        first: number of the first file.
        folder: where a copy in UTF-8 may lie.
        on_file: called with each file when it has been read.

    Raises:
        SourceError: a file cannot be read, or has no rows.
        SchemaError: a file lacks a column that the mapping names.
    """
    import duckdb

    table, left = f"staged_{first}", f"left_{first}"
    con.execute(f"CREATE TEMP TABLE {left} (file BIGINT, record BIGINT, reason VARCHAR, row VARCHAR)")
    con.execute(f"SET TimeZone = {row_sql.text(mapping.zone)}")
    taken = list[int]()
    for number, file in enumerate(files, first):
        relation, fields = _relation(file, mapping, folder)
        query = row_sql.checked(mapping, fields, relation, number)
        day = f", CAST({schema.TS} AS DATE) AS {DAY}" if schema.TS in mapping.targets else ""
        start = f"CREATE TEMP TABLE {table} AS" if number == first else f"INSERT INTO {table}"
        try:
            con.execute(f"{start} SELECT *{day} FROM ({query})")
        except (duckdb.Error, UnicodeDecodeError) as error:
            raise SourceError(f"'{file.path}' cannot be read as {file.format}: {str(error).splitlines()[0]}") from None
        count = f"SELECT coalesce(max({ORDINAL}), 0) FROM {table} WHERE {FILE} = {number}"
        taken.append(int(con.execute(count).fetchall()[0][0]))
        if file.format != "parquet":
            _keep_left(con, left, number)
        on_file(file)
    passed = int(con.execute(f"SELECT count(*) FROM {left}").fetchall()[0][0])
    staged = Staged(mapping, table, files, first, taken, left, sum(taken) + passed)
    if not staged.read:
        raise SourceError(f"{len(files)} files of table {mapping.table} have no rows, the first '{files[0].path}'.")
    return staged


def _relation(file: SourceFile, mapping: LogMapping, folder: Path) -> tuple[str, Mapping[str, str]]:
    """SQL of a file's rows with their numbers, and a source's column to the SQL of its text there."""
    wanted = _wanted(mapping)
    if file.format == "json":
        return _json(file, wanted)
    names = column_names(file, mapping.csv)
    found = {column: _place(column, names, file) for column in sorted(wanted)}
    absent = [column for column, place in found.items() if place is None]
    if absent:
        raise SchemaError(f"'{file.path}': columns {absent} are missing. It has {names}. Correct the mapping.")
    if file.format == "parquet":
        rows = f"SELECT *, file_row_number + 1 AS {ORDINAL} FROM read_parquet({row_sql.text(_plain(file.path))}, "
        rows += "file_row_number = true, hive_partitioning = false)"
        return rows, {column: _as_text(place or "") for column, place in found.items()}
    path = in_utf8(file, mapping.csv.encoding, folder)
    columns = ", ".join(f"{row_sql.text(column)}: 'VARCHAR'" for column in names)
    quote = row_sql.text(mapping.csv.quote)
    options = f"columns = {{{columns}}}, delim = {row_sql.text(delimiter(file, mapping.csv))}, quote = {quote}, "
    options += f"escape = {quote}, header = {str(not mapping.csv.header).lower()}, hive_partitioning = false"
    return _numbered(path, options), {column: place or "" for column, place in found.items()}


def _wanted(mapping: LogMapping) -> set[str]:
    wanted = {target.source for target in row_sql.targets(mapping) if target.source is not None}
    return wanted | set(mapping.unique) | ({mapping.currency.column} - {""})


def _json(file: SourceFile, wanted: set[str]) -> tuple[str, Mapping[str, str]]:
    """A file of one object a line, read as text: a line that is no JSON is a row without values."""
    options = (
        "columns = {'line': 'VARCHAR'}, delim = chr(1), quote = '', escape = '', header = false, strict_mode = false, "
    )
    rows = _numbered(file.path, options + "hive_partitioning = false", "WHERE line IS NOT NULL")
    inside = sorted(wanted - file.keys.keys())
    paths = row_sql.texts("$" + "".join(f'."{key}"' for key in column.split(".")) for column in inside)
    found = f"CASE WHEN json_valid(line) THEN json_extract_string(line, [{paths}]) END"
    rows = f"SELECT *, {found} AS _found FROM ({rows})" if inside else rows
    fields = {column: f"_found[{place}]" for place, column in enumerate(inside, 1)}
    return rows, fields | {column: row_sql.text(value) for column, value in file.keys.items() if column in wanted}


def _numbered(path: Path, options: str, where: str = "") -> str:
    kept = "store_rejects = true, rejects_table = 'left_rows', rejects_scan = 'left_scans', rejects_limit = 0"
    scan = f"read_csv({row_sql.text(_plain(path))}, auto_detect = false, {options}, {kept})"
    return f"SELECT *, row_number() OVER () AS {ORDINAL} FROM {scan} {where}"


def _plain(path: Path) -> str:
    """A path in which nothing is a pattern."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path))


def _place(column: str, names: list[str], file: SourceFile) -> str | None:
    """SQL of a source's column: one of the file, of its folders, or inside of a nested one."""
    if column in names:
        return row_sql.name(column)
    if column in file.keys:
        return row_sql.text(file.keys[column])
    outer, dot, inner = column.partition(".")
    if dot and outer in names:
        return ".".join(row_sql.name(part) for part in (outer, *inner.split(".")))
    return None


def _as_text(sql: str) -> str:
    """A column of a Parquet file as text; NaN in a column of floats is a gap."""
    plain = f"CAST({sql} AS VARCHAR)"
    return f"CASE WHEN typeof({sql}) IN ('FLOAT', 'DOUBLE') THEN nullif({plain}, 'nan') ELSE {plain} END"


def _keep_left(con: Any, table: str, number: int) -> None:
    """Keep the records that the reader of the last file left, one row each."""
    con.execute(
        f"INSERT INTO {table} SELECT {number}, line, string_agg(DISTINCT lower(error_type) || ': ' || error_message, '; '), "
        "any_value(ltrim(csv_line, chr(10) || chr(13))) FROM left_rows GROUP BY line"
    )
    con.execute("DROP TABLE left_rows; DROP TABLE left_scans")


def reject_repeats(con: Any, staged: list[Staged]) -> None:
    """Give a reason to each row that repeats what names a row above it.

    What names a row is, of each mapping, its ``unique`` columns; over all of them, the columns that are unique in the
    schema, where all are filled.
    """
    for part in staged:
        if part.mapping.unique:
            keys = [f"{row_sql.UNIQUE}{place}" for place in range(len(part.mapping.unique))]
            _reject(con, [part], keys, part.mapping.unique)
    unique = schema.TABLES[staged[0].mapping.table].unique
    if all(part.has(column) for part in staged for column in unique):
        _reject(con, staged, list(unique), unique)


def _reject(con: Any, staged: list[Staged], keys: list[str], named: tuple[str, ...]) -> None:
    names = ", ".join(row_sql.name(key) for key in keys)
    rows = " UNION ALL ".join(
        f"SELECT {FILE}, {ORDINAL}, {names} FROM {part.table} WHERE {REASON} IS NULL" for part in staged
    )
    later = f"row_number() OVER (PARTITION BY {names} ORDER BY {FILE}, {ORDINAL}) > 1"
    con.execute(f"CREATE OR REPLACE TEMP TABLE repeats AS SELECT {FILE}, {ORDINAL} FROM ({rows}) QUALIFY {later}")
    said = row_sql.text(f"repeats {', '.join(named)} of a row above")
    for part in staged:
        columns = [target.name for target in row_sql.targets(part.mapping) if not target.name.startswith(ITEM_PREFIX)]
        struct = ", ".join(f"{row_sql.text(column)}: {row_sql.name(column)}" for column in columns)
        con.execute(
            f"UPDATE {part.table} AS s SET {REASON} = {said}, {ROW} = CAST(to_json({{{struct}}}) AS VARCHAR) "
            f"FROM repeats AS r WHERE s.{FILE} = r.{FILE} AND s.{ORDINAL} = r.{ORDINAL}"
        )
    con.execute("DROP TABLE repeats")


def rejected(con: Any, staged: Staged, folder: Path) -> str:
    """Put the rows of a mapping that do not pass into a table of the connection.

    Args:
        con: the DuckDB connection.
        staged: what came of the mapping's files.
        folder: where a copy in UTF-8 may lie.

    Returns:
        The query of them, by file and line, with the columns `REJECTED`.
    """
    table = f"rejected_{staged.first}"
    con.execute(f"CREATE TEMP TABLE {table} (number BIGINT, {_REJECTED_TYPES})")
    took = f"SELECT {ORDINAL} AS record, {REASON} AS reason, {ROW} AS row FROM {staged.table} WHERE {REASON} <> '' AND {FILE} = "
    passed = f"SELECT record, reason, row FROM {staged.left} WHERE file = "
    for number, file in enumerate(staged.files, staged.first):
        sources = (f"{took}{number}", f"{passed}{number}")
        records = [_records(con, source) for source in sources]
        if any(map(len, records)):
            lines = _lines(file, staged, staged.taken[number - staged.first], records, folder)
            for source, record, line in zip(sources, records, lines, strict=True):
                con.register("found_lines", pa.table({"record": record, "line": line}))
                con.execute(
                    f"INSERT INTO {table} SELECT {number}, {row_sql.text(file.name)}, line, reason, row "
                    f"FROM ({source}) JOIN found_lines USING (record)"
                )
                con.unregister("found_lines")
    return f"SELECT {', '.join(REJECTED)} FROM {table} ORDER BY number, line, reason"


def _records(con: Any, query: str) -> IntArray:
    """The numbers of the records of a query, ascending."""
    found = con.execute(f"SELECT record FROM ({query}) ORDER BY record").fetchnumpy()["record"]
    return np.asarray(found, dtype=np.int64)


def _lines(
    file: SourceFile, staged: Staged, total: int, records: list[IntArray], folder: Path
) -> tuple[IntArray, IntArray]:
    """The lines of rejected records: of those that the reader took, and of those that it left."""
    took, passed = records
    if file.format == "parquet":
        return took, passed
    form = staged.mapping.csv
    text = file.format == "csv"
    path = in_utf8(file, form.encoding, folder) if text else file.path
    stands = TextForm(text and not form.header, form.quote if text else "", delimiter(file, form))
    lines = lines_of(path, stands, took, passed, total)
    return (np.full(len(took), -1), np.full(len(passed), -1)) if lines is None else lines
