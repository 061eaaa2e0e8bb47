from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from beautyrec.campaign.samplers import TPE, RandomSearch
from beautyrec.campaign.space import Choice, Family, Float, Int
from beautyrec.campaign.study import StudyConfig, StudyResult, run_study, trial_seed
from beautyrec.campaign.trial import Outcome, TrialLog
from beautyrec.errors import ConfigError, FitError

FAMILIES = (
    Family("hill", {"x": Float(-2.0, 2.0), "bend": Choice(("soft", "hard"))}, {"x": 0.0, "bend": "soft"}),
    Family("steps", {"n": Int(1, 64, log=True)}, {"n": 8}),
    Family("flat"),
)


def objective(family: str, params: dict, trial: TrialLog) -> Outcome:
    """hill: 1 - (x - 1)^2; steps: -|n - 20| / 20, and n above 50 cannot be fitted; flat: 0."""
    trial.day({"ctr": 0.01})
    if family == "hill":
        return Outcome(1 - (params["x"] - 1) ** 2, {"seed": trial.seed}, ({"ctr": 0.02},), "caution", ("few days",))
    if family == "steps" and params["n"] > 50:
        raise FitError("steps: too steep.")
    return Outcome(-abs(params.get("n", 20) - 20) / 20)


def config(folder: Path, trials: int = 25, **changes) -> StudyConfig:
    settings = {"name": "test", "trials": trials, "seed": 3, "storage": folder / "study.log", "sampler": TPE(5)}
    return StudyConfig(**(settings | changes))


def tried(result: StudyResult) -> list[tuple]:
    columns = ["number", "family", "params", "state", "reason"]
    rows = result.trials[columns].to_dict("records")
    return [(*row.values(), value) for row, value in zip(rows, result.trials["value"].fillna(-9), strict=True)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> StudyResult:
    return run_study(config(tmp_path_factory.mktemp("whole")), FAMILIES, objective)


def test_the_defaults_of_each_family_come_first(whole):
    first = whole.trials.iloc[:3]
    assert first["family"].tolist() == ["hill", "steps", "flat"]
    assert first["params"].tolist() == [{"x": 0.0, "bend": "soft"}, {"n": 8}, {}]
    assert first["value"].tolist() == [0.0, -0.6, 0.0]


def test_it_finds_the_top_of_a_hill(whole):
    assert whole.trials["number"].tolist() == list(range(25))
    assert whole.best["family"] == "hill"
    assert whole.best["value"] == pytest.approx(1 - (whole.best["params"]["x"] - 1) ** 2)
    assert whole.best["value"] > 0.9
    assert whole.best["value"] == whole.trials["value"].max()
    assert len({json.dumps(params) for params in whole.trials["params"]}) > 15


def test_records_keep_days_verdict_and_reasons(whole):
    hill = whole.records[0]
    assert [day["ctr"] for day in hill.per_day] == [0.01, 0.02]
    assert (hill.verdict, hill.reasons, hill.metrics["seed"]) == ("caution", ("few days",), trial_seed(3, 0))
    assert whole.trials.loc[0, "reason"] == "few days"
    assert hill.ended_ms > 0


@pytest.mark.parametrize("stops", [(1,), (2, 3, 11), (24,)])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, whole, stops):
    left = list(stops)

    def interrupted(family, params, trial):
        if left and trial.number == left[0]:
            left.pop(0)
            raise KeyboardInterrupt
        return objective(family, params, trial)

    for _ in stops:
        with pytest.raises(KeyboardInterrupt):
            run_study(config(tmp_path), FAMILIES, interrupted)
    result = run_study(config(tmp_path), FAMILIES, interrupted)
    assert result.resumed == stops[-1]
    assert tried(result) == tried(whole)


def _killed(storage: Path, at: int) -> None:
    def deadly(family, params, trial):
        if trial.number == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return objective(family, params, trial)

    run_study(config(storage.parent), FAMILIES, deadly)


def test_killed_and_resumed_equals_uninterrupted(tmp_path, whole):
    for at in (0, 7):
        process = multiprocessing.get_context("spawn").Process(target=_killed, args=(tmp_path / "study.log", at))
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
    with (tmp_path / "study.log").open("ab") as handle:
        handle.write(b'{"op_code":4,"wor')  # a line that was not finished
    (tmp_path / "study.log.lock").touch()  # a lock that was not let go
    start = time.perf_counter()
    result = run_study(config(tmp_path), FAMILIES, objective)
    assert time.perf_counter() - start < 15
    assert tried(result) == tried(whole)


def test_killed_between_the_record_and_its_end_loses_nothing(tmp_path, whole, monkeypatch):
    from beautyrec.campaign.journal import Journal

    def cut(self, number, record):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_end", cut)
        with pytest.raises(KeyboardInterrupt):
            run_study(config(tmp_path), FAMILIES, objective)
    result = run_study(config(tmp_path), FAMILIES, objective)
    assert result.resumed == 1
    assert tried(result) == tried(whole)


def test_the_budget_is_met_once_and_can_be_raised(tmp_path, whole):
    calls = []

    def counted(family, params, trial):
        calls.append(trial.number)
        return objective(family, params, trial)

    steps = []
    for trials in (6, 6, 10, 4):
        result = run_study(config(tmp_path, trials), FAMILIES, counted, on_progress=lambda *at: steps.append(at))
    assert calls == list(range(10))
    assert steps[:7] == [(done, 6) for done in range(7)]
    assert steps[7:] == [(6, 6), *((done, 10) for done in range(6, 11)), (4, 4)]
    assert tried(result) == tried(whole)[:10]


def test_failed_trials_are_kept_and_end_nothing(tmp_path):
    def failing(family, params, trial):
        if trial.number == 1:
            raise FitError("nothing to fit on")
        if trial.number == 2:
            raise ZeroDivisionError("by zero")
        if trial.number == 3:
            return Outcome(float("nan"))
        if trial.number == 4:
            return None
        return objective(family, params, trial)

    result = run_study(config(tmp_path, 8), FAMILIES, failing)
    failed = result.trials[result.trials["state"] == "failed"]
    assert failed["number"].tolist() == [1, 2, 3, 4]
    assert failed["reason"].tolist()[:2] == ["nothing to fit on", "ZeroDivisionError: by zero"]
    assert "nan" in failed["reason"].iloc[2]
    assert "AttributeError" in failed["reason"].iloc[3]
    assert len(result.trials) == 8


def test_nothing_is_best_where_all_fail(tmp_path):
    def failing(family, params, trial):
        raise FitError("never")

    result = run_study(config(tmp_path, 4), FAMILIES, failing)
    assert result.best is None
    assert (result.trials["reason"] == "never").all()


def test_another_seed_gives_other_trials_in_the_same_file(tmp_path, whole):
    run_study(config(tmp_path, 5), FAMILIES, objective)
    other = run_study(config(tmp_path, 25, name="other", seed=4), FAMILIES, objective)
    assert tried(other)[:3] == tried(whole)[:3]
    assert tried(other)[3:] != tried(whole)[3:]


def test_random_search_needs_nothing_of_the_past(tmp_path, whole):
    settings = config(tmp_path, 6, sampler=RandomSearch())
    result = run_study(settings, FAMILIES, lambda *_: Outcome(0.0))
    again = run_study(config(tmp_path / "again", 6, sampler=RandomSearch()), FAMILIES, objective)
    assert result.trials["params"].tolist() == again.trials["params"].tolist()


@pytest.mark.parametrize(
    ("changes", "families", "says"),
    [
        ({"seed": 9}, FAMILIES, "another seed"),
        ({"sampler": TPE(7)}, FAMILIES, "another sampler"),
        ({"tags": {"data": "later"}}, FAMILIES, "another tags"),
        ({}, FAMILIES[:2], "another families"),
        ({"name": "x"}, (), "at least one"),
        ({"name": "x"}, (FAMILIES[0], FAMILIES[0]), "none twice"),
    ],
)
def test_a_study_is_resumed_as_it_was(tmp_path, changes, families, says):
    run_study(config(tmp_path, 2), FAMILIES, objective)
    with pytest.raises(ConfigError, match=says):
        run_study(config(tmp_path, 2, **changes), families, objective)


@pytest.mark.parametrize("changes", [{"name": ""}, {"trials": 0}, {"seed": -1}])
def test_settings_out_of_bounds(tmp_path, changes):
    with pytest.raises(ConfigError):
        config(tmp_path, **({"trials": 2} | changes))


def test_a_file_that_is_no_journal_is_left_alone(tmp_path):
    (tmp_path / "study.log").write_text("dear diary\nno newline here")
    with pytest.raises(ConfigError, match="not a study's journal"):
        run_study(config(tmp_path, 2), FAMILIES, objective)
    assert (tmp_path / "study.log").read_text().endswith("no newline here")


def test_a_storage_in_use_is_refused(tmp_path):
    def nested(family, params, trial):
        with pytest.raises(ConfigError, match="another process"):
            run_study(config(tmp_path, 2), FAMILIES, objective)
        return Outcome(0.0)

    assert run_study(config(tmp_path, 1), FAMILIES, nested).trials["state"].tolist() == ["complete"]


def test_optuna_says_nothing_and_is_left_as_it_was(tmp_path, capfd):
    import optuna

    before = optuna.logging.get_verbosity()
    run_study(config(tmp_path, 4), FAMILIES, objective)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert optuna.logging.get_verbosity() == before
