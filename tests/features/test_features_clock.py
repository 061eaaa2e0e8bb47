"""Numbers of events and keys say exactly what the times say."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.engine import Engine
from beautyrec.features import clock as module
from beautyrec.features.builder import MICROSECONDS_A_DAY
from beautyrec.features.clock import Clock
from beautyrec.features.family import full_family
from beautyrec.features.feature_set import FeatureSet
from beautyrec.testing.features import shops

START = 1_772_323_200_000_000
TIMES = st.builds(
    lambda step, count: START + step * count,
    st.sampled_from([1, 1_000_000, 3_600_000_000, MICROSECONDS_A_DAY]),
    st.integers(-40, 40),
)


@cache
def engine():
    return Engine.duckdb(memory_limit="200MB", threads=1)


def numbered(times, moments, windows):
    """The clock, and the numbers it gives to events and to keys."""
    of_keys = engine().table(pa.table({"moment": pa.array(moments, pa.int64())}))
    of_events = engine().table(pa.table({"at": pa.array(times, pa.int64())}))
    clock = Clock.of(engine(), of_keys, windows)
    try:
        events = engine().frame(clock.events(of_events).select("at", "code"))
        keys = engine().frame(clock.keys(of_keys, windows).select("moment", "days", "code"))
    finally:
        clock.drop(engine())
        for table in (of_keys, of_events):
            engine().drop(table)
    return clock, events, keys


@settings(max_examples=20, deadline=None)
@given(
    st.lists(TIMES, max_size=30),
    st.lists(TIMES, min_size=1, max_size=20, unique=True),
    st.sets(st.integers(1, 30), max_size=2),
    st.sampled_from([0, 100_000]),
)
def test_an_event_is_below_a_key_if_and_only_if_it_was_known(times, moments, windows, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MOST", most)
        clock, events, keys = numbered(times, moments, {0, *windows})
    assert (clock.cells is None) == (most == 0)
    assert len(keys) == len(moments) * (1 + len(windows))
    starts = keys["moment"].to_numpy() - keys["days"].to_numpy() * MICROSECONDS_A_DAY
    known = events["at"].to_numpy()[:, None] < starts
    np.testing.assert_array_equal(events["code"].to_numpy()[:, None] < keys["code"].to_numpy(), known)
    left_out = pd.Series(times, dtype="int64").value_counts().sub(events["at"].value_counts(), fill_value=0)
    assert (left_out.ge(0)).all()
    assert all(at >= starts.max() for at in left_out[left_out > 0].index)


def test_crowded_moments_keep_their_times():
    crowd = [START + step for step in range(200)]
    assert numbered([START], [*crowd, START - 400 * MICROSECONDS_A_DAY], {0})[0].cells is None
    assert numbered([START], crowd, {0})[0].cells is not None


@settings(max_examples=2, deadline=None)
@given(shops(least_events=40, least_keys=10))
def test_features_are_the_same_by_either_clock(shop):
    family = FeatureSet(full_family(("evening", "launch"), ("Mei", "Lin"), (3.0, 10.0)).builders)
    by_cells = family.compute(shop.log, shop.keys)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MOST", 0)
        pd.testing.assert_frame_equal(family.compute(replace(shop).log, shop.keys), by_cells, rtol=1e-12)
