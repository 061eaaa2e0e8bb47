"""Several builders as one table of features, the same in training and in scoring."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from beautyrec.data.log import EventLog
from beautyrec.engine import Engine
from beautyrec.errors import ConfigError
from beautyrec.features.builder import ROW, FeatureBuilder
from beautyrec.features.keys import check_table, key_columns, key_table
from beautyrec.features.plan import Plan, refuse_doubled
from beautyrec.features.work import with_features
from beautyrec.types import Progress


@dataclass(frozen=True)
class FeatureSet:
    """Builders, in the order of their columns.

    Args:
        builders: each gives one or a few columns; no two give one of the same name.

    Examples:
        >>> from beautyrec.features.context import Hour
        >>> from beautyrec.features.items import ItemHeat
        >>> at = pd.to_datetime(["2026-03-01 20:00", "2026-03-02 20:00"], utc=True)
        >>> events = pd.DataFrame({"event_id": [0, 1], "event": "click", "ts": at, "user_id": 7, "item_id": "serum"})
        >>> log = EventLog.from_frames(events, pd.DataFrame({"item_id": ["serum"]}))
        >>> later = pd.to_datetime(["2026-03-02 20:00", "2026-03-03 00:00"], utc=True)
        >>> keys = pd.DataFrame({"item_id": "serum", "as_of": later})
        >>> FeatureSet((ItemHeat(days=(7,)), Hour())).compute(log, keys).to_dict("list")
        {'item_heat_7d': [1.0, 2.0], 'hour': [20.0, 0.0]}
    """

    builders: tuple[FeatureBuilder, ...]

    def __post_init__(self) -> None:
        """Checks that names are unique."""
        names = self.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not names:
            raise ConfigError(f"feature set: {len(names)} features; twice: {twice}. Give at least one, each name once.")

    @property
    def names(self) -> tuple[str, ...]:
        """The columns it gives, in order."""
        return tuple(feature.name for builder in self.builders for feature in builder.features)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns that the keys must have, ``as_of`` last; ``category`` and ``brand`` come from the catalogue."""
        return key_columns(name for builder in self.builders for name in builder.entity)

    @property
    def fingerprint(self) -> str:
        """Hexadecimal hash of what the features mean: builders, their versions and settings, and their order.

        A model keeps it, so that it is never given features that were made otherwise.
        """
        parts = [[type(builder).__name__, builder.version, asdict(builder)] for builder in self.builders]  # type: ignore[call-overload]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def describe(self) -> pd.DataFrame:
        """One row a feature: ``name, unit, window, missing, entity, builder``."""
        rows = [
            {**asdict(feature), "entity": ", ".join(builder.entity) or "the moment", "builder": repr(builder)}
            for builder in self.builders
            for feature in builder.features
        ]
        return pd.DataFrame(rows)

    def compute(self, log: EventLog, keys: pd.DataFrame, on_progress: Progress | None = None) -> pd.DataFrame:
        """The features of each key.

        What builders need is found once for each distinct product, viewer, or pair of both and ``as_of``: many keys that
        share few moments, such as the starts of rooms, cost little.

        Args:
            log: what happened; events available at ``as_of`` or later are not seen.
            keys: [n] rows with :attr:`key_columns`; ``as_of`` is a time with a zone. It is not changed.
            on_progress: called after each part of the work.

        Returns:
            [n, features] 64-bit floats with the index of ``keys``, NaN where a value is missing.

        Raises:
            SchemaError: the keys lack a column, ``as_of`` has gaps or no zone, or ids are not of the log's kind.
            ConfigError: a builder looks keys up in a table that has some of them more than once.
        """
        plan, rows = Plan.of(self.builders, log), key_table(keys, self.key_columns, log)
        with lent(log.engine, rows) as table, with_features(plan, log, table, on_progress) as (wide, features):
            found = log.engine.arrow(wide.select(ROW, **features))
        if found.num_rows != len(keys):
            refuse_doubled(plan, log.engine)
        place = np.empty(len(keys), dtype=np.int64)
        place[found[ROW].to_numpy()] = np.arange(len(keys))
        frame: pd.DataFrame = found.drop_columns(ROW).to_pandas().take(place)
        return frame.set_axis(keys.index)

    def write(self, log: EventLog, keys: Any, path: str | Path, on_progress: Progress | None = None) -> None:
        """Writes the features of a table of keys to a Parquet file, however many there are: the engine streams them.

        Use it where the keys are a query of the log, and :meth:`compute` where they are a frame. Values are the same.

        Args:
            log: what happened; events available at ``as_of`` or later are not seen.
            keys: Ibis table of ``log.engine`` with :attr:`key_columns` in the log's types, and any others, such as
                labels. Rows may repeat.
            path: the file (on Spark a folder), written whole or not at all: the columns of the keys, then the features
                (64-bit floats, null where a value is missing). A column of the keys with the name of a feature is
                replaced by it. The order of the rows is not that of the keys.
            on_progress: called after each part of the work.

        Raises:
            SchemaError: the keys lack a column, or it is not of the log's type.
            ConfigError: a builder looks keys up in a table that has some of them more than once.

        Examples:
            >>> import tempfile
            >>> from beautyrec.features.items import ItemHeat
            >>> at = pd.to_datetime(["2026-03-01 20:00", "2026-03-02 20:00"], utc=True)
            >>> events = pd.DataFrame({"event_id": [0, 1], "event": "click", "ts": at, "user_id": 7, "item_id": "serum"})
            >>> log = EventLog.from_frames(events, pd.DataFrame({"item_id": ["serum"]}))
            >>> keys = log.events.select("event_id", "item_id", as_of=log.events.ts)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     FeatureSet((ItemHeat(days=(7,)),)).write(log, keys, f"{folder}/features.parquet")
            ...     pd.read_parquet(f"{folder}/features.parquet").set_index("event_id")["item_heat_7d"].to_dict()
            {0: 0.0, 1: 1.0}
        """
        check_table(keys, self.key_columns, log)
        plan = Plan.of(self.builders, log)
        refuse_doubled(plan, log.engine)
        with with_features(plan, log, keys, on_progress) as (wide, features):
            own = [name for name in keys.columns if name not in features]
            log.engine.write(wide.select(*own, **features), Path(path), in_order=False)


@contextmanager
def lent(engine: Engine, data: pa.Table) -> Iterator[Any]:
    """``data`` as a table of the engine, dropped afterwards."""
    table = engine.table(data)
    try:
        yield table
    finally:
        engine.drop(table)
