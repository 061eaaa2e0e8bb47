"""The board's KPIs: what each is, and its value by day, room and scene.

Each KPI is one SQL aggregate over the rows of :attr:`beautyrec.board.cube.Cube.rooms`, so that it means the same in a tile,
in a chart and in a drill-down. A rate of nothing is a gap, never 0. Money is in the log's currency.
"""

# ruff: noqa: S608 (queries are made of texts: every value of the user's goes in as a parameter)
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import pandas as pd

from beautyrec.board.competitors import HOLDS_DAYS
from beautyrec.board.cube import Cube
from beautyrec.data import row_sql
from beautyrec.engine import Engine
from beautyrec.errors import ConfigError

BY: Final = ("day", "scene", "room_id", "host")
"""What KPIs can be grouped by."""


@dataclass(frozen=True)
class Kpi:
    """One number of the board.

    Args:
        label: its name on the page.
        unit: ``share`` (shown in per cent), ``count``, ``money`` or ``ratio``.
        sql: the aggregate over rooms.
        meaning: what it is, in words.
        higher_is_better: false where a target is not to be exceeded.
    """

    label: str
    unit: str
    sql: str
    meaning: str
    higher_is_better: bool = True


def _rate(over: str, under: str) -> str:
    return f"sum({over}) / nullif(sum({under}), 0)"


_SPENT: Final = "sum(traffic_cost) + coalesce(sum(commission), 0)"

KPIS: Final[Mapping[str, Kpi]] = {
    "viewers": Kpi("Viewers", "count", "sum(viewers)", "viewers of rooms: a viewer counts once in each room they see"),
    "impressions": Kpi("Impressions", "count", "sum(impressions)", "products shown"),
    "clicks": Kpi("Clicks", "count", "sum(clicks)", "clicks on products"),
    "orders": Kpi("Orders", "count", "sum(orders)", "orders of products"),
    "ctr": Kpi("CTR", "share", _rate("clicks", "impressions"), "clicks / impressions"),
    "cvr": Kpi("CVR", "share", _rate("orders", "clicks"), "orders / clicks"),
    "ctcvr": Kpi("CTCVR", "share", _rate("orders", "impressions"), "orders / impressions"),
    "room_conversion": Kpi(
        "Room conversion", "share", _rate("viewers_who_bought", "viewers"), "viewers of a room who buy / its viewers"
    ),
    "gmv": Kpi("GMV", "money", "sum(gmv)", "price x quantity of all orders, before returns"),
    "margin": Kpi(
        "Margin", "money", "sum(margin)", "GMV - cost, of products whose cost is known; before returns and spending"
    ),
    "margin_rate": Kpi("Margin rate", "share", _rate("margin", "gmv_with_cost"), "margin / GMV of the same products"),
    "cost_known": Kpi("Cost known", "share", _rate("gmv_with_cost", "gmv"), "share of GMV whose cost is known"),
    "roi": Kpi(
        "ROI",
        "ratio",
        f"(sum(margin) FILTER (traffic_cost IS NOT NULL) - ({_SPENT})) / nullif({_SPENT}, 0)",
        "(margin - traffic cost - commission) / (traffic cost + commission), of rooms whose traffic cost is given",
    ),
    "cost_per_new_customer": Kpi(
        "Cost per new customer",
        "money",
        "sum(traffic_cost) / nullif(sum(new_customers) FILTER (traffic_cost IS NOT NULL), 0)",
        "traffic cost / viewers whose first order in the log is there, of rooms whose traffic cost is given",
        higher_is_better=False,
    ),
    "repurchase_30": Kpi(
        "Repurchase, 30 days",
        "share",
        _rate("bought_again_30", "buyers_30"),
        "buyers who order again on one of the 30 days after / buyers, of days whose 30 days after are in the log",
    ),
    "retention_30": Kpi(
        "Retention, 30 days",
        "share",
        _rate("came_back_30", "viewers_30"),
        "viewers who come again on one of the 30 days after / viewers, of days whose 30 days after are in the log",
    ),
    "interaction_rate": Kpi(
        "Interaction rate",
        "share",
        _rate("interacting", "viewers"),
        "viewers who put into the cart, favour or review / viewers; a gap where the log never has such events",
    ),
    "return_rate": Kpi("Returns", "share", _rate("returns", "orders"), "returns / orders", higher_is_better=False),
    "deviation": Kpi(
        "Deviation",
        "share",
        _rate("missed_sales", "gmv_expected_for"),
        "sum of |predicted - real sales| of each product in each room / real sales of the same",
        higher_is_better=False,
    ),
}
"""All of them, in the order of the page."""


@dataclass(frozen=True)
class Filter:
    """Which rooms are looked at; all where nothing is said.

    Args:
        start: first day.
        end: last day.
        scenes: scenes.
        rooms: ids of rooms, as text.
    """

    start: date | None = None
    end: date | None = None
    scenes: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()

    def sql(self) -> tuple[str, list[Any]]:
        """The condition and its parameters."""
        parts, values = ["true"], list[Any]()
        for text, value in (("day >= ?::DATE", self.start), ("day <= ?::DATE", self.end)):
            if value is not None:
                parts.append(text)
                values.append(value)
        for column, chosen in (("scene", self.scenes), ("room_id", self.rooms)):
            if chosen:
                parts.append(f"{column} IN ({', '.join('?' * len(chosen))})")
                values.extend(chosen)
        return " AND ".join(parts), values


def kpi_table(
    cube: Cube, by: Sequence[str] = (), where: Filter = Filter(), names: Sequence[str] = tuple(KPIS)
) -> pd.DataFrame:
    """KPIs of the rooms that pass ``where``, one row for each value of ``by``, in its order.

    Args:
        cube: the counts.
        by: some of :data:`BY`; one row in all where it is empty.
        where: which rooms.
        names: which KPIs; all if not given.

    Returns:
        The columns of ``by``, then one for each KPI (float; NaN where it has no value).

    Raises:
        ConfigError: a name is not one of :data:`BY` or :data:`KPIS`.
    """
    check_names(names)
    unknown = [name for name in by if name not in BY]
    if unknown:
        raise ConfigError(f"board: cannot group by {', '.join(unknown)}; known are {', '.join(BY)}.")
    condition, values = where.sql()
    keys = ", ".join(by)
    chosen = ", ".join([*by, *(f"({KPIS[name].sql})::DOUBLE AS {name}" for name in names)])
    end = f"GROUP BY {keys} ORDER BY {keys}" if by else ""
    table = rows_of(f"SELECT {chosen} FROM {_at(cube.rooms)} WHERE {condition} {end}", values)
    return table.astype(dict.fromkeys(names, float))


def room_table(cube: Cube, where: Filter = Filter()) -> pd.DataFrame:
    """The counts themselves, one row a room, in the order of days."""
    condition, values = where.sql()
    return rows_of(f"SELECT * FROM {_at(cube.rooms)} WHERE {condition} ORDER BY day, room_id", values)


def product_table(cube: Cube, where: Filter = Filter(), top: int = 50) -> pd.DataFrame:
    """The products of the rooms that pass ``where``, the best sellers first.

    Returns:
        ``item_id, title, category, impressions, clicks, orders, ctr, cvr, gmv, margin, expected_orders, expected_sales``,
        the last ``price`` on a shelf (else of the catalogue), and where a third party told of competitors in the 30 days to
        the last day looked at: ``competitor_price``, ``price_gap`` (price / competitor's - 1), ``competitor_rank``.
    """
    condition, values = where.sql()
    query = f"""
        SELECT item_id, any_value(title) AS title, any_value(category) AS category, sum(impressions) AS impressions,
               sum(clicks) AS clicks, sum(orders) AS orders, {_rate("clicks", "impressions")} AS ctr,
               {_rate("orders", "clicks")} AS cvr, sum(gmv) AS gmv, sum(margin) AS margin,
               sum(expected_orders) AS expected_orders, sum(expected_sales) AS expected_sales,
               arg_max(price, (day, room_id)) AS price, any_value(competitor_price) AS competitor_price,
               arg_max(price, (day, room_id)) / nullif(any_value(competitor_price), 0) - 1 AS price_gap,
               any_value(competitor_rank) AS competitor_rank
        FROM {_at(cube.products)} SEMI JOIN
             (SELECT day, room_id FROM {_at(cube.rooms)} WHERE {condition}) USING (day, room_id)
             LEFT JOIN ({_competitors(cube, where.end)}) USING (item_id)
        GROUP BY item_id ORDER BY gmv DESC, orders DESC, item_id LIMIT {int(top)}"""
    return rows_of(query, values)


def _competitors(cube: Cube, end: date | None) -> str:
    """SQL of what was known of each product's competitor on a day, the last one of the log if None."""
    last = f"(SELECT max(day) FROM {_at(cube.rooms)})" if end is None else f"DATE '{end}'"
    return f"""
        SELECT item_id, arg_max(price, day) AS competitor_price, arg_max(rank, day) AS competitor_rank
        FROM {_at(cube.competitors)} WHERE day <= {last} AND day > {last} - {HOLDS_DAYS} GROUP BY item_id"""


def check_names(names: Sequence[str]) -> None:
    """Raises `ConfigError` where a name is not that of a KPI."""
    unknown = [name for name in names if name not in KPIS]
    if unknown:
        raise ConfigError(f"board: unknown KPIs {', '.join(unknown)}; known are {', '.join(KPIS)}.")


def _at(path: Any) -> str:
    return f"read_parquet({row_sql.text(str(path))})"


def shown(value: float, unit: str) -> str:
    """A value as people read it; a dash for a gap.

    Examples:
        >>> shown(0.0123, "share"), shown(12345.6, "money"), shown(0.5, "ratio"), shown(float("nan"), "count")
        ('1.23 %', '12,346', '0.50', '–')
    """
    if math.isnan(value):
        return "–"
    small = unit == "money" and abs(value) < 100
    return {"share": f"{100 * value:.2f} %", "ratio": f"{value:,.2f}"}.get(unit, f"{value:,.{2 if small else 0}f}")


def rows_of(query: str, values: Sequence[Any] = ()) -> pd.DataFrame:
    """The rows of a query that stands alone, as a frame."""
    con = Engine.duckdb(threads=1).connection.con
    try:
        frame: pd.DataFrame = con.execute(query, list(values)).df()
    finally:
        con.close()
    return frame
