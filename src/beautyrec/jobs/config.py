"""What the main job can be told: one table of the TOML file a class, a docstring a field, defaults only here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from beautyrec.campaign.study import Family, StudyConfig, space_from_toml
from beautyrec.errors import ConfigError
from beautyrec.models.catalogue import learner
from beautyrec.models.funnel import Funnel
from beautyrec.selection.line_up import LineUpConfig
from beautyrec.settings import from_table, read_toml
from beautyrec.simulate.config import WorldConfig

FUNNEL = "funnel"
"""The family that predicts clicks and orders; every other family of the catalogue ranks items."""


@dataclass(frozen=True)
class ModelConfig:
    """A row of the comparison: a family of models and its hyperparameters."""

    family: str
    """Its name in the catalogue of models, or ``funnel``."""
    params: dict[str, Any] = field(default_factory=dict[str, Any])
    """Hyperparameters that differ from the family's defaults."""


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
    weights: dict[str, float] = field(default_factory=lambda: {"order": 1.0, "click": 0.3})
    """What an event counts when a model that ranks is fitted on it."""


@dataclass(frozen=True)
class SweepFamily:
    """A family in the sweep."""

    defaults: dict[str, Any]
    """Hyperparameters of the family's first trial."""
    space: dict[str, Any]
    """What is searched: a key a hyperparameter, for instance ``{low = 16, high = 128, log = true}`` or ``[..choices..]``."""
    fixed: dict[str, Any] = field(default_factory=dict[str, Any])
    """Hyperparameters that every trial of the family has."""


@dataclass(frozen=True)
class SweepConfig:
    """The study over model families, each trial a walk-forward over the last days."""

    trials: int = 8
    """Trials in all, the families' defaults among them."""
    days: int = 7
    """The last days of the month, each scored by a model that knows only what came before it."""
    families: dict[str, SweepFamily] = field(default_factory=dict[str, SweepFamily])
    """The families searched, by their names in the catalogue."""


@dataclass(frozen=True)
class JobConfig:
    """The main job, as one TOML file says it."""

    seed: int = 0
    """The one seed that every other is derived from."""
    output: str = "experiments/demo"
    """The folder that the run writes into."""
    world: dict[str, Any] = field(default_factory=dict[str, Any])
    """Settings of the simulated month: the fields of ``WorldConfig``."""
    models: dict[str, ModelConfig] = field(default_factory=dict[str, ModelConfig])
    """The rows of the comparison, by the name they are shown under."""
    ranking: RankingConfig = RankingConfig()
    """Ranking on real purchases."""
    lift: LiftConfig = LiftConfig()
    """Lift from the log."""
    sweep: SweepConfig = SweepConfig()
    """The study."""
    line_up: LineUpConfig = LineUpConfig()
    """The line-up of the next room."""
