"""One trial of a study: what the objective is given, what it gives back, and what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from beautyrec.campaign.space import Scalar


@dataclass(frozen=True)
class Outcome:
    """What an objective found.

    Args:
        value: what the study maximises, unitless: the lower bound of a lift.
        metrics: any other numbers by name, for the table of trials and the tracking.
        per_day: numbers by name for each day of the walk-forward, in order.
        verdict: ``"trust"``, ``"caution"`` or ``"refuse"``: whether the value can be believed.
        reasons: why, in words.
    """

    value: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    per_day: tuple[Mapping[str, float], ...] = ()
    verdict: str = "trust"
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrialLog:
    """What an objective knows of its trial, and where it notes each day as it goes.

    Args:
        number: 0, 1, ... within the study; the same after a resume.
        seed: derived from the seed of the study and ``number``; to be used for all that is random in the trial.
        days: what was noted so far; kept also where the trial fails later.
    """

    number: int
    seed: int
    days: list[Mapping[str, float]] = field(default_factory=list)

    def day(self, metrics: Mapping[str, float]) -> None:
        """Note the numbers of the next day."""
        self.days.append({key: float(value) for key, value in metrics.items()})


class Objective(Protocol):
    """What a study calls for each trial."""

    def __call__(self, family: str, params: dict[str, Scalar], trial: TrialLog) -> Outcome:
        """The outcome for ``params`` of ``family``. Any exception makes it a failed trial; the study goes on."""
        ...


@dataclass(frozen=True)
class TrialRecord:
    """What is kept of a trial.

    Args:
        number: 0, 1, ... within the study.
        family: the family that was tried.
        params: its hyperparameters, without the name of the family.
        value: what was reached; None where the trial failed.
        reason: why it failed; empty where it did not.
        seconds: how long it took.
        ended_ms: when it ended, milliseconds since 1970-01-01 UTC.
        metrics: as in :class:`Outcome`.
        per_day: the days the objective noted, then those of its outcome.
        verdict: as in :class:`Outcome`; empty where the trial failed.
        reasons: as in :class:`Outcome`.
    """

    number: int
    family: str
    params: Mapping[str, Scalar]
    value: float | None
    reason: str = ""
    seconds: float = 0.0
    ended_ms: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    per_day: tuple[Mapping[str, float], ...] = ()
    verdict: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """``"complete"`` or ``"failed"``."""
        return "failed" if self.value is None else "complete"

    def to_json(self) -> dict[str, Any]:
        """Plain values that :meth:`from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> TrialRecord:
        """The record that :meth:`to_json` wrote.

        Examples:
            >>> record = TrialRecord(0, "als", {"factors": 64}, value=0.25, per_day=({"ctr": 0.01},))
            >>> TrialRecord.from_json(record.to_json()) == record
            True
        """
        return cls(**{**entry, "per_day": tuple(entry["per_day"]), "reasons": tuple(entry["reasons"])})
