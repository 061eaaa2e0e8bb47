"""A simulated month of rooms, each predicted on the eve of its day from what was known then, beside what it truly sold."""

from __future__ import annotations

import numpy as np
import pandas as pd

from beautyrec import plackett_luce
from beautyrec.data import schema
from beautyrec.data.slates import Slates
from beautyrec.features.builder import AS_OF
from beautyrec.jobs.shop import Shop, open_shop
from beautyrec.models.funnel import Funnel
from beautyrec.selection.dimension_values import dimension_values
from beautyrec.selection.scorecard import Scorecard
from beautyrec.simulate.catalogue import synthetic_purchases
from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.world import World

FIRST, WEEK, WARM_UP = 9, 7, 5
LEGACY_WEIGHTS = {"heat": 1.0, "margin": 1.0, "feedback": 1.0}
DECILES = 10


def shop_of(seed: int, viewers_per_day: float, live_items: int, rooms_per_day: int) -> Shop:
    purchases, items = synthetic_purchases(users=22_363, items=12_101, events=198_502, seed=seed)
    config = WorldConfig(days=30, viewers_per_day=viewers_per_day, live_items=live_items, rooms_per_day=rooms_per_day)
    return open_shop(World.build(purchases, items, config, seed=seed))


def shelf_rows(shop: Shop) -> pd.DataFrame:
    """One row a room and product on its shelf, as planned: prices and the shop's own chances to show it."""
    frame = shop.log.engine.frame
    rooms = frame(shop.log.rooms)[[schema.ROOM_ID, schema.SCENE, schema.STARTS_AT]]
    items = frame(shop.log.items)[[schema.ITEM_ID, schema.CATEGORY]]
    rows = frame(shop.log.shelves).merge(rooms, on=schema.ROOM_ID).merge(items, on=schema.ITEM_ID)
    rows = rows.assign(
        day=(rows[schema.STARTS_AT].dt.floor("D") - shop.start).dt.days, hour=rows[schema.STARTS_AT].dt.hour
    )
    rows["week"] = (rows["day"] - FIRST) // WEEK
    return rows.sort_values([schema.ROOM_ID, schema.ITEM_ID], ignore_index=True)


def outcomes(shop: Shop) -> pd.DataFrame:
    """What every room and product got: impressions, and clicks, orders and sales as drawn and as the world expects them."""
    slates = shop.slates
    click, order = shop.world.chances(slates)
    there = slates.shown >= 0
    request, _ = np.nonzero(there)
    room = slates.room_ix[request]
    item = slates.shelves.item_ix[room, slates.shown[there]]
    table = pd.DataFrame(
        {
            schema.ROOM_ID: slates.shelves.rooms.ids_at(room),
            schema.ITEM_ID: slates.shelves.items.ids_at(item),
            "impressions": 1.0,
            "clicks": slates.clicked[there].astype(float),
            "orders": slates.ordered[there].astype(float),
            "true_clicks": click[there],
            "true_orders": (click * order)[there],
        }
    )
    return table.groupby([schema.ROOM_ID, schema.ITEM_ID], as_index=False).sum()


def audience(rooms: pd.DataFrame, past: pd.Series, rounds: int = 20) -> pd.Series:
    """Viewers to be expected of every room: what rooms of its scene had, times what those of its hour had beyond that.

    Args:
        rooms: ``scene, hour``, one row a room (the index).
        past: viewers of the rooms that were held before.
    """
    held = rooms.loc[past.index].assign(n=past)
    scene = pd.Series(1.0, index=rooms[schema.SCENE].unique())
    hour = pd.Series(1.0, index=rooms["hour"].unique())
    mean = float(past.mean())
    for _ in range(rounds):
        base = mean * held["hour"].map(hour)
        scene = (
            ((held["n"].groupby(held[schema.SCENE]).sum() + mean) / (base.groupby(held[schema.SCENE]).sum() + mean))
            .reindex(scene.index)
            .fillna(1.0)
        )
        base = mean * held[schema.SCENE].map(scene)
        hour = (
            ((held["n"].groupby(held["hour"]).sum() + mean) / (base.groupby(held["hour"]).sum() + mean))
            .reindex(hour.index)
            .fillna(1.0)
        )
    return mean * rooms[schema.SCENE].map(scene) * rooms["hour"].map(hour)


def exposure(rows: pd.DataFrame, slate: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """[n, slate] how often a viewer of the room meets the product at each position, by the shop's own policy."""
    found = np.zeros((len(rows), slate))
    for at in rows.groupby(schema.ROOM_ID, sort=False).indices.values():
        chance = rows[schema.DRAW_PROBABILITY].to_numpy()[at]
        shown = plackett_luce.sample(np.broadcast_to(chance, (draws, len(at))), slate, rng)
        place = np.broadcast_to(np.arange(slate), shown.shape)[shown >= 0]
        np.add.at(found, (at[shown[shown >= 0]], place), 1.0 / draws)
    return found


def predicted_week(
    shop: Shop, rows: pd.DataFrame, week: int, viewers: pd.Series, settings: tuple[int, int], seed: int
) -> pd.DataFrame:
    """The rows of the week with ``impressions, clicks, orders`` as predicted."""
    rng = np.random.default_rng([seed, 17, week])
    many, draws = settings
    start = shop.day(FIRST + WEEK * week)
    mine = rows[rows["week"] == week].reset_index(drop=True)
    rooms = rows.drop_duplicates(schema.ROOM_ID).set_index(schema.ROOM_ID)
    before = rooms.index[rooms[schema.STARTS_AT] < start]
    come = audience(rooms, viewers.reindex(before).fillna(0.0))
    shown = exposure(mine, shop.world.config.slate_size, draws, rng)
    known = shop.known_rows(start)
    known = known[known[schema.TS] >= shop.day(WARM_UP)]
    funnel = Funnel(calibration_share=1 / 3)
    model = funnel.fit(known, features=shop.features.names, seed=seed)
    rates = model.predict(expected_rows(shop, mine, shown, many, start, rng))
    groups = np.repeat(np.arange(len(mine)), many)
    rates = rates.groupby(groups).mean()
    late = known[known[schema.TS] >= known[schema.TS].quantile(1 - funnel.calibration_share)]
    clicks, orders = corrections(late.join(model.predict(late)), shop)
    impressions = mine[schema.ROOM_ID].map(come) * shown.sum(axis=1)
    category = mine[schema.CATEGORY].fillna("")
    ctr = rates["ctr"].to_numpy() * category.map(clicks).fillna(1.0)
    cvr = rates["ctcvr"].to_numpy() / rates["ctr"].to_numpy() * category.map(orders).fillna(1.0)
    return mine.assign(impressions=impressions, clicks=impressions * ctr, orders=impressions * ctr * cvr)


def expected_rows(
    shop: Shop, mine: pd.DataFrame, shown: np.ndarray, many: int, start: pd.Timestamp, rng: np.random.Generator
) -> pd.DataFrame:
    """Features of some viewers before each product, at the positions where it will stand, as of the eve of its day."""
    cut = np.cumsum(shown + 1e-9, axis=1)
    u = rng.random((len(mine), many, 1)) * cut[:, -1:, None]
    place = np.minimum((u > cut[:, None, :]).sum(axis=2), shown.shape[1] - 1)
    past: Slates = shop.slates.where(shop.slates.ts < start.value // 1000)
    rooms = shop.log.engine.frame(shop.log.rooms).set_index(schema.ROOM_ID)[schema.SCENE]
    scenes = rooms.reindex(past.shelves.rooms.ids).to_numpy()[past.room_ix]
    who = np.empty((len(mine), many), dtype=past.user_id.dtype)
    for scene, at in mine.groupby(schema.SCENE).indices.items():
        came = past.user_id[scenes == scene]
        who[at] = rng.choice(came if len(came) else past.user_id, (len(at), many))
    keys = mine.loc[np.repeat(mine.index, many), [schema.ITEM_ID, schema.ROOM_ID, schema.STARTS_AT]].reset_index(
        drop=True
    )
    keys = keys.assign(
        **{schema.USER_ID: who.ravel(), schema.POSITION: 1 + place.ravel(), AS_OF: keys[schema.STARTS_AT].dt.floor("D")}
    )
    found = shop.features.compute(shop.log, keys.drop(columns=schema.STARTS_AT)).astype(np.float32)
    return found.assign(hour=keys[schema.STARTS_AT].dt.hour.astype(np.float32))  # that of the room, not of the eve


def corrections(late: pd.DataFrame, shop: Shop, strength: float = 30.0) -> tuple[pd.Series, pd.Series]:
    """By what clicks and orders of each category differ from what was predicted of rows that grew no tree, drawn to 1."""
    items = shop.log.engine.frame(shop.log.items).set_index(schema.ITEM_ID)[schema.CATEGORY].fillna("")
    clicked, ordered = (late[name].astype(float) for name in (schema.CLICKED, schema.ORDERED))
    sums = pd.DataFrame({"c": clicked, "pc": late["ctr"], "o": ordered, "po": clicked * late["cvr"]})
    sums = sums.groupby(late[schema.ITEM_ID].map(items)).sum()
    return ratio(sums["c"], sums["pc"], strength), ratio(sums["o"], sums["po"], strength)


def ratio(seen: pd.Series, expected: pd.Series, strength: float) -> pd.Series:
    level = seen.sum() / expected.sum()
    return level * (seen + strength) / (level * expected + strength)


def legacy_week(shop: Shop, plan: pd.DataFrame, sales: pd.Series, week: int) -> pd.DataFrame:
    """The rows of the week with ``sales`` as products of the same tenth of the scorecard had in rooms before."""
    start = shop.day(FIRST + WEEK * week)
    scores = Scorecard(LEGACY_WEIGHTS).score(dimension_values(shop.log, start))
    live = plan[schema.ITEM_ID].unique()
    total = pd.Series(scores.total.to_numpy(), index=scores.item_id).reindex(live)
    tenth = np.ceil(total.rank(pct=True) * DECILES).fillna(0)
    group = plan[schema.ITEM_ID].map(tenth)
    before = plan[schema.STARTS_AT] < start
    mean = sales[before].groupby(group[before]).mean()
    mine = plan["week"] == week
    return plan[mine].assign(sales=group[mine].map(mean).fillna(float(sales[before].mean())))
