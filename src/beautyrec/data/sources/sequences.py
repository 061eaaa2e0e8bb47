"""Sequence text: a user and the items they took, in order, as repositories of sequential recommendation keep their data.

Two layouts, which one reader takes: a user and all of their items a line (``data/Beauty.txt`` of S3-Rec: K. Zhou et al., CIKM
2020), and a user and one item a line (``data/beauty.txt`` of SASRec: W. Kang, J. McAuley, ICDM 2018, and of BERT4Rec: F. Sun et
al., CIKM 2019). Values stand between blanks; there are no times.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from beautyrec.data.schema import EVENT, ITEM_ID, ORDER, TS, USER_ID
from beautyrec.data.sources.frames import SourceFrames, all_rejected, by_time, check_share, one_each, rejected_rows
from beautyrec.data.sources.text_lines import text_lines
from beautyrec.data.times import Length, Moment, length, microseconds
from beautyrec.errors import SchemaError, SourceError

COLUMNS: Final[Mapping[str, str]] = {"first value": USER_ID, "values after it": ITEM_ID, "their place": TS}
"""What stands in the file to the columns of the schema."""
START: Final = "2000-01-01T00:00Z"


def read_sequences(
    path: str | Path, start: Moment = START, step: Length = "1D", event: str = ORDER, max_rejected: float = 0.01
) -> SourceFrames:
    """The items of each user as events, in their order.

    The times are made: the first item of every user is at ``start``, each further one a ``step`` later. They carry the order
    within a user and nothing else, so split such a log by the last events of each user, not by a time. A user on several lines
    goes on where they stopped. Ids are whole numbers. The items are those that somebody took.

    Args:
        path: the file, plain or gz.
        start: when every user's first event shall be.
        step: how much later each next one shall be; above 0.
        event: what an item in the file stands for, a name of the schema.
        max_rejected: the largest share of the lines that may be rejected: without an item, or with a value that is no id.

    Raises:
        SourceError: the file is absent, empty or cannot be read.
        SchemaError: too many lines are damaged, or ``step`` is 0.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     written = Path(folder, "Beauty.txt").write_text("1 7 8" + chr(10) + "2 9" + chr(10))
        ...     source = read_sequences(Path(folder, "Beauty.txt"))
        >>> source.events.select(["user_id", "item_id"]).to_pylist()
        [{'user_id': 1, 'item_id': 7}, {'user_id': 2, 'item_id': 9}, {'user_id': 1, 'item_id': 8}]
    """
    apart = int(length(step) // pd.Timedelta("1us"))
    if apart == 0:
        raise SchemaError(
            f"step: {step!r} is no length of time, so the items of a user would have no order. Name a longer one."
        )
    path = Path(path)
    parts, rejected, rows = [], [], 0
    for first, lines in text_lines(path):
        pairs, wrong, filled = _pairs(path, first, lines)
        parts.append(pairs)
        rejected.append(wrong)
        rows += filled
    failed = all_rejected(rejected)
    check_share(path, failed, rows, max_rejected)
    if not rows:
        raise SourceError(f"'{path}' has no rows. Take the publisher's original.")
    pairs = pa.concat_tables(parts)
    place = pd.Series(pairs.column(USER_ID).to_numpy()).groupby(pairs.column(USER_ID).to_numpy()).cumcount().to_numpy()
    ts = pa.array(microseconds(start) + place * apart, pa.int64()).cast(pa.timestamp("us", "UTC"))
    names = pa.repeat(pa.scalar(event), pairs.num_rows)
    events = pairs.append_column(TS, ts).append_column(EVENT, names)
    items = pa.table({ITEM_ID: pc.unique(pairs.column(ITEM_ID)).sort()})
    return SourceFrames(by_time(one_each(events, ORDER)), items, failed)


def _pairs(path: Path, first: int, lines: pa.Array) -> tuple[pa.Table, pa.Table, int]:
    """User and item, one row an item; the lines that are damaged; how many lines are not blank."""
    text = pc.utf8_trim_whitespace(lines)
    filled = pc.not_equal(text, "").to_numpy(zero_copy_only=False)
    values = pc.utf8_split_whitespace(text)
    sound = pc.match_substring_regex(text, r"^\d{1,18}(\s+\d{1,18})+$").to_numpy(zero_copy_only=False)
    short = pc.less(pc.list_value_length(values), 2).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(filled & ~sound)
    reasons = np.where(short[wrong], "no item", "a value is not a whole number")
    rejected = rejected_rows(path, wrong + first, reasons, text.take(pa.array(wrong)))
    kept = values.filter(pa.array(sound))
    ids = pc.list_flatten(kept).cast(pa.int64()).to_numpy(zero_copy_only=False)
    sizes = pc.list_value_length(kept).to_numpy(zero_copy_only=False).astype(np.int64)
    begins = np.cumsum(sizes) - sizes
    users = np.repeat(ids[begins], sizes - 1)
    return pa.table({USER_ID: users, ITEM_ID: np.delete(ids, begins)}), rejected, int(filled.sum())
