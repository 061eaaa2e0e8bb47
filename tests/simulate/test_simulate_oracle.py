from __future__ import annotations

import itertools

import numpy as np
import pytest

from beautyrec.simulate.oracle import Goal, Knowledge, best, soft


@pytest.fixture(scope="module")
def slates(world):
    return world.slates()


def test_who_knows_more_reaches_more(world, slates):
    reached = [
        world.truth_of_slates(slates, world.best_slates(slates, Goal.CLICK, knowledge)).ctr.value
        for knowledge in (Knowledge.PRODUCT, Knowledge.ROOM, Knowledge.VIEWER)
    ]
    legacy = world.legacy_truth(slates, rng=np.random.default_rng(0))
    assert legacy.ctr.value < reached[0] < reached[1] < reached[2]


def test_no_order_of_any_products_has_more_clicks(world, slates):
    one = slates.where(np.arange(len(slates)) == 17)
    found = world.truth_of_slates(one, world.best_slates(one, Goal.CLICK)).ctr.value
    there = np.flatnonzero(one.shelves.item_ix[one.room_ix[0]] >= 0)[:7]
    top = world.best_slates(one, Goal.CLICK)[0]
    for slate in itertools.permutations(sorted({*there, *top})[:9], 4):
        assert world.truth_of_slates(one, np.array([slate])).ctr.value <= found + 1e-12


@pytest.mark.parametrize(
    ("goal", "metric"),
    [(Goal.ORDER, "orders_per_viewer"), (Goal.REVENUE, "revenue_per_viewer"), (Goal.MARGIN, "margin_per_viewer")],
)
def test_each_goal_is_best_at_its_own(world, slates, goal, metric):
    reached = {g: world.truth_of_slates(slates, world.best_slates(slates, g))[metric].value for g in Goal}
    assert max(reached, key=lambda g: reached[g]) is goal


def test_the_soft_oracle_lies_between_legacy_and_the_best(world, slates):
    rng = np.random.default_rng(0)
    legacy = world.legacy_truth(slates, rng=rng).ctcvr.value
    soft_ones = [world.truth(slates, world.oracle(slates, temperature=t), rng=rng).ctcvr.value for t in (1.0, 0.2)]
    greedy = world.truth_of_slates(slates, world.best_slates(slates)).ctcvr.value
    assert legacy < soft_ones[0] < soft_ones[1] < greedy


def test_room_knowledge_is_the_mean_over_the_viewers_of_the_room(world, slates):
    here = slates.where(slates.room_ix == 5)
    draws = world.oracle(here, Goal.CLICK, Knowledge.ROOM, temperature=1.0)
    assert np.ptp(draws, axis=0).max() < 1e-12  # the same for all who look
    width = int((here.shelves.item_ix[5] >= 0).sum())
    column = np.tile(np.arange(width), (len(here), 1))
    click = np.stack([world.chances(here, column[:, [c]])[0][:, 0] for c in range(width)], axis=1).mean(axis=0)
    np.testing.assert_allclose(draws[0, :width], click / click.sum(), rtol=1e-5)
    assert (draws[:, width:] == 0).all()


def test_worth_below_zero_counts_as_next_to_nothing():
    draws = soft(np.array([[2.0, -1.0, -np.inf], [-1.0, -3.0, -np.inf]]), 1.0)
    np.testing.assert_allclose(draws[0], [1 / (1 + 1e-6), 1e-6 / (1 + 1e-6), 0])
    np.testing.assert_allclose(draws[1], [0.5, 0.5, 0])


def test_best_is_in_order_and_padded():
    assert best(np.array([[1.0, 3.0, 2.0, -np.inf]]), 2).tolist() == [[1, 2]]
    assert best(np.array([[1.0, -np.inf, -np.inf]]), 2).tolist() == [[0, -1]]
