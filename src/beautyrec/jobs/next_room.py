"""The line-up of the next room: what the funnel model expects of each product, and the products that bring most."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.data import schema
from beautyrec.features.builder import AS_OF
from beautyrec.jobs.config import JobConfig
from beautyrec.jobs.lift import Knowledge
from beautyrec.jobs.shop import Shop
from beautyrec.models.funnel import Funnel, FunnelModel
from beautyrec.selection.line_up import LineUp, line_up
from beautyrec.selection.planned_room import usual_prices, with_planned
from beautyrec.selection.worth import capped_orders
from beautyrec.simulate.demand import RoomPlan

HOUR = 20
"""When the next room starts, on the day after the month."""
VIEWERS = 200
"""Viewers of the month over whom expectations are averaged."""


@dataclass(frozen=True, eq=False)
class NextRoom:
    """The room after the month.

    Args:
        scene: its kind, that of the last room held.
        starts_at: when.
        viewers: expected, the mean of the month's rooms of its kind.
        plan: its line-up.
        true_margin: what the line-up would bring in the simulated world.
    """

    scene: str
    starts_at: pd.Timestamp
    viewers: float
    plan: LineUp
    true_margin: float


def plan_next_room(shop: Shop, config: JobConfig, *, seed: int) -> NextRoom:
    """The line-up with the highest expected margin, from a funnel model that knows the whole month."""
    end = shop.day(config.world.days)
    knowledge = Knowledge.at(shop, end, config.lift)
    model = Funnel().fit(knowledge.rows, features=knowledge.features, seed=seed)
    room = _last_room(shop)
    starts_at = end + pd.Timedelta(hours=HOUR)
    scene = str(room[schema.SCENE])
    stocked = _stocked(shop, usual_prices(shop.log, starts_at, scene))
    planned, room_id = with_planned(shop.log, scene, starts_at, stocked, host=str(room[schema.HOST]))
    keys = stocked[[schema.ITEM_ID]].assign(**{schema.ROOM_ID: room_id, AS_OF: starts_at})
    candidates = stocked.merge(_expectations(replace(shop, log=planned), model, keys, seed), on=schema.ITEM_ID)
    viewers = _viewers(shop, scene)
    slate, products = shop.world.config.slate_size, config.line_up.products
    plan = line_up(candidates, viewers * slate / products, config.line_up)
    true = _true_margin(shop, plan, RoomPlan(scene, starts_at), viewers * slate / products)
    return NextRoom(scene, starts_at, viewers, plan, true)


def _last_room(shop: Shop) -> pd.Series[Any]:
    rooms = shop.log.engine.frame(shop.log.rooms.order_by(schema.STARTS_AT))
    return rooms.iloc[-1]


def _stocked(shop: Shop, prices: pd.DataFrame) -> pd.DataFrame:
    """Products that have lain on a shelf: the price to be expected, the margin that it leaves, the stock they had last."""
    frame = shop.log.engine.frame
    starts = frame(shop.log.rooms)[[schema.ROOM_ID, schema.STARTS_AT]]
    shelves = frame(shop.log.shelves).merge(starts, on=schema.ROOM_ID).sort_values(schema.STARTS_AT, kind="stable")
    latest = shelves.drop_duplicates(schema.ITEM_ID, keep="last")[[schema.ITEM_ID, schema.STOCK]]
    items = frame(shop.log.items)[[schema.ITEM_ID, schema.TITLE, schema.BRAND, schema.CATEGORY, schema.COST]]
    table = latest.merge(items, on=schema.ITEM_ID).merge(prices[[schema.ITEM_ID, schema.PRICE]], on=schema.ITEM_ID)
    table = table.sort_values(schema.ITEM_ID, ignore_index=True)
    return table.assign(margin=table[schema.PRICE] - table[schema.COST])


def _expectations(shop: Shop, model: FunnelModel, products: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Each product's chance of a click, and of an order after it, averaged over viewers and positions.

    Args:
        shop: with the planned room in its log.
        model: of click and order.
        products: ``item_id, room_id, as_of``.
        seed: of the viewers.
    """
    who = np.unique(shop.slates.user_id)
    who = np.sort(np.random.default_rng(seed).choice(who, min(VIEWERS, len(who)), replace=False))
    item, viewer = np.repeat(np.arange(len(products)), len(who)), np.tile(np.arange(len(who)), len(products))
    keys = products.iloc[item].reset_index(drop=True)
    keys = keys.assign(
        **{schema.USER_ID: who[viewer], schema.POSITION: 1 + viewer % shop.world.config.slate_size},
    )
    rows = shop.features.compute(shop.log, keys).astype(np.float32)
    predicted = model.predict(rows).assign(**{schema.ITEM_ID: keys[schema.ITEM_ID]})
    mean = predicted.groupby(schema.ITEM_ID, as_index=False)[["ctr", "ctcvr"]].mean()
    return mean.assign(cvr=mean["ctcvr"] / mean["ctr"])[[schema.ITEM_ID, "ctr", "cvr"]]


def _viewers(shop: Shop, scene: str) -> float:
    """Mean number of viewers of the month's rooms of this kind."""
    rooms = shop.log.engine.frame(shop.log.rooms)
    mine = rooms.loc[rooms[schema.SCENE] == scene, schema.ROOM_ID]
    counts = np.bincount(shop.slates.room_ix, minlength=len(shop.slates.shelves.rooms))
    return float(counts[shop.slates.shelves.rooms.indices(mine)].mean())


def _true_margin(shop: Shop, plan: LineUp, room: RoomPlan, exposures: float) -> float:
    """Expected margin of the line-up in the simulated world, orders held to stock, at the scene's discount."""
    demand = shop.world.expected_demand(room, pd.Index(plan.table[schema.ITEM_ID]))
    table = plan.table.merge(demand[[schema.ITEM_ID, schema.ORDER]], on=schema.ITEM_ID)
    orders = capped_orders(exposures * table["attention"] * table[schema.ORDER], table[schema.STOCK])
    return float((orders * table["kept"] * table["margin"]).sum())
