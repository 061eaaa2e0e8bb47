"""Other viewers of the same world: what stays, what is drawn anew, and that both crowds are of one kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from beautyrec.errors import ConfigError, UnknownIdError
from beautyrec.simulate.others import recast
from beautyrec.simulate.world import World


@pytest.fixture(scope="module")
def others(world) -> World:
    return world.with_viewers(1)


@pytest.fixture(scope="module")
def many(world) -> World:
    return world.with_viewers(2, times=30)


def test_rooms_and_products_are_the_world_s(world, others):
    for name in ("scene", "host", "start", "end", "size", "price"):
        np.testing.assert_array_equal(getattr(others.stage.schedule, name), getattr(world.stage.schedule, name))
    assert others.catalogue is world.catalogue
    assert others.response.effects is world.response.effects
    assert others.response.click_intercept == world.response.click_intercept
    np.testing.assert_array_equal(others.month.shelf, world.month.shelf)  # stock is ample
    np.testing.assert_array_equal(others.month.draw, world.month.draw)


def test_each_is_like_a_shopper_in_what_purchases_show(world, many):
    ours, theirs = world.response.viewers, many.response.viewers
    assert len(theirs.users) == 30 * len(ours.users)
    shoppers = {row.tobytes(): number for number, row in enumerate(ours.taste.users)}
    like = np.array([shoppers[row.tobytes()] for row in theirs.taste.users])
    for name in ("price_click", "price_order", "log_activity"):
        np.testing.assert_array_equal(getattr(theirs, name), getattr(ours, name)[like])
    assert len(np.unique(like)) > 290  # of 300, in 9,000 draws with replacement
    bought = {user: tuple(items) for user, items in world.purchases.groupby("user_id")["item_id"]}
    found = many.purchases.groupby("user_id")["item_id"].agg(tuple)
    wanted = pd.Series(like, theirs.users.ids).map(dict(enumerate(ours.users.ids))).map(bought)
    assert found.reindex(theirs.users.ids).tolist() == wanted.tolist()


def test_the_rest_is_drawn_anew_from_the_same_spreads(world, many):
    config, theirs = world.config, many.response.viewers
    count = len(theirs.users)
    drawn = [
        (theirs.click, config.viewer_spread),
        (theirs.order, config.buyer_spread),
        (theirs.whim[:, 0], config.whim_spread),
        (theirs.scene_preference[:, 1], config.scene_preference),
    ]
    for values, spread in drawn:
        assert abs(values.mean()) < 4 * spread / np.sqrt(count)
        assert values.std() == pytest.approx(spread, rel=4 / np.sqrt(2 * count))
        assert len(np.unique(values)) > 0.99 * count  # no one is a copy, though many are like one shopper


def test_as_many_times_the_viewers_come_to_each_room(world, many):
    mean = [np.bincount(each.month.places.row, minlength=24).mean() for each in (world, many)]
    assert mean[1] == pytest.approx(30 * mean[0], rel=0.1)


def test_small_crowds_are_samples_of_the_large_one(world, many):
    """The clicks per impression of 20 crowds scatter around that of the many."""
    rng = np.random.default_rng(0)
    rates = []
    for seed in range(100, 120):
        crowd = world.with_viewers(seed)
        rates.append(crowd.legacy_truth(crowd.slates(), rng=rng, n_slates=2).ctr.value)
    wanted = many.legacy_truth(many.slates(), rng=rng, n_slates=2).ctr.value
    error = np.std(rates, ddof=1) * np.sqrt(1 / 20 + 1 / 30)
    assert np.std(rates) > 0
    assert abs(np.mean(rates) - wanted) < 4 * error


def test_seeds_tell_crowds_apart_and_give_them_again(world, others):
    again, other = world.with_viewers(1), world.with_viewers(2)
    np.testing.assert_array_equal(again.month.clicked, others.month.clicked)
    np.testing.assert_array_equal(again.response.viewers.click, others.response.viewers.click)
    assert not np.array_equal(other.response.viewers.click, others.response.viewers.click)


def test_their_log_is_whole(others):
    slates = others.log().slates()
    np.testing.assert_array_equal(slates.user_id, others.slates().user_id)
    np.testing.assert_array_equal(slates.clicked, others.slates().clicked)
    assert set(others.purchases["user_id"]) == set(others.response.viewers.users.ids)


def test_no_viewer_of_the_world_is_taken_for_another(world, others):
    with pytest.raises(UnknownIdError):
        world.truth_of_slates(others.slates(), others.slates().shown)


def test_ids_are_words_where_the_world_s_are(world):
    words = world.purchases.assign(user_id="u" + world.purchases["user_id"].astype(str).str.zfill(3))
    viewers = world.response.viewers
    named = replace(viewers, users=type(viewers.users).from_ids(words["user_id"]))
    _, bought, _, response = recast(words, world.stage, replace(world.response, viewers=named), seed=0, times=1)
    assert response.viewers.users.ids[0] == "other-00000000"
    assert bought["user_id"].str.startswith("other-").all()


def test_fewer_than_once_as_many_is_refused(world):
    with pytest.raises(ConfigError, match="other viewers 0 times as many"):
        world.with_viewers(0, times=0)
