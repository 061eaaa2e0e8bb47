"""What the benchmark of features computes, and a child process that computes it: ``python -m benchmarks._feature_rows``."""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ibis.backends.duckdb  # noqa: F401 (so that no time goes to imports; none of pandas' does)

from beautyrec.data.log import EventLog
from beautyrec.engine import Engine
from beautyrec.features.builder import AS_OF
from beautyrec.features.buyers import UserWithItem
from beautyrec.features.family import first_family
from beautyrec.features.feature_set import FeatureSet
from beautyrec.features.items import SmoothedReturnRate
from beautyrec.features.prices import PriceAgainstPast

KEYS = ("event_id", "user_id", "item_id", "room_id", "position")
MEMORY = "2500MB"
"""What DuckDB may use; the process beside it holds Python, Arrow and what DuckDB does not count."""
THREADS = 2


def features() -> FeatureSet:
    """Twenty features: of products and their categories, viewers, viewers with products and categories, rooms."""
    first = first_family(("scene 0", "scene 1", "scene 2"), utc_offset=8)
    return FeatureSet((*first.builders, UserWithItem(), SmoothedReturnRate(), PriceAgainstPast()))


def keys(log: EventLog) -> Any:
    """The impressions, each as known when its room began, which is how models learn and rank."""
    shown = log.events.filter(log.events["event"] == "impression").select(*KEYS)
    starts = log.rooms.select("room_id", as_of=log.rooms["starts_at"])
    return shown.inner_join(starts, "room_id").select(*KEYS, AS_OF)


@dataclass(frozen=True)
class Run:
    """What one child measured.

    Args:
        seconds: from the folder of the log to the file of features.
        read_seconds: of them, until the log was there, checked.
        cpu_seconds: of all threads.
        peak_gib: the most memory that the process had, all of it, at once.
    """

    seconds: float
    read_seconds: float
    cpu_seconds: float
    peak_gib: float


def run(log_folder: Path, out: Path, temporary: Path) -> Run:
    start = time.perf_counter()
    engine = Engine.duckdb(MEMORY, THREADS, temp_directory=temporary)
    log = EventLog.read(log_folder, engine)
    read = time.perf_counter() - start
    features().write(log, keys(log), out)
    seconds = time.perf_counter() - start
    # the kernel counts in KiB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return Run(seconds, read, time.process_time(), peak)


if __name__ == "__main__":
    print(json.dumps(asdict(run(*(Path(given) for given in sys.argv[1:])))))
