"""The event log: what was shown, clicked and ordered, with the items, users, rooms and shelves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from beautyrec.data import schema
from beautyrec.data.attribution import Touch, attribute, last_touch
from beautyrec.data.in_place import events_in_place
from beautyrec.data.interactions import Interactions
from beautyrec.data.parquet import read_parquet
from beautyrec.data.schema import (
    AVAILABLE_AT,
    CLICK,
    EVENT,
    EVENT_ID,
    HOST,
    IMPRESSION,
    ITEM_ID,
    ORDER,
    POLICY,
    POSITION,
    PROPENSITY,
    REQUEST_ID,
    ROOM_ID,
    SCENE,
    SLATE_PROPENSITY,
    TS,
    USER_ID,
)
from beautyrec.data.slates import Shelves, Slates
from beautyrec.data.times import Length, Moment, utc
from beautyrec.data.vocabulary import Vocabulary
from beautyrec.engine import Engine
from beautyrec.errors import DataError, SchemaError, SourceError
from beautyrec.files import atomic_folder

_SHOWN = (EVENT_ID, REQUEST_ID, ROOM_ID, USER_ID, ITEM_ID, TS, POSITION, PROPENSITY, SLATE_PROPENSITY, POLICY)
_WEIGHTS: Mapping[str, float] = {ORDER: 1.0, CLICK: 0.3}


@dataclass(frozen=True, eq=False)
class EventLog:
    """Five checked tables in one engine; :mod:`beautyrec.data.schema` says what stands in them.

    All columns of the schema are there, in gaps where the source has none. What is not given is derived or empty: users
    are those of the events, rooms and shelves have no rows.

    Args:
        engine: where the tables lie and queries run.
        events: Ibis table of the events.
        items: Ibis table of the catalogue.
        users: Ibis table of the users.
        rooms: Ibis table of the live rooms.
        shelves: Ibis table of the products of each room.
        external: Ibis table of each source from elsewhere by its name; see :mod:`beautyrec.data.external`.

    Examples:
        >>> at = pd.to_datetime(["2026-03-01 20:00", "2026-03-01 20:01"], utc=True)
        >>> events = pd.DataFrame({"event_id": [0, 1], "event": ["impression", "click"], "ts": at,
        ...                        "user_id": [7, 7], "item_id": ["serum", "serum"]})
        >>> log = EventLog.from_frames(events, pd.DataFrame({"item_id": ["serum", "balm"]}))
        >>> log.impressions()[["item_id", "clicked", "ordered"]].to_dict("records")
        [{'item_id': 'serum', 'clicked': True, 'ordered': False}]
    """

    engine: Engine
    events: Any
    items: Any
    users: Any
    rooms: Any
    shelves: Any
    external: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_frames(
        cls,
        events: pd.DataFrame | pa.Table,
        items: pd.DataFrame | pa.Table,
        users: pd.DataFrame | pa.Table | None = None,
        rooms: pd.DataFrame | pa.Table | None = None,
        shelves: pd.DataFrame | pa.Table | None = None,
        engine: Engine | None = None,
    ) -> EventLog:
        """A log from tables in memory, which are checked, and not changed.

        Raises:
            SchemaError: a table is not as the schema has it.
        """
        given = {"events": events, "items": items, "users": users, "rooms": rooms, "shelves": shelves}
        checked = {
            name: schema.validate(name, table, "frame" if isinstance(table, pd.DataFrame) else "table")
            for name, table in given.items()
            if table is not None
        }
        return cls._of(checked, engine)

    @classmethod
    def read(cls, folder: str | Path, engine: Engine | None = None) -> EventLog:
        """A log from a folder with ``events.parquet`` and ``items.parquet``, and others of the tables if wanted.

        Each is a file or a folder of files. Events that are as the schema has them, with rising ids, as :meth:`write`
        and an import leave them, stay where they are: queries read what they need of the files, so these must stay
        too. Other events, and the other tables, are brought into memory.

        Raises:
            SourceError: the folder, the events or the items are absent, or a file is not Parquet.
            SchemaError: a table is not as the schema has it; the message names the file.
        """
        folder, engine = Path(folder), engine or Engine.duckdb()
        checked = {}
        in_place = None
        for name in schema.TABLES:
            path = folder / f"{name}.parquet"
            if name == "events" and path.exists() and (in_place := events_in_place(engine, path)):
                checked[name] = in_place[1]
            elif path.exists():
                checked[name] = schema.validate(name, read_parquet(path), str(path))
            elif name in ("events", "items"):
                raise SourceError(f"'{path}' is not there. A log is a folder with events.parquet and items.parquet.")
        return cls._of(checked, engine, in_place[0] if in_place else None)

    @classmethod
    def _of(cls, checked: dict[str, pa.Table], engine: Engine | None, events: Any = None) -> EventLog:
        """A log from checked tables; ``events`` are taken as they are, one row of ``checked`` shows their ids."""
        engine = engine or Engine.duckdb()
        if "users" not in checked and events is None:
            ids = pc.unique(checked["events"].column(USER_ID))
            checked["users"] = pa.table({USER_ID: ids.take(pc.sort_indices(ids))})
        elif "users" not in checked:
            checked["users"] = engine.connection.to_pyarrow(events.select(USER_ID).distinct().order_by(USER_ID))
        for name in schema.TABLES.keys() - checked.keys():
            checked[name] = schema.empty(name)
        agreed = schema.agree_on_ids(checked)
        tables = {name: engine.table(table) for name, table in agreed.items() if name != "events" or events is None}
        if events is not None:
            rooms = agreed["rooms"].schema.field(ROOM_ID).type
            tables["events"] = events.mutate(**{ROOM_ID: events[ROOM_ID].cast(_ibis_type(rooms))})
        return cls(engine, **tables)

    def write(self, folder: str | Path) -> None:
        """Write the log as a folder of Parquet files (zstd), whole or not at all; a log that lies there is replaced.

        Raises:
            SourceError: the folder holds other things than a log.
        """
        folder = Path(folder)
        files = {f"{name}.parquet": getattr(self, name) for name in schema.TABLES}
        others = sorted(place.name for place in folder.iterdir() if place.name not in files) if folder.is_dir() else []
        if others:
            raise SourceError(
                f"'{folder}' holds other things than a log: {len(others)} of them, the first '{others[0]}'. "
                f"A log takes a folder of its own: name another."
            )
        with atomic_folder(folder) as temporary:
            for name, table in files.items():
                self.engine.write(table, temporary / name)

    def before(self, cutoff: Moment) -> EventLog:
        """The log as it was known at ``cutoff``: events with ``available_at`` before it."""
        return replace(self, events=self.events.filter(self.events[AVAILABLE_AT] < utc(cutoff)))

    def between(self, start: Moment, end: Moment) -> EventLog:
        """Events that happened from ``start`` on and before ``end``."""
        ts = self.events[TS]
        return replace(self, events=self.events.filter((ts >= utc(start)) & (ts < utc(end))))

    def impressions(self, window: Length = "1D", touch: Touch = last_touch) -> pd.DataFrame:
        """What was shown, and what came of it: one row an impression, by ``event_id``.

        :func:`beautyrec.data.attribution.attribute` says which click, cart, order and return goes to which impression.
        Those that come after the end of this log are not in it: give the last impressions their time.

        Args:
            window: how long after an impression a click, cart or order that names no request may come.
            touch: which impression takes it where several qualify: ``last_touch`` or ``first_touch`` of
                :mod:`beautyrec.data.attribution`.

        Returns:
            ``event_id, request_id, room_id, user_id, item_id, ts, position, propensity, slate_propensity, policy,
            scene, host``, ``clicked``, ``carted``, ``ordered`` and ``returned`` (bool), ``revenue`` and ``refunded``
            (float, 0 without an order or return).
        """
        shown = self.events.filter(self.events[EVENT] == IMPRESSION).select(*_SHOWN)
        rooms = self.rooms.select(ROOM_ID, SCENE, HOST)
        joined = shown.left_join(rooms, ROOM_ID).drop(f"{ROOM_ID}_right")
        outcome = attribute(self.events, window, touch)
        joined = joined.left_join(outcome, EVENT_ID).drop(f"{EVENT_ID}_right")
        return self.engine.frame(joined.order_by(EVENT_ID))

    def catalogue(self) -> Vocabulary:
        """The items of the catalogue and of the events, sorted."""
        ids = self.items.select(ITEM_ID).union(self.events.select(ITEM_ID), distinct=True)
        return Vocabulary.from_ids(self.engine.frame(ids)[ITEM_ID])

    def interactions(
        self,
        weights: Mapping[str, float] = _WEIGHTS,
        users: Vocabulary | None = None,
        items: Vocabulary | None = None,
    ) -> Interactions:
        """Who took which item when, from the events that ``weights`` names.

        Args:
            weights: name of the event to how much it counts, above 0.
            users: vocabulary to use, events of others are left out; those who have such events where it is None.
            items: likewise for items; the catalogue where it is None.

        Raises:
            SchemaError: ``weights`` names an unknown event.
            DataError: a weight is not above 0.
        """
        _check_weights(weights)
        events = self.events.filter(self.events[EVENT].isin(list(weights)))
        frame = self.engine.frame(events.order_by(EVENT_ID).select(USER_ID, ITEM_ID, TS, EVENT))
        items = items or self.catalogue()
        known = items.indices_or_missing(frame[ITEM_ID]) >= 0
        if users is not None:
            known &= users.indices_or_missing(frame[USER_ID]) >= 0
        frame = frame[known].assign(weight=lambda kept: kept[EVENT].map(weights))
        table = self.engine.frame(self.items)
        return Interactions.from_frame(frame, users=users, items=items, item_table=table)

    def slates(self, window: Length = "1D") -> Slates:
        """The requests as arrays; needs ``request_id``, ``position`` and the table ``shelves``.

        Raises:
            SchemaError: there are no shelves, or requests do not fit them, see :meth:`Slates.from_frame`.
        """
        shelves = self.engine.frame(self.shelves)
        if shelves.empty:
            raise SchemaError("slates: the log has no shelves. Add the table 'shelves': one row a room and product.")
        return Slates.from_frame(self.impressions(window), Shelves.from_frame(shelves, self.catalogue()))

    def describe(self) -> dict[str, Any]:
        """Counts, the range of time, and two rates.

        Returns:
            ``events`` (count by name), ``users``, ``items`` (in the catalogue), ``rooms``, ``start`` and ``end``
            (times of the first and last event), ``ctr`` (clicks / impressions) and ``room_conversion`` (pairs of
            room and user with an impression that have an order too / such pairs); None where nothing was shown.
        """
        events = self.events
        counts = self.engine.frame(events.group_by(EVENT).aggregate(rows=events.count()))
        rows = dict(zip(counts[EVENT], counts["rows"].tolist(), strict=True))
        times = self.engine.frame(events.aggregate(start=events[TS].min(), end=events[TS].max())).iloc[0]
        return {
            "events": {name: rows[name] for name in schema.EVENT_NAMES if name in rows},
            **{name: self._count(getattr(self, name)) for name in ("users", "items", "rooms")},
            "start": times["start"],
            "end": times["end"],
            "ctr": rows.get(CLICK, 0) / rows[IMPRESSION] if IMPRESSION in rows else None,
            "room_conversion": self._room_conversion(),
        }

    def _room_conversion(self) -> float | None:
        event = self.events[EVENT]
        pairs = self.events.group_by([ROOM_ID, USER_ID]).aggregate(
            viewed=(event == IMPRESSION).any(), bought=(event == ORDER).any()
        )
        viewers = pairs.filter(pairs.viewed & ~pairs[ROOM_ID].isnull())  # noqa: PD003 (Ibis)
        rate = self.engine.frame(viewers.aggregate(rate=viewers.bought.cast("int64").mean()))["rate"].iloc[0]
        return None if pd.isna(rate) else float(rate)

    def _count(self, table: Any) -> int:
        return int(self.engine.frame(table.aggregate(rows=table.count()))["rows"].iloc[0])


def _ibis_type(kind: pa.DataType) -> Any:
    import ibis

    return ibis.dtype(kind)


def _check_weights(weights: Mapping[str, float]) -> None:
    unknown = sorted(set(weights) - set(schema.EVENT_NAMES))
    if unknown:
        raise SchemaError(f"weights: unknown events {unknown}; known are {', '.join(schema.EVENT_NAMES)}.")
    low = {name: weight for name, weight in weights.items() if not weight > 0}
    if low:
        raise DataError(f"weights: {low} are not above 0. Leave out what shall not count.")
