"""REES46 shops: what visitors viewed, put into the cart, took out of it and bought, one CSV file a month.

Published by M. Kechinov, REES46 Marketing Platform (2019 to 2023): *eCommerce events history in cosmetics shop* and *eCommerce
behavior data from multi category store*. Header ``event_time,event_type,product_id,category_id,category_code,brand,price,user_id,
user_session``; in some releases ``category_id``, ``category_code`` and ``brand`` stand in a catalogue of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from beautyrec.data.schema import BRAND, CATEGORY, CATEGORY_PATH, EVENT, ITEM_ID, ORDER, PRICE, TS, USER_ID
from beautyrec.data.sources.delimited import Delimited, header_of
from beautyrec.data.sources.frames import SourceFrames, all_rejected, by_time, first_each, one_each, renamed
from beautyrec.data.sources.kinds import NUMBER, TEXT, TIME, WHOLE, one_of
from beautyrec.errors import SourceError

CSV_PATTERNS: Final = ("*.csv", "*.csv.gz")
NAMES: Final[Mapping[str, str]] = {"view": "view", "cart": "cart", "purchase": ORDER}
REMOVED: Final = "remove_from_cart"
CATEGORY_CODE: Final = "category_code"
COLUMNS: Final[Mapping[str, str]] = {
    "event_time": TS,
    "event_type": EVENT,
    "product_id": ITEM_ID,
    "price": PRICE,
    "user_id": USER_ID,
    "category_id": CATEGORY,
    CATEGORY_CODE: CATEGORY_PATH,
    "brand": BRAND,
}
"""The publisher's columns to those of the schema; ``user_session`` is not taken."""

_ABOUT: Final = {"category_id": TEXT, CATEGORY_CODE: TEXT, "brand": TEXT}
_EVENTS: Final = Delimited(
    {"event_time": TIME, "event_type": one_of(*NAMES, REMOVED), "product_id": WHOLE, "price": NUMBER, "user_id": WHOLE},
    optional=_ABOUT,
    gaps=("price",),
    rules={"price below 0": "price >= 0"},
)
_CATALOGUE: Final = Delimited({"product_id": WHOLE, **_ABOUT}, gaps=tuple(_ABOUT))


def read_rees46(folder: str | Path, max_rejected: float = 0.01) -> SourceFrames:
    """The events of all months and the catalogue.

    Times are in UTC. An order is one piece at the price of its row. Rows that take a product out of the cart are no event of the
    schema: they come in ``beside["remove_from_cart"]``. Nothing says what was shown. What a product's rows do not agree on
    (category, brand) is what the first of them says that says anything; the files are read in order of their names.

    Args:
        folder: holds the publisher's CSV files, plain or gz: those with ``event_type`` are events, others the catalogue.
        max_rejected: the largest share of a file's rows that may be rejected: damaged, or with a price below 0.

    Raises:
        SourceError: the folder has no such files, or one cannot be read.
        SchemaError: a column is missing, or too many rows are damaged.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> month = ["event_time,event_type,product_id,price,user_id", "2022-12-01 00:00:00 UTC,purchase,7,6.27,5", "cut"]
        >>> with TemporaryDirectory() as folder:
        ...     written = Path(folder, "2022-Dec.csv").write_text(chr(10).join(month))
        ...     source = read_rees46(folder, max_rejected=0.5)
        >>> source.events.select(["event", "user_id", "item_id", "price"]).to_pylist()
        [{'event': 'order', 'user_id': 5, 'item_id': 7, 'price': 6.27}]
        >>> source.rejected.select(["line", "reason", "text"]).to_pylist()
        [{'line': 3, 'reason': 'too few values', 'text': 'cut'}]
    """
    folder = Path(folder)
    paths = sorted(path for pattern in CSV_PATTERNS for path in folder.glob(pattern))
    months = [path for path in paths if "event_type" in header_of(path)]
    if not months:
        raise SourceError(
            f"'{folder}' holds no CSV file with the column 'event_type'. Put the publisher's files there."
        )
    taken = [_EVENTS.read(path, max_rejected) for path in months]
    lists = [_CATALOGUE.read(path, max_rejected) for path in paths if path not in months]
    rows = pa.concat_tables([month.table for month in taken], promote_options="default")
    events, removed = _events(rows)
    known = [name for name in ("product_id", *_ABOUT) if name in rows.column_names]
    items = _items(pa.concat_tables([*(rows_.table for rows_ in lists), rows.select(known)], promote_options="default"))
    rejected = all_rejected(rows_.rejected for rows_ in (*taken, *lists))
    return SourceFrames(events, items, rejected, beside={REMOVED: removed})


def _events(rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The events of the schema, and what was taken out of carts."""
    table = pa.table(
        {
            EVENT: renamed(rows.column("event_type"), NAMES),
            TS: pc.assume_timezone(rows.column("event_time"), "UTC"),
            USER_ID: rows.column("user_id"),
            ITEM_ID: rows.column("product_id"),
            PRICE: rows.column("price"),
        }
    )
    removed = pc.is_null(table.column(EVENT))
    return by_time(one_each(table.filter(pc.invert(removed)), ORDER)), table.filter(removed).drop_columns([EVENT])


def _items(rows: pa.Table) -> pa.Table:
    """One row a product: of each column the first value there is."""
    items = first_each(rows, "product_id").rename_columns({"product_id": ITEM_ID})
    if CATEGORY_CODE not in items.column_names:
        return items
    path = pc.replace_substring(items.column(CATEGORY_CODE), ".", "|")
    return (
        items.drop_columns([CATEGORY_CODE]).rename_columns({"category_id": CATEGORY}).append_column(CATEGORY_PATH, path)
    )
