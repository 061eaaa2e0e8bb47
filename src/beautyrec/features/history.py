"""Sums over what was known before a moment, for many entities and moments at once.

Events and keys are laid into one stream, ordered in time within each entity, and added up from its start; a key takes
the sum that stands where it lies. A window is the difference of two such places. Keys come before events of the same
moment, so that a tie is never seen. Two sorts, n log n, no join of events with keys, nothing but unions and window
functions, which every engine behind Ibis has.

Keys share few moments (the starts of rooms), so events are first put into the gaps between those and added up there:
what is sorted by entity is then small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from beautyrec.data.schema import AVAILABLE_AT, TS
from beautyrec.features.builder import AS_OF

ALL: Final = None
"""A window without a start."""

_AT: Final = "at"
_GAP: Final = "gap"
_PLACE: Final = "place"
_EVENT: Final = -1
"""Place of an event; keys are at 0 (now) and, in ``windows``, at 1, 2, ... (the starts of the windows)."""


def sums_before(
    events: Any, keys: Any, by: Sequence[str], amounts: Sequence[str], windows: Mapping[str, int | None]
) -> Any:
    """Sums of amounts over the events known before each key, by entity.

    An event counts in a window of ``d`` days of 24 hours where ``as_of - d days <= available_at < as_of``.

    Args:
        events: Ibis table with the columns ``by``, ``available_at`` and the integer ``amounts``.
        keys: Ibis table with the columns ``by`` and ``as_of``; rows may repeat.
        by: the columns that name an entity; none for the sum over all events.
        amounts: columns to add up.
        windows: for each name of a window its length in days, or None for all the past.

    Returns:
        One row for each distinct (``by``, ``as_of``) of an entity that has events: those columns, and
        ``AMOUNT_WINDOW`` for each amount and window. :func:`attach` brings it to the keys.
    """
    import ibis

    moments = _with_events(keys, events, by).select(*by, AS_OF).distinct()
    marks = _marks(moments, by, list(windows.values()))
    gaps = marks.select(_AT).distinct()
    gaps = gaps.mutate(**{_GAP: ibis.row_number().over(order_by=_AT) + 1})
    marks = marks.join(gaps, _AT).select(*by, AS_OF, _PLACE, _GAP, **{name: _zero() for name in amounts})
    steps = _in_gaps(events, gaps, by, amounts).mutate(**_as_event(marks))
    stream = steps.select(*marks.columns).union(marks)
    running = _running(stream, by, _GAP, {name: stream[name].sum() for name in amounts})
    sums = {}
    for place, (window, days) in enumerate(windows.items(), 1):
        for name in amounts:
            now = running[name].sum(where=running[_PLACE] == 0)
            before = _zero() if days is None else running[name].sum(where=running[_PLACE] == place)
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
    import ibis

    marks = _marks(keys.select(*by, AS_OF).distinct(), by, [])
    marks = marks.mutate(**{TS: ibis.null(events[TS].type())})
    stream = events.select(*by, **_as_event(marks), **{_AT: events[AVAILABLE_AT], TS: events[TS]})
    stream = stream.union(marks.select(*stream.columns))
    return _running(stream, by, _AT, {TS: stream[TS].max()}).select(*by, AS_OF, TS)


def attach(keys: Any, known: Any, by: Sequence[str]) -> Any:
    """``keys`` with the columns of ``known`` for their (``by``, ``as_of``), where a null of ``by`` matches a null.

    Sums are 0 where ``known`` has no row.
    """
    columns = (*by, AS_OF)
    joined = keys.left_join(known, [keys[name].identical_to(known[name]) for name in columns], rname="known_{name}")
    joined = joined.drop(*(f"known_{name}" for name in columns))
    sums = [name for name in known.columns if name not in columns and known[name].type().is_numeric()]
    return joined.mutate(**{name: joined[name].fill_null(0) for name in sums}) if sums else joined


def _marks(moments: Any, by: Sequence[str], windows: Sequence[int | None]) -> Any:
    """A row for each moment, and one for the start of each of its windows: ``by, as_of, place, at``."""
    import ibis

    starts = {0: 0} | {place: days for place, days in enumerate(windows, 1) if days is not None}
    parts = [
        moments.select(
            *by, AS_OF, **{_PLACE: ibis.literal(place, "int8"), _AT: moments[AS_OF] - ibis.interval(hours=24 * days)}
        )
        for place, days in starts.items()
    ]
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def _with_events(keys: Any, events: Any, by: Sequence[str]) -> Any:
    """The keys of entities that have any event; the others need no sum."""
    return keys.semi_join(events, [keys[name].identical_to(events[name]) for name in by]) if by else keys


def _in_gaps(events: Any, gaps: Any, by: Sequence[str], amounts: Sequence[str]) -> Any:
    """Events added up by entity and gap: gap ``g`` begins with the ``g``-th moment and ends before the next."""
    import ibis

    whole = {name: events[name].cast("int64") for name in amounts}
    stream = events.select(*by, **whole, **{_PLACE: ibis.literal(_EVENT, "int8"), _AT: events[AVAILABLE_AT]})
    empty = {name: ibis.null(events[name].type()) for name in by} | {name: _zero() for name in amounts}
    stream = stream.union(gaps.select(**empty, **{_PLACE: ibis.literal(0, "int8"), _AT: gaps[_AT]}))
    passed = (stream[_PLACE] != _EVENT).cast("int64").sum()
    stream = stream.mutate(**{_GAP: passed.over(_past(stream, (), _AT))})
    stream = stream.filter(stream[_PLACE] == _EVENT)
    return stream.group_by(*by, _GAP).aggregate(**{name: stream[name].sum() for name in amounts})


def _running(stream: Any, by: Sequence[str], at: str, totals: Mapping[str, Any]) -> Any:
    """The keys of a stream, with ``totals`` over all that lies before them in their entity."""
    past = _past(stream, by, at)
    running = stream.mutate(**{name: total.over(past) for name, total in totals.items()})
    return running.filter(running[_PLACE] != _EVENT)


def _past(stream: Any, by: Sequence[str], at: str) -> Any:
    """The window from the start of an entity to each row; at one moment keys come before events."""
    import ibis

    order = [stream[at], stream[_PLACE] == _EVENT]
    return ibis.window(group_by=[stream[name] for name in by], order_by=order, preceding=None, following=0)


def _as_event(marks: Any) -> dict[str, Any]:
    """What the rows of events have in the columns of keys."""
    import ibis

    return {_PLACE: ibis.literal(_EVENT, "int8"), AS_OF: ibis.null(marks[AS_OF].type())}


def _zero() -> Any:
    import ibis

    return ibis.literal(0, "int64")
