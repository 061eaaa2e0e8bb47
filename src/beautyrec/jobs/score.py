"""Scoring everyone from the command line."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from beautyrec.errors import ConfigError
from beautyrec.serving.batch import BatchPlan, Shard, score_users
from beautyrec.serving.watch import folder_of

Job = Callable[[Path, Path, Path, BatchPlan], tuple[Shard, ...]]
"""Artifact, users, folder of the answers and plan, to the shards."""


def engine_named(name: str, workers: int, console: Console) -> Job:
    """What runs the job: ``"local"`` the processes of this machine, ``"spark"`` the session that runs, or one that is started.

    Raises:
        ConfigError: there is none of that name, or it does not take a number of workers.
    """
    if name == "local":
        return partial(_here, workers, console)
    if name != "spark":
        raise ConfigError(f"--engine: there is no '{name}'; known are local and spark.")
    if workers != 1:
        raise ConfigError(f"--workers {workers} is of --engine local; Spark's own settings say how many it has.")
    return _on_spark


def score_all(model: str, users: Path, out: Path, plan: BatchPlan, job: Job, console: Console) -> None:
    """Score all ``users`` into ``out`` with the artifact at ``model``.

    Raises:
        BeautyrecError: as :func:`beautyrec.serving.batch.score_users` does.
    """
    with folder_of(model) as artifact:
        shards = job(artifact, users, out, plan)
    console.print(f"{sum(shard.rows for shard in shards):,} rows in {len(shards)} shards lie in [bold]{out}[/]")


def _here(workers: int, console: Console, artifact: Path, users: Path, out: Path, plan: BatchPlan) -> tuple[Shard, ...]:
    """With a bar of the shards."""
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("shards", total=None)
        return score_users(
            artifact,
            users,
            out,
            plan,
            workers=workers,
            on_progress=lambda done, every: bar.update(task, completed=done, total=every),
        )


def _on_spark(artifact: Path, users: Path, out: Path, plan: BatchPlan) -> tuple[Shard, ...]:
    from beautyrec.engine import Engine
    from beautyrec.serving.spark import score_users_on_spark

    return score_users_on_spark(Engine.spark(), artifact, users, out, plan)
