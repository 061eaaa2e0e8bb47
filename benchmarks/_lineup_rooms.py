"""Rooms after a simulated month: candidates as a shop would know them, and what line-ups of them truly bring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from beautyrec.data import schema
from beautyrec.evaluation.examination import attention_of
from beautyrec.features.builder import AS_OF
from beautyrec.jobs.shop import Shop, open_shop
from beautyrec.models.funnel import Funnel
from beautyrec.selection.candidates import reasons
from beautyrec.selection.dimension_values import dimension_values
from beautyrec.selection.limits import Quota, codes_of
from beautyrec.selection.line_up import LineUpConfig
from beautyrec.selection.line_up_config import Presenter, PriceStep
from beautyrec.selection.scorecard import Scorecard
from beautyrec.selection.script import Script
from beautyrec.selection.shrink import Shrinkage, fit_shrinkage
from beautyrec.selection.slots import Clock, openings
from beautyrec.selection.worth import capped_orders
from beautyrec.simulate.catalogue import synthetic_purchases
from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.demand import RoomPlan
from beautyrec.simulate.world import World

MINUTES = 120.0
SCRIPT = Script()


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
    """A room that could be held: `candidates` as a shop knows them, `raw` without what each product has really done."""

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
        true = self.shop.world.expected_demand(self.plan, pd.Index(items))[schema.ORDER].to_numpy()
        orders = (capped_orders(asked, rows["stock"]) for asked in (self.exposures * true, demand))
        found, expected = (float((each * rows["margin"]).sum()) for each in orders)
        return found / expected

    def true_margin(self, items: pd.Series, kept: np.ndarray | float = 1.0) -> float:
        margin = self.candidates.set_index("item_id")["margin"].reindex(items).to_numpy()
        return float((self.true_orders(items, np.broadcast_to(kept, len(items))) * margin).sum())


def rooms(seed: int, count: int, size: Size) -> Iterator[Room]:
    """Rooms on the day after the month of one world, of all scenes in turn."""
    purchases, items = synthetic_purchases(users=22_363, items=12_101, events=198_502, seed=seed)
    config = WorldConfig(days=size.days, viewers_per_day=size.viewers_per_day, live_items=size.live_items)
    shop = open_shop(World.build(purchases, items, config, seed=seed))
    end, rng = shop.day(size.days), np.random.default_rng([seed, 8])
    known = shop.known_rows(end)
    known = known[known[schema.TS] >= shop.day(5)]
    funnel = Funnel()
    model = funnel.fit(known, features=shop.features.names, seed=seed)
    table = products(shop, end, rng)
    share = funnel.calibration_share
    later = known[known[schema.TS] >= known[schema.TS].quantile(1 - share)]
    worth = table.set_index("item_id")["margin"]
    shrinkage = later_says(later.join(model.predict(later)), worth)
    seen = known[schema.ITEM_ID].value_counts()
    learnt = attention_of(shop.slates, requests=size.requests, rng=rng)
    true = shop.world.response.attention / shop.world.response.attention.mean()
    held = shop.log.engine.frame(shop.log.rooms.order_by(schema.STARTS_AT)).drop_duplicates(schema.SCENE, keep="last")
    clock, expected = SCRIPT.clock(MINUTES), []
    place = np.arange(len(clock)) % config.slate_size
    hours = rng.integers(12, 23, len(held))
    for number in range(count):
        kind = number % len(held)
        room, starts_at = held.iloc[kind], end + pd.Timedelta(hours=int(hours[kind]))
        if number < len(held):
            expected.append(expectations(shop, model, room, starts_at, size.viewers, rng))
        raw = table.assign(**expected[kind]).assign(sureness=np.inf)
        few = (raw["item_id"].map(seen).fillna(0.0) < seen.median()).to_numpy()
        drawn = shrinkage[0].apply((raw["ctr"] * raw["cvr"]).to_numpy(), raw["margin"].fillna(0.0).to_numpy())
        candidates = raw.assign(
            cvr=np.minimum(drawn / raw["ctr"], 1.0),
            sureness=np.where(few, shrinkage[1].sureness, shrinkage[2].sureness),
        )
        viewers = rng.lognormal(np.log(5000), 0.5)
        yield Room(
            shop,
            RoomPlan(str(room[schema.SCENE]), starts_at, discount=0.0),
            candidates,
            raw,
            asked(candidates, rng),
            viewers * config.slate_size / len(clock),
            learnt[place],
            true[place],
            clock,
        )


def later_says(rows: pd.DataFrame, worth: pd.Series) -> list[Shrinkage]:
    """How orders of products hold to their predictions in rows that grew no tree: of all, the half seldom shown, the others."""
    sums = rows.assign(shown=1.0, ordered=rows[schema.ORDERED].astype(np.float64)).groupby(schema.ITEM_ID)
    table = sums[["ctcvr", "ordered", "shown"]].sum()
    table = table.assign(worth=worth.reindex(table.index).fillna(0.0))
    few = (table["shown"] < table["shown"].median()).to_numpy()
    halves = [part if part["ordered"].any() else table for part in (table[few], table[~few])]
    return [fit_shrinkage(*(part[name].to_numpy() for name in part)) for part in (table, *halves)]


def products(shop: Shop, end: pd.Timestamp, rng: np.random.Generator) -> pd.DataFrame:
    """What went on air in the month: price at list, cost, stock after a delivery, and a scorecard's total."""
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
    shop: Shop, model: object, room: pd.Series, starts_at: pd.Timestamp, viewers: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Each product's chance of a click at a middling position, and of an order after it, over some viewers of the month."""
    live = shop.world.catalogue.live.ids
    scene = shop.log.engine.frame(shop.log.rooms.filter(shop.log.rooms[schema.SCENE] == room[schema.SCENE]))[
        schema.ROOM_ID
    ]
    came = np.isin(shop.slates.room_ix, shop.slates.shelves.rooms.indices(scene))
    who = rng.choice(shop.slates.user_id[came], viewers, replace=False)
    item, viewer = np.repeat(np.arange(len(live)), viewers), np.tile(np.arange(viewers), len(live))
    slate = shop.world.config.slate_size
    keys = pd.DataFrame(
        {
            schema.USER_ID: who[viewer],
            schema.ITEM_ID: live[item],
            schema.ROOM_ID: room[schema.ROOM_ID],
            schema.POSITION: 1 + viewer * slate // viewers,
            AS_OF: starts_at,
        }
    )
    rows = shop.features.compute(shop.log, keys).astype(np.float32)
    found = model.predict(rows)[["ctr", "ctcvr"]].groupby(item).mean()  # type: ignore[attr-defined]
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
