from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.grouped_auc import grouped_auc


@st.composite
def grouped(draw):
    """Coarse predictions in few groups, the first of which has both labels."""
    n = draw(st.integers(2, 60))
    p = draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))
    y = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    g = draw(st.lists(st.integers(0, 7), min_size=n, max_size=n))
    return np.array(p) / 6, np.array([True, False, *y[2:]]), np.array([0, 0, *g[2:]])


@given(grouped(), st.booleans())
def test_it_is_the_mean_of_what_scikit_learn_gives_each_group(example, by_rows):
    p, y, g = example
    values, weights, left_out = [], [], 0
    for each in np.unique(g):
        mine = g == each
        if y[mine].all() or not y[mine].any():
            left_out += 1
            continue
        values.append(roc_auc_score(y[mine], p[mine]))
        weights.append(mine.sum() if by_rows else 1)
    found = grouped_auc(p, y, g, by_rows=by_rows)
    assert found.value == pytest.approx(np.average(values, weights=weights), abs=1e-9)
    assert (found.groups, found.groups_left_out) == (len(values), left_out)
    assert found.rows + found.rows_left_out == len(p)
    assert (found.estimate is None) == (len(values) < 2)


@given(grouped())
def test_one_group_is_the_plain_auc(example):
    p, y, _ = example
    assert grouped_auc(p, y, np.zeros(len(p))).value == pytest.approx(roc_auc_score(y, p), abs=1e-9)


def test_what_separates_groups_only_is_worth_a_half(rng):
    user = np.repeat(np.arange(200), 20)
    taste = rng.random(200)[user]
    happened = rng.random(len(user)) < taste
    assert roc_auc_score(happened, taste) > 0.7
    assert grouped_auc(taste, happened, user).value == 0.5


def test_the_interval_covers_the_mean_over_groups(rng):
    covered = 0
    for _ in range(300):
        user = np.repeat(np.arange(60), 6)
        score = rng.normal(size=len(user))
        happened = rng.random(len(user)) < 0.4
        found = grouped_auc(score, happened, user).estimate
        covered += found.ci_low <= 0.5 <= found.ci_high
    assert 0.91 <= covered / 300 <= 0.985


def test_the_text_says_what_is_left_out():
    found = grouped_auc([0.1, 0.9, 0.2], [False, True, False], np.array(["a", "a", "b"]))
    assert str(found) == (
        "GAUC 1.0000, weighted by rows, over 1 of 2 groups (2 of 3 rows); 1 groups have one label only"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.1, 0.2], [True, True], np.array([1, 2])), "none of 2 groups"),
        (([0.1, np.nan], [True, False], np.array([1, 1])), "1 of 2 predictions are NaN"),
        (([0.1], [True, False], np.array([1, 1])), "shapes"),
    ],
)
def test_what_has_no_auc_is_an_error(arguments, message):
    with pytest.raises(EvaluationError, match=message):
        grouped_auc(*arguments)
