"""Sums over what was known before a moment, for many entities and moments at once.

Events and keys are laid into one stream, ordered in time within each entity, and added up from its start; a key takes
the sum that stands where it lies. A window is the difference of two such places. Keys come before events of the same
moment, so that a tie is never seen. Sorting is all the cost, n log n: no join of events with keys, nothing but unions
and window functions, which every engine behind Ibis has.

Keys share few moments (the starts of rooms), so events are first put into the gaps between those, once for all
entities, and added up there: what is sorted by entity is then small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from beautyrec.data.schema import AVAILABLE_AT, TS
from beautyrec.features.builder import AS_OF

ALL: Final = None
"""A window without a start."""

_AT: Final = "at"
_GAP: Final = "gap"
_PLACE: Final = "place"
_EVENT: Final = -1
"""Place of an event; keys are at 0 (now) and at 1, 2, ... (the starts of the windows)."""


@dataclass(frozen=True, eq=False)
class Past:
    """What keys can look back on; :meth:`sums` adds it up.

    Args:
        keys: Ibis table of the keys.
        steps: the events with the gap between moments that each lies in; gap ``g`` begins with the ``g``-th moment.
        moments: a row for each ``as_of`` and each place, with the gap that begins there.
        windows: the length of each window in days by its name, None for all the past.
    """

    keys: Any
    steps: Any
    moments: Any
    windows: Mapping[str, int | None]

    @classmethod
    def of(cls, events: Any, keys: Any, windows: Mapping[str, int | None]) -> Past:
        """The past of some keys.

        Args:
            events: Ibis table with ``available_at``, what names entities, and amounts.
            keys: Ibis table with ``as_of`` and what names entities; rows may repeat.
            windows: the length of each window in days of 24 hours by its name, None for all the past.
        """
        import ibis

        moments = _moments(keys.select(AS_OF).distinct(), list(windows.values()))
        starts = moments.select(_AT).distinct()
        starts = starts.mutate(**{_GAP: ibis.row_number().over(order_by=_AT) + 1})
        moments = moments.join(starts, _AT).select(AS_OF, _PLACE, _GAP)
        stream = events.mutate(**{_PLACE: ibis.literal(_EVENT, "int8"), _AT: events[AVAILABLE_AT]})
        empty = {name: ibis.null(events[name].type()) for name in events.columns}
        marks = starts.select(**empty, **{_PLACE: ibis.literal(0, "int8"), _AT: starts[_AT]})
        stream = stream.union(marks)
        passed = (stream[_PLACE] != _EVENT).cast("int64").sum()
        stream = stream.mutate(**{_GAP: passed.over(_before(stream, (), _AT))})
        return cls(keys, stream.filter(stream[_PLACE] == _EVENT).drop(_AT, _PLACE), moments, windows)

    def sums(self, by: Sequence[str], amounts: Sequence[str]) -> Any:
        """Sums of amounts over the events known before each key, by entity.

        An event counts in a window of ``d`` days where ``as_of - d days <= available_at < as_of``.

        Args:
            by: the columns that name an entity; none for the sum over all events.
            amounts: integer columns of the events to add up.

        Returns:
            One row for each distinct (``by``, ``as_of``) of an entity that has events: those columns, and
            ``AMOUNT_WINDOW`` for each amount and window. :func:`attach` brings it to the keys.
        """
        import ibis

        steps, keys, zero = self.steps, self.keys, ibis.literal(0, "int64")
        if by:
            keys = keys.semi_join(steps, [keys[name].identical_to(steps[name]) for name in by])
        marks = keys.select(*by, AS_OF).distinct().join(self.moments, AS_OF)
        marks = marks.select(*by, AS_OF, _PLACE, _GAP, **dict.fromkeys(amounts, zero))
        steps = steps.group_by(*by, _GAP).aggregate(**{name: steps[name].sum().cast("int64") for name in amounts})
        stream = steps.mutate(**_as_event(marks)).select(*marks.columns).union(marks)
        running = _running(stream, by, _GAP, {name: stream[name].sum() for name in amounts})
        sums = {}
        for place, (window, days) in enumerate(self.windows.items(), 1):
            for name in amounts:
                now = running[name].sum(where=running[_PLACE] == 0)
                before = zero if days is None else running[name].sum(where=running[_PLACE] == place)
                sums[f"{name}_{window}"] = now - before
        return running.group_by(*by, AS_OF).aggregate(**sums)


def latest_before(events: Any, keys: Any, by: Sequence[str]) -> Any:
    """When the last of the events known before each key happened, by entity.

    Args:
        events: Ibis table with the columns ``by``, ``available_at`` and ``ts``.
        keys: Ibis table with the columns ``by`` and ``as_of``; rows may repeat.
        by: the columns that name an entity.

    Returns:
        One row for each distinct (``by``, ``as_of``): those columns, and ``ts``, null where nothing was known.
    """
    return _known_before(events, keys, by, TS, lambda column: column.max())


def first_before(events: Any, keys: Any, by: Sequence[str]) -> Any:
    """When the first of the events known before each key happened, as :func:`latest_before`."""
    return _known_before(events, keys, by, TS, lambda column: column.min())


def last_known(events: Any, keys: Any, by: Sequence[str]) -> Any:
    """When the last thing known before each key became known, as :func:`latest_before` with ``available_at``."""
    return _known_before(events, keys, by, AVAILABLE_AT, lambda column: column.max())


def _known_before(events: Any, keys: Any, by: Sequence[str], time: str, of: Callable[[Any], Any]) -> Any:
    """One time ``of`` those in a column, over what was known before each key, by entity."""
    import ibis

    moments = keys.select(*by, AS_OF).distinct()
    place = {_PLACE: ibis.literal(0, "int8"), _AT: moments[AS_OF], time: ibis.null(events[time].type())}
    marks = moments.select(*by, AS_OF, **place)
    stream = events.select(*by, **_as_event(marks), **{_AT: events[AVAILABLE_AT], time: events[time]})
    stream = stream.select(*marks.columns).union(marks)
    return _running(stream, by, _AT, {time: of(stream[time])}).select(*by, AS_OF, time)


def attach(keys: Any, known: Any, by: Sequence[str]) -> Any:
    """``keys`` with the columns of ``known`` for their (``by``, ``as_of``), where a null of ``by`` matches a null.

    Sums are 0 where ``known`` has no row.
    """
    columns = (*by, AS_OF)
    joined = keys.left_join(known, [keys[name].identical_to(known[name]) for name in columns], rname="known_{name}")
    joined = joined.drop(*(f"known_{name}" for name in columns))
    sums = [name for name in known.columns if name not in columns and known[name].type().is_numeric()]
    return joined.mutate(**{name: joined[name].fill_null(0) for name in sums}) if sums else joined


def _moments(as_of: Any, windows: Sequence[int | None]) -> Any:
    """A row for each moment, and one for the start of each of its windows: ``as_of, place, at``."""
    import ibis

    starts = {0: 0} | {place: days for place, days in enumerate(windows, 1) if days is not None}
    parts = []
    for place, days in starts.items():
        at = as_of[AS_OF] - ibis.interval(hours=24 * days)  # not days: engines take those in the zone of the session
        parts.append(as_of.select(AS_OF, **{_PLACE: ibis.literal(place, "int8"), _AT: at}))
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def _running(stream: Any, by: Sequence[str], at: str, totals: Mapping[str, Any]) -> Any:
    """The keys of a stream, with ``totals`` over all that lies before them in their entity."""
    before = _before(stream, by, at)
    running = stream.mutate(**{name: total.over(before) for name, total in totals.items()})
    return running.filter(running[_PLACE] != _EVENT)


def _before(stream: Any, by: Sequence[str], at: str) -> Any:
    """The window from the start of an entity to each row; at one moment keys come before events."""
    import ibis

    order = [stream[at], stream[_PLACE] == _EVENT]
    return ibis.window(group_by=[stream[name] for name in by], order_by=order, preceding=None, following=0)


def _as_event(marks: Any) -> dict[str, Any]:
    """What the rows of events have in the columns of keys."""
    import ibis

    return {_PLACE: ibis.literal(_EVENT, "int8"), AS_OF: ibis.null(marks[AS_OF].type())}
