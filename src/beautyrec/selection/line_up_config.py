"""What a line-up has to keep to, as a TOML file says it."""

from __future__ import annotations

from dataclasses import dataclass, field

from beautyrec.errors import ConfigError
from beautyrec.selection.limits import Quota
from beautyrec.selection.worth import Goal

ItemId = int | str
"""An id of a product as TOML can state it."""


@dataclass(frozen=True)
class PriceStep:
    """A step of the price ladder: what may be shown in some part of the room.

    Raises:
        ConfigError: the step has no minutes or no prices.
    """

    start: float
    """Minute from which it holds."""
    end: float
    """Minute until which; slots that begin before it belong to it."""
    low: float = 0.0
    """Least price."""
    high: float = float("inf")
    """Prices are below this."""

    def __post_init__(self) -> None:
        if not (self.start < self.end and 0 <= self.low < self.high):
            raise ConfigError(f"{self}: give start < end and 0 <= low < high.")


@dataclass(frozen=True)
class Presenter:
    """When and how long someone presents.

    Raises:
        ConfigError: no minutes are left.
    """

    minutes: float = float("inf")
    """At most so many minutes of products in all."""
    start: float = 0.0
    """From this minute of the room on."""
    end: float = float("inf")
    """Until this minute."""

    def __post_init__(self) -> None:
        if not (self.minutes >= 0 and self.start < self.end):
            raise ConfigError(f"{self}: give minutes >= 0 and start < end.")


@dataclass(frozen=True)
class LineUpConfig:
    """What a line-up has to keep to."""

    products: int = 30
    """How many products, one a slot; a script's own number of slots takes its place where there is a script."""
    minutes: float = 120
    """How long the room lasts; without a script every slot gets the same share."""
    per_category: int = 4
    """At most so many of one category; products without a category are not counted as one."""
    per_brand: int = 3
    """At most so many of one brand; products without a brand are not counted as one."""
    spacing: int = 1
    """Products of one category stand at least so many slots apart; 1 asks for nothing."""
    hero_minutes: tuple[float, ...] = ()
    """At these minutes a product is on air that is a hero (column ``hero``)."""
    ladder: tuple[PriceStep, ...] = ()
    """What prices may be shown when."""
    must_have: tuple[ItemId, ...] = ()
    """Products that have to be there."""
    never_with: tuple[tuple[ItemId, ItemId], ...] = ()
    """Pairs of which at most one may be there."""
    presenters: dict[str, Presenter] = field(default_factory=dict[str, Presenter])
    """Who presents; where it is given, products of other presenters (column ``presenter``) are left out."""
    quotas: tuple[Quota, ...] = ()
    """Further bounds on how many products have a value in a column."""
    goal: Goal = field(default_factory=Goal)
    """What there shall be most of."""
    substitution: float = 0.0
    """How much products of a nest take from each other, 0 to 1; see :func:`beautyrec.selection.worth.kept_shares`. All
    after the fourth of a nest keep as much as that."""
    nest: str = "category"
    """The column whose equal values make products substitutes."""
    risk: float = 0.0
    """0 counts the mean of what a product may sell, 1 its lower quantile (column ``sureness``)."""
    quantile: float = 0.2
    """Which quantile."""
    gap: float = 0.001
    """How far below the best the line-up may be, as a share; 0 looks for the best itself."""
    seconds: float = 60
    """When to stop looking for better; the gap that is left then is stated."""

    def __post_init__(self) -> None:
        for key in ("products", "per_category", "per_brand", "spacing"):
            if getattr(self, key) < 1:
                raise ConfigError(f"line-up: {key} is {getattr(self, key)}; it has to be at least 1.")
        for key in ("minutes", "seconds"):
            if not 0 < getattr(self, key) < float("inf"):
                raise ConfigError(f"line-up: {key} is {getattr(self, key)}; it has to be above 0 and finite.")
        for key in ("substitution", "risk", "gap"):
            if not 0 <= getattr(self, key) <= 1:
                raise ConfigError(f"line-up: {key} is {getattr(self, key)}; it has to be between 0 and 1.")
        if not 0 < self.quantile < 1:
            raise ConfigError(f"line-up: quantile is {self.quantile}; it has to be above 0 and below 1.")
