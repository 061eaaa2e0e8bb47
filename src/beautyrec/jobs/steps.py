"""The steps of a job as a person sees them: a bar for each, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from beautyrec.types import Progress as OnProgress


@dataclass(frozen=True)
class Steps:
    """Times the steps of a job and draws a progress bar for each.

    Args:
        console: where the bars go; a console that is no terminal gets one line a step.

    Examples:
        >>> steps = Steps(Console(quiet=True))
        >>> with steps.step("count") as on_progress:
        ...     on_progress(1, 1)
        >>> list(steps.seconds)
        ['count']
    """

    console: Console
    seconds: dict[str, float] = field(default_factory=dict[str, float])

    @contextmanager
    def step(self, name: str) -> Iterator[OnProgress]:
        """A step by its name; call what it gives as ``on_progress(done, total)``."""
        started = time.perf_counter()
        columns = (
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description:<44}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        shown = self.console.is_terminal
        with Progress(*columns, console=self.console, disable=not shown) as bar:
            task = bar.add_task(name, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
            total = bar.tasks[task].total if shown else None
            bar.update(task, completed=total or 1, total=total or 1)
        self.seconds[name] = time.perf_counter() - started
        if not shown:
            self.console.print(f"✓ {name:<44} {self.seconds[name]:6.1f} s")
