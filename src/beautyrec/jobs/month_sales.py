"""By how much predicted sales miss the true ones on the month after, at week and category level, in a simulated shop.

Who comes is taken as known, for every prediction alike: what is compared is what viewers buy of what they are shown. *True*
sales are those that the world expects, not those that chance made of them.

The legacy selection is a scorecard, which says how good a product is and not what it sells: a product in a room is predicted to
sell, a viewer, what those of its tenth of the scorecard sold in the rooms before the week.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd

from beautyrec import plackett_luce
from beautyrec.campaign.final_model import FinalModel
from beautyrec.data.log import EventLog
from beautyrec.data.schema import CATEGORY, ITEM_ID, PRICE, ROOM_ID, STARTS_AT
from beautyrec.data.slates import Slates
from beautyrec.evaluation.sales_deviation import weighted_absolute_percentage_error
from beautyrec.selection.dimension_values import dimension_values
from beautyrec.selection.scorecard import Scorecard
from beautyrec.simulate.world import World
from beautyrec.types import FloatArray, IntArray

WEEK: Final = 7
TENTHS: Final = 10
CHUNK: Final = 10_000
LEGACY: Final = {"heat": 1.0, "margin": 1.0, "feedback": 1.0}
"""The weights of the legacy scorecard."""


@dataclass(frozen=True, eq=False)
class SalesAfter:
    """The whole weeks of the month after; all of it where it is shorter than one.

    Args:
        world: knows the truth.
        log: of both months.
        start: midnight before the month after.
    """

    world: World
    log: EventLog
    start: pd.Timestamp

    @cached_property
    def slates(self) -> Slates:
        """All requests of both months."""
        return self.world.slates()

    @cached_property
    def shelf(self) -> pd.DataFrame:
        """A row a room and product on its shelf: ``item_id, category, price, week``, and the room's ``viewers``.

        The index is :meth:`place` of both. Week 0 begins with the month after; -1 is before it, and after its last whole week
        (where it has one).
        """
        frame, shelves = self.log.engine.frame, self.slates.shelves
        rows = frame(self.log.shelves.select(ROOM_ID, ITEM_ID, PRICE))
        rows = rows.merge(frame(self.log.rooms.select(ROOM_ID, STARTS_AT)), on=ROOM_ID)
        rows = rows.merge(frame(self.log.items.select(ITEM_ID, CATEGORY)), on=ITEM_ID)
        room = shelves.rooms.indices(rows[ROOM_ID])
        viewers = np.bincount(self.slates.room_ix, minlength=len(shelves.rooms))
        week = (rows[STARTS_AT] - self.start) // pd.Timedelta(days=WEEK)
        whole = max(1, (self.world.config.days - (self.start - self._first).days) // WEEK)
        rows = rows.assign(
            week=week.where((week >= 0) & (week < whole), -1),
            viewers=viewers[room],
            category=rows[CATEGORY].fillna(""),
        )
        rows.index = pd.Index(self.place(room, shelves.items.indices(rows[ITEM_ID])))
        return rows.sort_index()

    def place(self, room_ix: IntArray, item_ix: IntArray) -> IntArray:
        """[n] a number for each room and product."""
        return np.asarray(room_ix * len(self.slates.shelves.items) + item_ix)

    def shown(self, slates: Slates, shown: IntArray) -> pd.DataFrame:
        """A row a product that a request is shown, request by request: those of :attr:`shelf`, and ``true``, sales expected."""
        click, order = self.world.chances(slates, shown)
        request, column = np.nonzero(shown >= 0)
        room = slates.room_ix[request]
        item = slates.shelves.item_ix[room, shown[request, column]]
        rows = self.shelf.loc[self.place(room, item)]
        return rows.assign(true=(click * order)[request, column] * rows[PRICE].to_numpy())

    def of_model(self, final: FinalModel, slates: Slates, draws: FloatArray, seed: int) -> float | None:
        """The deviation of what a model predicts of the slates that its policy draws; None of a model that only ranks.

        Args:
            final: the model; it is not fitted again in the month after, its features are as known when each room begins.
            slates: requests of the month after.
            draws: [B, C] the policy's chances on their shelves.
            seed: of the drawn slates.
        """
        drawn = plackett_luce.sample(draws, self.world.config.slate_size, np.random.default_rng(seed))
        said = final.predicted(self.log, slates, drawn)
        if said is None:
            return None
        rows = self.shown(slates, drawn)
        return deviation(rows.assign(predicted=said["ctcvr"].to_numpy() * rows[PRICE].to_numpy()))

    def of_scorecard(self) -> float:
        """The deviation of what the legacy scorecard predicts of what the legacy policy showed."""
        parts = []
        for week in range(int(self.shelf["week"].max()) + 1):
            mine = self.shelf[self.shelf["week"] == week]
            parts.append(mine.assign(predicted=self._by_tenth(week, mine), true=self._true(week).reindex(mine.index)))
        return deviation(pd.concat(parts).fillna({"true": 0.0}))

    @cached_property
    def _first(self) -> pd.Timestamp:
        return pd.Timestamp(int(self.slates.ts.min()), unit="us", tz="UTC").floor("D")

    @cached_property
    def _drawn(self) -> pd.Series[float]:
        """What was sold of each product in each room, as the log has it, by :meth:`place`."""
        slates = self.slates
        request, column = np.nonzero(slates.ordered)
        room = slates.room_ix[request]
        item = slates.shelves.item_ix[room, slates.shown[request, column]]
        sold = pd.Series(slates.revenue[request, column], index=self.place(room, item))
        return sold.groupby(level=0).sum()

    def _by_tenth(self, week: int, mine: pd.DataFrame) -> FloatArray:
        """What each row of the week is predicted to sell."""
        begins = self.start + pd.Timedelta(days=WEEK * week)
        scores = Scorecard(LEGACY).score(dimension_values(self.log, begins))
        total = pd.Series(scores.total.to_numpy(), index=scores.item_id).reindex(self.shelf[ITEM_ID].unique())
        rank = (total.rank(pct=True) * TENTHS).fillna(0.0)
        tenth = pd.Series(np.ceil(rank.to_numpy()), index=rank.index)
        past = self.shelf[(self.shelf[STARTS_AT] < begins).to_numpy()]
        sold = self._drawn.reindex(past.index).fillna(0.0)
        group = past[ITEM_ID].map(tenth)
        rate = sold.groupby(group).sum() / past["viewers"].groupby(group).sum()
        means = mine[ITEM_ID].map(tenth).map(rate).to_numpy(np.float64)
        means = np.where(np.isnan(means), sold.sum() / past["viewers"].sum(), means)
        return np.asarray(means * mine["viewers"].to_numpy())

    def _true(self, week: int) -> pd.Series[Any]:
        """What each room and product of the week truly sold under the legacy policy, by :meth:`place`."""
        shelves = self.slates.shelves
        rooms = shelves.rooms.indices(self.shelf.loc[(self.shelf["week"] == week).to_numpy(), ROOM_ID].unique())
        requests = np.isin(self.slates.room_ix, rooms)
        sums = []
        for part in np.array_split(np.flatnonzero(requests), 1 + int(requests.sum()) // CHUNK):
            some = self.slates.where(np.isin(np.arange(len(self.slates)), part))
            sums.append(self.shown(some, some.shown)["true"].groupby(level=0).sum())
        together: pd.Series[Any] = pd.concat(sums).groupby(level=0).sum()
        return together


def deviation(rows: pd.DataFrame) -> float:
    """``sum |predicted - true| / sum true`` over weeks and categories; rows of no whole week are left out.

    Examples:
        >>> rows = pd.DataFrame({"week": [0, 0, -1], "category": ["a", "a", "b"], "predicted": [1.0, 4.0, 9.0],
        ...                      "true": [2.0, 2.0, 1.0]})
        >>> deviation(rows)
        0.25
    """
    cells = rows[rows["week"] >= 0].groupby(["week", CATEGORY])[["predicted", "true"]].sum()
    return weighted_absolute_percentage_error(cells["predicted"], cells["true"])
