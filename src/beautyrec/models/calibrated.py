"""Fitted calibrations: numbers that turn log odds into probabilities, with numpy alone.

:mod:`beautyrec.models.calibration` fits them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from beautyrec.errors import ArtifactError
from beautyrec.models.state import ModelState
from beautyrec.types import FloatArray


def sigmoid(log_odds: FloatArray) -> FloatArray:
    """[n] probabilities of log odds, without overflow.

    Examples:
        >>> sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist()
        [0.0, 0.5, 1.0]
    """
    small = np.exp(-np.abs(log_odds))
    return np.where(log_odds >= 0, 1.0, small) / (1.0 + small)


class Calibration(ABC):
    """From log odds to probabilities; it never changes."""

    kind: ClassVar[str]

    @property
    def by(self) -> str:
        """The feature whose value chooses among several calibrations; empty where there is one for all."""
        return ""

    @abstractmethod
    def probability(self, log_odds: FloatArray, group: FloatArray | None = None) -> FloatArray:
        """[n] the calibrated probability of each log odds [n]; ``group`` [n] is the feature that :attr:`by` names."""

    @abstractmethod
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Its numbers."""

    def meta(self) -> dict[str, Any]:
        """What it is besides its numbers."""
        return {"kind": self.kind}


@dataclass(frozen=True)
class LogisticCalibration(Calibration):
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
    kind: ClassVar[str] = "logistic"

    def probability(self, log_odds: FloatArray, group: FloatArray | None = None) -> FloatArray:  # noqa: ARG002
        """[n] the calibrated probability of each log odds [n]."""
        return sigmoid(self.intercept + self.slope * log_odds)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The two numbers."""
        return {"line": np.array([self.slope, self.intercept])}


@dataclass(frozen=True)
class BetaCalibration(Calibration):
    """``p = sigmoid(a ln q - b ln(1 - q) + c)`` of ``q = sigmoid(log_odds)``; ``a, b >= 0``, so the order is kept.

    With a = b it is the line of :class:`LogisticCalibration`; the third number bends the two tails apart. Source: Kull,
    Silva Filho, Flach (2017), "Beta calibration: a well-founded and easily implemented improvement on logistic
    calibration for binary classifiers", AISTATS.

    Examples:
        >>> BetaCalibration(1.0, 1.0, 0.0).probability(np.array([0.0, 1.0])).round(4).tolist()
        [0.5, 0.7311]
    """

    a: float = 1.0
    b: float = 1.0
    c: float = 0.0
    kind: ClassVar[str] = "beta"

    def probability(self, log_odds: FloatArray, group: FloatArray | None = None) -> FloatArray:  # noqa: ARG002
        """[n] the calibrated probability of each log odds [n]."""
        return sigmoid(tails(log_odds) @ np.array([self.a, self.b]) + self.c)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The three numbers."""
        return {"beta": np.array([self.a, self.b, self.c])}


@dataclass(frozen=True, eq=False)
class IsotonicCalibration(Calibration):
    """A rising line through points (log odds, probability), flat beyond the first and the last.

    Args:
        x: [k] log odds, rising.
        y: [k] probability at each, never falling.

    Examples:
        >>> IsotonicCalibration(np.array([-1.0, 1.0]), np.array([0.2, 0.4])).probability(np.array([-9.0, 0.0])).round(3).tolist()
        [0.2, 0.3]
    """

    x: FloatArray
    y: FloatArray
    kind: ClassVar[str] = "isotonic"

    def probability(self, log_odds: FloatArray, group: FloatArray | None = None) -> FloatArray:  # noqa: ARG002
        """[n] the calibrated probability of each log odds [n]."""
        return np.interp(log_odds, self.x, self.y)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The points."""
        return {"points": np.stack([self.x, self.y])}


@dataclass(frozen=True, eq=False)
class SceneCalibration(Calibration):
    """One calibration for all, and a shift of its log odds for each scene.

    Args:
        within: for all.
        column: the feature that says which scene a row is of, as a code.
        codes: [s] the codes that have a shift of their own, rising; others have none.
        shifts: [s] what is added to the calibrated log odds.

    Examples:
        >>> by_scene = SceneCalibration(LogisticCalibration(), "scene", np.array([0.0, 1.0]), np.array([0.0, np.log(3)]))
        >>> by_scene.probability(np.zeros(3), np.array([0.0, 1.0, np.nan])).round(3).tolist()
        [0.5, 0.75, 0.5]
    """

    within: Calibration
    column: str
    codes: FloatArray
    shifts: FloatArray
    kind: ClassVar[str] = "per_scene"

    @property
    def by(self) -> str:
        """The feature that says which scene a row is of."""
        return self.column

    def probability(self, log_odds: FloatArray, group: FloatArray | None = None) -> FloatArray:
        """[n] the calibrated probability of each log odds [n] in its scene ``group`` [n]."""
        p = self.within.probability(log_odds)
        if group is None:
            return p
        place = places(self.codes, group)
        shift = np.append(self.shifts, 0.0)[place]
        factor = np.exp(shift)  # of the odds: p / (1 - p) * factor
        return np.asarray(p * factor / (1 - p + p * factor))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The shifts, and the numbers of the calibration for all."""
        return {"scenes": np.stack([self.codes, self.shifts]), **self.within.arrays()}

    def meta(self) -> dict[str, Any]:
        """The column, and the kind of the calibration for all."""
        return {"kind": self.kind, "column": self.column, "within": self.within.meta()}


def calibration_from(state: ModelState, prefix: str, meta: Any) -> Calibration:
    """The calibration whose :meth:`Calibration.arrays` stand in ``state`` behind ``prefix``.

    Args:
        state: of the model.
        prefix: of the names of the arrays.
        meta: what :meth:`Calibration.meta` gave.

    Raises:
        ArtifactError: the kind is unknown, an array is missing, of another shape, or not rising where it has to.
    """
    kind = meta.get("kind") if isinstance(meta, Mapping) else None
    if kind == LogisticCalibration.kind:
        return LogisticCalibration(*state.array(prefix + "line", (2,)).tolist())
    if kind == BetaCalibration.kind:
        return BetaCalibration(*state.array(prefix + "beta", (3,)).tolist())
    if kind == IsotonicCalibration.kind:
        x, y = state.array(prefix + "points", (2, None))
        _require(len(x) > 0 and (np.diff(x) >= 0).all() and (y >= 0).all() and (y <= 1).all(), prefix + "points")
        return IsotonicCalibration(x, y)
    if kind == SceneCalibration.kind and isinstance(meta.get("column"), str):
        codes, shifts = state.array(prefix + "scenes", (2, None))
        _require(bool((np.diff(codes) > 0).all()), prefix + "scenes")
        return SceneCalibration(calibration_from(state, prefix, meta["within"]), meta["column"], codes, shifts)
    raise ArtifactError(f"model state '{state.kind}': calibration '{prefix}' is of an unknown kind: {kind!r}.")


def _require(holds: bool, name: str) -> None:
    if not holds:
        raise ArtifactError(f"calibration: array '{name}' is damaged: it does not rise, or is no probability.")


def tails(log_odds: FloatArray) -> FloatArray:
    """[n, 2] ``ln q`` and ``-ln(1 - q)`` of ``q = sigmoid(log_odds)``."""
    return np.stack([-np.logaddexp(0.0, -log_odds), np.logaddexp(0.0, log_odds)], axis=1)


def places(codes: FloatArray, group: FloatArray) -> npt.NDArray[np.intp]:
    """[n] where each group stands among the codes [s]; s where it does not."""
    if not len(codes):
        return np.zeros(len(group), dtype=np.intp)
    place = np.minimum(np.searchsorted(codes, group), len(codes) - 1)
    return np.where(codes[place] == group, place, len(codes))
