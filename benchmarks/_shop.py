"""A made-up log of any length, written by DuckDB in seconds: rooms of five scenes over 120 days."""

# ruff: noqa: S608 (queries are made of this file's own constants)
from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

DAYS = 120
ROOMS_A_DAY = 10
SCENES = ("evening_chat", "new_arrivals", "flash_sale", "brand_day", "member_night")
PRODUCTS = 2_000
CTR, CVR = 0.08, 0.15
DROP = 0.35


def write_shop(folder: Path, events: int, seed: int) -> Path:
    """A log of about so many events, four in five of them impressions; on its last two days the CVR of `flash_sale` falls.

    A viewer of a room sees eight products and may put one into the cart. Rooms have traffic costs, products prices, costs and
    stock, and each product of a room a prediction that errs by 20 %.
    """
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    rooms = _rooms(rng, events / (8 * DAYS * ROOMS_A_DAY))
    con = duckdb.connect()
    con.execute(f"SELECT setseed({(seed % 1000) / 1000})")
    con.execute("SET threads = 1")  # so that a seed gives the same log
    con.register("rooms_frame", rooms)
    con.register("items_frame", _items(rng))
    con.execute(f"COPY (SELECT * EXCLUDE (number, day, drop) FROM rooms_frame) TO '{folder}/rooms.parquet'")
    con.execute(f"COPY items_frame TO '{folder}/items.parquet'")
    (folder / "events.parquet").mkdir()
    impressions = int(events * 0.905)
    for month in range(DAYS // 30):
        con.execute(_events(impressions // (DAYS // 30), month))
        con.execute(f"COPY happened TO '{folder}/events.parquet/month-{month}.parquet' (COMPRESSION zstd)")
        con.execute(("INSERT INTO sums " if month else "CREATE TABLE sums AS ") + _SUMS)
    con.execute(f"COPY ({_PREDICTIONS}) TO '{folder}/predictions.parquet'")
    con.execute(f"COPY ({_SHELVES}) TO '{folder}/shelves.parquet'")
    con.close()
    return folder


def _rooms(rng: np.random.Generator, viewers: float) -> pd.DataFrame:
    count = DAYS * ROOMS_A_DAY
    number = np.arange(count)
    day = number // ROOMS_A_DAY
    start = pd.Timestamp("2026-01-05", tz="UTC") + pd.to_timedelta(day * 24 + 10 + number % ROOMS_A_DAY, "h")
    scene = np.array(SCENES, dtype=object)[number % len(SCENES)]
    fallen = (scene == "flash_sale") & (day >= DAYS - 2)
    return pd.DataFrame(
        {
            "number": number,
            "day": day,
            "room_id": [f"room-{each:04}" for each in number],
            "scene": scene,
            "host": np.array([f"host_{each}" for each in range(1, 7)], dtype=object)[rng.integers(0, 6, count)],
            "starts_at": start,
            "ends_at": start + pd.Timedelta(hours=1),
            "traffic_cost": np.round(viewers * rng.uniform(0.2, 0.35, count), 2),
            "drop": np.where(fallen, 1 - DROP, 1.0) * np.exp(0.03 * rng.normal(size=count)),
        }
    )


def _items(rng: np.random.Generator) -> pd.DataFrame:
    price = np.round(rng.lognormal(2.5, 0.5, PRODUCTS), 2)
    kinds = np.array(["skin care", "make-up", "hair care", "fragrance"], dtype=object)
    title = [f"{kinds[each % 4].capitalize()} no. {each}" for each in range(PRODUCTS)]
    cost = np.round(price * rng.uniform(0.4, 0.7, PRODUCTS), 2)
    ids = [f"p{each:04}" for each in range(PRODUCTS)]
    category = kinds[np.arange(PRODUCTS) % 4]
    return pd.DataFrame({"item_id": ids, "title": title, "category": category, "price": price, "cost": cost})


def _events(impressions: int, month: int) -> str:
    """SQL of a month's events: eight impressions a viewer of a room, clicks and orders of them, a cart now and then."""
    first, rooms = month * 30 * ROOMS_A_DAY, 30 * ROOMS_A_DAY
    return f"""
    CREATE OR REPLACE TEMP TABLE shown AS
    SELECT r.room_id, r.starts_at + to_seconds((i // 8 % 3500)::INTEGER) AS ts, r.drop,
           hash(i // 8 + {month * 10**9}) % {max(impressions // 3, 1)} AS user_id,
           'p' || lpad(((r.number * 7 + (random() ** 2 * 60)::INTEGER) % {PRODUCTS})::VARCHAR, 4, '0') AS item_id,
           random() AS c, random() AS o, random() AS k
    FROM range({impressions}) t(i) JOIN rooms_frame r ON r.number = {first} + (i // 8) % {rooms};
    CREATE OR REPLACE TEMP TABLE happened AS
    WITH e AS (
        SELECT 'impression' AS event, * FROM shown
        UNION ALL SELECT 'click', * FROM shown WHERE c < {CTR}
        UNION ALL SELECT 'order', * FROM shown WHERE c < {CTR} AND o < {CVR} * drop
        UNION ALL SELECT 'cart', * FROM shown WHERE k < 0.01)
    SELECT row_number() OVER () + {month * 10**9} AS event_id, event, ts, user_id, item_id, room_id, i.price,
           CASE WHEN event = 'order' THEN 1 END AS quantity
    FROM e JOIN items_frame i USING (item_id)"""


_SUMS = """
SELECT room_id, item_id, count(*) FILTER (event = 'order') AS orders, any_value(price) AS price
FROM happened GROUP BY ALL"""

_PREDICTIONS = """
SELECT room_id, item_id, mean AS orders, mean * price AS sales FROM (
    SELECT room_id, item_id, price, 0.8 * orders + 0.2 * avg(orders) OVER (PARTITION BY room_id) AS mean FROM sums)"""

_SHELVES = """
SELECT room_id, item_id, price, 1 / count(*) OVER (PARTITION BY room_id) AS draw_probability,
       CASE WHEN item_id LIKE '%77' THEN orders + 1 ELSE 5000 END::BIGINT AS stock
FROM sums"""
