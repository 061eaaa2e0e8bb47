"""The page of `beautyrec board`, run by streamlit: ``app.py LOG [CONFIG] [CACHE]``."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import pandas as pd

from beautyrec.board.alerts import Alert, daily_counts, find_alerts, named
from beautyrec.board.config import BoardConfig, read_board_config
from beautyrec.board.cube import OUTSIDE, Cube, refreshed
from beautyrec.board.kpis import KPIS, Filter, kpi_table, product_table
from beautyrec.board.limits import WATCHED, control_charts
from beautyrec.board.views import COMPETITOR, TRENDS, columns, control, readable, tiles, tiles_html, trend
from beautyrec.errors import BeautyrecError, MissingExtraError

_DAYS: Final = 30
_TABLE: Final = ("viewers", "ctr", "cvr", "room_conversion", "gmv", "margin", "roi", "deviation")
_MOST_ROOMS: Final = 200
_PLAIN: Final = {"hide_index": True, "width": "stretch"}


def page(log: Path, config: Path | None, cache: Path | None) -> None:
    """Draws the page once; streamlit calls it again whenever something is chosen."""
    try:
        import streamlit as st
    except ImportError:
        raise MissingExtraError("streamlit", "board") from None
    st.set_page_config(page_title="beautyrec board", layout="wide", initial_sidebar_state="auto")
    try:
        told = read_board_config(config)
        cube = refreshed(log, cache, utc_offset_hours=told.utc_offset_hours)
    except BeautyrecError as error:
        st.error(str(error))
        return
    st.markdown("<style>.block-container{padding-top:2.6rem}</style>", unsafe_allow_html=True)
    st.header(f"Live rooms: {log.resolve().name}")
    where = _filters(st, cube)
    last = pd.Timestamp(cube.last_us, unit="us")
    st.caption(f"{where.start} to {where.end} · {cube.events:,} events, the last of {last:%Y-%m-%d %H:%M} UTC")
    _alerts(st, cube, told)
    scene = where.scenes[0] if len(where.scenes) == 1 else None
    targets = told.targets(where.end or date.max, scene)
    st.html(tiles_html(tiles(cube, where, targets)))
    _trends(st, cube, where, targets)
    _limits(st, cube, where, told)
    _drill_down(st, cube, where)
    with st.expander("What the KPIs are"):
        st.table(pd.DataFrame([{"KPI": kpi.label, "is": kpi.meaning} for kpi in KPIS.values()]).set_index("KPI"))


def _filters(st: Any, cube: Cube) -> Filter:
    """Days, scenes and rooms that were chosen; the last 30 days at first."""
    rooms = kpi_table(cube, ("day", "scene", "room_id"), names=("viewers",))
    rooms = rooms[rooms["scene"] != OUTSIDE] if (rooms["scene"] != OUTSIDE).any() else rooms
    days = pd.to_datetime(rooms["day"]).dt.date
    first, last = days.min(), days.max()
    with st.sidebar:
        st.subheader("Filters")
        begin = max(first, last - timedelta(days=_DAYS - 1))
        start = st.date_input("First day", begin, min_value=first, max_value=last)
        end = st.date_input("Last day", last, min_value=first, max_value=last)
        scenes = st.multiselect("Scenes", sorted(rooms["scene"].unique()), placeholder="all")
        inside = rooms[(days >= start) & (days <= end) & (rooms["scene"].isin(scenes) | (not scenes))]
        chosen = st.multiselect("Rooms", inside["room_id"].tolist(), placeholder="all")
    if end < start:
        st.warning(f"The last day, {end}, is before the first, {start}; both are taken as {start}.")
    shown_scenes = scenes or sorted(rooms["scene"].unique())
    return Filter(start, max(start, end), tuple(shown_scenes), tuple(chosen))


def _alerts(st: Any, cube: Cube, told: BoardConfig) -> None:
    """What `beautyrec alerts` would tell now."""
    found = _remembered(st, cube, told)[0]
    if not found:
        st.success(f"No alert in the last {told.alerts.look_back_days} days.")
        return
    with st.expander(
        f"**{len(found)} alert{'s' * (len(found) > 1)}** in the last {told.alerts.look_back_days} days", True
    ):
        for alert in sorted(found, key=lambda each: each.kind == "stock")[:8]:
            text = alert.message.replace("$", r"\$")
            st.markdown(f":red[**{alert.kind}**] {text}")
        if len(found) > 8:
            st.caption(f"and {len(found) - 8} more: `beautyrec alerts {cube.folder.name} --once` tells all")


def _remembered(st: Any, cube: Cube, told: BoardConfig) -> tuple[list[Alert], pd.DataFrame]:
    """Alerts and control charts, found once an hour and cube rather than whenever something is chosen."""

    def find(_cube: Cube, _told: BoardConfig, key: tuple[str, ...]) -> tuple[list[Alert], pd.DataFrame]:
        del key  # only says when the two are found anew
        daily = daily_counts(_cube)
        charts = control_charts(daily, _told.alerts) if len(daily) else pd.DataFrame()
        return find_alerts(_cube, _told.alerts, pd.Timestamp.now("UTC")), charts

    key = (str(cube.rooms), str(cube.rooms.stat().st_mtime_ns), repr(told), f"{pd.Timestamp.now('UTC'):%Y%m%d%H}")
    remembered = st.cache_data(max_entries=4, show_spinner=False)(find)
    found: tuple[list[Alert], pd.DataFrame] = remembered(cube, told, key)
    return found


def _trends(st: Any, cube: Cube, where: Filter, targets: dict[str, float]) -> None:
    st.subheader("By day")
    name = st.selectbox("KPI", TRENDS, index=TRENDS.index("cvr"), format_func=lambda each: KPIS[each].label)
    table = kpi_table(cube, ("day", "scene"), where, (name,))
    if table[name].notna().any():
        st.plotly_chart(trend(table, name, targets.get(name)), width="stretch")
    else:
        st.info(f"{KPIS[name].label} has no value here: {KPIS[name].meaning}.")


def _limits(st: Any, cube: Cube, where: Filter, told: BoardConfig) -> None:
    """The control chart of one KPI in one scene."""
    st.subheader("Within its limits?")
    daily = daily_counts(cube)
    if daily.empty:
        st.info("Limits need rooms; this log has none.")
        return
    left, right = st.columns(2)
    names = [each.name for each in WATCHED]
    name = left.selectbox("Watched KPI", names, index=1, format_func=lambda each: named(each)[0])
    alerts, charts = _remembered(st, cube, told)
    scenes = [each for each in where.scenes if each in set(daily["scene"])]
    changed = [scenes.index(alert.scene) for alert in alerts if alert.kind == "change" and alert.scene in scenes]
    scene = right.selectbox("Scene", scenes, index=changed[0] if changed else 0)
    chart = charts[(charts["kpi"] == name) & (charts["scene"] == scene)]
    chart = chart[chart["day"].dt.date.between(where.start, where.end)]
    st.plotly_chart(control(chart, *named(name)), width="stretch")
    st.caption(
        "Expected of this scene on this weekday from the days before. An alert goes by a running mean of days: some mark a "
        f"day inside its own limits. About {told.alerts.false_alarms_per_month:g} false alarms a month are to be expected."
    )


def _drill_down(st: Any, cube: Cube, where: Filter) -> None:
    """Scene, then room, then product; a chosen row opens the next table."""
    st.subheader("Scene → room → product")
    scenes = kpi_table(cube, ("scene",), where, _TABLE)
    row = _choose(st, scenes, "scenes")
    inner = where if row is None else Filter(where.start, where.end, (str(scenes["scene"][row]),), where.rooms)
    rooms = kpi_table(cube, ("day", "room_id", "scene", "host"), inner, _TABLE)
    rooms = rooms.sort_values(["day", "room_id"], ascending=False, ignore_index=True).head(_MOST_ROOMS)
    st.caption("All scenes: choose one above" if row is None else f"Rooms of {scenes['scene'][row]}")
    row = _choose(st, rooms, "rooms")
    if row is not None:
        inner = Filter(inner.start, inner.end, inner.scenes, (str(rooms["room_id"][row]),))
    st.caption("Products of all these rooms" if row is None else f"Products of room {rooms['room_id'][row]}")
    products = product_table(cube, inner)
    products = products.drop(columns=[name for name in COMPETITOR if products[name].isna().all()])
    st.dataframe(readable(products), height=320, column_config=_config(st, products), **_PLAIN)


def _config(st: Any, table: pd.DataFrame) -> dict[str, Any]:
    """Streamlit's settings of each column."""
    return {
        name: st.column_config.Column(label) if style is None else st.column_config.NumberColumn(label, format=style)
        for name, (label, style) in columns(table).items()
    }


def _choose(st: Any, table: pd.DataFrame, key: str) -> int | None:
    """A table of which one row may be chosen, by the box at its left; the row's number."""
    event = st.dataframe(
        readable(table),
        key=key,
        height=min(320, 38 + 36 * len(table)),
        on_select="rerun",
        selection_mode="single-row",
        column_config=_config(st, table),
        **_PLAIN,
    )
    rows = event.selection.rows
    return rows[0] if rows and rows[0] < len(table) else None


def main(argv: list[str]) -> None:
    """``LOG [CONFIG] [CACHE]``; empty stands for the default."""
    log, config, cache = (*argv, "", "")[:3]
    page(Path(log), Path(config) if config else None, Path(cache) if cache else None)


if __name__ == "__main__":
    main(sys.argv[1:])
