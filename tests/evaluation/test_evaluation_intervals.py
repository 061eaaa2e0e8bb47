"""Intervals: quantiles against scipy, the jackknife against formulas, coverage on problems with a known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.intervals import Jackknife, student_quantile
from beautyrec.evaluation.moments import Moments


@pytest.mark.parametrize("degrees", [2, 2.01, 3.7, 10, 29.9, 30.1, 200, 1e5])
@pytest.mark.parametrize("probability", [0.5, 0.9, 0.975, 0.9995])
def test_student_quantile_is_scipys(probability, degrees):
    assert student_quantile(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), abs=1e-6)


def test_jackknife_of_a_mean_is_the_standard_error_of_the_mean():
    rows = np.random.default_rng(0).gamma(1.0, size=(60, 1))
    knife = Jackknife.of(rows, lambda means: means[0])
    assert knife.standard_error == pytest.approx(stats.sem(rows[:, 0]), rel=1e-9)
    assert knife.kurtosis == pytest.approx(stats.kurtosis(rows[:, 0], fisher=False), rel=1e-9)


def test_without_skew_and_heavy_tails_it_is_the_usual_interval():
    knife = Jackknife(value=1.0, standard_error=0.1, kurtosis=3.0, clusters=300_000)
    np.testing.assert_allclose(knife.interval(0.95), (1 - 0.196, 1 + 0.196), atol=1e-4)


def test_heavy_tails_leave_few_degrees_of_freedom():
    knife = Jackknife(value=0.0, standard_error=1.0, kurtosis=10.0, clusters=80)
    assert knife.interval(0.9)[1] == pytest.approx(stats.t.ppf(0.95, 8))
    assert Jackknife(0.0, 1.0, kurtosis=90.0, clusters=100).degrees == 2


def test_jackknife_error_is_near_the_delta_methods_for_a_smooth_ratio():
    rows = np.random.default_rng(1).gamma(4.0, size=(2000, 2))
    knife = Jackknife.of(rows, lambda m: m[0] / m[1])
    assert knife.standard_error**2 == pytest.approx(Moments.of(rows).variance(lambda m: m[0] / m[1]), rel=0.01)


@pytest.mark.parametrize("heavy", [False, True])
def test_covers_a_known_ratio_in_about_95_percent(heavy):
    rng = np.random.default_rng(4)
    missed_low = missed_high = 0
    for _ in range(1500):
        top = rng.lognormal(0, 1.2, size=120) if heavy else rng.gamma(4, size=120)
        bottom = rng.gamma(4, size=120)
        truth = np.log((np.exp(0.72) if heavy else 4) / 4)
        low, high = Jackknife.of(np.stack([top, bottom], axis=1), lambda m: np.log(m[0] / m[1])).interval()
        missed_low += truth > high
        missed_high += truth < low
    coverage = 1 - (missed_low + missed_high) / 1500
    assert (0.925 if heavy else 0.935) <= coverage <= 0.975  # normal intervals of the heavy case cover 0.92
    assert heavy or min(missed_low, missed_high) > 15


def test_one_cluster_or_an_undefined_value_raise():
    with pytest.raises(EvaluationError, match="at least 2 clusters"):
        Jackknife.of(np.ones((1, 2)), lambda m: m[0])
    with pytest.raises(EvaluationError, match="1 of 2 clusters"):
        Jackknife.of(np.array([[1.0], [0.0]]), lambda m: np.log(m[0]))


def test_values_that_do_not_vary_have_an_interval_of_no_width():
    assert Jackknife.of(np.ones((5, 1)), lambda m: m[0]).interval() == (1.0, 1.0)
