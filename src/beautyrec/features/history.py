"""What was known before a moment, added up, for many entities and moments at once.

Events and keys are laid into one stream, ordered in time within each entity, and added up from its start; a key takes
the sum that stands where it lies. A window is the difference of two such places. Keys come before events of the same
moment, so that a tie is never seen. Sorting is all the cost, n log n: no join of events with keys, nothing but unions
and window functions, which every engine behind Ibis has.

Keys share few moments (the starts of rooms), so events are first put into the gaps between those, and added up there
by entity: what is sorted by entity is then small.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from beautyrec.data.schema import AVAILABLE_AT, TS
from beautyrec.features.builder import AS_OF, ROW

ALL: Final = None
"""A window without a start."""

_AT: Final = "at"
_GAP: Final = "gap"
_PLACE: Final = "place"
_EVENT: Final = -1
"""Place of an event; keys are at 0 (now) and at 1, 2, ... (the starts of the windows)."""


@dataclass(frozen=True, eq=False)
class Past:
    """What keys can look back on; :meth:`known` adds it up.

    Args:
        keys: Ibis table of the keys.
        steps: the events with the gap between moments that each lies in, where there is one entity added up by it; gap
            ``g`` begins with the ``g``-th moment.
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
            events: Ibis table with ``available_at``, columns that name entities, which the keys have too, and amounts:
                whole numbers, which are added up, and times, of which the last is taken.
            keys: Ibis table with ``row``, ``as_of`` and what names entities.
            windows: the length of each window in days of 24 hours by its name, None for all the past.
        """
        import ibis

        by = [name for name in events.columns if name in keys.columns]
        moments = _moments(keys.select(AS_OF).distinct(), list(windows.values()))
        starts = moments.select(_AT).distinct()
        starts = starts.mutate(**{_GAP: ibis.row_number().over(order_by=_AT) + 1})
        moments = moments.join(starts, _AT).select(AS_OF, _PLACE, _GAP)
        stream = events.mutate(**{_PLACE: _place(_EVENT), _AT: events[AVAILABLE_AT]}).drop(AVAILABLE_AT)
        empty = {name: _null(events[name]) for name in events.columns if name != AVAILABLE_AT}
        stream = stream.union(starts.select(**empty, **{_PLACE: _place(0), _AT: starts[_AT]}))
        passed = (stream[_PLACE] != _EVENT).cast("int64").sum()
        stream = stream.mutate(**{_GAP: passed.over(_before(stream, (), _AT)).cast("int64")})
        stream = stream.filter(stream[_PLACE] == _EVENT)
        amounts = [name for name in empty if name not in by]
        if len(by) > 1:  # pairs are many and have few events each: adding up before they are chosen would cost more
            return cls(keys, stream.select(*by, _GAP, *amounts), moments, windows)
        steps = stream.group_by(*by, _GAP).aggregate(**{name: _total(stream[name]) for name in amounts})
        return cls(keys, steps, moments, windows)

    def known(self, by: Sequence[str], amounts: Sequence[str]) -> Any:
        """Sums of amounts over the events known before each key, by entity, or the last of times.

        An event counts in a window of ``d`` days where ``as_of - d days <= available_at < as_of``.

        Args:
            by: the columns that name an entity; none for the sum over all events.
            amounts: columns of the events; times only where the window is all the past.

        Returns:
            One row for each key, or where keys have more columns for each distinct (``by``, ``as_of``), of an entity
            that has earlier events: ``row``, or those columns, and ``AMOUNT_WINDOW`` for each amount and window.
            :func:`attach` brings it to the keys.
        """
        steps, keys = self.steps, self.keys
        whole = {ROW, AS_OF, *by} == set(keys.columns)
        each = [ROW] if whole else [*by, AS_OF]
        columns = list(dict.fromkeys([*by, *each]))
        keys = keys if whole else keys.select(*each).distinct()
        marks = keys.join(self.moments, AS_OF).select(*columns, _PLACE, _GAP)
        if by:
            marks, steps = _with_a_past(marks, steps, by)
        if len(by) > 1 or len(by) + 1 + len(amounts) < len(steps.columns):
            steps = steps.group_by(*by, _GAP).aggregate(**{name: _total(steps[name]) for name in amounts})
        nothing = {name: _nothing(steps[name]) for name in amounts}
        marks = marks.select(*columns, _PLACE, _GAP, **nothing)
        no_key = {name: _null(marks[name]) for name in columns if name not in by}
        stream = steps.mutate(**no_key, **{_PLACE: _place(_EVENT)}).select(*marks.columns).union(marks)
        running = _running(stream, by, _GAP, {name: _total(stream[name]) for name in amounts})
        return self._windows(running, each, amounts)

    def _windows(self, running: Any, each: Sequence[str], amounts: Sequence[str]) -> Any:
        """What stands at the end of each window of a key, less what stands at its start."""
        if all(days is None for days in self.windows.values()):
            names = {f"{name}_{window}": name for window in self.windows for name in amounts}
            return running.select(*each, **{new: running[name] for new, name in names.items()})
        values = {}
        for place, (window, days) in enumerate(self.windows.items(), 1):
            for name in amounts:
                values[f"{name}_{window}"] = _total(running[name], where=running[_PLACE] == 0)
                if days is not None:  # where nothing lies before the window, its start is not in the stream
                    values[f"{name}_{window}"] -= _total(running[name], where=running[_PLACE] == place).fill_null(0)
        return running.group_by(*each).aggregate(**values)


def latest_before(events: Any, keys: Any, by: Sequence[str]) -> Any:
    """When the last of the events known before each key happened, by entity.

    Args:
        events: Ibis table with the columns ``by``, ``available_at`` and ``ts``.
        keys: Ibis table with ``row``, the columns ``by`` and ``as_of``.
        by: the columns that name an entity.

    Returns:
        As :meth:`Past.known`, with ``ts``.
    """
    past = Past.of(events.select(*by, AVAILABLE_AT, TS), keys, {"known": ALL})
    return past.known(by, [TS]).rename({TS: f"{TS}_known"})


def first_before(events: Any, keys: Any, by: Sequence[str]) -> Any:
    """When the first of the events known before each key happened, by entity.

    Args:
        events: Ibis table with the columns ``by``, ``available_at`` and ``ts``.
        keys: Ibis table with the columns ``by`` and ``as_of``; rows may repeat.
        by: the columns that name an entity.

    Returns:
        One row for each distinct (``by``, ``as_of``): those columns, and ``ts``, null where nothing was known.
    """
    return _known_before(events, keys, by, TS, lambda column: column.min())


def last_known(events: Any, keys: Any, by: Sequence[str]) -> Any:
    """When the last thing known before each key became known, as :func:`first_before` with ``available_at``."""
    return _known_before(events, keys, by, AVAILABLE_AT, lambda column: column.max())


def _known_before(events: Any, keys: Any, by: Sequence[str], time: str, of: Callable[[Any], Any]) -> Any:
    """One time ``of`` those in a column, over what was known before each key, by entity."""
    import ibis

    moments = keys.select(*by, AS_OF).distinct()
    place = {_PLACE: _place(0), _AT: moments[AS_OF], time: ibis.null(events[time].type())}
    marks = moments.select(*by, AS_OF, **place)
    stream = events.select(*by, **_as_event(marks), **{_AT: events[AVAILABLE_AT], time: events[time]})
    stream = stream.select(*marks.columns).union(marks)
    return _running(stream, by, _AT, {time: of(stream[time])}).select(*by, AS_OF, time)


def attach(keys: Any, known: Any, by: Sequence[str]) -> Any:
    """``keys`` with the columns of ``known`` for their row or their (``by``, ``as_of``); a null of ``by`` matches a null.

    Sums are 0 where ``known`` has no row.
    """
    columns = (ROW,) if ROW in known.columns else (*by, AS_OF)
    same = [keys[name].identical_to(known[name]) if name in by else keys[name] == known[name] for name in columns]
    joined = keys.left_join(known, same, rname="known_{name}").drop(*(f"known_{name}" for name in columns))
    sums = [name for name in known.columns if name not in columns and known[name].type().is_numeric()]
    return joined.mutate(**{name: joined[name].fill_null(0) for name in sums}) if sums else joined


def _moments(as_of: Any, windows: Sequence[int | None]) -> Any:
    """A row for each moment, and one for the start of each of its windows: ``as_of, place, at``."""
    import ibis

    starts = {0: 0} | {place: days for place, days in enumerate(windows, 1) if days is not None}
    parts = []
    for place, days in starts.items():
        at = as_of[AS_OF] - ibis.interval(hours=24 * days)  # not days: engines take those in the zone of the session
        parts.append(as_of.select(AS_OF, **{_PLACE: _place(place), _AT: at}))
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def _with_a_past(marks: Any, steps: Any, by: Sequence[str]) -> tuple[Any, Any]:
    """The places of keys before which their entity has an event, and the events of those entities."""
    firsts = steps.group_by(*by).aggregate(first=steps[_GAP].min())
    later = [marks[name].identical_to(firsts[name]) for name in by]
    marks = marks.semi_join(firsts, [*later, marks[_GAP] > firsts["first"]]).alias(f"marks_{secrets.token_hex(6)}")
    return marks, steps.semi_join(marks, [steps[name].identical_to(marks[name]) for name in by])


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
    return {_PLACE: _place(_EVENT), AS_OF: _null(marks[AS_OF])}


def _place(place: int) -> Any:
    import ibis

    return ibis.literal(place, "int8")


def _null(column: Any) -> Any:
    """Nothing, of the type of a column."""
    import ibis

    return ibis.null(column.type())


def _nothing(column: Any) -> Any:
    """What changes nothing in :func:`_total`."""
    import ibis

    return ibis.literal(0, "int64") if column.type().is_numeric() else _null(column)


def _total(column: Any, where: Any = None) -> Any:
    """The sum of whole numbers, the last of times."""
    return column.sum(where=where).cast("int64") if column.type().is_numeric() else column.max(where=where)
