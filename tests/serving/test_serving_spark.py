"""Scoring everyone on Spark: the same lists as one machine writes, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from serving_models import factors, feature_rows, funnel, least_squares, stored

from beautyrec.cli import main
from beautyrec.errors import ConfigError, SchemaError, UnknownIdError
from beautyrec.serving.batch import BatchPlan, score_users

pytestmark = pytest.mark.spark


@pytest.fixture
def on_spark(spark_engine):
    from functools import partial

    from beautyrec.serving.spark import score_users_on_spark

    return partial(score_users_on_spark, spark_engine)


def table(folder: Path) -> pd.DataFrame:
    found = pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("part-*.parquet"))], ignore_index=True)
    return found.sort_values([name for name in ("user_id", "rank", "ctr") if name in found], ignore_index=True)


@pytest.mark.parametrize("ids", ["integer", "string"])
@pytest.mark.parametrize("model", [factors, least_squares])
def test_the_lists_are_those_of_one_machine(tmp_path, on_spark, model, ids):
    scorer = stored(tmp_path / "a", model(ids))
    known = scorer.artifact.model.users.ids.to_numpy()
    users = [*known, "nobody" if ids == "string" else -1]
    pq.write_table(pa.table({"other": np.arange(len(users)), "user_id": users}), tmp_path / "users.parquet")
    plan = BatchPlan(k=7, shard_users=15)
    score_users(tmp_path / "a", tmp_path / "users.parquet", tmp_path / "here", plan)
    shards = on_spark(tmp_path / "a", tmp_path / "users.parquet", tmp_path / "there", plan)
    here, there = table(tmp_path / "here"), table(tmp_path / "there")
    pd.testing.assert_frame_equal(there.drop(columns="score"), here.drop(columns="score"), check_dtype=False)
    np.testing.assert_allclose(there["score"], here["score"], rtol=1e-6, atol=1e-6)
    assert set(there["path"]) == {"model", "fallback"}
    assert len(shards) == 3
    assert json.loads((tmp_path / "there" / "shards.json").read_text())["rows"] == 7 * len(users)


def test_the_chances_are_those_of_one_machine(tmp_path, on_spark):
    stored(tmp_path / "a", funnel())
    feature_rows().assign(user_id=np.arange(50), item_id="x").to_parquet(tmp_path / "rows.parquet", index=False)
    for out, job in (("here", score_users), ("there", on_spark)):
        job(tmp_path / "a", tmp_path / "rows.parquet", tmp_path / out, BatchPlan(shard_users=20))
    pd.testing.assert_frame_equal(
        table(tmp_path / "there"), table(tmp_path / "here"), check_dtype=False, rtol=0, atol=1e-6
    )


def test_a_job_that_was_killed_leaves_no_row_twice_and_one_that_is_done_stays(tmp_path, on_spark):
    stored(tmp_path / "a", factors())
    pq.write_table(pa.table({"user_id": [7, 14, 21]}), tmp_path / "users.parquet")
    call = (tmp_path / "a", tmp_path / "users.parquet", tmp_path / "out", BatchPlan(k=2, shard_users=2))
    first, before = on_spark(*call), table(tmp_path / "out")
    (tmp_path / "out" / "shards.json").unlink()  # as if it had been killed while its files were moved
    (tmp_path / "out" / "part-00007.parquet").write_bytes((tmp_path / "out" / "part-00000.parquet").read_bytes())
    (tmp_path / "out" / ".part-of-spark").mkdir()
    assert [shard.name for shard in on_spark(*call)] == [shard.name for shard in first]
    pd.testing.assert_frame_equal(table(tmp_path / "out"), before)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("part-*")}
    on_spark(*call)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("part-*")} == times
    with pytest.raises(ConfigError, match="the job of another engine"):
        score_users(*call)


def test_errors_of_the_executors_are_the_scorers_own(tmp_path, on_spark):
    stored(tmp_path / "a", factors())
    cases = [
        (pa.table({"user": [7]}), SchemaError, "column 'user_id' is missing"),
        (pa.table({"user_id": ["7"]}), SchemaError, "the ids are of the type string"),
        (pa.table({"user_id": [7, -1]}), UnknownIdError, "recommend: 1 of "),
    ]
    for number, (users, error, says) in enumerate(cases):
        pq.write_table(users, tmp_path / "users.parquet")
        out = tmp_path / f"out{number}"
        with pytest.raises(error, match=says):
            on_spark(tmp_path / "a", tmp_path / "users.parquet", out, BatchPlan(on_unknown="raise"))
        assert not (out / "shards.json").exists()


def test_the_command_line_takes_it(tmp_path, spark_engine, capsys):
    stored(tmp_path / "a", factors())
    pq.write_table(pa.table({"user_id": [7, 14]}), tmp_path / "users.parquet")
    places = ["--model", str(tmp_path / "a"), "--users", str(tmp_path / "users.parquet"), "--out", str(tmp_path / "o")]
    with pytest.raises(SystemExit) as done:
        main(["score", *places, "--k", "2", "--engine", "spark"])
    assert done.value.code == 0
    assert "4 rows in 1 shards" in capsys.readouterr().out
