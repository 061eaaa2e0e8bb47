"""The item-position model: shrinking, what it recovers, and that no user's own fold is used."""

from __future__ import annotations

import numpy as np
import pytest

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import Outcomes
from beautyrec.evaluation.reward_model import ItemPositionRates, shrunk


def log(seed=0, n=30_000, items=12, k=4):
    rng = np.random.default_rng(seed)
    rate, attention = rng.uniform(0.05, 0.4, size=items), np.array([1.0, 0.8, 0.5, 0.3])
    shown = np.argsort(rng.random((n, items)), axis=1)[:, :k]
    clicked = rng.random((n, k)) < rate[shown] * attention
    ordered = clicked & (rng.random((n, k)) < 0.3)
    price = np.arange(1.0, items + 1)
    outcomes = Outcomes(clicked.astype(float), ordered.astype(float), ordered * price[shown])
    return shown, outcomes, rng.integers(0, n // 3, size=n), rate, attention, price


def test_recovers_rates_attention_and_prices():
    shown, outcomes, cluster, rate, attention, price = log()
    model = ItemPositionRates().fit(shown, outcomes, cluster, 12)
    for expected, truth in (
        (model.logged(shown).clicked, rate[shown] * attention),
        (model.logged(shown).of("ordered"), 0.3 * rate[shown] * attention),
        (model.logged(shown).of("revenue"), 0.3 * price[shown] * rate[shown] * attention),
    ):
        assert np.abs(expected / truth - 1).mean() < 0.06


def test_expected_at_positions_is_appeal_times_attention():
    shown, outcomes, cluster, *_ = log(n=600)
    model = ItemPositionRates(folds=3).fit(shown, outcomes, cluster, 12)
    at = model.at_positions(model.appeal(shown))
    np.testing.assert_allclose(at.clicked, model.logged(shown).clicked, rtol=1e-12)


def test_a_user_has_no_part_in_the_numbers_used_for_that_user():
    shown, outcomes, cluster, *_ = log(n=600)
    learner = ItemPositionRates(folds=3, seed=1)
    before = learner.fit(shown, outcomes, cluster, 12)
    own = cluster == cluster[0]
    clicked = outcomes.clicked.copy()
    clicked[own] = 1 - clicked[own]
    after = learner.fit(shown, Outcomes(clicked, outcomes.ordered, outcomes.revenue), cluster, 12)
    np.testing.assert_array_equal(before.logged(shown).clicked[own], after.logged(shown).clicked[own])
    assert np.abs(before.logged(shown).clicked - after.logged(shown).clicked).max() > 0
    assert len(np.unique(before.fold[own])) == 1


def test_padding_is_zero_and_missing_outcomes_too():
    shown, outcomes, cluster, *_ = log(n=300)
    shown = shown.copy()
    shown[0, 2:] = -1
    model = ItemPositionRates(folds=2).fit(shown, Outcomes(outcomes.clicked), cluster, 12)
    assert (model.logged(shown).clicked[0, 2:] == 0).all()
    assert (model.logged(shown).of("ordered") == 0).all()


def test_shrinking_pulls_little_seen_items_to_the_mean():
    exposure = np.array([0.0, 10.0, 10_000.0, 10_000.0])
    rates = shrunk(np.array([0.0, 3.0, 500.0, 100.0]), exposure)
    overall = 603 / exposure.sum()
    assert rates[0] == pytest.approx(overall)
    assert overall < rates[1] < 0.1
    assert rates[2] == pytest.approx(0.05, rel=0.05)


def test_shrinking_is_complete_where_items_do_not_differ():
    exposure = np.full(50, 200.0)
    counts = np.random.default_rng(0).binomial(200, 0.1, size=50).astype(float)
    assert shrunk(counts, exposure).std() < 0.4 * (counts / 200).std()


def test_no_events_give_rates_of_zero():
    assert shrunk(np.zeros(3), np.ones(3)).tolist() == [0, 0, 0]


def test_too_few_folds_or_clusters_raise():
    with pytest.raises(EvaluationError, match="at least 2"):
        ItemPositionRates(folds=1)
    with pytest.raises(EvaluationError, match="1 clusters cannot be dealt to 5"):
        ItemPositionRates().fit(np.zeros((3, 1), dtype=int), Outcomes(np.zeros((3, 1))), np.zeros(3), 1)
