"""Puts a world together up to its intercepts: who, what, when, and what is true of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from beautyrec.data import schema
from beautyrec.data.times import microseconds
from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import SchemaError
from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.live import DAY_US, Catalogue, go_on_air
from beautyrec.simulate.month import Stage
from beautyrec.simulate.response import Response, draw_effects, lay_grounds
from beautyrec.simulate.rooms import draw_schedule
from beautyrec.simulate.shelves import draw_depot, draw_filling
from beautyrec.simulate.tastes import Bought, TasteRoute
from beautyrec.simulate.viewers import draw_viewers


def checked_purchases(purchases: pd.DataFrame) -> pd.DataFrame:
    """``user_id``, ``item_id`` and ``ts`` in UTC, integer ids as 64 bits; the caller's frame is not changed.

    Raises:
        SchemaError: a column is missing, or there is no row.
    """
    for column in (schema.USER_ID, schema.ITEM_ID, schema.TS):
        if column not in purchases:
            raise SchemaError(f"purchases: column '{column}' is missing; the frame has {list(purchases)}. Rename it.")
    if purchases.empty:
        raise SchemaError("purchases: there is not one row. A world needs shoppers who bought something.")
    checked = {
        name: purchases[name].astype(np.int64) if pd.api.types.is_integer_dtype(purchases[name]) else purchases[name]
        for name in (schema.USER_ID, schema.ITEM_ID)
    }
    ts = pd.to_datetime(purchases[schema.TS], utc=True).dt.as_unit("us")
    return pd.DataFrame({**checked, schema.TS: ts}).reset_index(drop=True)


def assemble(
    purchases: pd.DataFrame, items: pd.DataFrame, config: WorldConfig, seed: int, tastes: TasteRoute
) -> tuple[Catalogue, Stage, Response]:
    """The products, the stage of the month and the response, its intercepts still 0.

    Each part has its own stream of random numbers, so that a setting of one part leaves the draws of the others as
    they are.

    Args:
        purchases: as `checked_purchases` gives them.
        items: the catalogue.
        config: settings.
        seed: what all draws hang on.
        tastes: the way to tastes.

    Raises:
        SchemaError: purchases name a product that ``items`` lacks.
        ConfigError: settings that this catalogue can't meet.
    """
    start = microseconds(purchases[schema.TS].max().floor("D")) + DAY_US
    draws = iter(np.random.default_rng([seed, number]) for number in range(2, 8))
    catalogue = go_on_air(purchases, items, config, start, next(draws))
    users = Vocabulary.from_ids(purchases[schema.USER_ID])
    rows = pd.Index(catalogue.table[schema.ITEM_ID]).get_indexer(pd.Index(purchases[schema.ITEM_ID]))
    bought = Bought(users.indices(purchases[schema.USER_ID]), rows.astype(np.int64), len(users))
    viewers = draw_viewers(users, bought, tastes(bought, catalogue.table, seed=seed), catalogue, config, next(draws))
    schedule = draw_schedule(catalogue, viewers, config, start, next(draws))
    effects = draw_effects(catalogue, config, next(draws))
    grounds = lay_grounds(effects, catalogue, schedule.price, schedule.scene, schedule.host, schedule.day)
    filling = draw_filling(catalogue, config, schedule.scene, next(draws))
    stage = Stage(schedule, grounds, filling, draw_depot(catalogue, config, start, next(draws)), seed)
    return catalogue, stage, Response(config, viewers, effects, catalogue.category)
