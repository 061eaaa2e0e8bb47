"""Taobao user behaviour (2017): what a million shoppers viewed, put in the cart, marked as favourite and bought in nine days.

From Alibaba, User Behavior Data from Taobao for Recommendation; first used in H. Zhu et al.: Learning tree-based deep model
for recommender systems, KDD 2018. One CSV file without a header: user, item, category, behaviour, seconds since 1970 (UTC).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from beautyrec.data.parquet import read_parquet
from beautyrec.data.schema import CATEGORY, EVENT, ITEM_ID, ORDER, TS, USER_ID
from beautyrec.data.sources.delimited import Delimited, Rows
from beautyrec.data.sources.frames import (
    REJECTED,
    UTC,
    SourceFrames,
    by_time,
    first_each,
    from_epoch,
    one_each,
    renamed,
)
from beautyrec.data.sources.kinds import TEXT, WHOLE, one_of
from beautyrec.data.sources.rules import refuse_rows
from beautyrec.errors import SchemaError, SourceError

PARQUET: Final = "events.parquet"
CSV_PATTERN: Final = "*UserBehavior*.csv*"
CATEGORY_ID: Final = "category_id"
NAMES: Final[Mapping[str, str]] = {"pv": "view", "cart": "cart", "fav": "favourite", "buy": ORDER}
COLUMNS: Final[Mapping[str, str]] = {
    "first value": USER_ID,
    "second": ITEM_ID,
    "third": CATEGORY,
    "fourth": EVENT,
    "fifth": TS,
}
"""The publisher's columns, which have no names, to those of the schema."""

_LINES: Final = Delimited(
    {USER_ID: WHOLE, ITEM_ID: WHOLE, CATEGORY_ID: TEXT, EVENT: one_of(*NAMES), TS: WHOLE},
    rules={"the time is not seconds of 1970 to 2100": f"{TS} between 0 and 4102444800"},
    header=False,
)


def read_taobao(folder: str | Path, max_rejected: float = 0.01) -> SourceFrames:
    """The behaviour as views, carts, favourites and orders; nothing says what was shown.

    Times are in UTC; the shop's clock is eight hours ahead. The category of an item is the first it is seen with. A last line
    that is cut, as where the publisher's file was downloaded in part, is a rejected row like any other that is damaged.

    Args:
        folder: holds the publisher's CSV file, plain or gz, with *UserBehavior* in its name; or, where there is none,
            ``events.parquet`` with ``user_id, item_id, category_id, event, ts``.
        max_rejected: the largest share of the rows that may be rejected.

    Raises:
        SourceError: neither is there, there are several CSV files, or one cannot be read.
        SchemaError: too many rows are damaged, or the Parquet file lacks a column or has values it must not have.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     written = Path(folder, "UserBehavior.csv").write_text(chr(10).join(["1,10,7,buy,1511544070", "3,12,9,p"]))
        ...     source = read_taobao(folder, max_rejected=0.5)
        >>> source.events.select(["event", "user_id", "item_id"]).to_pylist()
        [{'event': 'order', 'user_id': 1, 'item_id': 10}]
        >>> source.rejected.select(["line", "reason", "text"]).to_pylist()
        [{'line': 2, 'reason': 'too few values', 'text': '3,12,9,p'}]
    """
    folder = Path(folder)
    published = sorted(folder.glob(CSV_PATTERN))
    if len(published) > 1:
        names = [path.name for path in published]
        raise SourceError(f"'{folder}' holds {len(names)} files '{CSV_PATTERN}': {names}. Keep one.")
    if published:
        rows = _LINES.read(published[0], max_rejected)
    elif (folder / PARQUET).exists():
        rows = Rows(_parquet(folder / PARQUET), REJECTED.empty_table())
    else:
        raise SourceError(
            f"'{folder}' holds neither a file '{CSV_PATTERN}' nor '{PARQUET}'. Put the publisher's file there."
        )
    return SourceFrames(_events(rows.table), _items(rows.table), rows.rejected)


def _events(rows: pa.Table) -> pa.Table:
    """The events of the schema, in order of time."""
    ts = rows.column(TS)
    table = pa.table(
        {
            EVENT: renamed(rows.column(EVENT), NAMES),
            TS: from_epoch(ts, "s") if pa.types.is_integer(ts.type) else ts.cast(UTC),
            USER_ID: rows.column(USER_ID),
            ITEM_ID: rows.column(ITEM_ID),
        }
    )
    return by_time(one_each(table, ORDER))


def _items(rows: pa.Table) -> pa.Table:
    """One row a product, with its first category."""
    items = first_each(rows.select([ITEM_ID, CATEGORY_ID]), ITEM_ID)
    return items.rename_columns([ITEM_ID, CATEGORY])


def _parquet(path: Path) -> pa.Table:
    """The publisher's columns from a Parquet file."""
    table = read_parquet(path)
    columns = list(_LINES.columns)
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise SchemaError(f"{path}: columns {missing} are missing; it has {table.column_names}. Rename or add them.")
    frame = table.select([EVENT]).to_pandas()
    refuse_rows(frame, {EVENT: (frame[EVENT].isin(list(NAMES)), f"one of {list(NAMES)}")}, str(path))
    category = pc.cast(table.column(CATEGORY_ID), pa.string())
    return table.select(columns).set_column(columns.index(CATEGORY_ID), CATEGORY_ID, category)
