"""Alerts: what changed, what is missing, where the model no longer fits, what is running out.

:func:`find_alerts` reads the cube and returns what is news in the last days of the log; :func:`tell` sends each alert once to
each sink. An alert's id says what it is about and when it began, so the same state is the same alert however often one looks.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.board.config import AlertConfig
from beautyrec.board.cube import OUTSIDE, UNKNOWN, Cube
from beautyrec.board.kpis import KPIS, room_table, shown
from beautyrec.board.limits import control_charts
from beautyrec.board.stock import stock_table

_LEAST_EXPECTED = 10.0
"""Events of a kind that a day must have been likely to have before their absence is an alert."""
_SIGMAS = 3.0
"""Of the ratio of real to predicted orders."""
_MOST_PRODUCTS = 20


@dataclass(frozen=True)
class Alert:
    """One thing that someone should look at.

    Args:
        id: the same for the same thing.
        kind: ``change``, ``missing``, ``calibration`` or ``stock``.
        day: when it began.
        scene: where; empty for the whole shop.
        subject: the KPI, the kind of event or the product.
        message: what, where, how much.
    """

    id: str
    kind: str
    day: date
    scene: str
    subject: str
    message: str

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"day": self.day.isoformat()}


def daily_counts(cube: Cube) -> pd.DataFrame:
    """Counts of each day and scene, as :mod:`beautyrec.board.limits` takes them; events outside rooms are left out."""
    rooms = room_table(cube)
    rooms = rooms[~rooms["scene"].isin([OUTSIDE])]
    columns = ["viewers", "viewers_who_bought", "impressions", "clicks", "orders", "units_without_price"]
    columns += ["expected_orders", "orders_expected_for"]
    rooms = rooms.assign(rooms=1, day=pd.to_datetime(rooms["day"]))
    return rooms.groupby(["day", "scene"], as_index=False)[["rooms", *columns]].sum()


def find_alerts(cube: Cube, config: AlertConfig, now: pd.Timestamp | None = None) -> list[Alert]:
    """What is news in the last ``look_back_days`` of a log, by day.

    Args:
        cube: the counts.
        config: limits.
        now: the time that the age of the last event is counted from; not looked at where it is None.

    Returns:
        Alerts of change, of missing data, of calibration and of stock. None of change in a log that is shorter than
        ``least_days``.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    daily = daily_counts(cube)
    found = _stale(cube, config, now)
    if daily.empty:
        return found
    since = daily["day"].max() - pd.Timedelta(days=config.look_back_days - 1)
    found += _changes(daily, config, since) + _missing(daily, since) + _miscalibrated(daily, config)
    found += _stock(cube, config)
    return sorted(found, key=lambda alert: (alert.day, alert.id))


def _changes(daily: pd.DataFrame, config: AlertConfig, since: pd.Timestamp) -> list[Alert]:
    charts = control_charts(daily, config)
    news = charts[charts["began"] & (charts["day"] >= since)]
    alerts = []
    for _, row in news.iterrows():
        kpi, unit = named(str(row["kpi"]))
        value, usual = (shown(row[name], unit) for name in ("value", "expected"))
        sign = "below" if row["alarm"] < 0 else "above"
        text = (
            f"{kpi} of {row['scene']} is {sign} its limits: {value} on {row['day']:%a %d %b}, {usual} expected for this "
            f"weekday and scene ({row['value'] / row['expected'] - 1:+.0%}; {abs(row['score']):.1f} standard deviations)"
        )
        alerts.append(_alert("change", row["day"], str(row["scene"]), f"{row['kpi']}, {sign}", text))
    return alerts


def _missing(daily: pd.DataFrame, since: pd.Timestamp) -> list[Alert]:
    """Days without rooms, scenes that are away on their weekday, kinds of events that are not there, lost prices."""
    alerts = []
    grid = daily.pivot_table(index="day", columns="scene", values="rooms", aggfunc="sum")
    grid = grid.reindex(pd.date_range(grid.index.min(), grid.index.max())).fillna(0)
    for day in grid.index[grid.index >= since]:
        before = [day - timedelta(days=7 * week) for week in (1, 2, 3, 4)]
        usual = grid.reindex(before).dropna()
        if not grid.loc[[day]].to_numpy().any():
            if len(usual) and (usual.sum(axis=1) > 0).all():
                alerts.append(_alert("missing", day, "", "rooms", f"No room at all on {day:%a %d %b}; is a file late?"))
            continue
        every_week = (usual > 0).all() & (len(usual) == 4)
        away = grid.columns[every_week.to_numpy() & (grid.loc[[day]].to_numpy()[0] == 0)]
        for scene in map(str, away):
            text = f"{scene} had no room on {day:%a %d %b}, and had one on each of the four same weekdays before"
            alerts.append(_alert("missing", day, scene, "rooms", text))
    for _, row in daily[(daily["day"] >= since) & (daily["scene"] != UNKNOWN)].iterrows():
        alerts += _absent_kinds(row, daily)
    lost = daily[(daily["day"] >= since) & (daily["units_without_price"] > 0)]
    for _, row in lost.iterrows():
        text = f"{row['units_without_price']:,.0f} units sold without a price anywhere; they count 0 in GMV and margin"
        alerts.append(_alert("missing", row["day"], str(row["scene"]), "price", f"{row['scene']}: {text}"))
    return alerts


def _absent_kinds(row: pd.Series, daily: pd.DataFrame) -> list[Alert]:
    """Clicks or orders that a day should have had and has none of."""
    past = daily[(daily["scene"] == row["scene"]) & (daily["day"] < row["day"])]
    alerts = []
    for over, under in (("impressions", "viewers"), ("clicks", "impressions"), ("orders", "clicks")):
        expected = row[under] * past[over].sum() / max(float(past[under].sum()), 1.0)
        if row[over] == 0 and expected >= _LEAST_EXPECTED:
            text = (
                f"{row['scene']} has no {over} on {row['day']:%a %d %b}; {expected:,.0f} expected. Is a file missing?"
            )
            alerts.append(_alert("missing", row["day"], str(row["scene"]), over, text))
    return alerts


def _stale(cube: Cube, config: AlertConfig, now: pd.Timestamp | None) -> list[Alert]:
    last = pd.Timestamp(cube.last_us, unit="us", tz="UTC")
    if now is None or now - last <= pd.Timedelta(hours=config.stale_hours):
        return []
    hours = (now - last) / pd.Timedelta(hours=1)
    text = (
        f"The last event of the log is of {last:%Y-%m-%d %H:%M} UTC, {hours / 24:,.1f} days ago; do files still come?"
    )
    return [_alert("missing", last, "", "events", text)]


def _miscalibrated(daily: pd.DataFrame, config: AlertConfig) -> list[Alert]:
    """Scenes whose real orders lie beyond the tolerance of the predicted ones, by more than chance.

    The ratio of sums over the last days; its error from how days differ from their own ratio (quasi-Poisson).
    """
    alerts = []
    known = daily[daily["expected_orders"] > 0]
    start = daily["day"].max() - pd.Timedelta(days=config.calibration_days - 1)
    for scene, rows in known[known["day"] >= start].groupby("scene"):
        real, expected = rows["orders_expected_for"].to_numpy(float), rows["expected_orders"].to_numpy(float)
        ratio = real.sum() / expected.sum()
        fitted = expected * max(ratio, 1e-9)
        spread = max(1.0, float(((real - fitted) ** 2 / fitted).sum() / max(len(rows) - 1, 1)))
        error = _SIGMAS * np.sqrt(spread / max(real.sum(), 1.0)) * ratio
        if abs(ratio - 1) - config.calibration_tolerance > error:
            week = f"{rows['day'].min():%G-W%V}"
            text = (
                f"The model expected {expected.sum():,.0f} orders in {scene} in the last {config.calibration_days} days and "
                f"{real.sum():,.0f} came ({ratio - 1:+.0%} ± {error:.0%}). Calibrate or retrain it"
            )
            day = rows["day"].max()
            alerts.append(Alert(f"calibration:{scene}:{week}", "calibration", day.date(), str(scene), "orders", text))
    return alerts


def _stock(cube: Cube, config: AlertConfig) -> list[Alert]:
    """Products that sell and are, or soon will be, gone."""
    table = stock_table(cube)
    short = table[table["days_left"] < config.stock_days].sort_values("a_day", ascending=False).head(_MOST_PRODUCTS)
    alerts = []
    for _, row in short.iterrows():
        left = "is sold out" if row["left"] <= 0 else f"has {row['left']:,.0f} left"
        text = f"{row['title']} ({row['item_id']}) {left} and sells {row['a_day']:,.1f} a day"
        state = "out" if row["left"] <= 0 else "low"
        day = pd.Timestamp(row["day"])
        alerts.append(
            Alert(f"stock:{state}:{row['item_id']}:{row['room_id']}", "stock", day.date(), "", row["item_id"], text)
        )
    return alerts


def _alert(kind: str, day: pd.Timestamp, scene: str, subject: str, message: str) -> Alert:
    return Alert(f"{kind}:{subject}:{scene}:{day:%Y-%m-%d}", kind, day.date(), scene, subject, message)


def named(kpi: str) -> tuple[str, str]:
    """Label and unit; what is watched of viewers is their number a room."""
    return ("Viewers a room", "count") if kpi == "viewers" else (KPIS[kpi].label, KPIS[kpi].unit)
