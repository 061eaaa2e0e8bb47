"""From log odds that rank well to probabilities that mean what they say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beautyrec.errors import FitError
from beautyrec.types import BoolArray, FloatArray

_STEPS = 50
_CLOSE = 1e-10


def sigmoid(log_odds: FloatArray) -> FloatArray:
    """[n] probabilities of log odds, without overflow.

    Examples:
        >>> sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist()
        [0.0, 0.5, 1.0]
    """
    small = np.exp(-np.abs(log_odds))
    return np.where(log_odds >= 0, 1.0, small) / (1.0 + small)


@dataclass(frozen=True)
class LogisticCalibration:
    """A straight line through log odds: ``p = sigmoid(intercept + slope * log_odds)``.

    It never changes an order, has two numbers, and so stays steady with a few dozen positives, where isotonic
    regression would follow the noise. Source: Platt (1999), "Probabilistic outputs for support vector machines".

    Args:
        slope: 1 leaves the spread as it is, below 1 pulls over-confident predictions together.
        intercept: shift of the log odds.

    Examples:
        >>> LogisticCalibration(slope=1.0, intercept=0.0).probability(np.array([0.0])).tolist()
        [0.5]
    """

    slope: float = 1.0
    intercept: float = 0.0

    def probability(self, log_odds: FloatArray) -> FloatArray:
        """[n] the calibrated probability of each log odds [n]."""
        return sigmoid(self.intercept + self.slope * log_odds)

    @classmethod
    def fit(
        cls, log_odds: FloatArray, happened: BoolArray, *, slope_sd: float = 0.3, intercept_sd: float = 2.0
    ) -> LogisticCalibration:
        """The line that is most likely given what happened on rows the model was not fitted on.

        Maximises ``sum log P(happened) - (slope - 1)^2 / (2 slope_sd^2) - intercept^2 / (2 intercept_sd^2)`` by
        Newton's method: with few positives the line stays close to the identity, with many the data decide.

        Args:
            log_odds: [n] what the model says.
            happened: [n] whether it came so.
            slope_sd: how far from 1 the slope is believed to be.
            intercept_sd: how far from 0 the intercept is believed to be.

        Raises:
            FitError: there are no rows, or a log odds is not finite.
        """
        if len(log_odds) == 0 or not np.isfinite(log_odds).all():
            bad = int((~np.isfinite(log_odds)).sum())
            raise FitError(f"calibration: {bad} of {len(log_odds)} log odds are not finite. Give at least one that is.")
        design = np.stack([log_odds, np.ones_like(log_odds)], axis=1)
        centre = np.array([1.0, 0.0])
        precision = np.array([slope_sd, intercept_sd]) ** -2.0
        line = centre.copy()
        value = _loss(line, design, happened, centre, precision)
        for _ in range(_STEPS):
            p = sigmoid(design @ line)
            gradient = design.T @ (p - happened) + precision * (line - centre)
            curvature = (design * (p * (1 - p))[:, None]).T @ design + np.diag(precision)
            step = np.linalg.solve(curvature, gradient)
            while (stepped := _loss(line - step, design, happened, centre, precision)) > value + _CLOSE:
                step /= 2
            line, value = line - step, stepped
            if np.abs(step).max() < _CLOSE:
                break
        return cls(slope=float(line[0]), intercept=float(line[1]))


def _loss(
    line: FloatArray, design: FloatArray, happened: BoolArray, centre: FloatArray, precision: FloatArray
) -> float:
    """What :meth:`LogisticCalibration.fit` minimises, at a line."""
    log_odds = design @ line
    likelihood = np.logaddexp(0.0, log_odds) - happened * log_odds
    return float(likelihood.sum() + 0.5 * (precision * (line - centre) ** 2).sum())
