"""The two intercepts, solved so that the legacy policy has the click rate and room conversion that the config asks for.

The values are expectations: clicks and orders are integrated over, given the very slates that the legacy policy drew
in the month, so that the log's own rates differ from the target by the chance of clicks and orders only. As orders
deplete stock and stock decides what is on later shelves, the month is played again after each solution until both
rates hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from beautyrec.errors import ConfigError
from beautyrec.simulate.month import Month, Stage, play
from beautyrec.simulate.response import Response, sigmoid
from beautyrec.types import FloatArray, Progress

PASSES = 6
"""Most passes over a month..."""

ATTEMPTS = 5
"""...and most months, each with random numbers of its own, before giving up."""

TOLERANCE = 5e-4
"""Relative error of both rates at which a month is kept."""

_STEPS = 100
_PRECISION = 1e-8  # of the logit of a rate


def settle(stage: Stage, response: Response, on_progress: Progress | None = None) -> tuple[Response, Month]:
    """The response with its intercepts, and the month played with them.

    In a small world one order can sell a product out and so move a rate by more than the tolerance, whichever way the
    intercepts lean. Where a month does not settle within `PASSES` passes, it is begun again with other random numbers.

    Args:
        stage: the month's rooms.
        response: how viewers respond; its intercepts are not read.
        on_progress: called with days played and the most that there can be.

    Raises:
        ConfigError: the rates can't be reached, or did not settle in `ATTEMPTS` months.
    """
    config = response.config
    total = config.days * PASSES
    a, b = _logit(min(config.click_rate / response.attention.mean(), 0.5)) - 0.4, _logit(0.2)
    for number in range(PASSES * ATTEMPTS):
        response = replace(response, click_intercept=a, order_intercept=b)
        played = replace(stage, attempt=number // PASSES)
        month = play(played, response, _report(on_progress, number * config.days, total))
        click, order = response.logits(month.places, stage.grounds, month.live)
        shown = (month.live >= 0) * response.attention
        now = _rates(click + a, order + b, shown)
        if max(abs(now[0] / config.click_rate - 1), abs(now[1] / config.room_conversion - 1)) < TOLERANCE:
            if on_progress is not None:
                on_progress(total, total)
            return response, month
        a = solve_clicks(click, shown, config.click_rate)
        b = solve_orders(sigmoid(click + a) * shown, order, config.room_conversion)
    raise ConfigError(
        f"world: click rate and room conversion came to {now[0]:.5f} and {now[1]:.5f}, not to {config.click_rate} and "
        f"{config.room_conversion}, after {PASSES * ATTEMPTS} passes: stock decides too much. Raise stock_median."
    )


def solve_clicks(logit: FloatArray, attention: FloatArray, target: float) -> float:
    """The intercept ``a`` at which ``attention * sigmoid(logit + a)`` adds up to ``target`` clicks an impression.

    Args:
        logit: [N, K] without the intercept.
        attention: [N, K] chance of examination, 0 where nothing is shown.
        target: clicks per impression.

    Raises:
        ConfigError: even certain clicks would be too few.

    Examples:
        >>> a = solve_clicks(np.zeros((1, 2)), np.ones((1, 2)), 0.1)
        >>> round(float(sigmoid(np.array(a))), 6)
        0.1
    """
    impressions = int((attention > 0).sum())
    most = attention.sum() / impressions
    if target >= most:
        raise ConfigError(f"world: click_rate is {target} but attention alone allows {most:.4f}. Lower it.")
    return _rise(lambda a: float((attention * sigmoid(logit + a)).sum() / impressions), target, float(most))


def solve_orders(click: FloatArray, logit: FloatArray, target: float) -> float:
    """The intercept ``b`` at which a share ``target`` of requests has an order.

    It is the mean over requests of ``1 - prod(1 - click * sigmoid(logit + b))``.

    Args:
        click: [N, K] chance of a click, attention included.
        logit: [N, K] of an order given a click, without the intercept.
        target: share of requests with an order.

    Raises:
        ConfigError: even if all clicks became orders there would be too few.
    """
    most = float((1 - np.prod(1 - click, axis=1)).mean())
    if target >= most:
        raise ConfigError(
            f"world: room_conversion is {target} but only {most:.4f} of viewers click at all. "
            "Lower it or raise click_rate."
        )
    return _rise(lambda b: float((1 - np.prod(1 - click * sigmoid(logit + b), axis=1)).mean()), target, most)


def _rates(click: FloatArray, order: FloatArray, attention: FloatArray) -> tuple[float, float]:
    """Expected clicks per impression and share of requests with an order."""
    chance = attention * sigmoid(click)
    bought = 1 - np.prod(1 - chance * sigmoid(order), axis=1)
    return float(chance.sum() / (attention > 0).sum()), float(bought.mean())


def _rise(rate: Callable[[float], float], target: float, most: float) -> float:
    """Where the rising ``rate`` is ``target``: the secant method on logit(rate / most), held within its bracket.

    That logit is a straight line of slope 1 where all chances are alike, so few evaluations do.
    """
    low, high, at, slope = -np.inf, np.inf, 0.0, 1.0
    before: tuple[float, float] | None = None
    for _ in range(_STEPS):
        level = _logit(rate(at) / most)
        gap = _logit(target / most) - level
        if abs(gap) < _PRECISION:
            return at
        low, high = (at, high) if gap > 0 else (low, at)
        if before is not None and at != before[0]:
            slope = max((level - before[1]) / (at - before[0]), 0.05)
        before, at = (at, level), at + gap / slope
        if not low < at < high:
            at = (low + high) / 2
    raise ConfigError(f"world: a rate of {target} is too close to {most:.6f}, the largest there can be. Lower it.")


def _logit(chance: float) -> float:
    """Log odds, of a chance held within 1e-15 of 0 and 1."""
    held = min(max(chance, 1e-15), 1 - 1e-15)
    return float(np.log(held / (1 - held)))


def _report(on_progress: Progress | None, before: int, total: int) -> Callable[[int], None] | None:
    """Days done in one pass as days done in all."""
    if on_progress is None:
        return None
    return lambda day: on_progress(min(before + day, total - 1), total)
