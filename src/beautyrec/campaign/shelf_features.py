"""Features of what was shown, to learn from, and of all that could be shown, to rank.

Both are as they were known when the room began: what happened in a room is not known to its own features, and all
viewers of a room are ranked with the same knowledge of its products.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd

from beautyrec.data.log import EventLog
from beautyrec.data.schema import (
    CLICKED,
    EVENT_ID,
    ITEM_ID,
    ORDERED,
    POSITION,
    ROOM_ID,
    STARTS_AT,
    TS,
    USER_ID,
)
from beautyrec.data.slates import Slates
from beautyrec.data.times import Moment
from beautyrec.features.builder import AS_OF
from beautyrec.features.feature_set import FeatureSet
from beautyrec.models.funnel import FunnelModel
from beautyrec.types import BoolArray, FloatArray, IntArray, Progress


def room_starts(log: EventLog) -> pd.Series[pd.Timestamp]:
    """When each room began, by its id."""
    return log.engine.frame(log.rooms.select(ROOM_ID, STARTS_AT)).set_index(ROOM_ID)[STARTS_AT]


def impression_rows(
    log: EventLog, features: FeatureSet, impressions: pd.DataFrame, on_progress: Progress | None = None
) -> pd.DataFrame:
    """What a funnel model is fitted on: ids, ``ts``, ``clicked`` and ``ordered`` of each impression, and its features.

    Args:
        log: what features are computed from.
        features: which.
        impressions: as ``log.impressions()`` gives them; those outside of a room are left out.
        on_progress: as in :meth:`FeatureSet.compute`.
    """
    shown = impressions[impressions[ROOM_ID].notna()].reset_index(drop=True)
    keys = shown[[USER_ID, ITEM_ID, ROOM_ID, POSITION]].assign(**{AS_OF: shown[ROOM_ID].map(room_starts(log))})
    kept = shown[[EVENT_ID, USER_ID, ITEM_ID, ROOM_ID, TS, CLICKED, ORDERED]]
    return kept.join(features.compute(log, keys, on_progress).astype(np.float32))


def known_rows(log: EventLog, rows: pd.DataFrame, cutoff: Moment) -> pd.DataFrame:
    """Those of :func:`impression_rows` that were shown before ``cutoff``, with the clicks and orders known by then.

    Args:
        log: what the rows come from.
        rows: of the whole log: features look back from the start of a room, so they do not hang on the cutoff.
        cutoff: the moment at which a model is fitted.
    """
    labels = log.before(cutoff).impressions().set_index(EVENT_ID)[[CLICKED, ORDERED]]
    return rows.drop(columns=[CLICKED, ORDERED]).join(labels, on=EVENT_ID, how="inner")


def shelf_keys(log: EventLog, slates: Slates) -> pd.DataFrame:
    """One row for each request and product on its shelf, request by request in the order of the shelf, at position 1."""
    request, column = np.nonzero(slates.shelves.item_ix[slates.room_ix] >= 0)
    return _keys(log, slates, request, column, np.ones(len(request), dtype=np.int64))


def shown_keys(log: EventLog, slates: Slates, shown: IntArray) -> pd.DataFrame:
    """One row for each request and product that it is shown, in the order of positions.

    Args:
        log: what rooms are of.
        slates: B requests.
        shown: [B, K] columns of the shelf, -1 after a slate's end; not those that the log has, perhaps.
    """
    request, place = np.nonzero(shown >= 0)
    return _keys(log, slates, request, shown[request, place], place + 1)


def _keys(log: EventLog, slates: Slates, request: IntArray, column: IntArray, position: IntArray) -> pd.DataFrame:
    rooms = slates.shelves.rooms.ids_at(slates.room_ix)
    starts = room_starts(log).reindex(rooms)
    return pd.DataFrame(
        {
            USER_ID: slates.user_id[request],
            ITEM_ID: slates.shelves.items.ids_at(slates.shelves.item_ix[slates.room_ix[request], column]),
            ROOM_ID: rooms[request],
            POSITION: position,
            AS_OF: starts.array[request],
        }
    )


@dataclass(frozen=True, eq=False)
class ShelfFeatures:
    """Features of every product on the shelf of every request, computed once and ranked by any number of models.

    Args:
        there: [B, C] false beyond the shelf.
        rows: a row a product on a shelf, in the order of :func:`shelf_keys`.
    """

    there: BoolArray
    rows: pd.DataFrame

    @classmethod
    def of(cls, log: EventLog, features: FeatureSet, slates: Slates, on_progress: Progress | None = None) -> Self:
        """Features of all that could be shown in ``slates``, from what ``log`` knew when each room began."""
        there = slates.shelves.item_ix[slates.room_ix] >= 0
        rows = features.compute(log, shelf_keys(log, slates), on_progress)
        return cls(there, rows.astype(np.float32))

    def where(self, keep: BoolArray) -> Self:
        """The requests where ``keep`` [B] is true."""
        mine = np.repeat(keep, self.there.sum(axis=1))
        return replace(self, there=self.there[keep], rows=self.rows[mine])

    def predict(self, model: FunnelModel, column: str) -> FloatArray:
        """[B, C] a chance that ``model`` predicts (``ctr``, ``cvr`` or ``ctcvr``); 0 beyond the shelf."""
        values = np.zeros(self.there.shape)
        values[self.there] = model.predict(self.rows)[column].to_numpy()
        return values


def funnel_scores(model: FunnelModel, shelf: ShelfFeatures) -> FloatArray:
    """[B, C] log of the chance that a product is clicked and ordered, -inf beyond the shelf."""
    chance = shelf.predict(model, "ctcvr")
    return np.log(chance, out=np.full(chance.shape, -np.inf), where=chance > 0)
