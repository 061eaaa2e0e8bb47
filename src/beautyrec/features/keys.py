"""The keys of a feature table, each column as its distinct values and, for each row, which of them it has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from beautyrec.data.log import EventLog
from beautyrec.data.schema import BRAND, CATEGORY, ITEM_ID, POSITION, ROOM_ID, USER_ID
from beautyrec.errors import SchemaError
from beautyrec.features.builder import AS_OF
from beautyrec.types import IntArray

_OF_THE_ITEM = (CATEGORY, BRAND)
_CODES = 2**62


def key_columns(entities: Iterable[str]) -> tuple[str, ...]:
    """The columns that keys must have for these entity columns: ids as they are, ``item_id`` for what describes it."""
    needed = [ITEM_ID if name in _OF_THE_ITEM else name for name in entities]
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

    def described(self, attribute: str, log: EventLog) -> KeyColumn:
        """``attribute`` of the product in each key: nothing where the catalogue does not have it."""
        items = log.engine.frame(log.items.select(ITEM_ID, attribute)).set_index(ITEM_ID)[attribute]
        codes, values = pd.factorize(items.reindex(self.values.to_pandas()))
        of_value = np.append(codes, -1)
        return KeyColumn(of_value[self.codes].astype(np.int64), pa.array(values, pa.string(), from_pandas=True))

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
