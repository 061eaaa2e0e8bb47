from __future__ import annotations

import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import ArtifactError
from beautyrec.models.base import History, Known, ModelState
from beautyrec.models.recommenders import (
    MANY,
    RECOMMENDERS,
    FactorRecommender,
    ItemScoreRecommender,
    recommender_from_state,
)


def known(users, items, seen):
    """Known users and items with ``seen`` a list of item lists."""
    indptr = np.concatenate([[0], np.cumsum([len(s) for s in seen])])
    history = History(indptr, np.array([i for s in seen for i in s], dtype=np.int64))
    popularity = np.bincount(history.item_ix, minlength=len(items)).astype(np.float32)
    return Known(Vocabulary(pd.Index(users)), Vocabulary(pd.Index(items)), history, popularity)


@pytest.fixture
def factors():
    rng = np.random.default_rng(0)
    who = known(["a", "b", "ü"], [10, 20, 30, 40], [[0], [1, 2], [3]])
    return FactorRecommender(who, *(rng.normal(size=(n, 5)).astype(np.float32) for n in (3, 4)))


def test_factor_scores_are_the_product_and_the_bias(factors):
    bias = np.array([3, 2, 1, 0], dtype=np.float32)
    expected = factors.user_factors @ factors.item_factors.T
    np.testing.assert_allclose(factors.scores(np.array([2, 0])), expected[[2, 0]], rtol=1e-6)
    biased = FactorRecommender(factors.known, factors.user_factors, factors.item_factors, bias)
    np.testing.assert_allclose(biased.scores(np.arange(3)), expected + bias, rtol=1e-6)
    again = recommender_from_state(biased.state())
    np.testing.assert_array_equal(again.scores(np.arange(3)), biased.scores(np.arange(3)))


def test_ids_that_are_not_ascii_survive(factors):
    again = recommender_from_state(factors.state())
    assert again.users.ids.tolist() == ["a", "b", "ü"]
    assert again.users.kind == "string"
    assert again.items.ids.tolist() == [10, 20, 30, 40]
    assert again.items.kind == "integer"


def test_item_scores_look_past_all_that_was_seen():
    who = known(["u", "v"], list("abcdef"), [[5, 4, 3, 2], [0]])
    model = ItemScoreRecommender(who, np.arange(6, dtype=np.float32))
    top, values = model.top_k(np.array([0, 1]), 2)
    assert top.tolist() == [[1, 0], [5, 4]]
    assert values.tolist() == [[1.0, 0.0], [5.0, 4.0]]
    assert model.top_k(np.array([0]), 2, candidates=np.array([0, 5]))[0].tolist() == [[0, -1]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("item_factors"), "array 'item_factors' is missing"),
        (lambda a: a.update(item_factors=np.zeros((3, 5))), r"'item_factors' is \(3, 5\), expected \(4, 5\)"),
        (lambda a: a.update(user_factors=np.zeros(3)), "'user_factors' is"),
        (lambda a: a.update(popularity=np.zeros(9)), "'popularity' is"),
        (lambda a: a.update(item_bias=np.zeros(3)), "'item_bias' is"),
    ],
)
def test_a_damaged_state_is_named(factors, change, message):
    state = factors.state()
    arrays = dict(state.arrays)
    change(arrays)
    with pytest.raises(ArtifactError, match=message):
        recommender_from_state(ModelState(state.kind, arrays, {}))


def test_an_unknown_kind_lists_those_known():
    with pytest.raises(
        ArtifactError, match=r"kind 'forest' is unknown; known are \['blend', 'factors', 'feature_factors', 'it"
    ):
        recommender_from_state(ModelState("forest", {}, {}))
    kinds = {
        "blend",
        "reranked",
        "factors",
        "least_squares",
        "item_similarity",
        "item_scores",
        "feature_factors",
        "two_tower",
    }
    assert set(RECOMMENDERS) == kinds


def test_what_a_service_imports_brings_no_training_library():
    heavy = ["scipy", "sklearn", "torch", "implicit", "lightfm", "ibis", "duckdb", "mlflow", "optuna"]
    code = f"import sys, beautyrec.models.recommenders; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def many_users(n=600, items=2_000, factors=16):
    rng = np.random.default_rng(0)
    who = known(range(n), range(items), rng.integers(0, items, (n, 4)).tolist())
    return FactorRecommender(who, *(rng.normal(size=(rows, factors)).astype(np.float32) for rows in (n, items)))


def test_threads_of_its_own_and_of_the_caller_change_nothing(monkeypatch):
    monkeypatch.setattr(FactorRecommender, "chunk_scores", 2_000 * 40)  # 15 chunks
    model, users = many_users(), np.arange(600)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = model.top_k(users, 20)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with ThreadPoolExecutor(4) as callers:
        for together in callers.map(lambda _: model.top_k(users, 20), range(4)):
            np.testing.assert_array_equal(together[0], alone[0])
            np.testing.assert_array_equal(together[1], alone[1])


@pytest.mark.parametrize("threads", ["1", "2"])
def test_ranking_holds_some_chunks_and_not_all_scores(monkeypatch, threads):
    monkeypatch.setattr(FactorRecommender, "chunk_scores", 2_000 * 20)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    model, users = many_users(n=3_000), np.arange(3_000)
    model.top_k(users[:100], 10)
    tracemalloc.start()
    model.top_k(users, 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    lists = 3_000 * 10 * (8 + 4)
    assert peak < lists + int(threads) * 5 * 2_000 * 20 * 4 < 3_000 * 2_000 * 4 / 4


def test_the_layout_of_the_items_does_not_change_a_score():
    """Products of many rows read a copy of the factors; scores without a room read the factors themselves."""
    model, users = many_users(), np.arange(600)
    assert len(users) >= MANY
    top, values = model.top_k(users, 5, exclude_seen=False)
    np.testing.assert_array_equal(np.take_along_axis(model.scores(users), top, axis=1), values)
    assert many_users().state().arrays.keys() == model.state().arrays.keys()
