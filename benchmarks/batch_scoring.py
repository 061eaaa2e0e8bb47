"""Everyone at once: a million users, the best 50 of 12,101 items each, in shards over two processes.

Made-up factors of 128 dimensions and histories, one artifact. The job runs once undisturbed, and once killed three times (the
signal that cannot be caught) and started again; both folders have to hold the same bytes. Memory is the sum over all processes,
what they share counted for each. The figure beside the seconds is the bare product with ``argpartition`` for as many users, on
one thread, from a sample of them.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from beautyrec.data.vocabulary import Vocabulary
from beautyrec.models.factors import FactorRecommender
from beautyrec.models.known import History, Known
from beautyrec.serving import ModelCard, write_artifact
from benchmarks import _harness

USERS, QUICK_USERS, ITEMS, FACTORS, K = 1_000_000, 20_000, 12_101, 128, 50
WORKERS = 2
SHARDS = 50
SAMPLE = 2_000
MEMORY_GIB = 3.0
KILLED_AT = (0.1, 0.4, 0.7)
"""Share of the shards that are there when the process is killed."""


def measure(seed: int, quick: bool) -> _harness.Measured:
    users = QUICK_USERS if quick else USERS
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bare = write_task(folder, users, np.random.default_rng(seed))
        start = time.perf_counter()
        peak = run(folder, "whole", users)
        seconds = time.perf_counter() - start
        shares = KILLED_AT[1:2] if quick else KILLED_AT
        kills = sum(kill(folder, "cut", users, share) for share in shares)
        run(folder, "cut", users)
        differing = len(set(digests(folder / "whole").items()) ^ set(digests(folder / "cut").items()))
        rows, distinct = counted(folder / "cut")
    checks = [
        _harness.at_most("peak memory of all processes", peak / 2**30, "GiB", MEMORY_GIB),
        _harness.at_least("times the job was killed half way", kills, "times", len(shares)),
        _harness.at_most("files that differ from those of the undisturbed job", differing, "files", 0),
        _harness.at_most("users with other than one list of 50", abs(rows - K * users) + users - distinct, "users", 0),
    ]
    notes = {
        "users": users,
        "items": ITEMS,
        "dimensions": FACTORS,
        "seconds": round(seconds, 1),
        "users_a_second": round(users / seconds),
        "bare_seconds": round(bare, 1),
    }
    return checks, notes


def write_task(folder: Path, users: int, rng: np.random.Generator) -> float:
    """The artifact and the users; seconds of the bare product with ``argpartition`` for all of them."""
    indptr = np.concatenate([[0], np.cumsum(rng.integers(1, 16, users))]).astype(np.int64)
    seen = History(indptr, (ITEMS * rng.random(indptr[-1]) ** 3).astype(np.int64))
    ids = (Vocabulary(pd.Index(np.arange(count) * 7)) for count in (users, ITEMS))
    parts = [rng.normal(size=(count, FACTORS), scale=0.1).astype(np.float32) for count in (users, ITEMS)]
    model = FactorRecommender(Known(*ids, seen, rng.random(ITEMS, dtype=np.float32)), *parts)
    write_artifact(folder / "model", model.state(), ModelCard("als"))
    pq.write_table(pa.table({"user_id": rng.permutation(users) * 7}), folder / "users.parquet")
    start = time.thread_time()
    for at in range(0, SAMPLE, 500):
        np.argpartition(parts[0][at : at + 500] @ parts[1].T, ITEMS - K, axis=1)
    return (time.thread_time() - start) * users / SAMPLE


def begin(folder: Path, out: str, users: int, errors: int | None = None) -> subprocess.Popen[bytes]:
    options = ["--model", "model", "--users", "users.parquet", "--out", out, "--k", str(K), "--workers", str(WORKERS)]
    code = "from beautyrec.cli import main; main()"
    command = [sys.executable, "-c", code, "score", *options, "--shard-users", str(users // SHARDS)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=errors, env=environment)


def run(folder: Path, out: str, users: int) -> int:
    """Runs a job to its end; the peak of the memory of all its processes, in bytes."""
    peaks, over = [0], threading.Event()
    with begin(folder, out, users) as job:

        def look() -> None:
            while not over.wait(0.1):
                peaks.append(sum(resident(pid) for pid in family(job.pid)))

        thread = threading.Thread(target=look)
        thread.start()
        job.wait()
        over.set()
        thread.join()
    if job.returncode:
        raise RuntimeError(f"the job ended with {job.returncode}")
    return max(peaks)


def kill(folder: Path, out: str, users: int, share: float) -> bool:
    """Starts the job and kills it once so many of its files are there; whether it was still at work."""
    with begin(folder, out, users, subprocess.DEVNULL) as job:
        while job.poll() is None and len(list((folder / out).glob("part-*"))) < share * SHARDS:
            time.sleep(0.01)
        job.send_signal(signal.SIGKILL)
        job.wait()
    return job.returncode == -signal.SIGKILL and not (folder / out / "shards.json").exists()


def family(pid: int) -> list[int]:
    """A process and its children."""
    found = [pid]
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(place.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if parent == pid:
            found.append(int(place.parent.name))
    return found


def resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def counted(folder: Path) -> tuple[int, int]:
    """Rows, and users with exactly one list."""
    rows, lists = 0, []
    for path in sorted(folder.glob("part-*")):
        table = pq.read_table(path, columns=["user_id", "rank"])
        rows += table.num_rows
        lists.append(table.filter(pa.compute.equal(table["rank"], K))["user_id"].to_numpy())
    every = np.concatenate(lists)
    return rows, len(np.unique(every)) - (len(every) - len(np.unique(every)))


if __name__ == "__main__":
    _harness.main("batch_scoring", measure)
