from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import poisson

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.deviation_report import Noise, deviation_by
from beautyrec.evaluation.sales_deviation import FACTORS, SalesFactors


def month(rng: np.random.Generator, n: int = 60, off: float = 1.0) -> tuple[SalesFactors, SalesFactors, np.ndarray]:
    traffic, ctr, cvr, price = rng.integers(500, 5000, n), rng.uniform(0.01, 0.05, n), rng.uniform(0.1, 0.3, n), 20.0
    orders = rng.poisson(traffic * ctr * cvr * np.where(np.arange(n) < n // 3, off, 1.0))
    clicks = np.maximum(np.rint(traffic * ctr), orders)
    predicted = SalesFactors(traffic.astype(float), ctr, cvr, np.full(n, price))
    return predicted, SalesFactors.of_counts(traffic, clicks, orders, orders * price), np.arange(n) * 3 // n


def test_parts_sum_to_the_difference_of_each_group() -> None:
    predicted, actual, scene = month(np.random.default_rng(0), off=0.5)
    table = deviation_by(scene, predicted, actual, rng=np.random.default_rng(1))
    np.testing.assert_allclose(table[list(FACTORS)].sum(axis=1), table["difference"])
    for name, row in table.iterrows():
        here = scene == name
        assert row["predicted"] == pytest.approx(predicted.sales()[here].sum())
        assert row["actual"] == pytest.approx(actual.sales()[here].sum())
    assert table.index[0] == 0
    assert table["driver"].iloc[0] == "cvr"
    assert table["difference"].abs().is_monotonic_decreasing


def test_a_right_prediction_is_seldom_called_more_than_noise_and_a_wrong_one_is() -> None:
    called, found = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        called.append(deviation_by(*_by(month(rng)), rng=rng, noise=Noise(draws=400))["more_than_noise"].any())
        found.append(deviation_by(*_by(month(rng, off=0.7)), rng=rng, noise=Noise(draws=400))["more_than_noise"][0])
    assert np.mean(called) <= 0.12  # 5 % for all groups together
    assert np.mean(found) > 0.95


def _by(parts: tuple[SalesFactors, SalesFactors, np.ndarray]) -> tuple[np.ndarray, SalesFactors, SalesFactors]:
    return parts[2], parts[0], parts[1]


def test_the_p_value_is_that_of_poissons_distribution() -> None:
    predicted = SalesFactors.of_counts([1000], [100], [10], [100.0])
    actual = SalesFactors.of_counts([1000], [100], [16], [160.0])
    p = deviation_by(["a"], predicted, actual, rng=np.random.default_rng(0), noise=Noise(draws=20_000))["p_value"]["a"]
    assert p == pytest.approx(poisson.sf(15, 10) + poisson.cdf(4, 10), abs=0.01)
    wide = Noise(draws=5000, dispersion=4.0)
    assert deviation_by(["a"], predicted, actual, rng=np.random.default_rng(0), noise=wide)["p_value"]["a"] > 2 * p


def test_drawn_orders_have_the_mean_and_the_dispersion() -> None:
    drawn = Noise(dispersion=3.0).orders(np.full(200_000, 5.0), np.random.default_rng(0))
    assert drawn.mean() == pytest.approx(5.0, rel=0.01)
    assert drawn.var() == pytest.approx(15.0, rel=0.03)


def test_a_group_that_sold_nothing_and_wrong_input_are_said() -> None:
    nothing = SalesFactors.of_counts([10], [0], [0], [0.0])
    some = SalesFactors.of_counts([10], [5], [1], [9.0])
    table = deviation_by(["a"], some, nothing, rng=np.random.default_rng(0))
    assert table["deviation"]["a"] == np.inf
    with pytest.raises(EvaluationError, match="2 groups for 1 rows"):
        deviation_by(["a", "b"], some, nothing, rng=np.random.default_rng(0))
    with pytest.raises(EvaluationError, match="1 of them missing"):
        deviation_by([None], some, nothing, rng=np.random.default_rng(0))
    with pytest.raises(EvaluationError, match="at least 200 draws"):
        Noise(draws=3)
