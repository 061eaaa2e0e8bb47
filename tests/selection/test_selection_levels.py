"""Levels against their formula, against what made the counts, and at their edges."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("scipy")

from scipy.stats import nbinom

from beautyrec.errors import FitError, SchemaError
from beautyrec.selection.levels import fit_levels
from beautyrec.selection.shrink import likely_shape


def drawn(
    seed: int, scenes: float = 10.0, items: float = 4.0
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """Rows of 6 scenes and 400 items, their true factors gamma with these shapes: groups, predicted, observed, factor."""
    rng = np.random.default_rng(seed)
    groups = pd.DataFrame({"scene": rng.integers(0, 6, 8000), "item": rng.integers(0, 400, 8000)})
    factor = 0.7 * rng.gamma(scenes, 1 / scenes, 6)[groups["scene"]] * rng.gamma(items, 1 / items, 400)[groups["item"]]
    predicted = rng.gamma(2.0, 0.2, 8000)
    return groups, predicted, rng.poisson(predicted * factor).astype(float), factor


def test_one_column_is_the_formula() -> None:
    groups = pd.DataFrame({"scene": ["a", "a", "b", "c"]})
    predicted, observed = np.array([4.0, 6.0, 5.0, 5.0]), np.array([12.0, 10.0, 2.0, 6.0])
    found = fit_levels(predicted, observed, groups, rounds=1)
    overall, k = 30 / 20, found.strength["scene"]
    o, e = np.array([22.0, 2.0, 6.0]), overall * np.array([10.0, 5.0, 5.0])
    np.testing.assert_allclose(found.factors["scene"].loc[["a", "b", "c"]], (o + k) / (e + k))
    np.testing.assert_allclose(found.of(groups), overall * found.factors["scene"].loc[groups["scene"]].to_numpy())


def test_the_strength_is_the_most_likely_one() -> None:
    rng = np.random.default_rng(3)
    mean = rng.gamma(3, 2, 500)
    count = rng.poisson(mean * rng.gamma(2.5, 1 / 2.5, 500)).astype(float)
    grid = np.geomspace(0.05, 5000, 2000)
    likely = [nbinom.logpmf(count, k, k / (k + mean)).sum() for k in grid]
    assert likely_shape(count, mean) == pytest.approx(grid[int(np.argmax(likely))], rel=0.03)


def test_what_made_the_counts_is_found_and_drawn_estimates_err_less() -> None:
    errors = []
    for seed in range(5):
        groups, predicted, observed, factor = drawn(seed)
        found = fit_levels(predicted, observed, groups)
        assert found.strength["item"] == pytest.approx(4.0, rel=0.35)
        by_item = pd.DataFrame({"p": predicted, "o": observed}).groupby(groups["item"]).sum()
        undrawn = groups["item"].map(by_item["o"] / by_item["p"]).to_numpy()
        errors.append([np.mean((each - factor) ** 2) for each in (found.of(groups), undrawn, np.full(8000, 0.7))])
    drawn_error, undrawn_error, flat_error = np.mean(errors, axis=0)
    assert drawn_error < undrawn_error
    assert drawn_error < flat_error / 3


def test_groups_that_do_not_differ_are_taken_as_alike() -> None:
    rng = np.random.default_rng(0)
    groups = pd.DataFrame({"item": rng.integers(0, 200, 4000)})
    found = fit_levels(np.full(4000, 0.5), rng.poisson(1.0, 4000), groups)
    assert found.overall == pytest.approx(2.0, rel=0.05)
    assert found.factors["item"].between(0.9, 1.1).all()


def test_sums_of_predictions_meet_what_was_observed() -> None:
    groups, predicted, observed, _ = drawn(7)
    found = fit_levels(predicted, observed, groups)
    assert (predicted * found.of(groups)).sum() == pytest.approx(observed.sum(), rel=0.03)


def test_what_is_known_of_a_group_is_as_sure_as_its_posterior() -> None:
    """True factors of groups that were seen alike scatter around the estimate as a gamma distribution of that shape."""
    rng = np.random.default_rng(2)
    true = rng.gamma(3.0, 1 / 3, 20_000)
    groups = pd.DataFrame({"item": np.arange(20_000)})
    found = fit_levels(np.full(20_000, 4.0), rng.poisson(4.0 * true), groups)
    sure, level = found.sureness(groups["item"]), found.of(groups)
    for shape in np.quantile(sure, [0.2, 0.5, 0.8]):
        alike = sure == shape
        spread = np.std(true[alike] / level[alike])
        assert spread == pytest.approx(shape**-0.5, rel=0.1)
    assert found.sureness(pd.Series([-1], name="item"))[0] == found.strength["item"]
    with pytest.raises(SchemaError, match=r"no column 'brand'; there are \['item'\]"):
        found.sureness(pd.Series([1], name="brand"))


def test_groups_never_seen_and_gaps_are_at_the_overall_level() -> None:
    groups = pd.DataFrame({"brand": ["x", "x", None, "y"] * 50})
    observed = np.array([3.0, 3.0, 1.0, 1.0] * 50)
    found = fit_levels(np.ones(200), observed, groups)
    assert found.of(pd.DataFrame({"brand": [None, "new"]})).tolist() == [found.overall] * 2
    assert found.of(pd.DataFrame({"brand": ["x"]}))[0] > found.overall


@pytest.mark.parametrize(
    ("predicted", "observed"),
    [
        ([1.0, 1.0], [0.0, 0.0]),
        ([0.0, 0.0], [1.0, 1.0]),
        ([1.0], [1.0]),
        ([1.0, -1.0], [1.0, 1.0]),
        ([1.0, np.nan], [1, 1]),
    ],
)
def test_what_cannot_be_learnt_from_is_named(predicted: list[float], observed: list[float]) -> None:
    with pytest.raises(FitError, match="for 2 rows"):
        fit_levels(predicted, observed, pd.DataFrame({"item": [1, 2]}))


def test_a_column_that_is_not_there_is_named() -> None:
    found = fit_levels([1.0, 1.0], [1.0, 2.0], pd.DataFrame({"item": [1, 2]}))
    with pytest.raises(SchemaError, match=r"columns \['item'\] are missing; there are \['product'\]"):
        found.of(pd.DataFrame({"product": [1]}))
