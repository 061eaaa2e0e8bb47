"""The verbs ``data import`` and ``data describe``: what they do, and the tables that they print."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from beautyrec.data.describe import Description, describe
from beautyrec.data.log_files import REJECTED_FOLDER
from beautyrec.data.mapping import read_mapping
from beautyrec.data.reading import Imported, import_log
from beautyrec.data.schema import TABLES
from beautyrec.errors import ConfigError
from beautyrec.jobs.steps import Steps

_NEEDED = ("events", "items")


def bring_in(
    mappings: Sequence[Path], paths: Sequence[Path], out: Path, *, max_rejected: float, memory: str, console: Console
) -> list[Imported]:
    """Import files by mappings in TOML, and print what came of them.

    Raises:
        BeautyrecError: as :func:`beautyrec.data.reading.import_log` and :func:`beautyrec.data.mapping.read_mapping`.
    """
    read = [read_mapping(path) for path in mappings]
    with Steps(console).step("reading, checking, writing") as on_progress:
        brought = import_log(read, paths, out, max_rejected=max_rejected, memory_limit=memory, on_progress=on_progress)
    console.print(_imported(brought))
    for part in brought:
        _say_more(part, console)
    if any(part.rejected for part in brought):
        console.print(f"[bold]rejected rows:[/] {out / REJECTED_FOLDER}", highlight=False)
    absent = [name for name in _NEEDED if not (out / f"{name}.parquet").exists()]
    if absent:
        console.print(f"[yellow]a log needs {' and '.join(absent)} too:[/] import that table next", highlight=False)
    return brought


def look_at(path: Path, mappings: Sequence[Path], *, as_json: bool, memory: str, console: Console) -> Description:
    """Describe a log, or files that mappings read, and print it as tables or as one JSON object.

    Files are read into a temporary folder for it, and rejected rows do not stop that.

    Raises:
        ConfigError: a mapping is given and none is of events.
    """
    now = pd.Timestamp.now(tz="UTC")
    brought = list[Imported]()
    if mappings:
        read = [read_mapping(mapping) for mapping in mappings]
        if all(mapping.table != "events" for mapping in read):
            raise ConfigError(f"no mapping is of events, of {len(read)}. Only events are described.")
        with tempfile.TemporaryDirectory() as folder:
            brought = import_log(read, [path], Path(folder) / "log", max_rejected=1.0, memory_limit=memory)
            found = describe(Path(folder) / "log", now=now, memory_limit=memory)
    else:
        found = describe(path, now=now, memory_limit=memory)
    if as_json:
        text = json.dumps(found.as_dict() | {"imported": [asdict(part) for part in brought]}, allow_nan=False)
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    else:
        _show(found, brought, console)
    return found


def _show(found: Description, brought: list[Imported], console: Console) -> None:
    if brought:
        console.print(_imported(brought))
        for part in brought:
            _say_more(part, console)
    tables = ", ".join(f"{found.tables[name]:,} {name}" for name in TABLES if name in found.tables)
    console.print(f"[bold]{tables}[/], {found.start} .. {found.end}", highlight=False)
    for table in (_funnel(found), _columns(found), _oddities(found)):
        console.print(table)


def _imported(brought: list[Imported]) -> Table:
    table = Table(title="Imported", title_justify="left")
    table.add_column("table")
    for name in ("files", "rows read", "kept", "rejected", "ignored"):
        table.add_column(name, justify="right")
    table.add_column("time zone")
    table.add_column("currency")
    for part in brought:
        ignored = sum(part.ignored.values())
        counts = (part.files, part.read, part.kept, part.rejected, ignored)
        table.add_row(part.table, *(f"{count:,}" for count in counts), part.zone, part.currency)
    return table


def _say_more(part: Imported, console: Console) -> None:
    for reason, rows in part.reasons.items():
        console.print(f"  rejected: {rows:,} rows: {reason}", markup=False, highlight=False)
    for name, rows in part.ignored.items():
        console.print(f"  ignored: {rows:,} rows: event {name}", markup=False, highlight=False)
    if part.skipped:
        console.print(
            f"  not read: {len(part.skipped)} files of no known format, the first {part.skipped[0]}",
            markup=False,
            highlight=False,
        )


def _funnel(found: Description) -> Table:
    table = Table(title="Events", title_justify="left")
    table.add_column("event")
    for name in ("events", "users", "pairs of user and item", "of the step before"):
        table.add_column(name, justify="right")
    for step in found.funnel:
        share = "-" if step.of_last is None else f"{100 * step.of_last:.2f} %"
        table.add_row(step.event, f"{step.events:,}", f"{step.users:,}", f"{step.pairs:,}", share)
    steps = {step.event for step in found.funnel}
    for name, rows in found.events.items():
        if name not in steps:
            table.add_row(name, f"{rows:,}", "", "", "")
    return table


def _columns(found: Description) -> Table:
    table = Table(title="Columns of the events", title_justify="left")
    table.add_column("column")
    for name in ("filled", "values", "least", "greatest"):
        table.add_column(name, justify="right", overflow="ellipsis", no_wrap=True)
    for facts in found.columns:
        table.add_row(
            facts.name, f"{100 * facts.filled:.2f} %", f"{facts.distinct:,}", facts.low or "-", facts.high or "-"
        )
    return table


def _oddities(found: Description) -> Table:
    table = Table(title="What to look at", title_justify="left")
    table.add_column("what")
    table.add_column("rows", justify="right")
    table.add_column("more")
    empty = found.days_without_events
    clocks = found.clocks
    unknown = "-" if found.unknown_items is None else f"{found.unknown_items:,}"
    for what, count, more in (
        ("days without events", f"{len(empty):,}", ", ".join(empty[:3]) + (" ..." if len(empty) > 3 else "")),
        (
            "longest silence",
            "",
            f"{found.longest_silence_s:,.0f} s from {found.silence_from}" if found.silence_from else "-",
        ),
        ("rows as another one in all but event_id", f"{found.duplicates:,}", ""),
        ("rows with the event_id of another", f"{found.repeated_ids:,}", ""),
        ("items of events not in the table items", unknown, ""),
        ("events in the future", f"{clocks.in_future:,}", ""),
        ("events before 2000", f"{clocks.too_early:,}", ""),
        ("available_at before ts", f"{clocks.known_before:,}", ""),
        ("available_at after ts (late)", f"{clocks.late:,}", f"at most {clocks.greatest_delay_s:,.0f} s"),
        ("events at 00:00:00 UTC", f"{clocks.at_midnight:,}", "many: days, not times"),
        ("touches before the impression of their request", f"{clocks.before_impression:,}", ""),
        ("touches of a request that showed no such item", f"{clocks.without_impression:,}", ""),
    ):
        table.add_row(what, count, more)
    return table
