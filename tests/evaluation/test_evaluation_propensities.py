import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec import plackett_luce
from beautyrec.errors import EvaluationError
from beautyrec.evaluation.bandit_log import BanditLog
from beautyrec.evaluation.estimate import Verdict
from beautyrec.evaluation.evidence import Outcomes
from beautyrec.evaluation.lift import lifts
from beautyrec.evaluation.off_policy import IPS, SNIPS, per_row
from beautyrec.evaluation.propensities import EstimatedDraws, EstimatedPropensities, at_shown, balanced


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


def drawn_slates(seed=0, n=3000, c=6, k=3):
    """Slates drawn by scores linear in two features of the items, on shelves of different width."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, c, 2))
    shelf = np.arange(c) < rng.integers(2, c + 1, size=n)[:, None]
    raised = np.where(shelf, np.exp(features @ np.array([1.0, -0.5])), 0.0)
    chances = raised / raised.sum(axis=1, keepdims=True)
    return features, shelf, chances, plackett_luce.sample(chances, k, rng)


def test_estimated_draws_are_near_those_that_were_made():
    features, shelf, chances, shown = drawn_slates()
    found = EstimatedDraws().of(5 * features + 2, shelf, shown)  # any unit of a feature
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found[~shelf] == 0).all()
    assert np.abs(found - chances).mean() < 0.01
    first_only = EstimatedDraws().of(features, shelf, shown[:, :1])
    assert np.abs(found - chances).mean() < np.abs(first_only - chances).mean()


def test_draws_have_the_largest_likelihood():
    """The gradient is 0: the mean of what was chosen is what the model expects, over all of the other folds."""
    features, shelf, _, shown = drawn_slates(n=400)
    cluster = np.arange(400) % 2
    found = EstimatedDraws(folds=2, penalty=1e9).of(features, shelf, shown, cluster)
    with np.errstate(divide="ignore"):
        logits = np.log(
            found
        )  # of rows of cluster 0, from those of cluster 1; so make the coefficients from differences
    rows = np.flatnonzero((cluster == 0) & (shelf.sum(axis=1) >= 3))
    pairs = np.concatenate([features[rows, 1] - features[rows, 0], features[rows, 2] - features[rows, 0]])
    apart = np.concatenate([logits[rows, 1] - logits[rows, 0], logits[rows, 2] - logits[rows, 0]])
    coefficients = np.linalg.lstsq(pairs, apart, rcond=None)[0]
    slope = np.zeros(2)
    for row in np.flatnonzero(cluster == 1):
        left = list(np.flatnonzero(shelf[row]))
        for item in shown[row][shown[row] >= 0]:
            raised = np.exp(features[row, left] @ coefficients)
            slope += features[row, item] - raised @ features[row, left] / raised.sum()
            left.remove(item)
    assert np.abs(slope).max() < 1e-3


def test_a_cluster_has_no_part_in_its_own_draws():
    features, shelf, _, shown = drawn_slates(n=300)
    cluster = np.arange(300) // 3
    before = EstimatedDraws().of(features, shelf, shown, cluster)
    other = shown.copy()
    other[:3] = shown[:3, ::-1]
    short = (other[:3] < 0).any(axis=1)
    other[:3][short] = shown[:3][short]
    after = EstimatedDraws().of(features, shelf, other, cluster)
    np.testing.assert_array_equal(before[:3], after[:3])
    assert (before != after).any()


def test_chances_of_positions_are_near_the_marginals_of_the_policy():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 2, size=6000)
    chances = np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]])[group]
    shown = plackett_luce.sample(chances, 2, rng)
    found = EstimatedPropensities().of_slates(group[:, None].astype(float), shown, 4, cluster=np.arange(6000))
    everywhere = at_shown(found, shown)
    np.testing.assert_allclose(found.sum(axis=2), 1)
    assert np.abs(everywhere - plackett_luce.marginals_at_all_positions(chances, shown)).max() < 0.05
    shown[:100, 1] = -1
    short = EstimatedPropensities().of_slates(group[:, None].astype(float), shown, 4)
    assert (short[:100, 1] == 0).all()
    assert (at_shown(short, shown)[:100, 1] == 0).all()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"features": np.zeros((3, 4))}, "must be"),
        ({"features": np.full((3, 4, 1), np.nan)}, "features of 9 of 9 items on shelves are not finite"),
        ({"shown": np.array([[0], [1], [3]])}, "1 of 3 shown items are not on their shelf; the first is in row 2"),
        ({"shown": np.array([[0], [9], [0]])}, "not on their shelf; the first is in row 1"),
    ],
)
def test_shelves_that_cannot_be_are_named_errors(change, what):
    shelf = np.tile([True, True, True, False], (3, 1))
    arguments = {"features": np.zeros((3, 4, 1)), "shelf": shelf, "shown": np.zeros((3, 1), dtype=int)} | change
    with pytest.raises(EvaluationError, match=what):
        EstimatedDraws(folds=2).of(**arguments)


def test_a_penalty_out_of_range_is_named():
    with pytest.raises(EvaluationError, match="penalty"):
        EstimatedDraws(penalty=0)
