"""The ways to ask a scorer that ``benchmarks.scorer_agreement`` compares; each gives columns sorted by user and rank."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from beautyrec.serving import Scorer, write_artifact
from beautyrec.serving.batch import BatchPlan, score_users

K = 50
COLUMNS = ["user_id", "item_id", "rank", "score"]


def in_order(found: pd.DataFrame) -> pd.DataFrame:
    return found[COLUMNS].sort_values(["user_id", "rank"], ignore_index=True)


def apart(one: Any, other: Any) -> float:
    """The largest difference of two scores, as a share where they are above 1."""
    expected = np.asarray(other, dtype=float)
    return float((np.abs(np.asarray(one, dtype=float) - expected) / np.maximum(1, np.abs(expected))).max())


def read(folder: Path) -> pd.DataFrame:
    parts = [pq.read_table(path).to_pandas() for path in sorted(folder.glob("part-*.parquet"))]
    return in_order(pd.concat(parts, ignore_index=True))


def alone(scorer: Scorer, users: list[Any]) -> pd.DataFrame:
    """One user a call."""
    return in_order(pd.concat([scorer.recommend([user], K) for user in users], ignore_index=True))


def spawned(artifact: Path, users: Path, out: Path) -> pd.DataFrame:
    """Shards of two new processes."""
    score_users(artifact, users, out, BatchPlan(K, shard_users=97), workers=2)
    return read(out)


def by_mlflow(artifact: Path, users: list[Any], out: Path) -> pd.DataFrame:
    """A saved model, loaded as MLflow loads any."""
    import mlflow

    from beautyrec.serving.flavour import save_model

    save_model(out, artifact)
    model = mlflow.pyfunc.load_model(str(out))
    return in_order(model.predict(pd.DataFrame({"user_id": users}), params={"k": K}))


def by_spark(python: str, artifact: Path, users: Path, out: Path) -> pd.DataFrame:
    """The command line's Spark, by a Python that has it."""
    options = ["--model", artifact, "--users", users, "--out", out, "--k", K, "--shard-users", 97, "--engine", "spark"]
    code = "from beautyrec.cli import main; main()"
    subprocess.run([python, "-c", code, "score", *map(str, options)], check=True, capture_output=True, text=True)
    return read(out)


@contextmanager
def changing(folder: Path, states: list[Any], every: float) -> Iterator[list[int]]:
    """The champion in a folder, replaced again and again while the block is open; how often comes out at the end."""
    over, swaps = threading.Event(), [0]

    start = time.monotonic()

    def change() -> None:
        while not over.wait(max(0.0, start + (swaps[0] + 1) * every - time.monotonic())):  # writing takes a part of it
            swaps[0] += 1
            state, card = states[swaps[0] % len(states)]
            write_artifact(folder, state, card)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield swaps
    finally:
        over.set()
        thread.join()


class Asked:
    """What threads that ask a watched scorer have seen; one object a thread, so nothing is shared.

    Args:
        expected: for each artifact's fingerprint, items and scores of each user, [B, K].
        users: the ids of these users.
    """

    def __init__(self, expected: dict[str, tuple[Any, Any]], users: list[Any]) -> None:
        self._expected, self._users = expected, np.array(users)
        self.calls, self.differing, self.largest = 0, 0, 0.0
        self.champions: set[str] = set()

    def ask(self, scorer: Scorer, end: float, rng: np.random.Generator) -> None:
        """Lists of one to eight users until ``end``, each beside those of the champion that says it answered."""
        traced = scorer.traced()
        while time.monotonic() < end:
            chosen = rng.choice(len(self._users), size=int(rng.integers(1, 9)), replace=False)
            found = traced.recommend(self._users[chosen], K)
            champion = str(found["artifact"][0])
            items, scores = (part[chosen].ravel() for part in self._expected[champion])
            same = len(set(found["artifact"])) == 1 and np.array_equal(found["item_id"], items)
            self.differing += not same
            if same:
                self.largest = max(self.largest, apart(found["score"], scores))
            self.calls += 1
            self.champions.add(champion)


def threaded(folder: Path, asked: list[Asked], seconds: float, seed: int) -> None:
    """As many threads as there are askers, on one watched scorer."""
    generators = np.random.default_rng(seed).spawn(len(asked))
    with Scorer.watch(folder, every=0.1) as scorer:
        end = time.monotonic() + seconds
        threads = [
            threading.Thread(target=one.ask, args=(scorer, end, rng))
            for one, rng in zip(asked, generators, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def python_with_spark() -> str | None:
    """This Python, or the one of BEAUTYREC_SPARK_PYTHON, where it has PySpark and there is Java."""
    python = os.environ.get("BEAUTYREC_SPARK_PYTHON", sys.executable)
    java = os.environ.get("JAVA_HOME") or shutil.which("java")
    found = subprocess.run([python, "-c", "import pyspark, ibis"], capture_output=True, check=False)
    return python if java and found.returncode == 0 else None
