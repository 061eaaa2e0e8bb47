from __future__ import annotations

import pandas as pd
import pytest

from beautyrec.data.external import ExternalSource, Intake
from beautyrec.errors import ConfigError, SchemaError

AT = pd.Timestamp("2026-03-01", tz="Asia/Shanghai")
SOURCE = ExternalSource("panel", "user_id", "delivered", "30D", ("visits",))


def rows(ids, visits, at=AT):
    return pd.DataFrame({"user_id": ids, "delivered": at, "visits": visits, "note": "x"})


def test_rows_come_under_our_ids_in_utc_and_are_counted():
    given = rows(["a", "b", "b", "c"], [1, 2, 2, None])
    before = given.copy(deep=True)
    read = SOURCE.read(given, ids={"a": 100, "b": 101})
    assert read.intake == Intake(rows=4, repeated=1, unmapped=1, kept=2)
    assert read.table.to_pydict() == {
        "user_id": [100, 101],
        "available_at": [AT.to_pydatetime().astimezone(pd.Timestamp("2026-01-01", tz="UTC").tzinfo)] * 2,
        "visits": [1.0, 2.0],
    }
    pd.testing.assert_frame_equal(given, before)


def test_ids_may_stand_as_they_are(tiny_log):
    log = SOURCE.read(rows([100, 100], [1, 2], [AT, AT + pd.Timedelta("1D")])).join(tiny_log)
    assert log.engine.frame(log.external["panel"])["visits"].tolist() == [1.0, 2.0]
    assert tiny_log.external == {}
    assert log.before(AT).external.keys() == {"panel"}


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (rows([1], [2]).drop(columns="visits"), "columns \\['visits'\\] are missing"),
        (rows([1], ["many"]), "'visits': holds"),
        (rows([1], [2], pd.Timestamp("2026-03-01")), "'delivered': holds"),
        (rows([1, None], [2, 3]), "1 of 2 rows have no value"),
        (rows([1, 1], [2, 3]), "1 of 2 rows repeat an id"),
    ],
)
def test_wrong_rows_are_named(frame, message):
    with pytest.raises(SchemaError, match=message):
        SOURCE.read(frame)


def test_two_of_their_ids_with_different_news_are_not_one_of_ours():
    with pytest.raises(SchemaError, match="repeat an id"):
        SOURCE.read(rows(["a", "b"], [1, 2]), ids={"a": 100, "b": 100})


def test_ids_of_another_kind_are_named(tiny_log):
    with pytest.raises(SchemaError, match="the log has int64"):
        SOURCE.read(rows(["a"], [1])).join(tiny_log)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ExternalSource("panel", "room_id", "at", "1D", ("x",)),
        lambda: ExternalSource("panel", "user_id", "at", "0D", ("x",)),
        lambda: ExternalSource("panel", "user_id", "at", "1D", ()),
        lambda: ExternalSource("panel", "user_id", "at", "1D", ("x", "x")),
        lambda: ExternalSource("my panel", "user_id", "at", "1D", ("x",)),
    ],
)
def test_sources_that_cannot_be_are_refused(make):
    with pytest.raises(ConfigError, match="external source"):
        make()
