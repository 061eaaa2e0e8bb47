"""The main job: from a log to a line-up, through every room of the house."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

import beautyrec
from beautyrec.campaign.ranking_study import rank_models
from beautyrec.data import schema
from beautyrec.data.locate import find_data
from beautyrec.data.splits import Split, leave_last_out, split_at
from beautyrec.engine import Engine
from beautyrec.errors import SourceError
from beautyrec.evaluation.leaks import refuse_leaks
from beautyrec.evaluation.prediction import calibration_curve, calibration_error
from beautyrec.jobs import show
from beautyrec.jobs.champion import crown
from beautyrec.jobs.config import JobConfig
from beautyrec.jobs.data_check import Checked, check_impressions, said
from beautyrec.jobs.lift import Knowledge, Stage, lift_of_models, scores_of_models
from beautyrec.jobs.next_room import NextRoom, plan_next_room
from beautyrec.jobs.open_bandit import find_open_bandit, lift_of_bandits
from beautyrec.jobs.report import write_report
from beautyrec.jobs.shop import (
    Purchases,
    Shop,
    build_world,
    describe,
    has_purchases,
    open_shop,
    read_purchases,
    source_of,
)
from beautyrec.jobs.side_by_side import side_by_side
from beautyrec.jobs.steps import Steps
from beautyrec.jobs.summary import Summary, write_summary
from beautyrec.jobs.sweep import ESTIMATOR, METRIC, prepare, sweep, trial_rows
from beautyrec.models.base import Learner
from beautyrec.models.funnel import Funnel
from beautyrec.models.funnel_base import FunnelLearner
from beautyrec.policies.softmax import Softmax


def run_job(
    config: JobConfig, *, data_folder: Path | None = None, output: Path | None = None, console: Console | None = None
) -> Summary:
    """Runs the main job and writes ``summary.json``, ``report.html`` and ``line_up.csv`` into its folder.

    Args:
        config: what the TOML file says.
        data_folder: the public data sets; else ``BEAUTYREC_DATA``, else ``../shared/data``, else none.
        output: where to write, instead of ``config.output``.
        console: where tables and progress go; nowhere if it is None.

    Raises:
        BeautyrecError: anything wrong with what came in; no file is left half-written.
    """
    console = console or Console(quiet=True)
    data = find_data(data_folder)
    folder = output or Path(config.output)
    job = MainJob(config, data, folder, Steps(console))
    summary = job.run()
    write_summary(summary, folder / "summary.json")
    write_report(summary, folder / "report.html")
    show.everything(summary, folder, console)
    return summary


@dataclass(frozen=True)
class MainJob:
    """The steps of the main job, each of which can be called alone from a notebook.

    Args:
        config: what the TOML file says.
        data: the folder of public data, or None.
        folder: where to write.
        steps: times the steps and draws their bars.
    """

    config: JobConfig
    data: Path | None
    folder: Path
    steps: Steps

    def run(self) -> Summary:
        """All steps in their order."""
        purchases = self._read()
        self.folder.mkdir(parents=True, exist_ok=True)
        ranking = self.ranking(purchases)
        with self.steps.step("simulate the month of live rooms") as on_progress:
            world = build_world(purchases, self.config, on_progress)
        with self.steps.step("write its log, compute features") as on_progress:
            shop = open_shop(world, on_progress, Engine.named(self.config.engine))
        checked = self.check(shop)
        lift, calibration = self.lift(shop)
        open_bandit = self.open_bandit()
        study, champion = self.tune(shop, purchases)
        with self.steps.step("line-up of the next room"):
            room = plan_next_room(shop, self.config, seed=self.config.seed)
            room.plan.to_csv(self.folder / "line_up.csv")
        return Summary(
            seed=self.config.seed,
            version=beautyrec.__version__,
            data={**describe(purchases, shop), "checks": checked.as_dict()},
            ranking=ranking,
            lift=lift,
            calibration=calibration,
            open_bandit=open_bandit,
            sweep=study,
            champion=champion,
            lineup=room.plan.table,
            room=_room(room),
            seconds=dict(self.steps.seconds),
        )

    def _read(self) -> Purchases:
        """The purchases; the first line says whether they are real."""
        source = source_of(real=has_purchases(self.data))
        self.steps.console.print(f"[bold]purchases:[/] {source}", highlight=False)
        with self.steps.step("read purchases and catalogue"):
            return read_purchases(self.data, self.config)

    def ranking(self, purchases: Purchases) -> pd.DataFrame:
        """Every model that ranks, on purchases alone, by two protocols."""
        learners = {
            name: learner
            for name, model in self.config.models.items()
            if not isinstance(learner := model.learner(), FunnelLearner)
        }
        interactions, days = purchases.interactions, self.config.ranking.time_split_days
        end = pd.Timestamp(int(interactions.ts.max()), unit="us", tz="UTC").floor("D") + pd.Timedelta(days=1)
        splits = {
            "leave-last-out": leave_last_out(interactions),
            f"global time, last {days} days": split_at(interactions, end - pd.Timedelta(days=days)),
        }
        options = {"k": self.config.ranking.k, "seed": self.config.seed}
        work = [
            (_rank, ({name: learner}, split, {**options, "protocol": protocol}))
            for name, learner in reversed(learners.items())  # the networks, which take longest, stand last
            for protocol, split in splits.items()
        ]
        with self.steps.step("rank: leave-last-out and global time") as on_progress:
            rows: pd.DataFrame = pd.concat(side_by_side(work, self.config.workers, on_progress), ignore_index=True)
        place = {(protocol, name): number for number, (protocol, name) in enumerate(product(splits, learners))}
        order = [place[key] for key in zip(rows["protocol"], rows["model"], strict=True)]
        return rows.iloc[np.argsort(order)].reset_index(drop=True)

    def check(self, shop: Shop) -> Checked:
        """Nothing that models learn from may know what it could not have known; says how full the columns are.

        Raises:
            EvaluationError: something leaks; with the evidence.
        """
        with self.steps.step("look for leaks in the features"):
            checked = check_impressions(shop.log, shop.rows, shop.features.names, seed=self.config.seed)
            refuse_leaks(checked.leaks)
        self.steps.console.print(f"  {said(checked)}", highlight=False)
        return checked

    def lift(self, shop: Shop) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Lift of every model's policy in the week before the sweep's, and the calibration of the funnel model there."""
        last = self.config.world.days - self.config.sweep.days
        first = last - self.config.lift.days
        seed, policy = self.config.seed, Softmax(self.config.lift.temperature)
        knowledge = Knowledge.at(shop, shop.day(first), self.config.lift)
        with self.steps.step("features of the week's shelves") as on_progress:
            stage = Stage.of(shop, first, last, seed=seed, on_progress=on_progress)
        learners = {name: model.learner() for name, model in self.config.models.items()}
        workers = self.config.workers
        with self.steps.step("fit each model, score the week's shelves") as on_progress:
            scores = scores_of_models(learners, knowledge, stage, seed=seed, workers=workers, on_progress=on_progress)
        with self.steps.step("lift of each model's policy") as on_progress:
            table = lift_of_models(shop, scores, stage, policy, seed=seed, on_progress=on_progress)
        return table, self._calibration(shop, knowledge, first, last)

    def _calibration(self, shop: Shop, knowledge: Knowledge, first: int, last: int) -> pd.DataFrame:
        """Predicted against observed clicks and orders of the week, by a funnel model that did not see it."""
        model = Funnel().fit(knowledge.rows, features=knowledge.features, seed=self.config.seed)
        rows = shop.rows[shop.rows[schema.TS].between(shop.day(first), shop.day(last), inclusive="left")]
        predicted = model.predict(rows)
        clicked = rows[schema.CLICKED].to_numpy()
        pairs = {
            "pCTR": (predicted["ctr"].to_numpy(), clicked),
            "pCVR": (predicted["cvr"].to_numpy()[clicked], rows[schema.ORDERED].to_numpy()[clicked]),
        }
        tables = []
        for name, (chance, happened) in pairs.items():
            bins = 10 if name == "pCTR" else 5
            error = calibration_error(chance, happened, bins, relative=True)
            tables.append(calibration_curve(chance, happened, bins).assign(prediction=name, relative_error=error))
        return pd.concat(tables, ignore_index=True)

    def open_bandit(self) -> pd.DataFrame:
        """The same estimators on real impressions; where they cannot be had, one row that says why."""
        with self.steps.step("read lift from Open Bandit (real)"):
            try:
                return lift_of_bandits(find_open_bandit(self.data, Path("data")))
            except SourceError as error:
                return pd.DataFrame([{"verdict": "refuse", "reasons": f"not read: {error}"}])

    def tune(self, shop: Shop, purchases: Purchases) -> tuple[dict[str, Any], dict[str, Any]]:
        """The study over the last week, and its champion."""
        with self.steps.step("prepare the walk-forward of the last week") as on_progress:
            walk = prepare(shop, self.config, on_progress)
        with self.steps.step("sweep: Optuna trials, tracked in MLflow") as on_progress:
            result, tracker = sweep(walk, self.config, self.folder, purchases.fingerprint, on_progress)
        with self.steps.step("champion: refit, register, load back"):
            champion = crown(shop, walk, result, tracker, self.config, self.folder)
        study = {
            "trials": self.config.sweep.trials,
            "days": self.config.sweep.days,
            "objective": f"lower bound of the {METRIC.replace('_', ' ')} lift by {ESTIMATOR}",
            "tracked_in": "mlflow.db",
            "trials_done": trial_rows(result),
        }
        return study, champion


def _room(room: NextRoom) -> dict[str, Any]:
    plan = room.plan
    return {
        "scene": room.scene,
        "starts_at": str(room.starts_at),
        "expected_viewers": room.viewers,
        "expected_margin": plan.expected_margin,
        "true_margin": room.true_margin,
        "gap": plan.gap,
        "considered": plan.considered,
        "left_out": dict(plan.left_out),
    }


def _rank(learners: dict[str, Learner], split: Split, options: dict[str, Any]) -> pd.DataFrame:
    """A row of the ranking table, in a process of its own."""
    return rank_models(learners, split, **options)
