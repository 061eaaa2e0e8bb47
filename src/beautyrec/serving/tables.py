"""Tables of any kind in, the same kind out: pandas frames, Arrow tables, dicts of columns, NumPy arrays.

====================================  =========================================
handed in                             handed back
====================================  =========================================
pandas ``DataFrame``                  ``DataFrame``; a row for a row keeps its index
pandas ``Series``, ``Index``; a list  ``DataFrame``
pyarrow ``Table``, ``RecordBatch``    ``Table``
pyarrow ``Array``, ``ChunkedArray``   ``Table``
a dict of columns                     a dict of arrays
a NumPy array, structured or not      a structured array: ``found["item_id"]``
====================================  =========================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.errors import SchemaError
from beautyrec.types import IntArray

Columns = dict[str, npt.NDArray[Any]]
"""Columns of one length by name."""


@dataclass(frozen=True, eq=False)
class Table:
    """A table that was handed in.

    Args:
        field: of the call, for errors: ``"users"``.
        names: of its columns.
        column: the values of the column of a name, of whatever type they came in.
        build: a table of the same kind from columns; ``rows`` says which row of this one each stands for, or is None.
    """

    field: str
    names: tuple[str, ...]
    column: Callable[[str], Any]
    build: Callable[[Columns, IntArray | None], Any]

    def __getitem__(self, name: str) -> Any:
        """The values of a column.

        Raises:
            SchemaError: there is none of that name.
        """
        if name not in self.names:
            raise SchemaError(f"{self.field}: column '{name}' is missing; there are {list(self.names)}. Add it.")
        return self.column(name)

    def frame(self) -> pd.DataFrame:
        """All columns, as a frame with rows from 0 up.

        Raises:
            SchemaError: columns are of different lengths, or not of one dimension.
        """
        columns = {name: plain(self.column(name), f"{self.field}: column '{name}'") for name in self.names}
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise SchemaError(f"{self.field}: columns have different lengths: {lengths}. Give one value a row in each.")
        try:
            return pd.DataFrame(columns)
        except (ValueError, TypeError) as error:
            raise SchemaError(f"{self.field}: this is not a table: {error}.") from None


def table_of(rows: Any, field: str, alone: str | None = None) -> Table:
    """What was handed in, as a table.

    Args:
        rows: a table of any kind; where ``alone`` is given, also the values of that one column.
        field: of the call, for errors.
        alone: the name of a column that may come without a table.

    Raises:
        SchemaError: it is no such thing.

    Examples:
        >>> table = table_of(np.array([7, 9]), "users", alone="user_id")
        >>> table.build({"user_id": np.array([7]), "rank": np.array([1])}, None)["rank"].tolist()
        [1]
        >>> table_of({"user_id": [7]}, "users").build({"rank": np.array([1])}, None)
        {'rank': array([1])}
    """
    if isinstance(rows, pd.DataFrame):
        return Table(field, tuple(rows.columns), rows.__getitem__, lambda found, at: _frame(found, at, rows.index))
    if isinstance(rows, Mapping):
        return Table(field, tuple(rows), rows.__getitem__, lambda found, _: found)
    if isinstance(rows, np.ndarray) and rows.dtype.names:
        return Table(field, rows.dtype.names, rows.__getitem__, lambda found, _: _records(found))
    if _is_arrow(rows) and hasattr(rows, "column_names"):
        return Table(field, tuple(rows.column_names), rows.column, lambda found, _: _arrow(found))
    if alone is None or isinstance(rows, str | bytes) or not isinstance(rows, Sized):
        wanted = "a frame, an Arrow table or a dict of columns" + (
            f", or the values of '{alone}' in a list" * bool(alone)
        )
        raise SchemaError(f"{field}: got {rows!r:.60} of type {type(rows).__name__}; give {wanted}.")
    build: Callable[[Columns, IntArray | None], Any] = lambda found, _: pd.DataFrame(found)  # noqa: E731
    if isinstance(rows, np.ndarray):
        build = lambda found, _: _records(found)  # noqa: E731
    elif _is_arrow(rows):
        build = lambda found, _: _arrow(found)  # noqa: E731
    return Table(field, (alone,), lambda _: rows, build)


def plain(values: Any, field: str) -> Any:
    """A column as pandas and NumPy take it; Arrow's become a series.

    Raises:
        SchemaError: it is a single value.
    """
    if _is_arrow(values):
        return values.to_pandas()
    if isinstance(values, str | bytes) or not isinstance(values, Sized):
        raise SchemaError(f"{field}: this is the single value {values!r:.60}; give a list.")
    return values


def _is_arrow(rows: Any) -> bool:
    return type(rows).__module__.partition(".")[0] == "pyarrow"


def _frame(found: Columns, at: IntArray | None, index: pd.Index) -> pd.DataFrame:
    return pd.DataFrame(found, index=None if at is None else index[at])


def _records(found: Columns) -> npt.NDArray[Any]:
    kinds = [(name, values.dtype) for name, values in found.items()]
    records = np.empty(len(next(iter(found.values()))), dtype=kinds)
    for name, values in found.items():
        records[name] = values
    return records


def _arrow(found: Columns) -> Any:
    import pyarrow as pa

    columns = {name: pa.array(values) for name, values in found.items()}
    nothing = {name: column.cast(pa.string()) for name, column in columns.items() if column.type == pa.null()}
    return pa.table(columns | nothing)  # objects, of which there are none here, are texts
