"""Studies in MLflow: one run for the study, one child run for each trial.

Only ``MlflowClient`` with explicit run ids is used: there is no active run, so nothing breaks under threads, and two
studies in one process do not meet. Runs are found again by tags, so a study that is resumed goes on in its own runs.
MLflow is imported when a study is opened, with its telemetry off.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import beautyrec
from beautyrec.campaign.mlflow_store import entities, metric_name, mlflow_client, search_runs, texts
from beautyrec.campaign.space import Scalar
from beautyrec.campaign.trial import TrialRecord

STUDY_TAG, TRIAL_TAG, PARENT_TAG = "beautyrec.study_id", "beautyrec.trial", "mlflow.parentRunId"
METRICS_AT_ONCE = 1000
"""What the server of MLflow takes in one call."""


class StudyRun(Protocol):
    """A study that is being tracked."""

    @property
    def run_id(self) -> str:
        """Of the study; empty where nothing is tracked."""
        ...

    def trial_run_id(self, number: int) -> str:
        """Of a trial; empty where there is none."""
        ...

    def start_trial(self, number: int, family: str, params: Mapping[str, Scalar]) -> None:
        """Say that a trial has begun. A trial that was begun before and not ended goes on in its run."""
        ...

    def end_trial(self, record: TrialRecord) -> None:
        """Note all of a trial and end it; nothing happens where that was done before."""
        ...

    def close(self, metrics: Mapping[str, float], status: str) -> None:
        """Note numbers of the whole study, and that it is ``FINISHED`` or ``KILLED``."""
        ...


class Tracker(Protocol):
    """Where studies are tracked."""

    def open_study(self, study_id: str, name: str, tags: Mapping[str, str]) -> StudyRun:
        """The run of the study ``study_id``, made or found again."""
        ...


@dataclass(frozen=True)
class NoTracker:
    """Tracks nothing: a :class:`Tracker` and its :class:`StudyRun` at once.

    Examples:
        >>> NoTracker().open_study("1", "demo", {}).run_id
        ''
    """

    run_id: str = ""

    def open_study(self, study_id: str, name: str, tags: Mapping[str, str]) -> NoTracker:  # noqa: ARG002
        """Itself."""
        return self

    def trial_run_id(self, number: int) -> str:  # noqa: ARG002
        """Empty."""
        return ""

    def start_trial(self, number: int, family: str, params: Mapping[str, Scalar]) -> None:
        """Nothing."""

    def end_trial(self, record: TrialRecord) -> None:
        """Nothing."""

    def close(self, metrics: Mapping[str, float], status: str) -> None:
        """Nothing."""


@dataclass(frozen=True)
class MlflowTracker:
    """Tracks studies in an MLflow store.

    Args:
        uri: of the store: ``sqlite:////absolute/path/mlflow.db``, or the address of a tracking server.
        artifacts: the folder or address under which a new experiment keeps its files; the server's own where None.
        experiment: the name of the experiment; it is made if it is absent.
    """

    uri: str
    artifacts: str | None = None
    experiment: str = "beautyrec"

    @classmethod
    def in_folder(cls, folder: str | Path, experiment: str = "beautyrec") -> MlflowTracker:
        """A store of its own in ``folder``: ``mlflow.db`` and ``mlartifacts/``."""
        place = Path(folder).resolve()
        place.mkdir(parents=True, exist_ok=True)
        return cls(f"sqlite:///{place / 'mlflow.db'}", str(place / "mlartifacts"), experiment)

    def open_study(self, study_id: str, name: str, tags: Mapping[str, str]) -> MlflowStudyRun:
        """The run of the study ``study_id``, made or found again.

        Args:
            study_id: what tells it from any other study.
            name: for people to read.
            tags: noted beside the version of the package and, in a checkout, its commit.

        Raises:
            MissingExtraError: ``mlflow`` is not installed.
            SourceError: the store cannot be used.
        """
        with mlflow_client(self.uri) as client:
            experiment = self.experiment_id(client)
        runs = search_runs(client, experiment, f"tags.`{STUDY_TAG}` = '{study_id}'")
        commit = git_commit()
        marks = {STUDY_TAG: study_id, "beautyrec.version": beautyrec.__version__, **tags}
        if commit:
            marks["mlflow.source.git.commit"] = commit
        run = runs[0] if runs else client.create_run(experiment, run_name=name, tags=texts(marks))
        return MlflowStudyRun(client, experiment, run.info.run_id)

    def experiment_id(self, client: Any) -> str:
        """The id of the experiment in the store of an ``MlflowClient``; it is made if it is absent."""
        found = client.get_experiment_by_name(self.experiment)
        if found is not None:
            return str(found.experiment_id)
        return str(client.create_experiment(self.experiment, artifact_location=self.artifacts))


class MlflowStudyRun:
    """A study in an MLflow store: a :class:`StudyRun`.

    Args:
        client: an ``MlflowClient``.
        experiment: the id of the experiment.
        run_id: of the study.
    """

    def __init__(self, client: Any, experiment: str, run_id: str) -> None:
        self._client, self._experiment, self._run_id = client, experiment, run_id
        children = search_runs(client, experiment, f"tags.`{PARENT_TAG}` = '{run_id}'")
        self._children = {int(run.data.tags[TRIAL_TAG]): run.info.run_id for run in children}
        self._ended = {int(run.data.tags[TRIAL_TAG]) for run in children if run.info.status in ("FINISHED", "FAILED")}

    @property
    def run_id(self) -> str:
        """Of the study."""
        return self._run_id

    def trial_run_id(self, number: int) -> str:
        """Of a trial; empty where there is none."""
        return str(self._children.get(number, ""))

    def start_trial(self, number: int, family: str, params: Mapping[str, Scalar]) -> None:
        """Say that a trial has begun. A trial that was begun before and not ended goes on in its run."""
        if number in self._children:
            return
        tags = {PARENT_TAG: self._run_id, TRIAL_TAG: number, "family": family}
        run = self._client.create_run(self._experiment, run_name=f"{number:03d} {family}", tags=texts(tags))
        self._children[number] = run.info.run_id
        self._client.log_batch(run.info.run_id, params=_params(family, params))
        self._client.update_run(self._run_id, status="RUNNING")

    def end_trial(self, record: TrialRecord) -> None:
        """Note all of a trial and end it; nothing happens where that was done before.

        The metrics of a day are noted as ``day/NAME`` with the day, from 0, as their step. They carry the time at which
        the trial ended, so that doing this twice leaves one of each.
        """
        if record.number in self._ended:
            return
        self.start_trial(record.number, record.family, record.params)
        run_id, kinds = self._children[record.number], entities()
        numbers = {**record.metrics, "seconds": record.seconds}
        if record.value is not None:
            numbers["value"] = record.value
        series = [(metric_name(key), value, 0) for key, value in numbers.items()]
        for step, day in enumerate(record.per_day):
            series += [(metric_name(f"day/{key}"), value, step) for key, value in day.items()]
        metrics = [kinds.Metric(key, value, record.ended_ms, step) for key, value, step in series]
        tags = {"verdict": record.verdict, "reason": record.reason or "; ".join(record.reasons)}
        self._client.log_batch(
            run_id,
            params=_params(record.family, record.params),
            tags=[kinds.RunTag(*pair) for pair in texts(tags).items()],
        )
        for start in range(0, len(metrics), METRICS_AT_ONCE):
            self._client.log_batch(run_id, metrics=metrics[start : start + METRICS_AT_ONCE])
        self._client.set_terminated(run_id, "FAILED" if record.value is None else "FINISHED", record.ended_ms)
        self._ended.add(record.number)

    def close(self, metrics: Mapping[str, float], status: str) -> None:
        """Note numbers of the whole study and its status, ``FINISHED`` or ``KILLED``; nothing where they stand already.

        A trial that has begun and not ended is marked as killed; it goes on in its run when the study is resumed.
        """
        run = self._client.get_run(self._run_id)
        if run.info.status == status and all(run.data.metrics.get(key) == value for key, value in metrics.items()):
            return
        for key, value in metrics.items():
            self._client.log_metric(self._run_id, metric_name(key), value)
        for number in set(self._children) - self._ended:
            self._client.set_terminated(self._children[number], "KILLED")
        self._client.set_terminated(self._run_id, status)


def _params(family: str, params: Mapping[str, Scalar]) -> list[Any]:
    kinds = entities()
    return [kinds.Param(*pair) for pair in texts({"family": family, **params}).items()]


def git_commit() -> str | None:
    """The commit of the checkout this package runs from, ``-dirty`` after it if that was changed since; else None."""
    folder = Path(beautyrec.__file__).parent
    if "site-packages" in folder.parts:
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
