from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from beautyrec.campaign.calendar import CalendarConfig
from beautyrec.campaign.mlflow_store import mlflow_client, search_runs
from beautyrec.campaign.month import Campaign
from beautyrec.campaign.month_spec import AimConfig, BudgetConfig, MonthSpec
from beautyrec.campaign.month_tracking import CAMPAIGN_TAG, MonthTracker
from beautyrec.campaign.registry import champion, promote, register_champion, roll_back
from beautyrec.campaign.searched import SearchedFamily
from beautyrec.campaign.tracking import PARENT_TAG, MlflowTracker
from beautyrec.errors import SourceError
from beautyrec.models.item_knn import ItemKNN
from beautyrec.models.popularity import Popularity
from beautyrec.serving import ModelCard, write_artifact
from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.world import World
from beautyrec.testing.models import small_log

SPEC = MonthSpec(
    seed=1,
    calendar=CalendarConfig(days=4, rounds=1, confirm_days=1, warm_up_days=1),
    budget=BudgetConfig(trials_per_day=2, batch=2),
    aim=AimConfig(window_days=2),
    families={
        "popularity": SearchedFamily({"window_days": 30}, {"window_days": {"low": 5, "high": 200, "log": True}}),
        "item_knn": SearchedFamily({"neighbours": 20}, {"neighbours": {"low": 5, "high": 50}}),
    },
)


def _no_memory(*_: object, **__: object) -> None:
    raise MemoryError("all 64 GB are taken")


def test_the_lift_of_each_reviews_champion_is_a_series_of_the_campaign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = Campaign.create(SPEC, World.tiny(0, replace(WorldConfig.tiny(), days=4)).log(), tmp_path / "month")
    for day in range(3):
        campaign.run_day(day)
    told = campaign.round_reviews()[-1]
    row = told.rows[-1]
    monkeypatch.setattr(Campaign, "round_reviews", lambda _self: [replace(told, champion=row["number"])])
    tracker = MonthTracker(MlflowTracker.in_folder(tmp_path))
    for _ in range(2):
        tracker.sync(campaign)
    with mlflow_client(tracker.store.uri) as client:
        for name in ("estimate", "ci_low", "ci_high"):
            series = client.get_metric_history(tracker.campaign_run, f"champion/{name}")
            assert [(one.step, one.value) for one in series] == [(2, row[name])]


def test_mlflow_says_what_the_campaign_says_however_often_and_when_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the families fails always: its trials keep their reason, and it is dropped."""
    monkeypatch.setattr(ItemKNN, "fit", _no_memory)
    campaign = Campaign.create(SPEC, World.tiny(0, replace(WorldConfig.tiny(), days=4)).log(), tmp_path / "month")
    store = MlflowTracker.in_folder(tmp_path)
    for day in range(2):
        campaign.run_day(day)
    MonthTracker(store).sync(campaign)
    campaign.run()
    tracker = MonthTracker(store)
    assert tracker.sync(campaign) == 2, "the trials of one day were missing"
    assert tracker.sync(campaign) == 0
    assert MonthTracker(store).sync(campaign) == 0, "another process finds what is there"
    with mlflow_client(store.uri) as client:
        runs = search_runs(client, store.experiment_id(client), f"tags.`{CAMPAIGN_TAG}` = '{campaign.identity}'")
    by_part = {run.data.tags["beautyrec.part"]: run for run in runs}
    trials = campaign.trials()
    assert by_part.keys() == {"campaign", "week 1", *(f"trial {number}" for number in trials["number"])}
    assert by_part["week 1"].data.tags[PARENT_TAG] == by_part["campaign"].info.run_id
    for row in trials.to_dict("records"):
        run = by_part[f"trial {row['number']}"]
        assert run.data.tags[PARENT_TAG] == by_part["week 1"].info.run_id
        assert run.data.tags["state"] == row["state"]
        assert run.data.tags.get("reason", "") == row["reason"]
        assert run.info.status == ("FAILED" if row["state"] == "failed" else "FINISHED")
        if row["state"] == "complete":
            assert run.data.metrics["objective/room_conversion"] == pytest.approx(row["value"])
            assert run.data.params["family"] == row["family"]
    failed = trials[trials["family"] == "item_knn"]
    assert (failed["state"] == "failed").all()
    assert failed["reason"].eq("MemoryError: all 64 GB are taken").all()
    assert campaign.round_reviews()[0].drop.keys() == {"item_knn"}


def test_a_store_that_is_down_is_an_error_that_names_it(tmp_path: Path) -> None:
    campaign = Campaign.create(SPEC, World.tiny(0, replace(WorldConfig.tiny(), days=4)).log(), tmp_path / "month")
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="cannot be used"):
        MonthTracker(MlflowTracker(f"sqlite:///{tmp_path}/file/mlflow.db")).sync(campaign)


def test_a_store_that_fails_half_way_gets_what_it_lacks_and_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs are made and their answer is lost; then metrics are refused; then all is well."""
    campaign = Campaign.create(SPEC, World.tiny(0, replace(WorldConfig.tiny(), days=4)).log(), tmp_path / "month")
    campaign.run()
    store = MlflowTracker.in_folder(tmp_path)
    tracker, calls = MonthTracker(store), itertools.count()

    def flaky(name: str) -> None:
        call = getattr(MlflowClient, name)

        def answer(self: MlflowClient, *args: object, **named: object) -> object:
            given = call(self, *args, **named)
            if next(calls) in (0, 3, 7):
                raise ConnectionError("the server went away")
            return given

        monkeypatch.setattr(MlflowClient, name, answer)

    flaky("create_run")
    flaky("log_batch")
    for _ in range(3):
        with pytest.raises(SourceError, match="the server went away"):
            tracker.sync(campaign)
    tracker.sync(campaign)
    with mlflow_client(store.uri) as client:
        runs = search_runs(client, store.experiment_id(client), f"tags.`{CAMPAIGN_TAG}` = '{campaign.identity}'")
    parts = sorted(run.data.tags["beautyrec.part"] for run in runs)
    assert parts == sorted(["campaign", "week 1", *(f"trial {number}" for number in campaign.trials()["number"])])
    assert all(run.info.status == "FINISHED" for run in runs)


def test_promote_and_roll_back_walk_through_the_versions(tmp_path: Path) -> None:
    store = MlflowTracker.in_folder(tmp_path)
    run = store.open_study("1", "any", {})
    for version in (1, 2):
        place = tmp_path / f"artifact{version}"
        write_artifact(place, Popularity(window_days=10.0 * version).fit(small_log()).state(), ModelCard("popularity"))
        assert register_champion(store.uri, place, run.run_id).version == version
    assert roll_back(store.uri).version == 1
    assert promote(store.uri, 2).version == 2
    assert roll_back(store.uri).version == 1
    held = champion(store.uri)
    assert held is not None
    assert held.version == 1
    with pytest.raises(SourceError, match="version 1 is the first champion"):
        roll_back(store.uri)
