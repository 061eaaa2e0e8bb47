"""Scoring everyone from the command line."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from beautyrec.serving.batch import BatchPlan, score_users
from beautyrec.serving.watch import folder_of


def score_all(model: str, users: Path, out: Path, plan: BatchPlan, workers: int, console: Console) -> None:
    """Score all ``users`` into ``out`` with the artifact at ``model``, with a bar of the shards.

    Raises:
        BeautyrecError: as :func:`beautyrec.serving.batch.score_users` does.
    """
    with folder_of(model) as artifact, Progress(console=console, transient=True) as bar:
        task = bar.add_task("shards", total=None)
        shards = score_users(
            artifact,
            users,
            out,
            plan,
            workers=workers,
            on_progress=lambda done, every: bar.update(task, completed=done, total=every),
        )
    console.print(f"{sum(shard.rows for shard in shards):,} rows in {len(shards)} shards lie in [bold]{out}[/]")
