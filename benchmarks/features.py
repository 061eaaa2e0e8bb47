"""Twenty features of every impression, to a file: how fast, in how much memory, how it grows, and how fast pandas is.

The log is made up and seeded: live rooms of ninety days, some events known late. Keys are its impressions, each as known when its
room began, which is how models learn and rank. Each run is a process of its own, from the Parquet of the log to the Parquet of
the features; its peak is the kernel's, of all its memory. Rates count all events of the log, not the impressions alone. pandas
goes the same way, from Parquet to Parquet, with the same values; what of it was between frames is in the notes. Imports count in
neither.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from benchmarks import _feature_log, _feature_pandas, _harness
from benchmarks._feature_rows import KEYS, Run, features

SIZES, QUICK_SIZES = (1_000_000, 3_000_000, 10_000_000), (20_000, 60_000)
LARGE = 100_000_000
MEMORY_BOUND_GIB = 4.0
RATE, QUICK_RATE = 500_000, 300
"""The quick form guards against a slip, on whatever else the machine is doing; only the full form tells the speed."""
TIMES_PANDAS, QUICK_TIMES_PANDAS = 20.0, 0.01
QUICK_DAYS = 10
SLACK, QUICK_SLACK = 1.1, 3.0
"""On the cost of an event at the greatest size over that at the least, beside the growth of the logarithm."""


def child(log: Path, folder: Path) -> Run:
    """One run in a process of its own; its features lie in ``folder/features.parquet``."""
    command = [sys.executable, "-m", "benchmarks._feature_rows", str(log), str(folder / "features.parquet")]
    done = subprocess.run([*command, str(folder / "spilled")], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the run on {log.name} failed: {done.stderr[-2000:]}")
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def in_pandas(log: Path, out: Path) -> tuple[float, float, pd.DataFrame]:
    """Seconds of pandas from file to file, of those from frames to a frame, and the frame."""
    begin = time.perf_counter()
    names = ("events", "items", "rooms", "shelves")
    frames = {name: pq.read_table(log / f"{name}.parquet", partitioning=None).to_pandas() for name in names}
    events = frames["events"]
    shown = events[events["event"] == "impression"][list(KEYS)]
    keys = shown.assign(as_of=shown["room_id"].map(frames["rooms"].set_index("room_id")["starts_at"]))
    start = time.perf_counter()
    found = _feature_pandas.compute(frames, keys)
    between = time.perf_counter() - start
    found.to_parquet(out, compression="zstd")
    return time.perf_counter() - begin, between, found


def share_equal(found: pd.DataFrame, file: Path) -> float:
    """The share of all values that are the same in both, to nine digits; gaps are the same as gaps."""
    names = list(features().names)
    ours = pq.read_table(file, columns=["event_id", *names]).to_pandas().set_index("event_id")
    theirs = found.set_index("event_id").loc[ours.index, names]
    same = np.isclose(ours.to_numpy(float), theirs.to_numpy(float), rtol=1e-9, atol=1e-9, equal_nan=True)
    return float(same.mean()) * (len(ours) == len(found))


def growth(runs: dict[int, Run]) -> float:
    """Cost of an event at the greatest size over that at the least, divided by the growth of the logarithm."""
    low, high = min(runs), max(runs)
    return (runs[high].seconds / high) / (runs[low].seconds / low) / (np.log(high) / np.log(low))


def measure(seed: int, quick: bool) -> _harness.Measured:
    runs: dict[int, Run] = {}
    notes: dict[str, Any] = {"features": len(features().names), "made_seconds": {}}
    with tempfile.TemporaryDirectory(dir=_harness.ROOT, prefix=".features.") as place:
        folder = Path(place)
        for size in (*(QUICK_SIZES if quick else SIZES), *(() if quick else (LARGE,))):
            start = time.perf_counter()
            events = _feature_log.make(folder / "log", size, seed, days=QUICK_DAYS if quick else _feature_log.DAYS)
            notes["made_seconds"][events] = round(time.perf_counter() - start, 1)
            try:
                runs[events] = child(folder / "log", folder)
            except RuntimeError as error:
                if size != LARGE:
                    raise
                notes["hundred_million"] = str(error)
            if len(runs) == 1:
                seconds, between, frame = in_pandas(folder / "log", folder / "pandas.parquet")
                equal = share_equal(frame, folder / "features.parquet")
                del frame
            shutil.rmtree(folder / "log")
            _harness.progress(len(notes["made_seconds"]), len(QUICK_SIZES) if quick else len(SIZES) + 1)
    notes |= {"pandas_seconds": round(seconds, 2), "pandas_seconds_between_frames": round(between, 2)}
    notes |= {"runs": {n: _rounded(run) for n, run in runs.items()}}
    notes["events_a_second"] = {events: round(events / run.seconds) for events, run in runs.items()}
    return checks_of(runs, seconds, equal, quick), notes


def checks_of(runs: dict[int, Run], pandas_seconds: float, equal: float, quick: bool) -> list[_harness.Check]:
    usual = {size: run for size, run in runs.items() if size < LARGE / 2}
    speed, times = max(usual) / usual[max(usual)].seconds, pandas_seconds / usual[min(usual)].seconds
    checks = [
        _harness.at_least(
            f"twenty features of {max(usual):,} events", speed, "events/s", QUICK_RATE if quick else RATE
        ),
        _harness.at_most("memory of it", usual[max(usual)].peak_gib, "GiB", MEMORY_BOUND_GIB),
        _harness.at_least("as fast as pandas", times, "times", QUICK_TIMES_PANDAS if quick else TIMES_PANDAS),
        _harness.at_least("values that are those of pandas", equal, "of values", 1.0),
        _harness.at_most("cost, beside n log n", growth(usual), "times", QUICK_SLACK if quick else SLACK),
    ]
    if quick:
        return checks
    large = [run for size, run in runs.items() if size not in usual]
    checks.append(_harness.at_least("a hundred million events, done", len(large), "runs", 1))
    return checks + [
        _harness.at_most("memory of a hundred million events", run.peak_gib, "GiB", MEMORY_BOUND_GIB) for run in large
    ]


def _rounded(run: Run) -> dict[str, float]:
    return {name: round(value, 2) for name, value in asdict(run).items()}


if __name__ == "__main__":
    _harness.main("features", measure)
