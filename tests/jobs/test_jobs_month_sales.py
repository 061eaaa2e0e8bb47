from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from beautyrec import plackett_luce
from beautyrec.data.log import EventLog
from beautyrec.data.slates import Slates
from beautyrec.jobs import month_sales
from beautyrec.jobs.month_sales import SalesAfter, deviation
from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.world import World
from beautyrec.types import IntArray


@pytest.fixture(scope="module")
def after() -> SalesAfter:
    """Two days, and eleven after them: one whole week and four days that count for nothing."""
    world = World.tiny(0, replace(WorldConfig.tiny(), days=13))
    start = pd.Timestamp(int(world.month.ts.min()), unit="us", tz="UTC").floor("D") + pd.Timedelta(days=2)
    return SalesAfter(world, world.log(), start)


class Knows:
    """A model that says what the world says, times a factor."""

    def __init__(self, world: World, factor: float) -> None:
        self.world, self.factor = world, factor

    def predicted(self, log: EventLog, slates: Slates, shown: IntArray) -> pd.DataFrame:
        click, order = self.world.chances(slates, shown)
        return pd.DataFrame({"ctcvr": self.factor * (click * order)[shown >= 0]})


@pytest.mark.parametrize("factor", [1.0, 1.3, 0.5])
def test_a_model_that_is_off_by_a_factor_deviates_by_it(after: SalesAfter, factor: float) -> None:
    model: Any = Knows(after.world, factor)
    late = after.slates.where(after.slates.ts >= after.start.value // 1000)
    draws = late.shelves.draw_probability[late.room_ix]
    assert after.of_model(model, late, draws, 0) == pytest.approx(abs(factor - 1), abs=1e-12)


def test_a_model_that_only_ranks_has_no_deviation(after: SalesAfter) -> None:
    model: Any = type("Ranks", (), {"predicted": lambda *_: None})()
    some = after.slates.where(np.arange(len(after.slates)) < 5)
    assert after.of_model(model, some, some.shelves.draw_probability[some.room_ix], 0) is None


def test_true_sales_are_those_that_the_world_expects(after: SalesAfter) -> None:
    """Of slates drawn from the legacy policy in the week, price by price from the log."""
    log, slates = after.log, after.slates
    rooms = log.engine.frame(log.rooms).set_index("room_id")
    prices = log.engine.frame(log.shelves).set_index(["room_id", "item_id"])["price"]
    starts = rooms["starts_at"].reindex(slates.shelves.rooms.ids_at(slates.room_ix))
    in_week = (starts >= after.start) & (starts < after.start + pd.Timedelta(days=7))
    late = slates.where(in_week.to_numpy())
    shown = plackett_luce.sample(late.shelves.draw_probability[late.room_ix], 3, np.random.default_rng(1))
    rows = after.shown(late, shown)
    click, order = after.world.chances(late, shown)
    total = 0.0
    for request, place in zip(*np.nonzero(shown >= 0), strict=True):
        room = late.room_ix[request]
        item = late.shelves.item_ix[room, shown[request, place]]
        key = (late.shelves.rooms.ids_at([room])[0], late.shelves.items.ids_at([item])[0])
        total += click[request, place] * order[request, place] * prices[key]
    assert rows["true"].sum() == pytest.approx(total, rel=1e-12)
    assert set(rows["week"]) == {0}
    assert set(after.shelf["week"]) == {-1, 0}, "the days before and those after the last whole week"


def test_the_scorecard_with_one_group_predicts_the_mean_of_what_was_sold(
    after: SalesAfter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(month_sales, "TENTHS", 1)
    shelf = after.shelf
    past, mine = shelf[shelf["starts_at"] < after.start], shelf[shelf["week"] == 0]
    events = after.log.engine.frame(after.log.events)
    orders = events[(events["event"] == "order") & events["room_id"].isin(past["room_id"])]
    rate = (orders["price"] * orders["quantity"]).sum() / past["viewers"].sum()
    np.testing.assert_allclose(after._by_tenth(0, mine), rate * mine["viewers"].to_numpy(), rtol=1e-9)
    monkeypatch.undo()
    assert 0 < after.of_scorecard() < 2


def test_deviation_is_by_week_and_category() -> None:
    rows = pd.DataFrame(
        {"week": [0, 0, 1], "category": ["a", "a", "a"], "predicted": [1.0, 3.0, 1.0], "true": [2.0] * 3}
    )
    assert deviation(rows) == pytest.approx(1 / 6)
