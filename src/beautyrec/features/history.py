"""Sums over what was known before a moment, for many entities and moments at once.

Events and keys are laid into one stream, ordered in time within each entity, and added up from its start; a key takes
the sum that stands where it lies. A window is the difference of two such places. Keys come before events of the same
moment, so that a tie is never seen. One sort, n log n, no join of events with keys, nothing but a union and a window
function, which every engine behind Ibis has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from beautyrec.data.schema import AVAILABLE_AT, TS
from beautyrec.features.builder import AS_OF

ALL: Final = None
"""A window without a start."""

_AT: Final = "at"
_PLACE: Final = "place"
_EVENT: Final = -1
"""Place of an event; keys are at 0 (now) and, in ``windows``, at 1, 2, ... (the starts of the windows)."""


def sums_before(
    events: Any, keys: Any, by: Sequence[str], amounts: Sequence[str], windows: Mapping[str, int | None]
) -> Any:
    """Sums of amounts over the events known before each key, by entity.

    An event counts in a window of ``d`` days where ``as_of - d days <= available_at < as_of``.

    Args:
        events: Ibis table with the columns ``by``, ``available_at`` and the integer ``amounts``.
        keys: Ibis table with the columns ``by`` and ``as_of``; rows may repeat.
        by: the columns that name an entity; none for the sum over all events.
        amounts: columns to add up.
        windows: for each name of a window its length in days, or None for all the past.

    Returns:
        One row for each distinct (``by``, ``as_of``): those columns, and ``AMOUNT_WINDOW`` for each amount and window.
    """
    import ibis

    events = events.group_by(*by, **{_AT: events[AVAILABLE_AT]}).aggregate(
        **{name: events[name].sum() for name in amounts}
    )
    moments = keys.select(*by, AS_OF).distinct()
    nothing = {name: ibis.literal(0, "int64") for name in amounts}
    stream = events.select(
        *by,
        _AT,
        **{_PLACE: ibis.literal(_EVENT, "int8")},
        **{AS_OF: ibis.null(moments[AS_OF].type())},
        **_whole(events, amounts),
    )
    starts = {0: None} | {place: days for place, days in enumerate(windows.values(), 1) if days is not None}
    for place, days in starts.items():
        at = moments[AS_OF] if days is None else moments[AS_OF] - ibis.interval(hours=24 * days)
        marks = moments.select(*by, **{_AT: at, _PLACE: ibis.literal(place, "int8"), AS_OF: moments[AS_OF]}, **nothing)
        stream = stream.union(marks)
    running = _running(stream, by, {name: stream[name].sum() for name in amounts})
    sums = {}
    for place, (window, days) in enumerate(windows.items(), 1):
        for name in amounts:
            now = running[name].sum(where=running[_PLACE] == 0)
            before = ibis.literal(0, "int64") if days is None else running[name].sum(where=running[_PLACE] == place)
            sums[f"{name}_{window}"] = now - before
    return running.group_by(*by, AS_OF).aggregate(**sums)


def latest_before(events: Any, keys: Any, by: Sequence[str]) -> Any:
    """When the last of the events known before each key happened, by entity.

    Args:
        events: Ibis table with the columns ``by``, ``available_at`` and ``ts``.
        keys: Ibis table with the columns ``by`` and ``as_of``; rows may repeat.
        by: the columns that name an entity.

    Returns:
        One row for each distinct (``by``, ``as_of``), with those columns and ``ts``: null where there is none.
    """
    import ibis

    moments = keys.select(*by, AS_OF).distinct()
    stream = events.select(
        *by,
        **{_AT: events[AVAILABLE_AT], _PLACE: ibis.literal(_EVENT, "int8"), AS_OF: ibis.null(moments[AS_OF].type())},
        **{TS: events[TS]},
    )
    empty = ibis.null(events[TS].type())
    marks = moments.select(
        *by, **{_AT: moments[AS_OF], _PLACE: ibis.literal(0, "int8"), AS_OF: moments[AS_OF], TS: empty}
    )
    stream = stream.union(marks)
    return _running(stream, by, {TS: stream[TS].max()}).drop(_AT, _PLACE)


def attach(keys: Any, known: Any, by: Sequence[str]) -> Any:
    """``keys`` with the columns of ``known`` for their (``by``, ``as_of``); a null of ``by`` matches a null."""
    columns = (*by, AS_OF)
    joined = keys.left_join(known, [keys[name].identical_to(known[name]) for name in columns], rname="known_{name}")
    return joined.drop(*(f"known_{name}" for name in columns))


def _running(stream: Any, by: Sequence[str], totals: Mapping[str, Any]) -> Any:
    """The keys of a stream, with ``totals`` over all that lies before them in their entity."""
    import ibis

    is_event = stream[_PLACE] == _EVENT
    past = ibis.window(
        group_by=[stream[name] for name in by], order_by=[stream[_AT], is_event], preceding=None, following=0
    )
    running = stream.mutate(**{name: total.over(past) for name, total in totals.items()})
    return running.filter(running[_PLACE] != _EVENT)


def _whole(table: Any, names: Sequence[str]) -> dict[str, Any]:
    """Columns as 64-bit integers."""
    return {name: table[name].cast("int64") for name in names}
