"""What a study may try: families of models, each with the ranges of its hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from beautyrec.errors import ConfigError

Scalar = bool | int | float | str
"""What a hyperparameter may be."""


class Range(Protocol):
    """The values that one hyperparameter may take."""

    def suggest(self, trial: Any, name: str) -> Scalar:
        """A value for the parameter ``name`` of an Optuna trial."""
        ...

    def __contains__(self, value: object) -> bool: ...


@dataclass(frozen=True)
class Float:
    """Real numbers from ``low`` to ``high``, both included.

    Args:
        low: the least value.
        high: the greatest value.
        log: draw uniformly in the logarithm; ``low`` is above 0 then.

    Examples:
        >>> 0.5 in Float(0.1, 1.0), 2 in Float(0.1, 1.0)
        (True, False)
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high, self.log)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, float | int) and not isinstance(value, bool) and self.low <= value <= self.high

    def suggest(self, trial: Any, name: str) -> float:
        """A value for the parameter ``name`` of an Optuna trial."""
        return float(trial.suggest_float(name, self.low, self.high, log=self.log))


@dataclass(frozen=True)
class Int:
    """Whole numbers from ``low`` to ``high``, both included.

    Args:
        low: the least value.
        high: the greatest value.
        log: draw uniformly in the logarithm; ``low`` is at least 1 then.
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_bounds(self.low, self.high, self.log)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high

    def suggest(self, trial: Any, name: str) -> int:
        """A value for the parameter ``name`` of an Optuna trial."""
        return int(trial.suggest_int(name, self.low, self.high, log=self.log))


@dataclass(frozen=True)
class Choice:
    """One of a few values without an order.

    Args:
        options: the values, at least one, no two the same.
    """

    options: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        keys = {(type(option), option) for option in self.options}
        if not self.options or len(keys) < len(self.options):
            raise ConfigError(f"a choice needs at least one value and none twice; it has {list(self.options)}.")

    def __contains__(self, value: object) -> bool:
        return any(type(value) is type(option) and value == option for option in self.options)

    def suggest(self, trial: Any, name: str) -> Scalar:
        """A value for the parameter ``name`` of an Optuna trial."""
        chosen: Scalar = trial.suggest_categorical(name, self.options)
        return chosen


@dataclass(frozen=True)
class Family:
    """One kind of model and what may be tried of it.

    Args:
        name: what the objective knows it by, for instance ``"als"``.
        space: the range of each hyperparameter that is tuned; empty where there is nothing to tune.
        defaults: the values tried first, one for each key of ``space`` and no other.

    Raises:
        ConfigError: a default is missing, unknown or outside of its range.

    Examples:
        >>> Family("als", {"factors": Int(16, 128, log=True)}, {"factors": 64}).defaults["factors"]
        64
    """

    name: str
    space: Mapping[str, Range] = field(default_factory=dict)
    defaults: Mapping[str, Scalar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name or "." in self.name:
            raise ConfigError(f"family '{self.name}': a name has at least one letter and no dot.")
        apart = sorted(set(self.space) ^ set(self.defaults))
        if apart:
            raise ConfigError(
                f"family '{self.name}': {apart} are in only one of space and defaults; give each tuned parameter both."
            )
        for key, value in self.defaults.items():
            if value not in self.space[key]:
                raise ConfigError(
                    f"family '{self.name}': the default {key} = {value!r} is outside of {self.space[key]}. Widen it."
                )
        object.__setattr__(self, "space", dict(self.space))
        object.__setattr__(self, "defaults", dict(self.defaults))

    def suggest(self, trial: Any) -> dict[str, Scalar]:
        """A value of each parameter from an Optuna trial, which knows them as ``name.parameter``."""
        return {key: values.suggest(trial, f"{self.name}.{key}") for key, values in self.space.items()}


def space_from_toml(table: Mapping[str, Any], where: str = "space") -> dict[str, Range]:
    """The ranges of a TOML table: a list is a :class:`Choice`, ``{low, high, log}`` a range of numbers.

    A range is of whole numbers where both its bounds are written without a point.

    Args:
        table: parameter to list or table.
        where: what to call the table in an error, for instance ``"configs/demo.toml [sweep.als]"``.

    Raises:
        ConfigError: an unknown key, a missing bound, bounds the wrong way round; names the parameter.

    Examples:
        >>> space_from_toml({"factors": {"low": 16, "high": 128}, "kind": ["cosine", "count"]})
        {'factors': Int(low=16, high=128, log=False), 'kind': Choice(options=('cosine', 'count'))}
    """
    space: dict[str, Range] = {}
    for key, entry in table.items():
        try:
            space[key] = _range(entry)
        except ConfigError as error:
            raise ConfigError(f"{where}: parameter '{key}': {error}") from None
    return space


def _range(entry: Any) -> Range:
    """The range that one value of a TOML table says."""
    if isinstance(entry, list):
        if not all(isinstance(option, bool | int | float | str) for option in entry):
            raise ConfigError(f"a choice holds numbers, strings, true and false only; it has {entry}.")
        return Choice(tuple(entry))
    if not isinstance(entry, Mapping):
        raise ConfigError(f"{entry!r} is neither a list of options nor a table {{low = ..., high = ...}}.")
    unknown, missing = sorted(set(entry) - {"low", "high", "log"}), sorted({"low", "high"} - set(entry))
    if unknown or missing:
        raise ConfigError(f"unknown keys {unknown}, missing keys {missing}; a range has low, high and, if wanted, log.")
    low, high, log = entry["low"], entry["high"], entry.get("log", False)
    if not isinstance(log, bool) or not all(type(bound) in (int, float) for bound in (low, high)):
        raise ConfigError(f"low and high are numbers and log is true or false; given {dict(entry)}.")
    if isinstance(low, int) and isinstance(high, int):
        return Int(low, high, log)
    return Float(float(low), float(high), log)


def _check_bounds(low: float, high: float, log: bool) -> None:
    if not float("-inf") < low <= high < float("inf"):
        raise ConfigError(f"low is {low} and high is {high}; both are finite and low is not above high.")
    if log and low <= 0:
        raise ConfigError(f"low is {low}; with log = true it has to be above 0.")
