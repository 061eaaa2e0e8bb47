"""From log odds that rank well to probabilities that mean what they say.

A method (:class:`Platt`, :class:`Beta`, :class:`Isotonic`, :class:`PerScene`) is a choice with its settings; its ``fit``
looks at rows that the model was not fitted on, best of a later time, and gives one of the forms of
:mod:`beautyrec.models.calibrated`, which is numbers only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from beautyrec.errors import FitError, MissingExtraError
from beautyrec.models.calibrated import (
    BetaCalibration,
    Calibration,
    IsotonicCalibration,
    LogisticCalibration,
    SceneCalibration,
    places,
    sigmoid,
    tails,
)
from beautyrec.types import FloatArray

_STEPS = 50
_CLOSE = 1e-10
_STRETCHES = 40


@dataclass(frozen=True)
class Platt:
    """A line through log odds (:class:`~beautyrec.models.calibrated.LogisticCalibration`), for few positives.

    Maximises ``sum log P(happened) - (slope - 1)^2 / (2 slope_sd^2) - intercept^2 / (2 intercept_sd^2)`` by Newton's
    method: with few positives the line stays close to the identity, with many the data decide.

    Examples:
        >>> Platt().fit(np.array([-3.0, -3.0, 0.0, 0.0]), np.array([0, 0, 1, 0])).by
        ''
    """

    slope_sd: float = 0.3
    """How far from 1 the slope is believed to be."""
    intercept_sd: float = 2.0
    """How far from 0 the intercept is believed to be."""

    def fit(
        self,
        log_odds: FloatArray,
        happened: npt.NDArray[Any],
        weight: FloatArray | None = None,
        group: FloatArray | None = None,  # noqa: ARG002
    ) -> Calibration:
        """The line that is most likely given what happened on rows the model was not fitted on.

        Args:
            log_odds: [n] what the model says.
            happened: [n] whether it came so, or 0 and 1.
            weight: [n] how often each row counts; once where it is None.
            group: not used.

        Raises:
            FitError: there are no rows, or a log odds is not finite.
        """
        _check(log_odds)
        design = np.stack([log_odds, np.ones_like(log_odds)], axis=1)
        sd = np.array([self.slope_sd, self.intercept_sd])
        return LogisticCalibration(*_most_likely(design, happened, weight, np.array([1.0, 0.0]), sd).tolist())


@dataclass(frozen=True)
class Beta:
    """The most likely :class:`~beautyrec.models.calibrated.BetaCalibration` under normal priors around the identity.

    Where a or b comes out below 0 it is set to 0 and the others are fitted again.
    """

    slope_sd: float = 0.5
    """How far from 1 a and b are believed to be."""
    intercept_sd: float = 2.0
    """How far from 0 c is believed to be."""

    def fit(
        self,
        log_odds: FloatArray,
        happened: npt.NDArray[Any],
        weight: FloatArray | None = None,
        group: FloatArray | None = None,  # noqa: ARG002
    ) -> Calibration:
        """The calibration of rows [n] as in :meth:`Platt.fit`.

        Raises:
            FitError: there are no rows, or a log odds is not finite.
        """
        _check(log_odds)
        design = np.column_stack([tails(log_odds), np.ones_like(log_odds)])
        centre, sd = np.array([1.0, 1.0, 0.0]), np.array([self.slope_sd, self.slope_sd, self.intercept_sd])
        free = np.ones(3, dtype=bool)
        while True:
            found = np.zeros(3)
            found[free] = _most_likely(design[:, free], happened, weight, centre[free], sd[free])
            below = free & (found < 0) & np.array([True, True, False])
            if not below.any():
                return BetaCalibration(*found.tolist())
            free &= ~below


@dataclass(frozen=True)
class Isotonic:
    """Any rising curve (:class:`~beautyrec.models.calibrated.IsotonicCalibration`), for thousands of positives and more.

    Source: Zadrozny and Elkan (2002), "Transforming classifier scores into accurate multiclass probability estimates",
    KDD. Probabilities are kept half an event away from 0 and 1, so that no outcome is ever taken to be impossible.
    """

    def fit(
        self,
        log_odds: FloatArray,
        happened: npt.NDArray[Any],
        weight: FloatArray | None = None,
        group: FloatArray | None = None,  # noqa: ARG002
    ) -> Calibration:
        """The calibration of rows [n] as in :meth:`Platt.fit`.

        Raises:
            FitError: there are no rows, or a log odds is not finite.
            MissingExtraError: scikit-learn is not installed.
        """
        _check(log_odds)
        try:
            from sklearn.isotonic import IsotonicRegression
        except ImportError:
            raise MissingExtraError("scikit-learn", "train") from None
        model = IsotonicRegression(out_of_bounds="clip").fit(log_odds, happened.astype(np.float64), weight)
        edge = 0.5 / (1.0 + (len(log_odds) if weight is None else float(weight.sum())))
        return IsotonicCalibration(
            np.asarray(model.X_thresholds_, dtype=np.float64),
            np.clip(np.asarray(model.y_thresholds_, dtype=np.float64), edge, 1 - edge),
        )


@dataclass(frozen=True)
class PerScene:
    """One method for all, then a shift of log odds for each scene, drawn towards none.

    Each scene's own most likely shift ``d`` has the variance ``v = sum_b (sum of y - p in stretch b)^2 / (sum p (1 - p))^2``
    over stretches of rows that came one after another, at least ``1 / sum p (1 - p)``: what happens within one room is not
    independent, and a few rooms are not many (Liang and Zeger 1986, "Longitudinal data analysis using generalized linear
    models"). How much scenes truly differ, ``t^2``, is estimated from all of them (DerSimonian and Laird 1986,
    "Meta-analysis in clinical trials"), and each is drawn towards no shift: ``d t^2 / (t^2 + v)``. A scene with few events
    keeps the calibration for all; where scenes differ by no more than chance all do.
    """

    within: Platt | Beta | Isotonic = Platt()
    """The method for all scenes together."""
    column: str = "scene"
    """The feature that says which scene a row is of, as a code."""

    def fit(
        self,
        log_odds: FloatArray,
        happened: npt.NDArray[Any],
        weight: FloatArray | None = None,
        group: FloatArray | None = None,
    ) -> Calibration:
        """The calibration of rows [n], in the order of time, of scenes ``group`` [n].

        Rows without a scene count for the calibration for all only.

        Raises:
            FitError: there are no rows, a log odds is not finite, or no groups are given.
        """
        if group is None:
            raise FitError(f"calibration: there is no '{self.column}' for {len(log_odds)} rows. Make it a feature.")
        within = self.within.fit(log_odds, happened, weight)
        p = within.probability(log_odds)
        codes = np.unique(group[~np.isnan(group)])
        known = (np.ones_like(p) if weight is None else weight) * ~np.isnan(group)
        shift, variance = _own_shifts(places(codes, group), len(codes), p, happened.astype(np.float64), known)
        return SceneCalibration(within, self.column, codes, shift * _trust(shift, variance))


Method = Platt | Beta | Isotonic | PerScene
"""The methods; what a learner is told to calibrate with."""


def _check(log_odds: FloatArray) -> None:
    if len(log_odds) == 0 or not np.isfinite(log_odds).all():
        bad = int((~np.isfinite(log_odds)).sum())
        raise FitError(f"calibration: {bad} of {len(log_odds)} log odds are not finite. Give at least one that is.")


def _own_shifts(
    place: npt.NDArray[np.intp], scenes: int, p: FloatArray, happened: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Each scene's most likely shift [s] and its variance [s], by Newton's method for all scenes at once.

    One event that is half of each sort is added to every scene, so that one without any stays finite.
    """
    rate = float(np.average(p, weights=weight)) if weight.sum() > 0 else 0.5
    shift = np.zeros(scenes)
    curvature = np.ones(scenes)
    for _ in range(_STEPS):
        factor = np.exp(np.append(shift, 0.0))[place]
        q = p * factor / (1 - p + p * factor)
        prior = sigmoid(np.log(rate / (1 - rate)) + shift)
        gradient = np.bincount(place, weight * (happened - q), scenes + 1)[:scenes] + rate - prior
        curvature = np.bincount(place, weight * q * (1 - q), scenes + 1)[:scenes] + prior * (1 - prior)
        step = np.clip(gradient / curvature, -1, 1)
        shift += step
        if np.abs(step).max(initial=0.0) < _CLOSE:
            break
    return shift, np.maximum(1 / curvature, _scatter(place, scenes, weight * (happened - q)) / curvature**2)


def _scatter(place: npt.NDArray[np.intp], scenes: int, error: FloatArray) -> FloatArray:
    """[s] the sum over stretches of the rows of each scene of the square of the sum of the errors in them."""
    stretch = np.arange(len(place)) * _STRETCHES // max(1, len(place))
    sums = np.bincount(place * _STRETCHES + stretch, error, (scenes + 1) * _STRETCHES).reshape(-1, _STRETCHES)[:scenes]
    there = np.bincount(place * _STRETCHES + stretch, minlength=(scenes + 1) * _STRETCHES).reshape(-1, _STRETCHES)[
        :scenes
    ]
    filled = np.maximum(2, (there > 0).sum(axis=1))
    return np.asarray((sums**2).sum(axis=1) * filled / (filled - 1))


def _trust(shift: FloatArray, variance: FloatArray) -> FloatArray:
    """[s] what part of each shift is kept: ``t^2 / (t^2 + v)``, ``t^2`` after DerSimonian and Laird."""
    if len(shift) < 2:
        return np.zeros(len(shift))
    w = 1 / variance
    spread = float((w * shift**2).sum() - (w * shift).sum() ** 2 / w.sum())
    between = max(0.0, (spread - (len(w) - 1)) / float(w.sum() - (w**2).sum() / w.sum()))
    return between / (between + variance)


def _most_likely(
    design: FloatArray, happened: npt.NDArray[Any], weight: FloatArray | None, centre: FloatArray, sd: FloatArray
) -> FloatArray:
    """[d] the coefficients of a logistic regression on ``design`` [n, d] under normal priors, by Newton's method."""
    times = np.ones(len(design)) if weight is None else weight
    precision, line = sd**-2.0, centre.copy()

    def loss(at: FloatArray) -> float:
        log_odds = design @ at
        likelihood = times * (np.logaddexp(0.0, log_odds) - happened * log_odds)
        return float(likelihood.sum() + 0.5 * (precision * (at - centre) ** 2).sum())

    value = loss(line)
    for _ in range(_STEPS):
        p = sigmoid(design @ line)
        gradient = design.T @ (times * (p - happened)) + precision * (line - centre)
        curvature = (design * (times * p * (1 - p))[:, None]).T @ design + np.diag(precision)
        step = np.linalg.solve(curvature, gradient)
        while (stepped := loss(line - step)) > value + _CLOSE * (1 + abs(value)):
            step /= 2
        line, value = line - step, stepped
        if np.abs(step).max() < _CLOSE:
            break
    return line
