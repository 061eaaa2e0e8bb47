"""A campaign in MLflow: its run, a run a week below it, a run a trial below that.

What is tracked is read from the state of the campaign, so it can be written at any time and any number of times: a run that is
complete is left alone. A store that is down loses nothing; what it lacks is written when it is back.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import beautyrec
from beautyrec.campaign.mlflow_store import entities, metric_name, mlflow_client, search_runs, texts
from beautyrec.campaign.month import Campaign
from beautyrec.campaign.month_trial import FAILED, Trial
from beautyrec.campaign.tracking import METRICS_AT_ONCE, PARENT_TAG, TRIAL_TAG, MlflowTracker, git_commit
from beautyrec.errors import SourceError

CAMPAIGN_TAG, ROUND_TAG = "beautyrec.campaign", "beautyrec.round"
OVER: Final = ("FINISHED", "FAILED")


@dataclass(eq=False)
class MonthTracker:
    """Writes campaigns into an MLflow store.

    Args:
        store: where.
    """

    store: MlflowTracker
    _client: Any = field(default=None, init=False)
    _experiment: str = field(default="", init=False)
    _runs: dict[str, str] = field(default_factory=dict, init=False)
    _over: set[str] = field(default_factory=set, init=False)

    def sync(self, campaign: Campaign) -> int:
        """Write what the store does not have; how many trials were written.

        Raises:
            MissingExtraError: ``mlflow`` is not installed.
            SourceError: the store cannot be used; nothing is lost, and the next call goes on.
        """
        try:
            with mlflow_client(self.store.uri) as client:
                if self._client is None:
                    self._open(client, campaign)
                return self._write(campaign)
        except SourceError:
            self._client = None  # what the store has of it is looked up again
            raise

    def _write(self, campaign: Campaign) -> int:
        self._week_runs(campaign)
        written = 0
        for trial in campaign.slots.trials():
            key = f"trial {trial.number}"
            if trial.result is not None and key not in self._over:
                self._trial(campaign, trial, key)
                written += 1
        self._close(campaign)
        return written

    def trial_run(self, number: int) -> str:
        """The id of a trial's run, after :meth:`sync`; empty where it has none."""
        return self._runs.get(f"trial {number}", "")

    @property
    def campaign_run(self) -> str:
        """The id of the campaign's run, after :meth:`sync`."""
        return self._runs.get("campaign", "")

    def attach(self, path: str | Path) -> None:
        """Put a file beside the campaign's run, after :meth:`sync`; nothing where it has no run.

        Raises:
            MissingExtraError: ``mlflow`` is not installed.
            SourceError: the store cannot be used.
        """
        if self.campaign_run:
            with mlflow_client(self.store.uri) as client:
                client.log_artifact(self.campaign_run, str(path))

    def _open(self, client: Any, campaign: Campaign) -> None:
        """Find what is there already, by tags."""
        self._client, self._experiment = client, self.store.experiment_id(client)
        for run in search_runs(client, self._experiment, f"tags.`{CAMPAIGN_TAG}` = '{campaign.identity}'"):
            key = run.data.tags["beautyrec.part"]
            self._runs[key] = run.info.run_id
            if run.info.status in OVER:
                self._over.add(key)
        if "campaign" not in self._runs:
            self._make("campaign", f"{campaign.calendar.name(0)} month", campaign, "", tags_of(campaign))

    def _make(self, key: str, name: str, campaign: Campaign, parent: str, tags: Mapping[str, Any]) -> str:
        marks = {CAMPAIGN_TAG: campaign.identity, "beautyrec.part": key, **tags}
        if parent:
            marks[PARENT_TAG] = parent
        run = self._client.create_run(self._experiment, run_name=name, tags=texts(marks))
        self._runs[key] = str(run.info.run_id)
        return self._runs[key]

    def _week_runs(self, campaign: Campaign) -> None:
        for plan in campaign.plans():
            key = f"week {plan.round}"
            if key not in self._runs:
                spaces = json.dumps(plan.to_json()["spaces"])
                self._make(key, key, campaign, self.campaign_run, {ROUND_TAG: plan.round, "spaces": spaces})

    def _trial(self, campaign: Campaign, trial: Trial, key: str) -> None:
        task, result, kinds = trial.task, trial.result, entities()
        if result is None:
            return
        if key not in self._runs:
            cutoff = campaign.calendar.begins(task.day + 1).isoformat()
            tags = {
                TRIAL_TAG: task.number,
                ROUND_TAG: task.round,
                "family": task.family,
                "seed": task.seed,
                "cutoff": cutoff,
            }
            self._make(key, f"{task.number:04d} {task.family}", campaign, self._runs[f"week {task.round}"], tags)
        run_id = self._runs[key]
        numbers = {**result.metrics, **{f"objective/{name}": value for name, value in result.values.items()}}
        series = [(name, value, 0) for name, value in {**numbers, "seconds": result.seconds}.items()]
        series += [("epoch/validation", value, epoch) for epoch, value in enumerate(result.epochs, 1)]
        series += [
            (f"day/{name}", value, int(day["day"]))
            for day in result.days
            for name, value in day.items()
            if name != "day"
        ]
        metrics = [kinds.Metric(metric_name(name), value, result.ended_ms, step) for name, value, step in series]
        params = [kinds.Param(*pair) for pair in texts({"family": task.family, **task.params}).items()]
        words = {
            "state": result.state,
            "verdict": result.verdict,
            "reason": result.reason,
            "barred": "; ".join(result.barred),
        }
        marks = [kinds.RunTag(*pair) for pair in texts({**words, "worker": result.worker}).items()]
        self._client.log_batch(run_id, metrics=metrics[:METRICS_AT_ONCE], params=params, tags=marks)
        self._client.set_terminated(run_id, "FAILED" if result.state == FAILED else "FINISHED", result.ended_ms)
        self._over.add(key)

    def _close(self, campaign: Campaign) -> None:
        """End the weeks that were reviewed and, once it is confirmed, the campaign, which has the champion's lift as a series."""
        for told in campaign.round_reviews():
            best = told.rows[0] if told.rows else {}
            if f"week {told.round}" not in self._over:
                self._champion(told.rows, told.champion, campaign.calendar.rounds[told.round - 1].last)
            self._finish(f"week {told.round}", best, [f"{one.what} {one.subject}" for one in told.decisions])
        last = campaign.confirmation()
        if last is not None and "campaign" not in self._over:
            best = last.rows[0] if last.rows else {}
            self._champion(last.rows, last.champion, campaign.calendar.confirmation[-1])
            self._finish("campaign", best, [f"{one.what} {one.subject}" for one in last.decisions])

    def _champion(self, rows: Sequence[Mapping[str, Any]], number: int | None, day: int) -> None:
        """The champion's lift as a review found it, at the step of its day."""
        for row in rows:
            if row["number"] == number and row["estimate"] is not None:
                kinds, now = entities(), time.time_ns() // 1_000_000
                lift = {f"champion/{name}": float(row[name]) for name in ("estimate", "ci_low", "ci_high")}
                metrics = [kinds.Metric(name, value, now, day) for name, value in lift.items()]
                self._client.log_batch(self.campaign_run, metrics=metrics)

    def _finish(self, key: str, best: Mapping[str, Any], decisions: list[str]) -> None:
        if key in self._over:
            return
        kinds, run_id = entities(), self._runs[key]
        names = ("estimate", "ci_low", "ci_high", "before_estimate", "luck", "p_adjusted", "calibration", "coverage")
        metrics = [
            kinds.Metric(f"best/{name}", float(best[name]), 0, 0) for name in names if best.get(name) is not None
        ]
        tags = [kinds.RunTag(*pair) for pair in texts({"decisions": "; ".join(decisions)}).items()]
        self._client.log_batch(run_id, metrics=metrics, tags=tags)
        self._client.set_terminated(run_id)
        self._over.add(key)


def tags_of(campaign: Campaign) -> dict[str, Any]:
    """What a campaign depends on: git commit, data, features, protocol, seed, sampler."""
    spec = campaign.spec
    seen = json.dumps(campaign.log.describe(), default=str)
    tags = {
        "beautyrec.version": beautyrec.__version__,
        "data": hashlib.sha256(seen.encode()).hexdigest()[:16],
        "features": campaign.judge.known.features.fingerprint,
        "protocol": f"walk-forward, {spec.aim.window_days} days, {spec.metric}, {spec.aim.bound}",
        "seed": spec.seed,
        "sampler": repr(spec.sampler),
        "calendar": repr(spec.calendar),
    }
    commit = git_commit()
    return {**tags, "mlflow.source.git.commit": commit} if commit else tags
