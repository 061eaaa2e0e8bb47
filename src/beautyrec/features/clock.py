"""Moments as whole numbers, such that an event was known to a key if and only if its number is below that of the key.

Keys share few moments (the starts of rooms). Between two of them, or of the starts of their windows, no key can tell one event
from another: events get the count of moments up to theirs, and what has one count can be added up before anything is sorted.
The count is found by an equal join with cells of time, in each of which few moments lie. Where keys have many moments, the
number is the time itself.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from beautyrec.engine import Engine
from beautyrec.features.builder import MICROSECONDS_A_DAY, MOMENT
from beautyrec.types import IntArray

AT: Final = "at"
"""When an event became known, in microseconds from 1970."""

CODE: Final = "code"
DAYS: Final = "days"
"""How far back a mark of a key lies: 0 at its moment, else at the start of that window."""

_MOST: Final = 100_000
"""Moments and starts of windows beyond which events keep their times."""
_CELLS_A_MOMENT: Final = 8
_CROWD: Final = 64
"""Moments in one cell beyond which events keep their times."""
_EARLIEST: Final = -(2**62)


@dataclass(frozen=True, eq=False)
class Clock:
    """Gives events and keys their numbers; :meth:`of` makes it.

    Args:
        cells: table ``cell, since, until, code`` and how to get to the cell of a time; None where times are the numbers.
        marks: table ``moment, days, code``.
        first: the least moment or start.
        last: the greatest; events from then on are never known.
        shift: a cell is ``2 ** shift`` microseconds.
    """

    cells: Any = None
    marks: Any = None
    first: int = 0
    last: int = 0
    shift: int = 0

    @classmethod
    def of(cls, engine: Engine, keys: Any, windows: Collection[int]) -> Clock:
        """A clock for the moments of some keys (Ibis table with ``moment``) and their windows in days, 0 among them.

        Its tables are the engine's: drop them with :meth:`drop`.
        """
        most = _MOST // len(windows)
        moments = engine.arrow(keys.select(MOMENT).distinct().limit(most + 1))[MOMENT].to_numpy()
        if not 0 < len(moments) <= most:
            return cls()
        days = np.array(sorted(windows), dtype=np.int64)
        starts = moments[:, None] - days * MICROSECONDS_A_DAY
        codes = np.unique(starts)
        first, last = int(codes[0]), int(codes[-1])
        shift = max(0, int(np.log2(max(1, (last - first) // (_CELLS_A_MOMENT * len(codes))))))
        cells = _cells(codes, shift)
        if np.bincount(cells["cell"]).max() > _CROWD:
            return cls()
        marks = {
            MOMENT: np.repeat(moments, len(days)),
            DAYS: np.tile(days, len(moments)),
            CODE: np.searchsorted(codes, starts.ravel()) + 1,
        }
        return cls(engine.table(pa.table(cells)), engine.table(pa.table(marks)), first, last, shift)

    def drop(self, engine: Engine) -> None:
        """Give back its tables."""
        if self.cells is not None:
            engine.drop(self.cells)
            engine.drop(self.marks)

    def events(self, events: Any) -> Any:
        """Events (Ibis table with ``at``) with ``code``; those that no key knows may be left out."""
        import ibis

        if self.cells is None:
            return events.mutate(**{CODE: events[AT]})
        events = events.filter(events[AT] < self.last)
        events = events.mutate(in_cell=(ibis.greatest(events[AT], self.first) - self.first) >> self.shift)
        joined = events.inner_join(self.cells, events["in_cell"] == self.cells["cell"])
        return joined.filter((joined[AT] >= joined["since"]) & (joined[AT] < joined["until"]))

    def keys(self, keys: Any, windows: Collection[int]) -> Any:
        """Keys (Ibis table with ``moment``) with ``days`` and ``code``, a row for each of some windows."""
        import ibis

        if self.marks is None:
            code = {days: keys[MOMENT] - days * MICROSECONDS_A_DAY for days in windows}
            parts = [keys.mutate(**{DAYS: ibis.literal(days, "int64"), CODE: at}) for days, at in code.items()]
            return ibis.union(*parts) if len(parts) > 1 else parts[0]
        marks = self.marks.filter(self.marks[DAYS].isin(list(windows))).rename(of_moment=MOMENT)
        return keys.inner_join(marks, keys[MOMENT] == marks["of_moment"]).drop("of_moment")


def _cells(codes: IntArray, shift: int) -> dict[str, IntArray]:
    """The cells of the times up to the last of some moments, a row for each stretch between moments in each of them.

    Args:
        codes: [n] moments, rising; stretch ``i`` is from moment ``i`` on, the first from ever.
        shift: as in :class:`Clock`.

    Examples:
        >>> {name: column.tolist() for name, column in _cells(np.array([10, 13]), 1).items()}
        {'cell': [0, 0, 1], 'since': [-4611686018427387904, 10, 10], 'until': [10, 13, 13], 'code': [0, 1, 1]}
    """
    since, until = np.append(_EARLIEST, codes[:-1]), codes
    low = np.maximum(since - codes[0], 0) >> shift
    high = np.maximum(until - 1 - codes[0], 0) >> shift
    stretch = np.repeat(np.arange(len(codes)), high - low + 1)
    cell = (
        low[stretch] + np.arange(len(stretch)) - np.repeat(np.cumsum(high - low + 1) - (high - low + 1), high - low + 1)
    )
    return {"cell": cell, "since": since[stretch], "until": until[stretch], "code": stretch}
