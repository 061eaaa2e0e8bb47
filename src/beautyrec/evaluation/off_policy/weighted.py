"""Estimators that only weight what was seen: no model of the outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import SlateEvidence
from beautyrec.evaluation.off_policy.base import PositionValues
from beautyrec.types import FloatArray


@dataclass(frozen=True)
class IPS:
    """Inverse propensity weighting, ``w y`` (Horvitz and Thompson 1952).

    Unbiased; its variance grows with the largest weights, and with the level of the outcome.
    """

    name: ClassVar[str] = "ips"

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

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``w y`` for each impression, to be divided by the mean weight."""
        return IPS().per_position(evidence, outcome)._replace(divisor=evidence.weight * evidence.shown)


@dataclass(frozen=True)
class ClippedIPS:
    """Inverse propensity weighting with weights cut at a limit, ``min(w, limit) y``.

    Ionides 2008 ("Truncated importance sampling"), Bottou et al. 2013. Biased towards 0 by what the cut weights would
    have added; its variance is bounded by the limit.

    Args:
        limit: largest weight, above 0; infinity for plain weighting.

    Raises:
        EvaluationError: the limit is not above 0.
    """

    limit: float
    name: ClassVar[str] = "clipped_ips"

    def __post_init__(self) -> None:
        if not self.limit > 0:
            raise EvaluationError(f"limit is {self.limit}; the largest weight must be above 0.")

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``min(w, limit) y`` for each impression."""
        weighted = np.minimum(evidence.weight, self.limit) * evidence.outcomes.of(outcome) * evidence.shown
        return PositionValues(np.zeros_like(weighted), weighted)


@dataclass(frozen=True)
class Replay:
    """The mean outcome where the log happened to show what the target would have shown.

    Li, Chu, Langford and Wang 2011 ("Unbiased offline evaluation of contextual-bandit-based news article recommendation
    algorithms"). Right for a logging policy that draws uniformly and a target that is certain of its choice; then all
    weights above 0 are the same, and that is checked. For any other pair `SNIPS` is the same idea with the right
    weights.
    """

    name: ClassVar[str] = "replay"

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``y`` where the two agree, to be divided by how often they do.

        Raises:
            EvaluationError: weights above 0 differ, so one of the two policies is not what replay needs.
        """
        matched = (evidence.weight > 0) & evidence.shown
        weights = evidence.weight[matched]
        if len(weights) and np.ptp(weights) > 1e-6 * weights.max():
            raise EvaluationError(
                f"replay needs a uniform logging policy and a target that is certain of its choice, so one weight for all; "
                f"weights above 0 are from {weights.min():.3g} to {weights.max():.3g}. Use SNIPS."
            )
        agreed: FloatArray = matched.astype(np.float64)
        weighted = agreed * evidence.outcomes.of(outcome)
        return PositionValues(np.zeros_like(weighted), weighted, agreed)


@dataclass(frozen=True)
class MIPS:
    """Marginalised weighting for large catalogues, ``w(group) y``.

    The weight is the chance of the shown item's *group* under the target over that under the logging policy (Saito and
    Joachims 2022, "Off-policy evaluation for large action spaces via embeddings", with a discrete embedding).
    Unbiased if an item affects the outcome only through its group; weights are never more uneven than those of items.
    """

    name: ClassVar[str] = "mips"

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``w(group) y`` for each impression.

        Raises:
            EvaluationError: the evidence has no weights of groups.
        """
        weighted = group_weight(evidence, "mips") * evidence.outcomes.of(outcome)
        return PositionValues(np.zeros_like(weighted), weighted)


def group_weight(evidence: SlateEvidence, who: str) -> FloatArray:
    """[B, K] weights of the groups of what was shown, 0 where nothing was.

    Raises:
        EvaluationError: the evidence has none.
    """
    if evidence.group_weight is None:
        raise EvaluationError(f"{who} needs weights of groups: pass `group` to BanditLog, one a group for each item.")
    return evidence.group_weight * evidence.shown
