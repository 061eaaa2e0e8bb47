"""Builders use nothing that DuckDB alone has: Ibis writes each of them for Spark too."""

from __future__ import annotations

from types import SimpleNamespace

import ibis
import pytest

from beautyrec.data import schema
from beautyrec.data.external import ExternalSource
from beautyrec.data.log import EventLog
from beautyrec.features.external import External
from beautyrec.features.family import full_family
from beautyrec.features.sequences import LastEvents

TIME = "timestamp('UTC', 6)"
PANEL = ExternalSource("panel", "user_id", "delivered_at", "30D", ("visits",))
BUILDERS = (*full_family(("evening",), ("Lin",), (5.0, 20.0)).builders, External.of(PANEL), LastEvents(n=5))


@pytest.fixture
def log():
    """Tables without rows or an engine."""
    tables = {
        name: ibis.table(ibis.Schema.from_pyarrow(schema.empty(name).schema), name=name) for name in schema.TABLES
    }
    panel = ibis.table({"user_id": "int64", "available_at": TIME, "visits": "float64"}, name="panel")
    return EventLog(None, **tables, external={"panel": panel})


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda builder: type(builder).__name__)
def test_every_builder_can_be_written_for_spark(builder, log, monkeypatch):
    without_spark = SimpleNamespace(pyspark=SimpleNamespace(treat_nan_as_null=False))
    monkeypatch.setattr("ibis.backends.sql.compilers.pyspark.options", without_spark)
    keys = dict.fromkeys(("row", "user_id", "item_id", "room_id", "position"), "int64")
    keys |= {"category": "string", "brand": "string", "as_of": TIME}
    sql = str(ibis.to_sql(builder.expr(log, ibis.table(keys, name="keys")), dialect="pyspark"))
    assert sql.startswith(("SELECT", "WITH"))
    assert "ASOF" not in sql
    assert all(feature.name in sql for feature in builder.features if not isinstance(builder, LastEvents))
