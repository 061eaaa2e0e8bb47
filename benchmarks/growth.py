"""How time grows with events, users, items and workers, for ``docs/scale.md``.

Twenty features of a made-up log (DuckDB on two threads, by the clock); on one thread a fit of ALS, and lists of 50 by the number
of users and by that of items (64 dimensions, processor seconds); and the command that scores 400,000 users by its number of
processes, each of one thread (clock: with other work on the cores it says nothing).
An exponent is the slope of the logarithm of seconds over that of the size, from the second size to the last: 1 is linear.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from beautyrec.data.interactions import Interactions
from beautyrec.data.vocabulary import Vocabulary
from beautyrec.models.als import ALS
from beautyrec.models.factors import FactorRecommender
from beautyrec.models.known import History, Known
from beautyrec.serving import ModelCard, write_artifact
from benchmarks import _feature_log, _harness
from benchmarks.features import child

ITEMS, FACTORS, K = 12_101, 64, 50
EVENTS, QUICK_EVENTS = (100_000, 300_000, 1_000_000), (10_000, 20_000, 40_000)
FITS, QUICK_FITS = (30_000, 100_000, 300_000), (3_000, 6_000, 24_000)
USERS, QUICK_USERS = (1_000, 4_000, 16_000), (100, 400, 1_600)
CATALOGUES, QUICK_CATALOGUES = (12_500, 50_000, 200_000, 1_000_000), (2_000, 8_000, 64_000)
ASKED, WORKERS = 64, (1, 2)
Curve = dict[int, float]
"""Seconds by size."""


def measure(seed: int, quick: bool) -> _harness.Measured:
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        curves = {
            "features by events": {n: features(folder, n, seed) for n in (QUICK_EVENTS if quick else EVENTS)},
            "ALS by events": {n: fit(rng, n) for n in (QUICK_FITS if quick else FITS)},
            "lists by users": lists_by_users(rng, QUICK_USERS if quick else USERS),
            "lists by items": {
                n: lists(model(rng, ASKED, n), ASKED) for n in (QUICK_CATALOGUES if quick else CATALOGUES)
            },
        }
        workers = by_workers(folder, rng, 400 if quick else 400_000)
    bound = 2.0 if quick else 1.15
    checks = [_harness.at_most(f"{name}, exponent", exponent(curve), "", bound) for name, curve in curves.items()]
    gain = workers[1] / workers[2]
    checks.append(_harness.at_least("two processes, times one", gain, "times", 0.02 if quick else 1.6))
    rounded = {name: {str(n): round(s, 4) for n, s in curve.items()} for name, curve in curves.items()}
    return checks, {**rounded, "batch by workers": {str(n): round(s, 2) for n, s in workers.items()}}


def exponent(curve: Curve) -> float:
    sizes, seconds = np.array(list(curve))[1:], np.array(list(curve.values()))[1:]
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def features(folder: Path, events: int, seed: int) -> float:
    _feature_log.make(folder / f"log{events}", events, seed)
    return child(folder / f"log{events}", folder).seconds


def fit(rng: np.random.Generator, events: int) -> float:
    """ALS with ten events a user."""
    frame = pd.DataFrame(
        {
            "user_id": rng.integers(0, events // 10, events),
            "item_id": (ITEMS * rng.random(events) ** 3).astype(np.int64),
            "ts": pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.arange(events), unit="s"),
        }
    )
    train = Interactions.from_frame(frame)
    return processor(lambda: ALS(factors=FACTORS).fit(train, seed=0))


def model(rng: np.random.Generator, users: int, items: int) -> FactorRecommender:
    indptr = np.arange(users + 1, dtype=np.int64) * 8
    seen = History(indptr, (items * rng.random(indptr[-1]) ** 3).astype(np.int64))
    ids = (Vocabulary(pd.Index(np.arange(count))) for count in (users, items))
    parts = (rng.normal(size=(count, FACTORS), scale=0.1).astype(np.float32) for count in (users, items))
    return FactorRecommender(Known(*ids, seen, rng.random(items, dtype=np.float32)), *parts)


def lists_by_users(rng: np.random.Generator, sizes: tuple[int, ...]) -> Curve:
    everyone = model(rng, max(sizes), ITEMS)
    return {n: lists(everyone, n) for n in sizes}


def lists(recommender: FactorRecommender, users: int) -> float:
    """Median of as many as take about a tenth of a second, and of three at least."""
    recommender.recommend(np.arange(1), K)
    least = processor(lambda: recommender.recommend(np.arange(users), K))
    runs = max(3, int(0.1 / max(least, 1e-3)))
    return float(np.median([processor(lambda: recommender.recommend(np.arange(users), K)) for _ in range(runs)]))


def by_workers(folder: Path, rng: np.random.Generator, users: int) -> Curve:
    """The command from its start to its end, every process with one thread; what the system has to read was read before."""
    write_artifact(folder / "model", model(rng, users, ITEMS).state(), ModelCard("als"))
    pq.write_table(pa.table({"user_id": np.arange(users)}), folder / "users.parquet")
    code = "from beautyrec.cli import main; main()"
    command = [sys.executable, "-c", code, "score", "--model", "model", "--users", "users.parquet", "--k", str(K)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    found: Curve = {}
    for workers in WORKERS:
        options = ["--workers", str(workers), "--out", f"lists{workers}", "--shard-users", str(users // 16)]
        start = time.perf_counter()
        subprocess.run([*command, *options], cwd=folder, env=environment, check=True, capture_output=True)
        found[workers] = time.perf_counter() - start
    return found


def processor(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    _harness.main("growth", measure)
