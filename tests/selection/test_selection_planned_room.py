"""Usual prices by hand, products at them, and a room that does not yet exist."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("ibis")

from beautyrec.data.log import EventLog
from beautyrec.errors import ConfigError
from beautyrec.features.builder import AS_OF
from beautyrec.features.feature_set import FeatureSet
from beautyrec.features.prices import DiscountDepth, Margin
from beautyrec.selection.planned_room import at_prices, usual_prices, with_planned
from beautyrec.simulate.config import SCENES, WorldConfig
from beautyrec.simulate.world import World

START = pd.Timestamp("2026-03-01 12:00", tz="UTC")


@pytest.fixture
def log() -> EventLog:
    """Three rooms: two sales, the second after the plan is made; a chat. Product 3 has no list price."""
    rooms = pd.DataFrame({"room_id": [1, 2, 3], "scene": ["sale", "chat", "sale"], "host": "h"})
    rooms["starts_at"] = START + pd.to_timedelta([0, 1, 5], "D")
    rooms["ends_at"] = rooms["starts_at"] + pd.Timedelta(hours=1)
    shelves = pd.DataFrame(
        {"room_id": [1, 1, 1, 2, 3], "item_id": [1, 2, 3, 1, 1], "price": [6.0, 18.0, 5.0, 10.0, 1.0]}
    )
    shelves = shelves.assign(draw_probability=[0.3, 0.3, 0.4, 1.0, 1.0], stock=9)
    items = pd.DataFrame({"item_id": [1, 2, 3, 4], "price": [10.0, 20.0, None, 50.0], "cost": [4.0, 9.0, 1.0, 30.0]})
    shown = pd.DataFrame(
        {"event_id": [0], "event": "impression", "ts": [START], "user_id": 7, "item_id": 1, "room_id": 1}
    )
    return EventLog.from_frames(shown, items, rooms=rooms, shelves=shelves)


def test_a_product_is_at_its_own_discount_drawn_to_that_of_the_scene(log: EventLog) -> None:
    found = usual_prices(log, START + pd.Timedelta(days=2), "sale").set_index("item_id")
    mean = (0.4 + 0.1) / 2
    assert found.discount[1] == pytest.approx((0.4 + 5 * mean) / 6)
    assert found.discount[2] == pytest.approx((0.1 + 5 * mean) / 6)
    assert found.discount[4] == pytest.approx(mean), "never on a shelf"
    assert np.isnan(found.price[3])
    assert found.price[4] == pytest.approx(50 * (1 - mean))
    assert usual_prices(log, START + pd.Timedelta(days=2), "chat")["discount"].dropna().eq(0).all()


def test_a_scene_that_was_not_held_is_named(log: EventLog) -> None:
    with pytest.raises(ConfigError, match=r"scene 'gala' with prices began in the 30 days .* held were: chat, sale"):
        usual_prices(log, START + pd.Timedelta(days=2), "gala")
    with pytest.raises(ConfigError, match="held were: none"):
        usual_prices(log, START - pd.Timedelta(days=2), "sale")


def test_usual_prices_of_a_simulated_month_are_those_its_scenes_ask() -> None:
    world = World.tiny(0, replace(WorldConfig.tiny(), days=12))
    log = world.log()
    for scene in SCENES[:3]:
        found = usual_prices(log, pd.Timestamp("2100-01-01", tz="UTC"), scene.name, days=40_000)["discount"].dropna()
        middle = (scene.discount_low + scene.discount_high) / 2
        assert found.mean() == pytest.approx(middle, abs=0.01)
        assert found.between(scene.discount_low - 0.01, scene.discount_high + 0.01).all()


def test_products_at_a_price_have_the_margin_that_their_cost_leaves(log: EventLog) -> None:
    products = pd.DataFrame({"item_id": [1, 3, 4], "price": [10.0, 5.0, 50.0], "margin": [0.6, 0.8, 0.4]})
    asked = usual_prices(log, START + pd.Timedelta(days=2), "sale")
    found = at_prices(products, asked)
    price = asked.set_index("item_id")["price"]
    assert found["price"].tolist() == [price[1], 5.0, price[4]]
    assert found["margin"].tolist() == pytest.approx([1 - 4 / price[1], 0.8, 1 - 30 / price[4]])
    assert products["price"].tolist() == [10.0, 5.0, 50.0]


def test_features_see_the_prices_of_a_planned_room(log: EventLog) -> None:
    at = START + pd.Timedelta(days=2)
    planned, room = with_planned(log, "sale", at, pd.DataFrame({"item_id": [1, 4], "price": [8.0, 40.0]}))
    keys = pd.DataFrame({"item_id": [1, 4, 1], "room_id": [room, room, 1], AS_OF: at})
    found = FeatureSet((DiscountDepth(), Margin())).compute(planned, keys)
    assert found["discount_depth"].tolist() == pytest.approx([0.2, 0.2, 0.4])
    assert found["margin"].tolist() == pytest.approx([0.5, 0.25, 1 - 4 / 6])
    assert len(log.engine.frame(log.rooms)) == 3
    assert len(planned.engine.frame(planned.rooms)) == 4
