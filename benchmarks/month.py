"""A small tuning month beside plain Optuna with the same seconds of the processor: who truly sells more, whose promise holds.

Ten simulated shops. In each the campaign lives its twelve days, and plain Optuna (`benchmarks._month_plain`) gets the seconds
that this took. Both pick a policy or keep the shop's, and the world says what each is worth on the twelve days after. Sizes and
settings were chosen on seeds from 100; the seeds that are reported were run once.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.campaign.calendar import CalendarConfig
from beautyrec.campaign.final_model import FinalModel
from beautyrec.campaign.month import Campaign
from beautyrec.campaign.month_spec import AimConfig, BudgetConfig, MonthSpec, PolicyConfig
from beautyrec.campaign.searched import SearchedFamily
from beautyrec.data.log import EventLog
from beautyrec.data.slates import Slates
from beautyrec.data.times import microseconds
from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.world import World
from benchmarks._harness import Measured, at_least, at_most, main, progress
from benchmarks._month_plain import OneSplit, plain_optuna

SEEDS, HANDS = 10, 2
AFTER = 3000
"""Requests of the days after that the truth is read on."""
DRAWS = 10_000
"""Samples of the seeds, for the intervals."""
FULL = CalendarConfig(days=12, rounds=2, confirm_days=5, warm_up_days=1)
QUICK = CalendarConfig(days=5, rounds=1, confirm_days=2, warm_up_days=1)
FAMILIES = {
    "popularity": SearchedFamily({"window_days": 30}, {"window_days": {"low": 5, "high": 200, "log": True}}),
    "item_knn": SearchedFamily({"neighbours": 50}, {"neighbours": {"low": 5, "high": 50, "log": True}}),
    "als": SearchedFamily({"factors": 16}, {"factors": {"low": 4, "high": 32, "log": True}}, {"iterations": 8}),
    "funnel": SearchedFamily(
        {"click__trees": 40, "click__leaves": 6, "click__learning_rate": 0.06},
        {
            "click__trees": {"low": 10, "high": 120, "log": True},
            "click__leaves": {"low": 3, "high": 16},
            "click__learning_rate": {"low": 0.02, "high": 0.5, "log": True},
        },
    ),
}


def spec_of(seed: int, calendar: CalendarConfig) -> MonthSpec:
    """The month; the policy is the shop's to choose, and the same for every model of both sides."""
    return MonthSpec(
        seed=seed,
        calendar=calendar,
        budget=BudgetConfig(trials_per_day=4, batch=4),
        aim=AimConfig(window_days=5, refit_days=2),
        policy=PolicyConfig({"temperature": 0.4}, {"temperature": [0.4]}),
        families=FAMILIES,
    )


def world_of(seed: int, days: int, viewers: float) -> World:
    """A shop of some 150 buyers a day among 500 viewers: about what is needed to tell a lift of a third on a few days."""
    config = replace(WorldConfig.tiny(), days=2 * days, viewers_per_day=viewers, click_rate=0.35, room_conversion=0.3)
    return World.tiny(seed, config)


@dataclass(frozen=True)
class Truths:
    """What policies are truly worth after the month.

    Args:
        world: knows it.
        log: of the world, both months.
        slates: requests of the days after.
        legacy: room conversion of the shop's own policy on them.
    """

    world: World
    log: EventLog
    slates: Slates
    legacy: float

    @classmethod
    def of(cls, world: World, end: pd.Timestamp) -> Truths:
        """Those on requests drawn from the days from ``end`` on."""
        slates = world.slates()
        after = np.flatnonzero(slates.ts >= microseconds(end))
        keep = np.zeros(len(slates), dtype=np.bool_)
        keep[np.random.default_rng(0).choice(after, min(AFTER, len(after)), replace=False)] = True
        slates = slates.where(keep)
        legacy = world.legacy_truth(slates, rng=np.random.default_rng(0)).room_conversion.value
        return cls(world, world.log(), slates, legacy)

    def lift(self, chances: Any) -> float:
        """Of the policy with these chances."""
        found = self.world.truth(self.slates, chances, rng=np.random.default_rng(0))
        return found.room_conversion.value / self.legacy - 1

    @property
    def oracle(self) -> float:
        """The lift of the best slates."""
        best = self.world.truth_of_slates(self.slates, self.world.best_slates(self.slates))
        return best.room_conversion.value / self.legacy - 1


def one(seed: int, calendar: CalendarConfig, viewers: float) -> dict[str, Any]:
    """Both sides in the shop of a seed."""
    world, spec = world_of(seed, calendar.days, viewers), spec_of(seed, calendar)
    start = pd.Timestamp(int(world.month.ts.min()), unit="us", tz="UTC").floor("D")
    end = start + pd.Timedelta(days=calendar.days)
    with tempfile.TemporaryDirectory() as place:
        world.log().before(end).write(Path(place) / "log")
        campaign, begun = Campaign.create(spec, Path(place) / "log", Path(place) / "campaign"), time.process_time()
        found = campaign.run()
        seconds = time.process_time() - begun
        split = OneSplit(EventLog.read(Path(place) / "log"), spec)
        picked = plain_optuna(split, seconds)
        truths = Truths.of(world, end)
        row = {
            "seed": seed,
            "seconds": seconds,
            "trials": len(campaign.trials()),
            "family": "the shop's own policy",
            "promised": 0.0,
            "true": 0.0,
            "holds": True,
            "plain_seconds": picked.seconds,
            "plain_trials": picked.trials,
            "plain_family": picked.candidate.family,
            "plain_promised": picked.promised,
            "plain_true": truths.lift(split.chances(picked.candidate, truths.log, truths.slates)),
            "oracle": truths.oracle,
        }
        if found.champion is not None:
            told = next(each for each in found.rows if each["number"] == found.champion)
            true = truths.lift(FinalModel.of(campaign, found.champion).chances(truths.log, truths.slates))
            row |= {"family": told["family"], "promised": told["estimate"], "true": true}
            row["holds"] = bool(told["ci_low"] <= true <= told["ci_high"])
        return row


def rows_of(seeds: Sequence[int], calendar: CalendarConfig, viewers: float, hands: int) -> pd.DataFrame:
    """One row a seed; ``hands`` of them at once, in processes of one thread each."""
    run = partial(one, calendar=calendar, viewers=viewers)
    if hands == 1:
        return pd.DataFrame(map(run, seeds))
    rows = []
    with ProcessPoolExecutor(hands, multiprocessing.get_context("spawn")) as pool:
        for row in pool.map(run, seeds):
            rows.append(row)
            progress(len(rows), len(seeds))
    return pd.DataFrame(rows)


def mean_with_interval(values: Any, seed: int) -> list[float]:
    """The mean over seeds and its 95 % interval, by the percentiles of means of seeds drawn with replacement."""
    values = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(seed).choice(values, (DRAWS, len(values))).mean(axis=1)
    return [round(float(each), 4) for each in (values.mean(), *np.quantile(drawn, [0.025, 0.975]))]


def measure(seed: int, quick: bool) -> Measured:
    count = 1 if quick else SEEDS
    calendar, viewers = (QUICK, 100) if quick else (FULL, 500)
    rows = rows_of(range(seed, seed + count), calendar, viewers, 1 if quick else HANDS)
    error, plain = (rows["promised"] - rows["true"]).abs(), (rows["plain_promised"] - rows["plain_true"]).abs()
    better, closer = int((rows["true"] > rows["plain_true"]).sum()), int((error < plain).sum())
    apart = mean_with_interval(error - plain, seed)
    checks = [
        at_least("the campaign's policy truly converts more", better, f"of {count} seeds", 0 if quick else 7),
        at_least("its promise is nearer to the truth", closer, f"of {count} seeds", 0 if quick else 7),
        at_most("mean error of its promise, less plain Optuna's", apart[0], "of lift", 10 if quick else 0),
        at_most("the longest month", rows["seconds"].max(), "processor seconds", 600 if quick else 120),
        at_least("plain Optuna's seconds", (rows["plain_seconds"] / rows["seconds"]).min(), "of the campaign's", 1),
    ]
    notes = {
        "months_without_a_champion": int((rows["family"] == "the shop's own policy").sum()),
        "truth_inside_the_promised_interval": int(rows["holds"].sum()),
        "mean_absolute_error": mean_with_interval(error, seed),
        "plain_mean_absolute_error": mean_with_interval(plain, seed),
        "difference_of_errors": apart,
        "mean_error": mean_with_interval(rows["promised"] - rows["true"], seed),
        "plain_mean_error": mean_with_interval(rows["plain_promised"] - rows["plain_true"], seed),
        "mean_true_lift": mean_with_interval(rows["true"], seed),
        "plain_mean_true_lift": mean_with_interval(rows["plain_true"], seed),
        "difference_of_true_lifts": mean_with_interval(rows["true"] - rows["plain_true"], seed),
        "seeds": rows.round(4).to_dict("records"),
    }
    return checks, notes


if __name__ == "__main__":
    main("month", measure)
