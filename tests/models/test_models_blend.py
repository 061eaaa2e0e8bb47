"""Blends: the sum they promise, weights against a search of all, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from beautyrec.data.splits import leave_last_out
from beautyrec.errors import ArtifactError, ConfigError, FitError
from beautyrec.models.als import ALS
from beautyrec.models.base import ModelState
from beautyrec.models.blend import Blend, Candidates, best_weights
from beautyrec.models.blended import LogStandardised, ReciprocalRank, Standardised
from beautyrec.models.catalogue import learner
from beautyrec.models.ease import EASE
from beautyrec.models.item_knn import ItemKNN
from beautyrec.models.popularity import Popularity
from beautyrec.models.recommenders import recommender_from_state
from beautyrec.serving.artifact import ModelCard, read_artifact, write_artifact
from beautyrec.testing.models import N_ITEMS, RecommenderContract, small_log

KNN, FACTORS, COMMON = ItemKNN(neighbours=10), ALS(factors=6, iterations=3), Popularity(window_days=4)
ROWS = arrays(np.float32, (3, 8), elements=st.integers(-40, 40).map(lambda n: n / 4))


class TestBlend(RecommenderContract):
    learner = Blend((KNN, FACTORS, COMMON))


class TestBlendByRank(RecommenderContract):
    learner = Blend((KNN, COMMON), weights=(3.0, 1.0), how=ReciprocalRank(depth=20))


class TestBlendOfStandardisedScores(RecommenderContract):
    learner = Blend((EASE(regularization=5.0), FACTORS), weights=(0.5, 0.5), how=Standardised())


@given(ROWS)
def test_standardised_scores_are_deviations_from_the_mean_of_the_row(rows):
    found = Standardised()(rows)
    for row, got in zip(rows.astype(float), found, strict=True):
        expected = (row - row.mean()) / row.std() if row.std() > 0 else np.zeros(len(row))
        np.testing.assert_allclose(got, expected, atol=1e-4)
    np.testing.assert_allclose(LogStandardised()(rows), np.log(1 + np.maximum(found, 0)), atol=1e-6)


@given(ROWS)
def test_reciprocal_ranks_count_what_is_above(rows):
    found = ReciprocalRank(constant=2.0, depth=5)(rows)
    for row, got in zip(rows, found, strict=True):
        ranks = [sum(other > s or (other == s and j < i) for j, other in enumerate(row)) + 1 for i, s in enumerate(row)]
        np.testing.assert_allclose(got, [1 / (2 + rank) if rank <= 5 else 0 for rank in ranks], rtol=1e-6)


def test_the_score_is_the_weighted_sum_of_the_parts_fitted_on_the_same_log():
    log, users = small_log(), np.arange(20)
    model = Blend((KNN, FACTORS), weights=(3.0, 1.0), how=Standardised()).fit(log, seed=4)
    one, other = (Standardised()(part.fit(log, seed=4).scores(users)) for part in (KNN, FACTORS))
    np.testing.assert_allclose(model.scores(users), 0.75 * one + 0.25 * other, rtol=1e-5, atol=1e-5)
    assert model.weights == (0.75, 0.25)


def test_equal_learners_are_fitted_with_seeds_of_their_own():
    log, users = small_log(), np.arange(20)
    model = Blend((FACTORS, KNN, FACTORS), weights=(1.0, 1.0, 1.0)).fit(log, seed=4)
    for part, seed in ((model.parts[0], 4), (model.parts[2], 5)):
        np.testing.assert_array_equal(part.scores(users), FACTORS.fit(log, seed=seed).scores(users))


def test_weights_are_chosen_without_the_last_event_and_parts_fitted_with_it():
    log = small_log()
    model = Blend((KNN, FACTORS, COMMON)).fit(log)
    split = leave_last_out(log)
    held, train = split.test, split.train
    taken = set(zip(train.user_ix.tolist(), train.item_ix.tolist(), strict=True))
    rows = [
        n for n, pair in enumerate(zip(held.user_ix.tolist(), held.item_ix.tolist(), strict=True)) if pair not in taken
    ]
    users, items = held.user_ix[rows], held.item_ix[rows]
    inner = [learner.fit(train) for learner in (KNN, FACTORS, COMMON)]

    def ndcg(weights):
        scores = sum(w * LogStandardised()(m.scores(users)) for w, m in zip(weights, inner, strict=True))
        for row, user in enumerate(users):
            scores[row, train.item_ix[train.indptr[user] : train.indptr[user + 1]]] = -np.inf
        mine = scores[np.arange(len(users)), items][:, None]
        above = (scores > mine).sum(axis=1) + ((scores == mine).sum(axis=1) - 1) / 2
        return np.where(above < 10, 1 / np.log2(above + 2), 0).mean()

    chosen = ndcg(model.weights)
    found = Candidates.of(tuple(inner), LogStandardised(), users, items, N_ITEMS)
    assert found.ndcg(np.array(model.weights)) == pytest.approx(chosen)
    assert chosen >= max(ndcg(weights) for weights in np.eye(3)) - 1e-9
    assert sum(model.weights) == pytest.approx(1)
    np.testing.assert_array_equal(model.parts[0].scores(users), KNN.fit(log).scores(users))


def test_the_search_comes_near_the_best_of_a_grid():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(3, 400, 41)).astype(np.float32)
    values[:, :, 0] += np.array([0.9, 0.6, 0.0])[:, None]  # the third says nothing
    found = Candidates(values, np.ones((400, 40), dtype=np.bool_))
    grid = [np.array([a, b, 20 - a - b]) / 20 for a in range(21) for b in range(21 - a)]
    best = best_weights(found)
    assert found.ndcg(best) >= max(found.ndcg(weights) for weights in grid) - 0.01
    assert best.min() >= 0
    assert best.sum() == pytest.approx(1)
    assert best[0] > best[1] > best[2]


def test_repeated_candidates_count_once_and_padding_never():
    log = small_log()
    models = tuple(learner.fit(log) for learner in (KNN, KNN))
    found = Candidates.of(models, Standardised(), np.arange(5), np.arange(5), N_ITEMS + 3)
    for user in range(5):
        seen = set(log.item_ix[log.indptr[user] : log.indptr[user + 1]].tolist())
        assert found.counts[user].sum() == len(set(range(N_ITEMS)) - seen - {user})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parts": ()}, "no parts"),
        ({"parts": (KNN,), "weights": (1.0, 2.0)}, "2 weights for 1 parts"),
        ({"parts": (KNN,), "weights": (-1.0,)}, "a weight is -1.0"),
        ({"parts": (KNN, COMMON), "weights": (0.0, 0.0)}, "sum to 0"),
        ({"parts": (KNN,), "candidates": 9}, "candidates is 9"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Blend(**settings)


def test_without_a_second_event_there_is_nothing_to_choose_weights_by():
    log = small_log()
    first = np.append(True, np.diff(log.user_ix) > 0)
    once = log.where(first)
    with pytest.raises(FitError, match="no user has two interactions"):
        Blend((KNN, COMMON)).fit(once)
    assert Blend((KNN, COMMON), weights=(1.0, 1.0)).fit(once).weights == (0.5, 0.5)


def test_an_artifact_of_a_blend_is_read_again(tmp_path):
    model = Blend((KNN, FACTORS), weights=(0.7, 0.3), how=ReciprocalRank(constant=9.0)).fit(small_log())
    write_artifact(tmp_path / "blend", model.state(), ModelCard("blend"))
    again = read_artifact(tmp_path / "blend").model
    np.testing.assert_array_equal(again.scores(np.arange(-1, 9)), model.scores(np.arange(-1, 9)))
    assert again.how == model.how


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"parts": []}, "not listed"),
        ({"parts": [{"kind": "blend", "arrays": [], "meta": {}}]}, "expected kind, arrays, meta"),
        ({"parts": [{"kind": "item_scores", "arrays": ["item_score", "more"], "meta": {}}]}, "part 0 are missing"),
        ({"weights": [-1.0]}, "expected 1 numbers"),
        ({"how": {"kind": "sum"}}, "the scale"),
    ],
)
def test_a_state_that_is_not_a_blend_says_why(meta, message):
    state = Blend((COMMON,), weights=(1.0,)).fit(small_log()).state()
    broken = ModelState(state.kind, state.arrays, {**state.meta, **meta})
    with pytest.raises(ArtifactError, match=message):
        recommender_from_state(broken)


def test_an_artifact_whose_part_points_outside_of_the_items_is_refused(tmp_path):
    state = Blend((KNN,), weights=(1.0,)).fit(small_log()).state()
    wrong = replace(state, arrays={**state.arrays, "part_0_neighbour_ix": state.arrays["part_0_neighbour_ix"] + 99})
    with pytest.raises(ArtifactError, match="neighbour_ix"):
        write_artifact(tmp_path / "blend", wrong, ModelCard("blend"))


def test_a_blend_from_a_table_is_the_blend_of_its_parts():
    parts = [{"family": "item_knn", "neighbours": 10}, {"family": "als", "factors": 6, "iterations": 3}]
    assert learner("blend", {"parts": parts}) == Blend((KNN, FACTORS))
    how = {"kind": "reciprocal_rank", "constant": 20}
    expected = Blend((KNN, FACTORS), weights=(2.0, 1.0), how=ReciprocalRank(20.0), candidates=50)
    assert learner("blend", {"parts": parts, "how": how, "weights": [2, 1], "candidates": 50}) == expected


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"parts": [{"neighbours": 3}]}, "1 of 1 parts name no family"),
        ({"parts": [{"family": "knn"}]}, "model 'knn' is unknown"),
        ({"parts": [{"family": "item_knn", "decy": 1.0}]}, "unknown key 'decy'"),
        ({"parts": [{"family": "item_knn"}], "candidate": 4}, "unknown key 'candidate'"),
        ({"parts": [{"family": "item_knn"}], "how": {"kind": "sum"}}, "how"),
        ({}, "parts"),
    ],
)
def test_a_table_that_is_no_blend_is_refused(table, message):
    with pytest.raises(ConfigError, match=message):
        learner("blend", table)
