from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beautyrec.errors import ConfigError, UnknownIdError
from beautyrec.simulate.config import SIMULATED
from beautyrec.simulate.demand import RoomPlan
from beautyrec.simulate.response import sigmoid
from beautyrec.simulate.world import World


@pytest.fixture(scope="module")
def tonight(world: World) -> RoomPlan:
    day = pd.Timestamp(world.stage.depot.start, unit="us", tz="UTC") + pd.Timedelta(days=world.config.days)
    return RoomPlan("flash_sale", day + pd.Timedelta(hours=20))


def test_demand_is_the_mean_over_the_scenes_viewers(world, tonight):
    schedule, response = world.stage.schedule, world.response
    rooms = np.flatnonzero(schedule.scene == [scene.name for scene in world.config.scenes].index("flash_sale"))
    who = np.concatenate([schedule.audience[room] for room in rooms])
    assert len(who) <= 2000  # all of them count
    item = 7
    frame = world.expected_demand(
        RoomPlan(tonight.scene, tonight.starts_at, discount=0.5), world.catalogue.live.ids[[item]]
    )
    effects, viewers = response.effects, response.viewers
    price = round(world.catalogue.price[item] * 0.5, 2)
    relative = np.clip(np.log(price / world.catalogue.median[world.catalogue.rows[item]]), -1.5, 1.5)
    taste = np.clip(viewers.taste.users[who] @ viewers.taste.items[item], -3, 3)
    scene, group = 2, world.catalogue.category[item]
    click = response.click_intercept + effects.appeal[item] + 0.5 * taste + viewers.whim[who, group]
    click += (
        viewers.price_click[who] * relative + effects.scene_fit[scene, group] + effects.hour[20] + viewers.click[who]
    )
    click += effects.trend[-1, item] + effects.novelty[-1, item]
    order = response.order_intercept + effects.quality[item] + 0.3 * taste + viewers.price_order[who] * relative
    order += effects.order_scene_fit[scene, group] + viewers.order[who]
    attention = (np.arange(1, 5) ** -0.5).mean()
    row = frame.iloc[0]
    assert row["price"] == pytest.approx(price)
    assert row["click"] == pytest.approx(attention * sigmoid(click).mean(), rel=1e-5)
    assert row["order"] == pytest.approx(attention * (sigmoid(click) * sigmoid(order)).mean(), rel=1e-5)
    assert row["margin"] == pytest.approx(row["order"] * (price - world.catalogue.cost[item]), rel=1e-9)


def test_a_deeper_discount_sells_more_and_earns_less_a_unit(world, tonight):
    shallow, deep = (world.expected_demand(RoomPlan(tonight.scene, tonight.starts_at, discount=d)) for d in (0.0, 0.4))
    assert deep["order"].mean() > shallow["order"].mean()
    assert ((deep["margin"] / deep["order"]) < (shallow["margin"] / shallow["order"])).all()
    assert set(deep["label"]) == {SIMULATED}
    assert len(deep) == world.config.live_items


def test_plans_for_what_is_not_there(world, tonight):
    with pytest.raises(ConfigError, match="no scene 'breakfast'"):
        world.expected_demand(RoomPlan("breakfast", tonight.starts_at))
    with pytest.raises(UnknownIdError):
        world.expected_demand(tonight, pd.Index([987_654]))
