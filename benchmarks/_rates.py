"""Chances of click and order: a model that knows nothing of a product's own past in rooms, to the levels learnt from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from beautyrec.campaign.shelf_features import impression_rows
from beautyrec.data import schema
from beautyrec.features.context import Hour, Position, Scene
from beautyrec.features.family import scenes_of
from beautyrec.features.feature_set import FeatureSet
from beautyrec.features.items import PriceInCategory
from beautyrec.features.users import UserBrandAffinity, UserCategoryAffinity, UserRecency
from beautyrec.jobs.shop import Shop
from beautyrec.models.funnel import Funnel, FunnelModel
from beautyrec.selection.levels import Levels, fit_levels
from beautyrec.simulate.world import World

BOUGHT = "bought"
"""Log of a product's orders before the month: the model's only word of the product's own past."""


def open_shop(world: World) -> Shop:
    """The month's log, with features of viewers, rooms and prices alone."""
    log = world.log()
    viewer = (UserRecency(), UserCategoryAffinity(), UserBrandAffinity())
    features = FeatureSet((PriceInCategory(), *viewer, Hour(), Scene(scenes_of(log)), Position()))
    return Shop(world, log, log.slates(), features, impression_rows(log, features, log.impressions()))


@dataclass(frozen=True, eq=False)
class Rates:
    """The model, and what products were bought before."""

    model: FunnelModel
    bought: pd.Series[float]

    @classmethod
    def fit(cls, shop: Shop, known: pd.DataFrame, seed: int) -> Rates:
        """On rows as :meth:`Shop.known_rows` gives them."""
        events = shop.log.events
        orders = events.filter((events[schema.EVENT] == schema.ORDER) & events[schema.ROOM_ID].isnull())  # noqa: PD003
        counts = shop.log.engine.frame(orders.select(schema.ITEM_ID))[schema.ITEM_ID].value_counts()
        bought = np.log1p(counts)
        rows = _read(known, known[schema.ITEM_ID], bought)
        return cls(Funnel().fit(rows, features=(*shop.features.names, BOUGHT), seed=seed), bought)

    def predict(self, rows: pd.DataFrame, item: pd.Series) -> pd.DataFrame:
        """``ctr, cvr, ctcvr`` of rows with the shop's features and these products."""
        return self.model.predict(_read(rows, item, self.bought))

    def said(self, rows: pd.DataFrame, groups: pd.DataFrame) -> pd.DataFrame:
        """What the model says of past rows beside what came of them, with what ``groups`` says of their products and rooms."""
        kept = rows[[schema.TS, schema.ITEM_ID, schema.ROOM_ID, schema.CLICKED, schema.ORDERED]]
        keys = [name for name in (schema.ROOM_ID, schema.ITEM_ID) if name in groups]
        return kept.join(self.predict(rows, rows[schema.ITEM_ID])).merge(groups, on=keys, how="left")


def _read(rows: pd.DataFrame, item: pd.Series, bought: pd.Series[float]) -> pd.DataFrame:
    return rows.assign(**{BOUGHT: item.map(bought).fillna(0.0).to_numpy(np.float32)})


def levels_of(said: pd.DataFrame, groups: Sequence[str]) -> tuple[Levels, Levels]:
    """Of clicks, and of orders after clicks: what groups did so far over what the model said of them.

    Args:
        said: ``ctr, cvr`` and the counts ``clicked, ordered`` of rows, and the groups.
        groups: names of columns.
    """
    clicks = said[schema.CLICKED].to_numpy(np.float64)
    counts = said[list(groups)].assign(
        clicks=clicks,
        said_clicks=said["ctr"],
        orders=said[schema.ORDERED].astype(np.float64),
        said_orders=clicks * said["cvr"],
    )
    sums = counts.groupby(list(groups), dropna=False).sum().reset_index()
    names = sums[list(groups)]
    return tuple(fit_levels(sums[f"said_{name}"], sums[name], names) for name in ("clicks", "orders"))  # type: ignore[return-value]
