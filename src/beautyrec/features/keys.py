"""The keys of a feature table, each column as its distinct values and, for each row, which of them it has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from beautyrec.data.log import EventLog
from beautyrec.data.schema import ITEM_ID, POSITION, ROOM_ID, USER_ID
from beautyrec.errors import SchemaError
from beautyrec.features.builder import AS_OF, ROW
from beautyrec.features.traits import OF_THE_ITEM
from beautyrec.types import IntArray

_CODES = 2**62


def key_columns(entities: Iterable[str]) -> tuple[str, ...]:
    """The columns that keys must have for these entity columns: ids as they are, ``item_id`` for what describes it."""
    needed = [ITEM_ID if name in OF_THE_ITEM else name for name in entities]
    return (*dict.fromkeys(needed), AS_OF)


@dataclass(frozen=True, eq=False)
class KeyColumn:
    """One column of n keys with v distinct values.

    Args:
        codes: [n] which value each key has, -1 for none.
        values: [v] the values, as Arrow.
    """

    codes: IntArray
    values: pa.Array

    @classmethod
    def of(cls, name: str, column: pd.Series, log: EventLog) -> KeyColumn:
        """A column of a frame of keys.

        Raises:
            SchemaError: ids are not of the log's kind, or ``as_of`` has gaps or is not a time with a zone.
        """
        zoned = isinstance(column.dtype, pd.DatetimeTZDtype)
        if name == AS_OF and (not zoned or column.isna().any()):
            raise SchemaError(
                f"feature keys: 'as_of' is {column.dtype} with {int(column.isna().sum())} gaps in {len(column)} rows; "
                "give every row a time with a zone, such as pd.to_datetime(..., utc=True)."
            )
        codes, values = pd.factorize(column.dt.tz_convert(None) if zoned else column)
        kind = kind_of(name, log)
        try:
            return cls(codes.astype(np.int64), pa.array(values, from_pandas=True).cast(kind))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            reason = str(error).splitlines()[0]
            raise SchemaError(f"feature keys: '{name}' is {column.dtype}, the log has {kind}: {reason}.") from None

    def at(self, rows: IntArray) -> pa.Array:
        """[rows] the values at some keys, null where there is none."""
        codes = self.codes[rows]
        return self.values.take(pa.array(codes, mask=codes < 0))


def distinct(columns: Sequence[KeyColumn]) -> tuple[IntArray, IntArray]:
    """The distinct combinations of some columns.

    Returns:
        rows [d]: the first key of each combination; place [n]: which combination each key has.

    Examples:
        >>> two = KeyColumn(np.array([0, 1, 0]), pa.array(["a", "b"]))
        >>> [part.tolist() for part in distinct([two])]
        [[0, 1], [0, 1, 0]]
    """
    combined, size = np.zeros(len(columns[0].codes), dtype=np.int64), 1
    for column in columns:
        width = len(column.values) + 1
        if size > _CODES // width:
            combined, found = pd.factorize(combined)
            combined, size = combined.astype(np.int64), len(found)
        combined, size = combined * width + column.codes + 1, size * width
    place, found = pd.factorize(combined)
    rows = np.empty(len(found), dtype=np.int64)
    rows[place[::-1]] = np.arange(len(combined))[::-1]
    return rows, place.astype(np.int64)


def key_table(keys: pd.DataFrame, names: Sequence[str], log: EventLog) -> pa.Table:
    """Some columns of a frame of keys in the log's types, and ``row``, which numbers them.

    Raises:
        SchemaError: a column is missing, ids are not of the log's kind, or ``as_of`` has gaps or no zone.
    """
    absent = [name for name in names if name not in keys]
    if absent:
        raise SchemaError(f"feature keys: columns {absent} are missing; the frame has {list(keys)}. Add them.")
    every = np.arange(len(keys), dtype=np.int64)
    return pa.table({ROW: every, **{name: KeyColumn.of(name, keys[name], log).at(every) for name in names}})


def check_table(keys: Any, names: Sequence[str], log: EventLog) -> None:
    """Whether an Ibis table has the keys of some builders, and in the log's types.

    Raises:
        SchemaError: a column is missing or of another type.
    """
    for name in names:
        if name not in keys.columns:
            raise SchemaError(f"feature keys: column '{name}' is missing; the table has {list(keys.columns)}. Add it.")
        found, wanted = keys[name].type().to_pyarrow(), kind_of(name, log)
        if found != wanted:
            raise SchemaError(f"feature keys: '{name}' is {found}, the log has {wanted}: cast it.")


def kind_of(name: str, log: EventLog) -> Any:
    """The Arrow type of a key column.

    Raises:
        SchemaError: there is no such key column.
    """
    if name == AS_OF:
        return pa.timestamp("us", tz="UTC")
    if name == POSITION:
        return pa.int64()
    tables = {USER_ID: log.users, ITEM_ID: log.items, ROOM_ID: log.rooms}
    if name not in tables:
        raise SchemaError(f"feature keys: '{name}' is not a key column; keys have {[*tables, POSITION, AS_OF]}.")
    return tables[name][name].type().to_pyarrow()
