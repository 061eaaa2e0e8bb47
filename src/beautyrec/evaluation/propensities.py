"""Chances of the logging policy where a log does not simply have them: several policies pooled, or none recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from beautyrec.errors import EvaluationError, MissingExtraError
from beautyrec.evaluation.evidence import check_chances
from beautyrec.evaluation.folds import deal
from beautyrec.types import FloatArray, IntArray


def balanced(chances: FloatArray, policy: IntArray) -> FloatArray:
    """[n] or [n, A] logging chances of a log that several policies wrote together: their mixture.

    ``sum over j of (n_j / n) p_j``, with ``n_j`` the rounds of policy j (the balance heuristic: Veach and Guibas 1995;
    Agarwal, Basu, Schnabel and Joachims 2017, "Effective evaluation using logged bandit feedback from multiple loggers").
    Weights by the mixture are bounded where any of the policies would have shown the item, and values vary no more than with each
    round's own policy. Right where rounds are alike, whichever policy served them.

    Args:
        chances: [J, n] of what was shown, or [J, n, A] of all actions, under each of the J policies.
        policy: [n] which of them served the round.

    Raises:
        EvaluationError: shapes that do not fit, a policy out of range, or chances outside [0, 1]; or what was shown was
            impossible under the policy that showed it.

    Examples:
        >>> balanced(np.array([[0.5, 0.5], [0.1, 0.3]]), np.array([0, 1])).tolist()
        [0.3, 0.4]
    """
    policies, n = chances.shape[:2]
    if chances.ndim not in (2, 3) or policy.shape != (n,):
        raise EvaluationError(
            f"chances {chances.shape} and policy {policy.shape} must be [J, n] or [J, n, A], and [n]."
        )
    if policy.min() < 0 or policy.max() >= policies:
        raise EvaluationError(f"policy is from {policy.min()} to {policy.max()}; there are {policies} of them.")
    flat = chances.reshape(policies, -1)
    check_chances("chances", flat, "[0, 1]", (flat >= 0) & (flat <= 1 + 1e-9))
    if chances.ndim == 2:
        own = chances[policy, np.arange(n)]
        check_chances("chances under the round's own policy", own[:, None], "(0, 1]", (own > 0)[:, None])
    share = np.bincount(policy, minlength=policies) / n
    mixture: FloatArray = np.tensordot(share, chances, axes=1)
    return mixture


@dataclass(frozen=True)
class EstimatedPropensities:
    """A model of what the logging policy did, for logs that do not say: multinomial logistic regression, cross-fitted.

    It needs all that the policy looked at among the features; what is missing biases every value, and no number in the log
    shows it (`beautyrec.evaluation.sensitivity` says how much would matter). Say ``estimated=True`` to `BanditLog`, and every
    lift carries it as a reason for caution.

    Source: Hirano, Imbens and Ridder 2003 ("Efficient estimation of average treatment effects using the estimated
    propensity score"); cross-fitted as in Chernozhukov et al. 2018.

    Args:
        folds: parts that clusters are dealt to, at least 2.
        penalty: inverse strength of the ridge penalty on standardised features, above 0.
        least: chances below are raised to it, and rows rescaled.
        seed: of the dealing.

    Raises:
        EvaluationError: penalty or least out of range.
    """

    folds: int = 5
    penalty: float = 1.0
    least: float = 1e-4
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.penalty > 0 or not 0 < self.least < 0.1:
            raise EvaluationError(f"penalty is {self.penalty}, least {self.least}; above 0, and between 0 and 0.1.")

    def of(
        self, features: FloatArray, action: IntArray, actions: int, cluster: npt.NDArray[Any] | None = None
    ) -> FloatArray:
        """[n, A] chances of all actions in each round, from the rounds of other clusters.

        Args:
            features: [n, d] what the logging policy may have looked at.
            action: [n] what was shown, 0 to A - 1.
            actions: A.
            cluster: [n]; every round if None.

        Raises:
            EvaluationError: features that are not finite or of the wrong shape, or fewer clusters than folds.
            MissingExtraError: scikit-learn is not installed.
        """
        if features.ndim != 2 or len(features) != len(action) or not np.isfinite(features).all():
            raise EvaluationError(f"features must be finite numbers [n, d], n = {len(action)}; got {features.shape}.")
        if action.min() < 0 or action.max() >= actions:
            raise EvaluationError(f"action is from {action.min()} to {action.max()}; A is {actions}.")
        scaled = (features - features.mean(axis=0)) / np.where(features.std(axis=0) > 0, features.std(axis=0), 1.0)
        fold = deal(np.arange(len(action)) if cluster is None else cluster, self.folds, self.seed)
        chances = np.zeros((len(action), actions))
        for part in range(self.folds):
            chances[fold == part] = self._fitted(scaled, action, fold != part, actions)[fold == part]
        chances = np.maximum(chances, self.least)
        summed: FloatArray = chances / chances.sum(axis=1, keepdims=True)
        return summed

    def _fitted(self, features: FloatArray, action: IntArray, train: npt.NDArray[np.bool_], actions: int) -> FloatArray:
        """[n, A] chances of all rounds from a model of the rounds in ``train``."""
        try:
            from sklearn.linear_model import LogisticRegression
        except ImportError:
            raise MissingExtraError("scikit-learn", "train") from None
        chances = np.zeros((len(action), actions))
        seen = np.unique(action[train])
        if len(seen) == 1:
            chances[:, seen] = 1.0
            return chances
        model = LogisticRegression(C=self.penalty, max_iter=1000).fit(features[train], action[train])
        chances[:, model.classes_] = model.predict_proba(features)
        return chances
