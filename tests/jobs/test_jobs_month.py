from __future__ import annotations

import json
import socket
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from beautyrec.campaign.mlflow_store import mlflow_client, search_runs
from beautyrec.campaign.month import Campaign
from beautyrec.campaign.month_report import write_month_report
from beautyrec.campaign.month_spec import AimConfig, SamplerConfig
from beautyrec.campaign.month_tracking import CAMPAIGN_TAG
from beautyrec.campaign.tracking import MlflowTracker
from beautyrec.cli import main
from beautyrec.errors import ConfigError
from beautyrec.jobs.config import packaged
from beautyrec.jobs.month_config import read_month
from beautyrec.jobs.month_crown import EXPERIMENT
from beautyrec.jobs.month_job import run_month
from beautyrec.jobs.month_watch import month_view
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
    assert truth["oracle"]["ctr"] < truth["oracle_of_clicks"]["ctr"]
    assert truth["sales_deviation"]["legacy"] > 0
    assert [one["aim"] for one in truth["aims"]] == [
        "CTR",
        "room conversion",
        "sales deviation",
        "share of the oracle's lift",
    ]
    for one in truth["aims"]:
        within = one["value"] is not None and (one["value"] <= one["target"]) == one["at_most"]
        assert one["reached"] == within
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


def test_the_month_has_a_report_and_a_view(
    run: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = run
    page = (folder / "report.html").read_text()
    for title in (
        "The month",
        "Confirmation",
        "Weekly reviews",
        "Best compromises",
        "Cost",
        "The truth on the month after",
    ):
        assert f"{title}" in page
    assert "http://" not in page.split("<body", 1)[1].replace("http://www.w3.org", "")
    (folder / "report.html").unlink()
    for flag, told in (("--report", "report.html"), ("--watch", "the month is over")):
        with pytest.raises(SystemExit) as ended:
            main(["tune", str(SMALL), "--out", str(folder), flag])
        assert ended.value.code == 0
        assert told in capsys.readouterr().out.replace("\n", "")
    assert (folder / "report.html").read_text() == page
    with pytest.raises(SystemExit) as ended:
        main(["tune", str(SMALL), "--out", str(folder), "--watch", "--report"])
    assert ended.value.code == 2
    assert "exclude each other" in capsys.readouterr().err


def test_a_view_of_a_month_that_has_just_begun(tmp_path: Path) -> None:
    config = read_month(SMALL)
    (tmp_path / "none").mkdir()
    run_month(config, data_folder=tmp_path / "none", output=tmp_path, day="2014-07-24")
    campaign = Campaign.open(tmp_path / "campaign")
    page = StringIO()
    Console(width=100, file=page).print(month_view(campaign))
    told = page.getvalue()
    assert "1/5" in told
    assert "0/4" in told, "two days of two trials are to come"
    assert f"{campaign.calendar.name(1)}, round 1 of 1" in told
    assert "the policy of the log" in told
    assert write_month_report(campaign, tmp_path / "early.html").exists(), "a month is told as far as it is"


def test_a_tracking_server_that_is_down_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as held:  # a port where nobody answers
        held.bind(("127.0.0.1", 0))
        config = replace(read_month(SMALL), tracking=f"http://127.0.0.1:{held.getsockname()[1]}")
        (tmp_path / "none").mkdir()
        summary = run_month(config, data_folder=tmp_path / "none", output=tmp_path)
    assert "cannot be used" in summary["behind"]
    assert summary["campaign"]["trials"] == 4
    later = run_month(replace(config, tracking=None), data_folder=tmp_path / "none", output=tmp_path)
    assert later["behind"] == ""
    store, identity = (
        MlflowTracker.in_folder(tmp_path, experiment=EXPERIMENT),
        Campaign.open(tmp_path / "campaign").identity,
    )
    with mlflow_client(store.uri) as client:
        runs = search_runs(client, store.experiment_id(client), f"tags.`{CAMPAIGN_TAG}` = '{identity}'")
        campaign = next(run for run in runs if run.data.tags["beautyrec.part"] == "campaign")
        beside = {file.path for file in client.list_artifacts(campaign.info.run_id)}
    assert len(runs) == 1 + 1 + 4, "campaign, week, trials"
    assert {"report.html", "summary.json"} <= beside


def test_a_month_aimed_at_money_under_a_constraint(tmp_path: Path) -> None:
    """Margin, ROI and clicks at once; a coverage that no candidate has bars all of them, with its reason."""
    config = read_month(SMALL)
    commission = 0.2
    aim = AimConfig(("margin_per_impression", "roi_per_impression", "ctr"), window_days=2, commission=commission)
    month = replace(
        config.month, aim=aim, sampler=SamplerConfig("nsga2", 2), gate=replace(config.month.gate, coverage=0.999)
    )
    (tmp_path / "none").mkdir()
    summary = run_month(replace(config, month=month), data_folder=tmp_path / "none", output=tmp_path)
    campaign = Campaign.open(tmp_path / "campaign")
    trials = campaign.slots.trials()
    values = [trial.result.values for trial in trials if trial.result is not None and trial.complete]
    assert len(values) == 4
    assert all(set(one) == {"margin_per_impression", "roi_per_impression", "ctr"} for one in values)
    assert all(one["margin_per_impression"] == one["roi_per_impression"] for one in values), "traffic costs all alike"
    assert summary["champion"]["promoted"] is False
    assert "coverage is" in " ".join(summary["champion"]["reasons"])

    log, row = campaign.log, campaign.round_reviews()[0].rows[0]
    events = log.engine.frame(log.events)
    ends = [campaign.calendar.begins(day) for day in (1, 3)]
    known = events[(events["available_at"] < ends[1]) & events["room_id"].notna()]
    judged = known[known["ts"] >= ends[0]]
    orders = judged[judged["event"] == "order"]
    cost = log.engine.frame(log.items).set_index("item_id")["cost"]
    left = orders["price"] * orders["quantity"] * (1 - commission) - orders["item_id"].map(cost)
    shown = (judged["event"] == "impression").sum()
    assert row["logging"] == pytest.approx(left.clip(lower=0).sum() / shown, rel=1e-9)


def test_a_world_that_ends_with_the_month_is_refused() -> None:
    config = read_month(SMALL)
    with pytest.raises(ConfigError, match="no day is left for the month after"):
        replace(config, world=replace(config.world, days=5))


@pytest.mark.parametrize("name", ["month.toml", "month-small.toml"])
def test_the_packaged_months_can_be_read(name: str) -> None:
    config = read_month(packaged(name))
    assert config.world.days > config.month.calendar.days
