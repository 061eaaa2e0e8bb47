import numpy as np
import pytest

from benchmarks import _bandit_worlds as worlds
from benchmarks import ope_accuracy


@pytest.fixture(scope="module")
def synthetic():
    return worlds.synthetic(0)


def test_a_synthetic_world_is_the_published_one(synthetic):
    n, actions = synthetic.logging.shape
    assert (n, actions) == (10_000, 30)
    np.testing.assert_allclose(synthetic.logging.sum(axis=1), 1)
    np.testing.assert_allclose(synthetic.target.sum(axis=1), 1)
    assert set(np.unique(synthetic.reward)) == {0.0, 1.0}
    # it is what the weighted mean of the rewards tends to
    weight = (synthetic.target / synthetic.logging)[np.arange(n), synthetic.action]
    assert (weight * synthetic.reward).mean() == pytest.approx(synthetic.truth, abs=5 / n**0.5)


def test_actions_are_drawn_with_their_chances():
    chances = np.tile([0.2, 0.5, 0.3], (20_000, 1))
    share = np.bincount(worlds.draw(chances, 0)) / 20_000
    np.testing.assert_allclose(share, [0.2, 0.5, 0.3], atol=0.015)


def test_estimators_never_see_the_truth(synthetic):
    other = worlds.World(**(vars(synthetic) | {"truth": 2 * synthetic.truth}))
    ours, theirs = ope_accuracy.errors(synthetic), ope_accuracy.errors(other)
    for name, error in ours.items():
        values = {synthetic.truth * (1 + sign * error) for sign in (1, -1)}
        assert any(abs(value / other.truth - 1) == pytest.approx(theirs[name]) for value in values)


def test_spread_is_mean_and_standard_error():
    assert ope_accuracy.spread([{"a": 1.0}, {"a": 3.0}]) == {"a": (2.0, 1.0)}
