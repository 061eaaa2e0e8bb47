"""The sweep: each trial walks forward over the last days of the month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.campaign.space import Scalar
from beautyrec.campaign.study import StudyConfig, StudyResult, run_study
from beautyrec.campaign.tracking import MlflowTracker
from beautyrec.campaign.trial import Outcome, TrialLog
from beautyrec.data.times import microseconds
from beautyrec.errors import EvaluationError
from beautyrec.evaluation.lift import lift_table
from beautyrec.jobs.config import JobConfig, SweepConfig
from beautyrec.jobs.lift import Knowledge, Stage, scores_of
from beautyrec.jobs.shop import Shop
from beautyrec.policies.softmax import Softmax
from beautyrec.types import BoolArray, FloatArray, Progress

METRIC, ESTIMATOR = "room_conversion", "dr"
"""What a trial maximises: the lower bound of this metric's lift by this estimator."""


@dataclass(frozen=True, eq=False)
class WalkForward:
    """The objective: a model for each day, fitted on what was known before it, judged on all days together.

    Args:
        stage: the requests of the days.
        days: for each day, which requests are its own [B], and what was known before it.
        policy: over the scores of each day's model.
        families: what a trial's parameters mean.
    """

    stage: Stage
    days: Sequence[tuple[BoolArray, Knowledge]]
    policy: Softmax
    families: SweepConfig

    def chances(self, family: str, params: Mapping[str, Any], seed: int) -> FloatArray:
        """[B, C] chance of each product to be drawn first, each day by the model of that day."""
        learner = self.families.families[family].learner(family, params)
        chances = np.zeros(self.stage.held.item_ix.shape)
        for mine, knowledge in self.days:
            scores = scores_of(learner, knowledge, self.stage.where(mine), seed=seed)
            chances[mine] = self.policy.probabilities(scores)
        return chances

    def __call__(self, family: str, params: dict[str, Scalar], trial: TrialLog) -> Outcome:
        """The lower bound of the lift in room conversion over all days; each day alone is noted as it goes."""
        evidence = self.stage.held.evidence(self.chances(family, params, trial.seed))
        for mine, _ in self.days:
            today = _row(lift_table(evidence.where(mine)), METRIC)
            trial.day({name: today[name] for name in ("estimate", "ci_low", "effective_n") if pd.notna(today[name])})
        table = lift_table(evidence)
        row = _row(table, METRIC)
        if pd.isna(row["estimate"]):
            raise EvaluationError(f"the log cannot tell: {row['reasons']}.")
        numbers = {name: float(row[name]) for name in ("estimate", "ci_low", "ci_high", "target", "logging")}
        return Outcome(
            value=numbers["ci_low"],
            metrics={**numbers, "ctr_lift": float(_row(table, "ctr")["estimate"])},
            verdict=str(row["verdict"]),
            reasons=(str(row["reasons"]),) if row["reasons"] else (),
        )


def _row(table: pd.DataFrame, metric: str) -> pd.Series[Any]:
    """The row of a metric by the estimator that counts."""
    return table[(table["metric"] == metric) & (table["estimator"] == ESTIMATOR)].iloc[0]


def prepare(shop: Shop, config: JobConfig, on_progress: Progress | None = None) -> WalkForward:
    """The requests of the month's last days, and what was known before each of them."""
    last = config.world.days
    first = last - config.sweep.days
    stage = Stage.of(shop, first, last, seed=config.seed, on_progress=on_progress)
    ts = stage.held.slates.ts
    days = []
    for number in range(first, last):
        start, end = shop.day(number), shop.day(number + 1)
        mine = (ts >= microseconds(start)) & (ts < microseconds(end))
        days.append((mine, Knowledge.at(shop, start, config.lift)))
    return WalkForward(stage, days, Softmax(config.lift.temperature), config.sweep)


def sweep(
    walk: WalkForward, config: JobConfig, folder: Path, fingerprint: str, on_progress: Progress | None = None
) -> tuple[StudyResult, MlflowTracker]:
    """Runs the study, or resumes the one that lies in ``folder``; each trial is a run in the MLflow store there."""
    tracker = MlflowTracker.in_folder(folder, experiment="beautyrec-demo")
    study = StudyConfig(
        name="demo",
        trials=config.sweep.trials,
        seed=config.seed,
        storage=folder / "study.journal",
        tags={
            "data": fingerprint,
            "protocol": f"walk-forward over the last {config.sweep.days} days, {METRIC} by {ESTIMATOR}",
        },
    )
    families = [family.family(name, "sweep.families") for name, family in config.sweep.families.items()]
    return run_study(study, families, walk, tracker, on_progress), tracker


def trial_rows(result: StudyResult) -> pd.DataFrame:
    """One row a trial for the summary: what was tried, what was found, and why a failed one failed."""
    trials = result.trials
    numbers = pd.DataFrame(trials["metrics"].tolist(), index=trials.index)
    columns = [name for name in ("estimate", "ci_low", "ci_high", "target", "logging", "ctr_lift") if name in numbers]
    kept = trials[["number", "family", "params", "state", "value", "verdict", "reason", "seconds"]]
    return kept.join(numbers[columns])
