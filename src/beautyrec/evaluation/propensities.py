"""Chances of the logging policy where a log does not simply have them: several policies pooled, or none recorded.

For slates there are two models of what the policy did. `EstimatedPropensities.of_slates` asks nothing of the policy: one
multinomial regression a position, so it gives the chance of each item at each position, and no more. `EstimatedDraws` takes it
to draw without replacement by scores that are linear in features of the items (as all policies of this package do, but for
the features); then everything follows from it, the chances given the items above included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from beautyrec.errors import EvaluationError, MissingExtraError
from beautyrec.evaluation.evidence import check_chances
from beautyrec.evaluation.folds import deal
from beautyrec.types import BoolArray, FloatArray, IntArray


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

    def of_slates(
        self, features: FloatArray, shown: IntArray, actions: int, cluster: npt.NDArray[Any] | None = None
    ) -> FloatArray:
        """[B, K, A] chance of every action at every position, whatever stands above it: one model a position.

        `at_shown` picks those of what was shown. Slates that end above a position have no part in its model and get 0.

        Args:
            features: [B, d] what the logging policy may have looked at.
            shown: [B, K] actions, -1 where a slate is shorter.
            actions: A.
            cluster: [B]; every slate if None.

        Raises:
            EvaluationError: as `of`, for the slates that reach a position.
            MissingExtraError: scikit-learn is not installed.
        """
        who = np.arange(len(shown)) if cluster is None else np.asarray(cluster)
        chances = np.zeros((*shown.shape, actions))
        for position, action in enumerate(shown.T):
            there = action >= 0
            chances[there, position] = self.of(features[there], action[there], actions, who[there])
        return chances

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


def at_shown(chances: FloatArray, shown: IntArray) -> FloatArray:
    """[B, K, K] chance of each shown item [b, j] to stand at each position [.., l]; 0 where nothing was shown.

    The diagonal is what `SlateEvidence.of` takes, the whole what `beautyrec.evaluation.examination` takes.

    Args:
        chances: [B, K, A] as of `EstimatedPropensities.of_slates`.
        shown: [B, K] actions, -1 where a slate is shorter.

    Examples:
        >>> at_shown(np.array([[[0.2, 0.8], [0.7, 0.3]]]), np.array([[1, 0]])).tolist()
        [[[0.8, 0.3], [0.2, 0.7]]]
    """
    picked = np.take_along_axis(chances, np.maximum(shown, 0)[:, None, :], axis=2)
    everywhere: FloatArray = np.where(shown[:, :, None] >= 0, picked.transpose(0, 2, 1), 0.0)
    return everywhere


@dataclass(frozen=True)
class EstimatedDraws:
    """A model of a logging policy that draws slates without replacement, cross-fitted.

    The next item is j with chance ``exp(x_j b) / sum exp(x_i b)`` over those of the shelf that do not stand yet (the exploded
    logit: Chapman and Staelin 1982, "Exploiting rank ordered choice set data within the stochastic utility model"). ``b``
    has the largest likelihood of all positions of the other clusters' slates, less a ridge penalty; found by Newton's steps.

    It is right if ``x`` holds what the policy scored by, up to a linear function; a constant an item may be among them. Say
    so with the result: `HeldRooms.of` marks what is made of it, else ``replace(evidence, estimated=True)``.

    Args:
        folds: parts that clusters are dealt to, at least 2.
        penalty: inverse strength of the ridge penalty on standardised features, above 0.
        seed: of the dealing.

    Raises:
        EvaluationError: penalty out of range.
    """

    folds: int = 5
    penalty: float = 100.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.penalty > 0:
            raise EvaluationError(f"penalty is {self.penalty}; it must be above 0.")

    def of(
        self, features: FloatArray, shelf: BoolArray, shown: IntArray, cluster: npt.NDArray[Any] | None = None
    ) -> FloatArray:
        """[B, C] chances of each item to be drawn first, 0 beyond the shelf, from slates of other clusters.

        Args:
            features: [B, C, d] of each item on the shelf of each request; not read beyond it.
            shelf: [B, C] true where there is an item.
            shown: [B, K] columns of the shelf, -1 where a slate is shorter.
            cluster: [B]; every slate if None.

        Raises:
            EvaluationError: shapes that do not fit, features that are not finite, an item shown that is not on the shelf, or
                fewer clusters than folds.
        """
        x = _standardised(features, shelf, shown)
        fold = deal(np.arange(len(shown)) if cluster is None else cluster, self.folds, self.seed)
        chances = np.zeros(shelf.shape)
        for part in range(self.folds):
            fitted = _largest_likelihood(x[fold != part], shelf[fold != part], shown[fold != part], 1 / self.penalty)
            chances[fold == part] = _softmax(x[fold == part] @ fitted, shelf[fold == part])
        return chances


def _standardised(features: FloatArray, shelf: BoolArray, shown: IntArray) -> FloatArray:
    """[B, C, d] features of mean 0 and spread 1 over all shelves, 0 beyond them; checks all three."""
    if features.ndim != 3 or features.shape[:2] != shelf.shape or len(shown) != len(shelf):
        raise EvaluationError(
            f"features {features.shape}, shelf {shelf.shape} and shown {shown.shape} must be [B, C, d], [B, C] and [B, K]."
        )
    rows = features[shelf]
    if not np.isfinite(rows).all():
        wrong = int((~np.isfinite(rows).all(axis=1)).sum())
        raise EvaluationError(f"features of {wrong} of {len(rows)} items on shelves are not finite. Fill them in.")
    off = (shown >= 0) & ~np.take_along_axis(shelf, np.clip(shown, 0, shelf.shape[1] - 1), axis=1)
    if off.any() or shown.max(initial=-1) >= shelf.shape[1]:
        raise EvaluationError(
            f"{max(int(off.sum()), 1)} of {shown.size} shown items are not on their shelf; the first is in row "
            f"{int((off | (shown >= shelf.shape[1])).any(axis=1).argmax())}."
        )
    spread = rows.std(axis=0)
    return np.where(shelf[:, :, None], (features - rows.mean(axis=0)) / np.where(spread > 0, spread, 1.0), 0.0)


def _softmax(logits: FloatArray, there: BoolArray) -> FloatArray:
    """[n, C] shares of exp(logits) among those that are there."""
    open_logits = np.where(there, logits, -np.inf)
    raised = np.exp(open_logits - open_logits.max(axis=1, keepdims=True))
    shares: FloatArray = raised / raised.sum(axis=1, keepdims=True)
    return shares


def _largest_likelihood(x: FloatArray, shelf: BoolArray, shown: IntArray, ridge: float) -> FloatArray:
    """[d] coefficients, by Newton's method with steps halved until the likelihood rises; it is concave."""
    found = np.zeros(x.shape[2])
    value, slope, curvature = _likelihood(x, shelf, shown, found, ridge)
    for _ in range(30):
        step = np.linalg.solve(curvature, slope)
        if float(np.abs(step).max(initial=0.0)) < 1e-8:
            break
        for _ in range(30):
            fresh = _likelihood(x, shelf, shown, found + step, ridge)
            if fresh[0] >= value:
                break
            step = step / 2
        found = found + step
        value, slope, curvature = fresh
    return found


def _likelihood(
    x: FloatArray, shelf: BoolArray, shown: IntArray, at: FloatArray, ridge: float
) -> tuple[float, FloatArray, FloatArray]:
    """The penalised logarithm of the likelihood, its gradient [d] and its negative second derivatives [d, d]."""
    value, slope, curvature = -ridge * float(at @ at) / 2, -ridge * at, ridge * np.eye(len(at))
    logits, left = x @ at, shelf.copy()
    for column in shown.T:
        row = np.flatnonzero(column >= 0)
        item = column[row]
        share, seen = _softmax(logits[row], left[row]), x[row]
        mean = np.einsum("nc,ncd->nd", share, seen)
        value += float(np.log(np.maximum(share[np.arange(len(row)), item], 1e-300)).sum())
        slope = slope + (seen[np.arange(len(row)), item] - mean).sum(axis=0)
        curvature = curvature + np.einsum("ncd,nce->de", share[:, :, None] * seen, seen, optimize=True) - mean.T @ mean
        left[row, item] = False
    return value, slope, curvature
