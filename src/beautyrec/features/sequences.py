"""The last events of a viewer, in order, as networks read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from beautyrec.data.log import EventLog
from beautyrec.data.schema import (
    AVAILABLE_AT,
    CLICK,
    EVENT,
    EVENT_ID,
    EVENT_NAMES,
    ITEM_ID,
    ORDER,
    TS,
    USER_ID,
)
from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import ConfigError
from beautyrec.features.builder import AS_OF, MOMENT, ROW, Feature
from beautyrec.features.counts import days_since
from beautyrec.features.feature_set import lent
from beautyrec.features.history import running_totals
from beautyrec.features.keys import KeyColumn, distinct
from beautyrec.types import FloatArray, IntArray

_RANK: Final = "rank"
_BACK: Final = "back"


class Histories(NamedTuple):
    """The last events of n keys, the latest in the last column, what is not there in front."""

    items: IntArray
    """[n, N] index of each product in the vocabulary, -1 where there is no event or the product is not in it."""

    events: IntArray
    """[n, N] place of its name in the list of events, -1 where there is none."""

    age: FloatArray
    """[n, N] days from the event to ``as_of``, NaN where there is none."""


@dataclass(frozen=True)
class LastEvents:
    """The last events of a viewer that were known before each moment.

    They stand in the order in which they became known, then in which they happened, then by ``event_id``; so neither the
    order of the rows nor what comes later changes anything. The cost is a sort of the events and a join by rank.

    Args:
        n: how many, at least 1.
        names: which events count; their order gives the codes.

    Examples:
        >>> at = pd.to_datetime(["2026-03-01", "2026-03-02", "2026-03-03"], utc=True)
        >>> events = pd.DataFrame({"event_id": range(3), "event": "click", "ts": at, "user_id": 7,
        ...                        "item_id": ["balm", "mask", "serum"]})
        >>> log = EventLog.from_frames(events, pd.DataFrame({"item_id": ["balm", "mask", "serum"]}))
        >>> keys = pd.DataFrame({"user_id": [7, 8], "as_of": at[2]})
        >>> LastEvents(n=3).compute(log, keys, log.catalogue()).items.tolist()
        [[-1, 0, 1], [-1, -1, -1]]
    """

    n: int = 50
    names: tuple[str, ...] = (CLICK, ORDER)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.names) - set(EVENT_NAMES))
        if self.n < 1 or unknown or not self.names or len(set(self.names)) < len(self.names):
            raise ConfigError(
                f"LastEvents: n is {self.n}, names are {self.names}, unknown of them {unknown}; give n of at least 1 and "
                f"each name once, of {', '.join(EVENT_NAMES)}."
            )

    @property
    def features(self) -> tuple[Feature, ...]:
        """What :meth:`compute` gives, each an array of N columns."""
        past = f"the last {self.n} events"
        codes = ", ".join(f"{code} {name}" for code, name in enumerate(self.names))
        return (
            Feature(
                "items", "index in the vocabulary", past, "-1: no event, or a product the vocabulary does not have"
            ),
            Feature("events", f"code: {codes}", past, "-1: no event"),
            Feature("age", "days", past, "no event"),
        )

    def expr(self, log: EventLog, keys: Any) -> Any:
        """The events of some keys, one row an event.

        Args:
            log: the events.
            keys: Ibis table with ``row`` (unique), ``user_id`` and ``as_of``.

        Returns:
            Ibis table with ``row, back`` (1 for the latest), ``item_id, event, age``; no row for a key without events.
        """
        import ibis

        events = log.events.filter(log.events[EVENT].isin(list(self.names)))
        order = [events[AVAILABLE_AT], events[TS], events[EVENT_ID]]
        rank = ibis.row_number().over(group_by=USER_ID, order_by=order) + 1
        times = {"at": log.engine.microseconds(events[AVAILABLE_AT]), TS: log.engine.microseconds(events[TS])}
        ranked = events.select(USER_ID, ITEM_ID, EVENT, **times, **{_RANK: rank})
        marks = keys.select(ROW, USER_ID, at=log.engine.microseconds(keys[AS_OF]))
        known = running_totals(ranked, marks, [USER_ID], "at", {_RANK: lambda column: column.max()})
        places = ibis.range(1, self.n + 1).unnest().name(_BACK).as_table()
        wanted = known.select(ROW, USER_ID, last=_RANK, **{MOMENT: known["at"]}).cross_join(places)
        wanted = wanted.mutate(**{_RANK: wanted["last"] + 1 - wanted[_BACK]}).filter(lambda rows: rows[_RANK] > 0)
        joined = wanted.inner_join(ranked, [USER_ID, _RANK])
        return joined.select(ROW, _BACK, ITEM_ID, EVENT, age=days_since(joined[TS], {MOMENT: joined[MOMENT]}))

    def compute(self, log: EventLog, keys: pd.DataFrame, items: Vocabulary) -> Histories:
        """The last events of each key, in the order of the keys.

        Args:
            log: the events.
            keys: [n] rows with ``user_id`` and ``as_of``, a time with a zone; not changed.
            items: gives the products their index.

        Raises:
            SchemaError: ``as_of`` has gaps or no zone, or ids are not of the log's kind.
        """
        columns = [KeyColumn.of(name, keys[name], log) for name in (USER_ID, AS_OF)]
        rows, place = distinct(columns)
        with lent(log.engine, _table(columns, rows)) as table:
            frame = log.engine.frame(self.expr(log, table))
        codes = {name: code for code, name in enumerate(self.names)}
        at = (frame[ROW].to_numpy(), self.n - frame[_BACK].to_numpy())
        shape = (len(rows), self.n)
        found = Histories(np.full(shape, -1), np.full(shape, -1), np.full(shape, np.nan))
        found.items[at] = items.indices_or_missing(frame[ITEM_ID])
        found.events[at] = frame[EVENT].map(codes).to_numpy(dtype=np.int64)
        found.age[at] = frame["age"].to_numpy(dtype=np.float64)
        return Histories(found.items[place], found.events[place], found.age[place])


def _table(columns: Sequence[KeyColumn], rows: IntArray) -> Any:
    import pyarrow as pa

    numbers = pa.array(np.arange(len(rows), dtype=np.int64))
    return pa.table({ROW: numbers, USER_ID: columns[0].at(rows), AS_OF: columns[1].at(rows)})
