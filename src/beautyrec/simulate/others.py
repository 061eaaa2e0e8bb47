"""The same world before other viewers: what a lift that is to hold for viewers like these has to be compared with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from beautyrec.data import schema
from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import ConfigError
from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.month import Stage
from beautyrec.simulate.response import Response
from beautyrec.simulate.rooms import with_audience
from beautyrec.simulate.viewers import other_viewers
from beautyrec.types import IntArray


def recast(
    purchases: pd.DataFrame, stage: Stage, response: Response, *, seed: int, times: int
) -> tuple[WorldConfig, pd.DataFrame, Stage, Response]:
    """Config, purchases, stage and response of a world with other viewers; see `beautyrec.simulate.world.World`.

    Raises:
        ConfigError: ``times`` is below 1.
    """
    if times < 1:
        raise ConfigError(f"world: other viewers {times} times as many; that must be at least 1. Raise it.")
    config, known = response.config, response.viewers.users
    rng = np.random.default_rng([stage.seed, 41, seed])
    like = rng.integers(len(known), size=times * len(known))
    users = _new_ids(known, len(like))
    config = replace(config, viewers_per_day=config.viewers_per_day * times, stock_median=config.stock_median * times)
    viewers = other_viewers(response.viewers, users, like, config, rng)
    schedule = with_audience(stage.schedule, viewers, config, rng)
    depot = replace(stage.depot, level=stage.depot.level * times)
    stage = replace(stage, schedule=schedule, depot=depot, seed=int(rng.integers(2**62)), attempt=0)
    bought = _purchases(purchases, known.indices(purchases[schema.USER_ID]), users, like)
    return config, bought, stage, replace(response, config=config, viewers=viewers)


def _new_ids(known: Vocabulary, count: int) -> Vocabulary:
    """Ids that no viewer of the world has."""
    if known.kind == "integer":
        return Vocabulary.from_ids(int(known.ids.max()) + np.arange(1, count + 1))
    return Vocabulary.from_ids(pd.Index([f"other-{number:08d}" for number in range(count)]))


def _purchases(purchases: pd.DataFrame, user_ix: IntArray, users: Vocabulary, like: IntArray) -> pd.DataFrame:
    """Each of the others has bought what the shopper did that they are like."""
    order = np.argsort(user_ix, kind="stable")
    counts = np.bincount(user_ix, minlength=int(like.max()) + 1)
    starts = np.cumsum(counts) - counts
    own = counts[like]
    within = np.arange(own.sum()) - np.repeat(np.cumsum(own) - own, own)
    rows = order[np.repeat(starts[like], own) + within]
    bought: pd.DataFrame = purchases.iloc[rows].reset_index(drop=True)
    return bought.assign(**{schema.USER_ID: np.repeat(users.ids, own)})
