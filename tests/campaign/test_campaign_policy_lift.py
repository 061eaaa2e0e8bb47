"""Held rooms: what is given to the estimators of slates, at no cost where nobody asks, and estimated draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from beautyrec import plackett_luce
from beautyrec.campaign import policy_lift
from beautyrec.campaign.policy_lift import HeldRooms
from beautyrec.evaluation.off_policy import PBM, RIPS, SNIPS, CascadeDR, JointIPS
from beautyrec.evaluation.propensities import EstimatedDraws
from beautyrec.simulate.world import World


@pytest.fixture(scope="module")
def world():
    return World.tiny(2)


@pytest.fixture(scope="module")
def slates(world):
    return world.slates()


@pytest.fixture(scope="module")
def target(world, slates):
    return world.oracle(slates, temperature=2.0)


def test_weights_of_slates_are_those_of_the_two_policies(slates, target):
    held = HeldRooms.of(slates)
    evidence = held.evidence(target, for_slates=True)
    draws = slates.shelves.draw_probability[slates.room_ix]
    ratio = plackett_luce.joint(target, slates.shown) / plackett_luce.joint(draws, slates.shown)
    np.testing.assert_allclose(JointIPS().weights(evidence)[:, 0], ratio, rtol=1e-10)
    np.testing.assert_allclose(
        plackett_luce.conditional(draws, slates.shown), slates.propensity, rtol=1e-9
    )  # what the log recorded
    plain = held.evidence(target)
    np.testing.assert_array_equal(plain.weight, evidence.weight)
    assert plain.conditional_weight is None
    assert plain.exposure is None


def test_the_logging_policy_itself_has_weights_of_one(slates):
    evidence = HeldRooms.of(slates).evidence(slates.shelves.draw_probability[slates.room_ix], for_slates=True)
    np.testing.assert_allclose(evidence.conditional_weight, 1, rtol=1e-12)
    np.testing.assert_allclose(evidence.exposure.weight, 1, rtol=1e-12)


def test_attention_is_that_of_the_world(world, slates):
    found = HeldRooms.of(slates).attention.mean(axis=0)
    np.testing.assert_allclose(found, world.response.attention / world.response.attention.mean(), rtol=0.25)


def test_nothing_of_it_is_computed_where_nobody_asks(slates, target, monkeypatch):
    monkeypatch.setattr(policy_lift, "marginals_at_all_positions", lambda *_: pytest.fail("not asked for"))
    monkeypatch.setattr(policy_lift, "conditional", lambda *_: pytest.fail("not asked for"))
    held = HeldRooms.of(slates)
    assert set(held.lift(target)["estimator"]) == {"snips", "dr"}
    assert set(held.lift(target, estimators=[SNIPS()])["estimator"]) == {"snips"}


def test_estimators_of_slates_get_what_they_need(slates, target):
    table = HeldRooms.of(slates).lift(target, estimators=[RIPS(), CascadeDR(), PBM()])
    ctr = table[table["metric"] == "ctr"].set_index("estimator")
    assert ctr["estimate"].notna().all()
    assert ctr.loc["cascade_dr", "ci_high"] > ctr.loc["cascade_dr", "ci_low"]


def test_rows_that_are_kept_have_the_weights_they_had(slates, target):
    keep = np.arange(len(slates)) % 3 == 0
    held = HeldRooms.of(slates)
    whole, part = held.evidence(target, for_slates=True), held.where(keep).evidence(target[keep], for_slates=True)
    np.testing.assert_allclose(part.conditional_weight, whole.conditional_weight[keep], rtol=1e-12)
    np.testing.assert_allclose(part.weight, whole.weight[keep], rtol=1e-9)


def test_estimated_draws_stand_in_for_a_log_without_them_and_every_lift_says_so(slates, target):
    known = slates.shelves.draw_probability
    silent = replace(slates, shelves=replace(slates.shelves, draw_probability=np.full(known.shape, np.nan)))
    shelf = slates.shelves.item_ix[slates.room_ix] >= 0
    told = np.where(shelf, np.log(np.where(shelf, known[slates.room_ix], 1.0)), 0.0)[:, :, None]
    noisy = told + 0.01 * np.random.default_rng(0).standard_normal(told.shape)
    draws = EstimatedDraws().of(noisy, shelf, slates.shown, slates.user_id)
    held = HeldRooms.of(silent, draws=draws)
    guessed = held.lift(target, estimators=[SNIPS(), RIPS()])
    assert guessed["reasons"].str.contains("estimated").all()
    assert not (guessed["verdict"] == "trust").any()
    true = HeldRooms.of(slates).lift(target, estimators=[SNIPS(), RIPS()])
    ctr = guessed["metric"] == "ctr"
    np.testing.assert_allclose(guessed["estimate"][ctr].astype(float), true["estimate"][ctr].astype(float), atol=0.05)
    part = held.where(np.arange(len(slates)) < 500)
    np.testing.assert_array_equal(part.draws, draws[:500])
    assert part.evidence(target[:500]).estimated
