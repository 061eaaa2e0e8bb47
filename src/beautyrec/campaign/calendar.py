"""The days of a tuning month: weekly rounds, then a confirmation on days that no trial has touched."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from beautyrec.data.times import Moment, utc
from beautyrec.errors import ConfigError


@dataclass(frozen=True)
class CalendarConfig:
    """How a tuning month is laid out.

    Raises:
        ConfigError: the days do not hold the rounds, the warm-up and the confirmation.
    """

    days: int = 30
    """Days in all."""
    rounds: int = 4
    """Rounds of plan, do, check and act; the days before the confirmation are shared out among them evenly, the first
    ones taking what is left over. Of 30 days: 7, 6, 6, 6, and 5 of confirmation."""
    confirm_days: int = 5
    """Last days, on which only finalists are judged."""
    warm_up_days: int = 3
    """First days, which models learn from and nothing is judged on."""

    def __post_init__(self) -> None:
        if min(self.days, self.rounds, self.confirm_days) < 1 or self.warm_up_days < 1:
            raise ConfigError(f"[calendar] {self}: each has to be at least 1.")
        first = math.ceil((self.days - self.confirm_days) / self.rounds)
        if self.days - self.confirm_days < self.rounds or first <= self.warm_up_days:
            raise ConfigError(
                f"[calendar] {self.days} days less {self.confirm_days} of confirmation give {self.rounds} rounds a first "
                f"one of {max(first, 0)} days, {self.warm_up_days} of them warm-up: no day is left to judge on. Make the "
                f"month longer, or rounds, warm-up or confirmation shorter."
            )


class Round(NamedTuple):
    """One round of the month."""

    number: int
    """1, 2, ..."""
    first: int
    """Its first day, from 0."""
    last: int
    """Its last day, included: the review is held when it is over."""


@dataclass(frozen=True)
class Calendar:
    """The days of one month, by date.

    Args:
        config: how it is laid out.
        start: midnight (UTC) before the first day.

    Examples:
        >>> calendar = Calendar(CalendarConfig(), pd.Timestamp("2026-11-01", tz="UTC"))
        >>> [(part.first, part.last) for part in calendar.rounds], calendar.confirmation
        ([(0, 6), (7, 12), (13, 18), (19, 24)], range(25, 30))
        >>> calendar.window(8, 6), calendar.day_of("2026-11-09T12:00Z")
        (range(3, 9), 8)
    """

    config: CalendarConfig
    start: pd.Timestamp

    @property
    def rounds(self) -> tuple[Round, ...]:
        """The rounds in their order."""
        searched, count = self.config.days - self.config.confirm_days, self.config.rounds
        length, more = divmod(searched, count)
        ends = [place * length + min(place, more) for place in range(count + 1)]
        return tuple(Round(place + 1, ends[place], ends[place + 1] - 1) for place in range(count))

    @property
    def confirmation(self) -> range:
        """The days of the confirmation."""
        return range(self.config.days - self.config.confirm_days, self.config.days)

    def round_of(self, day: int) -> Round | None:
        """The round of a day; None in the confirmation."""
        return next((part for part in self.rounds if part.first <= day <= part.last), None)

    def window(self, day: int, length: int) -> range:
        """The last ``length`` days up to ``day``, without those of the warm-up: what a trial of ``day`` is judged on."""
        return range(max(self.config.warm_up_days, day - length + 1), day + 1)

    def judged(self, part: Round) -> range:
        """The days of a round that models are judged on."""
        return range(max(self.config.warm_up_days, part.first), part.last + 1)

    def begins(self, day: int) -> pd.Timestamp:
        """Midnight (UTC) before ``day``: a model that is judged on it knows what was available before this."""
        return self.start + pd.Timedelta(days=day)

    def name(self, day: int) -> str:
        """The date of ``day``, as ``2026-11-22``."""
        return str(self.begins(day).date())

    def day_of(self, moment: Moment) -> int:
        """Which day a moment lies on, from 0.

        Raises:
            ConfigError: it lies outside of the month.
        """
        day = (utc(moment) - self.start) // pd.Timedelta(days=1)
        if not 0 <= day < self.config.days:
            last = self.name(self.config.days - 1)
            raise ConfigError(f"{moment} lies outside of the month, which is {self.name(0)} to {last}.")
        return int(day)
