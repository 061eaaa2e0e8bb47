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

from beautyrec.campaign.calendar import Calendar
from beautyrec.campaign.confirmation import Confirmation
from beautyrec.campaign.crew import Crew
from beautyrec.campaign.judging import Judge, margin
from beautyrec.campaign.known_days import KnownDays
from beautyrec.campaign.month_days import DayRun
from beautyrec.campaign.month_frames import day_frame, decision_frame, review_frame, trial_frame
from beautyrec.campaign.month_spec import MonthSpec
from beautyrec.campaign.month_state import check_same, first_day, read_entry, write_entry
from beautyrec.campaign.month_trial import Trial
from beautyrec.campaign.planning import Plan
from beautyrec.campaign.review import Review
from beautyrec.campaign.slots import Slots
from beautyrec.campaign.trying import work_once
from beautyrec.data.log import EventLog
from beautyrec.errors import ConfigError, SourceError
from beautyrec.files import held_alone
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
            check_same(head, plain)
        else:
            start = first_day(events) if spec.start is None else pd.Timestamp(spec.start, tz="UTC")
            entry = {
                "identity": uuid.uuid4().hex,
                "start": start.isoformat(),
                "storage": storage or JOURNAL,
                "log": None if place is None else str(place.resolve()),
                "spec": plain,
            }
            write_entry(head, entry)
        return cls._of(folder, events)

    @classmethod
    def open(cls, folder: str | Path) -> Campaign:
        """The campaign that lies in ``folder``.

        Raises:
            SourceError: there is none, or its log is in memory only.
        """
        entry = read_entry(Path(folder) / HEAD)
        if entry["log"] is None:
            raise SourceError(f"'{folder}': the log of this campaign was in memory only. Use Campaign.create with it.")
        return cls._of(Path(folder), EventLog.read(entry["log"]))

    @classmethod
    def _of(cls, folder: Path, log: EventLog) -> Campaign:
        entry = read_entry(folder / HEAD)
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
        return Judge(known, spec.families, spec.seed, spec.aim.refit_days)

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
                told = DayRun(self, crew).run(day)
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
            return DayRun(self, crew).run(number)

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
        return self.day_file(self.spec.calendar.days - 1).exists()

    def trials(self) -> pd.DataFrame:
        """One row a trial: see `beautyrec.campaign.month_frames.trial_frame`."""
        return trial_frame(self.slots.trials(), self.calendar)

    def days(self) -> pd.DataFrame:
        """One row a day that is over."""
        return day_frame([read_entry(path) for path in sorted((self.folder / "days").glob("*.json"))])

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
        return [Review.from_json(read_entry(path)) for path in paths if path.exists()]

    def plans(self) -> list[Plan]:
        """The plans of the rounds that have begun."""
        paths = [self.folder / "rounds" / f"{part.number}-plan.json" for part in self.calendar.rounds]
        return [Plan.from_json(read_entry(path)) for path in paths if path.exists()]

    def confirmation(self) -> Confirmation | None:
        """What the confirmation found; None before it."""
        path = self.folder / "confirmation.json"
        return Confirmation.from_json(read_entry(path)) if path.exists() else None

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
        self.folder.mkdir(parents=True, exist_ok=True)
        busy = f"'{self.folder}': another process runs this campaign. Wait for it, or join with --worker."
        return held_alone(self.folder / "owner.lock", busy)

    def _crew(self) -> Crew:
        size = 0 if self.over else self.spec.workers - 1
        if size:
            _ = self.slots  # a database gets its tables once, before workers ask for them
        return Crew(self.folder, size)

    def day_file(self, day: int) -> Path:
        """Where it says what a day came to; the day is over once it is there."""
        return self.folder / "days" / f"{self.calendar.name(day)}.json"


def join_campaign(folder: str) -> None:
    """What a worker process runs."""
    Campaign.open(folder).work()
