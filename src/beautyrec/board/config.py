"""What the board can be told: targets per phase and scene, and when to raise an alert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

from beautyrec.board.kpis import check_names
from beautyrec.errors import ConfigError
from beautyrec.settings import from_table, read_toml


@dataclass(frozen=True)
class AlertConfig:
    """When something is an alert."""

    window_days: int = 28
    """Days before a day that its expectation comes from."""
    least_days: int = 14
    """Fewer days before give no limits, so no alert."""
    newest_day: float = 0.5
    """Weight of the newest day in the running mean, above 0 and at most 1."""
    false_alarms_per_month: float = 0.5
    """How many a shop in which nothing changes shall expect in 30 days, over all KPIs and scenes."""
    look_back_days: int = 3
    """The newest days of the log; what began before them is not told any more."""
    stale_hours: float = 36.0
    """Hours without an event after which the log counts as cut off."""
    calibration_days: int = 7
    """Days over which predicted and real orders are summed."""
    calibration_tolerance: float = 0.1
    """Share by which predicted and real orders may differ."""
    stock_days: float = 3.0
    """Days for which a product that sells shall be in stock."""

    def __post_init__(self) -> None:
        """Checks the values."""
        for name in ("least_days", "look_back_days", "calibration_days"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)} but must be at least 1.")
        if self.least_days < 8:
            raise ConfigError(f"least_days is {self.least_days} but must be at least 8, to know a weekday. Raise it.")
        if self.window_days < self.least_days:
            raise ConfigError(f"window_days is {self.window_days} but must be at least least_days ({self.least_days}).")
        if not 0 < self.newest_day <= 1:
            raise ConfigError(f"newest_day is {self.newest_day} but must be above 0 and at most 1.")
        if not self.false_alarms_per_month > 0:
            raise ConfigError(f"false_alarms_per_month is {self.false_alarms_per_month} but must be above 0.")


@dataclass(frozen=True)
class Phase:
    """Targets between two days, both of them in it."""

    start: date
    """First day."""
    end: date
    """Last day."""
    targets: dict[str, float] = field(default_factory=dict[str, float])
    """Name of a KPI to its target, for all scenes."""
    scenes: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    """Scene to targets of its own."""

    def __post_init__(self) -> None:
        """Checks days and names."""
        if self.end < self.start:
            raise ConfigError(f"it ends on {self.end}, before it starts on {self.start}. Turn them round.")
        for targets in (self.targets, *self.scenes.values()):
            check_names(list(targets))


@dataclass(frozen=True)
class BoardConfig:
    """The board, as one TOML file says it."""

    utc_offset_hours: float = 0.0
    """Hours by which the shop's clock is ahead of UTC."""
    alerts: AlertConfig = field(default_factory=AlertConfig)
    """When to raise an alert."""
    phases: Mapping[str, Phase] = field(default_factory=dict[str, Phase])
    """Targets, by the name of the phase; where two hold, the later one of the file wins."""

    def targets(self, day: date, scene: str | None = None) -> dict[str, float]:
        """Targets that hold on a day, for all scenes or for one.

        Examples:
            >>> spring = Phase(date(2026, 3, 1), date(2026, 5, 31), {"ctr": 0.01}, {"flash_sale": {"ctr": 0.02}})
            >>> config = BoardConfig(phases={"spring": spring})
            >>> config.targets(date(2026, 4, 1)), config.targets(date(2026, 4, 1), "flash_sale")
            ({'ctr': 0.01}, {'ctr': 0.02})
        """
        found: dict[str, float] = {}
        for phase in self.phases.values():
            if phase.start <= day <= phase.end:
                found |= phase.targets | (phase.scenes.get(scene, {}) if scene is not None else {})
        return found


def read_board_config(path: Path | None = None) -> BoardConfig:
    """The board that a TOML file says; the packaged ``board.toml`` if None.

    Raises:
        ConfigError: the file is absent, is no TOML, or has an unknown key or KPI or a wrong value; says which.
    """
    path = Path(str(files("beautyrec") / "configs" / "board.toml")) if path is None else path
    table = read_toml(path)
    phases: dict[str, Any] = table.pop("phases", {})
    read = {name: from_table(Phase, each, f"{path} [phases.{name}]") for name, each in phases.items()}
    config = from_table(BoardConfig, table, str(path))
    return BoardConfig(config.utc_offset_hours, config.alerts, read)
