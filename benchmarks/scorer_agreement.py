"""The same lists whichever way the scorer is asked: alone, together, in threads, in processes, by MLflow and by Spark.

Factors of 64 dimensions over 12,101 items, made up; the lists of all users together are what the others are held against.
Sixteen threads ask one watched scorer while a new champion is put in its place every second: each answer says which champion it
is of, and has to be that champion's. Scores are numbers of 32 bits: a difference is absolute up to 1 and relative above. Spark is
asked where it is installed (``BEAUTYREC_SPARK_PYTHON`` may name another Python that has it).
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from beautyrec.data.vocabulary import Vocabulary
from beautyrec.models.factors import FactorRecommender
from beautyrec.models.known import History, Known
from beautyrec.serving import ModelCard, Scorer, write_artifact
from benchmarks import _harness
from benchmarks import _scorer_ways as ways

USERS, QUICK_USERS, ITEMS, FACTORS = 2_000, 200, 12_101, 64
CHAMPIONS, THREADS = 3, 16
SECONDS, QUICK_SECONDS, SWAP_EVERY = 60.0, 5.0, 1.0


def measure(seed: int, quick: bool) -> _harness.Measured:
    users = QUICK_USERS if quick else USERS
    models = [model(np.random.default_rng([seed, number]), users) for number in range(CHAMPIONS)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        found = apart(folder, models[0])
        spark = ways.python_with_spark()
        swapped = in_threads(folder, models, QUICK_SECONDS if quick else SECONDS, seed)
    checks = []
    for name, (differing, largest) in found.items():
        checks += [
            _harness.at_most(f"{name}: users whose items differ", differing, "users", 0),
            _harness.at_most(f"{name}: largest difference of a score", largest, "", 1e-6),
        ]
    checks += [
        _harness.at_most("threads: answers whose items differ", swapped["differing"], "answers", 0),
        _harness.at_most("threads: largest difference of a score", swapped["largest"], "", 1e-6),
        _harness.at_least("threads: champions that were put in place", swapped["swaps"], "times", 2 if quick else 30),
        _harness.at_least("threads: champions that answered", swapped["champions"], "champions", 2 if quick else 3),
    ]
    lacking = {} if spark else {_harness.LEFT_OUT: "Spark, as it is not installed"}
    return checks, {"users": users, "threads": swapped} | lacking


def model(rng: np.random.Generator, users: int) -> FactorRecommender:
    indptr = np.concatenate([[0], np.cumsum(rng.integers(1, 16, users))]).astype(np.int64)
    seen = History(indptr, (ITEMS * rng.random(indptr[-1]) ** 3).astype(np.int64))
    ids = (
        Vocabulary(pd.Index([f"{name}{n:05d}" for n in range(count)])) for name, count in (("u", users), ("i", ITEMS))
    )
    parts = (rng.normal(size=(count, FACTORS), scale=0.3).astype(np.float32) for count in (users, ITEMS))
    return FactorRecommender(Known(*ids, seen, rng.random(ITEMS, dtype=np.float32)), *parts)


def apart(folder: Path, first: FactorRecommender) -> dict[str, tuple[int, float]]:
    """For each way, users whose items differ from those of all together, and the largest difference of a score."""
    artifact, table = folder / "model", folder / "users.parquet"
    write_artifact(artifact, first.state(), ModelCard("als"))
    users = first.users.ids.tolist()
    pq.write_table(pa.table({"user_id": users}), table)
    scorer = Scorer.load(artifact)
    together = ways.in_order(scorer.recommend(users, ways.K))
    found = {
        "single": ways.alone(scorer, users),
        "spawned": ways.spawned(artifact, table, folder / "spawned"),
        "MLflow": ways.by_mlflow(artifact, users, folder / "mlflow"),
    }
    python = ways.python_with_spark()
    if python:
        found["Spark"] = ways.by_spark(python, artifact, table, folder / "spark")
    return {name: difference(together, other) for name, other in found.items()}


def difference(one: pd.DataFrame, other: pd.DataFrame) -> tuple[int, float]:
    if len(one) != len(other):
        return one["user_id"].nunique(), float(np.finfo(float).max)
    differs = (one["user_id"] != other["user_id"]) | (one["item_id"] != other["item_id"])
    return one.loc[differs, "user_id"].nunique(), ways.apart(one["score"], other["score"])


def in_threads(folder: Path, models: list[FactorRecommender], seconds: float, seed: int) -> dict[str, Any]:
    """What sixteen threads have seen of champions that change."""
    states = [(each.state(), ModelCard("als", params={"champion": n})) for n, each in enumerate(models)]
    users, expected = models[0].users.ids.tolist(), {}
    for state, card in reversed(states):
        write_artifact(folder / "champion", state, card)
        scorer = Scorer.load(folder / "champion")
        lists = scorer.recommend(np.array(users), ways.K)
        shape = (len(users), ways.K)
        expected[scorer.artifact.fingerprint] = lists["item_id"].reshape(shape), lists["score"].reshape(shape)
    asked = [ways.Asked(expected, users) for _ in range(THREADS)]
    start, used = time.monotonic(), time.process_time()
    with ways.changing(folder / "champion", states, SWAP_EVERY) as swaps:
        ways.threaded(folder / "champion", asked, seconds, seed)
    return {
        "seconds": round(time.monotonic() - start, 1),
        "processor_seconds": round(time.process_time() - used, 1),
        "cores": len(os.sched_getaffinity(0)),
        "calls": sum(one.calls for one in asked),
        "differing": sum(one.differing for one in asked),
        "largest": max(one.largest for one in asked),
        "swaps": swaps[0],
        "champions": len(set().union(*(one.champions for one in asked))),
    }


if __name__ == "__main__":
    _harness.main("scorer_agreement", measure)
