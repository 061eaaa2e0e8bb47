from __future__ import annotations

import errno
import itertools
import json
import multiprocessing
import os
import signal
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from optuna.storages.journal import JournalFileBackend

from beautyrec.campaign.calendar import Calendar, CalendarConfig
from beautyrec.campaign.judging import Candidate, Judge
from beautyrec.campaign.known_days import KnownDays
from beautyrec.campaign.month import Campaign
from beautyrec.campaign.month_spec import AimConfig, BudgetConfig, GateConfig, MonthSpec, PolicyConfig, SamplerConfig
from beautyrec.campaign.month_state import first_day, read_entry, write_entry
from beautyrec.campaign.searched import SearchedFamily
from beautyrec.data.log import EventLog
from beautyrec.data.schema import AVAILABLE_AT
from beautyrec.errors import ConfigError, StateError
from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.world import World

FAMILIES = {
    "popularity": SearchedFamily({"window_days": 30}, {"window_days": {"low": 5, "high": 200, "log": True}}),
    "item_knn": SearchedFamily({"neighbours": 50}, {"neighbours": {"low": 5, "high": 50, "log": True}}),
}
SPEC = MonthSpec(
    seed=1,
    calendar=CalendarConfig(days=7, rounds=2, confirm_days=3, warm_up_days=1),
    budget=BudgetConfig(trials_per_day=4, batch=2),
    aim=AimConfig(window_days=2),
    families=FAMILIES,
)
TRIALS = 12
SAME = ["number", "date", "round", "family", "params", "state", "value", "verdict", "reason", "seed"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("month") / "log"
    World.tiny(0, replace(WorldConfig.tiny(), days=7)).log().write(folder)
    return folder


@pytest.fixture(scope="module")
def over(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    campaign = Campaign.create(SPEC, place, tmp_path_factory.mktemp("over"))
    campaign.run()
    return campaign


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_month_from_the_first_day_to_the_confirmation(over: Campaign) -> None:
    trials = over.trials()
    assert trials["number"].tolist() == list(range(TRIALS))
    assert set(trials["state"]) <= {"complete", "pruned"}
    assert trials["params"][0] == {"window_days": 30, "policy__temperature": 0.7}, "defaults come first"
    assert trials["params"][1] == {"neighbours": 50, "policy__temperature": 0.7}
    assert over.days()["phase"].tolist() == ["warm-up"] + ["search"] * 3 + ["confirmation"] * 3
    assert over.reviews()["round"].drop_duplicates().tolist() == [1, 2, 0]
    confirmed = over.confirmation()
    assert confirmed is not None
    assert (over.decisions()["round"] == 0).sum() == len(confirmed.rows)
    assert confirmed.days == tuple(over.days()["date"][-3:])


def test_running_it_again_changes_nothing(over: Campaign) -> None:
    before = contents(over.folder)
    again = Campaign.open(over.folder)
    again.run()
    again.run_day(2)
    assert contents(over.folder) == before


def test_no_trial_is_judged_on_a_day_of_the_confirmation_or_of_the_future(over: Campaign) -> None:
    first = over.calendar.confirmation[0]
    for row in over.trials().to_dict("records"):
        day = over.calendar.day_of(f"{row['date']}T00:00Z")
        judged = [int(numbers["day"]) for numbers in row["days"]]
        assert judged == [each for each in (day - 1, day) if each >= 1][: len(judged)]
        assert max(judged) < first


def test_what_a_day_sees_does_not_hang_on_what_came_later(place: Path) -> None:
    """The whole log, and the log cut off when day 3 was over, give the same value."""
    log = EventLog.read(place)
    world = World.tiny(0, replace(WorldConfig.tiny(), days=7))
    start = pd.Timestamp(int(world.slates().ts.min()), unit="us", tz="UTC").floor("D")
    cut = log.engine.frame(log.events)
    cut = cut[cut[AVAILABLE_AT] < start + pd.Timedelta(days=4)]
    frames = [log.engine.frame(getattr(log, name)) for name in ("items", "users", "rooms", "shelves")]
    found = []
    for known in (log, EventLog.from_frames(cut, *frames)):
        spec = replace(SPEC, start=str(start.date()), families={**FAMILIES, "funnel": SearchedFamily()})
        judge = Judge(KnownDays(known, Calendar(spec.calendar, start), spec.weights), spec.families, 0)
        for family, days in (("item_knn", range(2, 4)), ("funnel", range(3, 4))):
            judged = judge.judge(Candidate(family, {}), days, 3, "room_conversion", scenes=True)
            found.append((judged.table["estimate"].to_numpy(float), judged.scenes["estimate"].to_numpy(float)))
    for one, other in zip(found[:2], found[2:], strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_a_model_serves_the_days_until_the_next_fit(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warm-up is day 0: with two days a fit, models are fitted on days 1, 3 and 5."""
    asked: list[int] = []
    plain = KnownDays.interactions

    def interactions(known: KnownDays, day: int) -> Any:
        asked.append(day)
        return plain(known, day)

    monkeypatch.setattr(KnownDays, "interactions", interactions)
    log = EventLog.read(place)
    start = first_day(log)
    days = {}
    for refit in (1, 2):
        known = KnownDays(log, Calendar(SPEC.calendar, start), SPEC.weights)
        judged = Judge(known, FAMILIES, 0, refit).judge(Candidate("item_knn", {}), range(2, 6), 5, "room_conversion")
        days[refit] = {one["day"]: one["estimate"] for one in judged.days}
    assert asked == [2, 3, 4, 5, 1, 3, 5]
    assert [days[1][day] == days[2][day] for day in (2, 3, 4, 5)] == [False, True, False, True]


def _run(folder: str) -> None:
    Campaign.open(folder).run()


def test_killed_and_resumed_it_comes_to_the_same(over: Campaign, place: Path, tmp_path: Path) -> None:
    """Two workers; the one that plans is killed in the middle of the search, twice, and the rest is done by one."""
    campaign = Campaign.create(replace(SPEC, workers=2), place, tmp_path)
    for wanted in (3, 8):
        process = multiprocessing.get_context("spawn").Process(target=_run, args=(str(tmp_path),))
        process.start()
        limit = time.monotonic() + 60
        while sum(trial.result is not None for trial in campaign.slots.trials()) < wanted:
            assert time.monotonic() < limit, "the campaign came no further"
            time.sleep(0.01)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    resumed = Campaign.create(replace(SPEC, workers=1), place, tmp_path)
    confirmed, expected = resumed.run(), over.confirmation()
    assert expected is not None
    pd.testing.assert_frame_equal(resumed.trials()[SAME], over.trials()[SAME])
    assert (confirmed.champion, confirmed.challenger) == (expected.champion, expected.challenger)
    assert [row["estimate"] for row in confirmed.rows] == [row["estimate"] for row in expected.rows]


def test_a_day_needs_those_before_it_and_events(place: Path, tmp_path: Path) -> None:
    campaign = Campaign.create(SPEC, place, tmp_path / "one")
    with pytest.raises(ConfigError, match="2 earlier days have not been run"):
        campaign.run_day(2)
    with pytest.raises(ConfigError, match="outside of the month"):
        campaign.run_day("2031-01-01")
    future = replace(SPEC, calendar=CalendarConfig(days=20, rounds=1, confirm_days=3, warm_up_days=12))
    campaign = Campaign.create(future, place, tmp_path / "two")
    with pytest.raises(ConfigError, match=r"the log ends at .* lies in the future"):
        campaign.run()
    assert len(campaign.days()) == 7, "what was there is kept"


def test_a_budget_of_seconds_ends_the_day_and_not_the_month(place: Path, tmp_path: Path) -> None:
    spec = replace(SPEC, budget=BudgetConfig(trials_per_day=4, batch=2, seconds_per_day=1e-9))
    campaign = Campaign.create(spec, place, tmp_path)
    campaign.run_day(0)
    told = campaign.run_day(campaign.calendar.name(1))
    assert (told["trials"], told["note"]) == (0, "the budget of seconds was spent after 0 trials")
    assert campaign.run_day(1) == told


def test_several_workers_need_a_log_in_files(place: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="2 workers read the log from files"):
        Campaign.create(replace(SPEC, workers=2), EventLog.read(place), tmp_path)


def test_another_spec_in_the_same_folder_is_refused(over: Campaign, place: Path) -> None:
    with pytest.raises(ConfigError, match="another seed, gate"):
        Campaign.create(replace(SPEC, seed=2, gate=GateConfig(finalists=1)), place, over.folder)


def test_a_disk_that_is_full_ends_the_run_and_keeps_the_state(
    over: Campaign, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a line fits, at several moments of the month; with room again the same process goes on to the same end."""
    campaign, write = Campaign.create(SPEC, place, tmp_path), JournalFileBackend.append_logs
    calls, full = itertools.count(), (5, 20, 33, 60)

    def append(self: JournalFileBackend, logs: list[dict[str, object]]) -> None:
        if next(calls) in full:
            with (tmp_path / "trials.journal").open("ab") as handle:
                handle.write(json.dumps(logs[0]).encode()[:20])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, logs)

    monkeypatch.setattr(JournalFileBackend, "append_logs", append)
    for _ in full:
        with pytest.raises(StateError, match=r"trials\.journal' cannot be written: .*No space left.*run it again"):
            campaign.run()
    confirmed, expected = campaign.run(), over.confirmation()
    assert expected is not None
    pd.testing.assert_frame_equal(campaign.trials()[SAME], over.trials()[SAME])
    assert confirmed.to_json()["champion"] == expected.champion


def test_a_file_of_the_state_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_entry(tmp_path / "day.json", {"day": 1})

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StateError, match=r"day\.json' cannot be written: .*What was there stays"):
        write_entry(tmp_path / "day.json", {"day": 2})
    assert read_entry(tmp_path / "day.json") == {"day": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["day.json"]


def test_nothing_to_search_is_refused() -> None:
    families = {**FAMILIES, "item_knn": SearchedFamily(fixed={"neighbours": 50})}
    replace(SPEC, families=families)  # the policy's temperature is left to search
    with pytest.raises(
        ConfigError, match=r"\[month\.families\.item_knn\.space\] and \[month\.policy\.space\] are both empty"
    ):
        replace(SPEC, families=families, policy=PolicyConfig(space={}))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="known are tpe, gp, nsga2, random"):
        replace(SPEC, sampler=SamplerConfig(kind="annealing"))
    with pytest.raises(ConfigError, match="objectives"):
        replace(SPEC, aim=AimConfig(objectives=("fame",)))
    with pytest.raises(ConfigError, match="families"):
        replace(SPEC, families={})
    assert asdict(SPEC)["seed"] == 1
