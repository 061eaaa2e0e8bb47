"""The slots of a room: when each is on air, how much attention it has, and which products may stand in it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from beautyrec.errors import ConfigError
from beautyrec.selection.limits import Places
from beautyrec.selection.line_up_config import LineUpConfig
from beautyrec.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Clock:
    """When the slots of a room are on air.

    Args:
        start: [T] minutes from the start of the room, rising.
        end: [T] likewise.

    Examples:
        >>> Clock.even(4, 10).end.tolist()
        [2.5, 5.0, 7.5, 10.0]
    """

    start: FloatArray
    end: FloatArray

    @classmethod
    def even(cls, slots: int, minutes: float) -> Clock:
        """The same share of the room for every slot."""
        edges = np.linspace(0, minutes, slots + 1)
        return cls(edges[:-1], edges[1:])

    def __len__(self) -> int:
        return len(self.start)

    def at(self, minute: float) -> int:
        """The slot on air at a minute, else the next one.

        Raises:
            ConfigError: no slot is on air then or later.
        """
        later = np.flatnonzero(self.end > minute + 1e-9)
        if minute < 0 or not len(later):
            raise ConfigError(
                f"line-up: no slot is on air at minute {minute:g} or later; the last ends at {self.end[-1]:g}."
            )
        return int(later[0])


@dataclass(frozen=True, eq=False)
class Kinds:
    """Slots that are alike in attention and in what may stand in them, taken together.

    Args:
        of_slot: [T] the kind of each slot.
        attention: [C] of each kind.
        places: names and sizes of the kinds, and which product may take which.
    """

    of_slot: IntArray
    attention: FloatArray
    places: Places

    @classmethod
    def of(cls, attention: FloatArray, names: list[str], open_: BoolArray) -> Kinds:
        """The kinds of T slots.

        Args:
            attention: [T].
            names: [T] what asks for something in the slot, in words.
            open_: [N, T] which product may stand where.
        """
        bits = np.packbits(open_, axis=0).T
        rows = pd.MultiIndex.from_arrays([attention, names, [row.tobytes() for row in bits]])
        of_slot, _ = pd.factorize(rows)
        _, first, size = np.unique(of_slot, return_index=True, return_counts=True)
        places = Places([names[slot] for slot in first], size.astype(np.int64), open_[:, first])
        return cls(np.asarray(of_slot, dtype=np.int64), attention[first], places)


def openings(
    rows: pd.DataFrame, clock: Clock, config: LineUpConfig, pinned: Mapping[int, Hashable]
) -> tuple[list[str], BoolArray]:
    """What is asked for in each slot, in words, and which product may stand in which slot [N, T].

    Raises:
        ConfigError: a minute of a hero is outside of the room, or there is no column for what is asked.
    """
    slots = len(clock)
    names = [f"{slots} products"] * slots
    open_ = np.ones((len(rows), slots), dtype=bool)
    price = rows["price"].to_numpy(np.float64)
    for step in config.ladder:
        inside = np.flatnonzero((clock.start >= step.start) & (clock.start < step.end))
        open_[:, inside] &= ((price >= step.low) & (price < step.high))[:, None]
        for slot in inside:
            names[slot] = f"prices {step.low:g} to {step.high:g} in minutes {step.start:g} to {step.end:g}"
    if config.hero_minutes:
        hero = _column(rows, "hero").fillna(False).astype(bool).to_numpy()
        at = [clock.at(minute) for minute in config.hero_minutes]
        open_[:, at] &= hero[:, None]
        for place in at:
            names[place] = f"heroes at minutes {', '.join(f'{minute:g}' for minute in config.hero_minutes)}"
    if config.presenters:
        who = _column(rows, "presenter")
        for name, presenter in config.presenters.items():
            away = (clock.start < presenter.start) | (clock.end > presenter.end)
            open_[np.ix_((who == name).to_numpy(dtype=bool, na_value=False), away)] = False
    ids = rows["item_id"]
    open_[ids.isin(list(pinned.values())).to_numpy()] = False
    for place, item in pinned.items():
        open_[:, place] = (ids == item).to_numpy()
        names[place] = "what has been shown"
    return names, open_


def _column(rows: pd.DataFrame, name: str) -> pd.Series:
    if name not in rows:
        raise ConfigError(f"line-up: the candidates need a column '{name}' for what is asked; they have {list(rows)}.")
    return rows[name]
