"""How long models take to be fitted on Amazon Beauty and to give every user a list, beside RecTools 0.19.

Ours and the peer's, with the same settings, are run in turn on the last event's training side: 176,139 events of 22,363 users
on 12,101 items, lists of 10 by external ids with what was taken left out, as frames. The peer runs in ``.peers/rectools``
(``make peers``), a process for each run; reading the log and building its data set are not counted on either side. Ratios are
of medians. The settings compared make no use of the order of the history, and the recall of both is in the notes, so that
it can be seen that they are the same models.

A fit by ``implicit`` or LightFM is compared with the library called directly in this process.

SASRec of that library took 1,142 s for five epochs (50 long, 64 wide, 2 blocks, full softmax) and 6.8 s for the lists, and
reached .0520 / .0279; measured once on this kind of machine, that is too long for each run. Ours is fitted with one epoch,
two, and so on until it is there; all of these fits and lists count.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.campaign.ranking_study import RankingTask, rank_models
from beautyrec.data.interactions import Interactions
from beautyrec.data.locate import find_data
from beautyrec.data.splits import Split, leave_last_out
from beautyrec.models.als import ALS
from beautyrec.models.base import Learner
from beautyrec.models.ease import EASE, gram
from beautyrec.models.item_knn import ItemKNN
from beautyrec.models.lightfm import LightFM
from beautyrec.models.sasrec import SASRec
from benchmarks import _harness
from benchmarks._harness import Check, at_least, at_most
from benchmarks.beauty import read

K = 10
RUNS = {"ItemKNN": 3, "ALS": 3, "LightFM": 3, "EASE": 1}
PEER = _harness.ROOT / ".peers" / "rectools" / "bin" / "python"
PEER_SCRIPT = _harness.ROOT / "benchmarks" / "peers" / "rectools_speed.py"

FIT_WANTED = {"EASE": 4.0}
RECOMMEND_WANTED = {"ItemKNN": 2.0, "ALS": 2.0, "LightFM": 2.0, "EASE": 30.0}
BARE_WANTED = 1.1
SASREC_REACHED = (0.0520, 0.0279)
SASREC_SECONDS = 1142.0 / 5

QUICK_ITEMS, QUICK_RUNS = 800, 2
QUICK_BARE = 2.0
"""The quick form guards against a slip, on whatever else the machine is doing."""

LEARNERS: Mapping[str, Learner] = {
    "ItemKNN": ItemKNN(neighbours=200, shrinkage=0.0, decay=1.0),
    "ALS": ALS(factors=128, iterations=15, regularization=0.01, alpha=1.0, decay=1.0),
    "LightFM": LightFM(factors=64, epochs=20, item_features=(), item_alpha=0.0, user_alpha=0.0),
    "EASE": EASE(regularization=100.0, decay=1.0),
}
"""Ours, with the settings that the peer has by default where it has them."""


def ours(learner: Learner, split: Split, seed: int) -> dict[str, float]:
    """Seconds to fit and to recommend, and the recall."""
    start = time.perf_counter()
    model = learner.fit(split.train, seed=seed)
    fitted = time.perf_counter()
    model.recommend(model.users.ids, K)
    ranked = time.perf_counter()
    task = RankingTask.of(split)
    lists, _ = model.top_k(task.user_ix, K)
    recall = float((lists[task.row] == task.item_ix[:, None]).any(axis=1).mean())
    return {"fit": fitted - start, "recommend": ranked - fitted, "recall": recall}


def write_csv(log: Interactions, path: Path) -> None:
    """A log as the peer reads it."""
    frame = pd.DataFrame(
        {
            "user_id": log.users.ids_at(log.user_ix),
            "item_id": log.items.ids_at(log.item_ix),
            "weight": log.weight,
            "datetime": pd.to_datetime(log.ts, unit="us"),
        }
    )
    frame.to_csv(path, index=False)


def theirs(name: str, folder: Path, seed: int) -> dict[str, Any]:
    """What the peer prints; BLAS has one thread where `implicit` asks for it."""
    environment = dict(os.environ) | ({"OPENBLAS_NUM_THREADS": "1"} if name in ("ALS", "ItemKNN") else {})
    command = [
        str(PEER),
        str(PEER_SCRIPT),
        name,
        str(folder / "train.csv"),
        str(folder / "test.csv"),
        str(K),
        str(seed),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def bare_als(train: Interactions, seed: int) -> None:
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(factors=128, iterations=15, regularization=0.01, alpha=1.0, random_state=seed)
        model.fit(train.matrix(), show_progress=False)


def bare_lightfm(train: Interactions, seed: int) -> None:
    import lightfm

    model = lightfm.LightFM(no_components=64, loss="warp", random_state=seed)
    model.fit(train.matrix().tocoo(), epochs=20, num_threads=1)


BARE: Mapping[str, Callable[[Interactions, int], None]] = {"ALS": bare_als, "LightFM": bare_lightfm}


def beside_bare(name: str, train: Interactions, seed: int, runs: int) -> float:
    """Seconds of our fit over those of the library's own, in turn; the median of the runs."""
    ratios = []
    for _ in range(runs):
        start = time.perf_counter()
        BARE[name](train, seed)
        middle = time.perf_counter()
        LEARNERS[name].fit(train, seed=seed)
        ratios.append((time.perf_counter() - middle) / (middle - start))
    return median(ratios)


def beside_peer(split: Split, seed: int) -> tuple[list[Check], dict[str, Any]]:
    """All models, ours and the peer's in turn."""
    checks: list[Check] = []
    notes: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_csv(split.train, folder / "train.csv")
        write_csv(split.test, folder / "test.csv")
        for name, learner in LEARNERS.items():
            laps = [(ours(learner, split, seed), theirs(name, folder, seed)) for _ in range(RUNS[name])]
            middle = [{key: median(lap[side][key] for lap in laps) for key in laps[0][0]} for side in (0, 1)]
            notes[name] = {
                side: {key: round(value, 4) for key, value in found.items()}
                for side, found in zip(("ours", "peer"), middle, strict=True)
            }
            notes["peer_version"] = laps[0][1]["version"]
            checks += against_peer(name, *middle)
    return checks, notes


def against_peer(name: str, our: Mapping[str, float], peer: Mapping[str, float]) -> list[Check]:
    """Times faster: in all, in the fit where that is wanted, in recommending."""
    whole = (peer["fit"] + peer["recommend"]) / (our["fit"] + our["recommend"])
    checks = [at_least(f"{name}, fit and lists, times faster than the peer", whole, "times", 1.0)]
    if name in FIT_WANTED:
        checks.append(at_least(f"{name}, fit, times faster", peer["fit"] / our["fit"], "times", FIT_WANTED[name]))
    ratio = peer["recommend"] / our["recommend"]
    return [*checks, at_least(f"{name}, lists, times faster", ratio, "times", RECOMMEND_WANTED[name])]


def sasrec(split: Split, seed: int) -> tuple[list[Check], dict[str, Any]]:
    """Seconds until a fit has reached what the peer's reached."""
    tried: list[dict[str, float]] = []
    start = time.perf_counter()
    for epochs in range(1, 6):
        row = rank_models({"sasrec": SASRec(epochs=epochs)}, split, protocol="last", k=K, seed=seed).iloc[0]
        tried.append({"epochs": epochs, **{key: round(float(row[key]), 5) for key in ("recall", "ndcg")}})
        if row["recall"] >= SASREC_REACHED[0] and row["ndcg"] >= SASREC_REACHED[1]:
            break
    seconds = time.perf_counter() - start
    checks = [
        at_least("SASRec, reached", tried[-1]["recall"], "recall@10", SASREC_REACHED[0]),
        at_least("SASRec, reached", tried[-1]["ndcg"], "NDCG@10", SASREC_REACHED[1]),
        at_most("SASRec, until there, a fifth of the peer's 1,142 s", seconds, "s", SASREC_SECONDS),
    ]
    return checks, {"tried": tried}


def quick(split: Split, seed: int) -> _harness.Measured:
    """Part of the catalogue, no peer: fits beside the bare libraries and a general inverse."""
    checks = [
        at_most(
            f"{name}, fit, times the bare library",
            beside_bare(name, split.train, seed, QUICK_RUNS),
            "times",
            QUICK_BARE,
        )
        for name in BARE
    ]
    matrix = gram(split.train.matrix()) + 100 * np.eye(len(split.train.items), dtype=np.float32)
    ratios = []
    for _ in range(QUICK_RUNS):  # processor time, of all threads: other work on the machine counts for less
        start = time.process_time()
        np.linalg.inv(matrix)
        middle = time.process_time()
        LEARNERS["EASE"].fit(split.train)
        ratios.append((time.process_time() - middle) / (middle - start))
    checks.append(at_most("EASE, fit, times a general inverse", min(ratios), "processor times", QUICK_BARE))
    return checks, {}


def often_taken(log: Interactions, n_items: int) -> Interactions:
    """The events with the ``n_items`` items taken most, as a log of those items alone."""
    often = np.argsort(-np.bincount(log.item_ix, minlength=len(log.items)), kind="stable")[:n_items]
    kept = log.where(np.isin(log.item_ix, often))
    ts = pd.to_datetime(kept.ts, unit="us", utc=True)
    users, items = kept.users.ids_at(kept.user_ix), kept.items.ids_at(kept.item_ix)
    return Interactions.from_frame(pd.DataFrame({"user_id": users, "item_id": items, "ts": ts}))


def measure(seed: int, is_quick: bool) -> _harness.Measured:
    log = read(find_data())
    if is_quick:
        return quick(leave_last_out(often_taken(log, QUICK_ITEMS)), seed)
    split = leave_last_out(log)
    checks = [
        at_most(f"{name}, fit, times the bare library", beside_bare(name, split.train, seed, 5), "times", BARE_WANTED)
        for name in BARE
    ]
    reached, notes = sasrec(split, seed)
    checks += reached
    if not PEER.exists():
        return checks, {"sasrec": notes, _harness.LEFT_OUT: "the peer: no .peers/rectools; run `make peers`"}
    faster, seconds = beside_peer(split, seed)
    return checks + faster, {"sasrec": notes, "seconds": seconds}


if __name__ == "__main__":
    _harness.main("train_speed", measure)
