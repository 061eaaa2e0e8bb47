"""One look at the chances of all actions: checks, means and what belongs to the action shown, all while a tile is in cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from beautyrec.types import FloatArray, IntArray

_TILE = (
    65_536  # chances held at one time: 512 KB, and as much again for a model's expectations; a core's cache holds both
)


class ActionScan(NamedTuple):
    """What one look at ``chances`` [n, A] found."""

    least: float
    """The least chance; NaN if any is."""
    largest: float
    """The largest; likewise."""
    total: FloatArray
    """[n] sum of the chances of a round."""
    means: FloatArray
    """[m, n] mean of each of the arrays under the chances, ``sum_a chance_a value_a``."""
    shown: FloatArray
    """[m, n] each array at the action shown."""


def scan_actions(chances: FloatArray, arrays: Sequence[FloatArray], action: IntArray) -> ActionScan:
    """Reads arrays of all actions once, a few thousand rounds at a time.

    Args:
        chances: [n, A] of a policy.
        arrays: m of them, each [n, A]; the chances themselves may be one.
        action: [n] what was shown, from 0 to A - 1.

    Examples:
        >>> chances, values = np.array([[0.5, 0.5], [0.9, 0.1]]), np.array([[1.0, 3.0], [2.0, 4.0]])
        >>> found = scan_actions(chances, [values], np.array([1, 0]))
        >>> found.least, found.total.tolist(), found.means.round(9).tolist(), found.shown.tolist()
        (0.1, [1.0, 1.0], [[2.0, 2.2]], [[3.0, 2.0]])
    """
    n, actions = chances.shape
    total, means, shown = np.empty(n), np.empty((len(arrays), n)), np.empty((len(arrays), n))
    ones, least, largest = np.ones(actions), np.inf, -np.inf
    step = max(1, _TILE // actions)
    row = np.arange(min(step, n))
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        tile, at = chances[rows], action[rows]
        least, largest = np.minimum(least, tile.min()), np.maximum(largest, tile.max())
        np.matmul(tile, ones, out=total[rows])
        for number, array in enumerate(arrays):
            values = array[rows]
            np.einsum("na,na->n", tile, values, out=means[number, rows])
            shown[number, rows] = values[row[: len(at)], at]
    return ActionScan(float(least), float(largest), total, means, shown)
