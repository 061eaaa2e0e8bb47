"""Doubly robust values from a model that the log itself recalibrates for the least variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import Control, SlateEvidence
from beautyrec.evaluation.folds import deal
from beautyrec.evaluation.moments import cluster_sums
from beautyrec.evaluation.off_policy.base import PositionValues
from beautyrec.types import FloatArray


@dataclass(frozen=True)
class RegressedDR:
    """Doubly robust with ``g = b_0 + b_1 q + b_2 c_2 + ...`` in place of ``q``, ``E_target[g] + w (y - g)``.

    The coefficients minimise the variance of the estimate: least squares of the cluster's ``w y`` on its
    ``w c - E_target[c]``, which are 0 in expectation whatever the outcomes (control variates). ``c`` are 1, the model if
    there is one, and the evidence's `controls`: for a log of single items the target policy's chance of the item and the
    logarithm of the logging policy's, since both policies know something of the outcomes. Inverse propensity weighting
    (all b = 0), its form with the mean weight taken out (b_0) and `DR` (b_1 = 1) are special cases, so in a long log it is
    no worse than any of them.

    Coefficients are those of clusters in other folds, so the estimate is unbiased however wrong they are. It needs right
    propensities and some ten clusters a coefficient.

    Sources: Vlassis, Bibaut, Dimakopoulou and Jebara 2019 ("On the design of estimators for bandit off-policy
    evaluation"), Farajtabar, Chow and Ghavamzadeh 2018 ("More robust doubly robust off-policy evaluation"), for the
    idea to fit for the variance Cao, Tsiatis and Davidian 2009.

    Args:
        folds: parts that the clusters are dealt to, at least 2.
        seed: of the dealing.
    """

    folds: int = 5
    seed: int = 0
    name: ClassVar[str] = "regressed_dr"

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``E_target[g]`` and ``w (y - g)`` for each impression.

        Raises:
            EvaluationError: fewer clusters than folds.
        """
        controls = _controls(evidence, outcome)
        weighted = evidence.weight * evidence.outcomes.of(outcome) * evidence.shown
        surplus = [(evidence.weight * c.logged - c.target) * evidence.shown for c in controls]
        columns = np.stack([part.sum(axis=1) for part in (weighted, *surplus)], axis=1)
        fold = deal(evidence.cluster, self.folds, self.seed)
        coefficients = np.stack([_fit(columns, evidence, fold != part) for part in range(self.folds)])[fold]
        logged = _mixed([c.logged for c in controls], coefficients) * evidence.shown
        under_target = _mixed([c.target for c in controls], coefficients) * evidence.shown
        return PositionValues(under_target, weighted - evidence.weight * logged)


def _controls(evidence: SlateEvidence, outcome: str) -> list[Control]:
    """1, the model and the evidence's own, each with its mean under the target policy."""
    ones = np.ones_like(evidence.weight)
    controls = [Control(ones, ones), *evidence.controls]
    if evidence.expected_logged is not None and evidence.expected_target is not None:
        controls.append(Control(evidence.expected_logged.of(outcome), evidence.expected_target.of(outcome)))
    return controls


def _fit(columns: FloatArray, evidence: SlateEvidence, keep: np.ndarray) -> FloatArray:
    """[m] coefficients from the rows kept."""
    sums = cluster_sums(columns[keep], evidence.cluster[keep])
    found = np.linalg.lstsq(sums[:, 1:], sums[:, 0], rcond=None)[0]
    if not np.isfinite(found).all():
        raise EvaluationError("RegressedDR: the coefficients are not finite; look for huge weights.")
    return np.asarray(found, dtype=np.float64)


def _mixed(parts: list[FloatArray], coefficients: FloatArray) -> FloatArray:
    """[B, K] sum of the parts [B, K], each times its column of coefficients [B, m]."""
    total = np.zeros_like(parts[0])
    for column, part in enumerate(parts):
        total += coefficients[:, column, None] * part
    return total
