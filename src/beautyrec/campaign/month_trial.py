"""A trial of the tuning month: what it is to try, and what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from beautyrec.campaign.judging import Candidate
from beautyrec.campaign.space import Scalar

COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"


@dataclass(frozen=True)
class Task:
    """What is to be tried.

    Args:
        number: 0, 1, ... within the campaign.
        day: the day of the month it belongs to.
        round: likewise.
        family: of models.
        params: hyperparameters, those of the policy among them.
        seed: that its parameters were drawn with.
        best: the daily lifts of the best trial when this one was planned, by day; what it is pruned against.
        anchor: values of the anchor on the days that this trial is judged on, by objective.
        marks: what the sampler wants to know of it later.
        since: the first number of its batch: epochs are held against those of the trials before.
    """

    number: int
    day: int
    round: int
    family: str
    params: Mapping[str, Scalar]
    seed: int
    best: Mapping[str, float] = field(default_factory=dict)
    anchor: Mapping[str, float] = field(default_factory=dict)
    marks: Mapping[str, Any] = field(default_factory=dict)
    since: int = 0

    @property
    def candidate(self) -> Candidate:
        """What is judged."""
        return Candidate(self.family, self.params)


@dataclass(frozen=True)
class Result:
    """What is kept of a trial that is over.

    Args:
        state: ``complete``, ``pruned`` or ``failed``.
        values: of each objective, by name; what was reached until then where it was pruned, empty where it failed.
        metrics: other numbers by name.
        days: the numbers of each day, with ``day``.
        epochs: validations of a network's first fit, one an epoch.
        verdict: of the first objective's lift.
        reason: why it failed or was pruned, else why its verdict is what it is.
        barred: what keeps it from being promoted, in words; empty for nothing.
        seconds: how long it took.
        ended_ms: when, milliseconds since 1970-01-01 UTC.
        worker: which process did it.
    """

    state: str
    values: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    days: tuple[Mapping[str, float], ...] = ()
    epochs: tuple[float, ...] = ()
    verdict: str = ""
    reason: str = ""
    barred: tuple[str, ...] = ()
    seconds: float = 0.0
    ended_ms: int = 0
    worker: str = ""


@dataclass(frozen=True)
class Trial:
    """A task and, where it is over, its result."""

    task: Task
    result: Result | None = None

    @property
    def number(self) -> int:
        """Of the task."""
        return self.task.number

    @property
    def complete(self) -> bool:
        """Whether it was judged to the end."""
        return self.result is not None and self.result.state == COMPLETE

    def value(self, objective: str) -> float:
        """Of an objective.

        Raises:
            ValueError: it is not complete.
        """
        if self.result is None or not self.complete:
            raise ValueError(f"trial {self.number} is not complete.")
        return float(self.result.values[objective])

    def standing(self, objective: str) -> float:
        """The value less that of the anchor on the same days: what makes trials of different days comparable.

        Raises:
            ValueError: it is not complete.
        """
        return self.value(objective) - self.task.anchor.get(objective, 0.0)


def task_from(entry: Mapping[str, Any]) -> Task:
    """The task that ``dataclasses.asdict`` wrote."""
    return Task(**entry)


def result_from(entry: Mapping[str, Any]) -> Result:
    """The result that ``dataclasses.asdict`` wrote.

    Examples:
        >>> from dataclasses import asdict
        >>> result = Result("failed", days=({"day": 1.0},), reason="no rows")
        >>> result_from(asdict(result)) == result
        True
    """
    lists = {name: tuple(entry[name]) for name in ("days", "epochs", "barred") if name in entry}
    return Result(**{**entry, **lists})
