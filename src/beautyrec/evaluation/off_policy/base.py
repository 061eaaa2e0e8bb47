"""What every off-policy estimator is: a name and the worth of each impression under the target policy."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import SlateEvidence
from beautyrec.types import FloatArray, IntArray


class PositionValues(NamedTuple):
    """The worth of each impression: ``plain + weighted / (mean divisor)``, without the divisor if it is None."""

    plain: FloatArray
    """[B, K] the part that holds no weight."""
    weighted: FloatArray
    """[B, K] the part that is a weight times something."""
    divisor: FloatArray | None = None
    """[B, K] what a self-normalised estimator divides by on average, its weights as a rule; 0 where nothing was shown."""
    group: IntArray | None = None
    """[B, K] impressions of one number share a divisor, which then averages over them alone; all share one if None."""


class Estimator(Protocol):
    """A way to value impressions under the target policy."""

    @property
    def name(self) -> str:
        """Its short name in tables."""
        ...

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """The worth of each impression for one outcome; zeros where nothing was shown."""
        ...


@runtime_checkable
class ValuesBuyers(Protocol):
    """An estimator that also knows the worth of "the viewer orders anything"."""

    def buyers(self, evidence: SlateEvidence) -> PositionValues:
        """Values whose sum over a row's positions is that worth."""
        ...


@runtime_checkable
class OwnWeights(Protocol):
    """An estimator that does not weight by `SlateEvidence.weight`."""

    def weights(self, evidence: SlateEvidence) -> FloatArray:
        """[B, K] its weights, which average 1 if all is as it assumes."""
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
    group = np.zeros(values.weighted.shape, dtype=np.int64) if values.group is None else values.group
    weighted, divisor, shown = (
        np.bincount(group.ravel(), weights=part.ravel()) for part in (values.weighted, values.divisor, evidence.shown)
    )
    empty = (shown > 0) & (divisor <= 0)
    if empty.any():
        raise EvaluationError(
            f"{estimator.name}: all {int(shown[empty][0])} weights are 0; the target shows nothing of what was logged."
        )
    held = np.where(divisor > 0, divisor, 1.0)
    ratio, scale = (weighted / held)[group], (shown / held)[group]
    each = values.plain + ratio * evidence.shown + (values.weighted - ratio * values.divisor) * scale
    linear: FloatArray = each.sum(axis=1)
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
