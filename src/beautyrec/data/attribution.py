"""Which impression a click or an order belongs to: last touch."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from beautyrec.data.schema import (
    AVAILABLE_AT,
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
    REQUEST_ID,
    REVENUE,
    TS,
    USER_ID,
)
from beautyrec.data.times import Length, length

_MICROSECOND: Final = timedelta(microseconds=1)


def attribute(events: Any, window: Length) -> Any:
    """What came of each impression.

    Each click and each order goes to one impression of its item at most:

    - One that has a ``request_id`` goes to the impression of that request, whenever that was. Where the request is
      not among ``events`` it goes to none.
    - One without goes to the last impression of its user and item at its own time or before, if that is no longer ago
      than ``window``.

    Where several impressions qualify, the latest takes it; at the same time, the one with the greater ``event_id``.
    An order that has no price adds nothing to the revenue. A return takes nothing away.

    Args:
        events: Ibis table of events.
        window: how long after an impression a click or order without ``request_id`` may come, the end included.

    Returns:
        Ibis table of one row an impression: ``event_id``, ``clicked``, ``ordered``, and ``revenue``, the sum of
        price x quantity over its orders.
    """
    shown = events.filter(events[EVENT] == IMPRESSION)
    outcome = _outcomes(_last_touch(shown, events.filter(events[EVENT].isin([CLICK, ORDER])), length(window)))
    joined = shown.select(EVENT_ID).left_join(outcome, shown[EVENT_ID] == outcome.impression_id)
    return joined.select(
        EVENT_ID,
        **{
            CLICKED: joined[CLICKED].fill_null(False),
            ORDERED: joined[ORDERED].fill_null(False),
            REVENUE: joined[REVENUE].fill_null(0.0),
        },
    )


def order_known_at(events: Any, window: Length) -> Any:
    """When the first order of each impression became known, by the attribution of :func:`attribute`.

    Args:
        events: Ibis table of events.
        window: as in :func:`attribute`.

    Returns:
        Ibis table of one row an impression that has an order: ``event_id`` and ``order_known_at``.
    """
    shown = events.filter(events[EVENT] == IMPRESSION)
    touches = _last_touch(shown, events.filter(events[EVENT] == ORDER), length(window))
    known = events.select(EVENT_ID, AVAILABLE_AT)
    joined = touches.join(known, touches.touch_id == known[EVENT_ID])
    return joined.group_by(**{EVENT_ID: joined.impression_id}).aggregate(order_known_at=joined[AVAILABLE_AT].min())


def _last_touch(shown: Any, touches: Any, window: timedelta) -> Any:
    """Each click and order with the one impression that it goes to; those that go to none are left out."""
    import ibis

    impressions = shown.select(REQUEST_ID, USER_ID, ITEM_ID, impression_id=EVENT_ID, impression_ts=TS)
    by_request = touches.filter(~touches[REQUEST_ID].isnull())
    by_user = touches.filter(touches[REQUEST_ID].isnull())
    in_window = [
        by_user[USER_ID] == impressions[USER_ID],
        by_user[ITEM_ID] == impressions[ITEM_ID],
        by_user[TS] >= impressions.impression_ts,
        by_user[TS] <= impressions.impression_ts + ibis.interval(microseconds=window // _MICROSECOND),
    ]
    pairs = ibis.union(
        _pairs(by_request.join(impressions, [REQUEST_ID, ITEM_ID])), _pairs(by_user.join(impressions, in_window))
    )
    latest = [pairs.impression_ts.desc(), pairs.impression_id.desc()]
    ranked = pairs.mutate(place=ibis.row_number().over(group_by=pairs.touch_id, order_by=latest))
    return ranked.filter(ranked.place == 0)


def _outcomes(touches: Any) -> Any:
    """One row an impression that has a click or an order."""
    is_order = touches[EVENT] == ORDER
    return touches.group_by("impression_id").aggregate(
        **{
            CLICKED: (touches[EVENT] == CLICK).any(),
            ORDERED: is_order.any(),
            REVENUE: touches.value.sum(where=is_order),
        }
    )


def _pairs(joined: Any) -> Any:
    """A click or order with an impression that may have it, one row each."""
    return joined.select(
        EVENT,
        "impression_id",
        "impression_ts",
        touch_id=joined[EVENT_ID],
        value=joined[PRICE].fill_null(0.0) * joined[QUANTITY].fill_null(1),
    )
