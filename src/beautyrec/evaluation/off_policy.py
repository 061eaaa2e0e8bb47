"""Off-policy estimators for slates: what each impression is worth under a policy that did not show it.

Each is one small frozen class with a pure ``per_position``. Sums, ratios, intervals and lift are made from these
values elsewhere, once for all estimators.

All of them use the *independent* form for slates: the weight of an impression is the chance of its item at its position
under the target policy over that under the logging policy, both marginal over whatever stands above (the item-position
model of Li et al. 2018, "Offline evaluation of ranking policies with click models"). It is unbiased if the outcome of
an impression depends on the viewer, the item and the position, and not on the other items of the slate. The ratio of
*conditional* propensities would not be: once the items above differ, it does not compare the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import SlateEvidence
from beautyrec.types import FloatArray


class PositionValues(NamedTuple):
    """The worth of each impression: ``plain + weighted / (mean weight)``, the divisor only if self-normalised."""

    plain: FloatArray
    """[B, K] the part that holds no weight."""
    weighted: FloatArray
    """[B, K] the part that is a weight times something."""


class Estimator(Protocol):
    """A way to value impressions under the target policy."""

    name: ClassVar[str]
    self_normalised: ClassVar[bool]

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """The worth of each impression for one outcome; zeros where nothing was shown."""
        ...


@dataclass(frozen=True)
class IPS:
    """Inverse propensity weighting, ``w y`` (Horvitz and Thompson 1952).

    Unbiased; its variance grows with the largest weights, and with the level of the outcome.
    """

    name: ClassVar[str] = "ips"
    self_normalised: ClassVar[bool] = False

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``w y`` for each impression."""
        weighted = evidence.weight * evidence.outcomes.of(outcome) * evidence.shown
        return PositionValues(np.zeros_like(weighted), weighted)


@dataclass(frozen=True)
class SNIPS:
    """Self-normalised inverse propensity weighting, ``sum w y / sum w`` (Swaminathan and Joachims 2015).

    The mean weight is 1 in expectation; dividing by the one that was seen takes out the noise that all outcomes share.
    Bias of order 1/n. The same divisor serves all positions.
    """

    name: ClassVar[str] = "snips"
    self_normalised: ClassVar[bool] = True

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``w y`` for each impression, to be divided by the mean weight."""
        return IPS().per_position(evidence, outcome)


@dataclass(frozen=True)
class DR:
    """Doubly robust, ``E_target[q] + w (y - q)`` (Dudik, Langford and Li 2011), position by position.

    ``q`` is a model's expected outcome. Unbiased for any ``q`` that did not see the outcome (so it is cross-fitted), and
    the better the model, the less the weights matter.
    """

    name: ClassVar[str] = "dr"
    self_normalised: ClassVar[bool] = False

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``E_target[q]`` and ``w (y - q)`` for each impression.

        Raises:
            EvaluationError: the evidence has no model of the outcomes.
        """
        if evidence.expected_logged is None or evidence.expected_target is None:
            raise EvaluationError("DR needs expected outcomes: pass `expected`, or leave DR out of the estimators.")
        error = evidence.outcomes.of(outcome) - evidence.expected_logged.of(outcome)
        plain = evidence.expected_target.of(outcome) * evidence.shown
        return PositionValues(plain, evidence.weight * error * evidence.shown)
