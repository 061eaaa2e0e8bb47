"""Predicted rates drawn towards what each product has really done, and how sure they are after that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beautyrec.errors import FitError, MissingExtraError
from beautyrec.types import FloatArray

_GRID = np.geomspace(0.05, 5000.0, 400)


@dataclass(frozen=True, eq=False)
class Shrunk:
    """How far each product is from its prediction.

    Args:
        ratio: [N] what to multiply its predicted rate with.
        sureness: [N] shape of the gamma distribution of its rate: as sure as after so many events seen.
    """

    ratio: FloatArray
    sureness: FloatArray

    def __mul__(self, other: Shrunk) -> Shrunk:
        """Of the product of two rates: ratios multiply, relative variances (1 / sureness) add."""
        return Shrunk(self.ratio * other.ratio, 1 / (1 / self.sureness + 1 / other.sureness))


def spread_of(expected: FloatArray, observed: FloatArray) -> float:
    """How closely products follow their predictions: the shape ``k`` of the gamma distribution of true over predicted.

    Counts are Poisson with mean ``expected * r`` and ``r`` gamma with mean 1 and shape ``k``, so negative binomial; ``k`` is
    the most likely (Cameron and Trivedi 2013, *Regression Analysis of Count Data*, ch. 3). Its scale is free: ``expected``
    is brought to the sum of ``observed`` first.

    Args:
        expected: [N] sums of predicted chances, of rows that the model was not fitted on.
        observed: [N] what happened in the same rows.

    Raises:
        FitError: nothing was expected or nothing happened.
        MissingExtraError: ``scipy`` is not installed.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> mean = np.full(4000, 5.0)
        >>> round(spread_of(mean, rng.poisson(mean * rng.gamma(3, 1 / 3, 4000))))
        3
    """
    try:
        from scipy.special import gammaln
    except ImportError:
        raise MissingExtraError("scipy", "select") from None
    some = expected > 0
    if not some.any() or not observed[some].sum() > 0:
        raise FitError(
            f"shrinkage: {int(some.sum())} products were expected to have anything, {observed.sum():g} happened."
        )
    mean, count = expected[some] * observed[some].sum() / expected[some].sum(), observed[some]
    fits = [
        (gammaln(count + k) - gammaln(k) + k * np.log(k / (k + mean)) + count * np.log(mean / (k + mean))).sum()
        for k in _GRID
    ]
    return float(_GRID[int(np.argmax(fits))])


def shrink(expected: FloatArray, observed: FloatArray, spread: float) -> Shrunk:
    """The posterior of each product's ratio: ``(k + observed) / (k + expected)``, of shape ``k + observed``.

    Args:
        expected: [N] sums of predicted chances over the rows of each product.
        observed: [N] what happened in them.
        spread: ``k`` of :func:`spread_of`.

    Examples:
        >>> shrink(np.array([0.0, 10.0]), np.array([0.0, 30.0]), 10.0).ratio.tolist()
        [1.0, 2.0]
    """
    return Shrunk((spread + observed) / (spread + expected), spread + observed)
