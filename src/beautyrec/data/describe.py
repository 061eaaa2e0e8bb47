"""What a log holds and what may be wrong with it, without taking it into memory: counts, funnel, gaps, duplicates, clocks."""

# ruff: noqa: S608 (queries are made of texts: every name and value of the user's is quoted by row_sql)
from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from beautyrec.data import row_sql, schema
from beautyrec.data.schema import AVAILABLE_AT, EVENT, EVENT_ID, ITEM_ID, REQUEST_ID, ROOM_ID, TS, USER_ID
from beautyrec.data.times import Length, Moment, length, utc
from beautyrec.engine import Engine
from beautyrec.errors import SourceError

FUNNEL: Final = (schema.IMPRESSION, schema.CLICK, schema.CART, schema.ORDER)
EARLIEST: Final = "2000-01-01T00:00:00+00:00"
"""Events before it are counted as too early to be true."""


@dataclass(frozen=True)
class ColumnFacts:
    """One column of the events.

    Args:
        name: its name.
        filled: share of the rows that have a value.
        distinct: about how many values there are (HyperLogLog, to a few per cent); exact for users, items, rooms, requests.
        low: the least value, as text.
        high: the greatest value, as text.
    """

    name: str
    filled: float
    distinct: int
    low: str | None
    high: str | None


@dataclass(frozen=True)
class FunnelStep:
    """One step from impression to order.

    Args:
        event: its name.
        events: how many there are.
        users: users who have one.
        pairs: pairs of user and item that have one.
        of_last: events / events of the last step before it that has any; None for the first.
    """

    event: str
    events: int
    users: int
    pairs: int
    of_last: float | None


@dataclass(frozen=True)
class Clocks:
    """What is odd about times.

    Args:
        in_future: events after the moment that the log was looked at.
        too_early: events before 2000.
        known_before: rows with ``available_at`` before ``ts``.
        late: rows with ``available_at`` after ``ts``.
        greatest_delay_s: the greatest ``available_at - ts`` in seconds.
        at_midnight: events at 00:00:00.000 of a day in UTC: many of them are days, not times.
        before_impression: clicks, carts and orders before the first impression of their request and item.
        without_impression: those that name a request which showed no such item.
    """

    in_future: int
    too_early: int
    known_before: int
    late: int
    greatest_delay_s: float
    at_midnight: int
    before_impression: int
    without_impression: int


@dataclass(frozen=True)
class Description:
    """What a log holds.

    Args:
        rows: events, in all.
        events: name of an event to how many there are, in the order of the schema.
        tables: table to its rows; those that are not there are absent.
        start: the first event, ISO in UTC.
        end: the last one.
        columns: what is in the columns of the events.
        funnel: impressions, clicks, carts, orders.
        days_without_events: UTC days between the first and the last event that have none.
        longest_silence_s: seconds between two events with none between them, the greatest.
        silence_from: when that began.
        duplicates: rows that are as another one in all but ``event_id``.
        repeated_ids: rows whose ``event_id`` another row has too.
        unknown_items: items of the events that the table ``items`` does not have; None without that table.
        clocks: what is odd about times.
    """

    rows: int
    events: dict[str, int]
    tables: dict[str, int]
    start: str
    end: str
    columns: list[ColumnFacts]
    funnel: list[FunnelStep]
    days_without_events: list[str]
    longest_silence_s: float
    silence_from: str
    duplicates: int
    repeated_ids: int
    unknown_items: int | None
    clocks: Clocks

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class _Log:
    """A connection with views of the tables, and the columns of the events that have values of their own."""

    con: Any
    tables: Mapping[str, str]
    columns: tuple[str, ...]

    @property
    def events(self) -> str:
        return self.tables["events"]

    def row(self, query: str) -> tuple[Any, ...]:
        found: tuple[Any, ...] = self.con.execute(query).fetchall()[0]
        return found


def describe(
    folder: str | Path, *, now: Moment, memory_limit: str = "2GB", threads: int | None = None, days: Length = "36525D"
) -> Description:
    """Look at the log in a folder.

    Args:
        folder: what :meth:`beautyrec.EventLog.read` reads; ``items.parquet`` may be absent.
        now: the moment after which no event can have happened.
        memory_limit: what DuckDB may use; work beyond it is put on the disk.
        threads: how many; as many as there are cores where it is None.
        days: the longest range of which days without events are named.

    Raises:
        SourceError: there are no events, or they cannot be read as Parquet.
    """
    import duckdb

    engine = Engine.duckdb(memory_limit, threads)
    try:
        log = _open(engine.connection.con, Path(folder))
        return _described(log, utc(now).isoformat(), length(days).days)
    except duckdb.Error as error:
        raise SourceError(f"'{folder}' cannot be read as a log: {str(error).splitlines()[0]}") from None
    finally:
        engine.connection.disconnect()


def _open(con: Any, folder: Path) -> _Log:
    con.execute("SET TimeZone = 'UTC'")
    tables = {}
    for name in schema.TABLES:
        place = folder / f"{name}.parquet"
        if place.exists():
            files = sorted(place.rglob("*.parquet")) if place.is_dir() else [place]
            paths = row_sql.texts(str(file) for file in files)
            con.execute(f"CREATE TEMP VIEW log_{name} AS FROM read_parquet([{paths}], hive_partitioning = false)")
            tables[name] = f"log_{name}"
    if "events" not in tables:
        raise SourceError(
            f"'{folder}' has no events.parquet. Name the folder of a log, or give a mapping for other files."
        )
    names = [row[0] for row in con.execute("DESCRIBE log_events").fetchall()]
    needed = [name for name in (EVENT_ID, EVENT, TS, USER_ID, ITEM_ID) if name not in names]
    if needed:
        raise SourceError(f"'{folder}': events.parquet has no columns {needed}; it has {names}. Give a mapping.")
    return _Log(con, tables, tuple(names))


def _described(log: _Log, now: str, days: int) -> Description:
    rows, start, end, ids = log.row(
        f"SELECT count(*), min({TS})::VARCHAR, max({TS})::VARCHAR, count(DISTINCT {EVENT_ID}) FROM {log.events}"
    )
    if not rows:
        raise SourceError("the log has no events.")
    counts = dict(log.con.execute(f"SELECT {EVENT}, count(*) FROM {log.events} GROUP BY 1").fetchall())
    silence, since = _silence(log)
    alike = ", ".join(row_sql.name(column) for column in log.columns if column != EVENT_ID)
    (kinds,) = log.row(f"SELECT count(*) FROM (SELECT DISTINCT {alike} FROM {log.events})")
    return Description(
        rows=rows,
        events={name: counts[name] for name in (*schema.EVENT_NAMES, *sorted(counts)) if name in counts},
        tables={name: log.row(f"SELECT count(*) FROM {view}")[0] for name, view in log.tables.items()},
        start=start,
        end=end,
        columns=[_facts(log, column) for column in log.columns],
        funnel=_funnel(log),
        days_without_events=_empty_days(log, days),
        longest_silence_s=silence,
        silence_from=since,
        duplicates=rows - kinds,
        repeated_ids=rows - ids,
        unknown_items=_unknown_items(log),
        clocks=_clocks(log, now),
    )


def _facts(log: _Log, column: str) -> ColumnFacts:
    name = row_sql.name(column)
    exact = column in (USER_ID, ITEM_ID, ROOM_ID, REQUEST_ID)
    distinct = f"count(DISTINCT {name})" if exact else f"approx_count_distinct({name})"
    rows, filled, kinds, low, high = log.row(
        f"SELECT count(*), count({name}), {distinct}, min({name})::VARCHAR, max({name})::VARCHAR FROM {log.events}"
    )
    return ColumnFacts(column, filled / rows, min(kinds, filled), low, high)


def _funnel(log: _Log) -> list[FunnelStep]:
    query = (
        f"SELECT {EVENT}, count(*), count(DISTINCT {USER_ID}), count(DISTINCT ({USER_ID}, {ITEM_ID})) "
        f"FROM {log.events} WHERE {EVENT} IN ({row_sql.texts(FUNNEL)}) GROUP BY 1"
    )
    found = {row[0]: row[1:] for row in log.con.execute(query).fetchall()}
    steps = list[FunnelStep]()
    for event in FUNNEL:
        events, users, pairs = found.get(event, (0, 0, 0))
        before = next((step.events for step in reversed(steps) if step.events), None)
        steps.append(FunnelStep(event, events, users, pairs, None if before is None else events / before))
    return steps


def _empty_days(log: _Log, most: int) -> list[str]:
    query = f"SELECT DISTINCT {TS}::DATE FROM {log.events} ORDER BY 1"
    busy: list[dt.date] = [row[0] for row in log.con.execute(query).fetchall()]
    span = (busy[-1] - busy[0]).days
    if span > most:
        return []
    return [str(day) for day in (busy[0] + dt.timedelta(days=place) for place in range(span)) if day not in set(busy)]


def _silence(log: _Log) -> tuple[float, str]:
    gaps = f"SELECT {TS} AS until, lag({TS}) OVER (ORDER BY {TS}) AS since FROM {log.events}"
    longest = f"SELECT epoch(until - since) AS seconds, since::VARCHAR FROM ({gaps}) WHERE since IS NOT NULL "
    found = log.con.execute(longest + "ORDER BY seconds DESC, since LIMIT 1").fetchall()
    return (float(found[0][0]), found[0][1]) if found else (0.0, "")


def _unknown_items(log: _Log) -> int | None:
    if "items" not in log.tables:
        return None
    known = f"SELECT {ITEM_ID}::VARCHAR FROM {log.tables['items']}"
    return int(
        log.row(f"SELECT count(*) FROM (SELECT DISTINCT {ITEM_ID}::VARCHAR FROM {log.events} EXCEPT {known})")[0]
    )


def _clocks(log: _Log, now: str) -> Clocks:
    known = AVAILABLE_AT if AVAILABLE_AT in log.columns else TS
    in_future, too_early, known_before, late, delay, midnight = log.row(
        f"SELECT count(*) FILTER ({TS} > {row_sql.text(now)}::TIMESTAMPTZ), "
        f"count(*) FILTER ({TS} < {row_sql.text(EARLIEST)}::TIMESTAMPTZ), count(*) FILTER ({known} < {TS}), "
        f"count(*) FILTER ({known} > {TS}), max(epoch({known} - {TS})), "
        f"count(*) FILTER ({TS} = date_trunc('day', {TS})) FROM {log.events}"
    )
    before, without = _out_of_order(log)
    delay = max(0.0, float(delay)) if delay is not None and math.isfinite(delay) else 0.0
    return Clocks(in_future, too_early, known_before, late, delay, midnight, before, without)


def _out_of_order(log: _Log) -> tuple[int, int]:
    """Touches of a request before its impression, and of one that showed no such item."""
    if REQUEST_ID not in log.columns:
        return 0, 0
    shown = (
        f"SELECT {REQUEST_ID}, {ITEM_ID}, min({TS}) AS first FROM {log.events} "
        f"WHERE {EVENT} = {row_sql.text(schema.IMPRESSION)} AND {REQUEST_ID} IS NOT NULL GROUP BY ALL"
    )
    touches = row_sql.texts(FUNNEL[1:])
    before, without = log.row(
        f"SELECT count(*) FILTER ({TS} < first), count(*) FILTER (first IS NULL) FROM {log.events} "
        f"LEFT JOIN ({shown}) USING ({REQUEST_ID}, {ITEM_ID}) WHERE {EVENT} IN ({touches}) AND {REQUEST_ID} IS NOT NULL"
    )
    return int(before), int(without)
