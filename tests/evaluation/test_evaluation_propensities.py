import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.bandit_log import BanditLog
from beautyrec.evaluation.estimate import Verdict
from beautyrec.evaluation.evidence import Outcomes
from beautyrec.evaluation.lift import lifts
from beautyrec.evaluation.off_policy import IPS, SNIPS, per_row
from beautyrec.evaluation.propensities import EstimatedPropensities, balanced


def simplex(rng, shape):
    chances = rng.uniform(0.05, 1, size=shape)
    return chances / chances.sum(axis=-1, keepdims=True)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_balanced_weights_are_unbiased_for_the_pool(seed):
    """Enumerated: every policy serves its share of the rounds, every action comes with its chance."""
    rng = np.random.default_rng(seed)
    policies, actions = 3, 4
    rounds = rng.integers(1, 5, policies)
    chances, rate, target = simplex(rng, (policies, actions)), rng.random(actions), simplex(rng, (1, actions))[0]
    policy = np.repeat(np.arange(policies), rounds)
    mixture = balanced(np.broadcast_to(chances[:, None], (policies, len(policy), actions)), policy)
    weight = target / mixture
    value = np.mean([chances[j] @ (w * rate) for j, w in zip(policy, weight, strict=True)])
    assert value == pytest.approx(target @ rate, rel=1e-12)


def test_balanced_weights_vary_less_than_those_of_each_rounds_own_policy():
    rng = np.random.default_rng(0)
    chances = np.array([[0.9, 0.05, 0.05], [0.05, 0.05, 0.9]])
    policy = rng.integers(0, 2, 4000)
    action = (chances[policy].cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    shown = chances[:, action]
    target = np.full(4000, 1 / 3)
    own, pooled = target / shown[policy, np.arange(4000)], target / balanced(shown, policy)
    assert pooled.std() < 0.8 * own.std()
    assert pooled.mean() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("chances", "policy", "what"),
    [
        (np.full((2, 3), 0.5), np.array([0, 1, 2]), "there are 2"),
        (np.full((2, 3), 0.5), np.array([0, 1]), "must be"),
        (np.full((2, 3), 1.5), np.array([0, 1, 1]), "outside"),
        (np.array([[0.0, 0.5], [0.5, 0.5]]), np.array([0, 1]), "own policy"),
    ],
)
def test_pools_that_cannot_be_are_named_errors(chances, policy, what):
    with pytest.raises(EvaluationError, match=what):
        balanced(chances, policy)


def confounded(seed=0, n=6000):
    """A log whose policy and outcome both follow a feature, and a target that does not."""
    rng = np.random.default_rng(seed)
    feature = rng.normal(size=(n, 1))
    logits = feature * np.array([[-1.0, 0.0, 1.0]])
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    action = (chances.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    rate = 1 / (1 + np.exp(-(feature[:, 0] + np.array([0.0, 0.3, -0.3])[action])))
    clicked = (rng.random(n) < rate).astype(float)
    return feature, chances, action, clicked


def test_estimated_chances_do_what_recorded_ones_do():
    feature, chances, action, clicked = confounded()
    found = EstimatedPropensities().of(feature, action, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert np.abs(found - chances).mean() < 0.02
    target = np.tile([0.0, 1.0, 0.0], (len(action), 1))
    values = [
        per_row(SNIPS(), BanditLog(action, Outcomes(clicked), each).evidence(target), "clicked").mean()
        for each in (found, chances, np.full_like(chances, 1 / 3))
    ]
    assert values[0] == pytest.approx(values[1], abs=0.02)
    overall = BanditLog(action, Outcomes(clicked), chances).evidence(target)
    assert per_row(IPS(), overall, "clicked").mean() == pytest.approx(values[0], abs=0.05)


def test_a_round_is_not_used_for_its_own_chances():
    rng = np.random.default_rng(0)
    feature, action = np.eye(40), rng.integers(0, 2, 40)  # every round could be learnt by heart
    found = EstimatedPropensities(penalty=100.0, folds=4).of(feature, action, 2)
    assert np.abs(found[np.arange(40), action] - 0.5).mean() < 0.25


def test_every_lift_says_that_chances_are_estimated():
    feature, _, action, clicked = confounded()
    log = BanditLog(action, Outcomes(clicked), EstimatedPropensities().of(feature, action, 3), estimated=True)
    for lift in lifts(log.evidence(np.full((len(action), 3), 1 / 3))):
        assert lift.verdict is not Verdict.TRUST
        assert any("estimated" in reason for reason in lift.reasons)


def test_an_action_that_a_fold_never_saw_keeps_a_small_chance():
    action = np.array([0] * 19 + [1])
    found = EstimatedPropensities(folds=2).of(np.zeros((20, 1)), action, 3)
    assert (found > 0).all()
    assert found[:, 2].max() < 1e-3


@pytest.mark.parametrize("make", [lambda: EstimatedPropensities(penalty=0), lambda: EstimatedPropensities(least=0.5)])
def test_settings_out_of_range_are_named(make):
    with pytest.raises(EvaluationError, match="penalty"):
        make()


def test_features_that_do_not_fit_are_named():
    with pytest.raises(EvaluationError, match="finite numbers"):
        EstimatedPropensities().of(np.full((3, 1), np.nan), np.zeros(3, dtype=int), 2)
    with pytest.raises(EvaluationError, match="A is 2"):
        EstimatedPropensities().of(np.zeros((3, 1)), np.array([0, 1, 2]), 2)
