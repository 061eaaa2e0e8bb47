from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.sales_deviation import (
    FACTORS,
    SalesFactors,
    sales_deviation,
    split_difference,
    weighted_absolute_percentage_error,
)

counts = st.tuples(
    st.integers(0, 5000), st.floats(0, 1), st.floats(0, 1), st.floats(0.1, 300, allow_nan=False)
)  # impressions, and the shares of them that go on


@st.composite
def funnels(draw):
    """Predicted and actual counts of the same rows; many rows without clicks or orders, at least one that sold."""
    n = draw(st.integers(1, 12))

    def side(first):
        rows = [first, *draw(st.lists(counts, min_size=n, max_size=n))]
        impressions = np.array([row[0] for row in rows])
        clicks = np.floor(impressions * [row[1] for row in rows])
        orders = np.floor(clicks * [row[2] for row in rows])
        return impressions, clicks, orders, orders * [row[3] for row in rows]

    return side((1000, 0.2, 0.3, 12.5)), side((1200, 0.1, 0.4, 11.0))


@given(funnels())
def test_contributions_sum_to_the_deviation_and_the_bias(example):
    (p, a) = example
    table = sales_deviation(SalesFactors.of_counts(*p), SalesFactors.of_counts(*a))
    parts, total = table.loc[list(FACTORS)], table.loc["total"]
    sold, said = a[3].sum(), p[3].sum()
    scale = max(1.0, (said + sold) / sold)
    assert parts["deviation"].sum() == pytest.approx(weighted_absolute_percentage_error(p[3], a[3]), abs=1e-9 * scale)
    assert parts["bias"].sum() == pytest.approx((said - sold) / sold, abs=1e-9 * scale)
    assert total["deviation"] == pytest.approx(parts["deviation"].sum(), abs=1e-9 * scale)
    assert total["bias_amount"] == pytest.approx(said - sold, abs=1e-9 * (said + sold))


@given(funnels())
def test_it_agrees_with_scikit_learn(example):
    p, a = example[0][3], example[1][3]
    assert weighted_absolute_percentage_error(p, a) == pytest.approx(
        mean_absolute_error(a, p) / a.mean(), abs=1e-9, rel=1e-9
    )


@given(st.lists(st.floats(0, 50), min_size=8, max_size=8))
def test_contributions_are_the_mean_over_all_orders_of_change(values):
    p, a = np.array(values[:4]), np.array(values[4:])
    expected = np.zeros(4)
    for order in permutations(range(4)):
        now = a.copy()
        for factor in order:
            before = now.prod()
            now[factor] = p[factor]
            expected[factor] += (now.prod() - before) / 24
    sides = [SalesFactors(*side[:, None]) for side in (p, a)]
    np.testing.assert_allclose(split_difference(*sides)[0], expected, atol=1e-9 * max(1.0, p.prod(), a.prod()))


@given(st.lists(st.floats(0, 50), min_size=8, max_size=8), st.integers(0, 3))
def test_a_factor_that_was_right_gets_nothing(values, factor):
    p, a = np.array(values[:4]), np.array(values[4:])
    p[factor] = a[factor]
    parts = split_difference(*(SalesFactors(*side[:, None]) for side in (p, a)))
    assert parts[0, factor] == 0


def test_only_the_price_was_wrong():
    actual = SalesFactors.of_counts([100, 400], [10, 20], [5, 5], [50.0, 100.0])
    predicted = SalesFactors(actual.traffic, actual.ctr, actual.cvr, actual.price * [1.2, 0.9])
    table = sales_deviation(predicted, actual)
    assert table.loc["price", "deviation_amount"] == pytest.approx(10 + 10)
    assert table.loc["price", "bias_amount"] == pytest.approx(10 - 10, abs=1e-9)
    assert table.loc[["traffic", "ctr", "cvr"]].abs().to_numpy().max() < 1e-9


def test_a_factor_that_pulled_back_takes_from_the_deviation():
    """Traffic was said to double and CTR to fall to a fifth: less in all, but for the traffic it would be still less."""
    actual = SalesFactors.of_counts([100], [10], [5], [50.0])
    predicted = SalesFactors(2 * actual.traffic, actual.ctr / 5, actual.cvr, actual.price)
    table = sales_deviation(predicted, actual)
    assert table.loc["total", "deviation"] == pytest.approx(0.6)
    assert table.loc["traffic", "deviation"] < 0 < table.loc["ctr", "deviation"]
    assert table.loc["ctr", "bias"] == pytest.approx(-table.loc["ctr", "deviation"])


def test_no_clicks_lays_nothing_to_cvr_and_price():
    actual = SalesFactors.of_counts([100, 100], [0, 10], [0, 5], [0.0, 50.0])
    predicted = SalesFactors.of_counts([100, 100], [10, 10], [5, 5], [50.0, 50.0])
    table = sales_deviation(predicted, actual)
    assert table["deviation"].round(12).to_dict() == {"traffic": 0, "ctr": 1, "cvr": 0, "price": 0, "total": 1}


def test_deviation_by_hand():
    assert weighted_absolute_percentage_error([12, 0, 5], [10, 5, 5]) == pytest.approx(7 / 20)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: weighted_absolute_percentage_error([1.0], [0.0]), "nothing to divide by"),
        (lambda: weighted_absolute_percentage_error([np.inf], [1.0]), "finite"),
        (lambda: SalesFactors.of_counts([10], [0], [2], [5.0]), "1 of 1 rows have orders without clicks"),
        (lambda: SalesFactors.of_counts([10], [1, 2], [2], [5.0]), "must agree"),
        (lambda: SalesFactors(*np.array([[1.0], [np.nan], [1.0], [1.0]])), "1 of 1 values of 'ctr'"),
        (lambda: SalesFactors(*np.array([[1.0], [-0.1], [1.0], [1.0]])), "the first is -0.1 in row 0"),
        (lambda: SalesFactors(*np.ones((4, 2, 2))), "same n"),
        (
            lambda: split_difference(SalesFactors(*np.ones((4, 2))), SalesFactors(*np.ones((4, 3)))),
            "2 predicted rows and 3 actual",
        ),
        (
            lambda: sales_deviation(SalesFactors(*np.ones((4, 1))), SalesFactors(*np.zeros((4, 1)))),
            "all 1 actual sales",
        ),
    ],
)
def test_what_cannot_be_split_is_an_error(call, message):
    with pytest.raises(EvaluationError, match=message):
        call()
