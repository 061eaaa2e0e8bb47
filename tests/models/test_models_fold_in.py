from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.interactions import Interactions
from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import ArtifactError, UnknownIdError
from beautyrec.models import fold_in
from beautyrec.models.als import ALS
from beautyrec.models.base import ModelState
from beautyrec.models.bpr import BPR
from beautyrec.models.ease import EASE
from beautyrec.models.fold_in import FoldsIn, least_squares_users
from beautyrec.models.item_knn import ItemKNN
from beautyrec.models.known import History
from beautyrec.models.recommenders import recommender_from_state
from beautyrec.serving import ModelCard, write_artifact
from beautyrec.testing.models import small_log


def users_by_formula(seen, confidence, items, regularization):
    """[U, d] eq. 4 of Hu, Koren and Volinsky with dense matrices, one user at a time."""
    n_items, width = items.shape
    found = np.zeros((len(seen.indptr) - 1, width))
    for user in range(len(found)):
        entries = slice(seen.indptr[user], seen.indptr[user + 1])
        total = np.bincount(seen.item_ix[entries], weights=confidence[entries], minlength=n_items)
        if not total.any():
            continue
        c = np.where(total > 0, total, 1.0)
        left = items.T @ (c[:, None] * items) + regularization * np.eye(width)
        found[user] = np.linalg.solve(left, items.T @ (c * (total > 0)))
    return found


@pytest.mark.parametrize("chunk", [fold_in.CHUNK_FLOATS, 200, 1])
def test_users_are_solved_as_the_paper_says_however_they_are_cut(chunk, monkeypatch):
    monkeypatch.setattr(fold_in, "CHUNK_FLOATS", chunk)
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 12, 30)
    seen = History(np.concatenate([[0], np.cumsum(counts)]), rng.integers(0, 15, counts.sum()))  # with repeats
    confidence = rng.uniform(0.3, 30, counts.sum()).astype(np.float32)  # below and above that of what was not taken
    items = rng.normal(size=(15, 6)).astype(np.float32)
    found = least_squares_users(seen, confidence, items, 0.7)
    assert found.dtype == np.float32
    expected = users_by_formula(seen, confidence, items.astype(float), 0.7)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_nobody_can_join():
    empty = small_log().where(np.zeros(len(small_log()), dtype=bool))
    model = ALS(factors=3, iterations=2).fit(small_log()).fold_in(empty)
    assert not model.user_factors.any()


def test_als_folds_in_what_its_last_half_step_would_find():
    """Fitted until nothing moves, the users of the fit are the least squares solution for its items."""
    config = ALS(factors=4, iterations=60, alpha=5.0, regularization=0.5, decay=0.8)
    log = replace(small_log(), weight=np.linspace(0.5, 2, len(small_log()), dtype=np.float32))
    model = config.fit(log)
    np.testing.assert_allclose(model.fold_in(log).user_factors, model.user_factors, atol=5e-3)


def test_what_fold_ins_need_of_all_items_is_computed_once_when_a_model_is_read(monkeypatch):
    log = small_log()
    state = ALS(factors=4, iterations=2).fit(log).state()
    calls, true = [], fold_in.gram
    for place in ("beautyrec.models.fold_in.gram", "beautyrec.models.recommenders.gram"):
        monkeypatch.setattr(place, lambda factors: calls.append(1) or true(factors))
    model = recommender_from_state(state)
    folded = [model.fold_in(log).user_factors for _ in range(3)]
    assert calls == [1]
    np.testing.assert_array_equal(folded[0], folded[2])


def test_a_longer_history_changes_the_list():
    model = ALS(factors=6, iterations=5).fit(small_log())
    day = pd.Timestamp("2026-05-01", tz="UTC")
    other = pd.DataFrame({"user_id": ["u000"] * 3, "item_id": ["i021", "i022", "i023"], "ts": day})
    one = model.fold_in(Interactions.from_frame(other, items=model.items)).recommend(["u000"], 3)
    assert set(one["item_id"]) <= {f"i{n:03d}" for n in range(20, 30)}  # the group of what was taken
    assert not set(one["item_id"]) & set(other["item_id"])


def test_items_in_another_order_are_refused():
    turned = Vocabulary(small_log().items.ids[::-1])
    history = replace(small_log(), items=turned)
    with pytest.raises(
        UnknownIdError, match=r"not the 40 of the model, in their order; 0 are unknown.*items=model.items"
    ):
        ItemKNN().fit(small_log()).fold_in(history)


def test_items_equal_to_those_of_the_model_will_do():
    model = ItemKNN().fit(small_log())
    history = replace(small_log(), items=Vocabulary(small_log().items.ids.copy()))
    np.testing.assert_array_equal(model.fold_in(history).scores(np.arange(9)), model.scores(np.arange(9)))


def test_a_model_that_cannot_does_not_say_it_could():
    assert not isinstance(BPR(factors=3, iterations=2).fit(small_log()), FoldsIn)


@pytest.mark.parametrize("name", ["regularization", "alpha", "decay"])
@pytest.mark.parametrize("value", [None, "much", True])
def test_a_state_without_what_folding_in_needs_is_named(name, value):
    state = ALS(factors=3, iterations=2).fit(small_log()).state()
    meta = {**state.meta, name: value}
    with pytest.raises(ArtifactError, match=f"'least_squares': '{name}' is .*expected a number"):
        recommender_from_state(ModelState(state.kind, state.arrays, meta))


@pytest.mark.parametrize("config", [ALS(factors=6, iterations=3), EASE(regularization=5.0), ItemKNN(decay=0.5)])
def test_a_service_folds_in_what_it_loaded_with_numpy_alone(config, tmp_path):
    model = config.fit(small_log())
    write_artifact(tmp_path / "model", model.state(), ModelCard("any"))
    code = f"""
import sys, pandas as pd
from beautyrec.data.interactions import Interactions
from beautyrec.serving import Scorer
model = Scorer.load({str(tmp_path / "model")!r}).artifact.model
day = pd.Timestamp("2026-05-01", tz="UTC")
new = pd.DataFrame({{"user_id": ["x", "x"], "item_id": ["i001", "i004"], "ts": [day, day]}})
joined = model.fold_in(Interactions.from_frame(new, items=model.items))
print(*joined.recommend(["x"], 3)["item_id"])
print(sorted({{"scipy", "sklearn", "torch", "implicit"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    day = pd.Timestamp("2026-05-01", tz="UTC")
    new = pd.DataFrame({"user_id": ["x", "x"], "item_id": ["i001", "i004"], "ts": [day, day]})
    here = model.fold_in(Interactions.from_frame(new, items=model.items)).recommend(["x"], 3)
    assert done.stdout.splitlines() == [" ".join(here["item_id"]), "[]"]
