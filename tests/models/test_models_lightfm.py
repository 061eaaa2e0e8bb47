from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.interactions import Interactions
from beautyrec.errors import ConfigError, SchemaError
from beautyrec.models.item_features import ItemFeatures, UserProfiles
from beautyrec.models.known import History
from beautyrec.models.lightfm import LightFM
from beautyrec.models.recommenders import recommender_from_state
from beautyrec.testing.models import N_ITEMS, N_USERS, RecommenderContract, small_log

pytest.importorskip("lightfm", reason="rectools-lightfm is not installed: pip install 'beautyrec[hybrid]'")

SMALL = LightFM(factors=6, epochs=20, user_features=True, feature_weight=3.0)
WARM = np.arange(N_USERS - 1)


class TestLightFMWithFeaturesOfUsers(RecommenderContract):
    learner = replace(SMALL, epochs=3)


@pytest.fixture(scope="module")
def model():
    return SMALL.fit(small_log(), seed=0)


def test_factors_are_the_weighted_mean_of_those_of_the_features(model):
    """Item 1 has category 0 and brand 1: its factors are known values' and its own, in the shares of the docstring."""
    matrix = SMALL._items(small_log(), model.features).toarray()
    values = matrix[:, N_ITEMS:] @ np.column_stack([model.value_factors, model.value_bias])
    own = matrix[np.arange(N_ITEMS), np.arange(N_ITEMS)]
    np.testing.assert_allclose(own[:-1] + matrix[:-1, N_ITEMS:].sum(axis=1), 1, rtol=1e-5)
    assert own[-1] == 0
    np.testing.assert_allclose(model.item_factors[-1], values[-1, :-1], atol=1e-5)  # nobody took it: features alone
    np.testing.assert_allclose(model.item_bias[-1], values[-1, -1], atol=1e-5)
    taken = np.bincount(small_log().item_ix, minlength=N_ITEMS) > 0
    sharing = np.array([np.count_nonzero(taken[:10]), np.count_nonzero(taken & (np.arange(N_ITEMS) % 7 == 1))])
    weight = np.append(3 / np.sqrt(sharing), 1)
    np.testing.assert_allclose(np.sort(matrix[1][matrix[1] > 0]), np.sort(weight / weight.sum()), rtol=1e-5)


def test_vectors_of_new_items_are_those_of_an_item_nobody_took(model):
    again = model.item_vectors(small_log().item_table)
    np.testing.assert_allclose(again[-1], model.item_factors[-1], atol=1e-5)
    assert np.abs(again[0] - model.item_factors[0]).max() > 1e-4


def test_items_nobody_took_are_ranked_by_their_features(model):
    new = pd.DataFrame({"item_id": [f"new{g}" for g in range(4)], "category": range(4)})
    joined = model.add_items(new)
    top, _ = joined.top_k(WARM, 1, candidates=np.arange(N_ITEMS, N_ITEMS + 4))
    assert (top[:, 0] - N_ITEMS == WARM % 4).mean() > 0.9
    again = recommender_from_state(joined.state())
    np.testing.assert_array_equal(again.scores(WARM), joined.scores(WARM))


def test_an_item_of_which_nothing_is_known_has_the_lowest_bias(model):
    joined = model.add_items(pd.DataFrame({"item_id": ["x"], "category": [77]}))
    assert joined.item_bias[-1] == model.item_bias.min()
    np.testing.assert_array_equal(joined.item_factors[-1], 0)
    bare = replace(SMALL, user_features=False).fit(replace(small_log(), item_table=None), seed=0)
    assert bare.item_bias[-1] == bare.item_bias[:-1].min()


def test_profiles_are_shares_of_what_was_taken_weighted_by_recency():
    table = pd.DataFrame({"brand": ["x", "y", "x", None]})
    features = ItemFeatures.of(table, np.ones(4, bool), columns=("brand",))
    number = {name: int(features.values(pd.DataFrame({"brand": [name]})).value[0]) for name in "xy"}
    seen = History(np.array([0, 3, 3, 4]), np.array([0, 1, 2, 3]))
    found = UserProfiles.of(seen, features, table, 0.5)
    shares = found.summed(np.eye(2, dtype=np.float32))
    np.testing.assert_allclose(shares[0, [number["x"], number["y"]]], [1.25 / 1.75, 0.5 / 1.75], rtol=1e-6)
    np.testing.assert_array_equal(shares[1:], 0)  # took nothing, and nothing of which a brand is known


def test_users_who_come_later_are_folded_in_by_the_features_of_what_they_took(model):
    log = small_log()
    rows = {"user_id": [f"v{u}" for u in log.user_ix], "item_id": log.items.ids_at(log.item_ix)}
    frame = pd.DataFrame(rows).assign(ts=pd.to_datetime(log.ts, unit="us", utc=True))
    joined = model.fold_in(Interactions.from_frame(frame, items=model.items, item_table=log.item_table))
    top, _ = joined.top_k(np.arange(len(joined.users)), 3, exclude_seen=False)
    group = joined.users.ids.str[1:].astype(int).to_numpy() % 4
    assert (top // 10 == group[:, None]).mean() > 0.9
    profile = UserProfiles.of(joined.seen, model.features, log.item_table, SMALL.history_decay)
    np.testing.assert_allclose(joined.user_factors, profile.summed(model.user_value_factors), rtol=1e-5)


def test_without_features_there_is_nothing_to_fold_in_by(model):
    log = small_log()
    with pytest.raises(ConfigError, match="without features of users"):
        replace(SMALL, user_features=False, epochs=1).fit(log).fold_in(log)
    with pytest.raises(SchemaError, match="no item_table"):
        model.fold_in(replace(log, item_table=None))
