from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beautyrec.evaluation.prediction import auc, calibration_error, log_loss
from benchmarks._funnel_measures import (
    bootstrap_auc,
    debiased_calibration_error,
    known_auc,
    known_calibration_error,
    known_log_loss,
    lower_end,
)
from benchmarks._funnel_rows import TRUE_CTR, TRUE_CVR, simulated_month, taobao


def test_measures_of_certain_outcomes_are_those_of_outcomes(rng):
    p, y, even = rng.random(300).round(1).clip(0.05, 0.95), rng.random(300) < 0.4, np.ones(300)
    assert known_auc(p, y.astype(float), even) == pytest.approx(auc(p, y))
    assert known_log_loss(p, y.astype(float), even) == pytest.approx(log_loss(p, y))


def test_measures_of_chances_are_means_over_many_draws(rng):
    truth = rng.random(40)
    p = (truth + rng.normal(0, 0.2, 40)).clip(0.02, 0.98)
    many = rng.random((4000, 40)) < truth
    assert known_log_loss(p, truth, np.ones(40)) == pytest.approx(np.mean([log_loss(p, y) for y in many]), rel=0.02)
    apart = p[:, None] - p[None, :]
    wins = (apart > 0) + 0.5 * (apart == 0)
    pairs = truth[:, None] * (1 - truth[None, :])
    assert known_auc(p, truth, np.ones(40)) == pytest.approx((wins * pairs).sum() / pairs.sum())


def test_a_weight_is_so_many_rows(rng):
    p, truth, times = rng.random(50) * 0.9 + 0.05, rng.random(50), rng.integers(1, 5, 50)
    again = [np.repeat(values, times) for values in (p, truth)]
    for measure in (known_auc, known_log_loss):
        assert measure(p, truth, times.astype(float)) == pytest.approx(measure(*again, np.ones(times.sum())))


def test_calibration_error_is_a_share_of_the_base_rate(rng):
    truth = rng.random(1000) * 0.2
    even = np.ones(1000)
    assert known_calibration_error(truth, truth, even) == pytest.approx(0)
    assert known_calibration_error(1.1 * truth, truth, even) == pytest.approx(0.1)
    swapped = np.where(truth < np.median(truth), 0.05, 0.15)
    bins = [(truth < np.median(truth)), (truth >= np.median(truth))]
    expected = sum(abs((swapped - truth)[b].sum()) for b in bins) / truth.sum()
    assert known_calibration_error(swapped, truth, even, 2) == pytest.approx(expected)


def test_the_debiased_error_of_a_perfect_model_is_near_none_where_the_plain_one_is_not(rng):
    truth = np.repeat(np.linspace(0.1, 0.3, 10), 40)
    draws = [rng.random(400) < truth for _ in range(400)]
    plain = np.mean([calibration_error(truth, y, relative=True) for y in draws])
    debiased = np.array([debiased_calibration_error(truth, y) for y in draws])
    assert plain > 0.2
    assert np.median(debiased) < 0.5 * plain


def test_the_square_of_the_debiased_error_is_right_on_average(rng):
    p, truth = np.repeat(np.linspace(0.1, 0.6, 10), 200), np.repeat(np.linspace(0.2, 0.4, 10), 200)
    expected = ((p - truth).reshape(10, 200).mean(axis=1) ** 2).mean()
    draws = [rng.random(2000) < truth for _ in range(500)]
    found = [(debiased_calibration_error(p, y) * y.mean()) ** 2 for y in draws]
    assert np.mean(found) == pytest.approx(expected, rel=0.03)


def test_the_lower_end_lies_below_the_mean_in_39_of_40_draws(rng):
    fits, days = rng.normal(0, 1, (2000, 4, 1)), rng.normal(0, 1, (2000, 1, 7))
    above = [lower_end(0.5 + fit + day) > 0.5 for fit, day in zip(fits, days, strict=True)]
    assert 0.005 < np.mean(above) < 0.04


def test_the_lower_end_of_days_alike_is_that_of_students_t():
    apart = np.tile(np.array([[1.0], [2.0], [4.0]]), (1, 5))
    means = apart[:, 0]
    half = 4.302652729911275 * means.std(ddof=1) / np.sqrt(3)
    assert lower_end(apart) == pytest.approx(means.mean() - half)


def test_the_interval_of_a_gain_holds_the_gain(rng):
    truth, group = rng.random(3000), rng.integers(0, 200, 3000)
    y = rng.random(3000) < truth
    gain, low, high = bootstrap_auc(truth, rng.random(3000), y, group, rng, 60)
    assert 0 < low < gain < high


def test_the_month_has_its_truth_beside_each_impression_and_tests_on_later_days():
    month = simulated_month(3, 300.0, 200, 10)
    assert month.train["ts"].max() < month.test["ts"].min()
    rows = pd.concat([month.train, month.test])
    assert len(month.scenes) == 5
    assert set(rows["scene"].unique()) <= set(range(5))
    assert rows["clicked"].mean() == pytest.approx(rows[TRUE_CTR].mean(), rel=0.15)
    top = rows[TRUE_CTR] > rows[TRUE_CTR].quantile(0.8)
    assert rows["clicked"][top].mean() > 1.6 * rows["clicked"][~top].mean(), "the truth is that of the same impression"
    clicks = rows[rows["clicked"]]
    assert clicks["ordered"].mean() == pytest.approx(clicks[TRUE_CVR].mean(), rel=0.2)
    assert not {TRUE_CTR, TRUE_CVR, "clicked", "ordered"} & set(month.features)


@pytest.mark.shared
def test_taobao_rows_know_nothing_of_their_day(shared_data):
    task = taobao(shared_data)
    rows = pd.concat([task.train, task.test])
    assert not rows.duplicated(["user_id", "item_id", "day"]).any()
    assert (rows["hours_since"] > 0).all()
    assert (rows["hours_since"] <= 72).all()
    assert (rows["views_yesterday"] <= rows["views"]).all()
    assert (rows["clicked"] | ~rows["ordered"]).all()
    assert set(task.train["day"]) == {3, 4, 5, 6}
    assert set(task.test["day"]) == {7, 8}
    one = rows.iloc[len(rows) // 2]
    events = pd.read_parquet(shared_data / "taobao-userbehavior-sample" / "events.parquet")
    mine = events[(events["user_id"] == one["user_id"]) & (events["item_id"] == one["item_id"])]
    day = np.floor((mine["ts"] - pd.Timestamp("2017-11-24 16:00")) / pd.Timedelta("1D"))
    before = mine[(day < one["day"]) & (day >= 0)]
    assert one["views"] == (before["event"] == "pv").sum()
    assert one["ordered"] == (mine["event"][day == one["day"]] == "buy").any()
