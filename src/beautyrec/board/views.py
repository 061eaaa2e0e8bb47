"""What the board draws: tiles, trends and tables, from frames; none of it knows the page that it stands on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from html import escape
from typing import Any, Final

import pandas as pd

from beautyrec.board.cube import Cube
from beautyrec.board.kpis import KPIS, Filter, kpi_table, shown
from beautyrec.evaluation import figures

TILES: Final = (
    *("gmv", "margin", "viewers", "ctr", "cvr", "room_conversion", "roi", "cost_per_new_customer"),
    *("repurchase_30", "retention_30", "interaction_rate", "deviation"),
)
"""KPIs at the top of the page."""

RIPE: Final = ("repurchase_30", "retention_30")
"""KPIs that are known 30 days later; where a page has none yet, the tile is of 30 days earlier and says so."""

TRENDS: Final = tuple(name for name in KPIS if name not in ("impressions", "clicks", "cost_known"))
"""KPIs that can be drawn by day."""

_STYLE: Final = """<style>
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(158px,1fr));gap:10px}
.tile{border:1px solid #d0d5dd;border-radius:8px;padding:9px 12px;background:#fff;color:#1f2430}
.tile b{display:block;font-size:24px;line-height:1.25;font-weight:600}
.tile small{display:block;font-size:13px;color:#475467;line-height:1.35}
.tile .met{color:#027a48}.tile .missed{color:#b42318;font-weight:600}
</style>"""


@dataclass(frozen=True)
class Tile:
    """One number beside its target and the time before.

    Args:
        label: its name.
        value: as shown.
        target: what was wanted, as shown; empty without a target.
        met: whether it was reached.
        before: the change from the time before, as shown; empty if there is none.
        meaning: what it is.
    """

    label: str
    value: str
    target: str
    met: bool
    before: str
    meaning: str


def tiles(cube: Cube, where: Filter, targets: Mapping[str, float]) -> list[Tile]:
    """The tiles of the rooms that pass a filter, which states both days; the time before is as many days before them."""
    now = kpi_table(cube, (), where, TILES).iloc[0]
    before = kpi_table(cube, (), moved(where, length(where)), TILES).iloc[0]
    ripe = kpi_table(cube, (), moved(where, 30), RIPE).iloc[0]
    found = [_tile(name, float(now[name]), float(before[name]), targets.get(name)) for name in TILES]
    for at, name in enumerate(TILES):
        if name in RIPE and math.isnan(now[name]):
            later = _tile(name, float(ripe[name]), math.nan, targets.get(name))
            found[at] = replace(later, before="of rooms 30 days earlier")
    return found


def length(where: Filter) -> int:
    """Days of a filter, both ends in it.

    Raises:
        ValueError: it lacks one of them.
    """
    if where.start is None or where.end is None:
        raise ValueError("the filter states no days; give start and end.")
    return (where.end - where.start).days + 1


def moved(where: Filter, days: int) -> Filter:
    """The same filter so many days earlier; an end that is open stays so.

    Examples:
        >>> from datetime import date
        >>> moved(Filter(date(2026, 3, 8), date(2026, 3, 14)), 7).start
        datetime.date(2026, 3, 1)
    """
    start, end = (None if day is None else day - timedelta(days=days) for day in (where.start, where.end))
    return replace(where, start=start, end=end)


def _tile(name: str, value: float, before: float, target: float | None) -> Tile:
    kpi = KPIS[name]
    met = target is not None and (value >= target if kpi.higher_is_better else value <= target)
    change = f"{value / before - 1:+.1%} on the time before" if before > 0 and not math.isnan(value) else ""
    wanted = "" if target is None or math.isnan(value) else shown(target, kpi.unit)
    return Tile(kpi.label, shown(value, kpi.unit), wanted, met, change.replace("%", " %"), kpi.meaning)


def tiles_html(given: list[Tile]) -> str:
    """The tiles as HTML, as many in a row as fit."""
    cells = []
    for tile in given:
        verdict = ("met", "met") if tile.met else ("missed", "missed")
        target = (
            f'<small class="{verdict[0]}">target {escape(tile.target)}: {verdict[1]}</small>' if tile.target else ""
        )
        before = f"<small>{escape(tile.before or ('no value here' if tile.value == '–' else ''))}</small>"
        cells.append(
            f'<div class="tile" title="{escape(tile.meaning)}"><small>{escape(tile.label)}</small>'
            f"<b>{escape(tile.value)}</b>{target}{before}</div>"
        )
    return f'{_STYLE}<div class="tiles">{"".join(cells)}</div>'


def trend(table: pd.DataFrame, name: str, target: float | None = None) -> Any:
    """One KPI by day, a line a scene; table has ``day``, ``scene`` and the KPI.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    kpi = KPIS[name]
    figure = figures.blank(340)
    for number, (scene, rows) in enumerate(table.groupby("scene")):
        colour = figures.SERIES[number % len(figures.SERIES)]
        line = {"color": colour, "width": 2}
        figure.add_scatter(
            x=rows["day"], y=rows[name], name=str(scene), mode="lines+markers", line=line, marker={"size": 5}
        )
    if target is not None:
        line = {"color": figures.INK, "dash": "dash", "width": 1.5}
        label = {"text": "target", "bgcolor": "rgba(255,255,255,0.85)"}
        figure.add_hline(y=target, line=line, opacity=1, annotation=label, annotation_position="top left")
    _axes(figure, kpi.label, kpi.unit)
    return figure


def control(chart: pd.DataFrame, title: str, unit: str) -> Any:
    """One KPI of one scene beside its limits; chart is of :func:`beautyrec.board.limits.control_chart`."""
    figure = figures.blank(340)
    band = {"color": figures.GRID, "width": 0}
    figure.add_scatter(x=chart["day"], y=chart["high"], line=band, showlegend=False, hoverinfo="skip")
    figure.add_scatter(
        x=chart["day"],
        y=chart["low"],
        line=band,
        fill="tonexty",
        fillcolor="rgba(53,56,205,0.13)",
        name="limits of one day",
    )
    figure.add_scatter(
        x=chart["day"], y=chart["expected"], line={"color": figures.SERIES[1], "dash": "dot"}, name="expected"
    )
    figure.add_scatter(x=chart["day"], y=chart["value"], line={"color": figures.INK}, mode="lines+markers", name="seen")
    out = chart[chart["alarm"] != 0]
    marker = {"color": figures.COLOURS["refuse"], "size": 12, "symbol": "circle-open", "line": {"width": 3}}
    figure.add_scatter(x=out["day"], y=out["value"], mode="markers", name="alert", marker=marker)
    _axes(figure, title, unit)
    return figure


def _axes(figure: Any, title: str, unit: str) -> None:
    figure.update_yaxes(tickformat=".1%" if unit == "share" else ",.4~g", rangemode="tozero", gridcolor=figures.GRID)
    figure.update_yaxes(showgrid=True, title=title)
    figure.update_xaxes(tickformat="%d %b", nticks=8)


_FORMATS: Final = {"share": "percent", "ratio": "%.2f"}


def columns(table: pd.DataFrame) -> dict[str, tuple[str, str | None]]:
    """Each column's label, and how its numbers are written in streamlit's terms (None for text)."""
    found: dict[str, tuple[str, str | None]] = {}
    for name in map(str, table.columns):
        if name in KPIS:
            found[name] = (KPIS[name].label, _FORMATS.get(KPIS[name].unit, "localized"))
        else:
            number = name not in _WORDS and name in _LABELS
            style = ("percent" if name in _PERCENT else "localized") if number else None
            found[name] = (_LABELS.get(name, name), style)
    return found


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The table with days as text and numbers as precise as they are read; they can still be sorted."""
    shaped = table.copy()
    for name in shaped.select_dtypes("number"):
        places = 4 if name in KPIS and KPIS[str(name)].unit == "share" else 2 if shaped[name].abs().max() < 100 else 0
        shaped[name] = shaped[name].astype(float).round(places)
    if "day" in shaped:
        shaped["day"] = pd.to_datetime(shaped["day"]).dt.strftime("%Y-%m-%d")
    return shaped


_LABELS: Final = {
    "day": "Day",
    "scene": "Scene",
    "room_id": "Room",
    "host": "Host",
    "item_id": "Product",
    "title": "Title",
    "category": "Category",
    "expected_orders": "Orders predicted",
    "expected_sales": "GMV predicted",
    "price": "Price",
    "competitor_price": "Competitor's price",
    "price_gap": "Price against it",
    "competitor_rank": "Rank there",
}
_WORDS: Final = ("day", "scene", "room_id", "host", "item_id", "title", "category")
_PERCENT: Final = ("price_gap",)

COMPETITOR: Final = ("competitor_price", "price_gap", "competitor_rank")
"""Columns of products that are shown where a third party tells of them."""
