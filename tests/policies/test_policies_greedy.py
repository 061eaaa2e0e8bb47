"""The greedy policy: the contract, ties, short shelves."""

from __future__ import annotations

import numpy as np

from beautyrec.policies.greedy import Greedy
from beautyrec.testing.policies import PolicyContract


class TestGreedy(PolicyContract):
    policy = Greedy()


def test_ties_go_to_the_first_column_and_short_shelves_are_padded():
    scores = np.array([[1.0, 2.0, 2.0, -np.inf]])
    slate = Greedy().choose(scores, 5, np.random.default_rng(0))
    assert slate.items.tolist() == [[1, 2, 0, -1, -1]]
    assert slate.propensity.tolist() == [[1, 1, 1, 0, 0]]


def test_marginals_are_one_only_where_the_shown_item_is_the_one_it_puts_there():
    marginals = Greedy().position_marginals(np.array([[3.0, 2.0, 1.0]]), np.array([[0, 2]]))
    assert marginals.tolist() == [[1.0, 0.0]]
