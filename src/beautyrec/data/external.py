"""Behaviour bought or lent from elsewhere, joined as it was known at the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import pandas as pd
import pyarrow as pa

from beautyrec.data.checks import cast, check_filled, check_unique, from_pandas
from beautyrec.data.kinds import ID, NUMBER, TIME, Kind
from beautyrec.data.log import EventLog
from beautyrec.data.schema import AVAILABLE_AT, ITEM_ID, USER_ID
from beautyrec.data.times import Length, length
from beautyrec.errors import ConfigError, SchemaError

KEYS: Final = (USER_ID, ITEM_ID)
"""What a source may tell of."""


class Intake(NamedTuple):
    """What became of the rows of a source."""

    rows: int
    """Rows that came in."""

    repeated: int
    """Rows that say the same of the same key at the same moment as one above; left out."""

    unmapped: int
    """Rows whose key has no id of ours; left out."""

    kept: int
    """Rows that can be joined."""


@dataclass(frozen=True)
class ExternalSource:
    """What a third party tells of users or of products, and for how long that holds.

    Args:
        name: of the source; letters, digits and underscores.
        key: ``"user_id"`` or ``"item_id"``: what a row tells of.
        available_at: the column of the time at which we could know the row, not the time that it speaks of.
        valid_for: how long after that a row still counts, such as ``"30D"``.
        columns: the numbers that it brings.

    Examples:
        >>> at = pd.to_datetime(["2026-03-01", "2026-03-01"], utc=True)
        >>> bought = pd.DataFrame({"panel": ["p1", "p1"], "delivered": at, "beauty_visits": [4, 4]})
        >>> source = ExternalSource("panel", "user_id", "delivered", "30D", ("beauty_visits",))
        >>> source.read(bought.rename(columns={"panel": "user_id"}), ids={"p1": 7}).intake
        Intake(rows=2, repeated=1, unmapped=0, kept=1)
    """

    name: str
    key: str
    available_at: str
    valid_for: Length
    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        wrong = [name for name in (self.name, *self.columns) if not name.isidentifier()]
        if self.key not in KEYS or wrong or not self.columns or len(set(self.columns)) < len(self.columns):
            raise ConfigError(
                f"external source '{self.name}': key is '{self.key}' (one of {KEYS}), columns are {self.columns}; not "
                f"usable as names: {wrong}. Name at least one column, each once, with letters, digits and underscores."
            )
        if not length(self.valid_for) > pd.Timedelta(0):
            raise ConfigError(f"external source '{self.name}': valid_for is {self.valid_for}; give more than 0.")

    def read(self, rows: pd.DataFrame | pa.Table, ids: Mapping[Any, Any] | None = None) -> ExternalRows:
        """Check the rows of the source and bring them under our ids.

        Args:
            rows: with the key, ``available_at`` and the columns; others are left out. Not changed.
            ids: from the source's ids to ours; they are the same where it is None. Several of theirs may be one of ours.

        Raises:
            SchemaError: a column is missing or of a wrong type, a key or time has gaps, or two rows say different things
                of one key at one moment.
        """
        where = f"external source '{self.name}'"
        table = rows if isinstance(rows, pa.Table) else from_pandas(rows, where)
        kinds: dict[str, Kind] = {self.key: ID, self.available_at: TIME, **dict.fromkeys(self.columns, NUMBER)}
        absent = [name for name in kinds if name not in table.column_names]
        if absent:
            raise SchemaError(
                f"{where}: columns {absent} are missing; it has {table.column_names}. Rename or add them."
            )
        cleaned = {name: cast(table.column(name), kind, f"{where}, column '{name}'") for name, kind in kinds.items()}
        for name in (self.key, self.available_at):
            check_filled(cleaned[name], f"{where}, column '{name}'")
        frame = pa.table(cleaned).to_pandas().rename(columns={self.available_at: AVAILABLE_AT})
        mapped = frame if ids is None else frame.assign(**{self.key: frame[self.key].map(dict(ids))})
        mapped = mapped[mapped[self.key].notna()].infer_objects()
        kept = mapped.drop_duplicates(ignore_index=True)
        arrow = from_pandas(kept, where)
        moment = {self.key: arrow.column(self.key), AVAILABLE_AT: arrow.column(AVAILABLE_AT)}
        check_unique(moment, f"{where}, after the map of ids, columns '{self.key}', '{AVAILABLE_AT}'")
        counts = Intake(len(frame), len(mapped) - len(kept), len(frame) - len(mapped), len(kept))
        return ExternalRows(self, arrow, counts)


@dataclass(frozen=True, eq=False)
class ExternalRows:
    """The checked rows of a source under our ids.

    Args:
        source: what they are.
        table: the key, ``available_at`` (UTC) and the columns.
        intake: what became of the rows that came in.
    """

    source: ExternalSource
    table: pa.Table
    intake: Intake = field(repr=False)

    def join(self, log: EventLog) -> EventLog:
        """``log`` with the source in ``log.external``, where feature builders look for it.

        Raises:
            SchemaError: the source's ids are integers and the log's strings, or the other way round.
        """
        key = self.source.key
        kind = log.events[key].type().to_pyarrow()
        found = self.table.schema.field(key).type
        if len(self.table) and pa.types.is_integer(found) != pa.types.is_integer(kind):
            raise SchemaError(
                f"external source '{self.source.name}': '{key}' is {found} in {len(self.table)} rows, the log has {kind}. "
                "Cast it, or give read() a map of ids."
            )
        place = self.table.column_names.index(key)
        table = self.table.set_column(place, key, self.table.column(key).cast(kind))
        table = table.set_column(1, AVAILABLE_AT, table.column(AVAILABLE_AT).cast(pa.timestamp("us", tz="UTC")))
        return replace(log, external={**log.external, self.source.name: log.engine.table(table)})
