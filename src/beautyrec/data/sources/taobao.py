"""Taobao user behaviour (2017): what a million shoppers viewed, put in the cart, marked as favourite and bought in nine days.

From Alibaba, User Behavior Data from Taobao for Recommendation; first used in H. Zhu et al.: Learning tree-based deep model
for recommender systems, KDD 2018.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from beautyrec.data.log import EventLog
from beautyrec.data.parquet import read_parquet
from beautyrec.data.schema import CATEGORY, EVENT, EVENT_ID, ITEM_ID, ORDER, QUANTITY, TS, USER_ID
from beautyrec.data.sources.rules import refuse_rows
from beautyrec.engine import Engine
from beautyrec.errors import SchemaError, SourceError

PARQUET: Final = "events.parquet"
CSV_PATTERN: Final = "*UserBehavior*.csv*"
CATEGORY_ID: Final = "category_id"
_COLUMNS: Final = (USER_ID, ITEM_ID, CATEGORY_ID, EVENT, TS)
_NAMES: Final[Mapping[str, str]] = {"pv": "view", "cart": "cart", "fav": "favourite", "buy": ORDER}


def read_taobao(folder: str | Path, engine: Engine | None = None) -> EventLog:
    """The behaviour as a log of views, carts, favourites and orders; nothing says what was shown.

    Times are seconds, in UTC; the shop's clock is eight hours ahead. A last line that is cut short, as where the publisher's
    file was downloaded in part, is left out. The category of an item is the first it is seen with.

    Args:
        folder: holds ``events.parquet`` (``user_id, item_id, category_id, event, ts``) or the publisher's CSV file without a
            header (its name has *UserBehavior* in it; it may be compressed by gzip).
        engine: where to put it; a new one where it is None.

    Raises:
        SourceError: neither is there, or the file cannot be read.
        SchemaError: a line other than the last is damaged, a column is missing, or has values it must not have.
    """
    folder = Path(folder)
    published = sorted(folder.glob(CSV_PATTERN))
    if (folder / PARQUET).exists():
        source = folder / PARQUET
        table = read_parquet(source)
    elif published:
        source = published[0]
        table = _read_csv(source)
    else:
        raise SourceError(
            f"'{folder}' holds neither '{PARQUET}' nor a file '{CSV_PATTERN}'. Put the publisher's file there."
        )
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise SchemaError(f"{source}: columns {missing} are missing; it has {table.column_names}. Rename or add them.")
    return _log(table.select(list(_COLUMNS)).to_pandas(), str(source), engine)


def _log(frame: pd.DataFrame, source: str, engine: Engine | None) -> EventLog:
    refuse_rows(frame, {EVENT: (frame[EVENT].isin(list(_NAMES)), f"one of {list(_NAMES)}")}, source)
    ts = frame[TS] if pd.api.types.is_datetime64_any_dtype(frame[TS]) else pd.to_datetime(frame[TS], unit="s")
    ts = ts.dt.tz_localize("UTC") if ts.dt.tz is None else ts
    columns = {
        EVENT: frame[EVENT].map(_NAMES),
        TS: ts.dt.as_unit("us"),
        USER_ID: frame[USER_ID],
        ITEM_ID: frame[ITEM_ID],
        QUANTITY: pd.Series(1, frame.index, dtype="Int64").where(frame[EVENT] == "buy"),
    }
    events = pd.DataFrame(columns).sort_values(TS, kind="stable", ignore_index=True)
    events = events.assign(**{EVENT_ID: np.arange(len(events))})
    items = frame.drop_duplicates(ITEM_ID)[[ITEM_ID, CATEGORY_ID]].rename(columns={CATEGORY_ID: CATEGORY})
    items = items.astype({CATEGORY: str}).sort_values(ITEM_ID, ignore_index=True)
    return EventLog.from_frames(events, items, engine=engine)


def _read_csv(path: Path) -> pa.Table:
    """The publisher's columns; a damaged line is refused unless it is the last."""
    damaged: list[int] = []

    def note(row: Any) -> str:
        damaged.append(int(row.number))
        return "skip"

    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            table = pa.csv.read_csv(
                file,
                read_options=pa.csv.ReadOptions(column_names=list(_COLUMNS), use_threads=False),
                parse_options=pa.csv.ParseOptions(invalid_row_handler=note),
                convert_options=pa.csv.ConvertOptions(column_types={TS: pa.int64(), EVENT: pa.string()}),
            )
    except (pa.ArrowException, OSError, EOFError) as error:
        raise SourceError(f"'{path}' cannot be read as CSV: {error}") from None
    inside = [number for number in damaged if number != table.num_rows + len(damaged)]
    if inside:
        raise SchemaError(
            f"{path}: {len(inside)} of {table.num_rows + len(damaged)} lines do not have {len(_COLUMNS)} values "
            f"(first: line {inside[0]}). Take the publisher's original."
        )
    return table
