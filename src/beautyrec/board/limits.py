"""Control limits for daily counts that know the weekday and the scene.

A KPI is ``over / under``: orders of clicks, clicks of impressions, viewers of rooms. For each day, from the days before it
alone:

1. *Expected* is ``under x level of the scene x factor of the weekday``, both fitted by Poisson maximum likelihood (iterated
   proportions) on the last ``window_days``. The weekday's factor is shared by the scenes: four weeks of one scene cannot tell
   its own seven.
2. *Spread.* Days differ by more than chance (a host's form, the weather), so limits of pure chance would cry wolf in a large
   shop (Laney, *Improved Control Charts for Attributes*, Quality Engineering 2002). The relative variance of a day is
   ``(1 - rate) / expected + s^2 + v``: chance; day to day, by moments from the window's residuals, half of it the scene's own
   and half that of all scenes; and the error of the expectation.
3. ``z`` is the distance from what was expected on the scale of square roots, on which small counts are nearly symmetric
   (Anscombe, *The Transformation of Poisson, Binomial and Negative-Binomial Data*, Biometrika 1948), over that spread.
4. An exponentially weighted mean of ``z`` (Roberts, *Control Chart Tests Based on Geometric Moving Averages*, Technometrics
   1959), over its own standard deviation, is held against one limit: Student's, at the chance that lets all KPIs and scenes
   together expect ``false_alarms_per_month`` (Bonferroni: an upper bound, as neighbouring days hang together).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from beautyrec.board.config import AlertConfig
from beautyrec.errors import EvaluationError, MissingExtraError
from beautyrec.types import BoolArray, FloatArray, IntArray

_MONTH: Final = 30
_ROUNDS: Final = 12
"""Of the iterated proportions; they settle in three or four where scenes are on air every day."""


@dataclass(frozen=True)
class Watched:
    """A KPI that is watched.

    Args:
        name: its name.
        over: column of counts.
        under: column of what they are counted out of.
        binomial: whether a unit of ``under`` gives at most one of ``over``; else counts are open.
    """

    name: str
    over: str
    under: str
    binomial: bool = True


WATCHED: Final = (
    Watched("ctr", "clicks", "impressions"),
    Watched("cvr", "orders", "clicks"),
    Watched("room_conversion", "viewers_who_bought", "viewers"),
    Watched("viewers", "viewers", "rooms", binomial=False),
)
"""The KPIs that alerts watch: viewers per room, and the three rates between a viewer and an order."""


def limit(config: AlertConfig, charts: int) -> float:
    """Standard deviations beyond which the running mean is an alarm, where so many charts (KPI x scene) are watched.

    Raises:
        MissingExtraError: SciPy is not installed.

    Examples:
        >>> round(limit(AlertConfig(false_alarms_per_month=0.5), charts=20), 2)
        3.56
    """
    try:
        from scipy.special import stdtrit
    except ImportError:
        raise MissingExtraError("scipy", "board") from None
    chance = config.false_alarms_per_month / (_MONTH * max(charts, 1))
    return float(-stdtrit(2 * config.window_days - 7, min(chance, 0.5) / 2))


def control_chart(daily: pd.DataFrame, watched: Watched, config: AlertConfig, bound: float) -> pd.DataFrame:
    """One KPI of every scene on every day, beside what was expected of it.

    Args:
        daily: ``day`` (dates), ``scene`` and the two columns of counts, at most one row a day and scene; days without a
            row had no room.
        watched: the KPI.
        config: window and weight.
        bound: what :func:`limit` gives.

    Returns:
        One row a day and scene with ``under`` above 0, in the order of scenes and days: ``day, scene, kpi, value, expected,
        low, high`` (the bound for a single day), ``score`` (the running mean over its standard deviation), ``alarm`` (-1
        below, 1 above, 0 within), ``began`` (the first day of an alarm). What has too few days before it has NaN.

    Raises:
        EvaluationError: a day and scene has more than one row.
    """
    if daily.duplicated(["day", "scene"]).any():
        raise EvaluationError(
            f"{watched.name}: {int(daily.duplicated(['day', 'scene']).sum())} days twice. Add them up."
        )
    days = pd.date_range(daily["day"].min(), daily["day"].max())
    grids = [
        daily.pivot_table(index="day", columns="scene", values=column, aggfunc="sum").reindex(days).fillna(0.0)
        for column in (watched.over, watched.under)
    ]
    over, under = (grid.to_numpy(np.float64) for grid in grids)
    weekday = days.day_of_week.to_numpy()
    expected, spread = _forecasts(over, under, weekday, watched.binomial, config)
    z = 2 * (np.sqrt(over + 0.375) - np.sqrt(expected + 0.375)) / np.sqrt(spread * expected)
    score = running_mean(np.where(under > 0, z, np.nan), config.newest_day)
    alarm = np.where(np.abs(score) > bound, np.sign(score), 0.0)
    alarm[np.isnan(score)] = 0.0
    there = under > 0
    width = bound * np.sqrt(spread)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, centre = over / under, expected / under
    columns = {
        "value": value,
        "expected": centre,
        "low": centre * np.maximum(1 - width / 2, 0) ** 2,
        "high": centre * (1 + width / 2) ** 2,
        "score": score,
        "alarm": alarm,
        "began": _begins(alarm, there),
    }
    day, scene = np.nonzero(there)
    table = pd.DataFrame({"day": days[day], "scene": grids[0].columns.to_numpy()[scene], "kpi": watched.name})
    table = table.assign(**{name: values[there] for name, values in columns.items()})
    return table.sort_values(["scene", "day"], ignore_index=True).astype({"alarm": int, "began": bool})


def running_mean(z: FloatArray, newest: float) -> FloatArray:
    """[D, S] exponentially weighted mean of the days so far, over its standard deviation; gaps keep what was.

    Examples:
        >>> running_mean(np.array([[2.0], [2.0]]), 0.5).round(3).ravel().tolist()
        [2.0, 2.683]
    """
    out = np.full_like(z, np.nan)
    mean, variance = np.zeros(z.shape[1]), np.zeros(z.shape[1])
    for day, values in enumerate(z):
        known = ~np.isnan(values)
        mean = np.where(known, newest * np.nan_to_num(values) + (1 - newest) * mean, mean)
        variance = np.where(known, newest**2 + (1 - newest) ** 2 * variance, variance)
        out[day, known] = mean[known] / np.sqrt(variance[known])
    return out


def _begins(alarm: FloatArray, there: BoolArray) -> BoolArray:
    """[D, S] where an alarm starts: the scene's day before was none, or one to the other side."""
    begins = np.zeros(alarm.shape, dtype=bool)
    last = np.zeros(alarm.shape[1])
    for day, values in enumerate(alarm):
        begins[day] = (values != 0) & (values != last)
        last = np.where(there[day], values, last)
    return begins


def _forecasts(
    over: FloatArray, under: FloatArray, weekday: IntArray, binomial: bool, config: AlertConfig
) -> tuple[FloatArray, FloatArray]:
    """[D, S] counts expected, and their relative variance, each from the days before; NaN where these are too few."""
    expected, spread = np.full_like(over, np.nan), np.full_like(over, np.nan)
    for day in range(config.least_days, len(over)):
        past = slice(max(0, day - config.window_days), day)
        fitted = _fit(over[past], under[past], weekday[past])
        level, factor = fitted
        rate = level * factor[weekday[day]]
        mean = under[day] * rate
        known = (mean > 0) & ((under[past] > 0).sum(axis=0) >= min(config.least_days, day) / 4)
        chance = (1 - np.minimum(rate, 1) if binomial else 1.0) / np.where(known, mean, 1.0)
        day_to_day, error = _day_to_day(over[past], under[past], weekday[past], fitted, binomial)
        expected[day] = np.where(known, mean, np.nan)
        spread[day] = chance + day_to_day + error[weekday[day]]
    return expected, spread


def _fit(over: FloatArray, under: FloatArray, weekday: IntArray) -> tuple[FloatArray, FloatArray]:
    """[S] level of each scene and [7] factor of each weekday, 1 on the mean."""
    factor = np.ones(7)
    level = np.zeros(over.shape[1])
    for _ in range(_ROUNDS):
        weighted = (under * factor[weekday, None]).sum(axis=0)
        level = np.divide(over.sum(axis=0), weighted, out=np.zeros_like(level), where=weighted > 0)
        by_day = np.bincount(weekday, over.sum(axis=1), 7), np.bincount(weekday, (under * level).sum(axis=1), 7)
        factor = np.divide(*by_day, out=np.ones(7), where=by_day[1] > 0)
        factor = np.where(factor > 0, factor, 1.0)
    return level, factor


def _day_to_day(
    over: FloatArray, under: FloatArray, weekday: IntArray, fitted: tuple[FloatArray, FloatArray], binomial: bool
) -> tuple[FloatArray, FloatArray]:
    """[S] relative variance of days beyond chance, and [7, S] that of the expectation's error."""
    level, factor = fitted
    mean = under * level * factor[weekday, None]
    there = mean > 0
    safe = np.where(there, mean, 1.0)
    chance = np.where(there, (1 - np.minimum(mean / np.maximum(under, 1e-9), 1) if binomial else 1.0) / safe, 0.0)
    days, scenes = np.maximum(there.sum(axis=0), 1), max(int(there.any(axis=0).sum()), 1)
    lost = days / np.maximum(days - 1 - 6 / scenes, 1)
    excess = np.where(there, (over / safe - 1) ** 2 * lost - chance, 0.0)
    own, usual = excess.sum(axis=0) / days, chance.sum(axis=0) / days
    shared = 0.0
    for _ in range(3):
        weight = days * (usual > 0) / np.maximum(usual + shared, 1e-12) ** 2
        shared = max(float((weight * own).sum() / max(weight.sum(), 1e-12)), 0.0)
    both = np.maximum((own + shared) / 2, 0.0)
    precision = np.where(there, 1 / np.maximum(chance + both, 1e-12), 0.0)
    of_weekday = np.bincount(weekday, precision.sum(axis=1), 7)
    of_scene = precision.sum(axis=0)
    error = 1 / np.maximum(of_scene, 1e-9)[None, :] + 1 / np.maximum(of_weekday, 1e-9)[:, None]
    return both, np.minimum(error, 1.0)


def control_charts(daily: pd.DataFrame, config: AlertConfig, watched: tuple[Watched, ...] = WATCHED) -> pd.DataFrame:
    """:func:`control_chart` of each watched KPI, one below the other, under one limit for all."""
    bound = limit(config, len(watched) * daily["scene"].nunique())
    return pd.concat([control_chart(daily, each, config, bound) for each in watched], ignore_index=True)
