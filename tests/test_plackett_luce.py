"""Plackett–Luce chances against the enumeration of every slate."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec import plackett_luce
from beautyrec.errors import PolicyError


def slates_of(p, k):
    """Every slate of ``k`` (or as many as there are) with its chance, straight from the definition."""
    live = [j for j in range(len(p)) if p[j] > 0]
    for slate in itertools.permutations(live, min(k, len(live))):
        chance, above = 1.0, []
        for item in slate:
            chance *= p[item] / sum(p[j] for j in live if j not in above)
            above.append(item)
        yield slate, chance


def enumerated(p, k):
    """[C, k] chance of each item at each position."""
    table = np.zeros((len(p), k))
    for slate, chance in slates_of(p, k):
        for position, item in enumerate(slate):
            table[item, position] += chance
    return table


def measured(p, k):
    """[C, k] the same from `position_marginals`: each item put at each position above or below arbitrary others."""
    table = np.zeros((len(p), k))
    for item, position in itertools.product(range(len(p)), range(k)):
        others = [j for j in range(len(p)) if j != item][: k - 1]
        if position > len(others):
            continue
        slate = [*others[:position], item, *others[position:]]
        shown = np.full((1, k), -1)
        shown[0, : len(slate)] = slate
        table[item, position] = plackett_luce.position_marginals(p[None], shown)[0, position]
    return table


CASES = {
    "even": np.full(6, 1 / 6),
    "uneven": np.array([0.31, 0.05, 0.24, 0.02, 0.2, 0.18]),
    "one item takes nearly all": np.array([0.99, *np.full(5, 0.002)]),
    "six orders of magnitude": 10.0 ** -np.arange(6) / (10.0 ** -np.arange(6)).sum(),
    "padding in the middle": np.array([0.5, 0.0, 0.3, 0.0, 0.2]),
    "exactly as many as positions": np.array([0.6, 0.3, 0.1]),
    "alone": np.array([1.0]),
}


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("p", CASES.values(), ids=CASES)
def test_marginals_equal_enumeration(p, k):
    expected = enumerated(p, k)
    np.testing.assert_allclose(measured(p, k), expected, rtol=1e-8, atol=1e-14)
    filled = min(k, int((p > 0).sum()))
    np.testing.assert_allclose(measured(p, k).sum(axis=0), (np.arange(k) < filled).astype(float), atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 7), st.integers(1, 4), st.floats(0.1, 3), st.integers(0, 1000))
def test_marginals_at_all_positions_equal_enumeration(c, k, spread, seed):
    rng = np.random.default_rng(seed)
    weight = np.exp(spread * rng.standard_normal(c))
    p = weight / weight.sum()
    shown = plackett_luce.sample(p[None], k, rng)
    everywhere = plackett_luce.marginals_at_all_positions(p[None], shown)
    at = np.where(shown[0][:, None] >= 0, enumerated(p, k)[shown[0]], 0)
    np.testing.assert_allclose(everywhere[0], at, rtol=1e-8, atol=1e-14)
    diagonal = np.diagonal(everywhere, axis1=1, axis2=2)
    np.testing.assert_allclose(diagonal, plackett_luce.position_marginals(p[None], shown), rtol=1e-12)


def test_marginals_at_all_positions_of_many_rows_are_those_of_each():
    rng = np.random.default_rng(4)
    p = rng.dirichlet(np.full(12, 0.5), size=400)
    shown = plackett_luce.sample(p, 3, rng)
    together = plackett_luce.marginals_at_all_positions(p, shown)
    alone = np.concatenate([plackett_luce.marginals_at_all_positions(p[[b]], shown[[b]]) for b in range(0, 400, 57)])
    np.testing.assert_allclose(together[::57], alone, rtol=1e-9)


def test_tiny_chances_keep_relative_accuracy():
    p = np.array([1 - 3.1e-7, 1e-7, 1e-7, 1e-7, 1e-8])
    expected = enumerated(p, 3)
    seen = expected > 1e-9
    np.testing.assert_allclose(measured(p, 3)[seen], expected[seen], rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 7), st.integers(1, 4), st.floats(0.1, 3), st.integers(0, 1000))
def test_means_and_marginals_equal_enumeration_on_random_shelves(c, k, spread, seed):
    rng = np.random.default_rng(seed)
    weight = np.exp(spread * rng.standard_normal(c))
    p, values = weight / weight.sum(), rng.normal(size=(c, 2))
    expected = enumerated(p, k)
    np.testing.assert_allclose(
        plackett_luce.position_means(p[None], values[None], k)[0], expected.T @ values, rtol=1e-7, atol=1e-8
    )
    shown = plackett_luce.sample(p[None], k, rng)
    at = np.where(shown[0] >= 0, expected[shown[0], np.arange(k)], 0)
    np.testing.assert_allclose(plackett_luce.position_marginals(p[None], shown)[0], at, rtol=1e-8)


def test_rows_are_independent_of_their_neighbours():
    rng = np.random.default_rng(3)
    p = rng.dirichlet(np.full(30, 0.2), size=300)
    p[:100, 20:] = 0
    p /= p.sum(axis=1, keepdims=True)
    shown = plackett_luce.sample(p, 4, rng)
    together = plackett_luce.position_marginals(p, shown)
    alone = np.concatenate([plackett_luce.position_marginals(p[[b]], shown[[b]]) for b in range(0, 300, 37)])
    np.testing.assert_allclose(together[::37], alone, rtol=1e-9)


def test_conditional_and_joint_are_the_definition():
    p = np.array([0.4, 0.3, 0.2, 0.1])
    for slate, chance in slates_of(p, 3):
        shown = np.array([slate])
        assert plackett_luce.joint(p[None], shown)[0] == pytest.approx(chance, rel=1e-12)
    np.testing.assert_allclose(
        plackett_luce.conditional(p[None], np.array([[1, 3, -1]])), [[0.3, 0.1 / 0.7, 0.0]], rtol=1e-12
    )


def test_conditional_does_not_cancel_when_one_item_takes_nearly_all():
    p = np.array([[1 - 3e-15, 2e-15, 1e-15]])
    assert plackett_luce.conditional(p, np.array([[0, 1]]))[0, 1] == pytest.approx(2 / 3, rel=1e-12)


def test_samples_have_the_marginals_by_chi_square():
    p, n = np.array([0.5, 0.25, 0.15, 0.1]), 20_000
    drawn = plackett_luce.sample(np.tile(p, (n, 1)), 3, np.random.default_rng(5))
    expected = n * enumerated(p, 3)
    seen = np.stack([np.bincount(drawn[:, k], minlength=4) for k in range(3)], axis=1)
    chi_square = ((seen - expected) ** 2 / expected).sum(axis=0)
    assert (chi_square < 16.27).all()  # 99.9 % of chi-square with 3 degrees of freedom


def test_sample_repeats_by_seed_and_pads_short_shelves():
    p = np.array([[0.7, 0.3, 0.0], [0.2, 0.3, 0.5]])
    drawn = plackett_luce.sample(p, 5, np.random.default_rng(1))
    np.testing.assert_array_equal(drawn, plackett_luce.sample(p, 5, np.random.default_rng(1)))
    np.testing.assert_array_equal((drawn >= 0).sum(axis=1), [2, 3])
    assert set(drawn[0]) == {0, 1, -1}


@pytest.mark.parametrize(
    ("p", "shown", "says"),
    [
        (np.array([[0.5, 0.4]]), [[0]], "sums to 0.9"),
        (np.array([[1.5, -0.5]]), [[0]], "1 of 1 rows"),
        (np.array([[np.nan, 1.0]]), [[0]], "1 of 1 rows"),
        (np.array([[0.5, 0.5]]), [[2]], "columns -1..1"),
        (np.array([[0.5, 0.5]]), [[0, 0]], "twice"),
        (np.array([0.5, 0.5]), [[0]], "shape"),
    ],
)
def test_bad_input_is_named(p, shown, says):
    with pytest.raises(PolicyError, match=says):
        plackett_luce.position_marginals(p, np.array(shown))


def test_sampled_means_agree_with_the_integral():
    rng = np.random.default_rng(8)
    p, values = rng.dirichlet(np.ones(6), size=1), rng.normal(size=(1, 6, 2))
    many = plackett_luce.sampled_means(np.tile(p, (4000, 1)), np.tile(values, (4000, 1, 1)), 3, rng, draws=5)
    exact = plackett_luce.position_means(p, values, 3)[0]
    error = many.std(axis=0) / np.sqrt(4000)
    assert (np.abs(many.mean(axis=0) - exact) < 4 * error).all()


def test_means_want_a_value_axis():
    with pytest.raises(PolicyError, match="last axis"):
        plackett_luce.position_means(np.array([[1.0]]), np.array([[1.0]]), 1)
