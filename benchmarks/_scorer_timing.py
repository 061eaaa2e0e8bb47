"""What ``benchmarks.scorer`` times in a process of its own, on one core and with one thread: prints one JSON object.

The model to serve lies in the folder that is given; what trains or compares is imported only after the memory was read.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

K = 50
CANDIDATES = 500
CHUNK = 1024
"""Users of one product, in the bare loop."""


def main(folder: Path, quick: bool) -> dict[str, Any]:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from beautyrec.serving import Scorer

    scorer = Scorer.load(folder / "factors")
    users = scorer.artifact.model.users.ids.to_numpy()
    calls = 100 if quick else 3000
    found: dict[str, Any] = {
        "array": latency(lambda n: scorer.recommend(users[n % len(users) :][:1], K), calls),
        "dict": latency(lambda n: scorer.recommend({"user_id": [users[n % len(users)]]}, K), calls),
        "frame": latency(lambda n: scorer.recommend([users[n % len(users)]], K), calls),
    }
    found["resident_mib"] = resident()
    found["base_only"] = sorted(
        {"torch", "mlflow", "scipy", "sklearn", "duckdb", "ibis", "implicit"} & set(sys.modules)
    )
    found["ranked"] = ranked(folder, calls // 4)
    found["large"] = large(folder, calls // 6)
    if (folder / "indexed").exists():
        found["indexed"] = indexed(folder, calls // 6)
    found["alike"] = alike(scorer, users[: 100 if quick else len(users)])
    found["batch"] = batch(scorer, users, 1 if quick else 5)
    return found


def latency(call: Callable[[int], object], calls: int) -> dict[str, float]:
    """Milliseconds by the clock and of the processor, after some calls that do not count.

    The two differ by what else the machine is doing.
    """
    import numpy as np

    for n in range(20):
        call(n)
    seconds = np.empty((2, calls))
    for n in range(calls):
        start, used = time.perf_counter(), time.thread_time()
        call(n)
        seconds[:, n] = time.perf_counter() - start, time.thread_time() - used
    shares = np.percentile(seconds * 1e3, [50, 99], axis=1)
    names = ("p50_ms", "p50_cpu_ms", "p99_ms", "p99_cpu_ms")
    return dict(zip(names, shares.round(4).ravel().tolist(), strict=True))


def resident() -> float:
    """MiB of memory that this process holds now, what is mapped from files included."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024, 1)


def ranked(folder: Path, calls: int) -> dict[str, float]:
    import pyarrow.parquet as pq

    from beautyrec.serving import Scorer

    scorer, rows = Scorer.load(folder / "network"), pq.read_table(folder / "candidates.parquet").to_pandas()
    every = {name: rows[name].to_numpy() for name in rows}
    shelves = [{name: values[at : at + CANDIDATES] for name, values in every.items()} for at in range(0, 4000, 100)]
    return latency(lambda n: scorer.rank("anyone", shelves[n % len(shelves)]), calls)


def large(folder: Path, calls: int) -> dict[str, float]:
    from beautyrec.serving import Scorer

    scorer = Scorer.load(folder / "large")
    users = scorer.artifact.model.users.ids.to_numpy()
    return latency(lambda n: scorer.recommend(users[n % len(users) :][:1], K), calls)


def indexed(folder: Path, calls: int) -> dict[str, Any]:
    """By the index and exactly, in the same artifact; what its manifest says of the index."""
    from beautyrec.serving import Scorer

    scorer = Scorer.load(folder / "indexed")
    users = scorer.artifact.model.users.ids.to_numpy()
    ways = {"index": scorer, "exact": scorer.exact()}
    times = {
        name: latency(lambda n, way=way: way.recommend(users[n % len(users) :][:1], K), calls)
        for name, way in ways.items()
    }
    return {**times, "manifest": dict(scorer.info.index or {})}


def alike(scorer: Any, users: Any) -> dict[str, float]:
    """Lists of users alone beside those of all together."""
    import numpy as np

    together = scorer.recommend(users, K)
    alone = np.concatenate([scorer.recommend(users[n : n + 1], K) for n in range(len(users))])
    same = together["item_id"] == alone["item_id"]
    return {
        "differing_users": len(np.unique(together["user_id"][~same])),
        "largest_difference": float(np.abs(together["score"] - alone["score"]).max()),
    }


def batch(scorer: Any, users: Any, runs: int) -> dict[str, Any]:
    """Median seconds of all users' lists: the bare product with ``argpartition``, the scorer, and implicit, in turn."""
    import numpy as np
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    model = scorer.artifact.model
    user_factors, item_factors = (np.array(part) for part in (model.user_factors, model.item_factors))
    seen = model.seen
    shape = (len(users), len(item_factors))
    liked = csr_matrix((np.ones(len(seen.item_ix), np.float32), seen.item_ix, seen.indptr), shape=shape)
    peer = AlternatingLeastSquares(factors=item_factors.shape[1], num_threads=1)
    peer.user_factors, peer.item_factors = user_factors, item_factors
    room = np.empty((CHUNK, len(item_factors)), np.float32)

    def bare() -> None:
        for start in range(0, len(users), CHUNK):
            block = user_factors[start : start + CHUNK]
            scores = np.matmul(block, item_factors.T, out=room[: len(block)])
            np.argpartition(scores, len(item_factors) - K, axis=1)[:, -K:]

    def ours() -> None:
        scorer.recommend(users, K)

    def theirs() -> None:
        peer.recommend(np.arange(len(users)), liked, N=K, filter_already_liked_items=True)

    seconds: dict[str, list[float]] = {"bare": [], "scorer": [], "implicit": []}
    with threadpool_limits(1):
        for _ in range(runs):
            for name, work in (("bare", bare), ("scorer", ours), ("implicit", theirs)):
                start = time.process_time()
                work()
                seconds[name].append(time.process_time() - start)
    return {name: float(np.median(each)) for name, each in seconds.items()}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2] == "quick")))
