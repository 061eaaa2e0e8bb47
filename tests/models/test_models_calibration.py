from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq, minimize
from scipy.special import expit, logit

from beautyrec.errors import ArtifactError, FitError
from beautyrec.models.calibrated import LogisticCalibration, SceneCalibration, calibration_from, sigmoid
from beautyrec.models.calibration import Beta, Isotonic, PerScene, Platt
from beautyrec.models.state import ModelState


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


METHODS = [Platt(), Beta(), Isotonic(), PerScene(), PerScene(Isotonic())]


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("weight", [None, 2.0])
def test_every_method_finds_a_curve_it_can_follow(rng, method, weight):
    x = rng.normal(-2, 1.0, 200_000)
    truth = sigmoid(0.5 + 0.7 * x)
    y = rng.random(len(x)) < truth
    group = rng.integers(0, 3, len(x)).astype(float)
    line = method.fit(x, y, None if weight is None else np.full(len(x), weight), group)
    found = line.probability(x, group)
    assert np.abs(found - truth).mean() < 0.06 * truth.mean()
    assert found.mean() == pytest.approx(y.mean(), rel=0.02)


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_a_calibration_is_stored_and_read_back(rng, method):
    x, group = rng.normal(size=500), rng.integers(0, 3, 500).astype(float)
    line = method.fit(x, rng.random(500) < sigmoid(x + group), None, group)
    state = ModelState("any", {f"a_{name}": array for name, array in line.arrays().items()}, {})
    again = calibration_from(state, "a_", line.meta())
    np.testing.assert_array_equal(again.probability(x, group), line.probability(x, group))
    assert again.by == line.by
    with pytest.raises(ArtifactError):
        calibration_from(state, "b_", line.meta())
    with pytest.raises(ArtifactError, match="unknown kind"):
        calibration_from(state, "a_", {"kind": "magic"})


def test_beta_is_the_maximum_found_by_a_general_optimiser(rng):
    x = rng.normal(-1, 2, 3000)
    y = rng.random(3000) < sigmoid(x) ** 1.5
    line = Beta(slope_sd=5.0, intercept_sd=5.0).fit(x, y)
    q = sigmoid(x)

    def loss(at):
        z = at[0] * np.log(q) - at[1] * np.log1p(-q) + at[2]
        prior = ((at[:2] - 1) ** 2).sum() + at[2] ** 2
        return (np.logaddexp(0, z) - y * z).sum() + prior / (2 * 25)

    found = minimize(
        loss, [1.0, 1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 5000}
    )
    assert (line.a, line.b, line.c) == pytest.approx(tuple(found.x), abs=1e-3)


def test_beta_keeps_the_order_where_the_data_would_turn_it(rng):
    x = rng.normal(size=4000)
    line = Beta(slope_sd=100.0).fit(x, rng.random(4000) < sigmoid(-x))
    assert line.a >= 0
    assert line.b >= 0
    assert (np.diff(line.probability(np.linspace(-6, 6, 50))) >= -1e-12).all()


def test_isotonic_is_that_of_scikit_learn_and_never_certain(rng):
    from sklearn.isotonic import IsotonicRegression

    x = rng.normal(size=800)
    y = rng.random(800) < sigmoid(2 * x)
    at = np.linspace(-5, 5, 99)
    found = Isotonic().fit(x, y).probability(at)
    expected = IsotonicRegression(out_of_bounds="clip").fit(x, y).predict(at)
    np.testing.assert_allclose(found, expected.clip(0.5 / 801, 1 - 0.5 / 801), atol=1e-3)
    assert (np.diff(found) >= 0).all()


def scenes(rng, n, shifts):
    group = rng.integers(0, len(shifts), n).astype(float)
    x = rng.normal(-2, 1, n)
    truth = sigmoid(x + np.asarray(shifts)[group.astype(int)])
    return x, group, truth, rng.random(n) < truth


def test_scenes_that_differ_get_their_own_level(rng):
    x, group, truth, y = scenes(rng, 200_000, [-0.4, 0.0, 0.5])
    found = PerScene().fit(x, y, None, group).probability(x, group)
    plain = Platt().fit(x, y).probability(x)
    for scene in range(3):
        here = group == scene
        assert found[here].mean() == pytest.approx(truth[here].mean(), rel=0.03)
    assert abs(plain[group == 0].mean() / truth[group == 0].mean() - 1) > 0.2


def test_scenes_that_do_not_differ_are_not_told_apart():
    """Over many draws the shifts of equal scenes are far smaller than what chance alone would give."""
    kept, own = [], []
    for seed in range(40):
        x, group, _, y = scenes(np.random.default_rng(seed), 2000, [0.0] * 5)
        line = PerScene().fit(x, y, None, group)
        assert isinstance(line, SceneCalibration)
        kept.append((line.shifts**2).mean())
        p = Platt().fit(x, y).probability(x)
        rates = [(y[group == s].mean() / p[group == s].mean() - 1) ** 2 for s in range(5)]
        own.append(np.mean(rates))
    assert np.mean(kept) < 0.35 * np.mean(own)


def kept_of_own_shift(x, group, y, scene):
    """The shift of a scene beside the one that its rows alone would have."""
    line = PerScene().fit(x, y, None, group)
    here = group == scene
    z = logit(line.within.probability(x[here]))
    return line.shifts[scene] / brentq(lambda shift: expit(z + shift).sum() - y[here].sum(), -5, 5)


def test_a_scene_with_few_events_moves_less_than_one_with_many(rng):
    x, group, _, y = scenes(rng, 60_000, [-0.5, 0.5, 0.6])
    few = (group != 2) | (np.cumsum(group == 2) <= 100)
    assert 0.2 < kept_of_own_shift(x[few], group[few], y[few], 2) < 0.9
    assert kept_of_own_shift(x, group, y, 2) > 0.95


def test_an_unknown_scene_has_no_shift_and_one_without_clicks_is_finite(rng):
    x, group, _, y = scenes(rng, 5000, [0.0, 0.8])
    y = y & (group == 1)
    line = PerScene().fit(x, y, None, group)
    assert np.isfinite(line.probability(x, group)).all()
    np.testing.assert_array_equal(line.probability(x, np.full(5000, np.nan)), line.within.probability(x))
    np.testing.assert_array_equal(line.probability(x, np.full(5000, 7.0)), line.within.probability(x))
    with pytest.raises(FitError, match="no 'scene'"):
        PerScene().fit(x, y)


def test_weights_count_as_repeated_rows(rng):
    x, y = rng.normal(size=300), rng.random(300) < 0.3
    times = rng.integers(1, 4, 300)
    for method in (Platt(), Beta(), Isotonic()):
        once = method.fit(x, y, times.astype(float)).probability(x)
        again = method.fit(np.repeat(x, times), np.repeat(y, times)).probability(x)
        np.testing.assert_allclose(once, again, atol=1e-6)


def test_the_identity_stays_the_identity():
    assert LogisticCalibration().probability(np.array([0.3]))[0] == pytest.approx(expit(0.3))
