from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import ArtifactError
from beautyrec.models.base import History, Known, ModelState
from beautyrec.models.recommenders import (
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
        ArtifactError, match=r"kind 'forest' is unknown; known are \['factors', 'item_scores', 'item_si"
    ):
        recommender_from_state(ModelState("forest", {}, {}))
    assert set(RECOMMENDERS) == {"factors", "least_squares", "item_similarity", "item_scores"}


def test_what_a_service_imports_brings_no_training_library():
    heavy = ["scipy", "sklearn", "torch", "implicit", "lightfm", "ibis", "duckdb", "mlflow", "optuna"]
    code = f"import sys, beautyrec.models.recommenders; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
