from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from beautyrec.errors import EvaluationError
from beautyrec.evaluation import prediction
from beautyrec.evaluation.grouped_auc import grouped_auc


@st.composite
def labelled(draw):
    """Coarse predictions, so that ties are common, and labels with at least one of each."""
    n = draw(st.integers(2, 60))
    p = draw(st.lists(st.integers(0, 8), min_size=n, max_size=n))
    y = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    return np.array(p) / 8, np.array([True, False, *y[2:]])


@given(labelled())
def test_auc_log_loss_and_brier_agree_with_scikit_learn(example):
    p, y = example
    assert prediction.auc(p, y) == pytest.approx(metrics.roc_auc_score(y, p), abs=1e-9)
    clipped = np.clip(p, 1e-15, 1 - 1e-15)
    assert prediction.log_loss(p, y) == pytest.approx(metrics.log_loss(y, clipped, labels=[False, True]), abs=1e-9)
    assert prediction.brier(p, y) == pytest.approx(metrics.brier_score_loss(y, p), abs=1e-9)


@given(labelled(), st.integers(1, 7))
def test_curve_keeps_rows_together_and_sums_to_the_whole(example, bins):
    p, y = example
    curve = prediction.calibration_curve(p, y, bins)
    assert len(curve) <= bins
    assert curve["n"].sum() == len(p)
    assert curve["positives"].sum() == y.sum()
    assert curve["predicted"].is_monotonic_increasing
    assert np.average(curve["predicted"], weights=curve["n"]) == pytest.approx(p.mean())
    start = np.concatenate([[0], np.cumsum(curve["n"])])
    ordered = np.sort(p)
    edges = [ordered[i - 1] < ordered[i] for i in start[1:-1]]
    assert all(edges), "equal predictions were split"


@given(st.integers(1, 6), st.integers(1, 8), st.randoms(use_true_random=False))
def test_curve_of_distinct_predictions_is_that_of_scikit_learn(bins, rows_a_bin, random):
    n = bins * rows_a_bin
    p = np.array(random.sample(range(1000), n)) / 1000
    y = np.array([random.random() < 0.4 for _ in range(n)])
    observed, predicted = calibration_curve(y, p, n_bins=bins, strategy="quantile")
    curve = prediction.calibration_curve(p, y, bins)
    np.testing.assert_allclose(curve["predicted"], predicted, atol=1e-9)
    np.testing.assert_allclose(curve["observed"], observed, atol=1e-9)


def test_curve_of_distinct_predictions_has_equal_bins():
    p = np.random.default_rng(0).permutation(1000) / 1000
    assert prediction.calibration_curve(p, p > 0.5, 10)["n"].tolist() == [100] * 10


@pytest.mark.parametrize(("successes", "n"), [(0, 20), (3, 40), (20, 20), (511, 1000)])
def test_wilson_interval_is_that_of_scipy(successes, n):
    low, high = prediction.wilson_interval([successes], [n])
    expected = binomtest(successes, n).proportion_ci(method="wilson")
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_calibration_error_by_hand():
    p, y = np.repeat([0.1, 0.4], [10, 30]), np.repeat([True, False, True, False], [2, 8, 9, 21])
    expected = (10 * abs(0.1 - 0.2) + 30 * abs(0.4 - 0.3)) / 40
    assert prediction.calibration_error(p, y, 2) == pytest.approx(expected)
    assert prediction.calibration_error(p, y, 2, relative=True) == pytest.approx(expected / (11 / 40))


def test_calibrated_predictions_have_a_small_error():
    rng = np.random.default_rng(1)
    p = rng.beta(2, 30, 200_000)
    y = rng.random(len(p)) < p
    assert prediction.calibration_error(p, y, relative=True) < 0.03
    assert prediction.calibration_error(np.minimum(1, 1.3 * p), y, relative=True) == pytest.approx(0.3, abs=0.03)


def test_funnel_quality_judges_each_chance_on_its_own_rows():
    rng = np.random.default_rng(2)
    chances = pd.DataFrame({"ctr": rng.random(500), "cvr": rng.random(500)})
    chances["ctcvr"] = chances["ctr"] * chances["cvr"]
    clicked = rng.random(500) < chances["ctr"].to_numpy()
    ordered = rng.random(500) < 0.5
    table = prediction.funnel_quality(chances, clicked, ordered)
    assert table.loc["cvr_on_clicks", "n"] == clicked.sum()
    assert table.loc["ctr_on_impressions", "auc"] == pytest.approx(metrics.roc_auc_score(clicked, chances["ctr"]))
    expected = metrics.roc_auc_score(ordered[clicked], chances["cvr"][clicked])
    assert table.loc["cvr_on_clicks", "auc"] == pytest.approx(expected)
    assert table.loc["ctcvr_on_impressions", "positives"] == (clicked & ordered).sum()


def test_funnel_quality_within_users_is_on_the_rows_of_each_chance(rng):
    n = 600
    chances = pd.DataFrame({"ctr": rng.random(n), "cvr": rng.random(n), "ctcvr": rng.random(n)})
    clicked, ordered, user = rng.random(n) < 0.5, rng.random(n) < 0.5, rng.integers(0, 40, n)
    table = prediction.funnel_quality(chances, clicked, ordered, group=user)
    expected = grouped_auc(chances["cvr"][clicked], ordered[clicked], user[clicked])
    row = table.loc["cvr_on_clicks"]
    assert (row["gauc"], row["groups"], row["groups_left_out"]) == (
        expected.value,
        expected.groups,
        expected.groups_left_out,
    )
    never = prediction.funnel_quality(chances, clicked, np.zeros(n, dtype=bool), group=user).loc["cvr_on_clicks"]
    assert never["gauc"] is pd.NA
    assert (never["groups"], never["groups_left_out"]) == (0, len(np.unique(user[clicked])))


def test_funnel_quality_without_clicks_has_no_value_and_says_why():
    chances = pd.DataFrame({"ctr": [0.1, 0.2], "cvr": [0.5, 0.5], "ctcvr": [0.05, 0.1]})
    never = np.zeros(2, dtype=bool)
    table = prediction.funnel_quality(chances, never, never)
    assert table["n"].tolist() == [2, 0, 2]
    assert table["auc"].isna().all()
    assert table.loc["cvr_on_clicks", "log_loss"] is pd.NA
    assert table["note"].tolist() == ["it happened in 0 of 2 rows", "there are no rows", "it happened in 0 of 2 rows"]
    assert "nan" not in table.to_string().lower()
    assert table.loc["ctr_on_impressions", "brier"] == pytest.approx((0.01 + 0.04) / 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: prediction.auc([0.1, 0.2], [True, True]), "2 of 2 rows are positive"),
        (lambda: prediction.auc([0.1, np.nan], [True, False]), "1 of 2 predictions are NaN"),
        (lambda: prediction.log_loss([1.5, 0.1], [True, False]), "1 of 2 predictions are outside"),
        (lambda: prediction.brier([], []), "at least one row"),
        (lambda: prediction.brier([0.1], [True, False]), "shapes"),
        (lambda: prediction.calibration_curve([0.1], [True], 0), "at least 1"),
        (lambda: prediction.calibration_error([0.1], [False], relative=True), "no base rate"),
    ],
)
def test_what_cannot_be_judged_is_an_error(call, message):
    with pytest.raises(EvaluationError, match=message):
        call()
