"""The page of the schema, written from the schema: ``python -m beautyrec.data.schema_page > docs/schema.md``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Final

from beautyrec.data import schema
from beautyrec.data.schema import Column, TableSchema

_HEAD: Final = """\
# The tables of a log

A log is a folder of Parquet files: `events.parquet` and `items.parquet`, and if you have them `users.parquet`, `rooms.parquet`
and `shelves.parquet`. Each may be a file or a folder of files. [Bring your own log](bring-your-own-log.md) makes them of a
shop's own files.

```python
import beautyrec as br

log = br.EventLog.read("my-log")
log.describe()  # counts, range of time, CTR, room conversion
log.impressions()  # one row an impression, with what came of it
```

Times carry a zone. Ids are integers or strings, the same in all tables. For lift, an impression needs its `request_id`,
`room_id`, `position`, and the room needs its shelf: every product that could have been shown, with the chance that the logging
policy draws it first (`draw_probability`). That is all a slate drawn without replacement from a softmax needs to be valued under
another policy.

Frames do as well: `br.EventLog.from_frames(events, items, rooms=..., shelves=...)`. A table that does not fit raises a
`SchemaError` that names file, column, the number of rows and what to do.

This page is written from the code: `python -m beautyrec.data.schema_page > docs/schema.md`.
"""
_TAIL: Final = """\
## In Python

::: beautyrec.data.schema
    options:
      heading_level: 3
"""
MEANINGS: Final[Mapping[str, str]] = {
    schema.EVENT_ID: "number of the event",
    schema.EVENT: "what happened",
    schema.TS: "when it happened",
    schema.AVAILABLE_AT: "when it could be known; `ts` where it is not given",
    schema.USER_ID: "the viewer",
    schema.ITEM_ID: "the product",
    schema.REQUEST_ID: "the ranking occasion; of a click or an order: the one that showed the product",
    schema.ROOM_ID: "the live session",
    schema.POSITION: "place in the request, from 1",
    schema.PROPENSITY: "the logging policy's chance of this product at this place, given the places above",
    schema.SLATE_PROPENSITY: "the logging policy's chance of all that the request showed",
    schema.POLICY: "name of the logging policy",
    schema.PRICE: "of one piece, in the currency of the log",
    schema.QUANTITY: "pieces; one where it is not given",
    "rating": "what a review gives: on the order, or on an event `review` of its own",
    schema.TITLE: "name of the product",
    schema.BRAND: "its brand",
    schema.CATEGORY: "its category",
    schema.CATEGORY_PATH: "its categories from the widest to the narrowest",
    schema.COST: "what one piece costs the shop",
    schema.LAUNCHED_AT: "when it came into the shop",
    schema.SCENE: "kind of the room",
    schema.HOST: "who hosts it",
    schema.STARTS_AT: "when it starts",
    schema.ENDS_AT: "when it ends",
    schema.DRAW_PROBABILITY: "chance that the logging policy draws the product first; sums to 1 in a room",
    schema.STOCK: "pieces at hand",
}
"""What stands in a column."""


def page() -> str:
    """All tables and their columns, in Markdown."""
    return "\n".join([_HEAD, *(_table(table) for table in schema.TABLES.values()), _TAIL])


def _table(table: TableSchema) -> str:
    rows = [
        f"| `{column.name}` | {_must(column)} | {_holds(column)} | {MEANINGS.get(column.name, '')} |"
        for column in table.columns
    ]
    rules = [f"One row for each {' and '.join(f'`{name}`' for name in table.unique)}."]
    rules += [f"`{later}` is never before `{earlier}`." for earlier, later in table.ordered]
    rules += ["Other columns may stand beside these and are kept."] if table.extra_columns else []
    head = ["| column | needed | holds | what it is |", "|---|---|---|---|"]
    return "\n".join([f"## {table.name}", "", *head, *rows, "", " ".join(rules), ""])


def _must(column: Column) -> str:
    return "yes" if column.required else "no"


def _holds(column: Column) -> str:
    """The kind of a column and its bounds."""
    bounds = [(column.low, "at least"), (column.above, "above"), (column.high, "at most")]
    said = [f"{word} {bound:g}" for bound, word in bounds if bound is not None]
    if column.allowed:
        said.append("one of " + ", ".join(f"`{value}`" for value in column.allowed))
    return ", ".join([column.kind.noun, *said])


if __name__ == "__main__":
    sys.stdout.write(page())
