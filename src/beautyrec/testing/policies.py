"""What every policy must satisfy; a test class inherits it and sets ``policy``."""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from beautyrec import plackett_luce
from beautyrec.errors import PolicyError
from beautyrec.policies.base import Policy

SCORES = np.array(
    [
        [0.3, 2.0, -1.0, 0.7, -np.inf, 1.1],
        [5.0, -np.inf, 4.0, -np.inf, -np.inf, -np.inf],
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    ]
)


class PolicyContract:
    """Inherit as ``class TestMine(PolicyContract): policy = Mine()``."""

    policy: ClassVar[Policy]

    def test_is_a_policy(self) -> None:
        assert isinstance(self.policy, Policy)

    def test_probabilities_sum_to_one_and_leave_out_what_is_not_on_the_shelf(self) -> None:
        chance = self.policy.probabilities(SCORES)
        np.testing.assert_allclose(chance.sum(axis=1), 1, atol=1e-12)
        assert (chance[np.isneginf(SCORES)] == 0).all()
        assert (chance >= 0).all()

    def test_slates_hold_no_item_twice_and_none_from_off_the_shelf(self) -> None:
        many = np.repeat(SCORES, 200, axis=0)
        slate = self.policy.choose(many, 4, np.random.default_rng(0))
        assert slate.items.shape == slate.propensity.shape == (len(many), 4)
        shown = np.sort(slate.items, axis=1)
        assert not ((shown[:, 1:] == shown[:, :-1]) & (shown[:, 1:] >= 0)).any()
        np.testing.assert_array_equal((slate.items >= 0).sum(axis=1), np.minimum(4, np.isfinite(many).sum(axis=1)))
        score = np.take_along_axis(many, np.maximum(slate.items, 0), axis=1)
        assert np.isfinite(score[slate.items >= 0]).all()
        assert (slate.propensity[slate.items < 0] == 0).all()
        assert (slate.propensity[slate.items >= 0] > 0).all()

    def test_propensity_is_the_conditional_chance(self) -> None:
        slate = self.policy.choose(SCORES, 1, np.random.default_rng(1))
        expected = plackett_luce.conditional(self.policy.probabilities(SCORES), slate.items)
        np.testing.assert_allclose(slate.propensity, expected, rtol=1e-9)

    def test_draws_have_the_marginals_that_it_states(self) -> None:
        n, k = 6000, 3
        many = np.repeat(SCORES[:1], n, axis=0)
        items = self.policy.choose(many, k, np.random.default_rng(2)).items
        stated = self._table(SCORES[:1], k)
        seen = np.stack([np.bincount(items[:, j], minlength=SCORES.shape[1]) for j in range(k)], axis=1)
        assert (seen[stated == 0] == 0).all()
        cells = stated > 0
        chi_square = ((seen[cells] - n * stated[cells]) ** 2 / (n * stated[cells])).sum()
        assert chi_square < 45  # at most 15 degrees of freedom: below 1 in 10,000

    def test_means_are_the_marginals_times_the_values(self) -> None:
        values = np.random.default_rng(3).normal(size=(1, SCORES.shape[1], 2))
        means = self.policy.position_means(SCORES[:1], values, 3)
        np.testing.assert_allclose(means[0], self._table(SCORES[:1], 3).T @ values[0], atol=1e-7)

    def test_the_same_seed_gives_the_same_slate(self) -> None:
        first, second = (self.policy.choose(SCORES, 3, np.random.default_rng(7)).items for _ in range(2))
        np.testing.assert_array_equal(first, second)

    def test_scores_are_left_as_they_were(self) -> None:
        before = SCORES.copy()
        self.policy.choose(before, 3, np.random.default_rng(0))
        np.testing.assert_array_equal(before, SCORES)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_unusable_scores_raise(self, bad: float) -> None:
        scores = SCORES.copy()
        scores[1, 0] = bad
        with pytest.raises(PolicyError, match="row 1"):
            self.policy.probabilities(scores)

    def test_an_empty_shelf_raises(self) -> None:
        with pytest.raises(PolicyError, match="no item"):
            self.policy.choose(np.full((2, 3), -np.inf), 2, np.random.default_rng(0))

    def _table(self, scores: np.ndarray, k: int) -> np.ndarray:
        """[C, k] stated chance of each item at each position, one `position_marginals` call a cell."""
        live = np.flatnonzero(np.isfinite(scores[0]))
        table = np.zeros((scores.shape[1], k))
        for item in live:
            others = [j for j in live if j != item]
            for position in range(k):
                slate = [*others[:position], item, *others[position : k - 1]]
                table[item, position] = self.policy.position_marginals(scores, np.array([slate]))[0, position]
        return table
