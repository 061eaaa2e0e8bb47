from __future__ import annotations

import numpy as np
import pytest

from beautyrec.errors import FitError
from beautyrec.selection.shrink import fit_shrinkage

pytest.importorskip("scipy")


def drawn(seed: int, slope: float, tilt: float, n: int = 2000) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    shown, rate, worth = rng.integers(100, 2000, n).astype(float), rng.lognormal(-5, 0.5, n), rng.lognormal(2, 1, n)
    real = np.exp(-5 + slope * (np.log(rate) + 5) + tilt * (np.log(worth) - 2))
    return rate * shown, rng.poisson(real * shown * rng.gamma(6, 1 / 6, n)), shown, worth, real


def test_what_later_rows_say_is_found_again() -> None:
    found = [fit_shrinkage(*drawn(seed, 0.6, -0.2)[:4], ridge=0.0) for seed in range(20)]
    assert np.mean([each.slope for each in found]) == pytest.approx(0.6, abs=0.03)
    assert np.mean([each.tilt for each in found]) == pytest.approx(-0.2, abs=0.02)
    assert np.mean([each.sureness for each in found]) == pytest.approx(6.0, rel=0.1)
    expected, _, shown, worth, real = drawn(99, 0.6, -0.2)
    np.testing.assert_allclose(found[0].apply(expected / shown, worth), real, rtol=0.3)


def test_the_best_of_many_keep_their_promise_after_it() -> None:
    expected, observed, shown, worth, _ = drawn(1, 0.5, -0.3)
    found = fit_shrinkage(expected, observed, shown, worth)
    later, _, seen, value, real = drawn(2, 0.5, -0.3)
    rate, kept = later / seen, {}
    for name, promised in (("raw", rate), ("drawn", found.apply(rate, value))):
        best = np.argsort(-promised * value)[:100]
        kept[name] = (real * value)[best].sum() / (promised * value)[best].sum()
    assert kept["raw"] < 0.7
    assert kept["drawn"] == pytest.approx(1.0, abs=0.1)


def test_rates_are_never_drawn_apart() -> None:
    found = fit_shrinkage(*drawn(3, 1.5, 0.4)[:4])
    assert found.slope == 1.0
    assert found.tilt == 0.0
    rates = np.array([0.0, 0.001, 0.01])
    np.testing.assert_allclose(found.apply(rates, np.array([1.0, 0.0, 5.0])), rates * found.level)


def test_nothing_to_learn_from_is_named() -> None:
    ones, none = np.ones(5), np.zeros(5)
    with pytest.raises(FitError, match="0 happened"):
        fit_shrinkage(ones, none, ones, ones)
    with pytest.raises(FitError, match="0 products"):
        fit_shrinkage(none, ones, ones, ones)
