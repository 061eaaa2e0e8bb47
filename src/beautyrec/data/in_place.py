"""Events that are read where they lie: Parquet that is as the schema has it needs no copy in memory.

One query checks all values, and the ids go by once; what is found is only whether anything is to be changed or refused.
Where it is, :func:`beautyrec.data.schema.validate` does so, in memory, and says what and where.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pds
import pyarrow.types as pt

from beautyrec.data import schema
from beautyrec.data.schema import AVAILABLE_AT, EVENT_ID, TS, Column
from beautyrec.engine import DuckDBEngine, Engine


def events_in_place(engine: Engine, path: Path) -> tuple[Any, pa.Table] | None:
    """The events in a Parquet file, or a folder of them, as an Ibis table that reads them whenever it is asked.

    Returns:
        The table, with all columns of the schema; and one row of ids, such as there are, for
        :func:`beautyrec.data.schema.agree_on_ids`. None where a column has to be cast, a value is not as it must be, ids do
        not rise, there are no events, it is not Parquet, or the engine is not DuckDB.
    """
    if not isinstance(engine, DuckDBEngine):
        return None
    try:
        files = pds.dataset(path, format="parquet", partitioning=None)
        found = {field.name: field.type for field in files.schema}
        if not _as_they_must_be(found) or not _rising(files):
            return None
    except (OSError, pa.ArrowException):
        return None
    given = engine.connection.read_parquet(sorted(files.files), hive_partitioning=False, union_by_name=True)
    given = given.select(*found)
    table = given.select(**{column.name: _column(column, given) for column in schema.EVENTS.columns})
    if any(table[name].type().to_pyarrow() != _plain(found[name]) for name in found):
        return None
    ids = (schema.USER_ID, schema.ITEM_ID, schema.ROOM_ID)
    row = engine.connection.to_pyarrow(
        given.aggregate(bad=_bad(given), **{name: given[name].min() for name in ids if name in found})
    )
    if row.column("bad")[0].as_py() is not False:  # not known of a log without events
        return None
    return table, row.drop_columns("bad")


def _plain(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pt.is_large_string(kind) or pt.is_string_view(kind) else kind


def _as_they_must_be(found: dict[str, pa.DataType]) -> bool:
    """Whether columns are known, all that are required are there, and none is to be cast."""
    known = {column.name: column for column in schema.EVENTS.columns}
    required = {column.name for column in known.values() if column.required}
    return (required <= found.keys() <= known.keys()) and all(
        known[name].kind.target(kind) == _plain(kind) for name, kind in found.items()
    )


def _rising(files: Any) -> bool:
    """Whether each ``event_id`` is greater than the one before it; so none is there twice."""
    last = np.iinfo(np.int64).min
    for batch in files.to_batches(columns=[EVENT_ID]):
        ids = batch.column(0)
        if ids.null_count:
            return False
        values = ids.to_numpy()
        if len(values) and not (values[0] > last and bool((values[1:] > values[:-1]).all())):
            return False
        last = values[-1] if len(values) else last
    return True


def _column(column: Column, given: Any) -> Any:
    """One column of the events; nothing where it is absent."""
    import ibis

    there = column.name in given.columns
    value = given[column.name] if there else ibis.null(ibis.dtype(column.kind.empty))
    if column.name != AVAILABLE_AT:
        return value
    return value.coalesce(given[TS]) if there else given[TS]


def _bad(given: Any) -> Any:
    """Whether any row has a value that it must not have."""
    import ibis

    bad = ibis.literal(False)
    for column in schema.EVENTS.columns:
        if column.name not in given.columns:
            continue
        value = given[column.name]
        if column.required:
            bad = bad | value.isnull()
        if column.allowed:
            bad = bad | value.notin(column.allowed)
        if column.low is not None:
            bad = bad | (value < column.low)
        if column.above is not None:
            bad = bad | (value <= column.above)
        if column.high is not None:
            bad = bad | (value > column.high)
        if value.type().is_floating():
            bad = bad | value.isnan() | value.isinf()
    if AVAILABLE_AT in given.columns:
        bad = bad | (given[AVAILABLE_AT] < given[TS])
    return bad.fill_null(False).any()  # null without rows
