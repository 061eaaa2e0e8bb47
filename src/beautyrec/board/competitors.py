"""What competitors ask for the same products, and how those rank there: a third party's table beside the shop's own."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from beautyrec.data.external import ExternalSource
from beautyrec.data.schema import AVAILABLE_AT, ITEM_ID
from beautyrec.errors import SchemaError

COMPETITORS: Final = "competitors"
"""An optional table of the log's folder: one row a product and moment from which we know a competitor's ``price`` or ``rank``."""

HOLDS_DAYS: Final = 30
"""A row counts for so many days; an older one is not taken in the place of none."""

COLUMNS: Final = ("price", "rank")
"""What the table may tell; at least one of them."""

NONE: Final = pa.table(
    {
        ITEM_ID: pa.nulls(0, pa.string()),
        AVAILABLE_AT: pa.nulls(0, pa.timestamp("us", tz="UTC")),
        **{name: pa.nulls(0, pa.float64()) for name in COLUMNS},
    }
)
"""The table of a log without one."""


def checked(rows: pa.Table) -> pa.Table:
    """The rows as an :class:`~beautyrec.data.external.ExternalSource`: ids as text, moments in UTC, a gap for what is not told.

    Several competitors are one row: of the cheapest, say.

    Args:
        rows: ``item_id``, ``available_at`` (when we could know it) and ``price`` (in the log's currency), ``rank`` (1 is best
            sold) or both.

    Raises:
        SchemaError: neither is told, a column is missing or of a wrong type, a key or time has gaps, a price or rank is below
            0, or two rows say different things of one product at one moment.

    Examples:
        >>> import pandas as pd
        >>> told = {"item_id": [7], "available_at": [pd.Timestamp("2026-05-01", tz="UTC")], "price": [9.9]}
        >>> checked(pa.table(told)).to_pylist()[0]["rank"] is None
        True
    """
    told = tuple(name for name in COLUMNS if name in rows.column_names)
    if not told:
        raise SchemaError(
            f"table {COMPETITORS}: it has {rows.column_names}; give a column price or rank of the competitor, or both."
        )
    table = ExternalSource(COMPETITORS, ITEM_ID, AVAILABLE_AT, f"{HOLDS_DAYS}D", told).read(rows).table
    frame = table.to_pandas()
    wrong = {name: int((frame[name] < 0).sum()) for name in told}
    if any(wrong.values()):
        raise SchemaError(f"table {COMPETITORS}: values below 0: {wrong}. Correct or leave out those rows.")
    gaps = pa.nulls(len(frame), pa.float64())
    columns = {name: table.column(name) if name in table.column_names else gaps for name in (AVAILABLE_AT, *COLUMNS)}
    return pa.table({ITEM_ID: pa.array(frame[ITEM_ID].astype(str), pa.string()), **columns}).cast(NONE.schema)
