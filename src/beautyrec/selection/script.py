"""The script of a room: how its minutes are dealt out to opening, products, interactions and the closing offer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import pandas as pd

from beautyrec.errors import ConfigError
from beautyrec.selection.slots import Clock
from beautyrec.settings import from_table, read_toml

_MINUTE = 60


class Part(StrEnum):
    """What happens in a part of the room."""

    OPENING = "opening"
    PRODUCT = "product"
    INTERACTION = "interaction"
    SPARE = "spare"
    CLOSING = "closing offer"


@dataclass(frozen=True)
class Script:
    """A template for rooms of any length.

    A product is never cut: an interaction comes when the product on air ends after it is due, and what is left before the
    closing offer and too short for a product is spare.

    Raises:
        ConfigError: a length is out of its bounds or is no whole number of seconds.

    Examples:
        >>> parts = Script().parts(120)
        >>> int((parts["part"] == Part.PRODUCT).sum()), float(parts["minutes"].sum())
        (94, 120.0)
    """

    opening_minutes: float = 3.0
    """Welcome, with a preview of the heroes."""
    preview: int = 3
    """How many heroes are previewed in the opening."""
    product_minutes: float = 1.0
    """For one product."""
    interaction_every: float = 10.0
    """Minutes of the room from which on an interaction is due again."""
    interaction_minutes: float = 2.0
    """For one interaction: a question, a draw, a coupon."""
    closing_minutes: float = 0.5
    """The closing offer at the end."""

    def __post_init__(self) -> None:
        least = {"opening_minutes": 0, "product_minutes": 1 / _MINUTE, "interaction_every": 1 / _MINUTE}
        for key in (
            "opening_minutes",
            "product_minutes",
            "interaction_every",
            "interaction_minutes",
            "closing_minutes",
        ):
            value = getattr(self, key)
            if not least.get(key, 0) <= value < float("inf") or not _whole(value):
                raise ConfigError(f"script: {key} is {value}; give a whole number of seconds, as minutes, above 0.")
        if self.preview < 0:
            raise ConfigError(f"script: preview is {self.preview}; give 0 or more.")

    def parts(self, minutes: float) -> pd.DataFrame:
        """The parts of a room, one after the other without a gap: ``part, minute_from, minute_to, minutes``.

        Args:
            minutes: of the room; a whole number of seconds.

        Raises:
            ConfigError: the room is too short for opening, one product and closing offer.
        """
        if not 0 < minutes < float("inf") or not _whole(minutes):
            raise ConfigError(f"script: the room has {minutes} minutes; give a whole number of seconds above 0.")
        opening, product, interaction, closing, total = (
            round(length * _MINUTE)
            for length in (
                self.opening_minutes,
                self.product_minutes,
                self.interaction_minutes,
                self.closing_minutes,
                minutes,
            )
        )
        end = total - closing
        if opening + product > end:
            raise ConfigError(
                f"script: a room of {minutes:g} minutes is too short for an opening of {self.opening_minutes:g}, one product "
                f"of {self.product_minutes:g} and a closing offer of {self.closing_minutes:g}. Make it longer, or cut these."
            )
        every = round(self.interaction_every * _MINUTE)
        found, now, due = [(Part.OPENING, 0, opening)], opening, every
        while now + product <= end:
            if interaction and now >= due and now + interaction + product <= end:
                found.append((Part.INTERACTION, now, now + interaction))
                now += interaction
                due = (now // every + 1) * every
            found.append((Part.PRODUCT, now, now + product))
            now += product
        found += [(Part.SPARE, now, end), (Part.CLOSING, end, total)]
        table = pd.DataFrame([row for row in found if row[2] > row[1]], columns=["part", "minute_from", "minute_to"])
        table[["minute_from", "minute_to"]] = table[["minute_from", "minute_to"]] / _MINUTE
        return table.assign(minutes=table["minute_to"] - table["minute_from"])

    def clock(self, minutes: float) -> Clock:
        """When the products of a room of so many minutes are on air."""
        parts = self.parts(minutes)
        slots = parts[parts["part"] == Part.PRODUCT]
        return Clock(slots["minute_from"].to_numpy(np.float64), slots["minute_to"].to_numpy(np.float64))


def read_script(path: Path) -> Script:
    """The script that a TOML file says; keys that are absent take the defaults.

    Raises:
        ConfigError: the file is absent, is no TOML, or has an unknown key or a wrong value; says which.
    """
    return from_table(Script, read_toml(path), str(path))


def _whole(minutes: float) -> bool:
    return abs(minutes * _MINUTE - round(minutes * _MINUTE)) < 1e-6
