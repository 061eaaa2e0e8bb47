from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beautyrec.data.attribution import attribute, first_touch, last_touch, order_known_at
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


NAMES = ["impression", "click", "cart", "order", "return"]
COLUMNS = ["clicked", "carted", "ordered", "returned", "revenue", "refunded"]


def taker_of(rows, row, last=True):
    """The impression that takes a row, found one after the other; None if there is none."""
    _, second, user, item, request, _, _ = row
    taker = None
    for place, (name, shown, viewer, what, asked, _, _) in enumerate(rows):
        if name != "impression":
            continue
        if request is not None:
            fits = asked == request and what == item
        else:
            fits = viewer == user and what == item and 0 <= second - shown <= WINDOW
        if fits and (taker is None or ((shown, place) > (rows[taker][1], taker)) == last):
            taker = place
    return taker


def order_of(rows, row, window):
    """The last order before a return; None if there is none."""
    _, second, user, item, _, _, _ = row
    fit = [
        (when, place)
        for place, (name, when, buyer, what, _, _, _) in enumerate(rows)
        if name == "order" and buyer == user and what == item and 0 <= second - when <= window
    ]
    return rows[max(fit)[1]] if fit else None


def by_hand(rows, last=True, return_window=10**9):
    """The rule, one row after the other: {event_id of the impression: what came of it, as in COLUMNS}."""
    outcome = {
        place: [False, False, False, False, 0.0, 0.0] for place, row in enumerate(rows) if row[0] == "impression"
    }
    for row in rows:
        if row[0] not in NAMES[1:]:
            continue
        asked = order_of(rows, row, return_window) if row[0] == "return" and row[4] is None else row
        taker = None if asked is None else taker_of(rows, asked, last)
        if taker is not None:
            money = (row[5] or 0.0) * (1 if row[6] is None else row[6])
            outcome[taker][NAMES.index(row[0]) - 1] = True
            outcome[taker][4] += money if row[0] == "order" else 0.0
            outcome[taker][5] += money if row[0] == "return" else 0.0
    return outcome


events = st.tuples(
    st.sampled_from(["impression", "impression", "click", "order", "cart", "return", "favourite"]),
    st.integers(0, 12),
    st.integers(0, 1),
    st.integers(0, 1),
    st.none() | st.integers(0, 3),
    st.none() | st.sampled_from([2.0, 3.5]),
    st.none() | st.integers(1, 3),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(events, min_size=1, max_size=25), st.booleans())
def test_attribution_is_that_of_the_slow_rule(engine, rows, last):
    log = EventLog.from_frames(frame(rows), ITEMS, engine=engine)
    found = log.impressions(f"{WINDOW}s", last_touch if last else first_touch)
    outcome = by_hand(rows, last)
    assert found["event_id"].tolist() == list(outcome)
    assert found[COLUMNS].to_numpy().tolist() == list(outcome.values())


def test_attribution_of_a_longer_log(engine, rng):
    kinds = ["impression", "impression", "click", "order", "cart", "return"]
    rows = [
        (kinds[kind], second, user, item, request if request < 40 else None, 2.0, None)
        for kind, second, user, item, request in rng.integers(0, [6, 60, 6, 2, 60], (1500, 5)).tolist()
    ]
    log = EventLog.from_frames(frame(rows), ITEMS, engine=engine)
    found = log.impressions(f"{WINDOW}s")
    assert found[COLUMNS].to_numpy().tolist() == list(by_hand(rows).values())
    assert all(50 < found[name].sum() < len(found) for name in COLUMNS[:4])
    short = log.engine.frame(attribute(log.events, f"{WINDOW}s", return_window="0s").order_by("event_id"))
    assert short[COLUMNS].to_numpy().tolist() == list(by_hand(rows, return_window=0).values())
    assert short["returned"].sum() < found["returned"].sum()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(events, min_size=1, max_size=25), st.randoms(use_true_random=False))
def test_each_event_counts_once_whatever_the_rooms_and_the_order_of_the_rows(engine, rows, random):
    found = EventLog.from_frames(frame(rows), ITEMS, engine=engine).impressions(f"{WINDOW}s")
    spread = frame(rows).assign(room_id=[random.randint(0, 2) for _ in rows])
    spread = spread.sample(frac=1, random_state=random.randint(0, 99))
    again = EventLog.from_frames(spread, ITEMS, engine=engine).impressions(f"{WINDOW}s")
    assert again[["event_id", *COLUMNS]].equals(found[["event_id", *COLUMNS]])
    paid = sum((row[5] or 0.0) * (1 if row[6] is None else row[6]) for row in rows if row[0] == "order")
    assert found["revenue"].sum() <= paid + 1e-9


def test_an_order_is_known_when_the_first_of_its_impression_was(engine, rng):
    rows = [
        (["impression", "order"][kind], second, user, item, None, 2.0, None)
        for kind, second, user, item in rng.integers(0, [2, 40, 5, 2], (300, 4)).tolist()
    ]
    late = pd.to_timedelta(rng.integers(0, 50, len(rows)), unit="s")
    events = frame(rows).assign(available_at=lambda given: given["ts"] + late)
    log = EventLog.from_frames(events, ITEMS, engine=engine)
    found = engine.frame(order_known_at(log.events, f"{WINDOW}s").order_by("event_id"))
    wanted = {}
    for place, row in enumerate(rows):
        taker = taker_of(rows, row) if row[0] == "order" else None
        if taker is not None:
            known = events["available_at"].iloc[place]
            wanted[taker] = min(known, wanted.get(taker, known))
    assert dict(zip(found["event_id"], found["order_known_at"], strict=True)) == wanted
    assert len(wanted) > 20


def test_an_order_in_one_room_goes_to_the_impression_in_another(engine):
    shown, order = ("impression", 0, 1, 1, None, None, None), ("order", 3, 1, 1, None, 5.0, None)
    rooms = frame([shown, order]).assign(room_id=["a", "b"])
    found = EventLog.from_frames(rooms, ITEMS, engine=engine).impressions()
    assert found[["room_id", "ordered", "revenue"]].to_numpy().tolist() == [["a", True, 5.0]]


def test_a_return_long_after_goes_where_its_order_went(engine):
    day = 86_400
    rows = [
        ("impression", 0, 1, 1, None, None, None),
        ("order", 5, 1, 1, None, 9.0, None),
        ("impression", 6 * day, 1, 1, None, None, None),
        ("return", 7 * day, 1, 1, None, 9.0, None),
    ]
    found = EventLog.from_frames(frame(rows), ITEMS, engine=engine).impressions()
    assert found[["ordered", "returned", "refunded"]].to_numpy().tolist() == [[True, True, 9.0], [False, False, 0.0]]


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
