from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beautyrec.data.log import EventLog
from beautyrec.engine import Engine
from beautyrec.errors import DataError

WINDOW = 4  # seconds
ITEMS = pd.DataFrame({"item_id": [0, 1]})
START = pd.Timestamp("2026-03-01T00:00Z")


@pytest.fixture(scope="module")
def engine():
    return Engine.duckdb(threads=1)


def frame(rows):
    """rows: (event, second, user, item, request or None, price or None, quantity or None)."""
    columns = ["event", "second", "user_id", "item_id", "request_id", "price", "quantity"]
    events = pd.DataFrame(rows, columns=columns)
    events["event_id"] = np.arange(len(events))
    events["ts"] = START + pd.to_timedelta(events.pop("second"), unit="s")
    return events.astype({"request_id": "Int64", "price": "Float64", "quantity": "Int64"})


def by_hand(rows):
    """The rule, one click or order after the other: {event_id of the impression: [clicked, ordered, revenue]}."""
    outcome = {place: [False, False, 0.0] for place, row in enumerate(rows) if row[0] == "impression"}
    for event, second, user, item, request, price, quantity in rows:
        if event not in ("click", "order"):
            continue
        taker = None
        for place in outcome:
            _, shown, viewer, what, asked, _, _ = rows[place]
            if request is not None:
                fits = asked == request and what == item
            else:
                fits = viewer == user and what == item and 0 <= second - shown <= WINDOW
            if fits and (taker is None or (shown, place) >= (rows[taker][1], taker)):
                taker = place
        if taker is not None:
            outcome[taker][0] |= event == "click"
            outcome[taker][1] |= event == "order"
            outcome[taker][2] += (price or 0.0) * (1 if quantity is None else quantity) if event == "order" else 0.0
    return outcome


events = st.tuples(
    st.sampled_from(["impression", "impression", "click", "order", "cart", "return"]),
    st.integers(0, 12),
    st.integers(0, 1),
    st.integers(0, 1),
    st.none() | st.integers(0, 3),
    st.none() | st.sampled_from([2.0, 3.5]),
    st.none() | st.integers(1, 3),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(events, min_size=1, max_size=25))
def test_attribution_is_that_of_the_slow_rule(engine, rows):
    log = EventLog.from_frames(frame(rows), ITEMS, engine=engine)
    found = log.impressions(f"{WINDOW}s")
    outcome = by_hand(rows)
    assert found["event_id"].tolist() == list(outcome)
    assert found[["clicked", "ordered", "revenue"]].to_numpy().tolist() == list(outcome.values())


def test_attribution_of_a_longer_log(engine, rng):
    kinds = ["impression", "impression", "click", "order"]
    rows = [
        (kinds[kind], second, user, item, request if request < 40 else None, 2.0, None)
        for kind, second, user, item, request in rng.integers(0, [4, 60, 6, 2, 60], (1500, 5)).tolist()
    ]
    found = EventLog.from_frames(frame(rows), ITEMS, engine=engine).impressions(f"{WINDOW}s")
    assert found[["clicked", "ordered", "revenue"]].to_numpy().tolist() == list(by_hand(rows).values())
    assert 100 < found["clicked"].sum() < len(found)


def outcomes(rows, engine, window="1D"):
    found = EventLog.from_frames(frame(rows), ITEMS, engine=engine).impressions(window)
    return found[["clicked", "ordered", "revenue"]].to_numpy().tolist()


def test_end_of_the_window_is_in_it(engine):
    rows = [("impression", 0, 1, 1, None, None, None), ("click", 4, 1, 1, None, None, None)]
    assert outcomes(rows, engine, "4s") == [[True, False, 0.0]]
    assert outcomes(rows, engine, "3999999us") == [[False, False, 0.0]]


def test_of_two_impressions_at_once_the_later_event_takes_the_click(engine):
    shown = ("impression", 0, 1, 1, None, None, None)
    assert outcomes([shown, shown, ("click", 0, 1, 1, None, None, None)], engine) == [
        [False, False, 0.0],
        [True, False, 0.0],
    ]


def test_two_orders_of_one_impression_add_up_and_a_return_takes_nothing(engine):
    rows = [
        ("impression", 0, 1, 1, 9, None, None),
        ("order", 5, 1, 1, 9, 2.5, 2),
        ("order", 6, 1, 1, 9, 3.0, None),
        ("return", 7, 1, 1, 9, 3.0, None),
    ]
    assert outcomes(rows, engine) == [[False, True, 8.0]]


def test_a_click_of_a_request_that_is_not_in_the_log_goes_to_none(engine):
    rows = [("impression", 0, 1, 1, None, None, None), ("click", 1, 1, 1, 5, None, None)]
    assert outcomes(rows, engine) == [[False, False, 0.0]]


def test_bad_window(engine):
    with pytest.raises(DataError, match="'tomorrow' is not a length of time"):
        outcomes([("impression", 0, 1, 1, None, None, None)], engine, "tomorrow")
