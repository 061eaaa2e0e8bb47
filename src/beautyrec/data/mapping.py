"""A mapping: how a shop's own files become one table of the log. Written in TOML, no code."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from beautyrec.data import schema
from beautyrec.data.kinds import ID, INTEGER, NUMBER, TEXT, TIME, Kind
from beautyrec.errors import ConfigError
from beautyrec.settings import from_table, read_toml

DEFAULT_ZONE: Final = "Asia/Shanghai"
EPOCHS: Final[Mapping[str, float]] = {"epoch_s": 1e6, "epoch_ms": 1e3, "epoch_us": 1.0}
"""Names of times that are numbers since 1970-01-01 UTC, with the microseconds of their unit."""
MONEY: Final = (schema.PRICE, schema.COST)
KINDS: Final[Mapping[str, Kind]] = {"text": TEXT, "integer": INTEGER, "number": NUMBER, "time": TIME}


@dataclass(frozen=True)
class CsvForm:
    """How the CSV files are written.

    Args:
        delimiter: what stands between two fields; a tab in files ``.tsv`` where it is empty, else a comma.
        quote: what stands around a field that holds delimiters or line ends; doubled inside it.
        header: names of the columns where the files have no line of names; the first line has them where it is empty.
        encoding: of the text, as Python names it: ``"utf-8"``, ``"gb18030"``.
    """

    delimiter: str = ""
    quote: str = '"'
    header: tuple[str, ...] = ()
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if len(self.delimiter) > 1 or len(self.quote) != 1:
            raise ConfigError("[csv]: delimiter and quote are one character each. Give one.")


@dataclass(frozen=True)
class Currency:
    """What money is in.

    Args:
        name: the currency of the log, and of every amount that names no other.
        column: column of the files that names the currency of the row's amounts; none where it is empty.
        rates: other currency to what one of it is worth in ``name``. An amount in a currency without a rate is not taken.
    """

    name: str = "CNY"
    column: str = ""
    rates: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class LogMapping:
    """How files become the rows of one table.

    Columns of the files are named as they are there; a dot goes into a nested value (``"payload.item"``), and the keys of
    a folder ``day=2026-03-01`` are columns too. Names of our columns are those of :mod:`beautyrec.data.schema`.

    Args:
        columns: our column to theirs.
        table: the table that the rows go to: ``"events"``, ``"items"``, ``"users"``, ``"rooms"`` or ``"shelves"``.
        files: which files under the given path, as a pattern: ``"orders/**/*.csv.gz"``; all that can be read if empty.
        format: ``"csv"``, ``"json"`` (one object a line) or ``"parquet"``; by the name of each file if ``"by name"``.
        csv: how CSV files are written.
        constants: our column to the value that it has in every row.
        event_names: our name of an event to theirs; they are taken as they are if there are none.
        ignore: names of events that are counted and left out.
        time_zone: of the times that name none; ``Asia/Shanghai`` where it is empty.
        time_format: ISO where it is empty; ``"epoch_s"``, ``"epoch_ms"``, ``"epoch_us"``; else as ``strptime`` has it.
        missing: what stands in a field without value.
        integer_ids: our columns of ids that become integers; all others become strings.
        unique: columns of the files that together name a row: a row that repeats them is rejected.
        currency: what money is in.
        units: our column of numbers to what its values are multiplied by: ``price = 0.01`` for cents.
        kinds: further columns of items, users or rooms to what they hold: ``"text"``, ``"integer"``, ``"number"``, ``"time"``.
        items: for events whose rows tell of the item too: column of the table ``items`` to theirs. The last value known
            of each item is taken, and ``items`` is written. ``item_id`` needs no mention.

    Raises:
        ConfigError: a column that the table does not have, one that it needs and is not given, an unknown zone or event.

    Examples:
        >>> mapping = LogMapping({"event": "act", "ts": "t", "user_id": "uid", "item_id": "sku"},
        ...                      event_names={"click": ("tap",)})
        >>> mapping.table, mapping.zone
        ('events', 'Asia/Shanghai')
    """

    columns: dict[str, str]
    table: Literal["events", "items", "users", "rooms", "shelves"] = "events"
    files: str = ""
    format: Literal["by name", "csv", "json", "parquet"] = "by name"
    csv: CsvForm = CsvForm()
    constants: dict[str, str | int | float] = field(default_factory=dict[str, str | int | float])
    event_names: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    ignore: tuple[str, ...] = ()
    time_zone: str = ""
    time_format: str = ""
    missing: tuple[str, ...] = ("",)
    integer_ids: tuple[str, ...] = ()
    unique: tuple[str, ...] = ()
    currency: Currency = Currency()
    units: dict[str, float] = field(default_factory=dict[str, float])
    kinds: dict[str, Literal["text", "integer", "number", "time"]] = field(
        default_factory=dict[str, Literal["text", "integer", "number", "time"]]
    )
    items: dict[str, str] | None = None

    def __post_init__(self) -> None:
        _check_zone(self.zone)
        self._check_columns()
        self._check_events()
        self._check_numbers()

    @property
    def zone(self) -> str:
        """The zone of times that name none."""
        return self.time_zone or DEFAULT_ZONE

    @property
    def targets(self) -> dict[str, schema.Column]:
        """Our columns that this mapping fills, in the order of the schema, further ones after them."""
        known = {column.name: column for column in schema.TABLES[self.table].columns}
        given = self.columns.keys() | self.constants.keys()
        further = {
            name: schema.Column(name, KINDS[self.kinds.get(name, "text")]) for name in sorted(given - known.keys())
        }
        return {name: column for name, column in known.items() if name in given} | further

    @property
    def item_targets(self) -> dict[str, schema.Column]:
        """Columns of items that the rows of events fill."""
        known = {column.name: column for column in schema.ITEMS.columns}
        return {
            name: known.get(name) or schema.Column(name, KINDS[self.kinds.get(name, "text")])
            for name in self.items or {}
        }

    def _check_columns(self) -> None:
        table = schema.TABLES[self.table]
        given = self.columns.keys() | self.constants.keys()
        both = sorted(self.columns.keys() & self.constants.keys())
        if both:
            raise ConfigError(f"{both} are both a column and a constant. Keep one.")
        unknown = sorted(given - set(table.names))
        if unknown and not table.extra_columns:
            raise ConfigError(f"[columns]: table {self.table} has no {unknown}; it has {', '.join(table.names)}.")
        needed = {column.name for column in table.columns if column.required} - {schema.EVENT_ID}
        if needed - given:
            raise ConfigError(
                f"[columns]: {sorted(needed - given)} of table {self.table} are not given. Name their column."
            )
        if self.items is not None and self.table != "events":
            raise ConfigError(f"[items] belongs to a mapping of events; this one is of {self.table}. Use [columns].")
        ids = {name for name, column in self.targets.items() if column.kind is ID}
        if set(self.integer_ids) - ids:
            raise ConfigError(
                f"integer_ids: {sorted(set(self.integer_ids) - ids)} are no ids given; those are {sorted(ids)}."
            )

    def _check_events(self) -> None:
        unknown = sorted(self.event_names.keys() - set(schema.EVENT_NAMES))
        if unknown:
            raise ConfigError(f"[event_names]: {unknown} are no events; known are {', '.join(schema.EVENT_NAMES)}.")
        theirs = [name for names in self.event_names.values() for name in names] + list(self.ignore)
        twice = sorted({name for name in theirs if theirs.count(name) > 1})
        if twice:
            raise ConfigError(f"[event_names] and ignore: {twice} stand there more than once. Keep one.")

    def _check_numbers(self) -> None:
        targets = self.targets | self.item_targets
        wrong = sorted(name for name in self.units if name not in targets or targets[name].kind is not NUMBER)
        if wrong:
            raise ConfigError(f"[units]: {wrong} are no numbers that [columns] gives. Leave them out.")
        low = {
            name: value for name, value in (self.units | self.currency.rates).items() if not 0 < value < float("inf")
        }
        if low:
            raise ConfigError(f"[units] and rates: {low} are not above 0. A factor is a positive number.")


def read_mapping(path: str | Path) -> LogMapping:
    """The mapping in a TOML file.

    Raises:
        ConfigError: the file is absent or no TOML, has an unknown key, or what it says cannot be; names file and key.
    """
    path = Path(path)
    return from_table(LogMapping, read_toml(path), str(path))


def _check_zone(name: str) -> None:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"time_zone: '{name}' is no time zone. Name one as in 'Asia/Shanghai' or 'UTC'.") from None
