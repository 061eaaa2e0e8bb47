"""What a tuning month is: calendar, budget, aim, families, gate. One table of the TOML file a class, defaults only here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from beautyrec.campaign.calendar import CalendarConfig
from beautyrec.campaign.judging import POLICY
from beautyrec.campaign.samplers import GP, NSGA2, TPE, RandomSearch, Sampler
from beautyrec.campaign.searched import SearchedFamily
from beautyrec.campaign.space import Choice, Family, Float, Int, Range, space_from_toml
from beautyrec.errors import ConfigError

OBJECTIVES: Final = {
    "room_conversion": "room_conversion",
    "ctr": "ctr",
    "cvr": "cvr",
    "ctcvr": "ctcvr",
    "revenue_per_viewer": "revenue_per_viewer",
    "revenue_per_impression": "revenue_per_impression",
    "margin_per_impression": "revenue_per_impression",
    "roi_per_impression": "revenue_per_impression",
}
"""What can be aimed at, and the metric whose lift it is. For the last two, revenue is what is left after commission and the
cost of goods; traffic costs the same for every impression, so both have one lift."""

MONEY: Final = ("margin_per_impression", "roi_per_impression")
SAMPLERS: Final = {"tpe": TPE, "gp": GP, "nsga2": NSGA2, "random": RandomSearch}


@dataclass(frozen=True)
class BudgetConfig:
    """What the search may cost."""

    trials_per_day: int = 8
    """Trials of a day at most."""
    batch: int = 4
    """Trials that are chosen at once, from the outcomes of all batches before. Workers share a batch, so what is tried
    does not hang on how many there are or on which is faster."""
    seconds_per_day: float | None = None
    """No batch is begun after so many seconds of a day's work."""
    seconds: float | None = None
    """Nor after so many of all days together."""
    retries: int = 3
    """How often a trial is begun again whose worker died."""
    patience: float = 600.0
    """Seconds without a sign of life after which a worker on another machine is taken for dead. A worker gives one after
    each day that it has judged."""


@dataclass(frozen=True)
class AimConfig:
    """What is maximised."""

    objectives: tuple[str, ...] = ("room_conversion",)
    """Lifts by name; of several the best compromises are sought, and the first one decides what is promoted."""
    bound: str = "lower"
    """Of each lift: ``lower`` end of its interval, or ``estimate``."""
    window_days: int = 6
    """A trial of day t is judged on so many days up to t, each by a model that knows what came before that day."""
    refit_days: int = 1
    """A model is fitted anew on the first judged day and every so many days after it, on what was known before that day, and
    judged on the days up to the next fit: 1 as a shop that retrains every night, 3 for about a third of the fits."""
    commission: float = 0.0
    """Share of revenue that platform and host keep, for objectives of margin."""


@dataclass(frozen=True)
class SamplerConfig:
    """How parameters are chosen, once the defaults of each family were tried."""

    kind: str = "tpe"
    """``tpe``, ``gp``, ``nsga2`` or ``random``."""
    startup_trials: int = 6
    """Trials of a family that are random before the sampler chooses; the size of a generation of ``nsga2``."""

    def sampler(self) -> Sampler:
        """The sampler by its name."""
        if self.kind not in SAMPLERS:
            raise ConfigError(f"[sampler] kind '{self.kind}' is unknown; known are {', '.join(SAMPLERS)}. Correct it.")
        return RandomSearch() if self.kind == "random" else SAMPLERS[self.kind](self.startup_trials)


@dataclass(frozen=True)
class PruningConfig:
    """When a trial is given up: its days against the same days of the best one so far."""

    p_value: float = 0.1
    """One-sided Wilcoxon signed-rank test; 0 for no pruning. Four days in a row that are worse give 1/16."""
    least_days: int = 4
    """Days before the first test."""
    epoch_factor: int = 3
    """Hyperband over the epochs of a network's first fit: of so many trials that come to a rung one goes on; 0 for none."""
    least_epochs: int = 2
    """Epochs to the first rung."""

    def __post_init__(self) -> None:
        if self.epoch_factor == 1 or self.epoch_factor < 0 or self.least_epochs < 1:
            raise ConfigError(
                f"[month.pruning] epoch_factor is {self.epoch_factor} and least_epochs {self.least_epochs}: the first is 0 for "
                f"no pruning or from 2, the second from 1."
            )


@dataclass(frozen=True)
class GateConfig:
    """What a candidate must satisfy to be promoted, beside a lower bound above zero and a verdict that is not *refuse*."""

    calibration: float = 0.15
    """Largest distance of predicted from observed clicks, as a share of these; models without chances are let through."""
    scene_tolerance: float = 0.1
    """How much worse a scene may be than under the policy of the log, where its lift can be trusted."""
    scenes: dict[str, float] = field(default_factory=dict[str, float])
    """Another tolerance for a scene by its name."""
    coverage: float = 0.0
    """Least effective share of the products on shelves."""
    ms_per_request: float | None = None
    """Most milliseconds to score a request."""
    finalists: int = 3
    """Candidates in the confirmation."""


@dataclass(frozen=True)
class PolicyConfig:
    """The policy over a model's scores: hyperparameters of every family."""

    defaults: dict[str, Any] = field(default_factory=lambda: {"temperature": 0.7})
    """Values of a family's first trial."""
    space: dict[str, Any] = field(default_factory=lambda: {"temperature": {"low": 0.3, "high": 1.2, "log": True}})
    """What is searched: ``temperature`` and ``exploration``."""


@dataclass(frozen=True)
class MonthSpec:
    """A tuning month."""

    seed: int = 0
    """The one seed that every other is derived from."""
    workers: int = 1
    """Processes that run trials side by side."""
    start: str | None = None
    """The first day, ``2026-11-01``; the day of the first impression where it is absent."""
    weights: dict[str, float] = field(default_factory=lambda: {"order": 1.0, "click": 0.3})
    """What an event counts when a model that ranks is fitted on it."""
    learn_days: int = 30
    """Days of impressions that a funnel model learns from at most."""
    calendar: CalendarConfig = field(default_factory=CalendarConfig)
    """Its days."""
    budget: BudgetConfig = field(default_factory=BudgetConfig)
    """What it may cost."""
    aim: AimConfig = field(default_factory=AimConfig)
    """What is maximised."""
    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    """How trials are chosen."""
    pruning: PruningConfig = field(default_factory=PruningConfig)
    """When they are given up."""
    gate: GateConfig = field(default_factory=GateConfig)
    """What may be promoted."""
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    """Over the scores of every model."""
    families: dict[str, SearchedFamily] = field(default_factory=dict[str, SearchedFamily])
    """The families searched, by their names in the catalogue."""

    def __post_init__(self) -> None:
        """Checks what can be checked before any work is done."""
        if not self.families:
            raise ConfigError("[families] is empty. Name at least one, for instance [month.families.funnel].")
        unknown = sorted(set(self.aim.objectives) - OBJECTIVES.keys())
        if unknown or not self.aim.objectives:
            raise ConfigError(f"[aim] objectives {unknown} are unknown; known are {', '.join(OBJECTIVES)}. Name one.")
        if self.aim.bound not in ("lower", "estimate"):
            raise ConfigError(f"[aim] bound is '{self.aim.bound}'; it is 'lower' or 'estimate'.")
        if {"revenue_per_viewer", "revenue_per_impression"} & set(self.aim.objectives) and self.money:
            raise ConfigError("[aim] revenue and margin cannot be aimed at at once. Leave one out.")
        if (
            min(
                self.budget.trials_per_day,
                self.budget.batch,
                self.aim.window_days,
                self.aim.refit_days,
                self.workers,
                self.gate.finalists,
            )
            < 1
        ):
            raise ConfigError(
                "[month] trials_per_day, batch, window_days, refit_days, workers and finalists are at least 1 each."
            )
        self.sampler.sampler()
        for name, family in self.searched().items():
            self.families[name].learner(name, _model_only(family.defaults))
            if not family.space:
                raise ConfigError(
                    f"[month.families.{name}.space] and [month.policy.space] are both empty: every trial would be the same. "
                    f"Name a parameter in one of them."
                )

    @property
    def money(self) -> bool:
        """Whether revenue stands for what is left of it."""
        return any(name in MONEY for name in self.aim.objectives)

    @property
    def metric(self) -> str:
        """The metric of the first objective."""
        return OBJECTIVES[self.aim.objectives[0]]

    def searched(self) -> dict[str, Family]:
        """The families with the settings of the policy among their parameters."""
        policy = {
            POLICY + key: values for key, values in space_from_toml(self.policy.space, "[month.policy.space]").items()
        }
        defaults = {POLICY + key: value for key, value in self.policy.defaults.items() if POLICY + key in policy}
        found = {}
        for name, table in self.families.items():
            family = table.family(name, "month.families")
            found[name] = Family(name, {**family.space, **policy}, {**family.defaults, **defaults})
        return found


def _model_only(params: Any) -> dict[str, Any]:
    return {key: value for key, value in params.items() if not key.startswith(POLICY)}


def space_to_toml(space: dict[str, Range]) -> dict[str, Any]:
    """What :func:`beautyrec.campaign.space.space_from_toml` reads."""
    return {key: _table(values) for key, values in space.items()}


def _table(values: Range) -> Any:
    if isinstance(values, Choice):
        return list(values.options)
    if isinstance(values, Int | Float):
        return {"low": values.low, "high": values.high, "log": values.log}
    raise ConfigError(f"{values!r} has no form in TOML.")
