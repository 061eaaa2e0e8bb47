"""The tuning month as a job: the log, the campaign, its tracking, its champion and, in a simulated shop, the truth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from beautyrec.campaign.confirmation import Confirmation
from beautyrec.campaign.final_model import FinalModel
from beautyrec.campaign.month import Campaign
from beautyrec.campaign.month_report import write_month_report
from beautyrec.campaign.month_tracking import MonthTracker
from beautyrec.campaign.registry import register_champion
from beautyrec.campaign.tracking import MlflowTracker
from beautyrec.data.locate import find_data
from beautyrec.data.slates import Slates
from beautyrec.data.times import microseconds
from beautyrec.engine import Engine
from beautyrec.errors import ConfigError, MissingExtraError, SourceError
from beautyrec.files import atomic_file
from beautyrec.jobs.month_config import MonthConfig
from beautyrec.jobs.shop import build_world, read_purchases, source_of
from beautyrec.jobs.steps import Steps
from beautyrec.jobs.summary import plain
from beautyrec.simulate.truth import Truth
from beautyrec.simulate.world import World
from beautyrec.types import FloatArray

EXPERIMENT = "beautyrec-month"
TOLD = ("ctr", "cvr", "ctcvr", "room_conversion", "revenue_per_viewer", "margin_per_viewer")


def run_month(
    config: MonthConfig,
    *,
    data_folder: Path | None = None,
    output: Path | None = None,
    day: str | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Runs the month, or goes on with the one that lies in the folder.

    When it is over, ``summary.json`` and ``report.html`` are written.

    Args:
        config: what the TOML file says.
        data_folder: the public data sets; else ``BEAUTYREC_DATA``, else ``../shared/data``, else none.
        output: where to write, instead of ``config.output``.
        day: only this one, as a date.
        console: where tables and progress go; nowhere if it is None.

    Returns:
        The summary; of one day, what the day came to.

    Raises:
        BeautyrecError: anything wrong with what came in; what was done is kept.
    """
    console = console or Console(quiet=True)
    job = MonthJob(config, find_data(data_folder), output or Path(config.output), Steps(console))
    return job.run() if day is None else job.run_day(day)


def join_month(config: MonthConfig, output: Path | None = None) -> int:
    """Join the month that lies in the folder as a worker, until it is over; how many trials were done."""
    return Campaign.open((output or Path(config.output)) / "campaign").work()


def report_month(config: MonthConfig, output: Path | None = None) -> Path:
    """Write ``report.html`` of the month that lies in the folder, as far as it has come; its path.

    Raises:
        SourceError: no month lies there.
    """
    folder = output or Path(config.output)
    summary = folder / "summary.json"
    truth = json.loads(summary.read_text(encoding="utf-8")).get("truth") if summary.exists() else None
    return write_month_report(Campaign.open(folder / "campaign"), folder / "report.html", truth=truth)


@dataclass(frozen=True, eq=False)
class MonthJob:
    """The steps of the job.

    Args:
        config: what the TOML file says.
        data: the folder of public data, or None.
        folder: where to write.
        steps: times the steps and draws their bars.
    """

    config: MonthConfig
    data: Path | None
    folder: Path
    steps: Steps

    @cached_property
    def world(self) -> World:
        """The simulated shop."""
        with self.steps.step("simulate the shop") as on_progress:
            purchases = read_purchases(self.data, self.config)
            self.steps.console.print(f"[bold]purchases:[/] {source_of(real=purchases.real)}", highlight=False)
            return build_world(purchases, self.config, on_progress)

    @cached_property
    def tracker(self) -> MonthTracker:
        """Where it is tracked."""
        if self.config.tracking is not None:
            return MonthTracker(MlflowTracker(self.config.tracking, experiment=EXPERIMENT))
        return MonthTracker(MlflowTracker.in_folder(self.folder, experiment=EXPERIMENT))

    def campaign(self) -> Campaign:
        """The campaign of the folder, made where it is absent."""
        return Campaign.create(self.config.month, self._log(), self.folder / "campaign", storage=self.config.storage)

    def run(self) -> dict[str, Any]:
        """All days, then the champion and the summary."""
        campaign, console = self.campaign(), self.steps.console
        with self.steps.step("the tuning month"):
            found = campaign.run(lambda day, told: self._after(campaign, day, told))
        behind = self.track(campaign)
        with self.steps.step("champion: refit, register"):
            crowned = self._crown(campaign, found)
        summary = {"campaign": self._campaign(campaign), **crowned, "behind": behind}
        if self.config.log is None:
            with self.steps.step("the truth on the month after"):
                summary["truth"] = self._truth(campaign, found)
        summary["seconds"] = dict(self.steps.seconds)
        with atomic_file(self.folder / "summary.json") as temporary:
            temporary.write_text(json.dumps(plain(summary), indent=1), encoding="utf-8")
        show(summary, campaign, console)
        try:
            page = write_month_report(campaign, self.folder / "report.html", truth=summary.get("truth"))
            console.print(f"[bold]report:[/] {page}", highlight=False)
        except MissingExtraError as error:
            console.print(f"[yellow]no report:[/] {error}", highlight=False)
        return summary

    def run_day(self, day: str) -> dict[str, Any]:
        """One day; nothing happens where it is over."""
        campaign = self.campaign()
        told = campaign.run_day(day)
        self._after(campaign, int(told["day"]), told)
        return told

    def track(self, campaign: Campaign) -> str:
        """Write what the store lacks; why not, where it cannot be reached. The state of the campaign keeps it all."""
        try:
            self.tracker.sync(campaign)
        except SourceError as error:
            self.steps.console.print(
                f"[yellow]not tracked yet, kept in the campaign's folder:[/] {error}", highlight=False
            )
            return str(error)
        return ""

    def _after(self, campaign: Campaign, day: int, told: Mapping[str, Any]) -> None:
        """What is said and tracked when a day is over."""
        head = f"{told['date']}  {told['phase']:<12}  {told.get('trials', 0):>3} trials"
        words = f"{head}  {told['seconds']:6.1f} s  {told['note']}"
        self.steps.console.print(words, highlight=False)
        if told.get("review") and day < campaign.calendar.confirmation[0]:
            for one in campaign.round_reviews()[-1].decisions:
                self.steps.console.print(
                    f"    [bold]{one.what}[/] {one.subject}: {'; '.join(one.reasons)}", highlight=False
                )
        if told.get("trials") or told["phase"] == "confirmation":
            self.track(campaign)

    def _log(self) -> Path:
        """The folder of the log; a simulated one is written once, up to the month's end."""
        if self.config.log is not None:
            return Path(self.config.log)
        place = self.folder / "log"
        if not place.is_dir():
            log = self.world.log(Engine.duckdb())
            with self.steps.step("write the log of the month"):
                log.before(self._start() + pd.Timedelta(days=self.config.month.calendar.days)).write(place)
        return place

    def _start(self) -> pd.Timestamp:
        return pd.Timestamp(int(self.world.month.ts.min()), unit="us", tz="UTC").floor("D")

    def _crown(self, campaign: Campaign, found: Confirmation) -> dict[str, Any]:
        """The champion and the runner-up as artifacts under their aliases; or why there is none."""
        told: dict[str, Any] = {}
        for alias, number in (("challenger", found.challenger), ("champion", found.champion)):
            if number is None:
                told[alias] = {
                    "promoted": False,
                    "reasons": [one.subject + ": " + "; ".join(one.reasons) for one in found.decisions],
                }
                continue
            row = next(row for row in found.rows if row["number"] == number)
            promised = {name: row[name] for name in ("estimate", "ci_low", "ci_high")}
            label = self.world.label if self.config.log is None else "a shop's log"
            place = self.folder / alias
            card = FinalModel.of(campaign, number).write(place, promised, label)
            run_id = self.tracker.trial_run(number)
            told[alias] = {**row, "promoted": True, "artifact": alias, "params": {**row["params"]}}
            if run_id:
                tags = {"family": card.family, **promised}
                told[alias]["version"] = register_champion(
                    self.tracker.store.uri, place, run_id, name=EXPERIMENT, alias=alias, tags=tags
                ).version
        return told

    def _campaign(self, campaign: Campaign) -> dict[str, Any]:
        trials = campaign.trials()
        return {
            "trials": len(trials),
            "states": trials["state"].value_counts().to_dict(),
            "seconds_of_trials": float(trials["seconds"].sum()),
            "decisions": campaign.decisions(),
            "days": campaign.days()[["date", "phase", "trials", "seconds", "note"]],
        }

    def _truth(self, campaign: Campaign, found: Confirmation) -> dict[str, Any]:
        """What champion, legacy policy and oracle are truly worth on the month after."""
        world = self.world
        slates = self._after_slates(campaign)
        seed = self.config.seed  # the same draws for each policy
        legacy = world.legacy_truth(slates, rng=np.random.default_rng(seed))
        oracle = world.truth_of_slates(slates, world.best_slates(slates))
        policies: dict[str, Truth] = {"legacy": legacy, "oracle": oracle}
        if found.champion is not None:
            chances: FloatArray = FinalModel.of(campaign, found.champion).chances(world.log(Engine.duckdb()), slates)
            policies["champion"] = world.truth(slates, chances, rng=np.random.default_rng(seed))
        levels = {name: {metric: truth[metric].value for metric in TOLD} for name, truth in policies.items()}
        told: dict[str, Any] = {"label": world.label, "requests": len(slates), **levels}
        if found.champion is not None:
            row = next(row for row in found.rows if row["number"] == found.champion)
            lift = {
                name: levels[name]["room_conversion"] / levels["legacy"]["room_conversion"] - 1
                for name in ("champion", "oracle")
            }
            told |= {"true_lift": lift["champion"], "oracle_lift": lift["oracle"], "promised_lift": row["estimate"]}
            told |= {"promised_before": row["before_estimate"], "share_of_oracle": lift["champion"] / lift["oracle"]}
        return told

    def _after_slates(self, campaign: Campaign) -> Slates:
        slates = self.world.slates()
        after = np.flatnonzero(slates.ts >= microseconds(campaign.calendar.begins(campaign.spec.calendar.days)))
        if not len(after):
            raise ConfigError("month: the simulated shop ends with the month; raise [world] days.")
        size = min(self.config.after_requests, len(after))
        keep = np.zeros(len(slates), dtype=np.bool_)
        keep[np.random.default_rng(self.config.seed).choice(after, size, replace=False)] = True
        return slates.where(keep)


def show(summary: Mapping[str, Any], campaign: Campaign, console: Console) -> None:
    """The summary as a person reads it."""
    table = Table(title="the confirmation, on days that no trial has touched")
    for name in ("trial", "family", "before", "after", "luck", "p (Holm)", "decision"):
        table.add_column(name)
    found = campaign.confirmation()
    for row, one in zip(found.rows, found.decisions, strict=True) if found else ():
        lift = (
            "-" if row["estimate"] is None else f"{row['estimate']:+.1%} [{row['ci_low']:+.1%}, {row['ci_high']:+.1%}]"
        )
        before = "-" if row["before_estimate"] is None else f"{row['before_estimate']:+.1%}"
        luck = "-" if row["luck"] is None else f"{row['luck']:+.1%}"
        table.add_row(str(row["number"]), row["family"], before, lift, luck, f"{row['p_adjusted']:.4f}", one.what)
    console.print(table)
    truth = summary.get("truth")
    if not truth:
        return
    table = Table(title=f"the month after ({truth['label']} truth, {truth['requests']:,} requests)")
    for name in ("policy", "CTR", "room conversion", "lift"):
        table.add_column(name)
    for name in ("legacy", "champion", "oracle"):
        if name in truth:
            level = truth[name]
            lift = level["room_conversion"] / truth["legacy"]["room_conversion"] - 1
            table.add_row(name, f"{level['ctr']:.2%}", f"{level['room_conversion']:.2%}", f"{lift:+.1%}")
    console.print(table)
    if "true_lift" in truth:
        console.print(
            f"promised {truth['promised_lift']:+.1%} (before the confirmation {truth['promised_before']:+.1%}), true "
            f"{truth['true_lift']:+.1%}: {truth['share_of_oracle']:.0%} of the oracle's lift",
            highlight=False,
        )
