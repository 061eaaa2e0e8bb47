"""The scorer in a service: what importing it costs, how long an answer takes, how fast everyone is scored.

One core, one thread: 22,363 users, 12,101 items, 128 dimensions (the size of Amazon Beauty), made-up factors and histories, ids
as texts. Times of single calls are wall clock; those of the batch are processor seconds, each the median of runs in turn. The
network is a DCN-v2 with two towers on 30 features and 3 categories, as ``br.FunnelNetwork`` fits it, with made-up weights.
The index is that of 200,000 other items whose factors lie mostly in 16 directions, as fitted ones do (in factors without any
direction there is nothing for an index to find); it takes the extra ``index`` and a minute to build.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.data.vocabulary import Vocabulary
from beautyrec.models.calibrated import LogisticCalibration
from beautyrec.models.factors import FactorRecommender
from beautyrec.models.funnel_heads import ESMM
from beautyrec.models.funnel_inputs import Inputs
from beautyrec.models.funnel_network import NetworkFunnelModel
from beautyrec.models.known import History, Known
from beautyrec.serving import IndexPlan, ModelCard, write_artifact
from benchmarks import _harness

USERS, ITEMS, FACTORS, EVENTS = 22_363, 12_101, 128, 176_139
LARGE_ITEMS, LARGE_USERS, DIRECTIONS = 200_000, 1_000, 16
FEATURES, CATEGORIES, BUCKETS, EMBEDDING, RANK, DEEP, TOWER = 30, 3, 4096, 4, 16, 64, 32
ROWS = 5_000
QUICK_SLACK = 20
"""The quick form guards against a slip, on whatever else the machine is doing; only the full form tells the speed."""


def measure(seed: int, quick: bool) -> _harness.Measured:
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_artifact(folder / "factors", factors(rng, USERS, ITEMS).state(), ModelCard("als"))
        write_artifact(folder / "large", factors(rng, LARGE_USERS, LARGE_ITEMS).state(), ModelCard("als"))
        if find_spec("faiss"):
            items, plan = (LARGE_ITEMS // 40, IndexPlan(1)) if quick else (LARGE_ITEMS, IndexPlan())
            write_artifact(folder / "indexed", directed(rng, LARGE_USERS, items).state(), ModelCard("als"), index=plan)
        write_artifact(folder / "network", network(rng).state(), ModelCard("funnel_network"))
        candidates(rng).to_parquet(folder / "candidates.parquet")
        found = json.loads(python("-m", "benchmarks._scorer_timing", place, "quick" if quick else "full"))
    serving, torch = imports("beautyrec.serving", 1 if quick else 9), imports("torch", 1 if quick else 3)
    slack = QUICK_SLACK if quick else 1
    batch = found["batch"]
    checks = [
        _harness.at_most("import beautyrec.serving", serving["seconds"], "s", 0.4 * slack),
        _harness.at_most("resident memory of a service", found["resident_mib"], "MiB", 200),
        _harness.at_most("recommend, one user, top 50, median", found["array"]["p50_ms"], "ms", 1 * slack),
        _harness.at_most("recommend, one user, top 50, p99", found["array"]["p99_ms"], "ms", 3 * slack),
        _harness.at_most("recommend, 200,000 items, p99", found["large"]["p99_ms"], "ms", 10 * slack),
        _harness.at_most("rank 500 candidates by the funnel network, p99", found["ranked"]["p99_ms"], "ms", 8 * slack),
        _harness.at_least(
            "speed of a batch / of the bare product with argpartition",
            batch["bare"] / batch["scorer"],
            "x",
            0.6 / (3 if quick else 1),
        ),
        _harness.at_least(
            "speed of a batch / of implicit's recommend",
            batch["implicit"] / batch["scorer"],
            "x",
            1 / (3 if quick else 1),
        ),
        _harness.at_most(
            "users alone whose list differs from that of a batch", found["alike"]["differing_users"], "users", 0
        ),
        _harness.at_most("largest difference of their scores", found["alike"]["largest_difference"], "", 1e-6),
        _harness.at_most("training packages imported to serve", len(found["base_only"]), "packages", 0),
    ]
    if "indexed" in found:
        by = found["indexed"]
        checks += [
            _harness.at_most("recommend by the index, 200,000 items, p99", by["index"]["p99_ms"], "ms", 10 * slack),
            _harness.at_least("recall of the index on held users", by["manifest"]["recall"], "", 0.95),
        ]
    return checks, {"imports": {"beautyrec.serving": serving, "torch": torch}, "measured": found}


def factors(rng: np.random.Generator, users: int, items: int) -> FactorRecommender:
    """Made-up factors, and histories in which a few items are in many."""
    counts = np.maximum(1, rng.multinomial(EVENTS * users // USERS, np.full(users, 1 / users)))
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    seen = History(indptr, (items * rng.random(indptr[-1]) ** 3).astype(np.int64))
    names = (
        pd.Index([f"{letter}{n:013d}" for n in range(count)], dtype="str")
        for letter, count in (("A", users), ("B", items))
    )
    known = Known(*(Vocabulary(ids) for ids in names), seen, rng.random(items, dtype=np.float32))
    parts = (rng.normal(scale=0.1, size=(count, FACTORS)).astype(np.float32) for count in (users, items))
    return FactorRecommender(known, *parts)


def directed(rng: np.random.Generator, users: int, items: int) -> FactorRecommender:
    """As ``factors``, with most of what they are in a few directions."""
    spread, mix = factors(rng, users, items), rng.normal(size=(DIRECTIONS, FACTORS)).astype(np.float32) / 4
    parts = (
        part / 2 + rng.normal(scale=0.1, size=(len(part), DIRECTIONS)).astype(np.float32) @ mix
        for part in (spread.user_factors, spread.item_factors)
    )
    return FactorRecommender(spread.known, *parts)


def network(rng: np.random.Generator) -> NetworkFunnelModel:
    """A network of the default shape with made-up weights."""
    features = tuple(f"feature_{n}" for n in range(FEATURES))
    columns = [np.where(rng.random(2000) < 0.1, np.nan, rng.normal(size=2000)) for _ in features]
    inputs = Inputs.fit(columns, tuple(f"category_{n}" for n in range(CATEGORIES)), BUCKETS)
    width = inputs.width + CATEGORIES * EMBEDDING
    shapes: dict[str, tuple[int, ...]] = {
        "trunks.0.embedding.weight": (CATEGORIES * (BUCKETS + 1), EMBEDDING),
        "trunks.0.deep.0.weight": (DEEP, width),
        "trunks.0.deep.0.bias": (DEEP,),
    }
    for layer in range(2):
        at = f"trunks.0.cross.{layer}"
        shapes |= {f"{at}.down.weight": (RANK, width), f"{at}.up.weight": (width, RANK), f"{at}.up.bias": (width,)}
    for task in ("click", "order"):
        at = f"head.towers.{task}"
        shapes |= {f"{at}.0.weight": (TOWER, DEEP), f"{at}.0.bias": (TOWER,)}
        shapes |= {f"{at}.2.weight": (1, TOWER), f"{at}.2.bias": (1,)}
    weights = {name: rng.normal(scale=0.1, size=shape).astype(np.float32) for name, shape in shapes.items()}
    lines = LogisticCalibration(1.0, -3.0), LogisticCalibration(1.0, -2.0)
    return NetworkFunnelModel(features, *lines, inputs, ESMM(tower=TOWER), weights)


def candidates(rng: np.random.Generator) -> pd.DataFrame:
    numbers = {f"feature_{n}": rng.normal(size=ROWS) for n in range(FEATURES)}
    words = {f"category_{n}": rng.integers(0, 500, ROWS).astype(str) for n in range(CATEGORIES)}
    return pd.DataFrame({"item_id": [f"B{n:013d}" for n in range(ROWS)], **numbers, **words})


def imports(module: str, runs: int) -> dict[str, float]:
    """Median seconds to import a module in a fresh process, by the clock and of the processor; the first run does not count."""
    code = (
        "import time; wall, cpu = time.perf_counter(), time.process_time()\n"
        f"import {module}\n"
        "print(time.perf_counter() - wall, time.process_time() - cpu)"
    )
    try:
        python("-c", code)
    except subprocess.CalledProcessError:
        return {}  # it is not installed
    each = [[float(part) for part in python("-c", code).split()] for _ in range(runs)]
    return {
        "seconds": round(median(wall for wall, _ in each), 4),
        "cpu_seconds": round(median(cpu for _, cpu in each), 4),
    }


def python(*arguments: str) -> str:
    """What a fresh process with one thread prints."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment: dict[str, Any] = os.environ | threads
    command = [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=_harness.ROOT, env=environment, check=True)
    return done.stdout


if __name__ == "__main__":
    _harness.main("scorer", measure)
