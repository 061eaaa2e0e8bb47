"""A tuning month in the terminal while others run it: read from its folder, nothing is written."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from beautyrec.campaign.month import Campaign
from beautyrec.campaign.month_trial import Trial
from beautyrec.jobs.month_config import MonthConfig


def watch_month(config: MonthConfig, console: Console, output: Path | None = None, every: float = 2.0) -> None:
    """Shows the month of a folder until it is over.

    Args:
        config: what the TOML file says.
        console: where it is shown.
        output: the folder of the run, instead of ``config.output``.
        every: seconds between two looks.

    Raises:
        SourceError: no month lies there.
    """
    campaign = Campaign.open((output or Path(config.output)) / "campaign")
    with Live(month_view(campaign), console=console, auto_refresh=False) as live:
        while not campaign.over:
            time.sleep(every)
            live.update(month_view(campaign), refresh=True)
        live.update(month_view(campaign), refresh=True)


def month_view(campaign: Campaign) -> RenderableType:
    """The month as it stands: days and trials done, what is being tried, the best so far, what is left to spend."""
    calendar, budget = campaign.calendar, campaign.spec.budget
    days, trials = campaign.days(), campaign.slots.trials()
    day = min(len(days), campaign.spec.calendar.days - 1)
    part = calendar.round_of(day)
    done = sum(trial.result is not None for trial in trials)
    most = len(trials) + sum(
        budget.trials_per_day
        for each in range(day, calendar.confirmation[0])
        if each >= campaign.spec.calendar.warm_up_days and not any(trial.task.day == each for trial in trials)
    )
    bars = Progress(TextColumn("{task.description:<8}"), BarColumn(), MofNCompleteColumn())
    bars.add_task("days", completed=len(days), total=campaign.spec.calendar.days)
    bars.add_task("trials", completed=done, total=most)
    stage = f"round {part.number} of {len(calendar.rounds)}" if part else "confirmation"
    table = Table(show_header=False, box=None)
    table.add_row("today", "the month is over" if campaign.over else f"{calendar.name(day)}, {stage}")
    at_work = [f"{trial.number} {trial.task.family}" for trial in trials if trial.result is None]
    table.add_row("at work", ", ".join(at_work) or "-")
    table.add_row("best", _best(trials, campaign.spec.aim.objectives[0]))
    table.add_row("champion", _champion(campaign))
    spent = float(days["seconds"].sum())
    left = "no limit" if budget.seconds is None else f"{max(0.0, budget.seconds - spent):,.0f} s left"
    table.add_row("spent", f"{spent:,.0f} s of days that are over; {left}; at most {most - done} trials left")
    return Group(bars, table)


def _best(trials: list[Trial], objective: str) -> str:
    sound = [trial for trial in trials if trial.complete and trial.result is not None and not trial.result.barred]
    if not sound:
        return "-"
    best = max(sound, key=lambda trial: (trial.standing(objective), -trial.number))
    value, standing = best.value(objective), best.standing(objective)
    return f"trial {best.number} {best.task.family}, {objective} {value:+.1%} ({standing:+.1%} over the anchor)"


def _champion(campaign: Campaign) -> str:
    found, held = campaign.confirmation(), campaign.round_reviews()
    number = found.champion if found else held[-1].champion if held else None
    if number is None:
        return "the policy of the log"
    rows = found.rows if found else held[-1].rows
    row = next((row for row in rows if row["number"] == number), None)
    name = f"trial {number} {campaign.trial(number).task.family}"
    if row is not None and row["estimate"] is not None:
        name += f", {row['estimate']:+.1%} [{row['ci_low']:+.1%}, {row['ci_high']:+.1%}]"
    return name + (", confirmed" if found else "")
