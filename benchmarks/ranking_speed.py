"""Ranking all items for all users, and judging the lists: how long beside the bare matrix product, and beside peers.

Made-up factors and histories of the size of Amazon Beauty: 22,363 users, 12,101 items, 128 dimensions, lists of 100 with
what a user has seen left out, one relevant item a user, ten metrics with intervals. The bare product is
``user_factors @ item_factors.T`` in 32-bit floats into memory that is there already, with all the threads BLAS takes: no
ranking can do without it. Both are timed in turn in this process, and medians are compared.

The peers, implicit's ``recommend`` and ranx's ``evaluate`` with ten metrics and no intervals, run in `.peers/ranx` (``make
peers``) on the same arrays. Both get what they like best: BLAS on one thread, arrays instead of dictionaries, a first call
that is not counted.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from beautyrec.data.vocabulary import Vocabulary
from beautyrec.evaluation import ranking
from beautyrec.evaluation.estimate import Estimate
from beautyrec.evaluation.ranking_table import estimate
from beautyrec.evaluation.ranking_values import ItemFacts, ranking_values
from beautyrec.models.known import History, Known
from beautyrec.models.recommenders import FactorRecommender
from beautyrec.types import FloatArray, IntArray
from benchmarks import _harness

USERS, ITEMS, FACTORS, EVENTS, K = 22_363, 12_101, 128, 176_139, 100
RUNS, QUICK_RUNS = 9, 3
GROUPS = 200
TIMES_THE_PRODUCT = 2.0
QUICK_SLACK = 3
"""The quick form guards against a slip, on whatever else the machine is doing; only the full form tells the speed."""
TIMES_FASTER_THAN_PEERS = 2.5
PEER = _harness.ROOT / ".peers" / "ranx" / "bin" / "python"
PEER_SCRIPT = _harness.ROOT / "benchmarks" / "peers" / "ranx_speed.py"


@dataclass(frozen=True, eq=False)
class Task:
    """A model, one relevant item for each user, and how often and in which group each item is."""

    model: FactorRecommender
    relevant_ix: IntArray
    counts: FloatArray
    group: IntArray

    @property
    def indptr(self) -> IntArray:
        return np.arange(len(self.relevant_ix) + 1)


def task(seed: int, users: int = USERS, items: int = ITEMS, events: int = EVENTS) -> Task:
    rng = np.random.default_rng(seed)
    taste = 1 / (np.arange(items) + 20.0)
    rng.shuffle(taste)
    per_user = 3 + rng.multinomial(events - 3 * users, np.full(users, 1 / users))
    seen = History(np.append(0, np.cumsum(per_user)), rng.choice(items, size=events, p=taste / taste.sum()))
    counts = np.bincount(seen.item_ix, minlength=items).astype(np.float64)
    known = Known(Vocabulary.from_ids(range(users)), Vocabulary.from_ids(range(items)), seen, counts.astype(np.float32))
    user, item = (rng.normal(size=(n, FACTORS)).astype(np.float32) for n in (users, items))
    relevant = rng.choice(items, size=users, p=taste / taste.sum())
    return Task(FactorRecommender(known, user, item), relevant, counts, rng.integers(0, GROUPS, items))


def judge(given: Task, lists: IntArray) -> dict[str, Estimate]:
    """Ten metrics with intervals."""
    facts = ItemFacts(given.counts, given.group)
    values = ranking_values(lists, given.indptr, given.relevant_ix, facts)
    return {name: estimate(value, name) for name, value in values.items()}


def time_ours(given: Task, runs: int) -> dict[str, list[float]]:
    """Seconds of the bare product, of ranking, and of judging, in turn."""
    model, users = given.model, np.arange(len(given.relevant_ix))
    room = np.empty((len(users), len(model.items)), dtype=np.float32)
    laps: dict[str, list[float]] = {"product": [], "rank": [], "judge": []}
    for run in range(runs + 1):  # the first is not counted
        start = time.perf_counter()
        np.matmul(model.user_factors, model.item_factors.T, out=room)
        multiplied = time.perf_counter()
        lists, _ = model.top_k(users, K)
        ranked = time.perf_counter()
        judge(given, lists)
        judged = time.perf_counter()
        for name, lap in (("product", multiplied - start), ("rank", ranked - multiplied), ("judge", judged - ranked)):
            laps[name] += [lap] * (run > 0)
    return laps


def run_peers(given: Task, runs: int) -> dict[str, Any]:
    """What the peers print: seconds of each run, and their values of the metrics."""
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "arrays.npz"
        model = given.model
        np.savez(
            arrays,
            user_factors=model.user_factors,
            item_factors=model.item_factors,
            indptr=model.seen.indptr,
            item_ix=model.seen.item_ix,
            relevant=given.relevant_ix,
        )
        command = [str(PEER), str(PEER_SCRIPT), str(arrays), str(K), str(runs)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measure(seed: int, quick: bool) -> _harness.Measured:
    runs = QUICK_RUNS if quick else RUNS
    given = task(seed)
    laps = time_ours(given, runs)
    middle = {name: median(times) for name, times in laps.items()}
    ours = median(a + b for a, b in zip(laps["rank"], laps["judge"], strict=True))
    ratio = median((a + b) / c for a, b, c in zip(laps["rank"], laps["judge"], laps["product"], strict=True))
    slack = QUICK_SLACK if quick else 1
    checks = [_harness.at_most("ranking and ten metrics", ratio, "times the bare product", slack * TIMES_THE_PRODUCT)]
    notes: dict[str, Any] = {"median_seconds": {name: round(value, 4) for name, value in middle.items()}}
    if not PEER.exists():
        return checks, notes | {_harness.LEFT_OUT: "the peers: no .peers/ranx; run `make peers`"}
    peers = run_peers(given, runs)
    theirs = median(a + b for a, b in zip(peers["recommend"], peers["evaluate"], strict=True))
    name = "ranking and ten metrics, times faster than implicit and ranx"
    checks.append(_harness.at_least(name, theirs / ours, "times", TIMES_FASTER_THAN_PEERS / slack))
    checks.append(_harness.at_most("largest difference of a metric from ranx", difference(given, peers), "", 1e-9))
    seconds = {part: round(median(peers[part]), 4) for part in ("recommend", "evaluate")}
    return checks, notes | {"peers": {"median_seconds": seconds, "versions": peers["versions"]}}


def difference(given: Task, peers: dict[str, Any]) -> float:
    """Of the metrics that both have, on the lists that implicit made."""
    lists = np.asarray(peers["lists"], dtype=np.int64)
    part = np.arange(len(lists))
    found = ranking.hits(lists, np.arange(len(part) + 1), given.relevant_ix[part])
    ours = {
        "precision": ranking.precision(found),
        "recall": ranking.recall(found),
        "hit_rate": ranking.hit_rate(found),
        "ndcg": ranking.ndcg(found),
        "map": ranking.average_precision(found),
        "mrr": ranking.reciprocal_rank(found),
    }
    return max(abs(float(values.mean()) - peers["values"][name]) for name, values in ours.items())


if __name__ == "__main__":
    _harness.main("ranking_speed", measure)
