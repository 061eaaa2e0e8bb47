"""What every off-policy estimator is: a name and the worth of each impression under the target policy."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import SlateEvidence
from beautyrec.types import FloatArray


class PositionValues(NamedTuple):
    """The worth of each impression: ``plain + weighted / (mean divisor)``, without the divisor if it is None."""

    plain: FloatArray
    """[B, K] the part that holds no weight."""
    weighted: FloatArray
    """[B, K] the part that is a weight times something."""
    divisor: FloatArray | None = None
    """[B, K] what a self-normalised estimator divides by on average, its weights as a rule; 0 where nothing was shown."""


class Estimator(Protocol):
    """A way to value impressions under the target policy."""

    @property
    def name(self) -> str:
        """Its short name in tables."""
        ...

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """The worth of each impression for one outcome; zeros where nothing was shown."""
        ...


def per_row(estimator: Estimator, evidence: SlateEvidence, outcome: str) -> FloatArray:
    """[B] values of rows whose sum over the impressions is the estimate and whose spread is its error.

    Without a divisor they are the sums of ``plain + weighted`` over a row. With one, ``R = sum weighted / sum divisor``
    is made linear around itself: a row gets ``plain + R shown + (weighted - R divisor) / mean divisor``.

    Args:
        estimator: any.
        evidence: the log.
        outcome: one of its outcomes.

    Examples:
        >>> from beautyrec.evaluation.evidence import impressions
        >>> from beautyrec.evaluation.off_policy import IPS
        >>> log = impressions(target=np.array([0.5, 0.5]), logging=np.array([0.25, 0.5]), clicked=np.array([1, 1]))
        >>> per_row(IPS(), log, "clicked").tolist()
        [2.0, 1.0]
    """
    values = estimator.per_position(evidence, outcome)
    if values.divisor is None:
        plain: FloatArray = (values.plain + values.weighted).sum(axis=1)
        return plain
    shown = evidence.shown.sum(axis=1).astype(np.float64)
    divisor = values.divisor.sum(axis=1)
    total = float(divisor.sum())
    if total <= 0:
        raise EvaluationError(
            f"{estimator.name}: all {len(divisor)} weights are 0; the target shows nothing of what was logged."
        )
    ratio = float(values.weighted.sum()) / total
    spread = (values.weighted.sum(axis=1) - ratio * divisor) * (float(shown.sum()) / total)
    linear: FloatArray = values.plain.sum(axis=1) + ratio * shown + spread
    return linear


def expected(evidence: SlateEvidence, outcome: str, who: str) -> tuple[FloatArray, FloatArray]:
    """[B, K] expected outcomes of what was shown and under the target policy; 0 where nothing was shown.

    Args:
        evidence: the log.
        outcome: one of its outcomes.
        who: the estimator that asks, for the message.

    Raises:
        EvaluationError: the evidence has no model of the outcomes.
    """
    if evidence.expected_logged is None or evidence.expected_target is None:
        raise EvaluationError(f"{who} needs expected outcomes: pass `expected`, or leave {who} out of the estimators.")
    shown = evidence.shown
    return evidence.expected_logged.of(outcome) * shown, evidence.expected_target.of(outcome) * shown
