"""Moments: merging, derivatives, cluster sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.moments import Moments, cluster_sums


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 4), st.floats(-1e3, 1e3), st.integers(0, 10_000))
def test_two_parts_merge_into_the_moments_of_all(left, right, columns, shift, seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(shift, 3, size=(left + right, columns))
    merged, whole = Moments.of(rows[:left]) + Moments.of(rows[left:]), Moments.of(rows)
    assert merged.count == whole.count
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(merged.covariance, whole.covariance, rtol=1e-7, atol=1e-7)


def test_covariance_is_numpys():
    rows = np.random.default_rng(0).normal(size=(50, 3))
    np.testing.assert_allclose(Moments.of(rows).covariance, np.cov(rows.T), rtol=1e-12)


def ratio_of_ratios(means):
    return (means[0] / means[1]) / (means[2] / means[3]) ** 2


def test_gradient_agrees_with_finite_differences():
    moments = Moments.of(np.random.default_rng(1).uniform(1, 2, size=(20, 4)))
    step = 1e-6
    expected = [
        (ratio_of_ratios(moments.mean + step * unit) - ratio_of_ratios(moments.mean - step * unit)) / (2 * step)
        for unit in np.eye(4)
    ]
    np.testing.assert_allclose(moments.gradient(ratio_of_ratios), expected, rtol=1e-7)


def test_variance_is_that_of_the_linearised_values():
    rows = np.random.default_rng(2).uniform(1, 2, size=(400, 2))
    moments = Moments.of(rows)
    ratio = rows[:, 0].mean() / rows[:, 1].mean()
    linear = (rows[:, 0] - ratio * rows[:, 1]) / rows[:, 1].mean()
    assert moments.variance(lambda means: means[0] / means[1]) == pytest.approx(linear.var(ddof=1) / 400, rel=1e-10)


def test_variance_is_that_seen_over_many_logs():
    rng = np.random.default_rng(3)
    rows = rng.gamma(2.0, size=(3000, 200, 2))
    means = rows.mean(axis=1)
    seen = (means[:, 0] / means[:, 1]).var()
    stated = np.mean([Moments.of(log).variance(lambda m: m[0] / m[1]) for log in rows[:200]])
    assert stated == pytest.approx(seen, rel=0.1)


def test_cluster_sums_add_rows_of_one_id():
    rows = np.arange(8.0).reshape(4, 2)
    np.testing.assert_array_equal(cluster_sums(rows, np.array([5, 3, 5, 9])), [[2, 3], [4, 6], [6, 7]])


@pytest.mark.parametrize(
    ("rows", "says"),
    [(np.empty((0, 2)), "n above 0"), (np.ones(3), "shape"), (np.array([[1.0], [np.nan], [np.inf]]), "2 of 3 rows")],
)
def test_bad_rows_are_named(rows, says):
    with pytest.raises(EvaluationError, match=says):
        Moments.of(rows)


def test_moments_of_different_columns_do_not_merge():
    with pytest.raises(EvaluationError, match="1 and 2 columns"):
        Moments.of(np.ones((2, 1))) + Moments.of(np.ones((2, 2)))
