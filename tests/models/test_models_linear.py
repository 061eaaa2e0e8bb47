"""EASE, SLIM and EASE among neighbours against dense formulas and scikit-learn, and what they cost."""

from __future__ import annotations

import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.data.interactions import Interactions
from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import FitError, MissingExtraError
from beautyrec.models import ease, neighbours, slim
from beautyrec.models.ease import EASE, gram
from beautyrec.models.item_knn import ItemKNN
from beautyrec.models.known import recency_weight
from beautyrec.models.neighbours import nearest_items
from beautyrec.models.slim import SLIM, LocalEASE
from beautyrec.testing.models import small_log


def weighted_log(seed=1):
    """The small log with weights of its own, which leave no ties."""
    rng = np.random.default_rng(seed)
    return replace(small_log(), weight=rng.uniform(0.2, 2, len(small_log())).astype(np.float32))


def sparse_log(n_users, n_items, per_user, seed=0):
    """Users who take ``per_user`` items each, with popular ones among them."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(n_users), per_user)
    item = np.minimum((n_items * rng.random(len(user)) ** 1.5).astype(np.int64), n_items - 1)
    users, items = (Vocabulary(pd.RangeIndex(n)) for n in (n_users, n_items))
    return Interactions(users, items, user, item, np.arange(len(user)), np.ones(len(user), np.float32))


def dense(model):
    """[I, I] the similarities of a model."""
    n = len(model.items)
    found = np.zeros((n, n))
    found[np.repeat(np.arange(n), np.diff(model.indptr)), model.neighbour_ix] = model.similarity
    return found


def ease_by_formula(matrix, regularization):
    """[I, I] Steck's closed form, by a general inverse in 64-bit floats."""
    x = matrix.toarray().astype(float)
    inverse = np.linalg.inv(x.T @ x + regularization * np.eye(x.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


@pytest.mark.parametrize("block", [1_024, 7])
@pytest.mark.parametrize("regularization", [0.5, 20.0])
def test_ease_with_all_neighbours_is_the_closed_form(regularization, block, monkeypatch):
    monkeypatch.setattr(ease, "BLOCK", block)
    monkeypatch.setattr(neighbours, "PRODUCT_NONZEROS", 60 * block)
    log = weighted_log()
    model = EASE(regularization=regularization, neighbours=40).fit(log)
    np.testing.assert_allclose(dense(model), ease_by_formula(log.matrix(), regularization), atol=2e-6)


def test_ease_can_weight_the_fitted_history_by_recency():
    log = weighted_log()
    model = EASE(regularization=2.0, train_decay=0.5, decay=0.8, neighbours=40).fit(log)
    recent = replace(log, weight=log.weight * recency_weight(model.seen, 0.5))
    np.testing.assert_allclose(dense(model), ease_by_formula(recent.matrix(), 2.0), atol=2e-6)
    np.testing.assert_allclose(model.history_weight, log.weight * recency_weight(model.seen, 0.8))


def test_ease_keeps_the_largest_weights_of_each_row():
    log = weighted_log()
    full = ease_by_formula(log.matrix(), 2.0)
    np.fill_diagonal(full, -np.inf)
    expected = np.zeros_like(full)
    for row, weights in enumerate(full):
        best = np.argsort(-weights)[:3]
        expected[row, best] = weights[best]
    np.testing.assert_allclose(dense(EASE(regularization=2.0, neighbours=3).fit(log)), expected, atol=2e-6)


def test_ease_refuses_a_catalogue_whose_matrix_is_too_large_before_it_is_made():
    log = sparse_log(100, 50_000, 2)
    tracemalloc.start()
    with pytest.raises(
        FitError, match=r"50000 items need a dense matrix of 10\.0 GB; max_items is 20000\..*local_ease"
    ):
        EASE().fit(log)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()
    EASE(max_items=40).fit(small_log())
    with pytest.raises(FitError, match="max_items is 39"):
        EASE(max_items=39).fit(small_log())


def test_ease_says_what_to_raise_when_rounding_spoils_the_factor():
    log = sparse_log(3, 8, 8)
    log = replace(log, item_ix=np.tile(np.arange(8), 3), weight=np.full(24, 1e3, np.float32))  # eight items alike
    with pytest.raises(FitError, match=r"8 items has no inverse.*regularization of 0\.01\. Raise it"):
        EASE(regularization=0.01).fit(log)
    weights = dense(EASE(regularization=1e5, neighbours=8).fit(log))
    np.testing.assert_allclose(weights, ease_by_formula(log.matrix(), 1e5), rtol=1e-4)


def test_ease_holds_one_dense_matrix():
    log = sparse_log(2_000, 1_500, 5)
    EASE(neighbours=20).fit(small_log())  # imports
    tracemalloc.start()
    EASE(neighbours=20).fit(log)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    blocks = 3 * ease.BLOCK * 1_500 * 4  # some rows at a time
    assert peak < 4 * 1_500**2 + blocks


@pytest.mark.parametrize("block", [8_000_000, 60])
def test_the_gram_matrix_is_the_product(block, monkeypatch):
    monkeypatch.setattr(neighbours, "PRODUCT_NONZEROS", block)
    matrix = weighted_log().matrix()
    np.testing.assert_allclose(gram(matrix), (matrix.T @ matrix).toarray(), rtol=1e-6)


def neighbours_by_loops(matrix, k):
    """For each item the k most similar by cosine among those that share a user with it."""
    x = matrix.toarray().astype(float)
    cosine = (x.T @ x) / np.maximum(np.outer(np.linalg.norm(x, axis=0), np.linalg.norm(x, axis=0)), 1e-12)
    np.fill_diagonal(cosine, 0)
    order = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
    return [[i for i in order[j] if cosine[j, i] > 0] for j in range(len(cosine))]


@pytest.mark.parametrize("k", [1, 3, 100])
def test_nearest_items_are_those_of_loops(k):
    matrix = weighted_log().matrix()
    near = nearest_items(matrix, k)
    for j, expected in enumerate(neighbours_by_loops(matrix, k)):
        assert sorted(near.indices[near.indptr[j] : near.indptr[j + 1]].tolist()) == sorted(expected)


def test_among_equally_near_items_the_first_are_kept():
    log = sparse_log(3, 6, 6)
    near = nearest_items(replace(log, item_ix=np.tile(np.arange(6), 3)).matrix(), 2)  # six items alike
    assert [near.indices[near.indptr[j] : near.indptr[j + 1]].tolist() for j in range(6)] == [
        [1, 2], [0, 2], *[[0, 1]] * 4
    ]  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.integers(0, 12), max_size=9), st.integers(1, 6), st.integers(0, 2**31))
def test_the_largest_of_each_group_are_those_of_a_stable_sort(sizes, k, seed):
    group = np.repeat(np.arange(len(sizes)), sizes)
    value = np.random.default_rng(seed).choice([0.25, 0.5, 3.0], len(group)).astype(np.float32)
    expected = []
    for g in range(len(sizes)):
        places = np.flatnonzero(group == g)
        expected += sorted(places[np.argsort(-value[places], kind="stable")[:k]].tolist())
    assert neighbours._largest(group, value, k).tolist() == expected


@pytest.mark.parametrize(("floats", "entries"), [(slim.BLOCK_FLOATS, slim.BLOCK_ENTRIES), (400, 10**9), (10**9, 300)])
@pytest.mark.parametrize("k", [4, 100])
def test_local_ease_is_a_ridge_regression_among_neighbours(k, floats, entries, monkeypatch):
    monkeypatch.setattr(slim, "BLOCK_FLOATS", floats)
    monkeypatch.setattr(slim, "BLOCK_ENTRIES", entries)
    log = weighted_log()
    x = log.matrix().toarray().astype(float)
    expected = np.zeros((x.shape[1],) * 2)
    for j, near in enumerate(neighbours_by_loops(log.matrix(), k)):
        ridge = x[:, near].T @ x[:, near] + 1.5 * np.eye(len(near))
        expected[near, j] = np.linalg.solve(ridge, x[:, near].T @ x[:, j])
    np.testing.assert_allclose(dense(LocalEASE(regularization=1.5, neighbours=k).fit(log)), expected, atol=2e-6)


def test_local_ease_is_ease_where_all_items_are_neighbours():
    rng = np.random.default_rng(3)
    log = sparse_log(80, 12, 6)
    log = replace(log, weight=rng.uniform(0.5, 2, len(log)).astype(np.float32))
    matrix = log.matrix()
    assert ((matrix.T @ matrix).toarray() > 0).all()
    model = LocalEASE(regularization=3.0, neighbours=11).fit(log)
    np.testing.assert_allclose(dense(model), ease_by_formula(matrix, 3.0), atol=2e-6)


@pytest.mark.parametrize(("l1", "l2"), [(0.3, 1.0), (0.05, 0.2)])
def test_slim_is_the_elastic_net_of_scikit_learn(l1, l2):
    linear_model = pytest.importorskip("sklearn.linear_model")
    log = weighted_log()
    x = log.matrix().toarray().astype(float)
    some = np.arange(0, x.shape[1], 3)
    expected = np.zeros((x.shape[1],) * 2)
    for j in some:
        others = np.delete(np.arange(x.shape[1]), j)
        size = (l1 + l2) / len(x)  # theirs divides the squared error by the number of rows
        net = linear_model.ElasticNet(
            alpha=size, l1_ratio=l1 / (l1 + l2), fit_intercept=False, positive=True, tol=1e-9, max_iter=5_000
        )
        expected[others, j] = net.fit(x[:, others], x[:, j]).coef_
    found = dense(SLIM(l1=l1, l2=l2, neighbours=39, tolerance=1e-7, sweeps=1_000).fit(log))
    np.testing.assert_allclose(found[:, some], expected[:, some], atol=1e-5)
    assert (found >= 0).all()


@pytest.mark.parametrize("config", [ItemKNN(), EASE(), LocalEASE(), SLIM()])
def test_a_missing_scipy_says_which_extra_has_it(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(MissingExtraError, match=r"beautyrec\[train\]"):
        config.fit(small_log())


def test_a_larger_l1_leaves_fewer_weights():
    kept = [len(SLIM(l1=l1, l2=1.0).fit(small_log()).similarity) for l1 in (0.0, 0.5, 2.0)]
    assert kept[0] > kept[1] > kept[2]
    assert len(SLIM(l1=1e6).fit(small_log()).similarity) == 0


def test_a_log_whose_items_share_no_user_has_no_weights():
    log = sparse_log(5, 5, 1)
    log = replace(log, item_ix=np.arange(5))
    calls = []
    for config in (SLIM(), LocalEASE()):
        model = config.fit(log, on_progress=lambda *now: calls.append(now))
        assert not model.scores(np.arange(5)).any()
    assert calls == [(1, 1), (1, 1)]


@pytest.mark.parametrize("config", [ItemKNN(neighbours=20), SLIM(neighbours=20), LocalEASE(neighbours=20)])
def test_fifty_thousand_items_take_the_memory_of_their_neighbours(config):
    log = sparse_log(8_000, 50_000, 8)
    config.fit(small_log())  # imports
    tracemalloc.start()
    model = config.fit(log)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(model.similarity) > 100_000
    assert peak < 300e6  # a dense matrix has 10 GB
