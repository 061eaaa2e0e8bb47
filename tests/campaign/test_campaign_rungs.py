from __future__ import annotations

import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest

from beautyrec.campaign.calendar import CalendarConfig
from beautyrec.campaign.month import Campaign
from beautyrec.campaign.month_spec import AimConfig, BudgetConfig, MonthSpec, PolicyConfig, PruningConfig
from beautyrec.campaign.rungs import Rungs
from beautyrec.campaign.searched import SearchedFamily
from beautyrec.errors import ConfigError
from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.world import World

EPOCHS = 9
NETWORK = SearchedFamily(
    {"learning_rate": 3e-3},
    {"learning_rate": {"low": 1e-6, "high": 3e-2, "log": True}},
    {"width": 4, "max_len": 5, "epochs": 4, "batch_events": 2048, "loss": {"kind": "sampled_softmax", "negatives": 8}},
)
SPEC = MonthSpec(
    seed=2,
    calendar=CalendarConfig(days=5, rounds=1, confirm_days=2, warm_up_days=1),
    budget=BudgetConfig(trials_per_day=5, batch=2, retries=20),
    aim=AimConfig(window_days=2),
    pruning=PruningConfig(p_value=0.0, epoch_factor=2, least_epochs=1),
    policy=PolicyConfig({}, {}),
    families={"gru4rec": NETWORK},
)
SAME = ["number", "family", "params", "state", "value", "reason", "epochs"]


def test_decisions_are_those_of_a_study_that_optuna_prunes_itself() -> None:
    rng = np.random.default_rng(0)
    curves = np.cumsum(rng.random((30, EPOCHS)), axis=1)
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=EPOCHS, reduction_factor=3)
    study = optuna.create_study(direction="maximize", study_name="net", pruner=pruner)
    seen: list[list[float]] = []
    for curve in curves:
        rungs, trial, told = Rungs("net", 3, 1), study.ask(), []
        rungs.begin(EPOCHS, seen)
        for epoch, value in enumerate(curve, 1):
            trial.report(value, epoch)
            told.append(trial.should_prune())
            assert rungs.worse(epoch, value) is told[-1]
            if told[-1]:
                break
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        seen.append(rungs.curve)
        assert rungs.curve == list(curve[: len(told)])
    ends = [len(each) for each in seen]
    assert min(ends) < EPOCHS
    assert max(ends) == EPOCHS


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rungs") / "log"
    World.tiny(0, replace(WorldConfig.tiny(), days=5, viewers_per_day=150)).log().write(folder)
    return folder


@pytest.fixture(scope="module")
def over(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    campaign = Campaign.create(SPEC, place, tmp_path_factory.mktemp("over"))
    campaign.run()
    return campaign


def test_networks_are_given_up_by_their_epochs(over: Campaign) -> None:
    trials = over.trials()
    pruned = trials[trials["state"] == "pruned"]
    assert 0 < len(pruned) < len(trials)
    for row in pruned.to_dict("records"):
        assert f"given up after {len(row['epochs'])} of 4 epochs of its first fit" in row["reason"]
        assert row["days"] == ()
    complete = trials[trials["state"] == "complete"]
    assert complete["epochs"].map(len).between(1, 4).all()
    assert trials["state"][0] == "complete", "the first one of a bracket goes on"


def _run(folder: str) -> None:
    Campaign.open(folder).run()


def test_killed_in_a_training_it_gives_up_the_same_ones(over: Campaign, place: Path, tmp_path: Path) -> None:
    campaign = Campaign.create(SPEC, place, tmp_path)
    for wanted in (1, 4):
        process = multiprocessing.get_context("spawn").Process(target=_run, args=(str(tmp_path),))
        process.start()
        limit = time.monotonic() + 120
        while sum(one.result is not None for one in campaign.slots.trials()) < wanted and time.monotonic() < limit:
            time.sleep(0.02)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    Campaign.open(tmp_path).run()
    mine, theirs = (each.trials()[SAME].astype(str) for each in (campaign, over))
    assert mine.to_numpy().tolist() == theirs.to_numpy().tolist()


def test_what_a_process_has_fitted_before_changes_nothing(place: Path, tmp_path: Path) -> None:
    """Two trials with the same network: the second finds the first one's scores, and is told its epochs all the same."""
    campaign = Campaign.create(SPEC, place, tmp_path)
    campaign.run_day(0)
    campaign.run_day(1)
    task = campaign.slots.trials()[0].task
    first, again, heard = [], [], campaign.judge.known
    for told in (first, again):
        campaign.judge.judge(
            task.candidate, range(1, 2), 1, SPEC.metric, on_epoch=lambda *epoch, told=told: told.append(epoch)
        )
    assert first == again
    assert len(first) == len(campaign.trials()["epochs"][0]) > 0
    heard.curves.clear()
    heard.models.kept.clear()
    fresh: list[tuple[int, int, float]] = []
    campaign.judge.judge(task.candidate, range(1, 2), 1, SPEC.metric, on_epoch=lambda *epoch: fresh.append(epoch))
    assert fresh == first


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="epoch_factor is 1"):
        PruningConfig(epoch_factor=1)
