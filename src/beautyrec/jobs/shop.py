"""The shop of the main job: purchases, real where there are any, and the simulated month of rooms around them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from beautyrec.campaign.shelf_features import impression_rows, known_rows
from beautyrec.data import schema
from beautyrec.data.interactions import Interactions
from beautyrec.data.log import EventLog
from beautyrec.data.slates import Slates
from beautyrec.data.sources.amazon_beauty import read_amazon_beauty
from beautyrec.data.times import microseconds
from beautyrec.engine import Engine
from beautyrec.features.family import first_family, scenes_of
from beautyrec.features.feature_set import FeatureSet
from beautyrec.jobs.config import JobConfig
from beautyrec.jobs.month_config import MonthConfig
from beautyrec.simulate.catalogue import synthetic_purchases
from beautyrec.simulate.world import World
from beautyrec.types import Progress

AMAZON = "amazon-beauty-2014"
"""The folder of the public data that holds purchases and catalogue."""

REAL = "Amazon Beauty 5-core (2014), real purchases"
GENERATED = "generated purchases and catalogue of the shape of Amazon Beauty (no real data was found)"


@dataclass(frozen=True, eq=False)
class Purchases:
    """What shoppers bought before the month.

    Args:
        events: ``user_id, item_id, ts``, in the order in which each user bought.
        items: the catalogue.
        real: whether shoppers made it, or this package.
    """

    events: pd.DataFrame
    items: pd.DataFrame
    real: bool

    @property
    def source(self) -> str:
        """Where it comes from, in words."""
        return source_of(real=self.real)

    @cached_property
    def fingerprint(self) -> str:
        """Hexadecimal hash of the purchases, in their order."""
        columns = [schema.USER_ID, schema.ITEM_ID, schema.TS]
        rows = pd.util.hash_pandas_object(self.events[columns], index=False)
        return hashlib.sha256(rows.to_numpy().tobytes()).hexdigest()[:16]

    @cached_property
    def interactions(self) -> Interactions:
        """As arrays, with the catalogue beside them."""
        return Interactions.from_frame(self.events, item_table=self.items)


def has_purchases(folder: Path | None) -> bool:
    """Whether the folder of public data holds real purchases."""
    return folder is not None and (folder / AMAZON).is_dir()


def source_of(*, real: bool) -> str:
    """Where purchases come from, in words."""
    return REAL if real else GENERATED


def read_purchases(folder: Path | None, config: JobConfig | MonthConfig) -> Purchases:
    """The real purchases below ``folder``, or generated ones where there is no such folder or nothing in it.

    Raises:
        SourceError: the folder of the purchases is there but lacks a file.
        SchemaError: a file has a wrong column or wrong rows; says which, how many, and what to do.
    """
    if folder is not None and has_purchases(folder):
        log = read_amazon_beauty(folder / AMAZON)
        columns = [schema.USER_ID, schema.ITEM_ID, schema.TS]
        events = log.engine.frame(log.events.order_by(schema.EVENT_ID).select(*columns))
        return Purchases(events, log.engine.frame(log.items.order_by(schema.ITEM_ID)), real=True)
    shape = config.synthetic
    events, items = synthetic_purchases(users=shape.users, items=shape.items, events=shape.events, seed=config.seed)
    return Purchases(events, items, real=False)


@dataclass(frozen=True, eq=False)
class Shop:
    """The log of the simulated month, and what is computed from it once.

    Args:
        world: knows the truth.
        log: what a shop would have on file: purchases before the month, rooms in it.
        slates: the month's requests as arrays.
        features: the columns of the funnel model.
        rows: the month's impressions with their features.
    """

    world: World
    log: EventLog
    slates: Slates
    features: FeatureSet
    rows: pd.DataFrame

    @property
    def start(self) -> pd.Timestamp:
        """Midnight (UTC) before the first room."""
        return pd.Timestamp(int(self.slates.ts.min()), unit="us", tz="UTC").floor("D")

    def day(self, number: int) -> pd.Timestamp:
        """Midnight before day ``number`` of the month, from 0."""
        return self.start + pd.Timedelta(days=number)

    def between(self, first: int, last: int) -> Slates:
        """The requests of the days ``first`` to ``last``, without ``last``."""
        start, end = (microseconds(self.day(number)) for number in (first, last))
        return self.slates.where((self.slates.ts >= start) & (self.slates.ts < end))

    def known_rows(self, cutoff: pd.Timestamp) -> pd.DataFrame:
        """Impressions with their features and what was known of clicks and orders before ``cutoff``."""
        return known_rows(self.log, self.rows, cutoff)


def build_world(purchases: Purchases, config: JobConfig | MonthConfig, on_progress: Progress | None = None) -> World:
    """The simulated month around these purchases."""
    return World.build(purchases.events, purchases.items, config.world, seed=config.seed, on_progress=on_progress)


def open_shop(world: World, on_progress: Progress | None = None, engine: Engine | None = None) -> Shop:
    """The month's log in an engine (DuckDB where it is None), checked against the schema, and its features."""
    log = world.log(engine)
    features = first_family(scenes_of(log))
    rows = impression_rows(log, features, log.impressions(), on_progress)
    return Shop(world, log, log.slates(), features, rows)


def describe(purchases: Purchases, shop: Shop) -> dict[str, Any]:
    """What the summary says of the data."""
    seen = shop.log.describe()
    rows = shop.rows
    return {
        "purchases": {
            "source": purchases.source,
            "real": purchases.real,
            "events": len(purchases.events),
            "users": int(purchases.events[schema.USER_ID].nunique()),
            "items": len(purchases.items),
        },
        "month": {
            "label": shop.world.label,
            "start": str(shop.start.date()),
            "days": shop.world.config.days,
            "rooms": seen["rooms"],
            "requests": len(shop.slates),
            "impressions": len(rows),
            "clicks": int(rows[schema.CLICKED].sum()),
            "orders": int(rows[schema.ORDERED].sum()),
            "ctr": seen["ctr"],
            "room_conversion": seen["room_conversion"],
        },
    }
