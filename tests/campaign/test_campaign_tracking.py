from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest

from beautyrec.campaign.mlflow_store import mlflow_client
from beautyrec.campaign.registry import champion, choose_champion, register_champion
from beautyrec.campaign.space import Family, Int
from beautyrec.campaign.study import StudyConfig, run_study
from beautyrec.campaign.tracking import TRIAL_TAG, MlflowTracker, NoTracker, git_commit
from beautyrec.campaign.trial import Outcome
from beautyrec.data.interactions import Interactions
from beautyrec.errors import EvaluationError, FitError, SourceError
from beautyrec.models.known import Known
from beautyrec.models.recommenders import ItemScoreRecommender
from beautyrec.serving import ModelCard, read_artifact, write_artifact

pytest.importorskip("mlflow")

FAMILIES = (Family("a", {"n": Int(1, 9)}, {"n": 5}), Family("b"))


def client_of(tracker):
    with mlflow_client(tracker.uri) as client:
        return client


def objective(family, params, trial):
    trial.day({"ctr lift": 0.1 * trial.number})
    if trial.number == 2:
        raise FitError("nothing to fit on")
    days = ({"ctr lift": 0.5}, {"ctr lift": 0.25})
    return Outcome(params.get("n", 0) / 10, {"lift/ctr": 0.3, "odd %": 1.0}, days, "caution", ("few days",))


def config(folder, name, trials=4):
    return StudyConfig(name, trials, 0, folder / "study.log", tags={"data": "abc", "protocol": "walk-forward"})


@pytest.fixture(scope="module")
def tracker(tmp_path_factory):
    """One store for all: making its tables takes seconds."""
    return MlflowTracker.in_folder(tmp_path_factory.mktemp("a store"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def result(tracker, folder):
    return run_study(config(folder, "month"), FAMILIES, objective, tracker)


def children(tracker, run_id):
    client = client_of(tracker)
    experiment = client.get_run(run_id).info.experiment_id
    runs = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")
    return {int(run.data.tags[TRIAL_TAG]): run for run in runs}, len(runs)


def test_one_parent_and_one_child_a_trial(tracker, result):
    client = client_of(tracker)
    parent = client.get_run(result.run_id)
    assert (parent.info.run_name, parent.info.status) == ("month", "FINISHED")
    tags = {key: parent.data.tags[key] for key in ("seed", "data", "protocol")}
    assert tags == {"seed": "0", "data": "abc", "protocol": "walk-forward"}
    assert parent.data.metrics == {"trials": 4, "failed": 1, "best_value": result.best["value"]}
    runs, count = children(tracker, result.run_id)
    assert (sorted(runs), count) == ([0, 1, 2, 3], 4)
    assert result.trials["run_id"].tolist() == [runs[number].info.run_id for number in range(4)]


def test_what_a_child_holds(tracker, result):
    client = client_of(tracker)
    runs, _ = children(tracker, result.run_id)
    first, failed = runs[0], runs[2]
    assert first.data.params == {"family": "a", "n": "5"}
    assert (first.data.metrics["value"], first.data.metrics["lift/ctr"], first.data.metrics["odd _"]) == (0.5, 0.3, 1)
    assert (first.data.tags["verdict"], first.data.tags["reason"]) == ("caution", "few days")
    history = client.get_metric_history(first.info.run_id, "day/ctr lift")
    assert sorted((metric.step, metric.value) for metric in history) == [(0, 0.0), (1, 0.5), (2, 0.25)]
    assert (first.info.status, failed.info.status) == ("FINISHED", "FAILED")
    assert failed.data.tags["reason"] == "nothing to fit on"
    assert client.get_metric_history(failed.info.run_id, "day/ctr lift")[0].value == pytest.approx(0.2)
    assert first.info.artifact_uri.startswith(tracker.artifacts)


def test_a_finished_study_run_again_changes_nothing(tracker, folder, result):
    client = client_of(tracker)
    before = client.get_run(result.run_id).to_dictionary()
    again = run_study(config(folder, "month"), FAMILIES, objective, tracker)
    assert client.get_run(result.run_id).to_dictionary() == before
    pd.testing.assert_frame_equal(again.trials, result.trials)


def test_a_resumed_study_goes_on_in_its_own_runs(tracker, tmp_path):
    left = [1, 3]

    def interrupted(family, params, trial):
        if left and trial.number == left[0]:
            left.pop(0)
            raise KeyboardInterrupt
        return objective(family, params, trial)

    statuses = []
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_study(config(tmp_path, "cut"), FAMILIES, interrupted, tracker)
        parent = client_of(tracker).search_runs(["1"], "tags.`mlflow.runName` = 'cut'")
        runs, count = children(tracker, parent[0].info.run_id)
        statuses.append((len(parent), parent[0].info.status, count, runs[max(runs)].info.status))
    assert statuses == [(1, "KILLED", 2, "KILLED"), (1, "KILLED", 4, "KILLED")]
    result = run_study(config(tmp_path, "cut"), FAMILIES, interrupted, tracker)
    runs, count = children(tracker, result.run_id)
    assert (sorted(runs), count) == ([0, 1, 2, 3], 4)
    assert [runs[number].info.status for number in range(4)] == ["FINISHED", "FINISHED", "FAILED", "FINISHED"]


def test_trials_that_were_not_tracked_yet_are_tracked_later(tracker, tmp_path):
    untracked = run_study(config(tmp_path, "late", 2), FAMILIES, objective)
    assert untracked.trials["run_id"].tolist() == ["", ""]
    result = run_study(config(tmp_path, "late", 3), FAMILIES, objective, tracker)
    runs, count = children(tracker, result.run_id)
    assert (sorted(runs), count) == ([0, 1, 2], 3)


def test_noting_a_trial_twice_leaves_one_of_each(tracker, tmp_path, result):
    """As after a kill between the metrics of a trial and its end."""
    from beautyrec.campaign.tracking import MlflowStudyRun

    client = client_of(tracker)
    parent = client.get_run(result.run_id)
    client.update_run(result.trials.loc[0, "run_id"], status="RUNNING")
    run = MlflowStudyRun(client, parent.info.experiment_id, result.run_id)
    run.end_trial(result.records[0])
    history = client.get_metric_history(result.trials.loc[0, "run_id"], "day/ctr lift")
    assert sorted((metric.step, metric.value) for metric in history) == [(0, 0.0), (1, 0.5), (2, 0.25)]
    assert client.get_run(result.trials.loc[0, "run_id"]).info.status == "FINISHED"


def test_no_tracker_gives_no_ids():
    run = NoTracker().open_study("x", "x", {})
    assert (run.run_id, run.trial_run_id(0)) == ("", "")


def test_a_store_that_is_no_store(tmp_path):
    (tmp_path / "mlflow.db").write_text("this is not a database, " * 100)
    with pytest.raises(SourceError, match="cannot be used"):
        MlflowTracker.in_folder(tmp_path).open_study("x", "x", {})


def test_the_commit_is_that_of_the_checkout():
    commit = git_commit()
    assert commit is None or len(commit.removesuffix("-dirty")) == 40


def test_a_new_store_is_quiet_sends_nothing_and_stays_in_its_folder(tmp_path):
    code = """
    import os, sys
    from beautyrec.campaign.tracking import MlflowTracker
    assert "mlflow" not in sys.modules
    run = MlflowTracker.in_folder("store").open_study("1", "demo", {})
    run.close({}, "FINISHED")
    import mlflow, logging
    from mlflow.telemetry.client import get_telemetry_client
    print(get_telemetry_client(), os.environ.get("MLFLOW_DISABLE_TELEMETRY"), mlflow.active_run())
    """
    # Without the variables by which MLflow knows that it is tested.
    environment = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=tmp_path,
        env=environment | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["None", "None", "None"]
    assert done.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_levels_of_loggers_come_back(tracker):
    logger = logging.getLogger("alembic")
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        tracker.open_study("levels", "levels", {})
        assert logger.level == logging.INFO
    finally:
        logger.setLevel(before)


def artifact(folder, seed):
    """One of a model whose scores depend on the seed."""
    history = pd.DataFrame({"user_id": [7, 8], "item_id": [1, 2], "ts": pd.Timestamp("2026-01-01", tz="UTC")})
    known = Known.of(Interactions.from_frame(history))
    model = ItemScoreRecommender(known, np.random.default_rng(seed).random(2, np.float32))
    write_artifact(folder, model.state(), ModelCard("popularity"))
    return folder


def test_the_alias_moves_to_the_new_champion(tracker, result, tmp_path):
    run_id = result.trials.loc[0, "run_id"]
    assert champion(tracker.uri, "shop") is None
    first = register_champion(tracker.uri, artifact(tmp_path / "a", 1), run_id, name="shop", tags={"lift": 0.4})
    assert (first.version, first.run_id, first.tags["lift"]) == (1, run_id, "0.4")
    assert champion(tracker.uri, "shop") == first
    second = register_champion(tracker.uri, artifact(tmp_path / "b", 2), run_id, name="shop")
    held = champion(tracker.uri, "shop")
    assert (held, held.version) == (second, 2)
    for place, copied in ((tmp_path / "a", first), (tmp_path / "b", second)):
        assert read_artifact(copied.path).fingerprint == read_artifact(place).fingerprint
    assert champion(tracker.uri, "shop", alias="challenger") is None


def test_the_same_artifact_is_registered_once(tracker, result, tmp_path):
    folder, run_id = artifact(tmp_path / "a", 3), result.run_id
    versions = [register_champion(tracker.uri, folder, run_id, name="once").version for _ in range(2)]
    assert versions == [1, 1]


def test_a_folder_without_a_manifest_is_refused(tracker, result, tmp_path):
    with pytest.raises(SourceError, match="not an artifact"):
        register_champion(tracker.uri, tmp_path, result.run_id)


def trials(*rows):
    return pd.DataFrame(rows, columns=["number", "family", "value", "verdict"])


def test_the_champion_is_the_best_lower_bound_that_is_believed():
    table = trials(
        (0, "als", 0.10, "trust"), (1, "bpr", 0.90, "refuse"), (2, "knn", 0.30, "caution"), (3, "als", None, "")
    )
    choice = choose_champion(table)
    assert choice.trial["number"] == 2
    assert "trial 2 (knn) is +30.0%" in choice.reason
    assert "4 trials, 1 failed, 1 refused" in choice.reason


def test_the_first_of_equals_is_chosen():
    assert choose_champion(trials((1, "a", 0.2, "trust"), (0, "b", 0.2, "trust"))).trial["number"] == 0


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([(0, "als", 0.5, "refuse"), (1, "als", None, "")], "no trial can be believed"),
        ([(0, "als", 0.0, "trust")], "not above zero"),
        ([(0, "als", -0.1, "caution"), (1, "als", 0.7, "refuse")], "not above zero"),
        ([], "no trial can be believed"),
    ],
)
def test_the_legacy_policy_is_kept_with_a_reason(rows, says):
    choice = choose_champion(trials(*rows))
    assert choice.trial is None
    assert choice.reason.startswith("Keep the legacy policy")
    assert says in choice.reason


def test_a_table_without_verdicts_is_refused():
    with pytest.raises(EvaluationError, match=r"\['verdict'\]"):
        choose_champion(trials().drop(columns="verdict"))
