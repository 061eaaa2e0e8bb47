"""The review of a week, the evaluation of a month: one page that needs no network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import pandas as pd

from beautyrec.board.alerts import daily_counts, named
from beautyrec.board.config import BoardConfig, read_board_config
from beautyrec.board.cube import OUTSIDE, Cube, refreshed
from beautyrec.board.kpis import KPIS, Filter, kpi_table, product_table, shown
from beautyrec.board.limits import control_charts
from beautyrec.board.views import Tile, control, tiles, trend
from beautyrec.errors import ConfigError, EvaluationError
from beautyrec.evaluation.page import Card, Page, Section, Table
from beautyrec.files import atomic_file

_SCENE_KPIS: Final = ("viewers", "ctr", "cvr", "room_conversion", "gmv", "margin", "margin_rate", "roi", "deviation")
_TOP: Final = 20


@dataclass(frozen=True)
class Review:
    """What a page is made of.

    Args:
        cube: the counts.
        config: targets and limits.
        where: first and last day, and the scenes.
    """

    cube: Cube
    config: BoardConfig
    where: Filter

    @classmethod
    def of(cls, cube: Cube, config: BoardConfig, days: int = 7, end: date | None = None) -> Review:
        """The review of so many days up to ``end``, the last day with a room if None.

        Raises:
            EvaluationError: no room was on air on any of them.
        """
        rooms = kpi_table(cube, ("day", "scene"), names=("viewers",))
        rooms = rooms[rooms["scene"] != OUTSIDE]
        last = end or (rooms["day"].max().date() if len(rooms) else date.today())
        start = last - timedelta(days=days - 1)
        inside = rooms[pd.to_datetime(rooms["day"]).dt.date.between(start, last)]
        if inside.empty:
            raise EvaluationError(
                f"review: no room was on air from {start} to {last}; the log has {len(rooms)} days and scenes with rooms"
                + (f", from {rooms['day'].min():%Y-%m-%d} to {rooms['day'].max():%Y-%m-%d}." if len(rooms) else ".")
            )
        return cls(cube, config, Filter(start, last, tuple(sorted(inside["scene"].unique()))))

    @property
    def targets(self) -> dict[str, float]:
        """Targets of the last day, for all scenes."""
        return self.config.targets(self.where.end or date.max)

    def page(self) -> Page:
        """The page, to be rendered."""
        cards = [_card(tile) for tile in tiles(self.cube, self.where, self.targets)]
        sections = [self._scenes(), *self._trends(), *self._changes(), self._products(), *self._missed()]
        last = pd.Timestamp(self.cube.last_us, unit="us")
        return Page(
            title=f"Live rooms, {self.where.start} to {self.where.end}",
            subtitle="Each number beside its target and the same number of days before.",
            cards=cards,
            sections=sections,
            footer=f"{self.cube.events:,} events of the log, the last of {last:%Y-%m-%d %H:%M} UTC.",
        )

    def _scenes(self) -> Section:
        table = kpi_table(self.cube, ("scene",), self.where, _SCENE_KPIS)
        rows = []
        for _, row in table.iterrows():
            wanted = self.config.targets(self.where.end or date.max, str(row["scene"]))
            rows.append({"scene": row["scene"]} | {name: _cell(name, float(row[name]), wanted) for name in _SCENE_KPIS})
        labels = {"scene": "<scene"} | {name: KPIS[name].label for name in _SCENE_KPIS}
        text = "A number that misses the target of its scene has the target after it."
        return Section("scenes", "Scenes", text, tables=[Table(rows, labels)])

    def _trends(self) -> list[Section]:
        """The KPIs that have a target, by day."""
        table = kpi_table(self.cube, ("day", "scene"), self.where)
        drawn = [trend(table, name, target) for name, target in self.targets.items() if table[name].notna().any()]
        names = ", ".join(KPIS[name].label for name in self.targets)
        return [Section("trends", "By day", f"In this order: {names}.", figures=drawn)] if drawn else []

    def _changes(self) -> list[Section]:
        """The charts that left their limits."""
        daily = daily_counts(self.cube)
        charts = control_charts(daily, self.config.alerts)
        charts = charts[charts["day"].dt.date.between(self.where.start, self.where.end)]
        left = charts[charts["began"]].drop_duplicates(["kpi", "scene"])
        if left.empty:
            return [Section("limits", "Limits", "No KPI of any scene left its limits.")]
        drawn, names = [], []
        for _, row in left.iterrows():
            chart = charts[(charts["kpi"] == row["kpi"]) & (charts["scene"] == row["scene"])]
            label, unit = named(str(row["kpi"]))
            drawn.append(control(chart, f"{label}, {row['scene']}", unit))
            names.append(f"{label} of {row['scene']} from {row['day']:%a %d %b}")
        return [Section("limits", "Limits", f"Left their limits, in this order: {'; '.join(names)}.", figures=drawn)]

    def _products(self) -> Section:
        table = product_table(self.cube, self.where, _TOP)
        return Section("products", "Products that sold most", "By GMV.", tables=[_product_rows(table)])

    def _missed(self) -> list[Section]:
        """The products whose sales were predicted worst."""
        table = product_table(self.cube, self.where, 10**6).dropna(subset=["expected_sales"])
        if table.empty:
            return []
        worst = (table["expected_sales"] - table["gmv"]).abs().sort_values(ascending=False).index[:_TOP]
        bias = table["expected_sales"].sum() / max(float(table["gmv"].sum()), 1e-9) - 1
        text = (
            f"Predicted sales differ from real ones by {100 * bias:+.1f} % in all. Products they missed by most money:"
        )
        return [Section("missed", "Predicted and sold", text, tables=[_product_rows(table.loc[worst])])]


def write_review(
    log: Path,
    out: Path,
    *,
    days: int = 7,
    end: str | None = None,
    config: Path | None = None,
    cache: Path | None = None,
) -> Path:
    """Writes the review of a log; gives the file.

    Raises:
        ConfigError: ``end`` is no day, or the TOML is wrong.
        EvaluationError: no room was on air on these days.
        MissingExtraError: plotly, jinja2 or SciPy is not installed.
    """
    try:
        last = None if end is None else date.fromisoformat(end)
    except ValueError:
        raise ConfigError(f"review: '{end}' is no day; write it as 2026-03-31.") from None
    told = read_board_config(config)
    cube = refreshed(log, cache, utc_offset_hours=told.utc_offset_hours)
    text = Review.of(cube, told, days, last).page().render()
    with atomic_file(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return out


def _card(tile: Tile) -> Card:
    wanted = f"target {tile.target} {'met' if tile.met else 'missed'}; " if tile.target else ""
    return Card(tile.label, tile.value, wanted + tile.before)


def _cell(name: str, value: float, targets: dict[str, float]) -> str:
    """The value, and the target if it is missed."""
    kpi, text = KPIS[name], shown(value, KPIS[name].unit)
    target = targets.get(name)
    if target is None or math.isnan(value) or (value >= target if kpi.higher_is_better else value <= target):
        return text
    return f"{text} (target {shown(target, kpi.unit)})"


def _product_rows(table: pd.DataFrame) -> Table:
    units = {"clicks": "count", "orders": "count", "ctr": "share", "cvr": "share", "gmv": "money", "margin": "money"}
    labels = {"item_id": "<product", "title": "<title"} | {name: KPIS[name].label for name in units}
    if table["expected_sales"].notna().any():
        units["expected_sales"] = "money"
        labels["expected_sales"] = "GMV predicted"
    rows = [
        {"item_id": row["item_id"], "title": row["title"]}
        | {name: shown(float(row[name]), unit) for name, unit in units.items()}
        for _, row in table.iterrows()
    ]
    return Table(rows, labels)
