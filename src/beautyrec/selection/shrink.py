"""Predicted rates drawn together as far as later rows ask for it, and how closely products follow them after that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beautyrec.errors import FitError, MissingExtraError
from beautyrec.types import FloatArray

_GRID = np.geomspace(0.05, 5000.0, 401)
_COARSE = 20
_STEPS = 50


@dataclass(frozen=True)
class Shrinkage:
    """What later rows say of predicted rates.

    Args:
        level: what a rate at the middle is to be multiplied with.
        slope: how much of a rate's distance from the middle, on the log scale, is real: below 1 the high ones are too high.
        tilt: change of the log rate for one of log worth, at most 0: below it what is worth much sells less than predicted.
        middle: log of the middle rate, and of the middle worth.
        sureness: how closely products follow their rates: the shape of the gamma distribution of true over predicted.
    """

    level: float
    slope: float
    tilt: float
    middle: tuple[float, float]
    sureness: float

    def apply(self, rate: FloatArray, worth: FloatArray) -> FloatArray:
        """[N] the rates as they should be: ``level * exp(middle + slope (log rate - middle) + tilt (log worth - middle))``."""
        away = _log(rate) - self.middle[0]
        lean = np.where(worth > 0, self.tilt * (_log(worth) - self.middle[1]), 0.0)
        return np.where(rate > 0, self.level * np.exp(self.middle[0] + self.slope * away + lean), 0.0)


def fit_shrinkage(
    expected: FloatArray, observed: FloatArray, shown: FloatArray, worth: FloatArray, ridge: float = 10.0
) -> Shrinkage:
    """How predicted rates of products hold later.

    What looks best among many is, as a rule, overestimated (Smith and Winkler 2006, "The Optimizer's Curse"), and a selection
    looks at rate times worth. Rows that the model was not fitted on tell by how much: their counts are regressed on the
    logs of both (Poisson's regression, drawn towards the prediction as it is). Rates are only ever drawn together: a
    slope above 1 or a tilt above 0 is not used. The spread that is left is negative binomial (Cameron and Trivedi 2013,
    *Regression Analysis of Count Data*, ch. 3), and its most likely shape is the sureness.

    Args:
        expected: [N] sum of the predicted chances over each product's later rows.
        observed: [N] what happened in them.
        shown: [N] how many rows.
        worth: [N] what an order of each brings, such as its margin; those of 0 or less are left out.
        ridge: how strongly slope and tilt are drawn towards 1 and 0: as if known with a standard deviation of ``1 /
            sqrt(ridge)``.

    Raises:
        FitError: nothing was expected or nothing happened.
        MissingExtraError: ``scipy`` is not installed.

    Examples:
        >>> rng = np.random.default_rng(1)
        >>> shown, rate, worth = np.full(4000, 1000.0), rng.lognormal(-5, 0.5, 4000), rng.lognormal(2, 1, 4000)
        >>> real = np.exp(-5 + 0.6 * (np.log(rate) + 5) - 0.2 * (np.log(worth) - 2))
        >>> orders = rng.poisson(real * shown * rng.gamma(4, 0.25, 4000))
        >>> found = fit_shrinkage(rate * shown, orders, shown, worth, ridge=0.1)
        >>> round(found.slope, 1), round(found.tilt, 1), round(found.sureness)
        (0.6, -0.2, 4)
    """
    some = (expected > 0) & (shown > 0) & (worth > 0)
    if not some.any() or not observed[some].sum() > 0:
        raise FitError(
            f"shrinkage: {int(some.sum())} products were expected to have anything, {observed.sum():g} happened."
        )
    mean, count = expected[some], observed[some].astype(np.float64)
    logs = np.column_stack([np.log(mean / shown[some]), np.log(worth[some])])
    middle = np.average(logs, axis=0, weights=mean)
    beta = _line(logs - middle, count, mean, ridge)
    slope, tilt = min(0.0, float(beta[1])), min(0.0, float(beta[2]))
    fitted = mean * np.exp((logs - middle) @ np.array([slope, tilt]))
    level = count.sum() / fitted.sum()
    fitted = fitted * level
    return Shrinkage(float(level), 1 + slope, tilt, (float(middle[0]), float(middle[1])), likely_shape(count, fitted))


def likely_shape(count: FloatArray, mean: FloatArray) -> float:
    """The most likely shape of the gamma distribution of true over predicted means, 0.05 to 5000.

    Counts are negative binomial then (Cameron and Trivedi 2013, ch. 3). The more, the closer counts follow their means.

    Args:
        count: [n] what happened.
        mean: [n] what was predicted; rows of 0 are left out.

    Raises:
        MissingExtraError: ``scipy`` is not installed.
    """
    try:
        from scipy.special import gammaln
    except ImportError:
        raise MissingExtraError("scipy", "select") from None
    some = mean > 0
    c, m = count[some], mean[some]

    def best(grid: FloatArray) -> int:
        k = grid[:, None]
        likely = gammaln(c + k) - gammaln(k) + k * np.log(k / (k + m)) + c * np.log(m / (k + m))
        return int(np.argmax(likely.sum(axis=1)))

    coarse = _GRID[::_COARSE]
    at = best(coarse) * _COARSE
    near = _GRID[max(0, at - _COARSE) : at + _COARSE + 1]
    return float(near[best(near)])


def _log(values: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.maximum(values, 1e-300)))


def _line(away: FloatArray, count: FloatArray, mean: FloatArray, ridge: float) -> FloatArray:
    """[3] intercept and slopes of ``log(count / mean)``, by Newton's method; the slopes drawn towards 0."""
    x, penalty = np.column_stack([np.ones(len(away)), away]), np.diag([0.0, ridge, ridge])
    beta = np.array([np.log(count.sum() / mean.sum()), 0.0, 0.0])
    for _ in range(_STEPS):
        fitted = mean * np.exp(np.clip(x @ beta, -20, 20))
        step = np.linalg.solve((x * fitted[:, None]).T @ x + penalty, x.T @ (count - fitted) - penalty @ beta)
        beta = beta + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    return beta
