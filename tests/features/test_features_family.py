from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.log import EventLog
from beautyrec.errors import ConfigError, DataError
from beautyrec.features.family import first_family, full_family, hosts_of, price_edges_of, scenes_of


@pytest.fixture
def keys(tiny_frames):
    shown = tiny_frames["events"].query("event == 'impression'")
    starts = tiny_frames["rooms"].set_index("room_id")["starts_at"]
    frame = shown[["user_id", "item_id", "room_id", "position"]].assign(as_of=shown["room_id"].map(starts))
    return frame.reset_index(drop=True)


def test_full_family_holds_the_first_and_gives_numbers(tiny_log, keys):
    family = full_family(scenes_of(tiny_log), hosts_of(tiny_log), price_edges_of(tiny_log, 4), utc_offset=8)
    first = first_family(("evening", "flash sale"), utc_offset=8)
    assert family.names[: len(first.names)] == first.names
    found = family.compute(tiny_log, keys)
    assert tuple(found) == family.names
    assert not np.isinf(found.to_numpy()).any()
    pd.testing.assert_frame_equal(found[list(first.names)], first.compute(tiny_log, keys))
    second_room = keys["room_id"] == "room-b"
    assert (found.loc[second_room, "user_item_seen"] > 0).any()
    assert (
        found["margin"]
        == 1 - (keys["item_id"].str[-2:].astype(int) / 2 + 2) / (keys["item_id"].str[-2:].astype(int) + 4)
    ).all()
    assert found["item_rating"].isna().all()


def test_what_is_declared_comes_from_the_log(tiny_log):
    assert hosts_of(tiny_log) == ("Lin", "Mei")
    assert price_edges_of(tiny_log, 2) == (9.5,)
    with pytest.raises(ConfigError, match="at least 2"):
        price_edges_of(tiny_log, 1)


def test_a_catalogue_without_prices_has_no_edges(tiny_frames):
    log = EventLog.from_frames(tiny_frames["events"], tiny_frames["items"].assign(price=None))
    with pytest.raises(DataError, match="0 of 12 products have a price"):
        price_edges_of(log, 4)
