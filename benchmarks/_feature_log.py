"""A made-up log of any size for the benchmark of features, written day by day; nothing but one day is ever in memory.

Ninety days of four live rooms each. A room shows requests of six impressions from a shelf of 150 products; some are clicked,
put into the cart, ordered, and some orders returned five days later. Orders become known up to two hours late, one
impression or click in fifty up to a day late. The greater the log, the more viewers; rooms and products stay.
"""

# ruff: noqa: S608 (queries are made of numbers)
from __future__ import annotations

from pathlib import Path
from typing import Any

DAYS, ROOMS_A_DAY, ITEMS, SHELF, SLATE = 90, 4, 5_000, 150, 6
EVENTS_A_REQUEST = SLATE * (1 + 0.08 * (1 + 0.3 + 0.15 * 1.14))
"""Impressions, and what comes of them on average."""
EVENTS_A_VIEWER = 100

_FUNCTIONS = """
SET TimeZone = 'UTC';
CREATE MACRO chance(key, salt) AS (hash(key, salt) % 1000003) / 1000003.0;
CREATE MACRO starts_at(room) AS TIMESTAMPTZ '2026-03-01 00:00:00+00' + to_days((room // 4)::INT)
    + to_minutes([600, 840, 1140, 1290][1 + room % 4] + room * 7 % 20);
"""
_SHOWN = """
SELECT request * {slate} + place AS key, request, room, place + 1 AS position,
    starts_at(room) + to_microseconds((5400e6 * (request % {a_room} + chance(request, {seed})) / {a_room})::BIGINT) AS moment,
    floor({users} * pow(chance(request, {seed} + 1), 1.5))::BIGINT AS user_id,
    (room * 97 + 31 * floor({shelf} * pow(chance(request * {slate} + place, {seed} + 2), 1.6))::BIGINT) % {items} AS item_id
FROM (SELECT {day} * {a_room} * {rooms} + i AS request, {day} * {rooms} + i // {a_room} AS room
      FROM range({a_room} * {rooms}) r(i)), range({slate}) s(place)
"""
_EVENTS = """
WITH shown AS ({shown}),
clicked AS (SELECT *, (4 + item_id * 13 % 97)::DOUBLE AS price FROM shown
    WHERE chance(key, {seed} + 3) < .05 + .06 * (item_id % 11) / 10),
ordered AS (SELECT * FROM clicked WHERE chance(key, {seed} + 4) < .15),
before AS (SELECT *, (4 + item_id * 13 % 97)::DOUBLE AS price FROM ({shown_before})
    WHERE chance(key, {seed} + 3) < .05 + .06 * (item_id % 11) / 10 AND chance(key, {seed} + 4) < .15),
every AS (
    SELECT 'impression' AS event, moment AS ts, * EXCLUDE moment, NULL::DOUBLE AS price FROM shown
    UNION ALL BY NAME SELECT 'click' AS event, moment + INTERVAL 5 SECONDS AS ts, * EXCLUDE (moment, price) FROM clicked
    UNION ALL BY NAME SELECT 'cart' AS event, moment + INTERVAL 40 SECONDS AS ts, * EXCLUDE moment FROM clicked
        WHERE chance(key, {seed} + 5) < .3
    UNION ALL BY NAME SELECT 'order' AS event, moment + INTERVAL 90 SECONDS AS ts, * EXCLUDE moment FROM ordered
    UNION ALL BY NAME SELECT 'return' AS event, moment + INTERVAL 5 DAYS AS ts, * EXCLUDE moment FROM before
        WHERE chance(key, {seed} + 6) < .15
)
SELECT {first} + row_number() OVER (ORDER BY ts, key, event) - 1 AS event_id, event, ts,
    ts + to_seconds(CASE WHEN event = 'order' THEN floor(7200 * chance(key, {seed} + 7))
        WHEN chance(key, {seed} + 8) < .02 THEN floor(86400 * chance(key, {seed} + 9)) ELSE 0 END) AS available_at,
    user_id, item_id, request AS request_id, room AS room_id, position::BIGINT AS position, price
FROM every ORDER BY event_id
"""


def make(folder: Path, events: int, seed: int, *, days: int = DAYS, memory_limit: str = "2GB") -> int:
    """Write a log of about so many events over some days.

    Returns:
        How many there are.
    """
    import duckdb

    con = duckdb.connect(config={"memory_limit": memory_limit})
    con.execute("SET enable_progress_bar = false")
    con.execute(_FUNCTIONS)
    folder.mkdir(parents=True)
    _write_tables(con, folder, days)
    a_room = max(1, round(events / (EVENTS_A_REQUEST * days * ROOMS_A_DAY)))
    settings = {"seed": seed, "slate": SLATE, "shelf": SHELF, "items": ITEMS, "rooms": ROOMS_A_DAY, "a_room": a_room}
    settings["users"] = max(1, events // EVENTS_A_VIEWER)
    written = 0
    for day in range(days):
        shown, before = (_SHOWN.format(day=each, **settings) for each in (day, day - 5))
        part = f"({before}) WHERE {day} >= 5"
        query = _EVENTS.format(first=written, shown=shown, shown_before=f"SELECT * FROM {part}", **settings)
        place = folder / "events.parquet" / f"day={day:02}"
        place.mkdir(parents=True)
        written += int(_copy(con, query, place / "part-0.parquet"))
    con.close()
    return written


def _write_tables(con: Any, folder: Path, days: int) -> None:
    """The catalogue, the rooms, and a price for a third of each shelf."""
    _copy(
        con,
        f"""SELECT i AS item_id, 'category ' || i % 37 AS category, 'brand ' || i * 7 % 211 AS brand,
            (4 + i * 13 % 97)::DOUBLE AS price, (2 + i * 13 % 97 / 2)::DOUBLE AS cost FROM range({ITEMS}) t(i)""",
        folder / "items.parquet",
    )
    _copy(
        con,
        f"""SELECT i AS room_id, 'scene ' || i % 3 AS scene, 'host ' || i % 7 AS host, starts_at(i) AS starts_at,
            starts_at(i) + INTERVAL 90 MINUTES AS ends_at FROM range({days * ROOMS_A_DAY}) t(i)""",
        folder / "rooms.parquet",
    )
    _copy(
        con,
        f"""SELECT room AS room_id, (room * 97 + 31 * slot) % {ITEMS} AS item_id,
            (.8 * (4 + item_id * 13 % 97))::DOUBLE AS price, (100 + slot)::BIGINT AS stock
            FROM range({days * ROOMS_A_DAY}) r(room), range({SHELF}) s(slot) WHERE slot % 3 = 0""",
        folder / "shelves.parquet",
    )


def _copy(con: Any, query: str, place: Path) -> int:
    """Writes the rows of a query; how many."""
    rows = con.execute(f"COPY ({query}) TO '{place}' (FORMAT parquet, COMPRESSION zstd)").fetchall()[0][0]
    return int(rows)
