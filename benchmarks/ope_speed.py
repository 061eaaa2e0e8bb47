"""Off-policy values and intervals: how long beside Open Bandit Pipeline, and a log of ten million rows read in one pass.

*Beside the peer.* A made-up log of 500,000 rounds and 30 actions, as arrays: action, reward, propensity, and for every action
the target policy's chance and a model's expected reward. From it IPW, SNIPW, DM and DR, and an interval of each from 200
bootstrap replicates. Open Bandit Pipeline 0.5.7 does the same from the same arrays in its own environment (``make peers``). Both
are timed in turn, a run of one and a run of the other; the checks of the input are inside the time of both. Values must be equal.
Widths of intervals must agree, but for SNIPW: the peer resamples ``w y / mean(w)`` with the mean weight of the whole log held
fixed, so its interval is that of IPW, while here the mean weight is resampled along.

*One pass.* A Parquet file of ten million impressions is written to a temporary folder: user, two chances, clicks, orders,
revenue, and a model's expectations of all three. A fresh process reads it once and gives the lifts of four metrics by two
estimators with intervals and verdicts. Its peak memory is the kernel's account of that process (``VmHWM``). Values must be
those of plain sums over the same rows, made while the file was written.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from beautyrec.evaluation.bandit_log import BanditLog
from beautyrec.evaluation.estimate import Estimate
from beautyrec.evaluation.evidence import Outcomes, SlateEvidence
from beautyrec.evaluation.intervals import PoissonBootstrap
from beautyrec.evaluation.off_policy import DM, DR, IPS, SNIPS
from beautyrec.evaluation.one_pass import LogColumns, lift_from_parquet
from beautyrec.evaluation.policy_value import policy_values
from beautyrec.types import FloatArray, IntArray
from benchmarks import _harness

ROUNDS, QUICK_ROUNDS, ACTIONS, REPLICATES = 500_000, 100_000, 30, 200
RUNS, QUICK_RUNS = 15, 2
MORE_WIDTHS = 60
TIMES_FASTER = 10.0
QUICK_TIMES_FASTER = 2.0
"""The quick form guards against a slip, on whatever else the machine is doing; only the full form tells the speed."""
ROWS, QUICK_ROWS, CHUNK = 10_000_000, 1_000_000, 500_000
SECONDS, GIBIBYTES = 30.0, 2.0
WIDTH_APART = 0.05
PEER = _harness.ROOT / ".peers" / "obp" / "bin" / "python"
PEER_SCRIPT = _harness.ROOT / "benchmarks" / "peers" / "obp_speed.py"
COLUMNS = LogColumns(
    target="target",
    ordered="ordered",
    revenue="revenue",
    expected={
        name: (f"expected_logged_{name}", f"expected_target_{name}") for name in ("clicked", "ordered", "revenue")
    },
)


@dataclass(frozen=True, eq=False)
class Task:
    """n rounds of A actions."""

    action: IntArray
    reward: FloatArray
    propensity: FloatArray
    target: FloatArray
    expected: FloatArray


def task(seed: int, rounds: int = ROUNDS) -> Task:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(rounds, ACTIONS))
    logging = _softmax(0.7 * scores)
    action = (rng.random((rounds, 1)) > np.cumsum(logging[:, :-1], axis=1)).sum(axis=1)
    chance = 0.05 + 0.1 / (1 + np.exp(-scores))
    reward = (rng.random(rounds) < np.take_along_axis(chance, action[:, None], 1)[:, 0]).astype(np.float64)
    propensity = np.take_along_axis(logging, action[:, None], 1)[:, 0].copy()
    target = _softmax(scores + 0.5 * rng.normal(size=scores.shape))
    return Task(action, reward, propensity, target, chance * rng.uniform(0.8, 1.2, size=chance.shape))


def _softmax(scores: FloatArray) -> FloatArray:
    raised = np.exp(scores)
    return raised / raised.sum(axis=1, keepdims=True)


def evidence_of(given: Task) -> SlateEvidence:
    log = BanditLog(given.action, Outcomes(given.reward), given.propensity)
    return log.evidence(given.target, Outcomes(given.expected))


def values_of(evidence: SlateEvidence, seed: int) -> dict[str, Estimate]:
    return policy_values(evidence, (IPS(), SNIPS(), DM(), DR()), interval=PoissonBootstrap(seed, REPLICATES))


def time_ours(given: Task, seed: int) -> dict[str, Any]:
    start = time.perf_counter()
    found = values_of(evidence_of(given), seed)
    return {
        "seconds": time.perf_counter() - start,
        "values": {name: each.value for name, each in found.items()},
    }


def width_beside(given: Task, theirs: list[dict[str, Any]], seeds: int) -> dict[str, float]:
    """Mean width of an interval over the peer's: over all its runs, and over as many seeds of ours."""
    evidence = evidence_of(given)
    found = [values_of(evidence, seed) for seed in range(1000, 1000 + seeds)]
    return {
        name: mean(each[name].ci_high - each[name].ci_low for each in found)
        / mean(each["widths"][name] for each in theirs)
        for name in found[0]
    }


def in_turn(given: Task, runs: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, str]]:
    """What both found in each run but the first, and the peer's versions."""
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "arrays.npz"
        np.savez(arrays, **vars(given))
        command = [str(PEER), str(PEER_SCRIPT), str(arrays), str(REPLICATES)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as peer:
            if peer.stdin is None or peer.stdout is None:
                raise RuntimeError("the peer has no pipes")
            versions = json.loads(peer.stdout.readline())
            mine, theirs = [], []
            for run in range(runs + 1):
                mine.append(time_ours(given, run))
                peer.stdin.write("run\n")
                peer.stdin.flush()
                theirs.append(json.loads(peer.stdout.readline()))
            peer.stdin.close()
    return mine[1:], theirs[1:], versions


def beside_peer(seed: int, quick: bool) -> _harness.Measured:
    given = task(seed, QUICK_ROUNDS if quick else ROUNDS)
    if not PEER.exists():
        lap = median(time_ours(given, run)["seconds"] for run in range(QUICK_RUNS))
        return [], {_harness.LEFT_OUT: "the peer: no .peers/obp; run `make peers`", "median_seconds": round(lap, 4)}
    mine, theirs, versions = in_turn(given, QUICK_RUNS if quick else RUNS)
    both = [each["values_seconds"] + each["intervals_seconds"] for each in theirs]
    faster = median(both) / median(each["seconds"] for each in mine)
    apart = max(abs(value - theirs[0]["values"][name]) for name, value in mine[0]["values"].items())
    width = width_beside(given, theirs, QUICK_RUNS if quick else MORE_WIDTHS)
    widest = max(abs(ratio - 1) for name, ratio in width.items() if name != "snips")
    checks = [
        _harness.at_least(
            "values and intervals, times faster than obp",
            faster,
            "times",
            QUICK_TIMES_FASTER if quick else TIMES_FASTER,
        ),
        _harness.at_most("largest difference of a value from obp", apart, "", 1e-9),
    ]
    if not quick:  # one width from 200 replicates errs by 7 %, the mean of the peer's fifteen by 2 %
        checks.append(_harness.at_most("widths of intervals beside obp, ips, dm and dr", widest, "share", WIDTH_APART))
    notes = {
        "rounds": len(given.action),
        "actions": ACTIONS,
        "replicates": REPLICATES,
        "median_seconds": {
            "ours": round(median(each["seconds"] for each in mine), 4),
            "obp_values": round(median(each["values_seconds"] for each in theirs), 4),
            "obp_intervals": round(median(each["intervals_seconds"] for each in theirs), 4),
        },
        "largest_difference": apart,
        "width_beside_obp": {name: round(ratio, 4) for name, ratio in width.items()},
        "versions": versions,
    }
    return checks, notes


def chunks(seed: int, rows: int) -> Iterator[dict[str, Any]]:
    """Rows of a log, some at a time: a user has about 20, and a rate of clicks of their own."""
    rng = np.random.default_rng(seed)
    users = max(rows // 20, 1)
    for start in range(0, rows, CHUNK):
        n = min(CHUNK, rows - start)
        user = rng.integers(0, users, n)
        score = np.clip(rng.normal(size=n), -4, 4)
        click = 0.1 * np.exp(0.3 * score + 0.3 * np.cos(user))
        clicked = rng.random(n) < click
        ordered = clicked & (rng.random(n) < 0.3)
        guess = 0.1 * np.exp(0.3 * score)
        mean = 0.1 * np.exp(0.5 * 0.3 + 0.3**2 / 2) * rng.uniform(0.9, 1.1, n)  # of the guess under the target
        yield {
            "user_id": user,
            "propensity": rng.uniform(0.01, 0.1, n),
            "score": score,
            "clicked": clicked,
            "ordered": ordered,
            "revenue": np.where(ordered, np.round(rng.lognormal(3, 0.5, n), 2), 0.0),
            **{f"expected_logged_{name}": guess * part for name, part in SHARES.items()},
            **{f"expected_target_{name}": mean * part for name, part in SHARES.items()},
        }


SHARES = {"clicked": 1.0, "ordered": 0.3, "revenue": 0.3 * 22.7}


def write(path: Path, seed: int, rows: int) -> dict[str, float]:
    """Writes the file; the CTR and the revenue per impression under the target by SNIPS and by DR."""
    total = dict.fromkeys(("weight", "clicked", "revenue", "dr_clicked", "dr_revenue"), 0.0)
    writer = None
    for chunk in chunks(seed, rows):
        weight = np.exp(0.5 * chunk.pop("score") - 0.125)  # mean 1
        chunk["target"] = chunk["propensity"] * weight
        part = pa.table(chunk)
        writer = pq.ParquetWriter(path, part.schema) if writer is None else writer
        writer.write_table(part)
        total["weight"] += float(weight.sum())
        for name in ("clicked", "revenue"):
            left = chunk[name] - chunk[f"expected_logged_{name}"]
            total[name] += float((weight * chunk[name]).sum())
            total[f"dr_{name}"] += float((chunk[f"expected_target_{name}"] + weight * left).sum())
    if writer is not None:
        writer.close()
    return {
        "ctr snips": total["clicked"] / total["weight"],
        "ctr dr": total["dr_clicked"] / rows,
        "revenue_per_impression snips": total["revenue"] / total["weight"],
        "revenue_per_impression dr": total["dr_revenue"] / rows,
    }


def read(path: Path) -> dict[str, Any]:
    """In a process of its own: seconds, peak memory in GiB, and what was found."""
    start = time.perf_counter()
    found = lift_from_parquet(path, COLUMNS)
    seconds = time.perf_counter() - start
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return {
        "seconds": seconds,
        "gib": peak / 2**20,
        "targets": {f"{lift.metric} {lift.estimator}": lift.target for lift in found},
        "verdicts": sorted({str(lift.verdict) for lift in found}),
        "clusters": max(lift.estimate.n for lift in found if lift.estimate is not None),
    }


def one_pass(seed: int, quick: bool) -> _harness.Measured:
    rows = QUICK_ROWS if quick else ROWS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.parquet"
        expected = write(path, seed, rows)
        size = path.stat().st_size
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found = pool.submit(read, path).result()
    apart = max(abs(found["targets"][name] / value - 1) for name, value in expected.items())
    what = f"one pass over {rows:,} rows of Parquet"
    checks = [
        _harness.at_most(what, found["seconds"], "s", SECONDS),
        _harness.at_most(f"{what}, peak memory of the process", found["gib"], "GiB", GIBIBYTES),
        _harness.at_most(f"{what}, largest relative difference of a value from plain sums", apart, "", 1e-9),
    ]
    notes = {
        "rows": rows,
        "file_mib": round(size / 2**20),
        "clusters": found["clusters"],
        "verdicts": found["verdicts"],
    }
    return checks, notes


def measure(seed: int, quick: bool) -> _harness.Measured:
    peer_checks, peer_notes = beside_peer(seed, quick)
    checks, notes = one_pass(seed, quick)
    lacking = {name: peer_notes[name] for name in (_harness.LEFT_OUT,) if name in peer_notes}
    return [*peer_checks, *checks], {"beside_obp": peer_notes, "one_pass": notes} | lacking


if __name__ == "__main__":
    _harness.main("ope_speed", measure)
