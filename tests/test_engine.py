from __future__ import annotations

import builtins
import os
import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pytest

from beautyrec.engine import DuckDBEngine, Engine
from beautyrec.errors import ConfigError, MissingExtraError


def test_settings_reach_duckdb():
    engine = Engine.duckdb(memory_limit="500MB", threads=1)
    settings = engine.connection.raw_sql(
        "SELECT current_setting('threads'), current_setting('memory_limit')"
    ).fetchone()
    assert settings[0] == 1
    assert settings[1] == "476.8 MiB"


def test_work_beyond_the_limit_goes_where_it_is_told_to(tmp_path):
    engine = Engine.duckdb(temp_directory=tmp_path)
    found = engine.connection.raw_sql("SELECT current_setting('temp_directory')").fetchall()
    assert found == [(str(tmp_path),)]


@pytest.mark.parametrize("settings", [{"memory_limit": "plenty"}, {"threads": -3}])
def test_settings_it_does_not_take(settings):
    with pytest.raises(ConfigError, match="DuckDB does not take"):
        Engine.duckdb(**settings)


def test_table_keeps_order_gaps_and_zone():
    frame = pd.DataFrame(
        {
            "name": ["b", None, "a"],
            "count": pd.array([3, None, 1], dtype="Int64"),
            "ts": pd.to_datetime(["2026-01-03", "2026-01-01", None], utc=True).as_unit("us"),
        }
    )
    engine = Engine.duckdb()
    found = engine.frame(engine.table(frame))
    assert found["name"].tolist()[::2] == ["b", "a"]
    assert found["count"].isna().tolist() == [False, True, False]
    assert str(found["ts"].dtype) == "datetime64[us, UTC]"
    assert found["ts"].tolist()[:2] == frame["ts"].tolist()[:2]


def test_table_is_a_copy():
    arrow = pa.table({"x": [1, 2]})
    engine = Engine.duckdb()
    tables = [engine.table(arrow), engine.table(arrow)]
    del arrow
    assert [engine.frame(table)["x"].tolist() for table in tables] == [[1, 2], [1, 2]]
    left = engine.connection.raw_sql("SELECT count(*) FROM duckdb_views() WHERE NOT internal").fetchone()[0]
    assert left == 0


def test_without_ibis(monkeypatch):
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name in ("ibis", "duckdb"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingExtraError, match=r"beautyrec\[data\]"):
        Engine.duckdb()


def test_an_engine_has_a_name():
    assert isinstance(Engine.named("duckdb"), DuckDBEngine)
    with pytest.raises(ConfigError, match="there is no 'flink'; known are duckdb, spark"):
        Engine.named("flink")


def test_without_pyspark(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(MissingExtraError, match=r"beautyrec\[spark\]"):
        Engine.named("spark")


@pytest.mark.spark
def test_spark_keeps_gaps_and_zone_and_takes_no_decimals(spark_engine):
    at = pd.to_datetime(
        ["2026-01-03 00:00:00.123456+08:00", None, "1969-12-31 23:59+00:00"], utc=True, format="ISO8601"
    )
    frame = pd.DataFrame({"name": ["b", None, "a"], "count": pd.array([3, None, 1], dtype="Int64"), "ts": at})
    engine = Engine.duckdb()
    found, expected = (
        each.frame(table.mutate(third=table["count"] / 0.3).order_by("name"))
        for each, table in ((each, each.table(frame)) for each in (spark_engine, engine))
    )
    pd.testing.assert_frame_equal(found.sort_values("name"), expected.sort_values("name"), check_exact=True)
    assert str(found["ts"].dtype) == "datetime64[us, UTC]"


@pytest.mark.spark
def test_the_running_session_is_taken(spark_engine):
    other = Engine.named("spark")
    assert other.session.sparkContext is spark_engine.session.sparkContext
    table = spark_engine.table(pa.table({"x": [1]}))
    assert other.connection.list_tables() == []
    spark_engine.drop(table)


@pytest.mark.spark
def test_spark_without_java(spark_engine, tmp_path):
    code = "from beautyrec.engine import Engine; Engine.spark()"
    environment = {**os.environ, "JAVA_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "ConfigError: Spark does not start" in done.stderr
    assert "set JAVA_HOME" in done.stderr
