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

PASSES = 8
"""Most passes over the month."""

TOLERANCE = 5e-4
"""Relative error of both rates at which a month is kept."""

_STEPS = 200


def settle(stage: Stage, response: Response, on_progress: Progress | None = None) -> tuple[Response, Month]:
    """The response with its intercepts, and the month played with them.

    Raises:
        ConfigError: the rates can't be reached, or did not settle within `PASSES` passes.
    """
    config = response.config
    days = config.days * PASSES
    click_rate = config.click_rate / response.attention.mean()
    response = replace(response, click_intercept=_logit(click_rate) - 0.4, order_intercept=_logit(0.2))
    for number in range(PASSES):
        month = play(stage, response, _report(on_progress, number * config.days, days))
        click, order = response.logits(month.places, stage.grounds, month.live)
        shown = (month.live >= 0) * response.attention
        now = _rates(click + response.click_intercept, order + response.order_intercept, shown)
        if max(abs(now[0] / config.click_rate - 1), abs(now[1] / config.room_conversion - 1)) < TOLERANCE:
            if on_progress is not None:
                on_progress(days, days)
            return response, month
        a = solve_clicks(click, shown, config.click_rate)
        b = solve_orders(sigmoid(click + a) * shown, order, config.room_conversion)
        response = replace(response, click_intercept=a, order_intercept=b)
    raise ConfigError(
        f"world: click rate and room conversion came to {now[0]:.5f} and {now[1]:.5f} after {PASSES} passes, not to "
        f"{config.click_rate} and {config.room_conversion}: stock decides too much. Raise stock_median."
    )


def solve_clicks(logit: FloatArray, attention: FloatArray, target: float) -> float:
    """The intercept ``a`` at which ``attention * sigmoid(logit + a)`` adds up to ``target`` clicks an impression.

    The slope of the log of the rate in ``a`` lies between 0 and 1, so ``a += log(target / rate)`` never overshoots
    and converges from anywhere.

    Args:
        logit: [N, K] without the intercept.
        attention: [N, K] chance of examination, 0 where nothing is shown.
        target: clicks per impression.

    Raises:
        ConfigError: even certain clicks would be too few.

    Example:
        >>> a = solve_clicks(np.zeros((1, 2)), np.ones((1, 2)), 0.1)
        >>> round(float(sigmoid(np.array(a))), 6)
        0.1
    """
    impressions = int((attention > 0).sum())
    most = attention.sum() / impressions
    if target >= most:
        raise ConfigError(f"world: click_rate is {target} but attention alone allows {most:.4f}. Lower it.")
    return _climb(lambda a: float((attention * sigmoid(logit + a)).sum() / impressions), target)


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
    return _climb(lambda b: float((1 - np.prod(1 - click * sigmoid(logit + b), axis=1)).mean()), target)


def _rates(click: FloatArray, order: FloatArray, attention: FloatArray) -> tuple[float, float]:
    """Expected clicks per impression and share of requests with an order."""
    chance = attention * sigmoid(click)
    bought = 1 - np.prod(1 - chance * sigmoid(order), axis=1)
    return float(chance.sum() / (attention > 0).sum()), float(bought.mean())


def _climb(rate: Callable[[float], float], target: float) -> float:
    """Where ``rate`` is ``target``, to 1e-7 relative; the slope of its log lies between 0 and 1."""
    at = 0.0
    for _ in range(_STEPS):
        step = float(np.log(target / rate(at)))
        at += step
        if abs(step) < 1e-7:
            return at
    raise ConfigError(f"world: a rate of {target} is too close to the largest that can be. Lower it.")


def _logit(chance: float) -> float:
    return float(np.log(chance / (1 - chance))) if chance < 1 else 0.0


def _report(on_progress: Progress | None, before: int, total: int) -> Callable[[int], None] | None:
    """Days done in one pass as days done in all."""
    if on_progress is None:
        return None
    return lambda day: on_progress(before + day, total)
