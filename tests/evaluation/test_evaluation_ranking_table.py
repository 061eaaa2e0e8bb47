from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.list_quality import Ratio
from beautyrec.evaluation.ranking import mean_estimate
from beautyrec.evaluation.ranking_table import estimate, paired_test, ranking_table, warmth


def test_segments_are_what_their_own_requests_give(rng):
    values = rng.random(60)
    scene = np.array(["evening", "flash sale", "morning"])[np.arange(60) % 3]
    table = ranking_table({"recall": values, "share": Ratio(values, np.full(60, 2.0))}, scene)
    assert table["segment"].tolist() == ["all"] * 2 + ["evening"] * 2 + ["flash sale"] * 2 + ["morning"] * 2
    row = table[(table["segment"] == "morning") & (table["metric"] == "recall")].iloc[0]
    own = mean_estimate(values[scene == "morning"], "recall")
    assert (row["value"], row["ci_low"], row["ci_high"], row["n"]) == (own.value, own.ci_low, own.ci_high, 20)
    halves = table[table["metric"] == "share"]["value"].to_numpy(float)
    np.testing.assert_allclose(halves, table[table["metric"] == "recall"]["value"].to_numpy(float) / 2)


def test_small_segments_and_missing_labels_have_no_nan(rng):
    values = rng.random(6)
    table = ranking_table(
        {"recall": values, "debiased": Ratio(values * 0, np.array([1, 1, 1, 1, 1, 0.0]))},
        pd.Series(["a", "a", None, "b", "a", "c"]),
    )
    assert table["segment"].unique().tolist() == ["all", "a", "b", "c", "unknown"]
    single = table[(table["segment"] == "b") & (table["metric"] == "recall")].iloc[0]
    assert single["value"] == values[3]
    assert single["ci_low"] is pd.NA
    assert "two or more" in single["note"]
    nothing = table[(table["segment"] == "c") & (table["metric"] == "debiased")].iloc[0]
    assert nothing["value"] is pd.NA
    assert nothing["note"]


def test_the_interval_of_a_ratio_covers(rng):
    covered = 0
    for _ in range(400):
        below = rng.gamma(2, 1, 300)
        above = below * (rng.random(300) < 0.2)
        found = estimate(Ratio(above, below), "debiased recall")
        covered += found.ci_low <= 0.2 <= found.ci_high
    assert 0.92 <= covered / 400 <= 0.98


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=2, max_size=8))
def test_the_paired_test_draws_what_all_signs_give(differences):
    d = np.array(differences)
    sums = [abs(np.dot(signs, d)) for signs in itertools.product([-1, 1], repeat=len(d))]
    exact = np.mean(np.array(sums) >= abs(d.sum()) - 1e-9)
    found = paired_test(d + 2, np.full(len(d), 2.0), seed=3, permutations=4_000)
    assert found.p_value == pytest.approx((1 + 4_000 * exact) / 4_001, abs=0.04)


def test_the_paired_test_holds_its_level_and_is_never_zero(rng):
    p = [paired_test(*rng.random((2, 40)), seed=i, permutations=99).p_value for i in range(600)]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert paired_test(np.ones(30), np.zeros(30), seed=0, permutations=99).p_value == 1 / 100


def test_a_ratio_is_tested_by_what_is_above_the_line(rng):
    below = np.full(50, 2.0)
    first, second = rng.random((2, 50))
    plain, ratio = (
        paired_test(first, second, seed=1),
        paired_test(Ratio(first, below), Ratio(second, below), seed=1),
    )
    assert ratio.p_value == plain.p_value
    assert ratio.difference.value == pytest.approx(plain.difference.value / 2)


def test_what_cannot_be_compared_is_named():
    with pytest.raises(EvaluationError, match="of one kind"):
        paired_test(np.ones(3), np.ones(4), seed=0)
    with pytest.raises(EvaluationError, match="different sums"):
        paired_test(Ratio(np.ones(3), np.ones(3)), Ratio(np.ones(3), np.full(3, 2.0)), seed=0)
    with pytest.raises(EvaluationError, match="draw at least 1"):
        paired_test(np.ones(3), np.ones(3), seed=0, permutations=0)
    with pytest.raises(EvaluationError, match="'recall' has 3 values for 2 requests"):
        ranking_table({"recall": np.ones(3)}, ["a", "b"])


def test_warmth_by_hand():
    assert warmth(np.array([2, 0, 0]), np.array([True, True, False])).tolist() == ["hot", "warm", "cold"]
