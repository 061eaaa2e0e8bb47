"""Features from a source outside the log, as it was known at each moment, and how much of a log it covers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from beautyrec.data.external import ExternalSource
from beautyrec.data.log import EventLog
from beautyrec.data.schema import AVAILABLE_AT, ITEM_ID, ROOM_ID, SCENE, TS, USER_ID
from beautyrec.data.times import length
from beautyrec.errors import SchemaError
from beautyrec.features.builder import AS_OF, MICROSECONDS_A_DAY, MOMENT, Feature, LookedBack, Need
from beautyrec.features.feature_set import FeatureSet
from beautyrec.features.history import running_totals


@dataclass(frozen=True)
class External:
    """The last row of a source known before ``as_of``, if it still holds, and its age.

    A row holds while ``as_of - available_at <= valid_for``: an older one is not taken in the place of none.

    Args:
        name: of the source in ``log.external``.
        key: ``"user_id"`` or ``"item_id"``.
        columns: the numbers to take.
        valid_microseconds: how long a row holds.

    Examples:
        >>> at = pd.to_datetime(["2026-03-01", "2026-03-05", "2026-04-05"], utc=True)
        >>> source = ExternalSource("panel", "user_id", "delivered_at", "30D", ("visits",))
        >>> bought = pd.DataFrame({"user_id": [7], "delivered_at": at[:1], "visits": [4]})
        >>> click = pd.DataFrame({"event_id": [0], "event": "click", "ts": at[:1], "user_id": 7, "item_id": "serum"})
        >>> log = source.read(bought).join(EventLog.from_frames(click, pd.DataFrame({"item_id": ["serum"]})))
        >>> keys = pd.DataFrame({"user_id": 7, "as_of": at})
        >>> FeatureSet((External.of(source),)).compute(log, keys)["panel_visits"].tolist()
        [nan, 4.0, nan]
    """

    name: str
    key: str
    columns: tuple[str, ...]
    valid_microseconds: int
    version: ClassVar[int] = 1

    @classmethod
    def of(cls, source: ExternalSource) -> External:
        """The features of all columns of a source."""
        holds = length(source.valid_for) // pd.Timedelta(microseconds=1)
        return cls(source.name, source.key, source.columns, int(holds))

    @property
    def entity(self) -> tuple[str, ...]:
        """The viewer or the product."""
        return (self.key,)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One number a column, and the age of the row."""
        window = f"the last row of {self.valid_microseconds / MICROSECONDS_A_DAY:g} days"
        missing = "no row is known that still holds"
        numbers = [
            Feature(f"{self.name}_{name}", "as the source has it", window, f"{missing}, or it has a gap")
            for name in self.columns
        ]
        return (*numbers, Feature(f"{self.name}_age", "days", window, missing))

    def needs(self, log: EventLog) -> Mapping[str, Need]:
        """The last row known by key, with its time.

        Raises:
            SchemaError: the log has no such source.
        """
        if self.name not in log.external:
            raise SchemaError(f"external '{self.name}': the log has {sorted(log.external)}. Join it: rows.join(log).")
        table = log.external[self.name]
        rows = table.select(self.key, *self.columns, at=log.engine.microseconds(table[AVAILABLE_AT]))

        def last(keys: Any) -> Any:
            marks = keys.select(self.key, AS_OF, at=keys[MOMENT])
            steps = rows.select(self.key, "at", known_at=rows["at"])
            marks = running_totals(steps, marks, [self.key], "at", {"known_at": lambda column: column.max()})
            of_row = [marks[self.key] == rows[self.key], marks["known_at"] == rows["at"]]
            joined = marks.inner_join(rows, of_row, rname="row_{name}")
            return joined.select(self.key, AS_OF, "known_at", *self.columns)

        return {name: LookedBack(last, (self.key,), name) for name in ("known_at", *self.columns)}

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """The numbers of the row, and its age, where it still holds."""
        import ibis

        age = known[MOMENT] - known["known_at"]
        holds = age <= self.valid_microseconds

        def where(value: Any) -> Any:
            return ibis.ifelse(holds, value, ibis.null("float64"))

        numbers = {f"{self.name}_{name}": where(known[name].cast("float64")) for name in self.columns}
        return {**numbers, f"{self.name}_age": where(age / float(MICROSECONDS_A_DAY))}


def coverage_by_day(log: EventLog, source: ExternalSource) -> pd.DataFrame:
    """For each day (UTC), the share of impressions at whose moment a row of the source was known and held.

    Returns:
        One row a day: ``day, impressions, covered, share``.
    """
    return _coverage(log, source, "day")


def coverage_by_scene(log: EventLog, source: ExternalSource) -> pd.DataFrame:
    """As :func:`coverage_by_day`, by the kind of room; impressions outside rooms have no scene."""
    return _coverage(log, source, SCENE)


def _coverage(log: EventLog, source: ExternalSource, by: str) -> pd.DataFrame:
    shown = log.events.filter(log.events["event"] == "impression").select(USER_ID, ITEM_ID, ROOM_ID, TS)
    rows = log.engine.frame(shown)
    builder = External.of(source)
    age = FeatureSet((builder,)).compute(log, rows.rename(columns={TS: AS_OF}))[f"{source.name}_age"]
    rooms = log.engine.frame(log.rooms.select(ROOM_ID, SCENE)).set_index(ROOM_ID)[SCENE]
    rows = rows.assign(day=rows[TS].dt.floor("D"), scene=rows[ROOM_ID].map(rooms), known=age.notna())
    counts = rows.groupby(by, dropna=False)["known"].agg(impressions="size", covered="sum").reset_index()
    return counts.assign(share=counts["covered"] / counts["impressions"])
