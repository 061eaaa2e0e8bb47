"""The tables of an event log: their columns, what may stand in them, and the check of both.

The names of all columns are here, once. :func:`validate` brings a frame or an Arrow table into the form of one of the
tables, or says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from beautyrec.data.checks import (
    cast,
    check_allowed,
    check_bounds,
    check_filled,
    check_order,
    check_shares,
    check_unique,
    from_pandas,
)
from beautyrec.data.kinds import ID, INTEGER, NUMBER, TEXT, TIME, Kind
from beautyrec.errors import SchemaError

EVENT_ID: Final = "event_id"
EVENT: Final = "event"
TS: Final = "ts"
AVAILABLE_AT: Final = "available_at"
USER_ID: Final = "user_id"
ITEM_ID: Final = "item_id"
REQUEST_ID: Final = "request_id"
ROOM_ID: Final = "room_id"
POSITION: Final = "position"
PROPENSITY: Final = "propensity"
SLATE_PROPENSITY: Final = "slate_propensity"
POLICY: Final = "policy"
PRICE: Final = "price"
QUANTITY: Final = "quantity"
RATING: Final = "rating"
TITLE: Final = "title"
BRAND: Final = "brand"
CATEGORY: Final = "category"
CATEGORY_PATH: Final = "category_path"
COST: Final = "cost"
LAUNCHED_AT: Final = "launched_at"
SCENE: Final = "scene"
HOST: Final = "host"
STARTS_AT: Final = "starts_at"
ENDS_AT: Final = "ends_at"
DRAW_PROBABILITY: Final = "draw_probability"
STOCK: Final = "stock"
CLICKED: Final = "clicked"
ORDERED: Final = "ordered"
REVENUE: Final = "revenue"
CARTED: Final = "carted"
RETURNED: Final = "returned"
REFUNDED: Final = "refunded"

CART: Final = "cart"
RETURN: Final = "return"
IMPRESSION: Final = "impression"
CLICK: Final = "click"
ORDER: Final = "order"
EVENT_NAMES: Final = (IMPRESSION, CLICK, "cart", "favourite", "view", ORDER, "return", "review")


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        name: its name.
        kind: what stands in it, and the Arrow type that it is brought to.
        required: it must be there and have a value in every row; else it may be absent and may have gaps.
        low: the least value.
        above: every value is greater than this.
        high: the greatest value.
        allowed: the values that may stand in it; any where it is empty.
    """

    name: str
    kind: Kind
    required: bool = False
    low: float | None = None
    above: float | None = None
    high: float | None = None
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableSchema:
    """The columns of a table, and what holds across them.

    Args:
        name: name of the table; its file is ``NAME.parquet``.
        columns: its columns.
        unique: columns that together name a row.
        extra_columns: whether other columns may stand beside these; they are kept as they are.
        ordered: pairs of columns of time, of which the first is never after the second.
        shares: (group, column): the column sums to 1 in each group.
    """

    name: str
    columns: tuple[Column, ...]
    unique: tuple[str, ...]
    extra_columns: bool = False
    ordered: tuple[tuple[str, str], ...] = ()
    shares: tuple[str, str] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its columns."""
        return tuple(column.name for column in self.columns)


_PROPENSITY = Column(PROPENSITY, NUMBER, above=0, high=1)
_PRICE = Column(PRICE, NUMBER, low=0)

EVENTS: Final = TableSchema(
    "events",
    (
        Column(EVENT_ID, INTEGER, required=True),
        Column(EVENT, TEXT, required=True, allowed=EVENT_NAMES),
        Column(TS, TIME, required=True),
        Column(AVAILABLE_AT, TIME),
        Column(USER_ID, ID, required=True),
        Column(ITEM_ID, ID, required=True),
        Column(REQUEST_ID, ID),
        Column(ROOM_ID, ID),
        Column(POSITION, INTEGER, low=1),
        _PROPENSITY,
        replace(_PROPENSITY, name=SLATE_PROPENSITY),
        Column(POLICY, TEXT),
        _PRICE,
        Column(QUANTITY, INTEGER, low=1),
        Column(RATING, NUMBER, low=0),
    ),
    unique=(EVENT_ID,),
    ordered=((TS, AVAILABLE_AT),),
)
ITEMS: Final = TableSchema(
    "items",
    (
        Column(ITEM_ID, ID, required=True),
        Column(TITLE, TEXT),
        Column(BRAND, TEXT),
        Column(CATEGORY, TEXT),
        Column(CATEGORY_PATH, TEXT),
        _PRICE,
        Column(COST, NUMBER, low=0),
        Column(LAUNCHED_AT, TIME),
    ),
    unique=(ITEM_ID,),
    extra_columns=True,
)
USERS: Final = TableSchema("users", (Column(USER_ID, ID, required=True),), unique=(USER_ID,), extra_columns=True)
ROOMS: Final = TableSchema(
    "rooms",
    (
        Column(ROOM_ID, ID, required=True),
        Column(SCENE, TEXT, required=True),
        Column(HOST, TEXT, required=True),
        Column(STARTS_AT, TIME, required=True),
        Column(ENDS_AT, TIME, required=True),
    ),
    unique=(ROOM_ID,),
    extra_columns=True,
    ordered=((STARTS_AT, ENDS_AT),),
)
SHELVES: Final = TableSchema(
    "shelves",
    (
        Column(ROOM_ID, ID, required=True),
        Column(ITEM_ID, ID, required=True),
        Column(DRAW_PROBABILITY, NUMBER, low=0, high=1),
        _PRICE,
        Column(STOCK, INTEGER, low=0),
    ),
    unique=(ROOM_ID, ITEM_ID),
    shares=(ROOM_ID, DRAW_PROBABILITY),
)
TABLES: Final[Mapping[str, TableSchema]] = {table.name: table for table in (EVENTS, ITEMS, USERS, ROOMS, SHELVES)}


def validate(table: str, data: pd.DataFrame | pa.Table, source: str) -> pa.Table:
    """Bring ``data`` into the form of a table, or say what is wrong with it.

    Columns come out in the order of the schema, those that were absent as nulls (``available_at`` as ``ts``), others
    after them. Times become UTC microseconds, ids 64-bit integers or strings, numbers 64-bit floats.

    Args:
        table: ``"events"``, ``"items"``, ``"users"``, ``"rooms"`` or ``"shelves"``.
        data: the rows; it is not changed.
        source: where they come from, for the message: a file's path, or ``"frame"``.

    Raises:
        SchemaError: a column is missing, unknown, of a wrong type, or has rows that it must not have. The message
            names source, table and column, counts the rows and shows the first.

    Examples:
        >>> table = validate("items", pd.DataFrame({"item_id": [1, 2], "price": [3, None]}), "frame")
        >>> table.column("price").to_pylist(), table.column("brand").to_pylist()
        ([3.0, None], [None, None])
    """
    schema = TABLES[table]
    where = f"{source}: table {table}"
    arrow = data if isinstance(data, pa.Table) else from_pandas(data, where)
    _check_names(schema, arrow.column_names, where)
    columns = {column.name: _checked(column, arrow, where) for column in schema.columns}
    if AVAILABLE_AT in columns:
        columns[AVAILABLE_AT] = pc.coalesce(columns[AVAILABLE_AT], columns[TS])
    check_unique({name: columns[name] for name in schema.unique}, f"{where}, {_quoted(schema.unique)}")
    for pair in schema.ordered:
        check_order(columns[pair[0]], columns[pair[1]], pair, f"{where}, {_quoted(pair[1:])}")
    if schema.shares is not None:
        group, share = schema.shares
        check_shares(columns[group], columns[share], group, f"{where}, {_quoted((share,))}")
    extra = {name: arrow.column(name) for name in arrow.column_names if name not in columns}
    return pa.table(columns | extra)


def empty(table: str) -> pa.Table:
    """A table without rows."""
    return pa.table({column.name: pa.array([], column.kind.empty) for column in TABLES[table].columns})


def _quoted(names: tuple[str, ...]) -> str:
    return f"column {_list(names)}" if len(names) == 1 else f"columns {_list(names)}"


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _check_names(schema: TableSchema, names: list[str], where: str) -> None:
    """Refuse columns that are missing, doubled or, where the schema says so, unknown."""
    missing = [column.name for column in schema.columns if column.required and column.name not in names]
    if missing:
        raise SchemaError(
            f"{where}: {_quoted(tuple(missing))} missing. It has {_list(names)}. Rename or add what is missing."
        )
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise SchemaError(f"{where}: {_quoted(tuple(doubled))} there more than once. Keep one.")
    unknown = tuple(name for name in names if name not in schema.names)
    if unknown and not schema.extra_columns:
        raise SchemaError(f"{where}: {_quoted(unknown)} not known. Rename or drop; known are {_list(schema.names)}.")


def _checked(column: Column, arrow: pa.Table, where: str) -> pa.ChunkedArray:
    """One column, cast and checked; all gaps where it is absent."""
    if column.name not in arrow.column_names:
        return pa.chunked_array([pa.nulls(arrow.num_rows, column.kind.empty)])
    where = f"{where}, {_quoted((column.name,))}"
    values = cast(arrow.column(column.name), column.kind, where)
    if column.required:
        check_filled(values, where)
    if column.allowed:
        check_allowed(values, column.allowed, where)
    check_bounds(values, where, low=column.low, above=column.above, high=column.high)
    return values


def agree_on_ids(tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """The tables with one type for each kind of id; an id column without values takes the type of the others.

    Raises:
        SchemaError: an id is an integer in one table and a string in another.
    """
    agreed = dict(tables)
    for name in (USER_ID, ITEM_ID, ROOM_ID):
        types = {
            table: data.schema.field(name).type
            for table, data in tables.items()
            if name in data.column_names and data.column(name).null_count < data.num_rows
        }
        if len(set(types.values())) > 1:
            found = ", ".join(f"{kind} in {table}" for table, kind in types.items())
            raise SchemaError(f"column '{name}': holds {found}. Cast it to integers or to strings in all tables.")
        for table, data in agreed.items():
            if types and name in data.column_names:
                place = data.column_names.index(name)
                kind = next(iter(types.values()))
                agreed[table] = data.set_column(place, name, data.column(name).cast(kind))
    return agreed
