"""One day of a campaign: its trials, on the last day of a round the review, on the last day of all the confirmation."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from beautyrec.campaign.calendar import Round
from beautyrec.campaign.confirmation import confirm
from beautyrec.campaign.crew import Crew
from beautyrec.campaign.judging import Candidate
from beautyrec.campaign.month_state import last_moment, read_entry, write_entry
from beautyrec.campaign.month_trial import Trial
from beautyrec.campaign.planning import Known, Plan, Planner, first_plan, next_plan
from beautyrec.campaign.review import candidates, gate, review, row_of
from beautyrec.campaign.slots import me
from beautyrec.campaign.trying import result_of, work_once
from beautyrec.errors import BeautyrecError, ConfigError

if TYPE_CHECKING:
    from beautyrec.campaign.month import Campaign


@dataclass(frozen=True, eq=False)
class DayRun:
    """Runs days of a campaign; the caller holds it.

    Args:
        campaign: whose days.
        crew: processes that help with the trials.
    """

    campaign: Campaign
    crew: Crew

    def run(self, day: int) -> dict[str, Any]:
        """What the day came to; nothing is done where it is over already."""
        path, start = self.campaign.day_file(day), time.perf_counter()
        if path.exists():
            return read_entry(path)
        self._check_day(day)
        part = self.campaign.calendar.round_of(day)
        told: dict[str, Any] = {
            "day": day,
            "date": self.campaign.calendar.name(day),
            "round": part.number if part else 0,
        }
        told["events"] = self.campaign.judge.known.count(day)
        if part is not None:
            told |= self._search(day, part)
        elif day == self.campaign.calendar.confirmation[-1]:
            told |= self._confirm(day)
        else:
            told |= {"phase": "confirmation", "note": "finalists wait for the last day"}
        write_entry(path, {**told, "seconds": time.perf_counter() - start})
        return read_entry(path)

    def _check_day(self, day: int) -> None:
        if not 0 <= day < self.campaign.spec.calendar.days:
            raise ConfigError(f"day {day}: the month has the days 0 to {self.campaign.spec.calendar.days - 1}.")
        earlier = [
            self.campaign.calendar.name(other) for other in range(day) if not self.campaign.day_file(other).exists()
        ]
        if earlier:
            raise ConfigError(
                f"day {self.campaign.calendar.name(day)}: {len(earlier)} earlier days have not been run, the first is "
                f"{earlier[0]}. Run them first, in their order."
            )
        ends, over = last_moment(self.campaign.log), self.campaign.calendar.begins(day + 1)
        if ends < self.campaign.calendar.begins(day) or (ends < over and pd.Timestamp.now(tz="UTC") < over):
            raise ConfigError(
                f"day {self.campaign.calendar.name(day)}: the log ends at {ends:%Y-%m-%d %H:%M} UTC, so this day lies in the "
                f"future or is not over. Run it when its events are there, or make the calendar shorter."
            )

    def _search(self, day: int, part: Round) -> dict[str, Any]:
        """The trials of a day and, on the last day of a round, its review."""
        plan = self._plan(part)
        note, budget, start = "", self.campaign.spec.budget, time.perf_counter()
        if day < self.campaign.spec.calendar.warm_up_days:
            return {"phase": "warm-up", "note": "models have too little to learn from; nothing is judged", "trials": 0}
        before = sum(read_entry(path)["seconds"] for path in (self.campaign.folder / "days").glob("*.json"))
        trials = self.campaign.slots.trials()
        first = sum(trial.task.day < day for trial in trials)
        end = first + budget.trials_per_day
        for low in range(first, end, budget.batch):
            spent = time.perf_counter() - start
            begun = any(trial.number >= low for trial in trials)  # before this process was, and cut off
            if not begun and any(
                limit is not None and used >= limit
                for limit, used in ((budget.seconds_per_day, spent), (budget.seconds, before + spent))
            ):
                note = f"the budget of seconds was spent after {low - first} trials"
                break
            self._batch(day, plan, range(low, min(low + budget.batch, end)))
        trials = [trial for trial in self.campaign.slots.trials() if trial.task.day == day]
        told = {"phase": "search", "trials": len(trials), "note": note, "first_trial": first}
        if day == part.last:
            told["review"] = f"rounds/{part.number}-review.json"
            self._review(part)
        return told

    def _batch(self, day: int, plan: Plan, numbers: range) -> None:
        """Plan a batch and see it done."""
        spec = self.campaign.spec
        self.campaign.slots.reap(spec.budget.patience, spec.budget.retries, idle=me())
        trials = self.campaign.slots.trials()
        before = [trial for trial in trials if trial.number < numbers.start]
        planner = Planner(spec.searched(), spec.aim.objectives, spec.sampler.sampler(), spec.seed)
        known = Known(self._best(before, day), self._anchor(day))
        self.campaign.slots.plan(planner.batch(plan, before, day, numbers, known))
        while any(trial.result is None for trial in self.campaign.slots.trials() if trial.number in numbers):
            if not work_once(self.campaign.slots, self.campaign.judge, spec, self.campaign.calendar):
                time.sleep(0.05)
            self.crew.tend()
            self.campaign.slots.reap(spec.budget.patience, spec.budget.retries)
        self.campaign.slots.reap(spec.budget.patience, spec.budget.retries)

    def _best(self, trials: list[Trial], day: int) -> dict[str, float]:
        """The daily lifts of the best trial so far, on the days that today's trials are judged on."""
        objective = self.campaign.spec.aim.objectives[0]
        sound = [one for one in trials if one.complete and one.result is not None and not one.result.barred]
        if not sound:
            return {}
        best = max(sound, key=lambda one: (one.standing(objective), -one.number))
        days = best.result.days if best.result else ()
        window = self.campaign.calendar.window(day, self.campaign.spec.aim.window_days)
        return {
            str(int(one["day"])): float(one["estimate"])
            for one in days
            if "estimate" in one and int(one["day"]) in window
        }

    def _anchor(self, day: int) -> dict[str, float]:
        """The values of the anchor, the first family with its defaults, on the days that today's trials are judged on.

        Where it cannot be judged, trials are compared as they are.
        """
        family = next(iter(self.campaign.spec.searched().values()))
        days = self.campaign.calendar.window(day, self.campaign.spec.aim.window_days)
        try:
            judged = self.campaign.judge.judge(
                Candidate(family.name, family.defaults), days, day, self.campaign.spec.metric
            )
            return dict(result_of(judged, self.campaign.spec).values)
        except BeautyrecError:
            return {}

    def _plan(self, part: Round) -> Plan:
        """The plan of a round, made when it begins."""
        path = self.campaign.folder / "rounds" / f"{part.number}-plan.json"
        if not path.exists():
            if part.number == 1:
                plan = first_plan(self.campaign.spec.searched())
            else:
                last, told = self.campaign.plans()[-1], self.campaign.round_reviews()[-1]
                plan = next_plan(
                    last, self.campaign.slots.trials(), self.campaign.spec.aim.objectives[0], told.drop, told.leader
                )
            write_entry(path, plan.to_json())
        return Plan.from_json(read_entry(path))

    def _champion(self) -> int | None:
        held = self.campaign.round_reviews()
        return held[-1].champion if held else None

    def _review(self, part: Round) -> None:
        path = self.campaign.folder / "rounds" / f"{part.number}-review.json"
        if path.exists():
            return
        trials, champion = self.campaign.slots.trials(), self._champion()
        days, still = (
            self.campaign.calendar.judged(part),
            self._plan(part).shares,
        )  # what was dropped does not come back
        rivals = [one for one in trials if one.task.family in still or one.number == champion]
        rows = [
            row_of(one, self.campaign.judge, days, part.last, self.campaign.spec)
            for one in candidates(rivals, self.campaign.spec, champion)
        ]
        found = review(
            part.number, [self.campaign.calendar.name(day) for day in days], rows, trials, self.campaign.spec, champion
        )
        write_entry(path, found.to_json())

    def _confirm(self, day: int) -> dict[str, Any]:
        path, last = self.campaign.folder / "confirmation.json", self.campaign.round_reviews()[-1]
        days = self.campaign.calendar.confirmation
        if not path.exists():
            finalists = sorted(last.rows, key=lambda row: (len(gate(row, self.campaign.spec.gate)) > 0, -_low(row)))
            before = finalists[: self.campaign.spec.gate.finalists]
            after = [
                row_of(self.campaign.trial(int(row["number"])), self.campaign.judge, days, day, self.campaign.spec)
                for row in before
            ]
            write_entry(
                path,
                confirm(
                    [self.campaign.calendar.name(each) for each in days], before, after, self.campaign.spec
                ).to_json(),
            )
        return {"phase": "confirmation", "note": "", "review": path.name}


def _low(row: Mapping[str, Any]) -> float:
    return -1.0 if row["ci_low"] is None else float(row["ci_low"])
