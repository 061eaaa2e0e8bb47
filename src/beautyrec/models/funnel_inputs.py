"""What a funnel network reads of a row: numbers on one scale, gaps marked, categories as codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.errors import SchemaError
from beautyrec.models.state import ModelState
from beautyrec.types import BoolArray, Float32Array, FloatArray, IntArray

KNOTS = 65
"""Quantiles kept of each feature."""

FEW = 4096
"""Values that are hashed one by one."""

CHUNK_ROWS = 4096
"""Rows looked at together."""

FARTHEST = 4.0
"""Standard deviations from the mean beyond which all values are one."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """The way from a row to what the network takes in.

    A number becomes two: its quantile among the training rows, from -1.73 to 1.73 (a uniform variable of variance 1), and
    its distance from the mean in standard deviations, at most 4, which keeps the tails apart. A missing one becomes 0
    twice, and a column of its own says so where the training had gaps. A category becomes a hash below ``buckets``
    (Weinberger et al. 2009, "Feature hashing for large scale multitask learning", ICML), or the last code, ``buckets``,
    where it is missing.

    Args:
        knots: [m, 65] quantiles of each of m features, rising.
        scale: [m, 2] mean and standard deviation of each.
        gaps: [m] whether a feature has a column for what is missing.
        categories: columns of the rows that are categories, c of them.
        buckets: codes of each category, less the one for what is missing.

    Examples:
        >>> inputs = Inputs.fit([np.array([1.0, 2.0, 3.0, np.nan])], ("brand",), buckets=8)
        >>> inputs.numbers([np.array([2.0, 99.0, np.nan])]).round(2).tolist()
        [[0.0, 0.0, 0.0], [1.7300000190734863, 4.0, 0.0], [0.0, 0.0, 1.0]]
        >>> codes = inputs.codes(pd.DataFrame({"brand": ["Aster", None, "Aster"]}))[:, 0]
        >>> bool(codes[0] == codes[2]), int(codes[1])
        (True, 8)
    """

    knots: FloatArray
    scale: FloatArray
    gaps: BoolArray
    categories: tuple[str, ...]
    buckets: int

    @classmethod
    def fit(cls, columns: Sequence[FloatArray], categories: Sequence[str], buckets: int) -> Inputs:
        """The quantiles and gaps of some rows [n], one array a feature."""
        levels = np.linspace(0, 1, KNOTS)
        known = [column[~np.isnan(column)] for column in columns]
        knots = [np.quantile(column, levels) if len(column) else np.zeros(KNOTS) for column in known]
        scale = [(column.mean(), column.std() or 1.0) if len(column) else (0.0, 1.0) for column in known]
        gaps = np.array([np.isnan(column).any() for column in columns])
        return cls(np.stack(knots), np.array(scale), gaps, tuple(categories), buckets)

    @property
    def width(self) -> int:
        """How many numbers a row becomes."""
        return 2 * len(self.knots) + int(self.gaps.sum())

    @cached_property
    def _rising(self) -> BoolArray:
        """[m] whether no quantile of a feature repeats."""
        return np.asarray((np.diff(self.knots) > 0).all(axis=1))

    def numbers(self, columns: Sequence[FloatArray]) -> Float32Array:
        """[n, width] the quantiles of all features, their distances from the mean, then the gaps of those that have them."""
        n, m = len(columns[0]), len(self.knots)
        found = np.empty((n, self.width), dtype=np.float32)
        for start in range(0, n, CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            x = np.stack([column[rows] for column in columns])
            missing = np.isnan(x)
            x[missing] = 0
            quantile, distance = self._quantiles(x), (x - self.scale[:, :1]) / self.scale[:, 1:]
            quantile[missing] = distance[missing] = 0
            found[rows, :m] = quantile.T
            found[rows, m : 2 * m] = np.clip(distance, -FARTHEST, FARTHEST).T
            found[rows, 2 * m :] = missing[self.gaps].T
        return found

    def _quantiles(self, x: FloatArray) -> FloatArray:
        """[m, n] where values [m, n] stand among the quantiles, from -1.73 to 1.73."""
        levels = np.linspace(0, 1, KNOTS)
        found = np.empty_like(x)
        for row, knots, rising, out in zip(x, self.knots, self._rising, found, strict=True):
            low = np.interp(row, knots, levels)
            # quantiles repeat where a value does: half way between the first and the last of them
            high = low if rising else -np.interp(-row, -knots[::-1], -levels[::-1])
            out[:] = (low + high - 1) * np.sqrt(3)
        return found

    def codes(self, rows: pd.DataFrame) -> IntArray:
        """[n, c] the code of each category, each category in a range of its own.

        Raises:
            SchemaError: a column is missing.
        """
        absent = [name for name in self.categories if name not in rows]
        if absent:
            raise SchemaError(f"funnel: categories {absent} are missing; the frame has {list(rows)}. Add them.")
        codes = np.empty((len(rows), len(self.categories)), dtype=np.int64)
        for place, name in enumerate(self.categories):
            values = rows[name]
            missing = values.isna().to_numpy()
            hashed = _hash(values[~missing]) % np.uint64(self.buckets)
            codes[missing, place] = self.buckets
            codes[~missing, place] = hashed.astype(np.int64)
            codes[:, place] += place * (self.buckets + 1)
        return codes

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Its arrays; the inverse of :meth:`from_state`."""
        return {"knots": self.knots, "scale": self.scale, "gaps": self.gaps}

    @classmethod
    def from_state(cls, state: ModelState, features: int, categories: Sequence[str], buckets: int) -> Inputs:
        """What :meth:`arrays` put into ``state``.

        Raises:
            ArtifactError: an array is missing or of another shape.
        """
        knots = state.array("knots", (features, KNOTS))
        scale, gaps = state.array("scale", (features, 2)), state.array("gaps", (features,)).astype(bool)
        return cls(knots, scale, gaps, tuple(categories), buckets)


def _hash(values: pd.Series[Any]) -> npt.NDArray[np.uint64]:
    """[n] 64-bit hashes that are the same in every process; numbers of any type by their value."""
    if pd.api.types.is_numeric_dtype(values):
        return pd.util.hash_array(values.to_numpy(np.float64))
    many = len(values) > FEW  # then each value is hashed once; to find which are alike costs more than it saves for few
    return pd.util.hash_array(values.astype(str).to_numpy(dtype=object), categorize=many)
