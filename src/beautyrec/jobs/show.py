"""What a run prints: every number of it stands in the summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from beautyrec.evaluation.page import number, percent
from beautyrec.jobs.summary import Summary

VERDICTS = {"trust": "[green]trust[/]", "caution": "[yellow]caution[/]", "refuse": "[red]refuse[/]"}
SHOWN = ("ctr", "room_conversion")
"""The metrics of lift that are printed; the report has all."""


def interval(row: pd.Series[Any], digits: int = 0) -> str:
    """Lift and its interval; a dash where the log cannot tell."""
    if row["verdict"] == "refuse" or pd.isna(row.get("estimate")):
        return "-"
    low, high = (percent(row[name], digits, sign=True) for name in ("ci_low", "ci_high"))
    return f"{percent(row['estimate'], digits, sign=True)} [dim]({low} .. {high})[/]"


def everything(summary: Summary, folder: Path, console: Console) -> None:
    """The tables of a run, and where its report lies."""
    for table in (_ranking(summary), _lift(summary), _open_bandit(summary), _line_up(summary)):
        console.print(table)
    console.print(_champion(summary), highlight=False)
    month = summary.data["month"]
    console.print(
        f"month ({month['label']}): {month['requests']:,} viewers of rooms, CTR {percent(month['ctr'], 2)}, "
        f"room conversion {percent(month['room_conversion'], 2)}",
        highlight=False,
    )
    console.print(
        f"[bold]report:[/] {folder / 'report.html'}   [bold]numbers:[/] {folder / 'summary.json'}", highlight=False
    )


def _ranking(summary: Summary) -> Table:
    k = int(summary.ranking["k"].iloc[0])
    table = Table(
        title=f"Ranking on {summary.data['purchases']['source']}, all items, seen left out", title_justify="left"
    )
    for name in (
        "protocol",
        "model",
        f"recall@{k} (95 % interval)",
        f"NDCG@{k} (95 % interval)",
        "coverage",
        "fit s",
        "rank s",
    ):
        table.add_column(name, justify="left" if name in ("protocol", "model") else "right")
    for _, row in summary.ranking.iterrows():
        if row["note"]:
            table.add_row(row["protocol"], row["model"], row["note"])
            continue
        quality = [
            f"{row[m]:.4f} [dim]({row[f'{m}_ci_low']:.4f} .. {row[f'{m}_ci_high']:.4f})[/]" for m in ("recall", "ndcg")
        ]
        cost = [percent(row["coverage"], 0), number(row["fit_seconds"], 1), number(row["rank_seconds"], 1)]
        table.add_row(row["protocol"], row["model"], *quality, *cost)
    return table


def _lift(summary: Summary) -> Table:
    table = Table(title="Lift over the logging policy, from the log alone (simulated month)", title_justify="left")
    for name in ("model", "metric", "SNIPS (95 % interval)", "DR (95 % interval)", "true", "verdict"):
        table.add_column(name, justify="left" if name in ("model", "metric", "verdict") else "right")
    for model, rows in summary.lift.groupby("model", sort=False):
        if "metric" not in rows or rows["metric"].isna().all():
            table.add_row(str(model), "", str(rows["reasons"].iloc[0]))
            continue
        for metric in SHOWN:
            mine = rows[rows["metric"] == metric]
            by_name = {str(row["estimator"]): row for _, row in mine.iterrows()}
            told = [interval(by_name[name]) for name in ("snips", "dr")]
            verdict = VERDICTS[str(by_name["dr"]["verdict"])]
            true = percent(mine["true"].iloc[0], 0, sign=True)
            table.add_row(str(model), metric.replace("_", " "), *told, true, verdict)
    return table


def _open_bandit(summary: Summary) -> Table:
    table = Table(title="Lift in CTR on Open Bandit (real impressions)", title_justify="left")
    for name in ("log", "for", "estimator", "lift (95 % interval)", "verdict", "first reason"):
        table.add_column(name)
    for _, row in summary.open_bandit.iterrows():
        table.add_row(
            *(str(row.get(name, "-")) for name in ("log", "target_policy", "estimator")),
            interval(row),
            VERDICTS[str(row["verdict"])],
            str(row["reasons"]).split("; ")[0],
        )
    return table


def _line_up(summary: Summary) -> Table:
    room = summary.room
    title = (
        f"Line-up of the next room ({room['scene']}, {room['starts_at']}): expected margin {room['expected_margin']:.2f}, "
        f"true {room['true_margin']:.2f} (simulated); first five of {len(summary.lineup)}"
    )
    table = Table(title=title, title_justify="left")
    for name in ("minute", "product", "category", "price", "expected orders", "expected margin"):
        table.add_column(
            name, justify="left" if name in ("product", "category") else "right", no_wrap=name == "product"
        )
    for _, row in summary.lineup.head(5).iterrows():
        numbers = [number(row[name], 2) for name in ("price", "expected_orders", "expected_margin")]
        table.add_row(f"{row['minute_from']:.0f}", str(row["title"])[:48], str(row["category"]), *numbers)
    return table


def _champion(summary: Summary) -> str:
    champion = summary.champion
    if not champion["promoted"]:
        return f"[bold]champion:[/] none. {champion['reason']}"
    return (
        f"[bold]champion:[/] trial {champion['trial']} ({champion['family']}). {champion['reason']} Promised room-conversion "
        f"lift {percent(champion['estimate'], 0, sign=True)} ({percent(champion['ci_low'], 0, sign=True)} .. "
        f"{percent(champion['ci_high'], 0, sign=True)}), true {percent(champion['true'], 0, sign=True)} (simulated). "
        f"Scores read back without torch and MLflow differ by at most {champion['largest_difference']:.1e}."
    )
