"""Attention learnt from the log: what it recovers where click rates do not show it, and what it refuses."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from beautyrec import plackett_luce
from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import Outcomes
from beautyrec.evaluation.examination import ExaminationCurve, exposure, overlap_weight
from beautyrec.evaluation.reward_model import ItemPositionRates

CURVE = np.array([1.0, 0.6, 0.3])


def personal_log(n=40_000, c=6, seed=0):
    """Viewers with tastes of their own, whom the policy shows what they like on top."""
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=(n, c))
    raised = np.exp(1.5 * taste)
    chances = raised / raised.sum(axis=1, keepdims=True)
    shown = plackett_luce.sample(chances, 3, rng)
    worth = 0.6 / (1 + np.exp(-np.take_along_axis(taste, shown, axis=1)))
    clicked = (rng.random(shown.shape) < CURVE * worth).astype(float)
    return shown, clicked, plackett_luce.marginals_at_all_positions(chances, shown), np.arange(n) // 2


def test_the_curve_is_found_where_better_items_stand_higher():
    shown, clicked, marginals, viewer = personal_log()
    found = ExaminationCurve().fit(clicked, marginals, viewer)
    known = CURVE / CURVE.mean()
    assert np.abs(found / known - 1).max() < 0.06
    by_rates = ItemPositionRates().fit(shown, Outcomes(clicked), viewer, 6).attention
    assert np.abs(by_rates / known - 1).max() > 0.1
    plain = clicked.mean(axis=0) / clicked.mean()
    assert np.abs(plain / known - 1).max() > 0.1


def test_weighted_click_rates_are_proportional_to_the_curve_in_expectation():
    """Enumerated: every slate of a shelf of five with its chance; worth differs by viewer and may follow the policy."""
    rng = np.random.default_rng(3)
    slates = np.array(list(itertools.permutations(range(5), 3)))
    clicks, total = np.zeros(3), np.zeros(3)
    for _ in range(4):
        p = rng.dirichlet(np.ones(5))
        worth = p + rng.uniform(0, 0.3, size=5)
        tile = np.tile(p, (len(slates), 1))
        joint = plackett_luce.joint(tile, slates)
        table = np.zeros((5, 3))
        for slate, chance in zip(slates, joint, strict=True):
            table[slate, np.arange(3)] += chance
        weight = overlap_weight(table[slates])
        clicks += joint @ (weight * CURVE * worth[slates])
        total += joint @ weight
    np.testing.assert_allclose(total, total[0], rtol=1e-10)
    np.testing.assert_allclose(clicks / clicks[0], CURVE / CURVE[0], rtol=1e-10)


def test_a_viewer_has_no_part_in_the_curve_used_for_that_viewer():
    _, clicked, marginals, viewer = personal_log(n=600)
    before = ExaminationCurve(folds=3, seed=1).fit(clicked, marginals, viewer)
    changed = clicked.copy()
    changed[:2] = 1 - changed[:2]
    after = ExaminationCurve(folds=3, seed=1).fit(changed, marginals, viewer)
    np.testing.assert_array_equal(before[:2], after[:2])
    assert (before != after).any()
    np.testing.assert_allclose(before.mean(axis=1), 1)


def test_weights_are_at_most_one_and_short_slates_tell_nothing():
    marginals = np.array([[[0.9, 0.1], [0.5, 0.5]], [[1.0, 0.0], [0.0, 0.0]]])
    np.testing.assert_allclose(overlap_weight(marginals), [[0.1, 0.5], [0.0, 0.0]])


def test_no_clicks_give_a_flat_curve():
    _, clicked, marginals, viewer = personal_log(n=100)
    assert (ExaminationCurve().fit(np.zeros_like(clicked), marginals, viewer) == 1).all()


def test_exposure_is_attention_under_one_policy_over_that_under_the_other():
    target, logging = np.random.default_rng(0).dirichlet(np.ones(3), size=(2, 4, 3))
    seen = exposure(np.tile(CURVE, (4, 1)), target, logging)
    for row, item in itertools.product(range(4), range(3)):
        expected = sum(CURVE * target[row, item]) / sum(CURVE * logging[row, item])
        assert seen.weight[row, item] == pytest.approx(expected)
    logging[1, 2] = 0
    assert exposure(np.tile(CURVE, (4, 1)), target, logging).weight[1, 2] == 0


def test_what_cannot_be_is_named():
    _, clicked, marginals, viewer = personal_log(n=20)
    with pytest.raises(EvaluationError, match="at least 2"):
        ExaminationCurve(folds=1)
    with pytest.raises(EvaluationError, match=r"marginals have shape \(20, 3\)"):
        ExaminationCurve().fit(clicked, marginals[:, :, 0], viewer)
    short = marginals.copy()
    short[:, :, 2] = 0
    with pytest.raises(EvaluationError, match="attention cannot be learnt"):
        ExaminationCurve().fit(clicked, short, viewer)
    with pytest.raises(EvaluationError, match="must have shape"):
        exposure(np.ones((20, 2)), marginals, marginals)
    with pytest.raises(EvaluationError, match="get no attention"):
        exposure(np.zeros((20, 3)), marginals, marginals)
