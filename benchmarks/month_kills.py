"""A small tuning month by two processes, killed again and again, ends as one that was left alone.

At random moments the process that plans, or the worker beside it, gets SIGKILL; a planner that is gone is started again.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np

from beautyrec.campaign.calendar import CalendarConfig
from beautyrec.campaign.mlflow_store import mlflow_client, search_runs
from beautyrec.campaign.month import Campaign
from beautyrec.campaign.month_spec import AimConfig, BudgetConfig, MonthSpec
from beautyrec.campaign.month_tracking import CAMPAIGN_TAG, MonthTracker
from beautyrec.campaign.searched import SearchedFamily
from beautyrec.campaign.tracking import MlflowTracker
from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.world import World
from benchmarks._harness import Measured, at_least, at_most, main, progress

FULL = CalendarConfig(days=12, rounds=4, confirm_days=4, warm_up_days=1)
QUICK = CalendarConfig(days=5, rounds=1, confirm_days=2, warm_up_days=1)
SAME = ["number", "date", "round", "family", "params", "state", "value", "verdict", "reason", "seed"]
FAMILIES = {
    "popularity": SearchedFamily({"window_days": 30}, {"window_days": {"low": 5, "high": 200, "log": True}}),
    "item_knn": SearchedFamily({"neighbours": 50}, {"neighbours": {"low": 5, "high": 50, "log": True}}),
}


def spec_of(calendar: CalendarConfig) -> MonthSpec:
    """A trial that is killed is begun again as often as it takes: kills may well hit one trial several times."""
    budget = BudgetConfig(trials_per_day=18, batch=3, retries=50)
    return MonthSpec(seed=1, calendar=calendar, budget=budget, aim=AimConfig(window_days=3), families=FAMILIES)


def live(folder: str, store: str) -> None:
    """What a planner's process does: the days, each written to MLflow when it is over."""
    campaign, tracker = Campaign.open(folder), MonthTracker(MlflowTracker.in_folder(store))
    campaign.run(lambda day, told: tracker.sync(campaign))  # noqa: ARG005


@dataclass
class Killer:
    """Kills planner or worker after one to three more results, at a random moment of the work that follows."""

    campaign: Campaign
    rng: np.random.Generator
    wanted: int
    done: Counter[str] = field(default_factory=Counter)

    def watch(self, planner: BaseProcess) -> None:
        """Until the planner is gone, of itself or killed."""
        while planner.is_alive() and self.done.total() < self.wanted:
            have = self._results() + int(self.rng.integers(1, 4))
            limit = time.monotonic() + 60
            while planner.is_alive() and self._results() < have and time.monotonic() < limit:
                time.sleep(0.05)
            time.sleep(self.rng.uniform(0, 1.0))
            self._kill(planner)
        planner.join()

    def _kill(self, planner: BaseProcess) -> None:
        if not planner.is_alive() or planner.pid is None:
            return
        victims = {"planner": planner.pid, **dict(zip(("worker",), spawned(planner.pid), strict=False))}
        who = str(self.rng.choice(sorted(victims)))
        try:
            os.kill(victims[who], signal.SIGKILL)
        except ProcessLookupError:
            return
        self.done[who] += 1
        progress(self.done.total(), self.wanted)
        if who == "planner":
            planner.join()

    def _results(self) -> int:
        return sum(trial.result is not None for trial in self.campaign.slots.trials())


def spawned(pid: int) -> list[int]:
    """The workers that a process has spawned."""
    try:
        below = [
            int(one) for task in Path(f"/proc/{pid}/task").iterdir() for one in (task / "children").read_text().split()
        ]
        return [one for one in below if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]
    except OSError:
        return []


def tracked(campaign: Campaign, store: MlflowTracker) -> dict[str, list[Any]]:
    """The runs that MLflow has of a campaign, by what they are of."""
    found: dict[str, list[Any]] = {}
    with mlflow_client(store.uri) as client:
        query = f"tags.`{CAMPAIGN_TAG}` = '{campaign.identity}'"
        for run in search_runs(client, store.experiment_id(client), query):
            found.setdefault(run.data.tags["beautyrec.part"], []).append(run)
    return found


def agree(campaign: Campaign, runs: dict[str, list[Any]]) -> int:
    """How many trials MLflow has once, with the state and the value that Optuna has."""
    count = 0
    for row in campaign.trials().to_dict("records"):
        held = runs.get(f"trial {row['number']}", [])
        if len(held) == 1 and held[0].data.tags["state"] == row["state"]:
            told = held[0].data.metrics.get("objective/room_conversion")
            count += told is None if not row["values"] else told == row["values"]["room_conversion"]
    return count


def measure(seed: int, quick: bool) -> Measured:
    kills, spec = (2, spec_of(QUICK)) if quick else (20, spec_of(FULL))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        World.tiny(seed, replace(WorldConfig.tiny(), days=spec.calendar.days)).log().write(folder / "log")
        calm = Campaign.create(spec, folder / "log", folder / "calm")
        start = time.perf_counter()
        expected = calm.run()
        alone = time.perf_counter() - start
        wild = Campaign.create(replace(spec, workers=2), folder / "log", folder / "wild")
        killer, starts = Killer(wild, np.random.default_rng(seed), kills), 0
        while not wild.over and starts < kills + 5:
            planner = multiprocessing.get_context("spawn").Process(target=live, args=(str(wild.folder), str(folder)))
            planner.start()
            starts += 1
            killer.watch(planner)
        return checks_of(
            calm, wild, expected, killer, {"planner_starts": starts, "seconds_alone": round(alone, 1)}, folder
        )


def checks_of(
    calm: Campaign, wild: Campaign, expected: Any, killer: Killer, notes: dict[str, Any], folder: Path
) -> Measured:
    store = MlflowTracker.in_folder(folder)
    MonthTracker(store).sync(wild)
    trials, others, found = wild.trials()[SAME], calm.trials()[SAME], wild.confirmation()
    numbers, runs = trials["number"].tolist(), tracked(wild, store)
    rows = [frame.astype(str).to_numpy().tolist() for frame in (trials, others)]
    alike = sum(one == other for one, other in zip(*rows, strict=False))
    same = found is not None and (found.champion, found.challenger) == (expected.champion, expected.challenger)
    checks = [
        at_least("processes killed", killer.done.total(), "kills", killer.wanted),
        at_least("the month is over", wild.over, "yes = 1", 1),
        at_most("trial numbers missing or double", len(others) + len(numbers) - 2 * len(set(numbers)), "trials", 0),
        at_least("trials as without the kills", alike / len(others), "share", 1),
        at_least("trials that MLflow and Optuna agree on", agree(wild, runs) / len(others), "share", 1),
        at_most("runs that MLflow has twice", sum(len(held) > 1 for held in runs.values()), "runs", 0),
        at_least("champion and challenger as without the kills", same, "yes = 1", 1),
    ]  # fmt: skip
    begun = len(wild.slots.study.get_trials(deepcopy=False))
    return checks, {**notes, "killed": dict(killer.done), "trials": len(numbers), "trials_begun": begun}


if __name__ == "__main__":
    main("month_kills", measure)
