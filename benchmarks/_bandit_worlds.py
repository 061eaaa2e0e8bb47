"""The two settings in which Open Bandit Pipeline publishes the accuracy of its estimators, rebuilt from their description.

Learners, splits, seeds and cross-fitting are those of its examples ``multiclass`` and ``synthetic`` (release 0.5.2, which
printed the figures). Two of its choices are kept although they would not be ours: actions are drawn with the run's seed
over again for each batch, and the target of the synthetic setting is a softmax over predicted chances, so nearly uniform.
The release 0.5.7 that can be installed subtracts ``mean / std`` from the logits where 0.5.2 standardised them; its own
synthetic data are therefore others, and its estimators are given ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, train_test_split

from beautyrec.evaluation.bandit_log import BanditLog
from beautyrec.evaluation.evidence import Outcomes, SlateEvidence
from beautyrec.types import FloatArray, IntArray

MODEL_SEED = 12345
SMALL_TREES: dict[str, Any] = {"n_estimators": 30, "max_depth": 5, "min_samples_leaf": 10, "random_state": MODEL_SEED}
ROUNDS, ACTIONS, DIMENSIONS, INVERSE_TEMPERATURE = 10_000, 30, 5, -3.0


@dataclass(frozen=True, eq=False)
class World:
    """One log, a target policy, a cross-fitted model of the rewards, and the target's true value on these contexts."""

    action: IntArray
    reward: FloatArray
    logging: FloatArray
    target: FloatArray
    expected: FloatArray
    truth: float

    def evidence(self) -> SlateEvidence:
        """What the estimators get: everything but the truth."""
        log = BanditLog(self.action, Outcomes(self.reward), self.logging)
        return log.evidence(self.target, Outcomes(self.expected))


def logistic() -> LogisticRegression:
    return LogisticRegression(C=100, max_iter=10_000, random_state=MODEL_SEED)


def draw(chances: FloatArray, seed: int) -> IntArray:
    """[n] actions by inversion, one uniform number a round."""
    uniform = np.random.RandomState(seed).uniform(size=len(chances))
    return (chances.cumsum(axis=1) > uniform[:, None]).argmax(axis=1)


def cross_fitted(context: FloatArray, action: IntArray, reward: FloatArray, actions: int, model: Any) -> FloatArray:
    """[n, A] expected rewards from the other two of three folds; features are the context and the action one-hot."""
    one_hot = np.eye(actions)
    expected = np.zeros((len(context), actions))
    for train, test in KFold(3, shuffle=True, random_state=MODEL_SEED).split(context):
        model.fit(np.c_[context[train], one_hot[action[train]]], reward[train])
        for each in range(actions):
            rows = np.c_[context[test], np.tile(one_hot[each], (len(test), 1))]
            expected[test, each] = model.predict_proba(rows)[:, 1]
    return expected


def digits(seed: int) -> World:
    """Digits to bandit: an action is a label, the reward 1 where it is right."""
    images, labels = load_digits(return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(images, labels, test_size=0.7, random_state=seed)

    def policy(model: Any, share: float) -> FloatArray:
        chances = np.full((len(test), 10), (1 - share) / 10)
        chances[np.arange(len(test)), model.fit(train, train_labels).predict(test)] += share
        return chances

    logging = policy(logistic(), 0.4)
    target = policy(RandomForestClassifier(**SMALL_TREES), 0.9)
    action = draw(logging, seed)
    reward = (action == test_labels).astype(np.float64)
    model = GradientBoostingClassifier(learning_rate=0.01, **SMALL_TREES)
    expected = cross_fitted(test, action, reward, 10, model)
    return World(action, reward, logging, target, expected, float(target[np.arange(len(test)), test_labels].mean()))


def synthetic(seed: int) -> World:
    """Logistic rewards with an interaction of context and action; the logging policy prefers what is worse."""
    rng = np.random.RandomState(seed)
    context, chances, logging, action, reward = _batch(rng, seed)
    weight = reward / logging[np.arange(ROUNDS), action]
    learner = logistic().fit(context, action, sample_weight=weight)
    context, chances, logging, action, reward = _batch(rng, seed)
    target = _softmax(learner.predict_proba(context))
    expected = cross_fitted(context, action, reward, ACTIONS, logistic())
    return World(action, reward, logging, target, expected, float((target * chances).sum(axis=1).mean()))


def _batch(rng: Any, seed: int) -> tuple[FloatArray, FloatArray, FloatArray, IntArray, FloatArray]:
    """Context, chances of a reward, logging policy, actions and rewards of one log."""
    context = rng.normal(size=(ROUNDS, DIMENSIONS))
    coefficients = np.random.RandomState(seed)
    of_context, of_action = (coefficients.uniform(-1, 1, size=size + 1) for size in (DIMENSIONS, ACTIONS))
    of_both = coefficients.uniform(-1, 1, size=(DIMENSIONS + 1, ACTIONS + 1))
    left, right = np.c_[np.ones(ROUNDS), context], np.c_[np.ones(ACTIONS), np.eye(ACTIONS)]
    logits = (left @ of_context)[:, None] + right @ of_action + left @ of_both @ right.T
    chances = 1 / (1 + np.exp(-(logits - logits.mean()) / logits.std()))
    logging = _softmax(INVERSE_TEMPERATURE * chances)
    action = draw(logging, seed)
    reward = rng.binomial(1, chances[np.arange(ROUNDS), action]).astype(np.float64)
    return context, chances, logging, action, reward


def _softmax(values: FloatArray) -> FloatArray:
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)
