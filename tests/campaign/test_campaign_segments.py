from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beautyrec.campaign.segments import ByEvent, ByItem, ByUser, ItemWarmth, Pairs, UserWarmth, by_scene
from beautyrec.data.interactions import Interactions
from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import EvaluationError


@pytest.fixture
def pairs() -> Pairs:
    """Users 1 to 3 and items a to d; in train, user 1 took a, user 2 took b; c has a title, d nothing."""
    frame = pd.DataFrame({"user_id": [1, 2], "item_id": ["a", "b"], "ts": pd.Timestamp("2026-03-01", tz="UTC")})
    table = pd.DataFrame({"item_id": ["a", "b", "c", "d"], "title": ["A", None, "C", None]})
    users, items = Vocabulary.from_ids([1, 2, 3]), Vocabulary.from_ids(["a", "b", "c", "d"])
    train = Interactions.from_frame(frame, users=users, items=items, item_table=table)
    return Pairs(train, np.array([0, 1, 2, 2]), np.array([1, 2, 3, 0]))


def test_columns_of_users_and_items(pairs):
    assert ByUser(pd.Series({1: "gold", 2: "new"}, name="tier"))(pairs).tolist() == [
        "gold",
        "new",
        "unknown",
        "unknown",
    ]
    labels = ByItem(pd.Series({"a": 1, "b": 2, "c": None, "d": 2}, name="size"))(pairs).tolist()
    assert labels == ["2.0", "unknown", "2.0", "1.0"]


def test_warmth(pairs):
    assert UserWarmth(pd.Index([3, 9]))(pairs).tolist() == ["hot", "hot", "warm", "warm"]
    assert UserWarmth()(pairs).tolist() == ["hot", "hot", "cold", "cold"]
    assert ItemWarmth()(pairs).tolist() == ["hot", "warm", "cold", "hot"]


def test_the_last_event_of_a_pair_counts(pairs):
    events = pd.DataFrame(
        {
            "user_id": [1, 1, 2, 3, 7],
            "item_id": ["b", "b", "c", "z", "a"],
            "scene": ["morning", "evening", None, "evening", "evening"],
        }
    )
    found = ByEvent(events, "scene")
    assert found(pairs).tolist() == ["evening", "unknown", "unknown", "unknown"]
    assert found.name == "by scene"


def test_scenes_are_those_of_the_rooms_where_items_were_taken(tiny_log):
    interactions = tiny_log.interactions()
    key = np.unique(interactions.user_ix * len(interactions.items) + interactions.item_ix)
    pairs = Pairs(interactions, key // len(interactions.items), key % len(interactions.items))
    labels = by_scene(tiny_log)(pairs)
    shown = tiny_log.impressions()
    taken = shown[shown["clicked"] | shown["ordered"]].sort_values("ts", kind="stable")
    expected = taken.groupby(["user_id", "item_id"])["scene"].agg(set).to_dict()
    ids = zip(interactions.users.ids_at(pairs.user_ix), interactions.items.ids_at(pairs.item_ix), strict=True)
    assert all(label in expected[pair] for label, pair in zip(labels, ids, strict=True))
    assert set(labels) == {"evening", "flash sale"}


def test_an_index_with_repeats_is_an_error(pairs):
    with pytest.raises(EvaluationError, match="'tier': 1 ids stand twice"):
        ByUser(pd.Series(["a", "b"], index=[1, 1], name="tier"))(pairs)
