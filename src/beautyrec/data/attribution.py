"""Which impression a click, a cart, an order or a return belongs to: last touch, or another rule."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from beautyrec.data.schema import (
    AVAILABLE_AT,
    CART,
    CARTED,
    CLICK,
    CLICKED,
    EVENT,
    EVENT_ID,
    IMPRESSION,
    ITEM_ID,
    ORDER,
    ORDERED,
    PRICE,
    QUANTITY,
    REFUNDED,
    REQUEST_ID,
    RETURN,
    RETURNED,
    REVENUE,
    TS,
    USER_ID,
)
from beautyrec.data.times import Length, length

_MICROSECOND: Final = timedelta(microseconds=1)
RETURN_WINDOW: Final = "30D"

Touch = Callable[[Any, Any], list[Any]]
"""From the times and the ids of the impressions that qualify for an event to what they are sorted by: the first takes it."""


def last_touch(ts: Any, event_id: Any) -> list[Any]:
    """The latest takes it; at the same time, the one with the greater ``event_id``."""
    return [ts.desc(), event_id.desc()]


def first_touch(ts: Any, event_id: Any) -> list[Any]:
    """The earliest takes it; at the same time, the one with the smaller ``event_id``."""
    return [ts, event_id]


def attribute(events: Any, window: Length, touch: Touch = last_touch, return_window: Length = RETURN_WINDOW) -> Any:
    """What came of each impression.

    Each click, cart, order and return goes to one impression of its item at most, in whatever room that was:

    - One that has a ``request_id`` goes to the impression of that request, whenever that was. Where the request is
      not among ``events`` it goes to none.
    - A click, cart or order without goes to an impression of its user and item at its own time or before, if that is no
      longer ago than ``window``.
    - A return without goes where the last order of its user and item went, of those at its own time or before and no
      longer ago than ``return_window``; at the same time, the one with the greater ``event_id``.

    Where several impressions qualify, ``touch`` says which takes it. An order or return that has no price adds
    nothing to the money. A return takes nothing away from the revenue: it has a column of its own.

    Args:
        events: Ibis table of events.
        window: how long after an impression a click, cart or order without ``request_id`` may come, the end included.
        touch: which of the impressions that qualify takes it.
        return_window: how long after an order a return without ``request_id`` may come, the end included.

    Returns:
        Ibis table of one row an impression: ``event_id``, ``clicked``, ``carted``, ``ordered``, ``returned``, and
        ``revenue`` and ``refunded``, the sums of price x quantity over its orders and returns.
    """
    shown = events.filter(events[EVENT] == IMPRESSION)
    touches = events.filter(events[EVENT].isin([CLICK, CART, ORDER]))
    named = events.filter((events[EVENT] == RETURN) & ~events[REQUEST_ID].isnull())
    taken = _first(_qualifying(shown, touches, named, length(window)), touch)
    outcome = _outcomes(_union(taken, _returns(events, taken, length(return_window))))
    joined = shown.select(EVENT_ID).left_join(outcome, shown[EVENT_ID] == outcome.impression_id)
    flags = {name: joined[name].fill_null(False) for name in (CLICKED, CARTED, ORDERED, RETURNED)}
    return joined.select(EVENT_ID, **flags, **{name: joined[name].fill_null(0.0) for name in (REVENUE, REFUNDED)})


def order_known_at(events: Any, window: Length, touch: Touch = last_touch) -> Any:
    """When the first order of each impression became known, by the attribution of :func:`attribute`.

    Args:
        events: Ibis table of events.
        window: as in :func:`attribute`.
        touch: as in :func:`attribute`.

    Returns:
        Ibis table of one row an impression that has an order: ``event_id`` and ``order_known_at``.
    """
    shown = events.filter(events[EVENT] == IMPRESSION)
    orders = events.filter(events[EVENT] == ORDER)
    taken = _first(_qualifying(shown, orders, None, length(window)), touch)
    known = events.select(EVENT_ID, AVAILABLE_AT)
    joined = taken.join(known, taken.touch_id == known[EVENT_ID])
    return joined.group_by(**{EVENT_ID: joined.impression_id}).aggregate(order_known_at=joined[AVAILABLE_AT].min())


def _qualifying(shown: Any, touches: Any, named: Any | None, window: timedelta) -> Any:
    """Each event with each impression that may have it; ``named`` are further events that name their request."""
    impressions = shown.select(REQUEST_ID, USER_ID, ITEM_ID, impression_id=EVENT_ID, impression_ts=TS)
    by_request = touches.filter(~touches[REQUEST_ID].isnull())
    by_request = by_request if named is None else _union(by_request, named)
    by_user = touches.filter(touches[REQUEST_ID].isnull())
    in_window = [
        by_user[USER_ID] == impressions[USER_ID],
        by_user[ITEM_ID] == impressions[ITEM_ID],
        by_user[TS] >= impressions.impression_ts,
        by_user[TS] <= impressions.impression_ts + _interval(window),
    ]
    return _union(
        _pairs(by_request.join(impressions, [REQUEST_ID, ITEM_ID])), _pairs(by_user.join(impressions, in_window))
    )


def _first(pairs: Any, touch: Touch) -> Any:
    """Each event with the one impression that it goes to; those that go to none are left out."""
    import ibis

    order = touch(pairs.impression_ts, pairs.impression_id)
    ranked = pairs.mutate(place=ibis.row_number().over(group_by=pairs.touch_id, order_by=order))
    return ranked.filter(ranked.place == 0).select(EVENT, "impression_id", "touch_id", "value")


def _returns(events: Any, taken: Any, window: timedelta) -> Any:
    """The returns without a request, with the impression that the last order before each went to."""
    import ibis

    back = events.filter((events[EVENT] == RETURN) & events[REQUEST_ID].isnull())
    orders = events.filter(events[EVENT] == ORDER).select(USER_ID, ITEM_ID, order_id=EVENT_ID, order_ts=TS)
    before = [
        back[USER_ID] == orders[USER_ID],
        back[ITEM_ID] == orders[ITEM_ID],
        back[TS] >= orders.order_ts,
        back[TS] <= orders.order_ts + _interval(window),
    ]
    joined = back.join(orders, before)
    pairs = joined.select(EVENT, "order_id", "order_ts", touch_id=joined[EVENT_ID], value=_money(joined))
    latest = [pairs.order_ts.desc(), pairs.order_id.desc()]
    ranked = pairs.mutate(place=ibis.row_number().over(group_by=pairs.touch_id, order_by=latest))
    last = ranked.filter(ranked.place == 0)
    went = taken.select("impression_id", taken_id="touch_id")
    return last.join(went, last.order_id == went.taken_id).select(EVENT, "impression_id", "touch_id", "value")


def _outcomes(touches: Any) -> Any:
    """One row an impression that something came of."""
    event = touches[EVENT]
    return touches.group_by("impression_id").aggregate(
        **{
            CLICKED: (event == CLICK).any(),
            CARTED: (event == CART).any(),
            ORDERED: (event == ORDER).any(),
            RETURNED: (event == RETURN).any(),
            REVENUE: touches.value.sum(where=event == ORDER),
            REFUNDED: touches.value.sum(where=event == RETURN),
        }
    )


def _pairs(joined: Any) -> Any:
    """An event with an impression that may have it, one row each."""
    return joined.select(EVENT, "impression_id", "impression_ts", touch_id=joined[EVENT_ID], value=_money(joined))


def _money(events: Any) -> Any:
    return events[PRICE].fill_null(0.0) * events[QUANTITY].fill_null(1)


def _interval(window: timedelta) -> Any:
    import ibis

    return ibis.interval(microseconds=window // _MICROSECOND)


def _union(one: Any, other: Any) -> Any:
    import ibis

    return ibis.union(one, other)
