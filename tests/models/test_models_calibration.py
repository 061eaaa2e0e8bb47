from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from beautyrec.errors import FitError
from beautyrec.models.calibrated import sigmoid
from beautyrec.models.calibration import Platt


def test_sigmoid_is_that_of_scipy():
    x = np.linspace(-800, 800, 4001)
    np.testing.assert_allclose(sigmoid(x), expit(x), rtol=1e-12, atol=1e-300)


def objective(line, x, y, slope_sd, intercept_sd):
    z = line[1] + line[0] * x
    likelihood = (np.logaddexp(0, z) - y * z).sum()
    return likelihood + (line[0] - 1) ** 2 / (2 * slope_sd**2) + line[1] ** 2 / (2 * intercept_sd**2)


@pytest.mark.parametrize("rate", [-5.0, -1.0, 2.0])
@pytest.mark.parametrize("n", [5, 400])
def test_fit_is_the_maximum_found_by_a_general_optimiser(rng, rate, n):
    x = rng.normal(rate, 1.5, n)
    y = rng.random(n) < expit(0.6 * x + 0.8)
    line = Platt(slope_sd=0.3, intercept_sd=2.0).fit(x, y)
    found = minimize(
        objective, [1.0, 0.0], args=(x, y, 0.3, 2.0), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}
    )
    assert (line.slope, line.intercept) == pytest.approx(tuple(found.x), abs=1e-5)


def test_many_rows_find_the_line_they_were_drawn_from(rng):
    x = rng.normal(-4, 1.2, 400_000)
    y = rng.random(len(x)) < expit(0.3 + 0.8 * x)
    line = Platt().fit(x, y)
    assert line.slope == pytest.approx(0.8, abs=0.04)
    assert line.intercept == pytest.approx(0.3, abs=0.12)
    assert line.probability(x).mean() == pytest.approx(y.mean(), rel=0.02)


def test_without_positives_it_stays_near_the_identity_and_finite():
    line = Platt().fit(np.full(20, -1.0), np.zeros(20, dtype=bool))
    assert 0.5 < line.slope < 1.5
    assert -6 < line.intercept < 0


def test_extreme_log_odds_converge(rng):
    x = rng.choice([-40.0, 40.0], 200)
    line = Platt().fit(x, x > 0)
    assert np.isfinite([line.slope, line.intercept]).all()


def test_order_is_kept(rng):
    x = rng.normal(size=100)
    line = Platt().fit(x, rng.random(100) < expit(x))
    assert (np.argsort(line.probability(x)) == np.argsort(x)).all()


@pytest.mark.parametrize("x", [np.array([]), np.array([0.0, np.nan]), np.array([np.inf])])
def test_nothing_to_fit_is_an_error(x):
    with pytest.raises(FitError, match="calibration"):
        Platt().fit(x, np.zeros(len(x), dtype=bool))
