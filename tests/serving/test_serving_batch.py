"""Scoring everyone: the same answers as a scorer gives, whole shards, and jobs that are killed and begun again."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from serving_models import MODELS, factors, feature_rows, funnel, stored

from beautyrec.cli import main
from beautyrec.errors import ArtifactError, ConfigError, SchemaError, SourceError, UnknownIdError
from beautyrec.serving import ModelCard, Scorer, write_artifact
from beautyrec.serving.batch import BatchPlan, score_users


def users_file(path: Path, model, n: int = 100, group: int = 17) -> list:
    ids = np.random.default_rng(0).choice(model.users.ids.to_numpy(), n)
    pq.write_table(pa.table({"other": np.arange(n), "user_id": pa.array(ids)}), path, row_group_size=group)
    return ids.tolist()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("ids", ["integer", "string"])
@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("shard", [7, 17, 40, 1000])
def test_the_shards_are_what_the_scorer_says(tmp_path, kind, ids, shard):
    scorer = stored(tmp_path / "a", MODELS[kind](ids))
    users = users_file(tmp_path / "users.parquet", scorer.artifact.model)
    seen = []
    plan = BatchPlan(k=5, shard_users=shard)
    shards = score_users(
        tmp_path / "a", tmp_path / "users.parquet", tmp_path / "out", plan, on_progress=lambda *at: seen.append(at)
    )
    found = pd.concat([pd.read_parquet(tmp_path / "out" / part.name) for part in shards], ignore_index=True)
    expected = scorer.recommend(users, 5, on_unknown="fallback")
    assert list(found) == ["user_id", "item_id", "score", "rank", "path"]
    same = ["user_id", "item_id", "rank"]
    pd.testing.assert_frame_equal(found[same], expected[same])
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-6, atol=1e-6)
    count = -(-len(users) // shard)
    assert seen == [(number + 1, count) for number in range(count)]
    listed = json.loads((tmp_path / "out" / "shards.json").read_text())
    assert listed["rows"] == len(found) == sum(part.rows for part in shards)
    assert [entry["name"] for entry in listed["shards"]] == [f"part-{number:05d}.parquet" for number in range(count)]


def test_a_folder_of_files_is_read_in_the_order_of_names(tmp_path):
    scorer = stored(tmp_path / "a", factors())
    (tmp_path / "users").mkdir()
    for name, ids in (("2", [7, 14]), ("1", [21])):
        pq.write_table(pa.table({"user_id": ids}), tmp_path / "users" / f"{name}.parquet")
    score_users(tmp_path / "a", tmp_path / "users", tmp_path / "out", BatchPlan(k=1))
    found = pd.read_parquet(tmp_path / "out" / "part-00000.parquet")
    assert found["user_id"].tolist() == [21, 7, 14]
    assert scorer.recommend([21, 7, 14], 1)["item_id"].tolist() == found["item_id"].tolist()


def test_a_funnel_gives_chances_of_all_rows(tmp_path):
    stored(tmp_path / "a", funnel())
    rows = feature_rows().assign(user_id=np.arange(50), item_id="x")
    rows.to_parquet(tmp_path / "rows.parquet")
    score_users(tmp_path / "a", tmp_path / "rows.parquet", tmp_path / "out", BatchPlan(shard_users=20))
    found = pd.concat([pd.read_parquet(path) for path in sorted((tmp_path / "out").glob("*.parquet"))])
    assert list(found) == ["user_id", "item_id", "ctr", "cvr", "ctcvr"]
    np.testing.assert_array_equal(found["ctcvr"], funnel().predict(rows)["ctcvr"])


def test_a_shard_of_which_all_are_left_out_is_an_empty_table_of_the_same_types(tmp_path):
    stored(tmp_path / "a", factors("string"))
    pq.write_table(pa.table({"user_id": ["ü003", "nobody", "no one"]}), tmp_path / "users.parquet")
    plan = BatchPlan(k=2, on_unknown="skip", shard_users=1)
    score_users(tmp_path / "a", tmp_path / "users.parquet", tmp_path / "out", plan)
    first, empty = (pq.read_table(tmp_path / "out" / f"part-0000{number}.parquet") for number in (0, 1))
    assert (first.num_rows, empty.num_rows) == (2, 0)
    assert first.schema == empty.schema


def test_two_processes_write_the_same_bytes_as_one(tmp_path):
    model = factors("string")
    stored(tmp_path / "a", model)
    users_file(tmp_path / "users.parquet", model)
    for workers in (1, 2):
        score_users(
            tmp_path / "a",
            tmp_path / "users.parquet",
            tmp_path / str(workers),
            BatchPlan(5, shard_users=30),
            workers=workers,
        )
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_a_job_that_is_killed_again_and_again_ends_with_the_same_files(tmp_path):
    model = factors()
    stored(tmp_path / "a", model)
    users_file(tmp_path / "users.parquet", model, n=12_000, group=5_000)

    def command(out: str) -> list[str]:
        options = {"--model": "a", "--users": "users.parquet", "--out": out, "--k": "20", "--shard-users": "250"}
        words = [word for option in (*options.items(), ("--workers", "2")) for word in option]
        return [sys.executable, "-c", "from beautyrec.cli import main; main()", "score", *words]

    (tmp_path / "cut").mkdir()
    for least in (2, 6):
        job = subprocess.Popen(command("cut"), cwd=tmp_path, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while len(list((tmp_path / "cut").glob("part-*"))) < least and job.poll() is None:
            assert time.monotonic() < end
            time.sleep(0.002)
        job.send_signal(signal.SIGKILL)
        assert job.wait() == -signal.SIGKILL
        assert not (tmp_path / "cut" / "shards.json").exists()
    done = subprocess.run(command("cut"), cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "240,000 rows in 48 shards" in done.stdout
    score_users(tmp_path / "a", tmp_path / "users.parquet", tmp_path / "whole", BatchPlan(20, shard_users=250))
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_a_finished_job_is_not_done_again(tmp_path):
    model = factors()
    stored(tmp_path / "a", model)
    users_file(tmp_path / "users.parquet", model)
    call = (tmp_path / "a", tmp_path / "users.parquet", tmp_path / "out", BatchPlan(5, shard_users=30))
    first = score_users(*call)
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("part-*")}
    (tmp_path / "out" / "part-00001.parquet").unlink()
    (tmp_path / "out" / ".part-00002.abcd.tmp.parquet").write_bytes(b"half")
    assert score_users(*call) == first
    now = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir() if path.name.endswith("parquet")}
    assert {name for name in times if now[name] != times[name]} == {"part-00001.parquet"}
    assert now.keys() == times.keys()


@pytest.mark.parametrize("what", ["artifact", "users", "plan"])
def test_another_job_does_not_mix_with_the_one_that_is_there(tmp_path, what):
    model = factors()
    stored(tmp_path / "a", model)
    users_file(tmp_path / "users.parquet", model)
    plan = BatchPlan(5)
    score_users(tmp_path / "a", tmp_path / "users.parquet", tmp_path / "out", plan)
    before = contents(tmp_path / "out")
    if what == "artifact":
        stored(tmp_path / "a", MODELS["item_scores"]())
    elif what == "users":
        users_file(tmp_path / "users.parquet", model, n=101)
    else:
        plan = BatchPlan(6)
    with pytest.raises(ConfigError, match=f"the job of another .*{what}"):
        score_users(tmp_path / "a", tmp_path / "users.parquet", tmp_path / "out", plan)
    assert contents(tmp_path / "out") == before


def test_what_is_no_job_is_left_alone(tmp_path):
    model = factors()
    stored(tmp_path / "a", model)
    users_file(tmp_path / "users.parquet", model)
    call = (tmp_path / "a", tmp_path / "users.parquet", tmp_path / "out")
    (tmp_path / "out").write_text("mine")
    with pytest.raises(SourceError, match="is a file"):
        score_users(*call)
    (tmp_path / "out").unlink()
    for name in ("notes.txt", "part-00000.parquet"):
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / name).write_text("mine")
        with pytest.raises(SourceError, match="holds something else"):
            score_users(*call)
        assert contents(tmp_path / "out") == {name: b"mine"}
        (tmp_path / "out" / name).unlink()
    handle = os.open(tmp_path / "out", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(ConfigError, match="another process is writing"):
        score_users(*call)
    os.close(handle)
    assert score_users(*call)


def test_users_that_cannot_be_scored_are_said_and_nothing_counts_as_done(tmp_path):
    stored(tmp_path / "a", factors())
    cases = [
        (pa.table({"user": [7]}), SchemaError, "'user_id' is missing"),
        (pa.table({"user_id": ["7"]}), SchemaError, "users: the ids are of the type string"),
        (pa.table({"user_id": [7, None]}), SchemaError, "1 of 2 ids are missing"),
        (pa.table({"user_id": [7, -1]}), UnknownIdError, "recommend: 1 of 2"),
    ]
    for number, (table, error, says) in enumerate(cases):
        pq.write_table(table, tmp_path / "users.parquet")
        with pytest.raises(error, match=says):
            score_users(
                tmp_path / "a", tmp_path / "users.parquet", tmp_path / f"out{number}", BatchPlan(on_unknown="raise")
            )
        assert not (tmp_path / f"out{number}" / "shards.json").exists()
    (tmp_path / "users.parquet").write_text("no Parquet")
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        score_users(tmp_path / "a", tmp_path / "users.parquet", tmp_path / "out")
    with pytest.raises(SourceError, match="no Parquet file and no folder"):
        score_users(tmp_path / "a", tmp_path / "nowhere", tmp_path / "out")
    for wrong in ({"k": 0}, {"shard_users": 0}, {"on_unknown": "maybe"}):
        with pytest.raises(ConfigError):
            BatchPlan(**wrong)


def test_an_error_in_a_process_comes_back_and_no_process_is_left(tmp_path):
    stored(tmp_path / "a", factors())
    pq.write_table(pa.table({"user_id": [7] * 50 + [-1]}), tmp_path / "users.parquet")
    plan = BatchPlan(5, on_unknown="raise", shard_users=10)
    with pytest.raises(UnknownIdError, match="1 of 1"):
        score_users(tmp_path / "a", tmp_path / "users.parquet", tmp_path / "out", plan, workers=2)


def test_no_users_are_no_shards(tmp_path):
    stored(tmp_path / "a", factors())
    pq.write_table(pa.table({"user_id": pa.array([], pa.int64())}), tmp_path / "users.parquet")
    assert score_users(tmp_path / "a", tmp_path / "users.parquet", tmp_path / "out", workers=2) == ()


def test_a_champion_that_is_replaced_meanwhile_is_not_mixed_in(tmp_path):
    model = factors()
    stored(tmp_path / "a", model)
    users_file(tmp_path / "users.parquet", model)

    def replace(done: int, _: int) -> None:
        from beautyrec.serving import batch

        write_artifact(tmp_path / "a", MODELS["item_scores"]().state(), ModelCard("other"))
        batch.same_scorer.cache_clear()  # as in a process that begins now

    with pytest.raises(ArtifactError, match="was replaced while"):
        score_users(
            tmp_path / "a",
            tmp_path / "users.parquet",
            tmp_path / "out",
            BatchPlan(5, shard_users=30),
            on_progress=replace,
        )
    assert Scorer.load(tmp_path / "a").info.kind == "item_scores"


@pytest.mark.parametrize(
    ("options", "says"), [(["hadoop"], "known are local and spark"), (["spark", "--workers", "2"], "Spark's own")]
)
def test_an_engine_that_is_not_there_is_said(tmp_path, capsys, options, says):
    with pytest.raises(SystemExit) as done:
        main(["score", "--model", "a", "--users", "u", "--out", str(tmp_path / "o"), "--engine", *options])
    assert done.value.code == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
