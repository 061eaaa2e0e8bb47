"""Re-ranking: the order it promises, features against loops, likelihoods against brute force, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.interactions import Interactions
from beautyrec.data.splits import leave_last_out
from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import ArtifactError, ConfigError, FitError
from beautyrec.models.base import ModelState
from beautyrec.models.blend import Blend
from beautyrec.models.blended import ReciprocalRank, Standardised
from beautyrec.models.catalogue import learner
from beautyrec.models.ease import EASE
from beautyrec.models.item_knn import ItemKNN
from beautyrec.models.popularity import Popularity
from beautyrec.models.recommenders import recommender_from_state
from beautyrec.models.reranked import RECENT_DAYS, Purchases
from beautyrec.models.reranker import Reranker, SecondStage, best_slope, chances
from beautyrec.serving.artifact import ModelCard, read_artifact, write_artifact
from beautyrec.testing.models import N_ITEMS, N_USERS, RecommenderContract, small_log

KNN, LINEAR, COMMON = ItemKNN(neighbours=10), EASE(regularization=5.0), Popularity()
SMALL = SecondStage(candidates=12, trees=20, rows_a_leaf=5, l2=1.0)


class TestReranker(RecommenderContract):
    learner = Reranker(Blend((LINEAR, KNN, COMMON)), SMALL)


class TestRerankerOfOneByRank(RecommenderContract):
    learner = Reranker(Blend((LINEAR,), how=ReciprocalRank(depth=20)), replace(SMALL, groups=(), candidates=30))


def many(n_users: int = 600, seed: int = 3) -> Interactions:
    """Users who mostly take the same brand again, one of 60 items with 12 brands, of prices with gaps."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(4, 9, n_users)
    user = np.repeat(np.arange(n_users), counts)
    loved = rng.integers(0, 12, n_users)[user]
    brand = np.where(rng.random(len(user)) < 0.7, loved, rng.integers(0, 12, len(user)))
    item = brand * 5 + rng.integers(0, 5, len(user))
    table = pd.DataFrame({"item_id": np.arange(60), "brand": np.arange(60) // 5, "category": np.arange(60) % 5})
    table["price"] = np.where(np.arange(60) % 7 == 0, np.nan, 3.0 + np.arange(60))
    days = rng.integers(0, 400, len(user))
    ts = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(days, unit="D")
    return Interactions.from_frame(pd.DataFrame({"user_id": user, "item_id": item, "ts": ts}), item_table=table)


def test_features_are_those_of_a_slow_loop():
    log, rng = many(60), np.random.default_rng(0)
    rows = log.where(rng.random(len(log)) < 0.9)
    users = rng.choice(np.unique(rows.user_ix), 200)
    items = rng.integers(0, 60, 200)
    found = np.stack(Purchases.of(rows, ("category", "brand")).columns(users, items), axis=1)
    day, table = rows.ts // 86_400_000_000, log.item_table
    assert table is not None
    for row, (user, item) in enumerate(zip(users, items, strict=True)):
        mine = np.arange(rows.indptr[user], rows.indptr[user + 1])
        now, until = day[mine[-1]], (rows.item_ix == item) & (day <= day[mine[-1]])
        prices = np.log(table["price"].to_numpy()[rows.item_ix[mine]])
        usual = prices[~np.isnan(prices)].mean() if not np.isnan(prices).all() else np.nan
        expected = [
            until.sum(),
            (until & (day >= now - RECENT_DAYS)).sum(),
            now - day[until].max() if until.any() else np.nan,
            np.log(table["price"][item]) - usual,
            len(mine),
        ]
        for column in ("category", "brand"):
            same = mine[(table[column].to_numpy()[rows.item_ix[mine]]) == table[column][item]]
            last = (len(mine) - (same[-1] - mine[0]), now - day[same[-1]]) if len(same) else (np.nan, np.nan)
            expected += [*last, len(same) / len(mine)]
        np.testing.assert_allclose(found[row], expected, rtol=1e-5)


def test_features_know_nothing_of_later_days():
    log = many(60)
    days = log.ts // 86_400_000_000
    last = np.zeros(60, dtype=np.int64)
    np.maximum.at(last, log.user_ix, days)
    early = int(np.argmin(last))
    before = log.where((days <= last[early]) | (log.user_ix == early))
    items, who = np.arange(60), np.full(60, early)
    whole, cut = (Purchases.of(part, ("brand",)).columns(who, items) for part in (log, before))
    np.testing.assert_array_equal(np.stack(whole), np.stack(cut))


def test_what_an_item_table_lacks_says_nothing():
    log = replace(many(60), item_table=None)
    found = Purchases.of(log, ("brand",)).columns(np.array([3, 4]), np.array([5, 6]))
    assert np.isnan(found[3]).all()
    assert np.isnan(found[5:7]).all()
    assert (found[7] == 0).all()
    model = Reranker(Blend((KNN, COMMON), weights=(0.9, 0.1)), SMALL).fit(log)
    assert np.isfinite(model.scores(np.arange(60))).all()


def test_chances_and_slope_maximise_the_likelihood():
    rng = np.random.default_rng(4)
    start, n = np.arange(0, 4000, 10), 4000
    score = rng.normal(size=n) * 3
    chance = chances(0.7 * score, start)
    np.testing.assert_allclose(np.add.reduceat(chance, start), 1)
    taken = np.zeros(n, dtype=bool)
    taken[[begin + rng.choice(10, p=chance[begin : begin + 10]) for begin in start]] = True
    slope = best_slope(score, taken, start)

    def likelihood(b):
        return np.log(chances(b * score, start)[taken]).sum()

    grid = np.linspace(0, 3, 3001)
    assert slope == pytest.approx(grid[np.argmax([likelihood(b) for b in grid])], abs=1e-3)
    assert best_slope(-score, taken, start) == 0
    assert best_slope(np.ones(n), taken, start) == 0


def test_candidates_come_first_and_all_others_in_the_order_of_the_blend():
    log = small_log()
    model = Reranker(Blend((LINEAR, KNN)), SMALL).fit(log)
    users = np.arange(N_USERS - 1)
    blend, _ = model.first.top_k(users, N_ITEMS)
    mine, _ = model.top_k(users, N_ITEMS)
    assert (np.sort(mine[:, :12], axis=1) == np.sort(blend[:, :12], axis=1)).all()
    np.testing.assert_array_equal(mine[:, 12:], blend[:, 12:])
    assert (mine[:, :12] != blend[:, :12]).any()


def test_a_brand_taken_last_is_found_where_the_parts_do_not_see_it():
    log = many()
    split = leave_last_out(log)
    first = Blend((COMMON, ItemKNN(neighbours=3)), weights=(0.9, 0.1), how=Standardised())
    blend, model = (one.fit(split.train) for one in (first, Reranker(first, replace(SMALL, candidates=60))))
    found = [
        (m.top_k(split.test.user_ix, 5)[0] == split.test.item_ix[:, None]).any(axis=1).mean() for m in (blend, model)
    ]
    assert found[1] > 1.5 * found[0]


def test_trees_learn_from_the_last_event_in_train_and_the_blend_is_fitted_with_it():
    log = many(200)
    model = Reranker(Blend((KNN, COMMON), weights=(3.0, 1.0)), SMALL).fit(log, seed=2)
    assert model.first.weights == (0.75, 0.25)
    np.testing.assert_array_equal(model.first.parts[0].scores(np.arange(5)), KNN.fit(log).scores(np.arange(5)))
    fewer = Reranker(Blend((KNN, COMMON), weights=(3.0, 1.0)), replace(SMALL, training_users=50)).fit(log, seed=2)
    assert fewer.slope != model.slope


def test_nothing_to_learn_from_is_said():
    log = small_log()
    first = np.append(True, np.diff(log.user_ix) > 0)
    with pytest.raises(FitError, match="no user has two interactions"):
        Reranker(Blend((KNN,)), SMALL).fit(log.where(first))
    ts = pd.date_range("2026-01-01", periods=6, tz="UTC")
    frame = pd.DataFrame({"user_id": [1, 1, 2, 2, 3, 3], "item_id": list("afagch"), "ts": ts})
    lonely = Interactions.from_frame(frame, items=Vocabulary.from_ids([*"abcdefgh"]))
    with pytest.raises(FitError, match="none of the last events of 3 users is among the best 2 items"):
        Reranker(Blend((COMMON,)), replace(SMALL, candidates=2)).fit(lonely)


def test_an_artifact_is_read_again_and_a_damaged_one_refused(tmp_path):
    state = Reranker(Blend((LINEAR, KNN)), SMALL).fit(small_log()).state()
    write_artifact(tmp_path / "two-stages", state, ModelCard("reranker"))
    again = read_artifact(tmp_path / "two-stages").model
    everyone = np.arange(-1, N_USERS)
    np.testing.assert_array_equal(again.scores(everyone), recommender_from_state(state).scores(everyone))
    for name, wrong in (
        ("trees_feature", state.arrays["trees_feature"] + 99),
        ("part_0_neighbour_ix", state.arrays["part_0_neighbour_ix"] + 99),
        ("purchase_price", state.arrays["purchase_price"][1:]),
    ):
        with pytest.raises(ArtifactError, match=name.removeprefix("part_0_")):
            write_artifact(tmp_path / "wrong", replace(state, arrays={**state.arrays, name: wrong}), ModelCard("x"))


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"first": None}, "first stage is missing"),
        ({"candidates": 0}, "expected 0 and 1"),
        ({"slope": -1.0}, "slope is -1"),
    ],
)
def test_a_state_that_is_no_second_stage_says_why(meta, message):
    state = Reranker(Blend((LINEAR, KNN)), SMALL).fit(small_log()).state()
    with pytest.raises(ArtifactError, match=message):
        recommender_from_state(ModelState(state.kind, state.arrays, {**state.meta, **meta}))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"candidates": 1}, "candidates is 1"),
        ({"leaves": 17}, "leaves is 17"),
        ({"learning_rate": 0.0}, "learning_rate"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        SecondStage(**settings)


def test_a_reranker_from_a_table():
    parts = [{"family": "item_knn", "neighbours": 10}, {"family": "popularity"}]
    table = {"first": {"parts": parts}, "second": {"candidates": 50, "groups": ["brand"]}}
    expected = Reranker(Blend((KNN, COMMON)), SecondStage(candidates=50, groups=("brand",)))
    assert learner("reranker", table) == expected
    for wrong, message in (
        ({}, "first"),
        ({"first": {"parts": parts}, "secnd": {}}, "unknown key 'secnd'"),
        ({"first": {"parts": parts}, "second": {"leafs": 3}}, "unknown key 'second.leafs'"),
        ({"first": {"parts": [{"family": "knn"}]}}, "model 'knn' is unknown"),
    ):
        with pytest.raises(ConfigError, match=message):
            learner("reranker", wrong)
