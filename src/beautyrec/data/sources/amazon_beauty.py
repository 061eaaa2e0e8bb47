"""Amazon Beauty 5-core (2014): reviews of beauty products, which stand for purchases.

From J. McAuley, C. Targett, Q. Shi, A. van den Hengel: Image-based recommendations on styles and substitutes, SIGIR
2015.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pyarrow as pa

from beautyrec.data.log import EventLog
from beautyrec.data.parquet import read_parquet
from beautyrec.data.schema import (
    BRAND,
    CATEGORY,
    CATEGORY_PATH,
    EVENT,
    EVENT_ID,
    ITEM_ID,
    ORDER,
    PRICE,
    QUANTITY,
    TITLE,
    TS,
    USER_ID,
    validate,
)
from beautyrec.engine import Engine
from beautyrec.errors import SchemaError

PLACE: Final = "pos"
_EVENTS: Final = (USER_ID, ITEM_ID, PLACE, TS)
_ITEMS: Final = (ITEM_ID, TITLE, BRAND, CATEGORY_PATH, PRICE)


def read_amazon_beauty(folder: str | Path, engine: Engine | None = None) -> EventLog:
    """The purchases and the catalogue as a log: one ``order`` a review, and nothing that was shown.

    ``event_id`` goes by user and, within a user, by ``pos``: the days of the reviews have ties, that order has none.
    The publisher's days carry no zone and are taken as UTC. An order pays the item's price of the catalogue, which is
    one value for all of the time; it has a gap where the catalogue has one. The category is the last name of
    ``category_path``.

    Args:
        folder: holds ``interactions.parquet`` (``user_id, item_id, pos, ts``) and ``items.parquet`` (``item_id, title,
            brand, category_path, price``).
        engine: where to put it; a new one where it is None.

    Raises:
        SourceError: a file is absent or not Parquet.
        SchemaError: a column is missing or has rows that it must not have.
    """
    folder = Path(folder)
    taken = _columns(folder / "interactions.parquet", _EVENTS)
    items = _columns(folder / "items.parquet", _ITEMS).to_pandas()
    if not pa.types.is_timestamp(taken.schema.field(TS).type):
        raise SchemaError(
            f"{folder / 'interactions.parquet'}: column '{TS}' holds {taken.schema.field(TS).type} in its {taken.num_rows} "
            f"rows, not times. Cast it to timestamps."
        )
    events = taken.to_pandas().sort_values([USER_ID, PLACE], kind="stable", ignore_index=True)
    repeated = events.duplicated([USER_ID, PLACE])
    if repeated.any():
        raise SchemaError(
            f"{folder / 'interactions.parquet'}: {int(repeated.sum())} of {len(events)} rows repeat a '{PLACE}' of "
            f"their user (first: {events.loc[repeated.idxmax(), [USER_ID, PLACE]].to_dict()}). Keep one row for each."
        )
    validate("items", items, str(folder / "items.parquet"))
    price = events[[ITEM_ID]].merge(items[[ITEM_ID, PRICE]].drop_duplicates(ITEM_ID), on=ITEM_ID, how="left")[PRICE]
    ts = events[TS] if events[TS].dt.tz is not None else events[TS].dt.tz_localize("UTC")
    events = events.drop(columns=PLACE).assign(
        **{EVENT_ID: events.index, EVENT: ORDER, TS: ts, PRICE: price, QUANTITY: 1}
    )
    validate("events", events, str(folder / "interactions.parquet"))
    items = items.assign(**{CATEGORY: items[CATEGORY_PATH].str.rsplit("|", n=1).str[-1]})
    return EventLog.from_frames(events, items, engine=engine)


def _columns(path: Path, names: tuple[str, ...]) -> pa.Table:
    """The columns that are used of a file.

    Raises:
        SchemaError: one of them is missing.
    """
    table = read_parquet(path)
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise SchemaError(f"{path}: columns {missing} are missing; it has {table.column_names}. Rename or add them.")
    return table.select(list(names))
