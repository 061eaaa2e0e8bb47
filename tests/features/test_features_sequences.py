from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beautyrec.errors import ConfigError
from beautyrec.features.sequences import LastEvents
from beautyrec.testing.features import shops

NAMES = ("order", "click", "impression")
CALM = [HealthCheck.too_slow, HealthCheck.data_too_large]


def plainly(shop, key, n, items):
    """The last events of one key, one after the other."""
    known = shop.known(key.as_of)
    own = known[(known["user_id"] == key.user_id) & known["event"].isin(NAMES)]
    last = own.sort_values(["available_at", "ts", "event_id"]).tail(n)
    empty = n - len(last)
    return (
        [-1] * empty + items.indices_or_missing(last["item_id"]).tolist(),
        [-1] * empty + [NAMES.index(name) for name in last["event"]],
        [np.nan] * empty + [(key.as_of - ts) / pd.Timedelta(days=1) for ts in last["ts"]],
    )


@settings(max_examples=8, deadline=None, suppress_health_check=CALM)
@given(shops(), st.integers(1, 6))
def test_equals_the_plain_one(shop, n):
    log = shop.log
    items = log.catalogue()
    found = LastEvents(n, NAMES).compute(log, shop.keys, items)
    expected = [plainly(shop, key, n, items) for key in shop.keys.itertuples()]
    for part, values in zip(found, zip(*expected, strict=True), strict=True):
        np.testing.assert_allclose(part, np.array(values, dtype=float), rtol=1e-12)


@settings(max_examples=3, deadline=None, suppress_health_check=CALM)
@given(shops(), st.randoms(use_true_random=False))
def test_neither_order_nor_the_future_changes_anything(shop, random):
    moment = shop.keys["as_of"].iloc[0]
    keys = shop.keys.assign(as_of=moment)
    items = shop.log.catalogue()
    mixed = shop.events.iloc[random.sample(range(len(shop.events)), len(shop.events))]
    whole = LastEvents(4, NAMES).compute(replace(shop, events=mixed).log, keys, items)
    past = LastEvents(4, NAMES).compute(replace(shop, events=shop.known(moment)).log, keys, items)
    for one, other in zip(whole, past, strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_array_is_described():
    assert [feature.name for feature in LastEvents().features] == ["items", "events", "age"]


@pytest.mark.parametrize(
    "make", [lambda: LastEvents(0), lambda: LastEvents(3, ("click", "gaze")), lambda: LastEvents(3, ())]
)
def test_settings_out_of_bounds_are_refused(make):
    with pytest.raises(ConfigError, match="each name once"):
        make()
