"""The tuning month as a job: the log, the campaign, its tracking, its champion and, in a simulated shop, the truth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from beautyrec.campaign.confirmation import Confirmation
from beautyrec.campaign.month import Campaign
from beautyrec.campaign.month_report import POLICIES, write_month_report
from beautyrec.campaign.month_tracking import MonthTracker
from beautyrec.campaign.tracking import MlflowTracker
from beautyrec.data.locate import find_data
from beautyrec.engine import Engine
from beautyrec.errors import MissingExtraError, SourceError
from beautyrec.files import atomic_file
from beautyrec.jobs.month_config import MonthConfig
from beautyrec.jobs.month_crown import EXPERIMENT, Crown
from beautyrec.jobs.month_truth import MonthAfter
from beautyrec.jobs.shop import build_world, read_purchases, source_of
from beautyrec.jobs.steps import Steps
from beautyrec.jobs.summary import plain
from beautyrec.simulate.config import SIMULATED
from beautyrec.simulate.world import World


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
        campaign = self.campaign()
        with self.steps.step("the tuning month"):
            found = campaign.run(lambda day, told: self._after(campaign, day, told))
        return self.finish(campaign, found)

    def run_day(self, day: str) -> dict[str, Any]:
        """One day; nothing happens where it is over. After the last one, the champion and the summary as well."""
        campaign = self.campaign()
        told = campaign.run_day(day)
        self._after(campaign, int(told["day"]), told)
        found = campaign.confirmation()
        if found is not None and not (self.folder / "summary.json").exists():
            self.finish(campaign, found)
        return told

    def finish(self, campaign: Campaign, found: Confirmation) -> dict[str, Any]:
        """The champion registered; ``summary.json`` and ``report.html``, beside the campaign's run as well."""
        console = self.steps.console
        behind = self.track(campaign)
        with self.steps.step("champion: refit, register"):
            crowned = self._crown(campaign).confirmed(found, self.folder, register=not behind)
        summary = {"campaign": self._campaign(campaign), **crowned, "behind": behind}
        if self.config.log is None:
            with self.steps.step("the truth on the month after"):
                after = MonthAfter(self.world, campaign, self.config.after_requests, self.config.seed)
                summary["truth"] = after.told(found)
        summary["seconds"] = dict(self.steps.seconds)
        with atomic_file(self.folder / "summary.json") as temporary:
            temporary.write_text(json.dumps(plain(summary), indent=1), encoding="utf-8")
        show(summary, campaign, console)
        files = [self.folder / "summary.json"]
        try:
            files.append(write_month_report(campaign, self.folder / "report.html", truth=summary.get("truth")))
            console.print(f"[bold]report:[/] {files[-1]}", highlight=False)
        except MissingExtraError as error:
            console.print(f"[yellow]no report:[/] {error}", highlight=False)
        try:
            for path in [] if behind else files:
                self.tracker.attach(path)
        except SourceError as error:
            console.print(f"[yellow]not beside the campaign's run:[/] {error}", highlight=False)
        return summary

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
            for one in campaign.round_reviews()[int(told["round"]) - 1].decisions:
                self.steps.console.print(
                    f"    [bold]{one.what}[/] {one.subject}: {'; '.join(one.reasons)}", highlight=False
                )
        if (told.get("trials") or told["phase"] == "confirmation") and not self.track(campaign):
            self._keep(campaign)

    def _keep(self, campaign: Campaign) -> None:
        """The registry follows the reviews, until the confirmation has the last word."""
        if campaign.confirmation() is not None:
            return
        try:
            done = self._crown(campaign).keep()
        except SourceError as error:
            done = f"not registered yet: {error}"
        if done:
            self.steps.console.print(f"    [bold]registry:[/] {done}", highlight=False)

    def _crown(self, campaign: Campaign) -> Crown:
        return Crown(campaign, self.tracker, SIMULATED if self.config.log is None else "a shop's log")

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

    def _campaign(self, campaign: Campaign) -> dict[str, Any]:
        trials = campaign.trials()
        return {
            "trials": len(trials),
            "states": trials["state"].value_counts().to_dict(),
            "seconds_of_trials": float(trials["seconds"].sum()),
            "decisions": campaign.decisions(),
            "days": campaign.days()[["date", "phase", "trials", "seconds", "note"]],
        }


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
    if summary.get("truth"):
        show_truth(summary["truth"], console)


def show_truth(truth: Mapping[str, Any], console: Console) -> None:
    """What was true on the month after, and the aims."""
    table = Table(title=f"the month after ({truth['label']} truth, {truth['requests']:,} requests)")
    for name in ("policy", "CTR", "room conversion", "lift"):
        table.add_column(name)
    for name in POLICIES:
        if name in truth:
            level = truth[name]
            lift = level["room_conversion"] / truth["legacy"]["room_conversion"] - 1
            table.add_row(POLICIES[name], f"{level['ctr']:.2%}", f"{level['room_conversion']:.2%}", f"{lift:+.1%}")
    console.print(table)
    if "true_lift" in truth:
        console.print(
            f"promised {truth['promised_lift']:+.1%} [{truth['promised_low']:+.1%}, {truth['promised_high']:+.1%}] (before the "
            f"confirmation {truth['promised_before']:+.1%}), true {truth['true_lift']:+.1%}: {truth['share_of_oracle']:.0%} of "
            f"the oracle's lift",
            highlight=False,
        )
    table = Table(title=f"aims (the legacy scorecard's sales deviation is {truth['sales_deviation']['legacy']:.1%})")
    for name in ("aim", "wanted", "found", ""):
        table.add_column(name)
    for one in truth["aims"]:
        found = "-" if one["value"] is None else f"{one['value']:.2%}"
        wanted = f"{'<=' if one['at_most'] else '>='} {one['target']:.0%}"
        table.add_row(one["aim"], wanted, found, "reached" if one["reached"] else "missed")
    console.print(table)
