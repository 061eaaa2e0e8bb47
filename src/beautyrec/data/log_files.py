"""Staged rows as the files of a log."""

# ruff: noqa: S608 (queries are made of texts: every name and value of the user's is quoted by row_sql)
from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from beautyrec.data import row_sql, schema
from beautyrec.data.parquet import read_parquet
from beautyrec.data.row_sql import FILE, ITEM_PREFIX, ORDINAL, REASON
from beautyrec.data.staging import DAY, Staged

REJECTED_FOLDER: Final = "rejected"
_BLOCK: Final = 122_880
"""Rows of which DuckDB keeps the least and the greatest day."""
_SCATTERED: Final = 3
"""Rows are sorted first where there are more pairs of a block and a day than this, for each block and each day."""
_IN_ORDER: Final = f"{schema.TS}, {FILE}, {ORDINAL}"


def _columns(staged: list[Staged]) -> list[str]:
    """The columns that some of the mappings fill, in the order of the schema, further ones after them."""
    names = schema.TABLES[staged[0].mapping.table].names
    given = {column for part in staged for column in part.mapping.targets}
    return [column for column in names if column in given] + sorted(given - set(names))


def _rows(staged: list[Staged]) -> str:
    """SQL of the rows that pass."""
    where = f"WHERE {REASON} IS NULL"
    return " UNION ALL BY NAME ".join(f"SELECT * FROM {part.table} {where}" for part in staged)


def _copy(con: Any, query: str, place: Path) -> None:
    con.execute(f"COPY ({query}) TO {row_sql.text(str(place))} (FORMAT parquet, COMPRESSION zstd)")


def write_rejected(con: Any, queries: list[str], place: Path) -> None:
    """Write rejected rows as CSV, those of one query after those of another."""
    every = " UNION ALL ".join(f"FROM ({query})" for query in queries)
    con.execute(f"COPY ({every}) TO {row_sql.text(str(place))} (FORMAT csv, HEADER)")


def write_events(con: Any, staged: list[Staged], folder: Path, on_rows: Callable[[int], None]) -> None:
    """Write the events, one folder a day, and the items that they tell of; ``on_rows`` gets the rows of each day."""
    source = _near_each_other(con, _rows(staged))
    days = con.execute(f"SELECT {DAY}, count(*) FROM ({source}) GROUP BY 1 ORDER BY 1").fetchall()
    offsets = accumulate((rows for _, rows in days), initial=0)
    columns = [column for column in _columns(staged) if column not in (schema.EVENT_ID, schema.AVAILABLE_AT)]
    late = f"coalesce({schema.AVAILABLE_AT}, {schema.TS})" if schema.AVAILABLE_AT in _columns(staged) else schema.TS
    chosen = ", ".join([*(row_sql.name(column) for column in columns), f"{late} AS {schema.AVAILABLE_AT}"])
    numbered = schema.EVENT_ID not in _columns(staged)
    for (day, rows), offset in zip(days, offsets, strict=False):
        key = f"{offset} + row_number() OVER () - 1" if numbered else schema.EVENT_ID
        sorted_rows = f"SELECT * FROM ({source}) WHERE {DAY} = DATE {row_sql.text(str(day))} ORDER BY {_IN_ORDER}"
        place = folder / "events.parquet" / f"day={day}"
        place.mkdir(parents=True)
        _copy(con, f"SELECT {key} AS {schema.EVENT_ID}, {chosen} FROM ({sorted_rows})", place / "part-0.parquet")
        on_rows(rows)
    for part in staged:
        if part.mapping.items is not None:
            _write_items(con, part, folder)


def _near_each_other(con: Any, rows: str) -> str:
    """SQL of the rows, such that those of a day lie near each other and can be had without a look at all the others.

    A shop's log mostly has them so. Where it does not, as in a file sorted by user, they are sorted once.
    """
    found = f"SELECT DISTINCT {FILE} AS file, {ORDINAL} // {_BLOCK} AS block, {DAY} AS day FROM ({rows})"
    pairs, blocks, days = con.execute(
        f"SELECT count(*), count(DISTINCT (file, block)), count(DISTINCT day) FROM ({found})"
    ).fetchall()[0]
    if pairs <= _SCATTERED * (blocks + days):
        return rows
    con.execute(f"CREATE OR REPLACE TEMP TABLE in_order AS SELECT * FROM ({rows}) ORDER BY {_IN_ORDER}")
    return "SELECT * FROM in_order"


def _write_items(con: Any, part: Staged, folder: Path) -> None:
    """The items that events tell of: of each column the last value that is known."""
    last = [
        f"last({row_sql.name(ITEM_PREFIX + column)} ORDER BY {_IN_ORDER}) "
        f"FILTER ({row_sql.name(ITEM_PREFIX + column)} IS NOT NULL) AS {row_sql.name(column)}"
        for column in part.mapping.items or {}
    ]
    chosen = ", ".join([schema.ITEM_ID, *last])
    rows = _rows([part])
    _copy(
        con,
        f"SELECT {chosen} FROM ({rows}) GROUP BY {schema.ITEM_ID} ORDER BY {schema.ITEM_ID}",
        folder / "items.parquet",
    )


def write_table(con: Any, staged: list[Staged], folder: Path) -> None:
    """Write a table other than the events as one file.

    Raises:
        SchemaError: its rows pass one by one and not together, such as shares that do not sum to 1.
    """
    table = staged[0].mapping.table
    chosen = ", ".join(row_sql.name(column) for column in _columns(staged))
    keys = ", ".join(schema.TABLES[table].unique)
    place = folder / f"{table}.parquet"
    _copy(con, f"SELECT {chosen} FROM ({_rows(staged)}) ORDER BY {keys}", place)
    schema.validate(table, read_parquet(place), f"the rows of table {table} that pass")


def keep_others(out: Path, temporary: Path, tables: list[str]) -> None:
    """Tables and rejected rows that were not made anew, linked from the old folder into the new one."""
    if not out.is_dir():
        return
    for place in sorted(out.rglob("*")):
        inside = place.relative_to(out)
        table = inside.parts[1].removesuffix(".csv").removesuffix("-failed") if len(inside.parts) > 1 else ""
        if inside.parts[0] == REJECTED_FOLDER:
            made_anew = table in tables
        else:
            made_anew = inside.parts[0].removesuffix(".parquet") in tables or (temporary / inside).exists()
        if place.is_file() and not made_anew:
            (temporary / inside).parent.mkdir(parents=True, exist_ok=True)
            _link(place, temporary / inside)


def _link(place: Path, to: Path) -> None:
    """The same file under another name; a copy where the file system has no links."""
    try:
        os.link(place, to)
    except OSError:
        shutil.copy2(place, to)
