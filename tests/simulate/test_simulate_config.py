from __future__ import annotations

from dataclasses import replace

import pytest

from beautyrec.errors import ConfigError
from beautyrec.settings import from_table
from beautyrec.simulate.config import WorldConfig


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"days": 0}, "days"),
        ({"shelf_min": 9}, "shelf_min"),
        ({"shelf_max": 59}, "shelf_max"),
        ({"launches": 950}, "launches"),
        ({"click_rate": 0.0}, "click_rate"),
        ({"click_rate": 1.5}, "click_rate"),
        ({"room_conversion": float("nan")}, "room_conversion"),
        ({"taste_spread": -0.1}, "taste_spread"),
        ({"popularity_link": 1.2}, "popularity_link"),
        ({"exploration": -0.1}, "exploration"),
        ({"margin_high": 0.1}, "margin_high"),
        ({"scenes": ()}, "scenes"),
    ],
)
def test_a_value_out_of_bounds_is_named(changes, named):
    with pytest.raises(ConfigError, match=named):
        replace(WorldConfig(), **changes)


def test_it_reads_from_toml():
    table = {"days": 3, "scenes": [{"name": "evening", "discount_high": 0.2}]}
    config = from_table(WorldConfig, table, "test [world]")
    assert (config.days, config.scenes[0].name, config.scenes[0].discount_high) == (3, "evening", 0.2)


def test_the_spreads_of_the_click_add_up_to_about_one():
    config = WorldConfig()
    relative = 0.7  # spread of log(price / median) over products
    spreads = [config.appeal_spread, config.taste_spread, config.whim_spread, config.scene_spread, config.host_spread]
    spreads += [config.trend_spread, config.hour_spread, config.viewer_spread]
    spreads += [config.price_slope * relative, config.price_spread * relative]
    assert sum(spread**2 for spread in spreads) == pytest.approx(1.0, abs=0.1)
