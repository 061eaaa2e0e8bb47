"""A log of any length as small tables: counts of each room, and of each product in each room.

The board reads these alone, so that a page over ten million events opens as fast as one over ten thousand. They lie in a
folder beside the log and are made anew when a file of the log has come, gone or changed (name, size, time). Both are
written whole or not at all: who opens the board meanwhile sees the old ones. Beside them lies what a third party tells of
competitors, where the log has it (:mod:`beautyrec.board.competitors`).

Counts of different rooms may be added, as a viewer is counted in each room that they enter: ``viewers`` are pairs of a
viewer and a room, as in :meth:`beautyrec.data.log.EventLog.describe`. Events without a room make one row a day, the room
named by :data:`OUTSIDE`.
"""

# ruff: noqa: S608 (queries are made of texts: every path and name of a column is quoted by row_sql)
from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from beautyrec.board.competitors import COMPETITORS, NONE, checked
from beautyrec.data import row_sql, schema
from beautyrec.engine import Engine
from beautyrec.errors import ConfigError, SchemaError, SourceError
from beautyrec.files import atomic_folder

OUTSIDE: Final = "outside rooms"
"""Room and scene of the events that name no room."""

UNKNOWN: Final = "unknown scene"
"""Scene of a room that the table ``rooms`` does not have."""

PREDICTIONS: Final = "predictions"
"""An optional table of the log's folder: one row a room and product, what was expected before the room went on air."""

VERSION: Final = 2
"""Of the form of the tables; another one lets them be made anew."""

_DAY_US: Final = 86_400_000_000
_ROOM_COSTS: Final = ("traffic_cost", "commission")
_NEEDED: Final = {
    "events": (schema.EVENT, schema.TS, schema.USER_ID, schema.ITEM_ID),
    "items": (schema.ITEM_ID,),
    "rooms": (schema.ROOM_ID, schema.SCENE, schema.STARTS_AT),
    "shelves": (schema.ROOM_ID, schema.ITEM_ID),
    PREDICTIONS: (schema.ROOM_ID, schema.ITEM_ID, "orders", "sales"),
}
_OPTIONAL: Final = {
    "events": (schema.ROOM_ID, schema.PRICE, schema.QUANTITY),
    "items": (schema.TITLE, schema.CATEGORY, schema.PRICE, schema.COST),
    "rooms": (schema.HOST, *_ROOM_COSTS),
    "shelves": (schema.PRICE, schema.STOCK),
    PREDICTIONS: (),
}
_TABLES: Final = {"rooms": "day, room_id", "products": "room_id, item_id", COMPETITORS: "item_id, day"}


@dataclass(frozen=True)
class Cube:
    """The two tables, on the disk.

    Args:
        folder: holds ``rooms.parquet``, ``products.parquet``, ``competitors.parquet`` and ``cube.json``.
        events: events that were counted.
        last_us: when the last of them happened, microseconds UTC.
        seconds: how long the counting took.
    """

    folder: Path
    events: int
    last_us: int
    seconds: float

    @property
    def rooms(self) -> Path:
        """One row a room: day, scene, host, counts, money."""
        return self.folder / "rooms.parquet"

    @property
    def products(self) -> Path:
        """One row a room and product: counts, money, price, stock, and what was expected."""
        return self.folder / "products.parquet"

    @property
    def competitors(self) -> Path:
        """One row a product and day on which a third party told of a competitor's price or rank; none without such a table."""
        return self.folder / "competitors.parquet"


def cache_of(log: Path) -> Path:
    """Where the cube of a log lies if nothing else is said: a hidden folder beside it."""
    return log.resolve().parent / f".{log.resolve().name}.board"


def refreshed(log: str | Path, cache: str | Path | None = None, *, utc_offset_hours: float = 0.0) -> Cube:
    """The cube of a log as its files are now; counted again only if one of them has changed.

    Args:
        log: folder with ``events.parquet`` and ``items.parquet``, each a file or a folder of files; ``rooms``, ``shelves``,
            ``predictions`` and ``competitors`` if there are any.
        cache: folder of the cube; :func:`cache_of` the log if None.
        utc_offset_hours: hours by which the shop's clock is ahead of UTC; days begin at its midnight.

    Raises:
        SourceError: a file is absent or cannot be read.
        SchemaError: a column is absent that the counts need.
        ConfigError: the offset is not within a day.
    """
    log = Path(log)
    if not -24 < utc_offset_hours < 24:
        raise ConfigError(f"board: utc_offset_hours is {utc_offset_hours} but must lie between -24 and 24.")
    folder = cache_of(log) if cache is None else Path(cache)
    files = _files(log)
    key = {"version": VERSION, "utc_offset_hours": utc_offset_hours, "files": _key(log, files)}
    kept = _kept(folder, key)
    if kept is not None:
        return kept
    with atomic_folder(folder) as temporary:
        start = time.perf_counter()
        events, last = _count(files, temporary, utc_offset_hours)
        seconds = round(time.perf_counter() - start, 2)
        meta = {"key": key, "events": events, "last_us": last, "seconds": seconds}
        (temporary / "cube.json").write_text(json.dumps(meta))
    return Cube(folder, events, last, seconds)


def _files(log: Path) -> dict[str, list[Path]]:
    """The Parquet files of each table."""
    found = {}
    for table in (*_NEEDED, COMPETITORS):
        place = log / f"{table}.parquet"
        found[table] = sorted(p for p in place.rglob("*.parquet") if p.is_file()) if place.is_dir() else [place]
        found[table] = [path for path in found[table] if path.exists()]
        if table in ("events", "items") and not found[table]:
            raise SourceError(f"'{place}' is not there. A log is a folder with events.parquet and items.parquet.")
    return found


def _key(log: Path, files: dict[str, list[Path]]) -> list[list[Any]]:
    stats = [(path, path.stat()) for paths in files.values() for path in paths]
    return [[str(path.relative_to(log)), stat.st_size, stat.st_mtime_ns] for path, stat in stats]


def _kept(folder: Path, key: dict[str, Any]) -> Cube | None:
    """The cube that lies there, if it was made of the same files."""
    try:
        meta = json.loads((folder / "cube.json").read_text())
    except (OSError, ValueError):
        return None
    return Cube(folder, meta["events"], meta["last_us"], meta["seconds"]) if meta.get("key") == key else None


def _count(files: dict[str, list[Path]], folder: Path, offset: float) -> tuple[int, int]:
    """Counts the events and writes the tables; their number, and when the last one happened."""
    import duckdb

    con = Engine.duckdb().connection.con
    con.execute("SET TimeZone = 'UTC'")
    try:
        told = (
            con.from_parquet([str(p) for p in files[COMPETITORS]], union_by_name=True) if files[COMPETITORS] else None
        )
        con.register("competitors_raw", NONE if told is None else checked(told.to_arrow_table()))
        for table in _NEEDED:
            con.execute(f"CREATE TEMP VIEW {table}_raw AS {_source(con, table, files[table])}")
        con.execute((_EVENTS + _COMPETITORS).format(offset=int(offset * 3_600_000_000), day_us=_DAY_US))
        events, last = con.execute("SELECT count(*), max(us) FROM happened").fetchone()
        if not events:
            raise SourceError(f"'{files['events'][0].parent}': the log has no events; there is nothing to show.")
        for query in (_PAIRS, _RETURNS, _PRODUCTS, _ROOMS):
            con.execute(query.format(outside=row_sql.text(OUTSIDE), unknown=row_sql.text(UNKNOWN)))
        for table, order in _TABLES.items():
            place = row_sql.text(str(folder / f"{table}.parquet"))
            con.execute(f"COPY (SELECT * FROM {table} ORDER BY {order}) TO {place} (FORMAT parquet, COMPRESSION zstd)")
    except duckdb.Error as error:
        raise SourceError(f"'{files['events'][0]}' and beside it: {str(error).splitlines()[0]}") from None
    return int(events), int(last)


def _source(con: Any, table: str, paths: list[Path]) -> str:
    """SQL of a table's columns; those that it need not have come as gaps, and it as no rows where it is absent."""
    wanted = (*_NEEDED[table], *_OPTIONAL[table])
    if not paths:
        return "SELECT " + ", ".join(f"NULL AS {column}" for column in wanted) + " WHERE false"
    listed = ", ".join(row_sql.text(str(path)) for path in paths)
    source = f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
    have = {row[0] for row in con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    missing = [column for column in _NEEDED[table] if column not in have]
    if missing:
        raise SchemaError(
            f"{paths[0]}: table {table}: column{'s' * (len(missing) > 1)} {', '.join(missing)} missing; "
            f"it has {', '.join(sorted(have))}. Rename or add what is missing."
        )
    chosen = ", ".join(column if column in have else f"NULL AS {column}" for column in wanted)
    return f"SELECT {chosen} FROM {source}"


_EVENTS: Final = """
CREATE TEMP VIEW happened AS
SELECT event, epoch_us(ts::TIMESTAMPTZ) AS us, user_id, item_id::VARCHAR AS item_id, room_id::VARCHAR AS room_id,
       ((epoch_us(ts::TIMESTAMPTZ) + {offset}) // {day_us})::INTEGER AS day, price::DOUBLE AS price,
       coalesce(quantity, 1)::DOUBLE AS quantity
FROM events_raw;
CREATE TEMP TABLE broadcast AS
SELECT room_id::VARCHAR AS room_id, any_value(scene)::VARCHAR AS scene, any_value(host)::VARCHAR AS host,
       min(((epoch_us(starts_at::TIMESTAMPTZ) + {offset}) // {day_us})::INTEGER) AS day,
       any_value(traffic_cost)::DOUBLE AS traffic_cost, any_value(commission)::DOUBLE AS commission
FROM rooms_raw GROUP BY 1
"""
"""The events with their day on the shop's clock, and the rooms, whose day is that of their start."""

_COMPETITORS: Final = """;
CREATE TEMP TABLE competitors AS
SELECT DATE '1970-01-01' + ((epoch_us(available_at) + {offset}) // {day_us})::INTEGER AS day, item_id, price, rank
FROM competitors_raw
QUALIFY row_number() OVER (PARTITION BY item_id, day ORDER BY available_at DESC) = 1
"""
"""The last row of each product and day, by the day from which it was known."""

_PAIRS: Final = """
CREATE TEMP TABLE met AS
SELECT room_id, CASE WHEN room_id IS NULL THEN day END AS own_day, user_id, min(day) AS first_day,
       bool_or(event IN ('impression', 'view')) AS viewed, bool_or(event = 'order') AS bought,
       bool_or(event IN ('cart', 'favourite', 'review')) AS interacted,
       min(us) FILTER (event = 'order') AS bought_us
FROM happened GROUP BY ALL;
CREATE TEMP TABLE room_days AS
SELECT m.room_id, own_day, coalesce(own_day, any_value(b.day), min(first_day)) AS day
FROM met m LEFT JOIN broadcast b ON m.room_id = b.room_id GROUP BY m.room_id, own_day;
CREATE TEMP TABLE pairs AS
SELECT m.* EXCLUDE (first_day), d.day, bought_us = min(bought_us) OVER (PARTITION BY user_id) AS is_new
FROM met m JOIN room_days d ON m.room_id IS NOT DISTINCT FROM d.room_id AND m.own_day IS NOT DISTINCT FROM d.own_day
"""
"""One row a viewer of a room; ``is_new`` where it holds the viewer's first order in the log."""

_RETURNS: Final = """
CREATE TEMP TABLE again AS
SELECT user_id, day, what, lead(day) OVER (PARTITION BY user_id, what ORDER BY day) - day <= 30 AS came
FROM (SELECT DISTINCT user_id, day, 'viewed' AS what FROM pairs WHERE viewed
      UNION ALL SELECT DISTINCT user_id, day, 'bought' FROM pairs WHERE bought)
WHERE day <= (SELECT max(day) FROM pairs);
CREATE TEMP TABLE viewers AS
SELECT p.room_id, p.day, count(*) FILTER (viewed) AS viewers, count(*) FILTER (bought) AS buyers,
       count(*) FILTER (viewed AND bought) AS viewers_who_bought,
       count(*) FILTER (viewed AND interacted) AS interacting, count(*) FILTER (is_new) AS new_customers,
       count(*) FILTER (viewed AND ripe) AS viewers_30, count(*) FILTER (viewed AND ripe AND v.came) AS came_back_30,
       count(*) FILTER (bought AND ripe) AS buyers_30, count(*) FILTER (bought AND ripe AND b.came) AS bought_again_30
FROM (SELECT *, day + 30 <= (SELECT max(day) FROM pairs) AS ripe FROM pairs) p
LEFT JOIN again v ON v.user_id = p.user_id AND v.day = p.day AND v.what = 'viewed'
LEFT JOIN again b ON b.user_id = p.user_id AND b.day = p.day AND b.what = 'bought'
GROUP BY ALL
"""
"""Viewers and buyers of each room, and those of the rooms whose 30 days after are all in the log that came, bought again."""

_PRODUCTS: Final = """
CREATE TEMP TABLE sold AS
SELECT room_id, CASE WHEN room_id IS NULL THEN day END AS own_day, item_id,
       count(*) FILTER (event = 'impression') AS impressions, count(*) FILTER (event = 'click') AS clicks,
       count(*) FILTER (event = 'order') AS orders, count(*) FILTER (event = 'return') AS returns,
       coalesce(sum(quantity) FILTER (event = 'order'), 0) AS units,
       coalesce(sum(price * quantity) FILTER (event = 'order'), 0) AS paid,
       coalesce(sum(quantity) FILTER (event = 'order' AND price IS NULL), 0) AS units_unpriced
FROM happened GROUP BY ALL;
CREATE TEMP TABLE products AS
SELECT DATE '1970-01-01' + d.day AS day, coalesce(s.room_id, {outside}) AS room_id, s.item_id,
       coalesce(i.title, s.item_id) AS title, i.category, impressions, clicks, s.orders, returns, units,
       paid + CASE WHEN units_unpriced > 0 THEN units_unpriced * coalesce(h.price, i.price, 0) ELSE 0 END AS gmv,
       CASE WHEN coalesce(h.price, i.price) IS NULL THEN units_unpriced ELSE 0 END AS units_without_price,
       CASE WHEN i.cost IS NOT NULL THEN gmv - units * i.cost END AS margin,
       coalesce(h.price, i.price) AS price, h.stock, f.orders AS expected_orders, f.sales AS expected_sales
FROM sold s JOIN room_days d ON s.room_id IS NOT DISTINCT FROM d.room_id AND s.own_day IS NOT DISTINCT FROM d.own_day
LEFT JOIN (SELECT item_id::VARCHAR AS item_id, any_value(title)::VARCHAR AS title, any_value(category)::VARCHAR AS category,
                  any_value(price)::DOUBLE AS price, any_value(cost)::DOUBLE AS cost
           FROM items_raw GROUP BY 1) i ON i.item_id = s.item_id
LEFT JOIN (SELECT room_id::VARCHAR AS room_id, item_id::VARCHAR AS item_id, any_value(price)::DOUBLE AS price,
                  any_value(stock)::DOUBLE AS stock
           FROM shelves_raw GROUP BY ALL) h ON h.room_id = s.room_id AND h.item_id = s.item_id
LEFT JOIN (SELECT room_id::VARCHAR AS room_id, item_id::VARCHAR AS item_id, sum(orders)::DOUBLE AS orders,
                  sum(sales)::DOUBLE AS sales
           FROM predictions_raw GROUP BY ALL) f ON f.room_id = s.room_id AND f.item_id = s.item_id
"""
"""What a product did in a room. An order without a price takes that of the shelf, else of the catalogue."""

_ROOMS: Final = """
CREATE TEMP TABLE rooms AS
WITH counts AS (
    SELECT room_id, day, sum(p.impressions) AS impressions, sum(p.clicks) AS clicks, sum(p.orders) AS orders,
           sum(p.returns) AS returns, sum(p.units) AS units, sum(p.gmv) AS gmv, sum(p.margin) AS margin,
           coalesce(sum(p.gmv) FILTER (p.margin IS NOT NULL), 0) AS gmv_with_cost,
           sum(p.units_without_price) AS units_without_price,
           sum(p.expected_orders) AS expected_orders,
           sum(p.orders) FILTER (p.expected_orders IS NOT NULL) AS orders_expected_for,
           sum(p.expected_sales) AS expected_sales,
           sum(p.gmv) FILTER (p.expected_sales IS NOT NULL) AS gmv_expected_for,
           sum(abs(p.expected_sales - p.gmv)) AS missed_sales
    FROM products p GROUP BY ALL),
interacts AS (SELECT bool_or(interacted) AS at_all FROM pairs)
SELECT c.day, c.room_id, CASE WHEN c.room_id = {outside} THEN {outside} ELSE coalesce(b.scene, {unknown}) END AS scene,
       b.host, v.* EXCLUDE (room_id, day, interacting),
       CASE WHEN at_all THEN v.interacting END AS interacting,
       c.* EXCLUDE (day, room_id), b.traffic_cost, b.commission
FROM counts c CROSS JOIN interacts
JOIN viewers v ON coalesce(v.room_id, {outside}) = c.room_id AND DATE '1970-01-01' + v.day = c.day
LEFT JOIN broadcast b ON b.room_id = c.room_id
"""
"""Everything of a room in one row."""
