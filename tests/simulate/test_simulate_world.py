"""The log of a world: what is in it, and that it is what the world's own rules say."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

from beautyrec.errors import ConfigError, SchemaError
from beautyrec.simulate.catalogue import synthetic_purchases
from beautyrec.simulate.config import LEGACY, SIMULATED, WorldConfig
from beautyrec.simulate.tastes import RandomTastes
from beautyrec.simulate.world import World


@pytest.fixture(scope="module")
def tables(scarce_log) -> dict[str, pd.DataFrame]:
    return {name: getattr(scarce_log, name).execute() for name in ("events", "items", "users", "rooms", "shelves")}


def test_the_log_gives_the_same_slates_as_the_world(scarce, scarce_log):
    ours, theirs = scarce.slates(), scarce_log.slates()
    for name in (field.name for field in fields(ours) if field.name != "shelves"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
    np.testing.assert_array_equal(ours.shelves.item_ix, theirs.shelves.item_ix)
    np.testing.assert_allclose(ours.shelves.draw_probability, theirs.shelves.draw_probability)


def test_purchases_come_first_and_know_of_no_room(scarce, tables):
    events = tables["events"].sort_values("event_id")
    before, during = events.iloc[: len(scarce.purchases)], events.iloc[len(scarce.purchases) :]
    assert set(before["event"]) == {"order"}
    np.testing.assert_array_equal(before["user_id"], scarce.purchases["user_id"])
    np.testing.assert_array_equal(before["item_id"], scarce.purchases["item_id"])
    for column in ("request_id", "room_id", "position", "propensity", "price", "policy"):
        assert before[column].isna().all()
        assert during[column].notna().all()
    assert before["ts"].max().floor("D") + pd.Timedelta("1D") <= during["ts"].min()
    assert set(during["policy"]) == {LEGACY}
    assert (during["available_at"] >= during["ts"]).all()
    assert during["ts"].is_monotonic_increasing
    late = (during["available_at"] - during["ts"])[during["event"] == "order"]
    assert late.min() > pd.Timedelta(0)
    assert pd.Timedelta("1h") < late.max() <= pd.Timedelta("12h")


def test_clicks_follow_impressions_and_orders_follow_clicks(tables):
    events = tables["events"]
    key = ["request_id", "item_id", "room_id", "user_id", "position", "price"]
    kinds = {
        kind: events[events["event"] == kind].dropna(subset="request_id") for kind in ("impression", "click", "order")
    }
    for cause, effect in (("impression", "click"), ("click", "order")):
        joined = kinds[effect].merge(kinds[cause], on=key, suffixes=("", "_cause"), validate="one_to_one")
        assert len(joined) == len(kinds[effect]) > 0
        assert (joined["ts"] > joined["ts_cause"]).all()


def test_a_viewer_enters_a_room_once_while_it_is_on(tables):
    shown = tables["events"].query("event == 'impression'").merge(tables["rooms"], on="room_id")
    assert ((shown["ts"] >= shown["starts_at"]) & (shown["ts"] < shown["ends_at"])).all()
    assert len(shown.drop_duplicates(["room_id", "user_id"])) == shown["request_id"].nunique()
    assert len(shown.drop_duplicates(["request_id", "user_id"])) == shown["request_id"].nunique()


def test_propensities_are_those_of_draws_without_replacement(tables):
    shown = tables["events"].query("event == 'impression'")
    chance = tables["shelves"].set_index(["room_id", "item_id"])["draw_probability"]
    requests = shown["request_id"].drop_duplicates().sample(60, random_state=0)
    for _, slate in shown[shown["request_id"].isin(requests)].groupby("request_id"):
        left, whole = 1.0, 1.0
        for row in slate.sort_values("position").itertuples():
            draw = chance[row.room_id, row.item_id]
            assert row.propensity == pytest.approx(draw / left, rel=1e-9)
            left, whole = left - draw, whole * draw / left
        assert slate["slate_propensity"].to_numpy() == pytest.approx(whole, rel=1e-9)


def test_slates_are_drawn_with_the_chances_they_log(world):
    slates = world.slates()
    chance = slates.shelves.draw_probability[slates.room_ix]
    first = np.zeros_like(chance)
    first[np.arange(len(slates)), slates.shown[:, 0]] = 1
    for room in range(0, len(slates.shelves.rooms), 6):
        here = slates.room_ix == room
        p = slates.shelves.draw_probability[room]
        there = p > 0
        z = (first[here].sum(axis=0) - here.sum() * p)[there] / np.sqrt(here.sum() * p * (1 - p))[there]
        assert np.abs(z).max() < 4.5


def test_shelves_have_their_size_and_support(scarce, tables):
    shelves, config = tables["shelves"], scarce.config
    size = shelves.groupby("room_id").size()
    assert size.between(config.slate_size, config.shelf_max).all()
    floor = config.exploration / size.reindex(shelves["room_id"]).to_numpy()
    assert (shelves["draw_probability"] >= floor).all()
    assert shelves.groupby("room_id")["draw_probability"].sum().to_numpy() == pytest.approx(1)


def test_nothing_is_on_a_shelf_before_its_launch(tables):
    shelves = tables["shelves"].merge(tables["rooms"], on="room_id").merge(tables["items"], on="item_id")
    assert (shelves["launched_at"] <= shelves["starts_at"]).all()
    new = shelves["launched_at"] >= tables["rooms"]["starts_at"].min().floor("D")
    assert new.any()
    assert not new.all()


def test_what_is_sold_out_stays_off_the_next_shelves(scarce, tables):
    depot, config = scarce.stage.depot, scarce.config
    orders = tables["events"].query("event == 'order'").dropna(subset="room_id")
    ids = scarce.catalogue.live.ids
    missed = 0
    for room in tables["rooms"].itertuples():
        left = {}
        for column, item in enumerate(ids):
            delivery = pd.Timestamp(depot.start + depot.phase[column], unit="us", tz="UTC")
            while delivery > room.starts_at:
                delivery -= pd.Timedelta(days=config.restock_days)
            while delivery + pd.Timedelta(days=config.restock_days) <= room.starts_at:
                delivery += pd.Timedelta(days=config.restock_days)
            mine = orders[(orders["item_id"] == item) & (orders["ts"] >= delivery) & (orders["ts"] < room.starts_at)]
            left[item] = max(int(depot.level[column]) - len(mine), 0)
        shelf = tables["shelves"][tables["shelves"]["room_id"] == room.room_id]
        assert shelf["stock"].tolist() == [left[item] for item in shelf["item_id"]]
        assert (shelf["stock"] >= config.stock_reserve).all()
        missed += sum(count < config.stock_reserve for count in left.values())
    assert missed > 0  # or else the check above could not fail


def test_costs_leave_the_margin_of_the_config(tables, scarce):
    items = tables["items"].dropna(subset="price").query("price > 1")
    margin = 1 - items["cost"] / items["price"]
    assert margin.between(scarce.config.margin_low - 0.01, scarce.config.margin_high + 0.01).all()
    assert len(items) > 40


def test_prices_are_list_prices_less_the_discount_of_the_scene(tables, scarce):
    shelves = (
        tables["shelves"]
        .merge(tables["rooms"], on="room_id")
        .merge(tables["items"], on="item_id", suffixes=("", "_list"))
    )
    shelves = shelves.dropna(subset="price_list")
    off = 1 - shelves["price"] / shelves["price_list"]
    for scene in scarce.config.scenes:
        here = off[shelves["scene"] == scene.name]
        assert here.between(scene.discount_low - 0.01, scene.discount_high + 0.01).all()


def test_the_seed_decides_all(world):
    again, other = World.tiny(seed=3), World.tiny(seed=4)
    first, second = world.slates(), again.slates()
    for name in ("user_id", "ts", "shown", "clicked", "ordered", "revenue", "propensity"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert not np.array_equal(first.user_id[:100], other.slates().user_id[:100])
    left, right = world.log().events.execute(), again.log().events.execute()
    pd.testing.assert_frame_equal(*(frame.sort_values("event_id", ignore_index=True) for frame in (left, right)))


def test_it_says_that_it_is_simulated(world):
    assert SIMULATED in repr(world)
    assert world.label == SIMULATED


def test_frames_that_come_in_stay_as_they_are_and_ids_may_be_strings():
    purchases, items = synthetic_purchases(users=300, items=60, events=2200, seed=1)
    purchases = purchases.assign(
        user_id="u" + purchases["user_id"].astype(str), item_id="i" + purchases["item_id"].astype(str)
    )
    items = items.assign(item_id="i" + items["item_id"].astype(str)).drop(columns=["category", "price"])
    copies = purchases.copy(), items.copy()
    world = World.build(purchases, items, WorldConfig.tiny(), seed=1, tastes=RandomTastes())
    pd.testing.assert_frame_equal(purchases, copies[0])
    pd.testing.assert_frame_equal(items, copies[1])
    log = world.log()
    np.testing.assert_array_equal(log.slates().shown, world.slates().shown)
    assert log.items.execute()["item_id"].str.startswith("new-").sum() == world.config.launches


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda p, i: (p.drop(columns="ts"), i), SchemaError, "'ts' is missing"),
        (lambda p, i: (p.iloc[:0], i), SchemaError, "not one row"),
        (lambda p, i: (p, i.iloc[:50]), SchemaError, "that items lacks"),
        (lambda p, i: (p, i.drop(columns="item_id")), SchemaError, "'item_id' is missing"),
        (lambda p, i: (p[p["item_id"] <= 30], i), ConfigError, "live_items is 50 but only 30"),
    ],
)
def test_what_cannot_make_a_world(change, error, message):
    purchases, items = change(*synthetic_purchases(users=300, items=60, events=2200, seed=1))
    with pytest.raises(error, match=message):
        World.build(purchases, items, WorldConfig.tiny(), seed=1, tastes=RandomTastes())


def test_a_shop_without_stock_is_refused():
    config = replace(WorldConfig.tiny(), stock_median=1.0, stock_reserve=40, stock_spread=0.0, restock_days=30)
    with pytest.raises(ConfigError, match="launched and in stock"):
        World.tiny(seed=0, config=config)


@pytest.mark.shared
def test_the_world_around_the_real_shoppers(shared_data):
    folder = shared_data / "amazon-beauty-2014"
    purchases = pd.read_parquet(folder / "interactions.parquet").sort_values(["user_id", "pos"])
    config = replace(WorldConfig(), days=4)
    world = World.build(purchases, pd.read_parquet(folder / "items.parquet"), config, seed=0)
    slates = world.slates()
    click, order = world.chances(slates)
    assert click.mean() == pytest.approx(0.01, rel=1e-3)
    assert (1 - np.prod(1 - click * order, axis=1)).mean() == pytest.approx(0.02, rel=1e-3)
    width = (slates.shelves.item_ix >= 0).sum(axis=1)
    assert width.min() >= 60
    assert width.max() <= 120
    assert slates.shown.shape[1] == 10
    live = world.catalogue.live.indices_or_missing(world.purchases["item_id"])
    user = world.response.viewers.users.indices(world.purchases["user_id"])
    on_air = live >= 0
    taste = world.response.taste(user[on_air], live[on_air, None])
    assert taste.mean() > 1  # what they bought; 0 over all pairs
