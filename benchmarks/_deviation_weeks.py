"""A simulated month of rooms, each predicted on the eve of its day from what was known then, beside what it truly sold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from beautyrec import plackett_luce
from beautyrec.data import schema
from beautyrec.data.slates import Slates
from beautyrec.features.builder import AS_OF
from beautyrec.jobs.shop import Shop
from beautyrec.selection.dimension_values import dimension_values
from beautyrec.selection.levels import fit_levels
from beautyrec.selection.scorecard import Scorecard
from beautyrec.simulate.catalogue import synthetic_purchases
from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.world import World
from benchmarks._rates import Rates, levels_of, open_shop

FIRST, WEEK, WEEKS = 9, 7, 3
LAG = pd.Timedelta(hours=1)
"""What is shown so long before midnight has had its orders by then: they come within minutes."""
LEGACY_WEIGHTS = {"heat": 1.0, "margin": 1.0, "feedback": 1.0}
DECILES = 10
GROUPS = [schema.CATEGORY, schema.ITEM_ID]
"""What has a level of its own."""


@dataclass(frozen=True)
class Size:
    """How large the world is, and over how many viewers and slates expectations are averaged."""

    viewers_per_day: float
    live_items: int
    rooms_per_day: int
    viewers: int = 3
    slates: int = 300


@dataclass(frozen=True, eq=False)
class Weeks:
    """A shop, and what is computed of it once."""

    shop: Shop
    size: Size
    seed: int

    @classmethod
    def of(cls, seed: int, size: Size) -> Weeks:
        purchases, items = synthetic_purchases(users=22_363, items=12_101, events=198_502, seed=seed)
        config = WorldConfig(
            days=30,
            viewers_per_day=size.viewers_per_day,
            live_items=size.live_items,
            rooms_per_day=size.rooms_per_day,
        )
        world = World.build(purchases, items, config, seed=seed)
        return cls(open_shop(world), size, seed)

    @cached_property
    def shelf(self) -> pd.DataFrame:
        """One row a room and product on its shelf, as planned: prices and the shop's own chances to show it."""
        log, start = self.shop.log, self.shop.start
        frame = log.engine.frame
        rooms = frame(log.rooms)[[schema.ROOM_ID, schema.SCENE, schema.STARTS_AT]]
        items = frame(log.items)[[schema.ITEM_ID, schema.CATEGORY]]
        rows = frame(log.shelves).merge(rooms, on=schema.ROOM_ID).merge(items, on=schema.ITEM_ID)
        starts = rows[schema.STARTS_AT]
        rows = rows.assign(day=(starts.dt.floor("D") - start).dt.days, hour=starts.dt.hour)
        rows["week"] = (rows["day"] - FIRST) // WEEK
        return rows.sort_values([schema.ROOM_ID, schema.ITEM_ID], ignore_index=True)

    @cached_property
    def outcomes(self) -> pd.DataFrame:
        """What came of each row of the shelf: impressions, and clicks and orders as drawn and as the world expects them."""
        slates = self.shop.slates
        click, order = self.shop.world.chances(slates)
        there = slates.shown >= 0
        request, _ = np.nonzero(there)
        room = slates.room_ix[request]
        table = pd.DataFrame(
            {
                schema.ROOM_ID: slates.shelves.rooms.ids_at(room),
                schema.ITEM_ID: slates.shelves.items.ids_at(slates.shelves.item_ix[room, slates.shown[there]]),
                "impressions": 1.0,
                "clicks": slates.clicked[there].astype(float),
                "orders": slates.ordered[there].astype(float),
                "true_clicks": click[there],
                "true_orders": (click * order)[there],
            }
        )
        keys = [schema.ROOM_ID, schema.ITEM_ID]
        return self.shelf[keys].merge(table.groupby(keys, as_index=False).sum(), on=keys, how="left").fillna(0.0)

    def predicted(self, week: int, copies: int = 1) -> pd.DataFrame:
        """The rows of the week with ``impressions, clicks, orders`` as predicted on the eve of each day.

        Args:
            week: from 0.
            copies: so many viewers like each one came before, as far as levels go; the model stays that of one.
        """
        mine, said, chances, shown = self._prepared[week]
        past = said if copies == 1 else self._drawn(said, copies)
        days = []
        for day, at in mine.groupby("day").indices.items():
            eve, rows = self.shop.day(int(str(day))), mine.iloc[at]
            ctr, cvr = to_level(past[past[schema.TS] < eve - LAG], chances.iloc[at], rows)
            impressions = rows[schema.ROOM_ID].map(self._audience(eve)).to_numpy() * shown[at]
            clicks = impressions * ctr
            days.append(rows.assign(impressions=impressions, clicks=clicks, orders=clicks * cvr))
        return pd.concat(days)

    @cached_property
    def _prepared(self) -> list[tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, np.ndarray]]:
        """Of each week: its rows, what the model says of all rows until its end and of its own, how often each is met."""
        found = []
        for week in range(WEEKS):
            start = self.shop.day(FIRST + WEEK * week)
            rates = Rates.fit(self.shop, self.shop.known_rows(start), self.seed)
            mine = self.shelf[self.shelf["week"] == week].reset_index(drop=True)
            chances = self._chances(rates, mine, start, np.random.default_rng([self.seed, 17, week]))
            past = self.shop.rows[self.shop.rows[schema.TS] < start + pd.Timedelta(days=WEEK)]
            said = rates.said(past, self.shelf.drop_duplicates(schema.ITEM_ID)[GROUPS])
            found.append((mine, said.join(past[schema.USER_ID]), *chances))
        return found

    def _drawn(self, said: pd.DataFrame, copies: int) -> pd.DataFrame:
        """The rows with the clicks and orders of so many viewers like each, drawn from the world's own chances."""
        slates = self.shop.slates
        click, order = self.shop.world.chances(slates)
        there = slates.shown >= 0
        request, _ = np.nonzero(there)
        room = slates.room_ix[request]
        keys = [schema.ROOM_ID, schema.ITEM_ID, schema.USER_ID]
        ids = (
            slates.shelves.rooms.ids_at(room),
            slates.shelves.items.ids_at(slates.shelves.item_ix[room, slates.shown[there]]),
        )
        true = pd.DataFrame(dict(zip(keys, (*ids, slates.user_id[request]), strict=True)))
        true = said[keys].merge(true.assign(click=click[there], order=order[there]), on=keys, how="left")
        rng = np.random.default_rng([self.seed, 18, copies])
        clicked = rng.binomial(copies, true["click"])
        ordered = rng.binomial(clicked, true["order"])
        return said.assign(ctr=said["ctr"] * copies, clicked=clicked, ordered=ordered)

    def _audience(self, eve: pd.Timestamp) -> pd.Series[float]:
        """Viewers to be expected of every room: the mean of rooms before, by scene and hour."""
        rooms = self.shelf.drop_duplicates(schema.ROOM_ID).set_index(schema.ROOM_ID)
        came = self.outcomes["impressions"].groupby(self.shelf[schema.ROOM_ID]).sum().reindex(rooms.index)
        viewers = came / self.shop.world.config.slate_size
        before = (rooms[schema.STARTS_AT] < eve - pd.Timedelta(hours=3)).to_numpy()
        groups = rooms[[schema.SCENE, "hour"]]
        mean = float(viewers[before].mean())
        levels = fit_levels(np.full(before.sum(), mean), viewers[before], groups[before])
        return pd.Series(mean * levels.of(groups), index=rooms.index)

    def _chances(
        self, rates: Rates, mine: pd.DataFrame, start: pd.Timestamp, rng: np.random.Generator
    ) -> tuple[pd.DataFrame, np.ndarray]:
        """What the model says of each row before some viewers, and how often each of its room's viewers meets it."""
        shown = exposure(mine, self.shop.world.config.slate_size, self.size.slates, rng)
        many = self.size.viewers
        past: Slates = self.shop.slates.where(self.shop.slates.ts < start.value // 1000)
        scene_of = self.shelf.drop_duplicates(schema.ROOM_ID).set_index(schema.ROOM_ID)[schema.SCENE]
        scenes = scene_of.reindex(past.shelves.rooms.ids).to_numpy()[past.room_ix]
        who = np.empty((len(mine), many), dtype=past.user_id.dtype)
        for scene, at in mine.groupby(schema.SCENE).indices.items():
            came = past.user_id[scenes == scene]
            who[at] = rng.choice(came if len(came) else past.user_id, (len(at), many))
        cut = np.cumsum(shown + 1e-9, axis=1)
        place = (rng.random((len(mine), many, 1)) * cut[:, -1:, None] > cut[:, None, :]).sum(axis=2)
        keys = mine.loc[np.repeat(mine.index, many), [schema.ITEM_ID, schema.ROOM_ID, schema.STARTS_AT]]
        keys = keys.reset_index(drop=True).assign(
            **{schema.USER_ID: who.ravel(), schema.POSITION: 1 + np.minimum(place, shown.shape[1] - 1).ravel()}
        )
        keys[AS_OF] = keys[schema.STARTS_AT].dt.floor("D")
        found = self.shop.features.compute(self.shop.log, keys.drop(columns=schema.STARTS_AT)).astype(np.float32)
        found = found.assign(hour=keys[schema.STARTS_AT].dt.hour.astype(np.float32))  # that of the room, not of the eve
        said = rates.predict(found, keys[schema.ITEM_ID])
        return said.groupby(np.repeat(np.arange(len(mine)), many)).mean(), shown.sum(axis=1)

    def legacy(self, week: int) -> pd.DataFrame:
        """The rows of the week with ``sales`` as products of the same tenth of the scorecard had in rooms before."""
        start, plan = self.shop.day(FIRST + WEEK * week), self.shelf
        scores = Scorecard(LEGACY_WEIGHTS).score(dimension_values(self.shop.log, start))
        total = pd.Series(scores.total.to_numpy(), index=scores.item_id).reindex(plan[schema.ITEM_ID].unique())
        tenth = np.ceil(total.rank(pct=True) * DECILES).fillna(0)
        group = plan[schema.ITEM_ID].map(tenth)
        before = plan[schema.STARTS_AT] < start
        sales = self.outcomes["orders"] * plan[schema.PRICE]
        mean = sales[before].groupby(group[before]).mean()
        mine = plan["week"] == week
        return plan[mine].assign(sales=group[mine].map(mean).fillna(float(sales[before].mean())))


def to_level(past: pd.DataFrame, rates: pd.DataFrame, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """[n] chance of a click and of an order after it: the model's, to the level that categories and products had before."""
    clicks, orders = levels_of(past, GROUPS)
    ctr = rates["ctr"].to_numpy(np.float64)
    return ctr * clicks.of(rows), rates["ctcvr"].to_numpy(np.float64) / ctr * orders.of(rows)


def exposure(rows: pd.DataFrame, slate: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """[n, slate] how often a viewer of the room meets the product at each position, by the shop's own policy."""
    found = np.zeros((len(rows), slate))
    for at in rows.groupby(schema.ROOM_ID, sort=False).indices.values():
        chance = rows[schema.DRAW_PROBABILITY].to_numpy()[at]
        shown = plackett_luce.sample(np.broadcast_to(chance, (draws, len(at))), slate, rng)
        place = np.broadcast_to(np.arange(slate), shown.shape)[shown >= 0]
        np.add.at(found, (at[shown[shown >= 0]], place), 1.0 / draws)
    return found
