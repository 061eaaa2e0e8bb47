from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beautyrec.errors import ConfigError
from beautyrec.simulate.calibrate import solve_clicks, solve_orders
from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.response import sigmoid
from beautyrec.simulate.world import World


@given(seed=st.integers(0, 1000), share=st.floats(0.001, 0.95), spread=st.floats(0, 3))
def test_clicks_come_to_the_target(seed, share, spread):
    rng = np.random.default_rng(seed)
    logit, attention = spread * rng.standard_normal((50, 4)), rng.random((50, 4)) * (rng.random((50, 4)) < 0.8)
    impressions = (attention > 0).sum()
    target = share * attention.sum() / impressions
    a = solve_clicks(logit, attention, target)
    assert (attention * sigmoid(logit + a)).sum() / impressions == pytest.approx(target, rel=1e-5)


def test_orders_of_one_position_have_a_closed_form():
    click = np.full((10, 1), 0.25)
    b = solve_orders(click, np.full((10, 1), 0.7), 0.05)
    assert b == pytest.approx(math.log(0.2 / 0.8) - 0.7, abs=1e-5)  # 0.25 * sigmoid(0.7 + b) = 0.05


@given(seed=st.integers(0, 1000), share=st.floats(0.01, 0.9))
def test_orders_come_to_the_target(seed, share):
    rng = np.random.default_rng(seed)
    click, logit = 0.3 * rng.random((40, 5)), rng.standard_normal((40, 5))
    target = share * (1 - np.prod(1 - click, axis=1)).mean()
    b = solve_orders(click, logit, target)
    assert (1 - np.prod(1 - click * sigmoid(logit + b), axis=1)).mean() == pytest.approx(target, rel=1e-5)


def test_rates_out_of_reach_are_refused():
    with pytest.raises(ConfigError, match="click_rate"):
        solve_clicks(np.zeros((2, 2)), np.full((2, 2), 0.5), 0.5)
    with pytest.raises(ConfigError, match="room_conversion"):
        solve_orders(np.full((2, 2), 0.1), np.zeros((2, 2)), 0.2)
    with pytest.raises(ConfigError, match="Lower it"):
        World.tiny(seed=0, config=replace(WorldConfig.tiny(), click_rate=0.01, room_conversion=0.06))


@pytest.mark.parametrize("name", ["world", "scarce"])
def test_expected_rates_are_those_asked_for(name, request):
    world = request.getfixturevalue(name)
    click, order = world.chances(world.slates())
    bought = 1 - np.prod(1 - click * order, axis=1)
    assert click.mean() == pytest.approx(world.config.click_rate, rel=1e-3)
    assert bought.mean() == pytest.approx(world.config.room_conversion, rel=1e-3)


@pytest.mark.parametrize("seed", range(6))
def test_realised_rates_differ_by_chance_only(seed):
    slates = (world := World.tiny(seed)).slates()
    click, order = world.chances(slates)
    bought = 1 - np.prod(1 - click * order, axis=1)
    for realised, chance in ((slates.clicked, click), (slates.ordered.any(axis=1), bought)):
        z = (realised.sum() - chance.sum()) / np.sqrt((chance * (1 - chance)).sum())  # independent given the slates
        assert abs(z) < 4


def test_progress_ends_at_its_total():
    calls: list[tuple[int, int]] = []
    world = World.tiny(0)
    World.build(
        world.purchases, world.catalogue.table, world.config, seed=0, on_progress=lambda *call: calls.append(call)
    )
    done, total = zip(*calls, strict=True)
    assert list(done) == sorted(done)
    assert done[-1] == total[-1]
    assert len(set(total)) == 1
