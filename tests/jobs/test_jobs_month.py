from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from beautyrec.campaign.month import Campaign
from beautyrec.cli import main
from beautyrec.errors import ConfigError
from beautyrec.jobs.config import packaged
from beautyrec.jobs.month_config import read_month
from beautyrec.jobs.month_job import run_month
from beautyrec.jobs.registered import versions
from beautyrec.serving import Scorer

SMALL = Path(__file__).with_name("month.toml")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("month")
    (folder / "none").mkdir()
    for _ in range(2):
        run_month(read_month(SMALL), data_folder=folder / "none", output=folder, day="2014-07-24")
    run_month(read_month(SMALL), data_folder=folder / "none", output=folder)
    return folder, json.loads((folder / "summary.json").read_text())


def test_the_summary_holds_promise_and_truth(run: tuple[Path, dict[str, Any]]) -> None:
    _, summary = run
    assert summary["behind"] == ""
    assert summary["campaign"]["trials"] == 4
    truth = summary["truth"]
    assert truth["legacy"]["room_conversion"] < truth["oracle"]["room_conversion"]
    assert [day["phase"] for day in summary["campaign"]["days"]] == [
        "warm-up",
        "search",
        "search",
        *["confirmation"] * 2,
    ]
    champion = summary["champion"]
    assert champion["promoted"] == ("true_lift" in truth)
    assert champion["promoted"] or champion["reasons"]


def test_the_log_of_the_campaign_ends_with_the_month(run: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = run
    campaign = Campaign.open(folder / "campaign")
    assert campaign.log.describe()["end"] < campaign.calendar.begins(5)


def test_what_is_registered_can_be_served_and_is_told(
    run: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, summary = run
    aliases = [alias for alias in ("champion", "challenger") if summary[alias]["promoted"]]
    assert aliases, "a month with sound candidates has at least a runner-up"
    for alias in aliases:
        assert Scorer.load(folder / alias).info.card.family == summary[alias]["family"]
    with pytest.raises(SystemExit) as ended:
        main(["champion", "show", "--store", str(folder)])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert all(f"{alias}: " in told for alias in ("champion", "challenger"))
    assert versions(str(folder)).count("version") == len(aliases)


def test_a_world_that_ends_with_the_month_is_refused() -> None:
    config = read_month(SMALL)
    with pytest.raises(ConfigError, match="no day is left for the month after"):
        replace(config, world=replace(config.world, days=5))


@pytest.mark.parametrize("name", ["month.toml", "month-small.toml"])
def test_the_packaged_months_can_be_read(name: str) -> None:
    config = read_month(packaged(name))
    assert config.world.days > config.month.calendar.days
