"""What the main job can be told: one table of the TOML file a class, a docstring a field, defaults only here."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from beautyrec.campaign.searched import SearchedFamily, learner_of
from beautyrec.engine import EngineName
from beautyrec.errors import ConfigError
from beautyrec.models.base import Learner
from beautyrec.models.funnel_base import FunnelLearner
from beautyrec.selection.line_up import LineUpConfig
from beautyrec.settings import from_table, read_toml
from beautyrec.simulate.config import WorldConfig


@dataclass(frozen=True)
class ModelConfig:
    """A row of the comparison: a family of models and its hyperparameters."""

    family: str
    """Its name in the catalogue of models."""
    params: dict[str, Any] = field(default_factory=dict[str, Any])
    """Hyperparameters that differ from the family's defaults."""

    def learner(self) -> Learner | FunnelLearner:
        """What is fitted."""
        return learner_of(self.family, self.params)


@dataclass(frozen=True)
class SyntheticConfig:
    """Purchases and a catalogue that are generated where there are no real ones; sizes of Amazon Beauty 5-core."""

    users: int = 22_363
    """Shoppers."""
    items: int = 12_101
    """Products."""
    events: int = 198_502
    """Purchases."""


@dataclass(frozen=True)
class RankingConfig:
    """Ranking on real purchases."""

    k: int = 10
    """Items recommended to each user."""
    time_split_days: int = 60
    """The last days of the log that the global time split holds out."""


@dataclass(frozen=True)
class LiftConfig:
    """Lift from the log."""

    days: int = 7
    """Days of rooms that lift is read from; the models know only what came before them."""
    temperature: float = 0.7
    """Sharpness of the policies: standard deviations of a shelf's scores worth a factor of e."""
    warm_up_days: int = 5
    """First days of the month that the funnel model is not fitted on: its features look back over windows that are still
    filling then."""
    weights: dict[str, float] = field(default_factory=lambda: {"order": 1.0, "click": 0.3})
    """What an event counts when a model that ranks is fitted on it."""


@dataclass(frozen=True)
class SweepConfig:
    """The study over model families, each trial a walk-forward over the last days."""

    trials: int = 8
    """Trials in all, the families' defaults among them."""
    days: int = 7
    """The last days of the month, each scored by a model that knows only what came before it."""
    families: dict[str, SearchedFamily] = field(default_factory=dict[str, SearchedFamily])
    """The families searched, by their names in the catalogue."""


@dataclass(frozen=True)
class JobConfig:
    """The main job, as one TOML file says it."""

    seed: int = 0
    """The one seed that every other is derived from."""
    workers: int = 2
    """Processes that fit models side by side; each takes about half a GiB."""
    engine: EngineName = "duckdb"
    """Where the log lies and its features are computed: ``"duckdb"`` on this machine, ``"spark"`` beyond it."""
    output: str = "experiments/demo"
    """The folder that the run writes into."""
    models: dict[str, ModelConfig] = field(default_factory=dict[str, ModelConfig])
    """The rows of the comparison, by the name they are shown under."""
    world: WorldConfig = field(default_factory=WorldConfig)
    """The simulated month."""
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)
    """Purchases and catalogue where there are no real ones."""
    ranking: RankingConfig = field(default_factory=RankingConfig)
    """Ranking on purchases."""
    lift: LiftConfig = field(default_factory=LiftConfig)
    """Lift from the log."""
    sweep: SweepConfig = field(default_factory=SweepConfig)
    """The study."""
    line_up: LineUpConfig = field(default_factory=LineUpConfig)
    """The line-up of the next room."""

    def __post_init__(self) -> None:
        """Checks what can be checked before any work is done: names of models, their keys, the sweep's spaces."""
        if not self.models:
            raise ConfigError("[models] is empty. Name at least one, for instance [models.popularity].")
        for model in self.models.values():
            model.learner()
        for name, family in self.sweep.families.items():
            family.family(name, "sweep.families")
            family.learner(name, family.defaults)
        if self.lift.warm_up_days + self.lift.days + self.sweep.days >= self.world.days:
            raise ConfigError(
                f"[lift] warm_up_days ({self.lift.warm_up_days}) and days ({self.lift.days}) and [sweep] days "
                f"({self.sweep.days}) leave nothing of the month's {self.world.days} days to learn from. Lower them."
            )


def read_config(path: Path) -> JobConfig:
    """The job that a TOML file says.

    Raises:
        ConfigError: the file is absent, is no TOML, or has an unknown key or name or a wrong value; says which.
    """
    return from_table(JobConfig, read_toml(path), str(path))


def packaged(name: str) -> Path:
    """A configuration that the package brings, for instance ``demo.toml``."""
    return Path(str(files("beautyrec") / "configs" / name))
