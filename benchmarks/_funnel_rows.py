"""The rows of the funnel benchmark: a simulated month whose chances are known, and real behaviour on Taobao."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from beautyrec.data.schema import CATEGORY, CLICKED, EVENT_ID, ITEM_ID, ORDERED, POSITION, REQUEST_ID, TS, USER_ID
from beautyrec.data.sources.taobao import read_taobao
from beautyrec.jobs.shop import open_shop
from beautyrec.models.funnel_base import FunnelLearner
from beautyrec.simulate.catalogue import synthetic_purchases
from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.world import World

DAYS, WARM_UP, TEST_DAYS = 30, 5, 7
TRUE_CTR, TRUE_CVR = "true_ctr", "true_cvr"
SHANGHAI = pd.Timedelta(hours=8)


@dataclass(frozen=True, eq=False)
class Task:
    """What models are fitted on and judged on; ``test`` is later than ``train``."""

    features: tuple[str, ...]
    train: pd.DataFrame
    test: pd.DataFrame
    scenes: tuple[str, ...] = ()


def size(task: Task) -> dict[str, int]:
    """How much there is to learn from and to judge by."""
    parts = {"train": task.train, "test": task.test}
    return {
        f"{name}_{what}": int(n)
        for name, rows in parts.items()
        for what, n in (("impressions", len(rows)), ("clicks", rows[CLICKED].sum()), ("orders", rows[ORDERED].sum()))
    }


def fitted(learner: FunnelLearner, task: Task, seed: int) -> tuple[pd.DataFrame, float]:
    """What a model says of the test rows, and the seconds it took to learn it and to say it."""
    start = time.perf_counter()
    predicted = learner.fit(task.train, features=task.features, seed=seed).predict(task.test)
    return predicted, time.perf_counter() - start


def simulated_month(seed: int, viewers_per_day: float, live_items: int, rooms_per_day: int) -> Task:
    """The month of the demo's shop (1 % clicks, 2 % of viewers buy) with more viewers and rooms, around generated purchases."""
    purchases, items = synthetic_purchases(users=22_363, items=12_101, events=198_502, seed=seed)
    config = WorldConfig(days=DAYS, viewers_per_day=viewers_per_day, live_items=live_items, rooms_per_day=rooms_per_day)
    shop = open_shop(World.build(purchases, items, config, seed=seed))
    click, order = shop.world.chances(shop.slates)
    shown = shop.log.impressions()[[EVENT_ID, REQUEST_ID, POSITION]].rename(columns={POSITION: "place"})
    at = shop.rows[[EVENT_ID]].merge(shown, on=EVENT_ID, how="left", validate="one_to_one")
    # slates are the requests 1, 2, ... in the order of time
    place = (at[REQUEST_ID].to_numpy() - shop.slates.request_id[0], at["place"].to_numpy() - 1)
    rows = shop.rows.assign(**{TRUE_CTR: click[place], TRUE_CVR: order[place]})
    cut = shop.day(DAYS - TEST_DAYS)
    train = rows[(rows[TS] >= shop.day(WARM_UP)) & (rows[TS] < cut)]
    known = shop.known_rows(cut).set_index(EVENT_ID)[[CLICKED, ORDERED]]  # the nightly file comes after midnight
    train = train.drop(columns=[CLICKED, ORDERED]).join(known, on=EVENT_ID, how="inner")
    scenes = tuple(sorted(scene.name for scene in config.scenes))
    return Task(shop.features.names, train.reset_index(drop=True), rows[rows[TS] >= cut].reset_index(drop=True), scenes)


TAOBAO = """
WITH keys AS (
    SELECT DISTINCT e.user_id, e.item_id, e.category, d.day
    FROM events e JOIN days d ON e.day BETWEEN d.day - 3 AND d.day - 1
),
pair AS (
    SELECT k.user_id, k.item_id, k.day,
        count(*) FILTER (e.event = 'view') AS views,
        count(*) FILTER (e.event = 'view' AND e.day = k.day - 1) AS views_yesterday,
        count(*) FILTER (e.event = 'cart') AS carts,
        count(*) FILTER (e.event = 'favourite') AS favourites,
        count(*) FILTER (e.event = 'order') AS orders,
        min(k.day * 24.0 - e.hour) AS hours_since,
        count(DISTINCT e.day) AS days_seen
    FROM keys k JOIN events e ON e.user_id = k.user_id AND e.item_id = k.item_id AND e.day < k.day
    GROUP BY ALL
),
viewer AS (
    SELECT d.day, e.user_id, count(*) AS user_events, count(*) FILTER (e.event = 'order') AS user_orders,
        count(*) FILTER (e.event = 'cart') AS user_carts, count(*) FILTER (e.day = d.day - 1) AS user_yesterday,
        count(DISTINCT e.item_id) AS user_items
    FROM days d JOIN events e ON e.day < d.day GROUP BY ALL
),
kind AS (
    SELECT d.day, e.user_id, e.category, count(*) AS kind_events, count(*) FILTER (e.event = 'order') AS kind_orders,
        min(d.day * 24.0 - e.hour) AS kind_hours_since, count(DISTINCT e.item_id) AS kind_items
    FROM days d JOIN events e ON e.day < d.day GROUP BY ALL
),
product AS (
    SELECT d.day, e.item_id, count(*) AS item_events, count(*) FILTER (e.event = 'order') AS item_orders
    FROM days d JOIN events e ON e.day < d.day GROUP BY ALL
),
next AS (
    SELECT user_id, item_id, day, bool_or(event = 'order') AS ordered FROM events GROUP BY ALL
)
SELECT p.*, v.* EXCLUDE (day, user_id), c.* EXCLUDE (day, user_id, category), i.* EXCLUDE (day, item_id),
    n.day IS NOT NULL AS clicked, coalesce(n.ordered, false) AS ordered
FROM keys k JOIN pair p USING (user_id, item_id, day) JOIN viewer v USING (user_id, day)
JOIN kind c USING (user_id, category, day) JOIN product i USING (item_id, day)
LEFT JOIN next n USING (user_id, item_id, day)
ORDER BY p.day, p.user_id, p.item_id
"""
"""One row a viewer, an item he met in the three days before, and a day: what came before the day, and what came in it."""


def taobao(folder: Path) -> Task:
    """Will this viewer come back to this item in the next day (``clicked``), and buy it (``ordered``)?

    Days are those of the shop's clock; 28 November to 1 December 2017 train and calibrate, 2 and 3 December test.
    """
    import duckdb

    log = read_taobao(folder / "taobao-userbehavior-sample").log()
    first = pd.Timestamp("2017-11-25", tz="UTC") - SHANGHAI
    events = log.engine.frame(log.events.select(USER_ID, ITEM_ID, TS, "event"))
    catalogue = log.engine.frame(log.items.select(ITEM_ID, CATEGORY))
    hours = (events[TS] - first).dt.total_seconds() / 3600
    events = (
        events.drop(columns=TS).assign(hour=hours, day=np.floor(hours / 24).astype(int)).merge(catalogue, on=ITEM_ID)
    )
    events = events[events["day"] >= 0]
    with duckdb.connect() as engine:
        engine.register("events", events)
        engine.register("days", pd.DataFrame({"day": np.arange(3, 9)}))
        rows = engine.execute(TAOBAO).df()
    rows = rows.assign(**{TS: first + pd.to_timedelta(rows["day"], unit="D")})
    features = tuple(name for name in rows if name not in (USER_ID, ITEM_ID, "day", CLICKED, ORDERED, TS))
    return Task(features, rows[rows["day"] < 7].reset_index(drop=True), rows[rows["day"] >= 7].reset_index(drop=True))
