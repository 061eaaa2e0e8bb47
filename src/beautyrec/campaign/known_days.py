"""A log as it was known on each day of a month: what models learn from, and the rooms they are judged on.

Nothing here looks at an event before it was available. What several trials of a day need is computed once and kept, as much
of it as a bound allows. Features are as they were known when each room began, whenever they are computed: where the log goes on,
those of a week are computed at once, for of a small day most of the time goes into planning the queries.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.campaign.calendar import Calendar
from beautyrec.campaign.policy_lift import HeldRooms
from beautyrec.campaign.rungs import Epochs
from beautyrec.campaign.shelf_features import ShelfFeatures, impression_rows
from beautyrec.data.interactions import Interactions
from beautyrec.data.log import EventLog
from beautyrec.data.schema import CLICKED, EVENT, EVENT_ID, IMPRESSION, ORDERED, ROOM_ID, SCENE, TS
from beautyrec.data.slates import Slates
from beautyrec.data.times import microseconds
from beautyrec.errors import EvaluationError
from beautyrec.features.family import first_family, scenes_of
from beautyrec.features.feature_set import FeatureSet
from beautyrec.types import BoolArray, IntArray

T = TypeVar("T")
LABELS = [CLICKED, ORDERED]
AHEAD = 7
"""Days whose features are computed at once, if they are over in the log."""
SMALL = 100_000
"""Products on the shelves of a day's requests up to which its shelves are computed with those of other days."""

Reward = Callable[[EventLog, Slates], Slates]
"""Puts another outcome in the place of revenue."""


@dataclass
class Shelf:
    """Keeps the results that were used last, at most ``room`` of them.

    Examples:
        >>> shelf = Shelf(1)
        >>> shelf.get("a", lambda: 1), shelf.get("b", lambda: 2), list(shelf.kept)
        (1, 2, ['b'])
    """

    room: int
    kept: OrderedDict[Hashable, Any] = field(default_factory=OrderedDict)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept under ``key``, made where it is not."""
        if key not in self.kept:
            self.kept[key] = make()
        self.kept.move_to_end(key)
        while len(self.kept) > self.room:
            self.kept.popitem(last=False)
        return cast(T, self.kept[key])


@dataclass(eq=False)
class KnownDays:
    """A log, day by day.

    Args:
        log: the whole of it; of what was not available on a day, that day sees nothing.
        calendar: of the month.
        weights: name of the event to how much it counts, for models that rank.
        learn_days: how many days of impressions a funnel model learns from at most.
        seed: of the outcome models and of drawn slates.
        reward: what stands for revenue; revenue itself if None.
        keep: how many days of shelves, of knowledge, and how many scores of a day are kept.
    """

    log: EventLog
    calendar: Calendar
    weights: Mapping[str, float]
    learn_days: int = 30
    seed: int = 0
    reward: Reward | None = None
    keep: tuple[int, int, int] = (8, 8, 24)
    curves: dict[tuple[str, int], Epochs] = field(default_factory=dict, init=False, repr=False)
    _rows: pd.DataFrame | None = field(default=None, init=False, repr=False)
    _rows_end: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        shelves, knowledge, scores = self.keep
        self._held, self._shelf = Shelf(2), Shelf(shelves + AHEAD)
        self._labels, self._taken, self.scores = Shelf(knowledge), Shelf(knowledge), Shelf(scores)
        self.models = Shelf(2)

    @cached_property
    def features(self) -> FeatureSet:
        """What funnel models look at."""
        return first_family(scenes_of(self.log))

    @cached_property
    def scene(self) -> pd.Series[Any]:
        """The scene of each room, by its id."""
        rooms: pd.Series[Any] = self.log.engine.frame(self.log.rooms.select(ROOM_ID, SCENE)).set_index(ROOM_ID)[SCENE]
        return rooms

    def known(self, day: int) -> EventLog:
        """What was available when ``day`` was over."""
        return self.log.before(self.calendar.begins(day + 1))

    def held(self, days: range, as_of: int) -> HeldRooms:
        """The requests of ``days`` with what was known of them when the day ``as_of`` was over.

        Raises:
            EvaluationError: one of the days has no request.
        """
        return self._held.get((days, as_of), lambda: self._hold(days, as_of))

    def on(self, slates: Slates, day: int) -> BoolArray:
        """[B] which requests came on ``day``."""
        start, end = (microseconds(self.calendar.begins(place)) for place in (day, day + 1))
        return (slates.ts >= start) & (slates.ts < end)

    def scenes(self, slates: Slates) -> npt.NDArray[Any]:
        """[B] the scene of the room of each request."""
        return self.scene.reindex(slates.shelves.rooms.ids_at(slates.room_ix)).to_numpy()

    def shelf(self, slates: Slates, day: int) -> ShelfFeatures:
        """Features of all that could be shown on ``day``, whose requests are ``slates``, as known when each room began."""
        if (day, len(slates)) not in self._shelf.kept and (slates.shelves.item_ix[slates.room_ix] >= 0).sum() <= SMALL:
            self._shelves_from(day)
        return self._shelf.get((day, len(slates)), lambda: ShelfFeatures.of(self.known(day), self.features, slates))

    def interactions(self, day: int) -> Interactions:
        """What was taken and known before ``day``, for models that rank."""
        return self._taken.get(day, lambda: self.known(day - 1).interactions(self.weights))

    def rows_before(self, day: int) -> pd.DataFrame:
        """Impressions of the days to learn from, known before ``day``, with their features and what was known of them."""
        first = max(self.calendar.config.warm_up_days - 1, day - self.learn_days, 0)
        place, labels = self._labels.get((day, first), lambda: self._known_labels(first, day, day - 1))
        return self._upto(day).iloc[place].assign(**labels)

    def rows_of(self, day: int) -> pd.DataFrame:
        """Impressions of ``day`` with their features and what was known of them when it was over."""
        place, labels = self._labels.get((day, day), lambda: self._known_labels(day, day + 1, day))
        return self._upto(day + 1).iloc[place].assign(**labels)

    def count(self, day: int) -> dict[str, int]:
        """How many events of each name ``day`` has."""
        of_day = self.known(day).between(self.calendar.begins(day), self.calendar.begins(day + 1)).events
        counts = self.log.engine.frame(of_day.group_by(EVENT).aggregate(rows=of_day.count()))
        return {str(name): int(rows) for name, rows in sorted(zip(counts[EVENT], counts["rows"], strict=True))}

    def _hold(self, days: range, as_of: int) -> HeldRooms:
        log = self.known(as_of).between(self.calendar.begins(days[0]), self.calendar.begins(days[-1] + 1))
        slates = log.slates()
        absent = [self.calendar.name(day) for day in days if not self.on(slates, day).any()]
        if absent:
            raise EvaluationError(
                f"month: {len(absent)} of {len(days)} days have no request, the first is {absent[0]}."
            )
        return HeldRooms.of(slates if self.reward is None else self.reward(self.log, slates), seed=self.seed)

    @cached_property
    def _over(self) -> int:
        """How many days of the month are surely over: something happened after them."""
        ends = self.log.engine.frame(self.log.events.aggregate(end=self.log.events[TS].max()))["end"].iloc[0]
        return min(self.calendar.config.days, int((ends - self.calendar.start) // pd.Timedelta(days=1)))

    def _shelves_from(self, day: int) -> None:
        """Keep the shelves of ``day`` and of those after it that are over.

        A day with requests that became known later only has more of them here; its shelves are then computed again.
        """
        end = max(day + 1, min(day + AHEAD, self._over))
        slates = self.known(end - 1).between(self.calendar.begins(day), self.calendar.begins(end)).slates()
        shelves = ShelfFeatures.of(self.known(end - 1), self.features, slates)
        for each in reversed(range(day, end)):
            mine = self.on(slates, each)
            self._shelf.get((each, int(mine.sum())), partial(shelves.where, mine))

    def _upto(self, day: int) -> pd.DataFrame:
        """The impressions with features of all days before ``day`` and maybe more, day by day; new ones are appended."""
        if self._rows is None or self._rows_end < day:
            last = max(day, min(self._rows_end + AHEAD, self._over))
            start, end = self.calendar.begins(self._rows_end), self.calendar.begins(last)
            known = self.known(last - 1)
            shown = known.between(start, end)
            shown = replace(shown, events=shown.events.filter(shown.events[EVENT] == IMPRESSION))
            new = impression_rows(known, self.features, shown.impressions()).drop(columns=LABELS)
            new = new.iloc[np.argsort(new[TS].dt.floor("D").to_numpy(), kind="stable")]
            self._rows = pd.concat([new] if self._rows is None else [self._rows, new], ignore_index=True)
            self._rows_end = last
        return self._rows

    def _known_labels(self, first: int, end: int, as_of: int) -> tuple[IntArray, dict[str, BoolArray]]:
        """Which rows came from the day ``first`` on, before ``end``, and their labels as known after ``as_of``."""
        rows = self._upto(end)
        start, stop = self.calendar.begins(first), self.calendar.begins(end)
        place = np.flatnonzero((rows[TS] >= start) & (rows[TS] < stop))
        known = self.known(as_of).between(start, self.calendar.begins(as_of + 1)).impressions()
        labels = known.set_index(EVENT_ID)[LABELS].reindex(rows[EVENT_ID].to_numpy()[place])
        there = labels[CLICKED].notna().to_numpy()
        return place[there], {name: labels[name].to_numpy()[there].astype(np.bool_) for name in LABELS}
