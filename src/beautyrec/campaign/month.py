"""The tuning month: a campaign of days that can be run one by one, killed at any instant, and run again.

Its state is a folder. What is tried and what came of it lies in an Optuna storage; what each day, round and the confirmation
came to lies in a file each, which appears whole or not at all. Running a day twice changes nothing.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from beautyrec.campaign.calendar import Calendar, Round
from beautyrec.campaign.confirmation import Confirmation, confirm
from beautyrec.campaign.crew import Crew
from beautyrec.campaign.judging import Candidate, Judge, margin
from beautyrec.campaign.known_days import KnownDays
from beautyrec.campaign.month_frames import day_frame, decision_frame, review_frame, trial_frame
from beautyrec.campaign.month_spec import MonthSpec
from beautyrec.campaign.month_trial import Trial
from beautyrec.campaign.planning import Known, Plan, Planner, first_plan, next_plan
from beautyrec.campaign.review import Review, candidates, gate, review, row_of
from beautyrec.campaign.slots import Slots, owner
from beautyrec.campaign.trying import result_of, work_once
from beautyrec.data.log import EventLog
from beautyrec.data.schema import EVENT, IMPRESSION, TS
from beautyrec.errors import BeautyrecError, ConfigError, SourceError
from beautyrec.files import atomic_file
from beautyrec.settings import from_table

HEAD, JOURNAL = "campaign.json", "trials.journal"
OnDay = Callable[[int, Mapping[str, Any]], None]
"""Called with each day and what it came to."""


@dataclass(frozen=True, eq=False)
class Campaign:
    """A tuning month over a log.

    Args:
        spec: of the month.
        folder: of its state.
        log: what is known, day by day.
        start: midnight (UTC) before its first day.
        identity: what tells this campaign from any other.
        storage: of the trials: a path or the address of a database.
        log_place: the folder of the log, which other processes read; None where it is in memory only.
    """

    spec: MonthSpec
    folder: Path
    log: EventLog
    start: pd.Timestamp
    identity: str
    storage: str
    log_place: Path | None = None

    @classmethod
    def create(
        cls, spec: MonthSpec, log: EventLog | Path, folder: str | Path, *, storage: str | None = None
    ) -> Campaign:
        """The campaign of ``folder``: a new one, or the one that lies there if it has the same spec.

        Args:
            spec: of the month.
            log: an event log, or the folder of one, which is what several workers need.
            folder: of its state.
            storage: the address of a database for the trials; a journal file in ``folder`` if None.

        Raises:
            ConfigError: another campaign lies there, or there are several workers and a log in memory.
            SourceError: the log has no impression.
        """
        place = log if isinstance(log, Path) else None
        if place is None and spec.workers > 1:
            raise ConfigError(f"month: {spec.workers} workers read the log from files. Give the folder of a log.")
        folder, events = Path(folder), EventLog.read(log) if isinstance(log, Path) else log
        head, plain = folder / HEAD, json.loads(json.dumps(asdict(spec)))
        if head.exists():
            _check_same(head, plain)
        else:
            start = _first_day(events) if spec.start is None else pd.Timestamp(spec.start, tz="UTC")
            entry = {
                "identity": uuid.uuid4().hex,
                "start": start.isoformat(),
                "storage": storage or JOURNAL,
                "log": None if place is None else str(place.resolve()),
                "spec": plain,
            }
            _write(head, entry)
        return cls._of(folder, events)

    @classmethod
    def open(cls, folder: str | Path) -> Campaign:
        """The campaign that lies in ``folder``.

        Raises:
            SourceError: there is none, or its log is in memory only.
        """
        entry = _read(Path(folder) / HEAD)
        if entry["log"] is None:
            raise SourceError(f"'{folder}': the log of this campaign was in memory only. Use Campaign.create with it.")
        return cls._of(Path(folder), EventLog.read(entry["log"]))

    @classmethod
    def _of(cls, folder: Path, log: EventLog) -> Campaign:
        entry = _read(folder / HEAD)
        spec = from_table(MonthSpec, entry["spec"], f"'{folder / HEAD}'")
        place = None if entry["log"] is None else Path(entry["log"])
        return cls(spec, folder, log, pd.Timestamp(entry["start"]), entry["identity"], entry["storage"], place)

    @cached_property
    def calendar(self) -> Calendar:
        """Its days."""
        return Calendar(self.spec.calendar, self.start)

    @cached_property
    def judge(self) -> Judge:
        """What values candidates."""
        spec = self.spec
        reward = margin(spec.aim.commission) if spec.money else None
        known = KnownDays(self.log, self.calendar, spec.weights, spec.learn_days, spec.seed, reward)
        return Judge(known, spec.families, spec.seed)

    @cached_property
    def slots(self) -> Slots:
        """Its trials, as processes share them."""
        storage = self.storage if "://" in self.storage else self.folder / self.storage
        return Slots.open(storage, self.identity, self.spec.searched(), self.spec.aim.objectives)

    def run(self, on_day: OnDay | None = None) -> Confirmation:
        """All days that are not over yet, in their order; what the confirmation found.

        Raises:
            ConfigError: another process runs this campaign, or the log ends before the month does.
        """
        with self._held(), self._crew() as crew:
            for day in range(self.spec.calendar.days):
                told = self._run_day(day, crew)
                if on_day is not None:
                    on_day(day, told)
        found = self.confirmation()
        if found is None:
            raise SourceError(
                f"'{self.folder}': the month is over and its confirmation is missing. Remove the last day's file."
            )
        return found

    def run_day(self, day: int | str) -> dict[str, Any]:
        """One day; nothing happens where it is over already. What it came to.

        Args:
            day: its number from 0, or its date.

        Raises:
            ConfigError: it is no day of the month, an earlier day has not been run, the log does not reach it yet, or
                another process runs this campaign.
        """
        number = day if isinstance(day, int) else self.calendar.day_of(f"{day}T00:00Z")
        with self._held(), self._crew() as crew:
            return self._run_day(number, crew)

    def work(self, wait: float = 0.2) -> int:
        """Join as a worker, until the month is over; how many trials were done."""
        done = 0
        while True:
            if work_once(self.slots, self.judge, self.spec, self.calendar):
                done += 1
            elif self.over:
                return done
            else:
                time.sleep(wait)

    @property
    def over(self) -> bool:
        """Whether all days are."""
        return self._day_file(self.spec.calendar.days - 1).exists()

    def trials(self) -> pd.DataFrame:
        """One row a trial: see `beautyrec.campaign.month_frames.trial_frame`."""
        return trial_frame(self.slots.trials(), self.calendar)

    def days(self) -> pd.DataFrame:
        """One row a day that is over."""
        return day_frame([_read(path) for path in sorted((self.folder / "days").glob("*.json"))])

    def reviews(self) -> pd.DataFrame:
        """One row a round and candidate, and those of the confirmation with round 0."""
        return review_frame(self.round_reviews(), self.confirmation())

    def decisions(self) -> pd.DataFrame:
        """One row a decision: ``round, what, subject, reasons``."""
        found = [decision for each in self.round_reviews() for decision in each.decisions]
        last = self.confirmation()
        return decision_frame([*found, *(last.decisions if last else ())])

    def round_reviews(self) -> list[Review]:
        """The reviews that were held."""
        paths = [self.folder / "rounds" / f"{part.number}-review.json" for part in self.calendar.rounds]
        return [Review.from_json(_read(path)) for path in paths if path.exists()]

    def plans(self) -> list[Plan]:
        """The plans of the rounds that have begun."""
        paths = [self.folder / "rounds" / f"{part.number}-plan.json" for part in self.calendar.rounds]
        return [Plan.from_json(_read(path)) for path in paths if path.exists()]

    def confirmation(self) -> Confirmation | None:
        """What the confirmation found; None before it."""
        path = self.folder / "confirmation.json"
        return Confirmation.from_json(_read(path)) if path.exists() else None

    def trial(self, number: int) -> Trial:
        """A trial by its number.

        Raises:
            ConfigError: there is none.
        """
        found = {trial.number: trial for trial in self.slots.trials()}
        if number not in found:
            raise ConfigError(f"month: there is no trial {number}; there are {len(found)}, from 0.")
        return found[number]

    def _held(self) -> Any:
        return owner(self.folder / "owner.lock")

    def _crew(self) -> Crew:
        return Crew(self.folder, 0 if self.over else self.spec.workers - 1)

    def _day_file(self, day: int) -> Path:
        return self.folder / "days" / f"{self.calendar.name(day)}.json"

    def _run_day(self, day: int, crew: Crew) -> dict[str, Any]:
        path, start = self._day_file(day), time.perf_counter()
        if path.exists():
            return _read(path)
        self._check_day(day)
        part = self.calendar.round_of(day)
        told: dict[str, Any] = {"day": day, "date": self.calendar.name(day), "round": part.number if part else 0}
        told["events"] = self.judge.known.count(day)
        if part is not None:
            told |= self._search(day, part, crew)
        elif day == self.calendar.confirmation[-1]:
            told |= self._confirm(day)
        else:
            told |= {"phase": "confirmation", "note": "finalists wait for the last day"}
        _write(path, {**told, "seconds": time.perf_counter() - start})
        return _read(path)

    def _check_day(self, day: int) -> None:
        if not 0 <= day < self.spec.calendar.days:
            raise ConfigError(f"day {day}: the month has the days 0 to {self.spec.calendar.days - 1}.")
        earlier = [self.calendar.name(other) for other in range(day) if not self._day_file(other).exists()]
        if earlier:
            raise ConfigError(
                f"day {self.calendar.name(day)}: {len(earlier)} earlier days have not been run, the first is {earlier[0]}. "
                f"Run them first, in their order."
            )
        ends = _last_moment(self.log)
        if ends < self.calendar.begins(day):
            raise ConfigError(
                f"day {self.calendar.name(day)}: the log ends at {ends:%Y-%m-%d %H:%M} UTC, so this day lies in the future. "
                f"Run it when its events are there, or make the calendar shorter."
            )

    def _search(self, day: int, part: Round, crew: Crew) -> dict[str, Any]:
        """The trials of a day and, on the last day of a round, its review."""
        plan = self._plan(part)
        note, budget, start = "", self.spec.budget, time.perf_counter()
        if day < self.spec.calendar.warm_up_days:
            return {"phase": "warm-up", "note": "models have too little to learn from; nothing is judged", "trials": 0}
        before = sum(_read(path)["seconds"] for path in (self.folder / "days").glob("*.json"))
        trials = self.slots.trials()
        first = sum(trial.task.day < day for trial in trials)
        end = first + budget.trials_per_day
        for low in range(first, end, budget.batch):
            spent = time.perf_counter() - start
            if any(
                limit is not None and used >= limit
                for limit, used in ((budget.seconds_per_day, spent), (budget.seconds, before + spent))
            ):
                note = f"the budget of seconds was spent after {low - first} trials"
                break
            self._batch(day, plan, range(low, min(low + budget.batch, end)), crew)
        trials = [trial for trial in self.slots.trials() if trial.task.day == day]
        told = {"phase": "search", "trials": len(trials), "note": note, "first_trial": first}
        if day == part.last:
            told["review"] = f"rounds/{part.number}-review.json"
            self._review(part)
        return told

    def _batch(self, day: int, plan: Plan, numbers: range, crew: Crew) -> None:
        """Plan a batch and see it done."""
        trials, spec = self.slots.trials(), self.spec
        before = [trial for trial in trials if trial.number < numbers.start]
        planner = Planner(spec.searched(), spec.aim.objectives, spec.sampler.sampler(), spec.seed)
        known = Known(self._best(before, day), self._anchor(day))
        self.slots.plan(planner.batch(plan, before, day, numbers, known))
        while any(trial.result is None for trial in self.slots.trials() if trial.number in numbers):
            if not work_once(self.slots, self.judge, spec, self.calendar):
                time.sleep(0.02)
            crew.tend()
            self.slots.reap(spec.budget.patience, spec.budget.retries)
        self.slots.reap(spec.budget.patience, spec.budget.retries)

    def _best(self, trials: list[Trial], day: int) -> dict[str, float]:
        """The daily lifts of the best trial so far, on the days that today's trials are judged on."""
        objective = self.spec.aim.objectives[0]
        sound = [one for one in trials if one.complete and one.result is not None and not one.result.barred]
        if not sound:
            return {}
        best = max(sound, key=lambda one: (one.standing(objective), -one.number))
        days = best.result.days if best.result else ()
        window = self.calendar.window(day, self.spec.aim.window_days)
        return {
            str(int(one["day"])): float(one["estimate"])
            for one in days
            if "estimate" in one and int(one["day"]) in window
        }

    def _anchor(self, day: int) -> dict[str, float]:
        """The values of the anchor, the first family with its defaults, on the days that today's trials are judged on.

        Where it cannot be judged, trials are compared as they are.
        """
        family = next(iter(self.spec.searched().values()))
        days = self.calendar.window(day, self.spec.aim.window_days)
        try:
            judged = self.judge.judge(Candidate(family.name, family.defaults), days, day, self.spec.metric)
            return dict(result_of(judged, self.spec).values)
        except BeautyrecError:
            return {}

    def _plan(self, part: Round) -> Plan:
        """The plan of a round, made when it begins."""
        path = self.folder / "rounds" / f"{part.number}-plan.json"
        if not path.exists():
            if part.number == 1:
                plan = first_plan(self.spec.searched())
            else:
                last, told = self.plans()[-1], self.round_reviews()[-1]
                plan = next_plan(last, self.slots.trials(), self.spec.aim.objectives[0], told.drop, told.leader)
            _write(path, plan.to_json())
        return Plan.from_json(_read(path))

    def _champion(self) -> int | None:
        held = self.round_reviews()
        return held[-1].champion if held else None

    def _review(self, part: Round) -> None:
        path = self.folder / "rounds" / f"{part.number}-review.json"
        if path.exists():
            return
        trials, champion = self.slots.trials(), self._champion()
        days = self.calendar.judged(part)
        rows = [row_of(one, self.judge, days, part.last, self.spec) for one in candidates(trials, self.spec, champion)]
        found = review(part.number, [self.calendar.name(day) for day in days], rows, trials, self.spec, champion)
        _write(path, found.to_json())

    def _confirm(self, day: int) -> dict[str, Any]:
        path, last = self.folder / "confirmation.json", self.round_reviews()[-1]
        days = self.calendar.confirmation
        if not path.exists():
            finalists = sorted(last.rows, key=lambda row: (len(gate(row, self.spec.gate)) > 0, -_low(row)))
            before = finalists[: self.spec.gate.finalists]
            after = [row_of(self.trial(int(row["number"])), self.judge, days, day, self.spec) for row in before]
            _write(path, confirm([self.calendar.name(each) for each in days], before, after, self.spec).to_json())
        return {"phase": "confirmation", "note": "", "review": path.name}


def join_campaign(folder: str) -> None:
    """What a worker process runs."""
    Campaign.open(folder).work()


def _low(row: Mapping[str, Any]) -> float:
    return -1.0 if row["ci_low"] is None else float(row["ci_low"])


def _write(path: Path, entry: Mapping[str, Any]) -> None:
    """A JSON file, whole or not at all.

    Raises:
        SourceError: it cannot be written, for instance because the disk is full; what was there stays.
    """
    try:
        with atomic_file(path) as temporary:
            temporary.write_text(json.dumps(entry, indent=1), encoding="utf-8")
    except OSError as error:
        raise SourceError(
            f"'{path}' cannot be written: {error}. What was there stays; make room and run it again."
        ) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        entry: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise SourceError(f"'{path}' cannot be read: {error}. It is part of the state of a campaign.") from None
    return entry


def _check_same(head: Path, spec: Mapping[str, Any]) -> None:
    """Raises where another campaign lies there. Workers and budgets of seconds may change."""
    old = _read(head)["spec"]
    loose = {"workers", "budget"}
    apart = [key for key in spec if key not in loose and spec[key] != old.get(key)]
    if apart:
        raise ConfigError(
            f"'{head.parent}' holds a campaign with another {', '.join(apart)}. Go on with that one as it was, or name "
            f"another folder."
        )


def _first_day(log: EventLog) -> pd.Timestamp:
    shown = log.events.filter(log.events[EVENT] == IMPRESSION)
    start = log.engine.frame(shown.aggregate(start=shown[TS].min()))["start"].iloc[0]
    if pd.isna(start):
        raise SourceError("month: the log has no impression. A tuning month reads lift from what was shown.")
    return pd.Timestamp(start).tz_convert("UTC").floor("D")


def _last_moment(log: EventLog) -> pd.Timestamp:
    end = log.engine.frame(log.events.aggregate(end=log.events[TS].max()))["end"].iloc[0]
    return pd.Timestamp(end).tz_convert("UTC")
