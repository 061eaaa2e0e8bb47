from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from beautyrec.campaign.confirmation import Confirmation
from beautyrec.campaign.final_model import FinalModel
from beautyrec.campaign.month import Campaign
from beautyrec.campaign.month_tracking import CAMPAIGN_TAG, MonthTracker
from beautyrec.campaign.registry import champion, promote, register_champion
from beautyrec.campaign.tracking import MlflowTracker
from beautyrec.jobs.month_config import read_month
from beautyrec.jobs.month_crown import EXPERIMENT, Crown
from beautyrec.jobs.month_job import run_month
from beautyrec.serving import Scorer

SMALL = Path(__file__).with_name("month.toml")


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """A month whose first round is over: of its five days, three."""
    folder = tmp_path_factory.mktemp("crown")
    (folder / "none").mkdir()
    for day in ("2014-07-24", "2014-07-25", "2014-07-26"):
        run_month(read_month(SMALL), data_folder=folder / "none", output=folder, day=day)
    return Campaign.open(folder / "campaign")


@pytest.fixture
def crown(month: Campaign, tmp_path: Path) -> Crown:
    """Beside a store of its own."""
    tracker = MonthTracker(MlflowTracker.in_folder(tmp_path, experiment=EXPERIMENT))
    tracker.sync(month)
    return Crown(month, tracker, "simulated")


def reviewed(month: Campaign, number: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the last review have made a trial champion."""
    last = Campaign.open(month.folder).round_reviews()[-1]
    row = {**last.rows[0], "number": number, "estimate": 0.2, "ci_low": 0.1, "ci_high": 0.3}
    told = replace(last, champion=number, rows=(row,))
    monkeypatch.setattr(Campaign, "round_reviews", lambda _self: [told])


def test_the_registry_follows_the_reviews(
    crown: Crown, month: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = crown.tracker.store.uri
    with monkeypatch.context() as patch:
        reviewed(month, None, patch)
        assert crown.keep() == ""
    assert champion(uri, EXPERIMENT) is None
    for version, number in enumerate((1, 2), 1):
        with monkeypatch.context() as patch:
            reviewed(month, number, patch)
            assert crown.keep().startswith(f"version {version} is champion: trial {number}")
            assert crown.keep() == "", "the same champion is registered once"
        held = champion(uri, EXPERIMENT)
        assert held is not None
        assert (held.version, held.tags["trial"], held.tags["since"]) == (version, str(number), "2014-07-26")
        assert float(held.tags["ci_low"]) == 0.1
        until = Scorer.load(held.path).info.card.trained_until
        assert pd.Timestamp(until) == pd.Timestamp("2014-07-27", tz="UTC"), (
            "fitted on what was known when the round was over"
        )

    nobody = Confirmation((), (), (), None, None)
    assert crown.confirmed(nobody, tmp_path, register=True)["champion"]["promoted"] is False
    assert champion(uri, EXPERIMENT) is None, "where nothing is confirmed the log's policy is kept"


def test_the_champion_of_another_month_gets_its_place_back(
    crown: Crown, month: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, run_id, nobody = crown.tracker.store.uri, crown.tracker.trial_run(0), Confirmation((), (), (), None, None)
    FinalModel.of(month, 0, 2).write(tmp_path / "earlier", {}, "simulated")
    register_champion(uri, tmp_path / "earlier", run_id, name=EXPERIMENT, tags={CAMPAIGN_TAG: "an earlier month"})
    for number in (1, 2):
        with monkeypatch.context() as patch:
            reviewed(month, number, patch)
            crown.keep()
    held = champion(uri, EXPERIMENT)
    assert held is not None
    assert held.version == 3
    crown.confirmed(nobody, tmp_path, register=True)
    held = champion(uri, EXPERIMENT)
    assert held is not None
    assert (held.version, held.tags[CAMPAIGN_TAG]) == (1, "an earlier month")

    for version in (3, 2, 3):  # by hand, to and fro: each of the two was champion before the other
        promote(uri, version, EXPERIMENT)
    crown.confirmed(nobody, tmp_path, register=True)
    assert champion(uri, EXPERIMENT) is None
