"""The benchmark of slate estimators: its two kinds of viewers, their truth, and one world of it."""

from __future__ import annotations

import numpy as np
import pytest

from beautyrec.simulate.world import World
from benchmarks import ope_slates


@pytest.fixture(scope="module")
def world():
    return World.tiny(4)


@pytest.fixture(scope="module")
def slates(world):
    return world.slates()


def test_position_based_viewers_are_those_of_the_world(world, slates):
    click, order = ope_slates.shelf_values(world, slates)
    viewers = ope_slates.Viewers("position-based", world.response.attention, click, order)
    own = viewers.of(slates.shown)
    for found, true in zip(own, world.chances(slates), strict=True):
        np.testing.assert_allclose(found, true, rtol=1e-12)
    draws = slates.shelves.draw_probability[slates.room_ix]
    truth = world.legacy_truth(slates, rng=np.random.default_rng(0), n_slates=16)
    found = viewers.truth(draws, 4, np.random.default_rng(1))
    np.testing.assert_allclose(found, [truth.ctr.value, truth.room_conversion.value], rtol=0.02)
    assert viewers.redrawn(slates, np.random.default_rng(0)) is slates


def test_viewers_of_a_cascade_lose_interest_with_what_they_saw():
    click = np.array([[0.05, 0.1, 0.02, 0.3], [0.3, 0.2, 0.2, 0.2]])
    found = ope_slates.cascade(click)
    for row, column in np.ndindex(click.shape):
        left = 1.0
        for above in click[row, :column]:
            left *= 1 - min(ope_slates.SATED * above, 0.9)
        assert found[row, column] == pytest.approx(click[row, column] * left)


def test_outcomes_drawn_anew_have_their_chances(world, slates):
    click, order = ope_slates.shelf_values(world, slates)
    viewers = ope_slates.Viewers("cascade", world.response.attention, click, order)
    drawn = viewers.redrawn(slates, np.random.default_rng(0))
    chance, _ = viewers.of(slates.shown)
    error = np.sqrt((chance * (1 - chance)).sum(axis=0)) / len(slates)
    assert (np.abs(drawn.clicked.mean(axis=0) - chance.mean(axis=0)) < 4 * error).all()
    assert not (drawn.ordered & ~drawn.clicked).any()


def test_one_world_gives_every_lift_beside_its_truth():
    table = ope_slates.one_seed(1)
    assert len(table) == 2 * 2 * len(ope_slates.HOLDS["position-based"])
    assert table["true"].between(-0.9, 5).all()
    assert table.groupby(["kind", "metric"])["true"].nunique().eq(1).all()
    assert table["true"].nunique() == 4
