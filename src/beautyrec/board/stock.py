"""How long the stock of each product lasts."""

# ruff: noqa: S608 (the one path is quoted by row_sql)
from __future__ import annotations

import pandas as pd

from beautyrec.board.cube import Cube
from beautyrec.board.kpis import rows_of
from beautyrec.data import row_sql


def stock_table(cube: Cube) -> pd.DataFrame:
    """Products with a stated stock that sold within a week before the last day of the log, the shortest first.

    ``left`` is the stock at the start of the product's last room that states it, less what it and later rooms sold; a delivery
    is known when a shelf states it. ``a_day`` is what it sold a day in those seven days.

    Returns:
        ``item_id, title, day, room_id`` (of the room that stated the stock), ``left`` (units), ``a_day`` (units),
        ``days_left``.
    """
    place = row_sql.text(str(cube.products))
    return rows_of(f"""
        WITH p AS (FROM read_parquet({place})),
        stated AS (SELECT item_id, day AS since, room_id AS since_room, stock FROM p WHERE stock IS NOT NULL
                   QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY day DESC, room_id DESC) = 1)
        SELECT item_id, any_value(title) AS title, any_value(since) AS day, any_value(since_room) AS room_id,
               any_value(s.stock) - sum(units) FILTER ((day, room_id) >= (since, since_room)) AS "left",
               coalesce(sum(units) FILTER (day > (SELECT max(day) FROM p) - INTERVAL 7 DAY), 0) / 7 AS a_day,
               "left" / nullif(a_day, 0) AS days_left
        FROM p JOIN stated s USING (item_id) GROUP BY item_id HAVING a_day > 0 ORDER BY days_left, item_id""")
