"""Rooms after a simulated month: candidates as a shop would know them, and what line-ups of them truly bring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from beautyrec.data import schema
from beautyrec.evaluation.examination import attention_of
from beautyrec.features.builder import AS_OF
from beautyrec.jobs.shop import Shop
from beautyrec.selection.candidates import reasons
from beautyrec.selection.dimension_values import dimension_values
from beautyrec.selection.levels import Levels
from beautyrec.selection.limits import Quota, codes_of
from beautyrec.selection.line_up import LineUpConfig
from beautyrec.selection.line_up_config import Presenter, PriceStep
from beautyrec.selection.planned_room import usual_prices, with_planned
from beautyrec.selection.scorecard import Scorecard
from beautyrec.selection.script import Script
from beautyrec.selection.shrink import Shrinkage, fit_shrinkage
from beautyrec.selection.slots import Clock, openings
from beautyrec.selection.worth import capped_orders
from beautyrec.simulate.catalogue import synthetic_purchases
from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.demand import RoomPlan
from beautyrec.simulate.world import World
from benchmarks._rates import Rates, levels_of, open_shop

MINUTES = 120.0
SCRIPT = Script()
LATER = 0.2
"""Share of the rows, the latest, that tell how predictions hold."""
GROUPS = ("kind", "hour", schema.CATEGORY, schema.ITEM_ID)
"""What has a level of its own; ``kind`` is the scene."""


@dataclass(frozen=True)
class Size:
    """How large the worlds are; `viewers` are those whose expectations are averaged."""

    days: int
    live_items: int
    viewers_per_day: float
    viewers: int
    requests: int


@dataclass(frozen=True, eq=False)
class Room:
    """A room that could be held: `candidates` as a shop knows them, `raw` by the model alone and at list prices."""

    shop: Shop
    plan: RoomPlan
    candidates: pd.DataFrame
    raw: pd.DataFrame
    config: LineUpConfig
    exposures: float
    attention: np.ndarray
    true_attention: np.ndarray
    clock: Clock

    def true_orders(self, items: pd.Series, kept: np.ndarray) -> np.ndarray:
        """Orders that products bring in the world, in these slots, beside these substitutes, held to stock."""
        demand = self.shop.world.expected_demand(self.plan, pd.Index(items)).set_index(schema.ITEM_ID)[schema.ORDER]
        stock = self.candidates.set_index("item_id")["stock"].reindex(items).to_numpy()
        return kept * capped_orders(self.exposures * self.true_attention * demand.reindex(items).to_numpy(), stock)

    def promise(self, candidates: pd.DataFrame) -> float:
        """True over expected margin of all candidates alike, each in a middling slot: how far the level is off."""
        rows = candidates[reasons(candidates) == ""]
        items, demand = rows["item_id"], self.exposures * rows["ctr"] * rows["cvr"]
        truth = self.shop.world.expected_demand(self.plan, pd.Index(items))
        orders = capped_orders(self.exposures * truth[schema.ORDER].to_numpy(), rows["stock"])
        found = float((orders * (truth["margin"] / truth[schema.ORDER]).to_numpy()).sum())
        return found / float((capped_orders(demand, rows["stock"]) * rows["margin"]).sum())

    def true_margin(self, items: pd.Series, kept: np.ndarray | float = 1.0) -> float:
        """At the room's prices, which are the scene's list price less its usual discount."""
        truth = self.shop.world.expected_demand(self.plan, pd.Index(items)).set_index(schema.ITEM_ID).loc[items]
        margin = (truth["margin"] / truth[schema.ORDER]).to_numpy()
        return float((self.true_orders(items, np.broadcast_to(kept, len(items))) * margin).sum())


def rooms(seed: int, count: int, size: Size) -> Iterator[Room]:
    """Rooms on the day after the month of one world, of all scenes in turn."""
    purchases, items = synthetic_purchases(users=22_363, items=12_101, events=198_502, seed=seed)
    config = WorldConfig(days=size.days, viewers_per_day=size.viewers_per_day, live_items=size.live_items)
    shop = open_shop(World.build(purchases, items, config, seed=seed))
    end, rng = shop.day(size.days), np.random.default_rng([seed, 8])
    table = products(shop, end, rng)
    learnt = Learnt.of(shop, shop.known_rows(end), table, seed)
    slope = attention_of(shop.slates, requests=size.requests, rng=rng)
    true = shop.world.response.attention / shop.world.response.attention.mean()
    held = shop.log.engine.frame(shop.log.rooms.order_by(schema.STARTS_AT)).drop_duplicates(schema.SCENE, keep="last")
    clock = SCRIPT.clock(MINUTES)
    place = np.arange(len(clock)) % config.slate_size
    hours = rng.integers(12, 23, len(held))
    expected: list[tuple[pd.DataFrame, pd.DataFrame]] = []
    for number in range(count):
        kind = number % len(held)
        plan = RoomPlan(str(held.iloc[kind][schema.SCENE]), end + pd.Timedelta(hours=int(hours[kind])))
        if number < len(held):
            expected.append(learnt.candidates(shop, table, plan, size.viewers, rng))
        candidates, raw = expected[kind]
        exposures = rng.lognormal(np.log(5000), 0.5) * config.slate_size / len(clock)
        config_ = asked(candidates, rng)
        yield Room(shop, plan, candidates, raw, config_, exposures, slope[place], true[place], clock)


@dataclass(frozen=True, eq=False)
class Learnt:
    """What the month's log says of chances of click and order."""

    rates: Rates
    clicks: Levels
    orders: Levels
    tilt: Shrinkage

    @classmethod
    def of(cls, shop: Shop, known: pd.DataFrame, table: pd.DataFrame, seed: int) -> Learnt:
        """Levels from all rows; what dear products sell less than is said of them, from rows that nothing before it saw."""
        starts = shop.log.engine.frame(shop.log.rooms.select(schema.ROOM_ID, schema.SCENE, schema.STARTS_AT))
        rooms_ = starts.assign(kind=starts[schema.SCENE], hour=starts[schema.STARTS_AT].dt.hour)
        items = table[[schema.ITEM_ID, schema.CATEGORY]]
        groups = known[[schema.ROOM_ID, schema.ITEM_ID]].drop_duplicates()
        groups = groups.merge(items, on=schema.ITEM_ID).merge(
            rooms_[[schema.ROOM_ID, "kind", "hour"]], on=schema.ROOM_ID
        )
        cut = known[schema.TS].quantile(1 - LATER)
        early, late = known[known[schema.TS] < cut], known[known[schema.TS] >= cut]
        before = Rates.fit(shop, early, seed)
        clicks, orders = levels_of(before.said(early, groups), GROUPS)
        later = before.said(late, groups)
        later["ctcvr"] *= clicks.of(later) * orders.of(later)
        sums = later.assign(shown=1.0, ordered=later[schema.ORDERED].astype(np.float64)).groupby(schema.ITEM_ID)
        sums = sums[["ctcvr", "ordered", "shown"]].sum()
        worth = table.set_index("item_id")["margin"].reindex(sums.index).fillna(0.0)
        found = fit_shrinkage(*(sums[name].to_numpy() for name in sums), worth.to_numpy())
        rates = Rates.fit(shop, known, seed)
        return cls(rates, *levels_of(rates.said(known, groups), GROUPS), replace(found, level=1.0))

    def candidates(
        self, shop: Shop, table: pd.DataFrame, plan: RoomPlan, viewers: int, rng: np.random.Generator
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The products at the prices of the scene, as the shop knows them; and as the model alone says, at list prices."""
        asked_ = usual_prices(shop.log, plan.starts_at, plan.scene)[[schema.ITEM_ID, schema.PRICE]]
        cost = table["price"] - table["margin"]
        priced = table.drop(columns="price").merge(asked_, on="item_id", how="left")
        priced = priced.assign(margin=priced["price"] - cost)
        chances = expectations(shop, self.rates, plan, priced, viewers, rng)
        groups = priced.assign(kind=plan.scene, hour=plan.starts_at.hour)
        ctr = np.minimum(chances["ctr"] * self.clicks.of(groups), 1.0)
        rate = self.tilt.apply(ctr * chances["cvr"] * self.orders.of(groups), priced["margin"].fillna(0.0).to_numpy())
        sure = 1 / sum(1 / each.sureness(groups[schema.ITEM_ID]) for each in (self.clicks, self.orders))
        listed = table.assign(**expectations(shop, self.rates, plan, table, viewers, rng))
        return priced.assign(ctr=ctr, cvr=np.minimum(rate / ctr, 1.0), sureness=sure), listed.assign(sureness=np.inf)


def products(shop: Shop, end: pd.Timestamp, rng: np.random.Generator) -> pd.DataFrame:
    """What went on air in the month: list price, what it leaves, stock after a delivery, and a scorecard's total."""
    world = shop.world
    live = world.catalogue.live.ids
    items = shop.log.engine.frame(shop.log.items).set_index(schema.ITEM_ID).loc[live].reset_index()
    level = pd.Series(world.stage.depot.level, index=live)
    scores = Scorecard().score(dimension_values(shop.log, end))
    totals = pd.Series(scores.total.to_numpy(), index=scores.item_id)
    n = len(items)
    purchases = pd.Series(world.catalogue.purchases, index=live)
    return pd.DataFrame(
        {
            **{name: items[name] for name in ("item_id", "title", "brand", "category", "price")},
            "margin": items["price"] - items["cost"],
            "stock": items["item_id"].map(level).astype(np.float64),
            "hero": (items["item_id"].map(purchases).rank(pct=True) > 0.97).to_numpy(),
            "new": (items["launched_at"] >= shop.start).to_numpy(),
            "presenter": rng.choice(["Ana", "Bo", None], n, p=[0.3, 0.3, 0.4]),
            "total": items["item_id"].map(totals),
        }
    )


def expectations(
    shop: Shop, rates: Rates, plan: RoomPlan, priced: pd.DataFrame, viewers: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Each product's chance of a click at a middling position, and of an order after it, over some viewers of the month."""
    log, room = with_planned(shop.log, plan.scene, plan.starts_at, priced.dropna(subset=["price"]))
    rooms_ = shop.log.rooms.filter(shop.log.rooms[schema.SCENE] == plan.scene)
    came = np.isin(
        shop.slates.room_ix, shop.slates.shelves.rooms.indices(shop.log.engine.frame(rooms_)[schema.ROOM_ID])
    )
    who = rng.choice(shop.slates.user_id[came], viewers, replace=False)
    live = priced[schema.ITEM_ID].to_numpy()
    item, viewer = np.repeat(np.arange(len(live)), viewers), np.tile(np.arange(viewers), len(live))
    slate = shop.world.config.slate_size
    keys = pd.DataFrame(
        {
            schema.USER_ID: who[viewer],
            schema.ITEM_ID: live[item],
            schema.ROOM_ID: room,
            schema.POSITION: 1 + viewer * slate // viewers,
            AS_OF: plan.starts_at,
        }
    )
    rows = shop.features.compute(log, keys).astype(np.float32)
    found = rates.predict(rows, keys[schema.ITEM_ID])[["ctr", "ctcvr"]].groupby(item).mean()
    return {"ctr": found["ctr"].to_numpy(), "cvr": (found["ctcvr"] / found["ctr"]).to_numpy()}


def asked(candidates: pd.DataFrame, rng: np.random.Generator) -> LineUpConfig:
    """All kinds of constraints at once."""
    middle = float(candidates["price"].median())
    sold = candidates.loc[reasons(candidates) == "", "item_id"]
    ids = rng.choice(sold.to_numpy(), 43, replace=False).tolist()
    return LineUpConfig(
        minutes=MINUTES,
        per_category=6,
        per_brand=4,
        spacing=4,
        hero_minutes=(4.0, 34.0, 64.0, 94.0),
        ladder=(PriceStep(5.0, 10.0, high=middle), PriceStep(50.0, 60.0, low=middle)),
        must_have=tuple(ids[:3]),
        never_with=tuple(zip(ids[3:23], ids[23:43], strict=True)),
        presenters={"Ana": Presenter(minutes=40.0), "Bo": Presenter(minutes=40.0, start=30.0)},
        quotas=(Quota("new", True, 3),),
        substitution=0.2,
        risk=0.3,
        gap=0.005,
        seconds=120.0,
    )


def greedy(room: Room, score: pd.Series) -> pd.Series:
    """[T] products: what has to be there first, then the best by score, each in the first slot that it may take.

    Keeps everything that is asked: the same openings, caps, distances, pairs, minutes and quotas.
    """
    rows, config = room.candidates, room.config
    _, open_ = openings(rows, room.clock, config, {})
    category, brand = codes_of(rows["category"]), codes_of(rows["brand"])
    ids, who = rows["item_id"].to_numpy(), rows["presenter"].to_numpy()
    asked_for = rows["item_id"].isin(config.must_have).to_numpy()
    foes: dict[object, set[object]] = {}
    for one, other in config.never_with:
        foes.setdefault(one, set()).add(other)
        foes.setdefault(other, set()).add(one)
    rank = np.argsort(-score.to_numpy(), kind="stable")
    quota = config.quotas[0]
    members = [i for i in rank if rows[quota.column].iloc[i] == quota.value][: quota.at_least]
    order = [*np.flatnonzero(asked_for), *members, *rank]
    placed = np.full(len(room.clock), -1)
    used: dict[tuple[str, object], int] = {}
    most = {"category": config.per_category, "brand": config.per_brand}
    for i in order:
        keys = [("category", category[i]), ("brand", brand[i])]
        full = any(code >= 0 and used.get((name, code), 0) >= most[name] for name, code in keys)
        present = isinstance(who[i], str) and used.get(("presenter", who[i]), 0) >= config.presenters[who[i]].minutes
        if full or present or i in placed or foes.get(ids[i], set()) & set(ids[placed[placed >= 0]]):
            continue
        close = (
            np.flatnonzero((placed >= 0) & (np.append(category, -1)[placed] == category[i])) if category[i] >= 0 else []
        )
        free = open_[i] & (placed < 0)
        for slot in close:
            free[max(0, slot - config.spacing + 1) : slot + config.spacing] = False
        if not free.any():
            continue
        placed[int(free.argmax())] = i
        for key in (*keys, ("presenter", who[i])):
            used[key] = used.get(key, 0) + 1
        if (placed >= 0).all():
            break
    if (placed < 0).any():
        raise RuntimeError(f"greedy left {int((placed < 0).sum())} slots empty")
    return pd.Series(ids[placed])
