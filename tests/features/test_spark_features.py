"""The same features on DuckDB and on Spark."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from beautyrec.data.external import ExternalSource
from beautyrec.data.log import EventLog
from beautyrec.data.sources.taobao import read_taobao
from beautyrec.features.external import External
from beautyrec.features.family import full_family, hosts_of, price_edges_of, scenes_of
from beautyrec.features.feature_set import FeatureSet
from beautyrec.features.sequences import LastEvents
from beautyrec.testing.features import START, Shop, shops

pytestmark = pytest.mark.spark

DAY = pd.Timedelta(days=1)
PANEL = ExternalSource("panel", "user_id", "delivered", "10D", ("visits", "spend"))
BOUGHT = pd.DataFrame(
    {
        "user_id": [0, 0, 0, 1, 1, 2, 9],
        "delivered": START + np.array([0, 5, 30, 10, 10.5, 20, 1]) * DAY,
        "visits": [1.0, 2.0, np.nan, 4.0, 5.0, 6.0, 7.0],
        "spend": [0.5, 1.5, 2.5, np.nan, 4.5, 5.5, 6.5],
    }
)
FAMILY = FeatureSet(
    (*full_family(("evening", "launch"), ("Mei", "Lin"), (3.0, 10.0), utc_offset=8).builders, External.of(PANEL))
)
FEW = settings(
    max_examples=2, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)


def equal(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """The same rows: gaps in the same places, values to the last digits that two libraries' logarithms have in common."""
    pd.testing.assert_frame_equal(found, expected, rtol=1e-13, atol=1e-15)


def log_of(shop: Shop, engine) -> EventLog:
    log = EventLog.from_frames(shop.events, shop.items, rooms=shop.rooms, shelves=shop.shelves, engine=engine)
    return PANEL.read(BOUGHT).join(log)


@FEW
@given(shops(least_events=80, least_keys=30))
def test_random_logs(spark_engine, shop):
    expected = FAMILY.compute(log_of(shop, None), shop.keys)
    equal(FAMILY.compute(log_of(shop, spark_engine), shop.keys), expected)
