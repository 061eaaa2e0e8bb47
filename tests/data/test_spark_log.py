"""The same log on DuckDB and on Spark: attribution, counts, requests, files."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from beautyrec.data.attribution import first_touch
from beautyrec.data.log import EventLog
from beautyrec.data.schema import TABLES
from beautyrec.engine import Engine
from beautyrec.testing.features import shops

pytestmark = pytest.mark.spark

MARCH_2 = "2026-03-02T00:00Z"


@pytest.fixture(scope="module")
def logs(tiny_frames, spark_engine):
    return tuple(EventLog.from_frames(**tiny_frames, engine=engine) for engine in (None, spark_engine))


@settings(
    max_examples=2, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(shops(least_events=120))
def test_attribution_of_random_logs(spark_engine, shop):
    """Without requests: by user, product and time, with ties."""
    one, other = (
        EventLog.from_frames(shop.events, shop.items, rooms=shop.rooms, engine=engine)
        for engine in (None, spark_engine)
    )
    pd.testing.assert_frame_equal(other.impressions("3D"), one.impressions("3D"), rtol=1e-14)
    pd.testing.assert_frame_equal(other.impressions("3D", first_touch), one.impressions("3D", first_touch), rtol=1e-14)


def test_attribution_by_request(logs):
    one, other = (log.impressions() for log in logs)
    assert one["ordered"].any()
    pd.testing.assert_frame_equal(other, one)


def test_counts_and_rates(logs):
    one, other = (log.describe() for log in logs)
    assert other == one
    one, other = (log.before(MARCH_2).describe() for log in logs)
    assert other == one
    one, other = (log.between("2026-03-01T20:05Z", MARCH_2).describe() for log in logs)
    assert other == one


def test_requests_and_interactions(logs):
    for made in ([log.slates() for log in logs], [log.interactions() for log in logs]):
        one, other = made
        for field in fields(one):
            expected, found = (getattr(each, field.name) for each in (one, other))
            if isinstance(expected, np.ndarray):
                np.testing.assert_array_equal(found, expected, err_msg=field.name)


def test_a_log_written_by_spark_is_read_again(logs, tmp_path, spark_engine):
    """By either engine, through this process or where it lies."""
    folder = tmp_path / "log"
    logs[1].write(folder)
    read_in_place = [
        EventLog(engine, **{name: engine.parquet(folder / f"{name}.parquet") for name in TABLES})
        for engine in (Engine.duckdb(), spark_engine)
    ]
    for again in (EventLog.read(folder), EventLog.read(folder, spark_engine), *read_in_place):
        for name in TABLES:
            one, other = (
                log.engine.frame(getattr(log, name)).pipe(
                    lambda frame: frame.sort_values(list(frame)[:2], ignore_index=True)
                )
                for log in (logs[0], again)
            )
            pd.testing.assert_frame_equal(other, one)
        assert again.describe() == logs[0].describe()
