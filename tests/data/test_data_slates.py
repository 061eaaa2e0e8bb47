from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.log import EventLog
from beautyrec.data.slates import Shelves, Slates
from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import SchemaError, UnknownIdError


@pytest.fixture(scope="module")
def slates(tiny_log):
    return tiny_log.slates()


def test_shelves(slates, tiny_frames):
    shelves, table = slates.shelves, tiny_frames["shelves"]
    assert shelves.item_ix.shape == shelves.draw_probability.shape == (2, 8)
    assert shelves.rooms.ids.tolist() == ["room-a", "room-b"]
    for row, room in enumerate(shelves.rooms.ids):
        expected = table[table["room_id"] == room]
        width = len(expected)
        assert shelves.items.ids_at(shelves.item_ix[row, :width]).tolist() == expected["item_id"].tolist()
        assert shelves.draw_probability[row, :width].tolist() == expected["draw_probability"].tolist()
        assert (shelves.item_ix[row, width:] == -1).all()
        assert (shelves.draw_probability[row, width:] == 0).all()


def test_each_impression_is_in_its_place(slates, tiny_log):
    frame = tiny_log.impressions()
    assert slates.shown.shape == (60, 3)
    row = pd.Index(slates.request_id).get_indexer(pd.Index(frame["request_id"]))
    column = frame["position"].to_numpy() - 1
    item = slates.shelves.item_ix[slates.room_ix[row], slates.shown[row, column]]
    assert slates.shelves.items.ids_at(item).tolist() == frame["item_id"].tolist()
    assert slates.shelves.rooms.ids_at(slates.room_ix[row]).tolist() == frame["room_id"].tolist()
    assert slates.user_id[row].tolist() == frame["user_id"].tolist()
    for name in ("clicked", "ordered", "revenue", "propensity"):
        assert getattr(slates, name)[row, column].tolist() == frame[name].tolist(), name
    assert (np.diff(slates.ts) >= 0).all()
    assert slates.ts[row].tolist() == frame["ts"].astype("int64").tolist()


def test_logged_propensity_is_the_draw_given_what_stands_above(slates):
    chance = slates.shelves.draw_probability[slates.room_ix]
    drawn = np.take_along_axis(chance, slates.shown, axis=1)
    above = np.cumsum(drawn, axis=1) - drawn
    np.testing.assert_allclose(slates.propensity, drawn / (1 - above))


def test_where(slates):
    some = slates.where(slates.room_ix == 1)
    assert len(some) == 30
    assert some.shown.shape == (30, 3)
    assert some.request_id.tolist() == slates.request_id[slates.room_ix == 1].tolist()
    assert some.shelves is slates.shelves
    assert len(slates.where(np.zeros(60, bool))) == 0


def test_a_shorter_slate_ends_in_padding(tiny_log, slates):
    frame = tiny_log.impressions()
    frame = frame[~((frame["request_id"] == 4) & (frame["position"] == 3))]
    found = Slates.from_frame(frame, slates.shelves)
    row = found.request_id.tolist().index(4)
    assert found.shown[row, :2].tolist() == slates.shown[row, :2].tolist()
    assert found.shown[row, 2] == -1
    assert not found.clicked[row, 2]
    assert np.isnan(found.propensity[row, 2])
    assert (np.delete(found.shown, row, axis=0) == np.delete(slates.shown, row, axis=0)).all()


def test_impressions_without_a_request_are_left_out_and_order_does_not_matter(tiny_log, slates):
    frame = tiny_log.impressions()
    frame["request_id"] = frame["request_id"].where(frame["request_id"] >= 10)
    found = Slates.from_frame(frame.sample(frac=1, random_state=0), slates.shelves)
    assert found.shown.tolist() == slates.shown[10:].tolist()
    assert found.clicked.tolist() == slates.clicked[10:].tolist()


def test_no_impressions(slates, tiny_log):
    assert Slates.from_frame(tiny_log.impressions().iloc[:0], slates.shelves).shown.shape == (0, 0)


@pytest.mark.parametrize(
    ("column", "event", "value", "says"),
    [
        ("position", 2, np.nan, "1 of 180 impressions have a request but no position"),
        ("position", 2, 1, "1 of 180 impressions stand at a position that their request has already"),
        ("position", 2, 5, "1 of 180 impressions stand below a position that is missing"),
        ("room_id", 2, "room-z", "1 of 180 impressions lie in a room that has no shelf"),
        ("item_id", 2, "item-11", "1 of 180 impressions show a product that is not on their room's shelf"),
        ("item_id", 2, "item-99", "1 of 180 impressions show a product that is not on their room's shelf"),
        ("user_id", 2, 999, "1 of 180 impressions have another user or room than the rest"),
    ],
)
def test_requests_that_do_not_fit(tiny_log, slates, column, event, value, says):
    frame = tiny_log.impressions().astype({"position": float})
    frame.loc[event, column] = value
    with pytest.raises(SchemaError, match=says):
        Slates.from_frame(frame, slates.shelves)


def test_log_without_shelves(tiny_frames):
    with pytest.raises(SchemaError, match="the log has no shelves"):
        EventLog.from_frames(tiny_frames["events"], tiny_frames["items"]).slates()


def test_shelf_with_an_item_that_the_catalogue_does_not_have(tiny_frames):
    with pytest.raises(UnknownIdError, match="not in the vocabulary of 1 string ids"):
        Shelves.from_frame(tiny_frames["shelves"], Vocabulary.from_ids(["item-00"]))
