"""What an item table says of items, as numbered values: for items of the fit and for those that come later.

Needs only numpy and pandas. Values are kept as 64-bit hashes of ``column=value``, so that an artifact holds numbers alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd

from beautyrec.errors import ArtifactError
from beautyrec.models.known import History, recency_weight
from beautyrec.models.state import ModelState
from beautyrec.types import BoolArray, Float32Array, FloatArray, IntArray

MOST_VALUES = 32
"""Of one item: a title of a hundred words would cost a network as much for every other item."""


class ItemValues(NamedTuple):
    """The known values of items, one entry a value of an item, by item."""

    row: IntArray
    """[n] the item's row of the table."""
    value: IntArray
    """[n] number of the value, from 0 to F - 1."""
    share: Float32Array
    """[n] one over the root of how many known values the item has of that column."""

    def summed(self, vectors: Float32Array, rows: int) -> Float32Array:
        """[rows, d] for each item ``sum share * vectors[value]``, from the ``vectors`` [F, d] of the values."""
        out = np.zeros((rows, vectors.shape[1]), dtype=np.float32)
        np.add.at(out, self.row, self.share[:, None] * vectors[self.value])
        return out


@dataclass(frozen=True, eq=False)
class ItemFeatures:
    """The values of an item table that a model knows: those that items taken in training have.

    A value that only other items have is left out, as nothing could be learnt of it.

    Args:
        columns: whose values stand for themselves; numbers of ``edges`` for the group they lie in.
        words: columns of text, each of whose words is a value.
        edges: the bounds of the groups, by column.
        keys: [F] hashes of the values, ascending.
        items: [F] how many of the items taken have each.

    Examples:
        >>> table = pd.DataFrame({"brand": ["x", "y", "z"], "title": ["Rose balm", "Rose, a serum", "balm"]})
        >>> features = ItemFeatures.of(table, np.array([True, True, False]), columns=("brand",), words=("title",))
        >>> len(features), np.bincount(features.values(table).row).tolist()
        (6, [3, 4, 1])
    """

    columns: tuple[str, ...]
    words: tuple[str, ...]
    edges: Mapping[str, FloatArray]
    keys: IntArray
    items: IntArray

    @classmethod
    def of(
        cls,
        table: pd.DataFrame | None,
        taken: BoolArray,
        *,
        columns: tuple[str, ...] = (),
        words: tuple[str, ...] = (),
        buckets: int = 20,
        least_items: int = 1,
    ) -> Self:
        """The values that the items ``taken`` [I] of ``table`` have.

        Args:
            table: one row an item; None where nothing is known of them.
            taken: which items were taken in training.
            columns: those that the table lacks are left out.
            words: likewise.
            buckets: groups of like size that fractional numbers are cut into.
            least_items: items taken that must share a value.
        """
        table = pd.DataFrame(index=range(len(taken))) if table is None else table
        columns, words = (tuple(name for name in names if name in table) for names in (columns, words))
        edges = {name: _edges(table[name][taken], buckets) for name in columns if _is_cut(table[name], buckets)}
        blank = cls(columns, words, edges, np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
        pairs = [blank._keys(table[taken], name)[1] for name in (*columns, *words)]
        keys, count = np.unique(np.concatenate([*pairs, blank.keys]), return_counts=True)
        enough = count >= least_items
        return cls(columns, words, edges, keys[enough], count[enough])

    def __len__(self) -> int:
        """F."""
        return len(self.keys)

    def values(self, table: pd.DataFrame | None) -> ItemValues:
        """The known values of the items of ``table``, of this fit or not; columns that it lacks give none.

        Of an item with more than ``MOST_VALUES`` the first are taken, column by column and word by word.
        """
        rows, values, shares = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.float32)]
        for name in (*self.columns, *self.words):
            if table is None or name not in table or not len(self):
                continue
            row, key = self._keys(table, name)
            value = np.minimum(np.searchsorted(self.keys, key), len(self) - 1)
            known = self.keys[value] == key
            row, value = row[known], value[known]
            count = np.bincount(row, minlength=len(table))[row]
            rows.append(row)
            values.append(value)
            shares.append((1 / np.sqrt(count)).astype(np.float32))
        row = np.concatenate(rows)
        order = np.argsort(row, kind="stable")
        start = np.searchsorted(row[order], row[order])
        order = order[np.arange(len(order)) - start < MOST_VALUES]
        return ItemValues(row[order], np.concatenate(values)[order], np.concatenate(shares)[order])

    def _keys(self, table: pd.DataFrame, name: str) -> tuple[IntArray, IntArray]:
        """Row and hash of each value of the column ``name``, each once an item."""
        values = table[name].reset_index(drop=True)
        if name in self.words:
            text = values.dropna().astype(str).str.lower().str.findall(r"[^\W_]+").explode().dropna()
        elif pd.api.types.is_numeric_dtype(values.dtype):  # whole numbers have the same text as in a column with gaps
            numbers = values.dropna().astype(np.float64)
            cut = np.searchsorted(self.edges[name], numbers, side="right") if name in self.edges else numbers
            text = pd.Series(cut, index=numbers.index).astype(np.float64).astype(str)
        else:
            text = values.dropna().astype(str)
        named = (name + "=" + text).to_numpy(object)
        row = text.index.to_numpy(np.int64)
        key = pd.util.hash_array(named, categorize=False).view(np.int64)
        once = ~pd.DataFrame({"row": row, "key": key}).duplicated().to_numpy()
        return row[once], key[once]

    def arrays(self) -> dict[str, Any]:
        """As arrays for a :class:`~beautyrec.models.state.ModelState`."""
        return {"value_keys": self.keys, "value_items": self.items} | {
            f"edges_{name}": edges for name, edges in self.edges.items()
        }

    def meta(self) -> dict[str, Any]:
        """As plain values for one."""
        return {"columns": list(self.columns), "words": list(self.words)}

    @classmethod
    def from_state(cls, state: ModelState) -> Self:
        """What :meth:`arrays` and :meth:`meta` put into ``state``.

        Raises:
            ArtifactError: names of columns or the values are missing.
        """
        names = [state.meta.get(key) for key in ("columns", "words")]
        if not all(isinstance(found, list) and all(isinstance(name, str) for name in found) for found in names):
            raise ArtifactError(f"model state '{state.kind}': 'columns' and 'words' are to be lists of names.")
        columns, words = (tuple(found or ()) for found in names)
        edges = {name: state.array(f"edges_{name}", (None,)) for name in columns if f"edges_{name}" in state.arrays}
        keys = state.array("value_keys", (None,))
        return cls(columns, words, edges, keys, state.array("value_items", keys.shape))


class UserProfiles(NamedTuple):
    """The features of what users took: shares of values that sum to 1 for each user who has any."""

    row: IntArray
    """[n] the user."""
    value: IntArray
    """[n] number of the value."""
    share: Float32Array
    """[n] its weight."""
    users: int
    """U."""

    @classmethod
    def of(cls, seen: History, features: ItemFeatures, item_table: pd.DataFrame | None, decay: float) -> Self:
        """Of histories: the last item counts 1, each before it ``decay`` of the next."""
        users, n_items, n = len(seen.indptr) - 1, 0 if item_table is None else len(item_table), max(1, len(features))
        found = features.values(item_table)
        start = np.searchsorted(found.row, np.arange(n_items + 1))
        count = np.diff(start)[seen.item_ix] if n_items else np.zeros(len(seen.item_ix), dtype=np.int64)
        entry = np.repeat(np.arange(len(count)), count)
        at = np.arange(len(entry)) - np.repeat(np.cumsum(count) - count, count)
        at = at + (start[seen.item_ix[entry]] if n_items else 0)
        user = np.repeat(np.arange(users), np.diff(seen.indptr))[entry]
        weight = recency_weight(seen, decay)[entry] * found.share[at]
        key, place = np.unique(user * n + found.value[at], return_inverse=True)
        share = np.bincount(place, weights=weight, minlength=len(key))
        row = key // n
        total = np.bincount(row, weights=share, minlength=users)
        return cls(row, key % n, (share / total[row]).astype(np.float32), users)

    def summed(self, vectors: Float32Array) -> Float32Array:
        """[U, d] ``sum share * vectors[value]``."""
        out = np.zeros((self.users, vectors.shape[1]), dtype=np.float32)
        np.add.at(out, self.row, self.share[:, None] * vectors[self.value])
        return out


def _is_cut(values: pd.Series[Any], buckets: int) -> bool:
    return bool(pd.api.types.is_float_dtype(values.dtype)) and values.nunique() > buckets


def _edges(values: pd.Series[Any], buckets: int) -> FloatArray:
    """The bounds between ``buckets`` groups of like size."""
    numbers = values.dropna().to_numpy(np.float64)
    if not len(numbers):
        return np.empty(0)
    return np.unique(np.quantile(numbers, np.arange(1, buckets) / buckets))
