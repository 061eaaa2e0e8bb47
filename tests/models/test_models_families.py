"""What each family computes, against formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.data.interactions import Interactions
from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import ConfigError, FitError, MissingExtraError
from beautyrec.models import neighbours
from beautyrec.models.als import ALS
from beautyrec.models.bpr import BPR
from beautyrec.models.catalogue import LEARNERS, learner
from beautyrec.models.item_knn import ItemKNN
from beautyrec.models.known import History, recency_weight
from beautyrec.models.lightfm import LightFM
from beautyrec.models.logistic_mf import LogisticMF
from beautyrec.models.popularity import Popularity
from beautyrec.models.weighting import BM25, TfIdf
from beautyrec.testing.models import small_log


def log_of(rows, **kwargs):
    """Interactions from (user, item, day, weight) rows."""
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "day", "weight"])
    frame["ts"] = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(frame["day"], unit="D")
    return Interactions.from_frame(frame, **kwargs)


# Popularity


def test_popularity_is_the_decayed_weight_within_the_window():
    log = log_of([(1, "a", 0, 1.0), (2, "a", 8, 2.0), (3, "b", 10, 0.5), (4, "c", 6, 1.0)])
    score = Popularity(window_days=4, half_life_days=2).fit(log).item_score
    np.testing.assert_allclose(score, [2.0 * 0.5, 0.5, 0.5**2], rtol=1e-6)


def test_popularity_over_all_time_is_the_sum_of_weights():
    log = small_log()
    np.testing.assert_array_equal(Popularity().fit(log).item_score, Popularity().fit(log).popularity)


# Item neighbours


def knn_by_loops(log, config):
    """[U, I] scores as the docstring says them, one pair at a time."""
    x = log.matrix().toarray().astype(float)
    if config.weighting is not None:
        x = config.weighting(log.matrix()).toarray().astype(float)
    n = x.shape[1]
    similar = np.zeros((n, n))
    for j in range(n):
        for i in range(n):
            dot = x[:, i] @ x[:, j]
            if i != j and dot > 0:
                similar[i, j] = dot / (np.linalg.norm(x[:, i]) * np.linalg.norm(x[:, j]) + config.shrinkage)
        keep = np.argsort(-similar[:, j], kind="stable")[: config.neighbours]
        similar[np.setdiff1d(np.arange(n), keep), j] = 0
    scores = np.zeros((len(log.users), n))
    for u in range(len(log.users)):
        events = range(log.indptr[u], log.indptr[u + 1])
        for e in events:
            back = log.indptr[u + 1] - 1 - e
            scores[u] += log.weight[e] * config.decay**back * similar[log.item_ix[e]]
    return scores


@pytest.mark.parametrize("block", [8_000_000, 40])
@pytest.mark.parametrize(
    "config",
    [
        ItemKNN(neighbours=100, shrinkage=3.0),
        ItemKNN(neighbours=100, decay=1.0, weighting=BM25()),
        ItemKNN(shrinkage=0.0, weighting=TfIdf()),
    ],
)
def test_item_knn_is_its_formula_however_it_is_cut_into_blocks(config, block, monkeypatch):
    monkeypatch.setattr(neighbours, "PRODUCT_NONZEROS", block)
    rng = np.random.default_rng(1)
    log = replace(small_log(), weight=rng.uniform(0.2, 2, len(small_log())).astype(np.float32))
    model = config.fit(log)
    warm = np.diff(log.indptr) > 0
    np.testing.assert_allclose(
        model.scores(np.flatnonzero(warm)), knn_by_loops(log, config)[warm], rtol=1e-4, atol=1e-6
    )


def test_item_knn_keeps_the_most_similar():
    config = ItemKNN(neighbours=2, shrinkage=1.0)
    rng = np.random.default_rng(1)  # weights of their own leave no ties
    log = replace(small_log(), weight=rng.uniform(0.2, 2, len(small_log())).astype(np.float32))
    warm = np.flatnonzero(np.diff(log.indptr))
    np.testing.assert_allclose(config.fit(log).scores(warm), knn_by_loops(log, config)[warm], rtol=1e-4, atol=1e-6)


@settings(deadline=None)
@given(counts=st.lists(st.integers(0, 5), min_size=1, max_size=8), decay=st.floats(0.1, 1.0))
def test_recency_weight_counts_back_from_the_last(counts, decay):
    indptr = np.concatenate([[0], np.cumsum(counts)])
    weight = recency_weight(History(indptr, np.zeros(indptr[-1], dtype=np.int64)), decay)
    expected = [decay ** (n - 1 - place) for n in counts for place in range(n)]
    np.testing.assert_allclose(weight, expected, rtol=1e-5)


# Factorisation


def test_als_minimises_its_loss_for_the_users():
    """After the last half step the items are optimal for the users: the gradient of the docstring's loss is near 0."""
    config = ALS(factors=4, iterations=60, alpha=5.0, regularization=0.5, decay=0.8)
    log = small_log()
    model = config.fit(log)
    recent = replace(log, weight=log.weight * recency_weight(model.seen, 0.8))
    confidence = recent.matrix().toarray() * 5.0
    taken = confidence > 0
    confidence[~taken] = 1.0
    x, y = model.user_factors.astype(float), model.item_factors.astype(float)
    error = confidence * (taken - x @ y.T)
    np.testing.assert_allclose(error.T @ x - 0.5 * y, 0, atol=2e-3)
    np.testing.assert_allclose(error @ y - 0.5 * x, 0, atol=2e-2)


def test_als_does_not_depend_on_the_number_of_threads(monkeypatch):
    model = ALS(factors=8, iterations=3)
    default = model.fit(small_log()).user_factors
    import implicit.cpu.als as library

    original = library.AlternatingLeastSquares
    monkeypatch.setattr(library, "AlternatingLeastSquares", lambda **kwargs: original(**kwargs, num_threads=1))
    np.testing.assert_array_equal(model.fit(small_log()).user_factors, default)


@pytest.mark.parametrize(
    "config",
    [BPR(factors=6, iterations=60), ALS(factors=6), LightFM(factors=6, epochs=20), LogisticMF(factors=6, negatives=5)],
)
def test_factor_models_find_the_groups(config):
    if isinstance(config, LightFM):
        pytest.importorskip("lightfm")
    model = config.fit(small_log(), seed=2)
    top, _ = model.top_k(np.arange(59), 3, exclude_seen=False)
    assert (top // 10 == (np.arange(59) % 4)[:, None]).mean() > 0.9


@pytest.mark.parametrize(
    "config", [BPR(factors=6, iterations=20), LightFM(factors=6, epochs=3), LogisticMF(factors=6, iterations=3)]
)
def test_another_seed_gives_another_model(config):
    if isinstance(config, LightFM):
        pytest.importorskip("lightfm")
    one, other = (config.fit(small_log(), seed=seed).user_factors for seed in (0, 1))
    assert not np.allclose(one, other)


@pytest.mark.parametrize("config", [BPR(factors=4, iterations=30), LogisticMF(factors=4, iterations=10)])
def test_an_item_nobody_took_has_the_lowest_bias(config):
    model = config.fit(small_log())
    assert model.popularity[-1] == 0
    assert model.item_bias[-1] == model.item_bias[:-1].min()
    assert not model.item_factors[-1].any()


def test_logistic_mf_counts_an_interaction_by_its_weight():
    log = small_log()
    one, three = (LogisticMF(factors=4).fit(replace(log, weight=w * log.weight)).item_factors for w in (1, 3))
    assert not np.allclose(one, three)


def test_lightfm_features_are_the_item_then_its_values_and_sum_to_one():
    config = LightFM(item_features=("brand", "colour"), feature_weight=0.5)
    matrix = config._items(small_log(), config._known_features(small_log())).toarray()
    n = len(small_log().items)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-6)
    assert matrix.shape[1] == n + 6  # six brands; 0 is missing, and there is no column colour
    np.testing.assert_allclose(matrix[0, [0]], 1)  # item 0 has no brand
    assert matrix[n - 1, n - 1] == 0  # nobody took the last item: it is its brand alone
    sharing = np.count_nonzero(np.arange(n) % 7 == 1)  # items of the brand of item 1
    weight = 0.5 / np.sqrt(sharing)
    np.testing.assert_allclose(np.sort(matrix[1])[-2:], [weight / (1 + weight), 1 / (1 + weight)], rtol=1e-6)


def test_lightfm_says_which_extra_has_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "lightfm", None)
    with pytest.raises(MissingExtraError, match=r"beautyrec\[hybrid\]"):
        LightFM().fit(small_log())


def test_implicit_says_which_extra_has_it(monkeypatch):
    for module in ("implicit.cpu.als", "implicit.cpu.bpr", "implicit.cpu.lmf"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    for config in (ALS(), BPR(), LogisticMF()):
        with pytest.raises(MissingExtraError, match=r"beautyrec\[train\]"):
            config.fit(small_log())


@pytest.mark.parametrize(
    "config",
    [
        ALS(factors=4, alpha=1e38),
        BPR(factors=4, learning_rate=1e6),
        LightFM(factors=4, learning_rate=1e30),
        LogisticMF(factors=4, learning_rate=1e38, regularization=1e38),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_parameters_that_run_away_are_an_error(config):
    if isinstance(config, LightFM):
        pytest.importorskip("lightfm")
    with pytest.raises(FitError, match="not finite"):
        config.fit(small_log())


# Catalogue


def test_every_name_gives_its_learner_with_its_defaults():
    for name, cls in LEARNERS.items():
        assert learner(name) == cls()


def test_parameters_reach_the_learner():
    assert learner("item_knn", {"decay": 1}) == ItemKNN(decay=1.0)
    assert learner("lightfm", {"item_features": ["brand"]}) == LightFM(item_features=("brand",))


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        (
            "asl",
            {},
            "model 'asl' is unknown; known are als, blend, bpr, ease, gru4rec, item_knn, lightfm, local_ease, logistic_mf, ",
        ),
        ("als", {"factor": 3}, "unknown key 'factor'.*alpha.*factors"),
        ("als", {"factors": "many"}, "factors.*integer"),
        ("als", {"factors": True}, "factors.*integer"),
        ("als", {"factors": 0}, "factors is 0; it has to be from 1"),
        ("item_knn", {"decay": 1.5}, "decay is 1.5; it has to be from 1e-06 to 1"),
        ("popularity", {"window_days": -1}, "window_days is -1"),
        ("sasrec", {"width": 30, "heads": 4}, "width is 30, which 4 heads do not divide"),
    ],
)
def test_wrong_settings_are_named(name, params, message):
    with pytest.raises(ConfigError, match=message):
        learner(name, params)


def test_a_vocabulary_wider_than_the_log_is_ranked_whole():
    items = Vocabulary.from_ids(["a", "b", "c", "d"])
    log = log_of([(1, "a", 0, 1.0), (1, "b", 1, 1.0), (2, "b", 2, 1.0)], items=items)
    top, _ = ItemKNN().fit(log).top_k(np.array([1]), 10)
    assert top.tolist() == [[0, 2, 3] + [-1] * 7]
