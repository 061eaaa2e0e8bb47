"""What a tuning month costs beside its trials: tracking and bookkeeping, and reading a thousand trials as a frame.

Counted is every call that plans, claims, beats, ends, reaps or reads trials, writes or reads a file of the state, or writes to
MLflow; in seconds of the processor of the one process that does all of the month. Importing MLflow and making the tables of a new
store are done once for all months, and stand in the notes.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd

from beautyrec.campaign import month, month_days
from beautyrec.campaign.calendar import Calendar, CalendarConfig
from beautyrec.campaign.mlflow_store import mlflow_client
from beautyrec.campaign.month_frames import trial_frame
from beautyrec.campaign.month_tracking import MonthTracker
from beautyrec.campaign.month_trial import COMPLETE, Result, Task
from beautyrec.campaign.planning import Planner
from beautyrec.campaign.slots import Slots, me
from beautyrec.campaign.space import Family, Int
from beautyrec.campaign.tracking import MlflowTracker
from beautyrec.jobs.config import packaged
from beautyrec.jobs.month_config import MonthConfig, read_month
from beautyrec.jobs.shop import build_world, read_purchases
from benchmarks._harness import Measured, at_least, at_most, main

COUNTED = [
    *((Slots, name, "trials") for name in ("trials", "plan", "claim", "beat", "end", "reap")),
    *((room, name, "state") for room in (month, month_days) for name in ("write_entry", "read_entry")),
    (MonthTracker, "sync", "tracking"),
    (Planner, "batch", "sampler"),
]


@dataclass
class Clock:
    """Adds up the time of calls, of nested ones only the outermost."""

    seconds: dict[str, float] = field(default_factory=dict)
    within: bool = False

    def around(self, call: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def timed(*args: Any, **named: Any) -> Any:
            if self.within:
                return call(*args, **named)
            self.within, start = True, time.process_time()
            try:
                return call(*args, **named)
            finally:
                self.within = False
                self.seconds[kind] = self.seconds.get(kind, 0.0) + time.process_time() - start

        return timed


@contextmanager
def clocked() -> Iterator[Clock]:
    """Counts the calls of the block."""
    clock = Clock()
    with ExitStack() as stack:
        for room, name, kind in COUNTED:
            stack.enter_context(patch.object(room, name, clock.around(getattr(room, name), kind)))
        yield clock


def small(quick: bool, seed: int) -> MonthConfig:
    """``configs/month-small.toml``, by one process; fewer days in the quick form."""
    config = read_month(packaged("month-small.toml"))
    days = CalendarConfig(days=5, rounds=1, confirm_days=2, warm_up_days=1) if quick else config.month.calendar
    return replace(config, month=replace(config.month, workers=1, seed=seed, calendar=days))


def live(config: MonthConfig, folder: Path) -> tuple[dict[str, float], dict[str, Any]]:
    """A month with its tracking: seconds of each kind of overhead, and of all."""
    world = build_world(read_purchases(None, config), config, lambda *_: None)
    end = pd.Timestamp(int(world.month.ts.min()), unit="us", tz="UTC").floor("D")
    world.log().before(end + pd.Timedelta(days=config.month.calendar.days)).write(folder / "log")
    store, start = MlflowTracker.in_folder(folder), time.process_time()
    with mlflow_client(store.uri) as client:
        store.experiment_id(client)
    made = time.process_time() - start
    with clocked() as clock:
        start, wall = time.process_time(), time.perf_counter()
        campaign, tracker = (
            month.Campaign.create(config.month, folder / "log", folder / "campaign"),
            MonthTracker(store),
        )
        campaign.run(lambda day, told: tracker.sync(campaign))  # noqa: ARG005
        all_of_it, wall = time.process_time() - start, time.perf_counter() - wall
    notes = {
        "store_made_seconds": made,
        "processor_seconds": all_of_it,
        "wall_seconds": wall,
        "trials": len(campaign.trials()),
    }
    return clock.seconds, notes


def thousand(folder: Path) -> tuple[int, float]:
    """A thousand trials of six days each, as a frame of another process: how many rows, and the seconds."""
    families = {"steps": Family("steps", {"n": Int(1, 2000, log=True)}, {"n": 8})}
    days = tuple(
        {"day": float(day), "estimate": 0.1, "ci_low": 0.0, "ci_high": 0.2, "fit_seconds": 1.0} for day in range(6)
    )
    slots = Slots.open(folder / "many.journal", "many", families, ("lift",))
    best = {str(day): 0.1 for day in range(6)}
    slots.plan([Task(number, 3 + number // 50, 1, "steps", {"n": number + 1}, 0, best) for number in range(1000)])
    result = Result(COMPLETE, {"lift": 0.1}, dict.fromkeys("abcdefghijkl", 0.1), days, "trust")
    for _ in range(1000):
        claimed = slots.claim(me())
        if claimed is not None:
            slots.end(claimed[0], result)
    calendar = Calendar(CalendarConfig(), pd.Timestamp("2026-11-01", tz="UTC"))
    start = time.process_time()
    frame = trial_frame(Slots.open(folder / "many.journal", "many", families, ("lift",)).trials(), calendar)
    return len(frame[frame["state"] == COMPLETE]), time.process_time() - start


def measure(seed: int, quick: bool) -> Measured:
    with tempfile.TemporaryDirectory() as place:
        parts, notes = live(small(quick, seed), Path(place))
        rows, seconds = thousand(Path(place))
    share = (sum(parts.values()) - parts.get("sampler", 0.0)) / notes["processor_seconds"]
    checks = [
        at_most("tracking and bookkeeping", share, "share of the month's processor time", 0.5 if quick else 0.05),
        at_least("trials in the frame", rows, "rows", 1000),
        at_most("a thousand trials, from the journal to a frame", seconds, "processor seconds", 15 if quick else 3),
    ]
    return checks, {key: round(float(value), 3) for key, value in {**parts, **notes}.items()}


if __name__ == "__main__":
    main("month_overhead", measure)
