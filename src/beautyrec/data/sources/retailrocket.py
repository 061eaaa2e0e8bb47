"""Retailrocket (2015): what visitors of a shop viewed, put into the cart and bought in four and a half months.

Published by Retail Rocket, *Retailrocket recommender system dataset* (2016). Three kinds of files: ``events.csv``
(``timestamp,visitorid,event,itemid,transactionid``), ``item_properties_part1.csv`` and ``_part2.csv``
(``timestamp,itemid,property,value``: what changed, week by week; all but ``categoryid`` and ``available`` are hashed), and
``category_tree.csv`` (``categoryid,parentid``). Times are milliseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from beautyrec.data.schema import AVAILABLE_AT, CATEGORY, CATEGORY_PATH, EVENT, ITEM_ID, ORDER, TS, USER_ID
from beautyrec.data.sources.delimited import EPOCH_MS, Delimited, Rows
from beautyrec.data.sources.frames import SourceFrames, all_rejected, by_time, first_each, from_epoch, one_each, renamed
from beautyrec.data.sources.kinds import TEXT, WHOLE, one_of
from beautyrec.errors import SchemaError, SourceError

NAMES: Final[Mapping[str, str]] = {"view": "view", "addtocart": "cart", "transaction": ORDER}
COLUMNS: Final[Mapping[str, str]] = {
    "timestamp": TS,
    "visitorid": USER_ID,
    "event": EVENT,
    "itemid": ITEM_ID,
    "categoryid": CATEGORY,
    "parentid": CATEGORY_PATH,
}
"""The publisher's columns to those of the schema; ``transactionid`` is not taken."""
PROPERTIES: Final = "properties"
DEEPEST: Final = 64
"""More levels than this has no tree: its parents go in a circle."""

_TIME_RULE: Final = {"timestamp is not milliseconds of 1990 to 2100": EPOCH_MS.format("timestamp")}
_EVENTS: Final = Delimited(
    {"timestamp": WHOLE, "visitorid": WHOLE, "event": one_of(*NAMES), "itemid": WHOLE}, rules=_TIME_RULE
)
_PROPERTIES: Final = Delimited(
    {"timestamp": WHOLE, "itemid": WHOLE, "property": TEXT, "value": TEXT},
    rules=_TIME_RULE,
    keep="property in ('categoryid', 'available')",
)
_TREE: Final = Delimited({"categoryid": WHOLE, "parentid": WHOLE}, gaps=("parentid",))


def read_retailrocket(folder: str | Path, max_rejected: float = 0.01) -> SourceFrames:
    """The events, and the items that have a category.

    Properties change in time. ``beside["properties"]`` has each value of ``categoryid`` and ``available`` with the time from
    which it was known (``item_id, available_at, property, value``); the category in ``items`` is the first that is known of an
    item, so that no later change speaks in it, and ``category_path`` leads to it from the root of the tree. An order is one
    piece; prices are hashed by the publisher.

    Args:
        folder: holds ``events.csv``, ``item_properties*.csv`` and ``category_tree.csv``, each plain or gz. Without properties
            the items are those of the events, without a category.
        max_rejected: the largest share of a file's rows that may be rejected.

    Raises:
        SourceError: there are no events, or a file cannot be read.
        SchemaError: a column is missing, too many rows are damaged, or the tree is none.
    """
    folder = Path(folder)
    events = [_EVENTS.read(path, max_rejected) for path in _files(folder, "events")]
    if not events:
        raise SourceError(f"'{folder}' holds no 'events.csv'. Put the publisher's files there.")
    properties = [_PROPERTIES.read(path, max_rejected) for path in _files(folder, "item_properties*")]
    trees = [_TREE.read(path, max_rejected) for path in _files(folder, "category_tree")]
    taken = pa.concat_tables(rows.table for rows in events)
    changes = _changes(properties)
    return SourceFrames(
        _events(taken),
        _items(taken, changes, [rows.table for rows in trees], folder),
        all_rejected(rows.rejected for rows in (*events, *properties, *trees)),
        beside={PROPERTIES: changes},
    )


def _files(folder: Path, name: str) -> list[Path]:
    return sorted([*folder.glob(f"{name}.csv"), *folder.glob(f"{name}.csv.gz")])


def _events(rows: pa.Table) -> pa.Table:
    table = pa.table(
        {
            EVENT: renamed(rows.column("event"), NAMES),
            TS: from_epoch(rows.column("timestamp"), "ms"),
            USER_ID: rows.column("visitorid"),
            ITEM_ID: rows.column("itemid"),
        }
    )
    return by_time(one_each(table, ORDER))


def _changes(properties: list[Rows]) -> pa.Table:
    """What changed when, by item and time."""
    tables = [
        pa.table(
            {
                ITEM_ID: rows.table.column("itemid"),
                AVAILABLE_AT: from_epoch(rows.table.column("timestamp"), "ms"),
                "property": rows.table.column("property"),
                "value": rows.table.column("value"),
            }
        )
        for rows in properties
    ]
    nothing = _CHANGES.empty_table()
    return pa.concat_tables([nothing, *tables]).sort_by([(ITEM_ID, "ascending"), (AVAILABLE_AT, "ascending")])


_CHANGES: Final = pa.schema(
    [
        (ITEM_ID, pa.int64()),
        (AVAILABLE_AT, pa.timestamp("us", "UTC")),
        ("property", pa.string()),
        ("value", pa.string()),
    ]
)


def _items(events: pa.Table, changes: pa.Table, trees: list[pa.Table], folder: Path) -> pa.Table:
    """The items of the events and of the properties, with the first category that is known of each."""
    found = changes.filter(pc.equal(changes.column("property"), "categoryid"))
    first = first_each(pa.table({ITEM_ID: found.column(ITEM_ID), CATEGORY: found.column("value")}), ITEM_ID)
    both = pa.chunked_array([*events.column("itemid").chunks, *changes.column(ITEM_ID).chunks], pa.int64())
    items = pa.table({ITEM_ID: pc.unique(both)}).join(first, ITEM_ID).sort_by(ITEM_ID)
    if not trees:
        return items
    paths = _paths(pa.concat_tables(trees), folder)
    return items.join(paths, CATEGORY).sort_by(ITEM_ID)


def _paths(tree: pa.Table, folder: Path) -> pa.Table:
    """``category, category_path`` of every category: the names from the root to it, with ``|`` between, level by level."""
    links = tree.to_pandas(integer_object_nulls=True).drop_duplicates("categoryid")
    parent = links.set_index("categoryid")["parentid"].astype("Int64")
    path, above = links["categoryid"].astype(str), links["parentid"].astype("Int64")
    for _ in range(DEEPEST):
        if above.isna().all():
            return pa.table({CATEGORY: links["categoryid"].astype(str).to_list(), CATEGORY_PATH: path.to_list()})
        path = path.where(above.isna(), above.astype(str) + "|" + path)
        above = above.map(parent).astype("Int64")
    raise SchemaError(
        f"{folder}, category_tree: {int(above.notna().sum())} of {len(links)} categories have no root, their parents go in a "
        f"circle (first: {links['categoryid'][above.notna()].iloc[0]}). Take the publisher's original."
    )
