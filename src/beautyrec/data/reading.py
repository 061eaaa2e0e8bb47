"""Any shop's files into a log of our own: mapped, checked, sorted, and written whole or not at all."""

# ruff: noqa: S608 (queries are made of texts: every name and value of the user's is quoted by row_sql)
from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from beautyrec.data import row_sql, schema
from beautyrec.data.log_files import REJECTED_FOLDER, keep_others, write_events, write_rejected, write_table
from beautyrec.data.mapping import LogMapping
from beautyrec.data.row_sql import REASON, ROW
from beautyrec.data.source_files import SourceFile, find_files
from beautyrec.data.staging import Staged, reject_repeats, rejected, stage
from beautyrec.engine import Engine
from beautyrec.errors import ConfigError, DataError, SourceError
from beautyrec.files import atomic_file, atomic_folder
from beautyrec.types import Progress

MAX_REJECTED: Final = 0.01


@dataclass(frozen=True)
class Imported:
    """What one mapping brought.

    Args:
        table: the table that its rows went to.
        files: how many files were read.
        skipped: names of files in the folders whose format is none that can be read.
        read: rows of the files; it is ``kept + rejected +`` the sum of ``ignored``.
        kept: rows in the table.
        rejected: rows in ``rejected/``.
        reasons: what is wrong to how many rows have it, the most frequent first; values in quotes are left out.
        ignored: name of an event that the mapping ignores to how many rows have it.
        zone: the zone of times that name none, and whether the mapping gave it.
        currency: what money is in.
    """

    table: str
    files: int
    skipped: list[str]
    read: int
    kept: int
    rejected: int
    reasons: dict[str, int]
    ignored: dict[str, int]
    zone: str
    currency: str


@dataclass(frozen=True, eq=False)
class _Run:
    """What the steps of one import share."""

    con: Any
    folder: Path
    on_progress: Progress | None
    staged: list[Staged] = field(default_factory=list)
    skipped: list[list[str]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def of(self, table: str) -> list[Staged]:
        return [part for part in self.staged if part.mapping.table == table]

    @property
    def tables(self) -> list[str]:
        """The tables in the order of the schema."""
        return [table for table in schema.TABLES if self.of(table)]


def import_log(
    mappings: Sequence[LogMapping],
    paths: Iterable[str | Path],
    out: str | Path,
    *,
    max_rejected: float = MAX_REJECTED,
    memory_limit: str = "2GB",
    threads: int | None = None,
    on_progress: Progress | None = None,
) -> list[Imported]:
    """Write the tables that the mappings fill to a folder that :meth:`beautyrec.EventLog.read` reads.

    Events are partitioned by day (of ``ts``, in the zone of their mapping), sorted by time, and at the same time by
    the name of the file and the line. Where no mapping gives ``event_id`` they are numbered in that order. Files
    are Parquet (zstd). The tables that no mapping fills stay as they were. The same files and mappings give the same
    bytes. Until the end nothing changes in ``out``; then it changes at once.

    Rows that do not pass go to ``rejected/TABLE.csv`` with file, line and reason.

    Args:
        mappings: how files are read, one or more for each table wanted.
        paths: files, folders, or patterns; each mapping takes its own of them.
        out: the folder of the log.
        max_rejected: the greatest share of a mapping's rows that may be rejected.
        memory_limit: what DuckDB may use; work beyond it is put on the disk beside ``out``.
        threads: how many; as many as there are cores where it is None.
        on_progress: called with the work done, and all of it: bytes read, then as much again as events are written.

    Returns:
        One entry a mapping.

    Raises:
        SourceError: files are not there or cannot be read, or ``out`` holds other things than a log.
        SchemaError: a file lacks a column.
        DataError: more than ``max_rejected`` of a mapping's rows do not pass. They lie in ``rejected/TABLE-failed.csv``,
            and the tables are as they were.
        ConfigError: there is no mapping, or they do not go together: an id is integer in one and text in another, two fill
            the table ``items`` in two ways.
    """
    out = Path(out)
    _check_mappings(mappings)
    _check_out(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    paths = list(paths)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.staging.", dir=out.parent) as folder:
        engine = Engine.duckdb(memory_limit, threads)
        run = _Run(engine.connection.con, Path(folder), on_progress)
        run.con.execute(f"SET temp_directory = {row_sql.text(folder)}")
        try:
            _stage_all(run, mappings, paths)
            bad = [rejected(run.con, part, run.folder) for part in run.staged]
            result = [_summary(run, place, query) for place, query in enumerate(bad)]
            _refuse_too_many(run, bad, result, max_rejected, out)
            _refuse_none(result)
            with atomic_folder(out) as temporary:
                _write(run, bad, result, temporary)
                keep_others(out, temporary, run.tables)
            return result
        finally:
            engine.connection.disconnect()


def _check_mappings(mappings: Sequence[LogMapping]) -> None:
    if not mappings:
        raise ConfigError("there is no mapping. Name one at least (--mapping).")
    filling = [mapping for mapping in mappings if mapping.items is not None]
    if len(filling) > 1 or (filling and any(mapping.table == "items" for mapping in mappings)):
        raise ConfigError("more than one mapping fills the table items. Leave [items] out of the mappings of events.")
    given = {schema.EVENT_ID in mapping.targets for mapping in mappings if mapping.table == "events"}
    if len(given) > 1:
        raise ConfigError("some mappings of events give event_id and others do not. Give it in all or in none.")
    for name in (schema.USER_ID, schema.ITEM_ID, schema.ROOM_ID, schema.REQUEST_ID):
        if len({name in mapping.integer_ids for mapping in mappings if name in mapping.targets}) > 1:
            raise ConfigError(
                f"integer_ids: '{name}' is there in some mappings only. Name it in all of them or in none."
            )


def _check_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise SourceError(f"'{out}' is a file. A log takes a folder of its own: name another.")
    known = {f"{table}.parquet" for table in schema.TABLES} | {REJECTED_FOLDER}
    others = sorted(place.name for place in out.iterdir() if place.name not in known) if out.is_dir() else []
    if others:
        raise SourceError(
            f"'{out}' holds other things than a log: {len(others)} of them, the first '{others[0]}'. "
            f"A log takes a folder of its own: name another."
        )


def _stage_all(run: _Run, mappings: Sequence[LogMapping], paths: list[str | Path]) -> None:
    chosen = [find_files(paths, mapping) for mapping in mappings]
    sizes = {file.path: file.path.stat().st_size for files, _ in chosen for file in files}
    total = sum(sizes[file.path] for files, _ in chosen for file in files)
    done = list[int]()

    def on_file(file: SourceFile) -> None:
        done.append(sizes[file.path])
        if run.on_progress is not None:
            run.on_progress(sum(done), 2 * total)

    run.sizes.extend(sizes[file.path] for files, _ in chosen for file in files)
    numbers = accumulate((len(files) for files, _ in chosen), initial=0)
    for mapping, (files, skipped), first in zip(mappings, chosen, numbers, strict=False):
        run.staged.append(stage(run.con, mapping, files, first, run.folder, on_file))
        run.skipped.append(skipped)
    for table in run.tables:
        reject_repeats(run.con, run.of(table))


def _summary(run: _Run, place: int, bad: str) -> Imported:
    staged = run.staged[place]
    mapping = staged.mapping
    query = f"SELECT {ROW} AS name, count(*) AS rows FROM {staged.table} WHERE {REASON} = '' GROUP BY 1 ORDER BY 1"
    ignored = {str(name): int(rows) for name, rows in run.con.execute(query).fetchall()}
    quoted = row_sql.text("'.*?'")
    query = f"SELECT regexp_replace(reason, {quoted}, '...', 'gs'), count(*) FROM ({bad}) GROUP BY 1 ORDER BY 2 DESC, 1"
    reasons = {str(reason): int(rows) for reason, rows in run.con.execute(query).fetchall()}
    passed_not = sum(reasons.values())
    return Imported(
        table=mapping.table,
        files=len(staged.files),
        skipped=run.skipped[place],
        read=staged.read,
        kept=staged.read - passed_not - sum(ignored.values()),
        rejected=passed_not,
        reasons=reasons,
        ignored=ignored,
        zone=mapping.zone + ("" if mapping.time_zone else " (not given)"),
        currency=mapping.currency.name,
    )


def _refuse_too_many(run: _Run, bad: list[str], result: list[Imported], max_rejected: float, out: Path) -> None:
    for query, part in zip(bad, result, strict=True):
        if part.rejected > max_rejected * part.read:
            place = out / REJECTED_FOLDER / f"{part.table}-failed.csv"
            with atomic_file(place) as temporary:
                write_rejected(run.con, [query], temporary)
            name, line, reason, _ = run.con.execute(f"{query} LIMIT 1").fetchall()[0]
            raise DataError(
                f"table {part.table}: {part.rejected} of {part.read} rows do not pass, more than "
                f"{max_rejected:g} of them (first: {name}, line {line}: {reason}). All lie in "
                f"'{place}'; the log is as it was. Correct the mapping or the files, or allow a greater share."
            )


def _refuse_none(result: list[Imported]) -> None:
    events = [part for part in result if part.table == "events"]
    if events and not any(part.kept for part in events):
        reasons = [reason for part in events for reason in part.reasons]
        most = f", most of them as {reasons[0]}" if reasons else ""
        raise DataError(
            f"table events: of {sum(part.read for part in events)} rows none is left: "
            f"{sum(part.rejected for part in events)} are rejected{most}, the others ignored. Correct the mapping."
        )


def _counter(run: _Run, result: list[Imported]) -> Callable[[int], None]:
    """What tells the progress of events that are written."""
    total, kept = sum(run.sizes), sum(part.kept for part in result if part.table == "events")
    written = list[int]()

    def on_rows(rows: int) -> None:
        written.append(rows)
        if run.on_progress is not None:
            run.on_progress(total + total * sum(written) // kept, 2 * total)

    return on_rows


def _write(run: _Run, bad: list[str], result: list[Imported], folder: Path) -> None:
    for table in run.tables:
        queries = [query for query, part in zip(bad, result, strict=True) if part.table == table and part.rejected]
        if queries:
            (folder / REJECTED_FOLDER).mkdir(exist_ok=True)
            write_rejected(run.con, queries, folder / REJECTED_FOLDER / f"{table}.csv")
        if table == "events":
            write_events(run.con, run.of(table), folder, _counter(run, result))
        else:
            write_table(run.con, run.of(table), folder)
