"""Builders use nothing that DuckDB alone has: Ibis writes each of them for Spark too."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace

import ibis
import pyarrow as pa
import pytest

from beautyrec.data import schema
from beautyrec.data.external import ExternalSource
from beautyrec.data.log import EventLog
from beautyrec.engine import SparkEngine
from beautyrec.features.buyers import UserWithItem
from beautyrec.features.external import External
from beautyrec.features.family import full_family
from beautyrec.features.items import SmoothedCTR
from beautyrec.features.plan import Plan
from beautyrec.features.sequences import LastEvents
from beautyrec.features.work import with_features

TIME = "timestamp('UTC', 6)"
PANEL = ExternalSource("panel", "user_id", "delivered_at", "30D", ("visits",))
BUILDERS = (*full_family(("evening",), ("Lin",), (5.0, 20.0)).builders, External.of(PANEL))
KEYS = dict.fromkeys(("row", "user_id", "item_id", "room_id", "position"), "int64") | {"as_of": TIME}


class OnPaper:
    """An engine that writes for Spark what it is to run, and has tables without rows."""

    def __init__(self, moments):
        self.sql, self.moments, self.names = [], moments, (f"t{number}" for number in count())

    def keep(self, expression):
        self.sql.append(str(ibis.to_sql(expression, dialect="pyspark")))
        return ibis.table(expression.schema(), name=next(self.names))

    def arrow(self, expression):
        self.keep(expression)
        return pa.table({"moment": self.moments})

    def table(self, data):
        return ibis.table(ibis.Schema.from_pyarrow(data.schema), name=next(self.names))

    def drop(self, table):
        pass

    def microseconds(self, time):
        return SparkEngine.microseconds(self, time)


@pytest.fixture
def paper(monkeypatch):
    without_spark = SimpleNamespace(pyspark=SimpleNamespace(treat_nan_as_null=False))
    monkeypatch.setattr("ibis.backends.sql.compilers.pyspark.options", without_spark)
    return OnPaper


def log_on(engine):
    """Tables without rows."""
    tables = {
        name: ibis.table(ibis.Schema.from_pyarrow(schema.empty(name).schema), name=name) for name in schema.TABLES
    }
    panel = ibis.table({"user_id": "int64", "available_at": TIME, "visits": "float64"}, name="panel")
    return EventLog(engine, **tables, external={"panel": panel})


FEW = [(builder, [1_772_323_200_000_000]) for builder in BUILDERS if isinstance(builder, (SmoothedCTR, UserWithItem))]


@pytest.mark.parametrize(("builder", "moments"), [*((builder, []) for builder in BUILDERS), *FEW])
def test_every_builder_can_be_written_for_spark(builder, moments, paper):
    """By times, and two of them by cells of time."""
    engine = paper(moments)
    log = log_on(engine)
    with with_features(Plan.of((builder,), log), log, ibis.table(KEYS, name="keys")) as (wide, features):
        engine.keep(wide.select("row", **features))
    assert all(sql.startswith(("SELECT", "WITH")) and "ASOF" not in sql for sql in engine.sql)
    assert all(f"`{feature.name}`" in engine.sql[-1] for feature in builder.features)


def test_sequences_can_be_written_for_spark(paper):
    log = log_on(paper([]))
    sql = str(ibis.to_sql(LastEvents(n=5).expr(log, ibis.table(KEYS, name="keys")), dialect="pyspark"))
    assert sql.startswith(("SELECT", "WITH"))
