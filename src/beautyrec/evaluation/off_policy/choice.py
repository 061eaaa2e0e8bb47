"""Choosing a hyperparameter, or an estimator, from the log alone.

Two rules. `slope` is the published one. `least_error` takes the bias of a candidate from its *difference* to an unbiased
one on the same rows; that difference is far less noisy than either value, so a bias shows that two overlapping intervals
hide. On 80 synthetic and 60 digits logs made for development (none of them among those of ``benchmarks/ope_accuracy.py``)
DR erred by .0081 and .0234 of the value, DR with shrinkage chosen by `slope` by .0288 and .0483, chosen by `least_error`
by .0082 and .0221: hence the default.

An interval around a chosen estimate takes the choice as given, and does not know of a bias too small to be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import SlateEvidence
from beautyrec.evaluation.intervals import student_quantile
from beautyrec.evaluation.moments import Moments, cluster_sums
from beautyrec.evaluation.off_policy.base import Estimator, PositionValues, per_row
from beautyrec.evaluation.off_policy.modelled import DR, SNDR, ShrunkDR, SubGaussianDR, SwitchDR
from beautyrec.evaluation.off_policy.regressed import RegressedDR
from beautyrec.evaluation.off_policy.weighted import IPS, SNIPS, ClippedIPS
from beautyrec.types import FloatArray

Rule = Callable[[Moments, int], int]
"""From the moments of m candidates' values, of which the first ``unbiased`` are unbiased, the one to take."""

Candidates = Callable[[SlateEvidence], Sequence[Estimator]]
"""Estimators to choose from, for one log."""

_SLOPE = sqrt(6) - 1
_QUANTILES = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99)


def slope(values: Moments, unbiased: int = 1, *, confidence: float = 0.9) -> int:  # noqa: ARG001
    """SLOPE: the narrowest interval before the first that does not fit all wider ones (Lepski's principle).

    Candidates are taken by falling half-width ``c``. One is accepted while ``|v_i - v_j| <= c_i + (sqrt(6) - 1) c_j`` for
    all wider ``j``; the last accepted is chosen. Su, Srinath and Krishnamurthy 2020 ("Adaptive estimator selection for
    off-policy evaluation"); ordered by width instead of by an assumed bias, and with this constant, Tucker and Lee 2021
    ("Improved estimator selection for off-policy evaluation", SLOPE++).

    Args:
        values: moments of m candidates.
        unbiased: not used, since the widest is trusted; there so that it can stand where `least_error` does.
        confidence: of the two-sided intervals.

    Examples:
        >>> slope(Moments(100, np.array([1.0, 1.01, 3.0]), np.diag([4.0, 1.0, 0.25])), 1)
        1
    """
    width = np.sqrt(np.diag(values.covariance) / values.count)
    width *= student_quantile(0.5 + confidence / 2, max(values.count - 1, 1))
    chosen: list[int] = []
    for at in np.argsort(-width, kind="stable"):
        if any(abs(values.mean[at] - values.mean[j]) > width[at] + _SLOPE * width[j] for j in chosen):
            break
        chosen.append(int(at))
    return chosen[-1]


def least_error(values: Moments, unbiased: int) -> int:
    """The candidate with the least estimated mean squared error, ``variance + bias^2``.

    The unbiased one of least variance is the reference. Another's squared bias is bounded by ``d^2 + Var(d)`` with ``d`` its
    difference to the reference on the same clusters; without the second term, luck would be taken for lack of bias.

    Args:
        values: moments of m candidates.
        unbiased: how many of them, the first, are unbiased but for order 1/n.

    Examples:
        >>> least_error(Moments(100, np.array([1.0, 1.01, 3.0]), np.diag([4.0, 1.0, 0.25])), 2)
        1
    """
    variance = np.diag(values.covariance) / values.count
    reference = int(np.argmin(variance[:unbiased]))
    shared = values.covariance[reference] / values.count
    bias = (values.mean - values.mean[reference]) ** 2 + np.maximum(variance + variance[reference] - 2 * shared, 0.0)
    bias[:unbiased] = 0.0
    return int(np.argmin(variance + bias))


@dataclass(frozen=True)
class Chosen:
    """An estimator picked from several by what the log shows, for each outcome anew.

    Args:
        name: its name in tables.
        unbiased: estimators that need nothing but right propensities; at least one for each log.
        others: those that trade bias for variance.
        rule: `least_error` or `slope`.

    Examples:
        >>> from beautyrec.evaluation.evidence import impressions
        >>> log = impressions(target=np.full(50, 0.5), logging=np.full(50, 0.5), clicked=np.arange(50) % 2)
        >>> CLIPPED_IPS.pick(log, "clicked")
        IPS()
    """

    name: str
    unbiased: Candidates
    others: Candidates
    rule: Rule = least_error

    def pick(self, evidence: SlateEvidence, outcome: str) -> Estimator:
        """The estimator that the log speaks for.

        Raises:
            EvaluationError: no unbiased candidate, or a candidate cannot be computed.
        """
        unbiased = tuple(self.unbiased(evidence))
        if not unbiased:
            raise EvaluationError(f"{self.name}: there is no unbiased estimator to compare the others with.")
        candidates = (*unbiased, *self.others(evidence))
        rows = np.stack([per_row(candidate, evidence, outcome) for candidate in candidates], axis=1)
        return candidates[self.rule(Moments.of(cluster_sums(rows, evidence.cluster)), len(unbiased))]

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """The values of the one that was picked."""
        return self.pick(evidence, outcome).per_position(evidence, outcome)


def _limits(evidence: SlateEvidence) -> FloatArray:
    """Limits between the median weight and the largest."""
    weight = evidence.weight[evidence.shown & (evidence.weight > 0)]
    found: FloatArray = np.unique(np.quantile(weight, _QUANTILES)) if len(weight) else np.ones(1)
    return found


def clipped(evidence: SlateEvidence) -> list[ClippedIPS]:
    """`ClippedIPS` with limits at quantiles of the weights."""
    return [ClippedIPS(float(limit)) for limit in _limits(evidence)]


def switched(evidence: SlateEvidence) -> list[SwitchDR]:
    """`SwitchDR` with limits at quantiles of the weights."""
    return [SwitchDR(float(limit)) for limit in _limits(evidence)]


def shrunk(evidence: SlateEvidence) -> list[ShrunkDR]:
    """`ShrunkDR` with strengths from a hundredth to a hundred times the largest weight squared."""
    largest = float((evidence.weight * evidence.shown).max()) or 1.0
    return [ShrunkDR(largest**2 * factor) for factor in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)]


def sub_gaussian(_: SlateEvidence) -> list[SubGaussianDR]:
    """`SubGaussianDR` with shares from 0.001 to 1."""
    return [SubGaussianDR(share) for share in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)]


def consistent(evidence: SlateEvidence) -> list[Estimator]:
    """All that need only right propensities; those with a model where there is one."""
    plain: list[Estimator] = [IPS(), SNIPS()]
    if len(np.unique(evidence.cluster)) >= RegressedDR().folds:
        plain.append(RegressedDR())
    return plain if evidence.expected_logged is None else [*plain, DR(), SNDR()]


def biased(evidence: SlateEvidence) -> list[Estimator]:
    """All that trade bias for variance; those with a model where there is one."""
    if evidence.expected_logged is None:
        return [*clipped(evidence)]
    return [*clipped(evidence), *switched(evidence), *shrunk(evidence), *sub_gaussian(evidence)]


CLIPPED_IPS = Chosen("clipped_ips", lambda _: [IPS()], clipped)
SWITCH_DR = Chosen("switch_dr", lambda _: [DR()], switched)
SHRUNK_DR = Chosen("shrunk_dr", lambda _: [DR()], shrunk)
SUB_GAUSSIAN_DR = Chosen("sub_gaussian_dr", lambda _: [DR()], sub_gaussian)
AUTOMATIC = Chosen("automatic", consistent, biased)
"""The automatic choice: whichever estimator the log says errs least."""
