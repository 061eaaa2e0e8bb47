"""What a reader of a publisher's files gives: tables that an event log takes, and what was not taken, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from beautyrec.data.log import EventLog
from beautyrec.data.schema import EVENT, EVENT_ID, QUANTITY, TS
from beautyrec.engine import Engine
from beautyrec.errors import SchemaError

FILE: Final = "file"
LINE: Final = "line"
REASON: Final = "reason"
TEXT: Final = "text"
REJECTED: Final = pa.schema([(FILE, pa.string()), (LINE, pa.int64()), (REASON, pa.string()), (TEXT, pa.string())])
"""Columns of the rows that were not taken: where they stand, why, and what they hold."""
SHOWN: Final = 200
"""How many characters of such a row are kept."""
UTC: Final = pa.timestamp("us", "UTC")


@dataclass(frozen=True, eq=False)
class SourceFrames:
    """The tables of a publisher's data set, in the columns of :mod:`beautyrec.data.schema`.

    Args:
        events: what happened; ``event_id`` goes by time and, within a time, by file and line.
        items: the catalogue.
        rejected: rows that could not be taken: ``file, line, reason, text``. Lines count from 1, the header too.
        users: what is known of the users, where the publisher says so.
        rooms: the live rooms, where there are any.
        beside: sound rows for which the schema has no event, by the publisher's name for them.
    """

    events: pa.Table
    items: pa.Table
    rejected: pa.Table
    users: pa.Table | None = None
    rooms: pa.Table | None = None
    beside: Mapping[str, pa.Table] = field(default_factory=dict)

    def log(self, engine: Engine | None = None) -> EventLog:
        """The tables as a checked log.

        Raises:
            SchemaError: a table is not as the schema has it.
        """
        return EventLog.from_frames(self.events, self.items, users=self.users, rooms=self.rooms, engine=engine)

    def reasons(self) -> pd.DataFrame:
        """How many rows of each file were rejected for each reason: ``file, reason, rows``, the most first."""
        counts = (
            self.rejected.group_by([FILE, REASON]).aggregate([(LINE, "count")]).rename_columns([FILE, REASON, "rows"])
        )
        frame: pd.DataFrame = counts.sort_by(
            [("rows", "descending"), (FILE, "ascending"), (REASON, "ascending")]
        ).to_pandas()
        return frame


def rejected_rows(path: Path, lines: object, reasons: object, texts: object) -> pa.Table:
    """Rows of one file that were not taken, as a table with the columns `REJECTED`, by line."""
    line = pa.array(lines, pa.int64())
    files = pa.repeat(pa.scalar(str(path)), len(line))
    shown = pc.utf8_slice_codeunits(pa.array(texts, pa.string()), 0, SHOWN)
    columns = [files, line, pa.array(reasons, pa.string()), shown]
    return pa.table(columns, schema=REJECTED).sort_by(LINE)


def check_share(path: Path, rejected: pa.Table, rows: int, most: float) -> None:
    """Refuse a file of which too much was rejected.

    Args:
        path: the file.
        rejected: its rows that were not taken.
        rows: how many rows it has, those included.
        most: the largest share of them that may be rejected.

    Raises:
        SchemaError: more were.
    """
    if rejected.num_rows > most * rows:
        first = rejected.slice(0, 1).to_pylist()[0]
        raise SchemaError(
            f"{path}: {rejected.num_rows} of {rows} rows are damaged, more than {most:.3g} of them (first: line "
            f"{first[LINE]}, {first[REASON]}, in '{first[TEXT]}'). Take the publisher's original, or raise 'max_rejected'."
        )


def all_rejected(tables: Iterable[pa.Table]) -> pa.Table:
    """The rejected rows of several files as one table."""
    return pa.concat_tables([REJECTED.empty_table(), *tables])


def by_time(events: pa.Table) -> pa.Table:
    """The events in order of time, those of one time as they come, numbered from 0 in ``event_id``."""
    order = pc.sort_indices(events, sort_keys=[(TS, "ascending")])
    return events.take(order).append_column(EVENT_ID, pa.array(np.arange(events.num_rows)))


def one_each(events: pa.Table, name: str) -> pa.Table:
    """The events with ``quantity``: 1 for each event called ``name``, a gap for others."""
    ones = pc.if_else(pc.equal(events.column(EVENT), name), pa.scalar(1, pa.int64()), pa.scalar(None, pa.int64()))
    return events.append_column(QUANTITY, ones)


def renamed(names: pa.ChunkedArray, into: Mapping[str, str]) -> pa.ChunkedArray:
    """The publisher's names of events as those of the schema; null where ``into`` has none."""
    places = pc.index_in(names, value_set=pa.array(list(into), pa.string()))
    return pc.take(pa.array(list(into.values()), pa.string()), places)


def from_epoch(values: pa.ChunkedArray, unit: str) -> pa.ChunkedArray:
    """Whole seconds (``"s"``) or milliseconds (``"ms"``) since 1970-01-01 UTC as times."""
    return values.cast(pa.int64()).cast(pa.timestamp(unit, "UTC")).cast(UTC)


def first_each(rows: pa.Table, key: str) -> pa.Table:
    """One row for each value of ``key``, sorted by it; of each other column the first value there is.

    Examples:
        >>> first_each(pa.table({"id": [2, 1, 2], "brand": [None, "Aster", "Birch"]}), "id").to_pylist()
        [{'id': 1, 'brand': 'Aster'}, {'id': 2, 'brand': 'Birch'}]
    """
    others = [name for name in rows.column_names if name != key]
    first = rows.group_by(key, use_threads=False).aggregate([(name, "first") for name in others])
    return first.select([key, *(f"{name}_first" for name in others)]).rename_columns([key, *others]).sort_by(key)
