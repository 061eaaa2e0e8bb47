"""A month over a PostgreSQL server that the test starts and stops."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from beautyrec.campaign.calendar import CalendarConfig
from beautyrec.campaign.month import Campaign
from beautyrec.campaign.month_spec import AimConfig, BudgetConfig, MonthSpec
from beautyrec.campaign.searched import SearchedFamily
from beautyrec.campaign.slots import Slots
from beautyrec.campaign.space import Family, Int
from beautyrec.errors import ConfigError, MissingExtraError
from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.world import World

SPEC = MonthSpec(
    seed=1,
    calendar=CalendarConfig(days=5, rounds=1, confirm_days=2, warm_up_days=1),
    budget=BudgetConfig(trials_per_day=6, batch=3),
    aim=AimConfig(window_days=2),
    families={
        "popularity": SearchedFamily({"window_days": 30}, {"window_days": {"low": 5, "high": 200, "log": True}}),
        "item_knn": SearchedFamily({"neighbours": 50}, {"neighbours": {"low": 5, "high": 50, "log": True}}),
    },
)
SAME = ["number", "date", "round", "family", "params", "state", "value", "verdict", "reason", "seed"]
DRIVER = importlib.util.find_spec("psycopg") is not None
needs_driver = pytest.mark.skipif(not DRIVER, reason="psycopg is not installed (extra 'postgres')")


def programs() -> Path | None:
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server of its own, behind a socket in a folder of its own; root hands it to a plain user."""
    place = programs()
    if place is None:
        pytest.skip("PostgreSQL's server is not on this machine (apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    ahead: list[str] = []
    if os.geteuid() == 0:
        user = next(one for one in pwd.getpwall() if one.pw_name in ("postgres", "nobody"))
        os.chown(folder, user.pw_uid, user.pw_gid)
        ahead = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    data, log = folder / "data", folder / "log"

    def call(*command: str) -> None:
        with (folder / "said").open("wb") as said:
            done = subprocess.run([*ahead, *command], stdout=said, stderr=said, cwd=folder, check=False, timeout=60)
        assert done.returncode == 0, (folder / "said").read_text() + (log.read_text() if log.exists() else "")

    try:
        call(str(place / "initdb"), "-D", str(data), "-U", "month", "-A", "trust", "--no-sync")
        settings = f"-k {folder} -c listen_addresses= -c fsync=off"
        call(str(place / "pg_ctl"), "-D", str(data), "-l", str(log), "-o", settings, "-w", "start")
        try:
            yield f"postgresql://month@/postgres?host={folder}"
        finally:
            call(str(place / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@needs_driver
def test_two_workers_over_a_database_come_to_what_one_over_the_journal_does(server: str, tmp_path: Path) -> None:
    World.tiny(0, replace(WorldConfig.tiny(), days=5)).log().write(tmp_path / "log")
    alone = Campaign.create(SPEC, tmp_path / "log", tmp_path / "journal")
    shared = Campaign.create(replace(SPEC, workers=2), tmp_path / "log", tmp_path / "database", storage=server)
    expected, found = alone.run(), shared.run()
    pd.testing.assert_frame_equal(shared.trials()[SAME], alone.trials()[SAME])
    assert found.to_json() == {**expected.to_json(), "rows": found.rows}
    assert [row["estimate"] for row in found.rows] == [row["estimate"] for row in expected.rows]
    assert not (tmp_path / "database" / "trials.journal").exists()
    assert len(Campaign.open(tmp_path / "database").trials()) == 12, "another process finds the database again"


@needs_driver
def test_a_database_that_is_away_is_an_error_that_names_it(tmp_path: Path) -> None:
    family = {"any": Family("any", {"n": Int(1, 9)}, {"n": 2})}
    with pytest.raises(ConfigError, match=r"'postgresql://month@/.*cannot be used as the storage of trials") as told:
        Slots.open(f"postgresql://month:secret@/postgres?host={tmp_path}", "month", family, ("lift",))
    assert "secret" not in str(told.value)


def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beautyrec.campaign.trial_storage.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"beautyrec\[postgres\]"):
        Slots.open("postgresql://month@host/trials", "month", {}, ("lift",))
