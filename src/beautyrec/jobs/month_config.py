"""What the tuning month can be told, as one TOML file says it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from beautyrec.campaign.month_spec import MonthSpec
from beautyrec.errors import ConfigError
from beautyrec.jobs.config import SyntheticConfig
from beautyrec.settings import from_table, read_toml
from beautyrec.simulate.config import WorldConfig


@dataclass(frozen=True)
class MonthConfig:
    """The tuning month as a job: over the log of a shop, or over a simulated one whose truth is known."""

    month: MonthSpec
    """The month itself."""
    output: str = "experiments/beauty-month/run"
    """The folder that the run writes into."""
    log: str | None = None
    """The folder of a log. Where it is absent, a world is simulated."""
    storage: str | None = None
    """The address of a database for the trials, so that workers on other machines can join; a journal file if absent."""
    tracking: str | None = None
    """The address of an MLflow server; ``mlflow.db`` in the output folder if absent."""
    world: WorldConfig = field(default_factory=lambda: WorldConfig(days=60))
    """The simulated shop; its days beyond the calendar's are the month after, on which the champion's truth is read."""
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)
    """Purchases and catalogue where there are no real ones."""
    after_requests: int = 10_000
    """Requests of the month after that the truth is read on, drawn at random."""

    def __post_init__(self) -> None:
        if self.log is None and self.world.days <= self.month.calendar.days:
            raise ConfigError(
                f"[world] days is {self.world.days} and the calendar has {self.month.calendar.days}: no day is left for the "
                f"month after, on which the truth is read. Raise it."
            )

    @property
    def seed(self) -> int:
        """The one seed."""
        return self.month.seed


def read_month(path: Path) -> MonthConfig:
    """The tuning month that a TOML file says.

    Raises:
        ConfigError: the file is absent, is no TOML, or has an unknown key or name or a wrong value; says which.
    """
    return from_table(MonthConfig, read_toml(path), str(path))
