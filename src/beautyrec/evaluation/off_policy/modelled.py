"""Estimators that lean on a model of the outcomes, and correct it by what was seen.

``q`` is what a model expects of what was shown, ``E_target[q]`` what it expects under the target policy. The model must not
have seen the outcomes that it is used for (cross-fitting).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import SlateEvidence
from beautyrec.evaluation.off_policy.base import PositionValues, expected
from beautyrec.evaluation.off_policy.weighted import group_weight
from beautyrec.types import FloatArray


@dataclass(frozen=True)
class DM:
    """Direct method, ``E_target[q]``: what the model says, uncorrected.

    No weights, hence little variance; right only where the model is.
    """

    name: ClassVar[str] = "dm"

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``E_target[q]`` for each impression."""
        _, under_target = expected(evidence, outcome, "DM")
        return PositionValues(under_target, np.zeros_like(under_target))


@dataclass(frozen=True)
class DR:
    """Doubly robust, ``E_target[q] + w (y - q)`` (Dudik, Langford and Li 2011), position by position.

    Unbiased for any ``q`` that did not see the outcome, and the better the model, the less the weights matter.
    """

    name: ClassVar[str] = "dr"

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``E_target[q]`` and ``w (y - q)`` for each impression."""
        return _corrected(evidence, outcome, evidence.weight, "DR")


@dataclass(frozen=True)
class SNDR:
    """Self-normalised doubly robust, ``E_target[q] + sum w (y - q) / sum w`` (Thomas and Brunskill 2016, weighted DR).

    Bias of order 1/n; less noise than `DR` where the model is off by about the same everywhere.
    """

    name: ClassVar[str] = "sndr"

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``E_target[q]`` and ``w (y - q)``, the second to be divided by the mean weight."""
        values = _corrected(evidence, outcome, evidence.weight, "SNDR")
        return values._replace(divisor=evidence.weight * evidence.shown)


@dataclass(frozen=True)
class SwitchDR:
    """Doubly robust where weights are at most a limit, the model alone beyond.

    ``E_target[q] + w 1[w <= limit] (y - q)`` (Wang, Agarwal and Dudik 2017, "Optimal and adaptive off-policy evaluation in
    contextual bandits"). Biased by the model's error where weights are large.

    Args:
        limit: largest weight that still corrects, at least 0; infinity for `DR`, 0 for `DM`.

    Raises:
        EvaluationError: the limit is below 0.
    """

    limit: float
    name: ClassVar[str] = "switch_dr"

    def __post_init__(self) -> None:
        if not self.limit >= 0:
            raise EvaluationError(f"limit is {self.limit}; it must be at least 0.")

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``E_target[q]`` and ``w 1[w <= limit] (y - q)`` for each impression."""
        weight = np.where(evidence.weight <= self.limit, evidence.weight, 0.0)
        return _corrected(evidence, outcome, weight, "SwitchDR")


@dataclass(frozen=True)
class ShrunkDR:
    """Doubly robust with optimistic shrinkage, ``w' = lambda w / (w^2 + lambda)`` in place of ``w``.

    Su, Dimakopoulou, Krishnamurthy and Dudik 2020 ("Doubly robust off-policy evaluation with shrinkage"). Weights far
    below ``sqrt(lambda)`` stay as they are, far above it they fall to 0.

    Args:
        strength: lambda, at least 0; infinity for `DR`, 0 for `DM`.

    Raises:
        EvaluationError: the strength is below 0.
    """

    strength: float
    name: ClassVar[str] = "shrunk_dr"

    def __post_init__(self) -> None:
        if not self.strength >= 0:
            raise EvaluationError(f"strength is {self.strength}; it must be at least 0.")

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``E_target[q]`` and ``w' (y - q)`` for each impression."""
        w = evidence.weight
        if np.isfinite(self.strength):
            w = self.strength * w / np.where(w > 0, w**2 + self.strength, 1.0)
        return _corrected(evidence, outcome, w, "ShrunkDR")


@dataclass(frozen=True)
class SubGaussianDR:
    """Doubly robust with sub-Gaussian weights, ``w / (1 - lambda + lambda w)`` in place of ``w``.

    Metelli, Russo and Restelli 2021 ("Subgaussian and differentiable importance sampling"). The harmonic mean of
    ``w`` and 1 with share lambda; weights stay below ``1 / lambda``.

    Args:
        share: lambda in [0, 1]; 0 for `DR`, 1 for weights of 1.

    Raises:
        EvaluationError: the share is outside [0, 1].
    """

    share: float
    name: ClassVar[str] = "sub_gaussian_dr"

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise EvaluationError(f"share is {self.share}; it must be in [0, 1].")

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``E_target[q]`` and ``w / (1 - lambda + lambda w) (y - q)`` for each impression."""
        below = 1 - self.share + self.share * evidence.weight
        weight = evidence.weight / np.where(evidence.weight > 0, below, 1.0)
        return _corrected(evidence, outcome, weight, "SubGaussianDR")


@dataclass(frozen=True)
class OffCEM:
    """Doubly robust with weights of groups, for large catalogues, ``E_target[q] + w(group) (y - q)``.

    Saito, Ren and Joachims 2023 ("Off-policy evaluation for large action spaces via conjunct effect modeling").
    Unbiased if ``q`` has the differences between items of one group right; what it has wrong for a whole group is
    corrected. Asks less than `MIPS`, which needs items of one group to be alike.
    """

    name: ClassVar[str] = "offcem"

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``E_target[q]`` and ``w(group) (y - q)`` for each impression."""
        return _corrected(evidence, outcome, group_weight(evidence, "offcem"), "OffCEM")


def _corrected(evidence: SlateEvidence, outcome: str, weight: FloatArray, who: str) -> PositionValues:
    """The model's value under the target, and its errors on what was shown times ``weight``."""
    logged, under_target = expected(evidence, outcome, who)
    return PositionValues(under_target, weight * (evidence.outcomes.of(outcome) - logged) * evidence.shown)
