from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.data.interactions import Interactions
from beautyrec.data.splits import leave_last_out, split_at, walk_forward
from beautyrec.errors import DataError

DAY = pd.Timedelta("1D")
START = pd.Timestamp("2026-03-01T00:00Z")

rows = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=30)


def interactions(taken):
    """From (user, item, day): one interaction each, in that order."""
    frame = pd.DataFrame(taken, columns=["user_id", "item_id", "day"])
    return Interactions.from_frame(frame.assign(ts=START + frame["day"] * DAY))


def plain(side):
    """[(user, item, day)] in their order."""
    days = (side.ts - START.value // 1000) // (DAY.value // 1000)
    return list(zip(side.users.ids_at(side.user_ix), side.items.ids_at(side.item_ix), days, strict=True))


@settings(max_examples=100, deadline=None)
@given(rows, st.integers(1, 3))
def test_leave_last_out_is_that_of_the_slow_rule(taken, holdout):
    train, test = [], []
    for user in sorted({row[0] for row in taken}):
        own = sorted((row for row in taken if row[0] == user), key=lambda row: row[2])  # a stable sort
        cut = len(own) - holdout if len(own) > holdout else len(own)
        train += own[:cut]
        test += own[cut:]
    if not test:
        with pytest.raises(DataError, match="Hold out fewer"):
            leave_last_out(interactions(taken), holdout)
        return
    split = leave_last_out(interactions(taken), holdout)
    assert plain(split.train) == train
    assert plain(split.test) == test
    assert split.cutoff is None


@settings(max_examples=50, deadline=None)
@given(rows, st.integers(0, 4))
def test_split_at_is_that_of_the_slow_rule(taken, day):
    whole = interactions(taken)
    in_order = sorted(taken, key=lambda row: (row[0], row[2]))
    before = [row for row in in_order if row[2] < day]
    after = [row for row in in_order if row[2] >= day]
    cutoff = START + day * DAY
    if not before or not after:
        with pytest.raises(DataError, match="a side is empty"):
            split_at(whole, cutoff)
        return
    split = split_at(whole, cutoff)
    assert (plain(split.train), plain(split.test)) == (before, after)
    assert split.cutoff == cutoff
    assert split.train.users is split.test.users is whole.users
    assert split.train.items is split.test.items is whole.items


def test_split_says_where_a_cutoff_may_lie():
    with pytest.raises(DataError, match=r"2 of 2 interactions lie before 2027-.*after 2026-03-01.*before 2026-03-03"):
        split_at(interactions([(1, 1, 0), (1, 2, 2)]), "2027-01-01T00:00Z")
    with pytest.raises(DataError, match="no time zone"):
        split_at(interactions([(1, 1, 0), (1, 2, 2)]), "2026-03-02")


def test_holdout_below_one():
    with pytest.raises(DataError, match="holdout is 0"):
        leave_last_out(interactions([(1, 1, 0), (1, 2, 1)]), 0)


def test_walk_forward_leaves_no_gap():
    windows = list(walk_forward("2026-02-27T06:00+08:00", 4, "12h"))
    assert windows[0].start == pd.Timestamp("2026-02-26T22:00Z")
    assert [window.end - window.start for window in windows] == [DAY / 2] * 4
    assert [window.end for window in windows[:-1]] == [window.start for window in windows[1:]]
    for days, step in ((0, "1D"), (2, "0s")):
        with pytest.raises(DataError, match="above 0"):
            walk_forward(START, days, step)


def test_last_two_on_the_same_day_keep_their_order_in_beauty(shared_data):
    from beautyrec.data.sources.amazon_beauty import read_amazon_beauty

    raw = pd.read_parquet(shared_data / "amazon-beauty-2014" / "interactions.parquet")
    last = raw.loc[raw.groupby("user_id")["pos"].idxmax()].sort_values("user_id")
    test = leave_last_out(read_amazon_beauty(shared_data / "amazon-beauty-2014").interactions()).test
    assert np.array_equal(test.users.ids_at(test.user_ix), last["user_id"])
    assert np.array_equal(test.items.ids_at(test.item_ix), last["item_id"])
