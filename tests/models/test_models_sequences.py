from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.data.interactions import Interactions
from beautyrec.models.sequences import Negatives, batches_of_like_length, cut, item_codes
from beautyrec.testing.models import small_log


@settings(deadline=None)
@given(counts=st.lists(st.integers(0, 30), min_size=1, max_size=6), max_len=st.integers(1, 8))
def test_every_step_lies_in_exactly_one_piece(counts, max_len):
    end = np.cumsum(counts)
    start = end - counts
    pieces = cut(start, end, max_len)
    assert (pieces.length <= max_len + 1).all()
    steps = [s for a, n in zip(*pieces, strict=True) for s in range(a, a + n - 1)]
    expected = [s for a, b in zip(start, end, strict=True) for s in range(a, b - 1)]
    assert sorted(steps) == expected


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=60), events=st.integers(1, 50), seed=st.integers(0, 9))
def test_batches_hold_every_piece_once_and_little_padding(lengths, events, seed):
    length = np.array(lengths)
    batches = list(batches_of_like_length(length, events, np.random.default_rng(seed)))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(length)))
    spreads = sorted((length[b].min(), length[b].max()) for b in batches)
    assert all(a[1] <= b[0] for a, b in pairwise(spreads))
    assert all(length[b].sum() < events + 20 for b in batches)


def test_items_are_drawn_as_often_as_they_say():
    popularity = np.array([0, 1, 3, 0, 6])
    negatives = Negatives.mixed(popularity.astype(np.float32), 0.4)
    np.testing.assert_allclose(negatives.chance, 0.4 * popularity / 10 + 0.6 / 5, rtol=1e-12)
    n = 200_000
    drawn = np.bincount(negatives.draw(n, np.random.default_rng(0)), minlength=5) / n
    np.testing.assert_allclose(drawn, negatives.chance, atol=5 * np.sqrt(0.25 / n))


def log_with(prices):
    frame = pd.DataFrame({"user_id": [1] * len(prices), "item_id": range(len(prices))})
    frame["ts"] = pd.Timestamp("2026-01-01", tz="UTC")
    return Interactions.from_frame(frame, item_table=pd.DataFrame({"item_id": range(len(prices)), "price": prices}))


@settings(deadline=None)
@given(
    prices=st.lists(st.one_of(st.none(), st.floats(0.01, 500).map(lambda p: round(p, 2))), min_size=2, max_size=80),
    buckets=st.integers(1, 10),
)
def test_prices_keep_their_order_in_few_groups_and_gaps_are_zero(prices, buckets):
    price = np.array(prices, dtype=np.float64)
    (code,) = item_codes(log_with(price), ["price"], buckets)
    np.testing.assert_array_equal(code == 0, np.isnan(price))
    known = np.argsort(price[code > 0], kind="stable")
    assert (np.diff(code[code > 0][known]) >= 0).all()
    assert len(np.unique(code[code > 0])) <= buckets


def test_prices_are_cut_into_groups_of_like_size():
    (code,) = item_codes(log_with(np.random.default_rng(0).permutation(1000) / 7), ["price"], 20)
    assert np.bincount(code).tolist() == [0] + [50] * 20


def test_whole_numbers_stand_for_themselves():
    (code,) = item_codes(small_log(), ["category"], 2)
    np.testing.assert_array_equal(code, 1 + np.arange(40) // 10)


def test_a_column_that_is_not_there_is_left_out():
    brand, category = item_codes(small_log(), ["colour", "brand", "category"], 9)
    assert brand.max() == 6  # numbers with a gap are fractional ones, few enough to stand for themselves
    assert category.max() == 4
    assert item_codes(replace(small_log(), item_table=None), ["brand"], 9) == []
