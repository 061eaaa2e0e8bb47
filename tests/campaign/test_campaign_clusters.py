"""Clusters by user, room or request, in intervals and folds alike."""

from __future__ import annotations

import numpy as np
import pytest

from beautyrec.campaign.clusters import by_request, by_room, by_user
from beautyrec.campaign.policy_lift import HeldRooms
from beautyrec.policies.softmax import Softmax
from beautyrec.simulate.world import World


@pytest.fixture(scope="module")
def slates():
    return World.tiny(0).slates()


def ids(slates):
    return {by_user: slates.user_id, by_room: slates.room_ix, by_request: slates.request_id}


@pytest.mark.parametrize("cluster", [by_user, by_room, by_request])
def test_intervals_and_folds_are_made_by_the_same_cluster(slates, cluster):
    held = HeldRooms.of(slates, seed=1, cluster=cluster)
    own = ids(slates)[cluster]
    folds = [len(np.unique(held.rewards.fold[own == one])) for one in np.unique(own)[:50]]
    assert set(folds) == {1}
    part = held.where(np.arange(len(slates)) % 2 == 0)
    draw = Softmax(temperature=1.0).probabilities(np.where(part.item_ix >= 0, 0.0, -np.inf))
    table = part.lift(draw)
    assert set(table["clusters"]) == {len(np.unique(own[::2]))}


def test_the_user_is_the_cluster_if_nothing_is_said(slates):
    assert HeldRooms.of(slates).cluster is by_user


def test_any_other_id_will_do(slates):
    held = HeldRooms.of(slates, cluster=lambda slates: slates.ts // 86_400_000_000)
    assert len(np.unique(held.rewards.fold)) == 5
