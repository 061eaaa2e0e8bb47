"""Thompson sampling against integrals, and its draws against one request at a time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import integrate, stats

from beautyrec.errors import PolicyError
from beautyrec.policies import bernoulli_ts
from beautyrec.policies.bernoulli_ts import BernoulliTS

POLICY = BernoulliTS(np.array([3.0, 5.0, 2.0]), np.array([10.0, 20.0, 4.0]))
DRAWS = 40_000


def chance_of(order: tuple[int, ...]) -> float:
    """The chance that draws come in just this order, largest first, by integration from the smallest up."""
    grid = np.linspace(0, 1, 4001)
    below = np.ones_like(grid)
    for item in reversed(order):
        density = stats.beta.pdf(grid, POLICY.alpha[item], POLICY.beta[item])
        below = integrate.cumulative_simpson(density * below, x=grid, initial=0)
    return float(below[-1])


def test_the_distribution_is_that_of_the_integrals():
    expected = np.zeros((3, 3))
    for order in itertools.permutations(range(3)):
        expected[list(order), range(3)] += chance_of(order)
    np.testing.assert_allclose(expected.sum(axis=0), 1, atol=1e-6)
    found = POLICY.action_distribution(3, DRAWS, rng=np.random.default_rng(1))
    error = np.sqrt(expected * (1 - expected) / DRAWS)
    assert (np.abs(found - expected) < 4 * error).all()
    np.testing.assert_allclose(found.sum(axis=0), 1)
    np.testing.assert_allclose(found.sum(axis=1), 1)  # all three are shown, somewhere


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState])
def test_draws_are_those_of_one_request_at_a_time_whatever_the_block(make, monkeypatch):
    rng, count = make(7), np.zeros((3, 2))
    for _ in range(50):
        order = np.argsort(-rng.beta(POLICY.alpha, POLICY.beta))[:2]
        count[order, [0, 1]] += 1
    for cells in (2**20, 12):
        monkeypatch.setattr(bernoulli_ts, "_CELLS", cells)
        np.testing.assert_array_equal(POLICY.action_distribution(2, 50, rng=make(7)), count / 50)


def test_beliefs_follow_what_was_seen():
    after = POLICY.updated(np.array([0, 0, 2, 0]), np.array([1, 0, 0, 1]))
    assert after.alpha.tolist() == [5.0, 5.0, 2.0]
    assert after.beta.tolist() == [11.0, 20.0, 5.0]
    assert POLICY.alpha.tolist() == [3.0, 5.0, 2.0]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: BernoulliTS(np.ones(2), np.ones(3)), r"alpha \(2,\) and beta \(3,\) must both be \[I\]"),
        (lambda: BernoulliTS(np.ones(0), np.ones(0)), r"must both be \[I\]"),
        (
            lambda: BernoulliTS(np.ones(3), np.array([1.0, 0, np.nan])),
            "beta: 2 of 3 values .* first is 0.0 of item 1",
        ),
        (lambda: POLICY.choose(2, 4, np.random.default_rng()), "4 positions are to be filled from 3 items"),
        (lambda: POLICY.action_distribution(0, rng=np.random.default_rng()), "choose 1 to 3"),
        (lambda: POLICY.action_distribution(1, 0, rng=np.random.default_rng()), "draws is 0"),
    ],
)
def test_what_is_refused(make, says):
    with pytest.raises(PolicyError, match=says):
        make()
