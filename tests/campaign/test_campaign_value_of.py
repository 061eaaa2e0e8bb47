"""What a source is worth, in worlds where that is known: products come and go from day to day, and a daily index tells how."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from beautyrec.campaign.compare import last_days
from beautyrec.campaign.source_trial import SourceTrial, Tried
from beautyrec.campaign.value_of import Purchase, value_of
from beautyrec.data.external import ExternalSource
from beautyrec.data.log import EventLog
from beautyrec.data.times import microseconds
from beautyrec.errors import ConfigError, EvaluationError, SchemaError
from beautyrec.features.context import Position
from beautyrec.features.feature_set import FeatureSet
from beautyrec.features.items import ItemHeat
from beautyrec.models.funnel import Boosting, Funnel
from beautyrec.simulate.catalogue import synthetic_purchases
from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.tastes import RandomTastes
from beautyrec.simulate.world import World

DAY = pd.Timedelta(days=1)
INDEX = ExternalSource("index", "item_id", "known_at", "1D", ("trend",))
BASE = FeatureSet((ItemHeat(), Position()))
TRIAL = SourceTrial(features=BASE, test_days=4)
PRICE = 30.0


@pytest.fixture(scope="module")
def world():
    """What is in demand is drawn anew each day: yesterday says nothing of today."""
    config = replace(WorldConfig.tiny(), viewers_per_day=3000.0, days=8, trend_spread=1.5, trend_memory=0.0)
    purchases, items = synthetic_purchases(users=1500, items=60, events=9000, seed=0)
    return World.build(purchases, items, config, seed=0, tastes=RandomTastes())


@pytest.fixture(scope="module")
def log(world):
    return world.log()


def told(world, log, values, late=0):
    """The index of each product on each day [days, L], known at midnight or some days later."""
    first = log.engine.frame(log.rooms)["starts_at"].min().floor("D")
    days, ids = first + np.arange(len(values)) * DAY + late * DAY, world.catalogue.live.ids
    rows = {"item_id": np.tile(ids, len(days)), "known_at": np.repeat(days, len(ids)), "trend": values.ravel()}
    return INDEX.read(pd.DataFrame(rows)).join(log)


def true_extra(world, log):
    """By the world itself: margin per 1,000 viewers of the policy with the source less that of the one without."""
    slates = log.slates()
    slates = slates.where(slates.ts >= microseconds(last_days(log, TRIAL.test_days)))
    without, with_source = (
        world.truth(slates, arm.draws, rng=np.random.default_rng(0), n_slates=16).margin_per_viewer.value
        for arm in Tried.of(INDEX, log, TRIAL).arms
    )
    return 1000 * (with_source - without)


def change(found, measure):
    return found.changes.set_index("measure").loc[measure]


def test_what_tells_of_the_day_pays_and_the_interval_holds_the_truth(world, log):
    known = told(world, log, world.response.effects.trend)
    found = value_of(INDEX, known, price=PRICE, trial=TRIAL)
    true = true_extra(world, known)
    assert found.extra.ci_low < true < found.extra.ci_high
    assert true > PRICE
    assert found.verdict is Purchase.PAYS
    assert found.coverage > 0.99
    assert change(found, "log loss, ctr")["ci_high"] < 0
    assert change(found, "calibration error / base rate, ctr")["ci_high"] < 0
    assert change(found, "AUC within requests, ctr")["ci_low"] > 0
    assert change(found, "lift, ctr")["ci_low"] > 0
    assert (found.changes["clusters"] > 300).all()


def test_noise_does_not_pay(world, log):
    noise = np.random.default_rng(1).normal(size=world.response.effects.trend.shape)
    known = told(world, log, noise)
    found = value_of(INDEX, known, price=PRICE, trial=TRIAL)
    assert found.extra.ci_low < true_extra(world, known) < found.extra.ci_high
    assert found.verdict is not Purchase.PAYS
    assert found.extra.ci_low < 0
    assert change(found, "log loss, ctr")["ci_high"] > 0
    assert change(found, "AUC within requests, ctr")["ci_low"] < 0


def test_what_is_known_a_day_late_is_worth_no_more_than_noise(world, log):
    """The very numbers that pay at midnight; a day later they tell of a day that is over."""
    known = told(world, log, world.response.effects.trend, late=1)
    found = value_of(INDEX, known, price=PRICE, trial=TRIAL)
    assert found.extra.ci_low < PRICE
    assert found.verdict is not Purchase.PAYS
    assert change(found, "AUC within requests, ctr")["difference"] < 0.01


def test_what_is_known_after_it_is_used_changes_nothing_at_all(world, log):
    found = value_of(
        INDEX, told(world, log, world.response.effects.trend, late=30), price=PRICE, trial=replace(TRIAL, folds=2)
    )
    assert found.coverage == 0
    assert found.changes["difference"].dropna().eq(0).all()
    assert (found.extra.value, found.extra.ci_low, found.extra.ci_high) == (0, 0, 0)
    assert found.verdict is Purchase.DOES_NOT_PAY
    assert "0.0% were covered" in str(found)


def test_without_costs_revenue_counts_and_it_says_so(tiny_log):
    """A log of 60 requests cannot tell, and says why."""
    items = tiny_log.engine.frame(tiny_log.items)["item_id"]
    rows = pd.DataFrame({"item_id": items, "known_at": pd.Timestamp("2026-01-01", tz="UTC"), "trend": np.arange(12.0)})
    source = replace(INDEX, valid_for="999D")
    known = source.read(rows).join(tiny_log)
    eager = Funnel(click=Boosting(rows_a_leaf=2, l2=0.0), order=Boosting(rows_a_leaf=2, l2=0.0))
    trial = SourceTrial(features=FeatureSet((Position(),)), learner=eager, test_days=1)
    found = value_of(source, known, price=0.0, trial=trial)
    assert found.verdict is Purchase.CANNOT_BE_TOLD
    assert found.changes["measure"].iloc[-1] == "margin per 1,000 viewers"
    assert any("with the source, the log is worth" in reason for reason in found.reasons)
    bare = tiny_log.items.mutate(cost=tiny_log.items["cost"].nullif(7.5))
    again = value_of(source, replace(known, items=bare), price=0.0, trial=trial)
    assert again.changes["measure"].iloc[-1] == "revenue per 1,000 viewers"
    revenue = change(again, "lift, revenue_per_viewer")
    slates = known.slates()
    day = slates.where(slates.ts >= microseconds(last_days(known, 1)))
    logged = 1000 * day.revenue.sum() / len(day)
    money = change(again, "revenue per 1,000 viewers")
    assert money["difference"] == pytest.approx(revenue["difference"] * logged)


@pytest.mark.parametrize("price", [-1.0, float("nan"), float("inf")])
def test_a_price_that_is_none_is_refused(tiny_log, price):
    with pytest.raises(ConfigError, match="price is"):
        value_of(INDEX, tiny_log, price=price)


def test_a_log_without_the_source_or_without_test_days_is_named(tiny_log):
    with pytest.raises(SchemaError, match="external 'index': the log has"):
        value_of(INDEX, tiny_log, price=1.0, trial=SourceTrial(test_days=1))
    with pytest.raises(ConfigError, match="folds is 3, test_days 2"):
        SourceTrial(test_days=2, folds=3)


def test_a_log_that_ends_without_rooms_is_named(tiny_log, tiny_frames):
    later = (
        tiny_frames["events"]
        .tail(1)
        .assign(event="view", ts=pd.Timestamp("2026-03-20", tz="UTC"), event_id=10**6, request_id=None, room_id=None)
    )
    frames = {**tiny_frames, "events": pd.concat([tiny_frames["events"], later])}
    log = EventLog.from_frames(**frames)
    rows = pd.DataFrame({"item_id": ["item-00"], "known_at": pd.Timestamp("2026-01-01", tz="UTC"), "trend": [1.0]})
    with pytest.raises(EvaluationError, match="no request came after"):
        value_of(INDEX, INDEX.read(rows).join(log), price=1.0, trial=SourceTrial(test_days=1))
