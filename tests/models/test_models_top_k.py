from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.errors import FitError
from beautyrec.models.top_k import CROWD, FOLDS, TILE, best_columns

GROUP = 8 * FOLDS


def by_sorting(scores, k):
    """Sort every row whole."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    values = np.take_along_axis(scores, order, axis=1)
    order = np.where(values == -np.inf, -1, order)
    short = ((0, 0), (0, k - order.shape[1]))
    return np.pad(order, short, constant_values=-1), np.pad(values, short, constant_values=-np.inf)


def agree(scores, k):
    columns, values = best_columns(scores, k)
    expected_columns, expected_values = by_sorting(scores, k)
    np.testing.assert_array_equal(columns, expected_columns)
    np.testing.assert_array_equal(values, expected_values)


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    b=st.integers(0, 5),
    width=st.integers(0, 20 * GROUP),
    k=st.integers(1, 30),
    distinct=st.sampled_from([1, 2, 5, 50, 10**9]),
    never=st.sampled_from([0.0, 0.3, 0.99, 1.0]),
)
def test_equals_a_full_stable_sort(seed, b, width, k, distinct, never):
    rng = np.random.default_rng(seed)
    scores = (rng.integers(0, distinct, (b, width)) - distinct // 2).astype(np.float32)
    scores[rng.random((b, width)) < never] = -np.inf
    agree(scores, k)


def test_rows_that_are_nearly_all_ties_are_cut_exactly():
    scores = np.zeros((3, 20 * GROUP), dtype=np.float32)
    scores[1, [700, 3]] = 1
    scores[2, 5:] = -1
    k = 4
    assert scores.shape[1] > CROWD * k
    columns, _ = best_columns(scores, k)
    assert columns.tolist() == [[0, 1, 2, 3], [3, 700, 0, 1], [0, 1, 2, 3]]


def test_the_columns_after_the_last_whole_group_count():
    scores = np.zeros((1, 9 * GROUP + 3), dtype=np.float32)
    scores[0, -1] = 2
    assert best_columns(scores, 2)[0].tolist() == [[9 * GROUP + 2, 0]]


def test_the_input_is_only_read():
    scores = np.random.default_rng(0).normal(size=(4, 500)).astype(np.float32)
    scores.setflags(write=False)
    agree(scores, 3)


@pytest.mark.parametrize("k", [1, 10])
def test_infinite_scores_stand_first(k):
    scores = np.array([[1.0, np.inf, 2.0]], dtype=np.float32)
    agree(scores, k)


def test_tiles_do_not_change_the_answer():
    rng = np.random.default_rng(1)
    agree(rng.integers(-400, 400, (3 * TILE // 2_000, 2_000)).astype(np.float32), 7)


def test_the_best_of_a_row_may_all_stand_in_few_groups():
    """Columns of a group stand a fixed distance apart: here the best do, and then they stand side by side."""
    scores = np.zeros((2, 20 * GROUP), dtype=np.float32) + np.arange(20 * GROUP, dtype=np.float32) / 1e6
    apart = scores.shape[1] // FOLDS
    scores[0, ::apart] += 1
    scores[1, :FOLDS] += 1
    for k in (1, 5, FOLDS, 50):
        agree(scores, k)


def test_signed_zeros_are_equal_and_every_float_keeps_its_order():
    scores = np.array([[0.0, -0.0, 1e-45, -1e-45, np.finfo(np.float32).max, -np.inf, np.inf, -1.0]], dtype=np.float32)
    agree(scores, 8)


@pytest.mark.parametrize("width", [3, 20 * GROUP, 20 * GROUP + 3])
@pytest.mark.parametrize("column", [0, -1])
def test_scores_that_are_not_numbers_are_refused(width, column):
    scores = np.zeros((4, width), dtype=np.float32)
    scores[2, column] = np.nan
    with pytest.raises(FitError, match="1 of 4 rows"):
        best_columns(scores, 2)
