"""KuaiLive (2025): which live rooms 23,772 users of Kuaishou saw, entered, liked, commented and sent gifts to in three weeks.

From C. Qu, S. Dai, K. Guo, L. Zhao, Y. Niu, X. Zhang, J. Xu: KuaiLive: A Real-time Interactive Dataset for Live Streaming
Recommendation, arXiv 2508.05633 (2025), doi 10.5281/zenodo.16565801. Files with a header: ``streamer.csv``, ``room.csv``,
``user.csv``, and ``user_id,live_id,streamer_id,timestamp`` in ``click.csv`` (with ``watch_live_time``), ``like.csv``,
``gift.csv`` (with ``gift_price``), ``comment.csv`` and ``negative.csv``. Times are milliseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from beautyrec.data.schema import (
    CLICK,
    ENDS_AT,
    EVENT,
    HOST,
    IMPRESSION,
    ITEM_ID,
    ORDER,
    PRICE,
    ROOM_ID,
    SCENE,
    STARTS_AT,
    TS,
    USER_ID,
)
from beautyrec.data.sources.delimited import EPOCH_MS, Delimited, Rows
from beautyrec.data.sources.frames import SourceFrames, all_rejected, by_time, first_each, from_epoch, one_each
from beautyrec.data.sources.kinds import NUMBER, TEXT, WHOLE
from beautyrec.errors import SourceError

COLUMNS: Final[Mapping[str, str]] = {
    "user_id": USER_ID,
    "streamer_id": ITEM_ID,
    "live_id": ROOM_ID,
    "timestamp": TS,
    "gift_price": PRICE,
    "live_content_category": SCENE,
    "start_timestamp": STARTS_AT,
    "end_timestamp": ENDS_AT,
}
"""The publisher's columns to those of the schema; the streamer is the room's ``host`` too."""
UNKNOWN_SCENE: Final = "unknown"
COMMENT: Final = "comment"
WATCH: Final = "watch"
WATCH_TIME: Final = "watch_live_time"
_EVENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "negative": (IMPRESSION,),
    "click": (IMPRESSION, CLICK),
    "like": ("favourite",),
    "gift": (ORDER,),
}
"""The files of what happened, to the events that a row of each stands for."""

_BASE: Final = Delimited(
    {"user_id": WHOLE, "live_id": WHOLE, "streamer_id": WHOLE, "timestamp": WHOLE},
    rules={"timestamp is not milliseconds of 1990 to 2100": EPOCH_MS.format("timestamp")},
)
_FORMATS: Final[Mapping[str, Delimited]] = {
    "negative": _BASE,
    "click": replace(_BASE, columns={**_BASE.columns, WATCH_TIME: WHOLE}, gaps=(WATCH_TIME,)),
    "like": _BASE,
    "gift": replace(
        _BASE,
        columns={**_BASE.columns, "gift_price": NUMBER},
        rules={**_BASE.rules, "gift_price below 0": "gift_price >= 0"},
    ),
    COMMENT: _BASE,
}
_ROOMS: Final = Delimited(
    {
        "live_id": WHOLE,
        "streamer_id": WHOLE,
        "start_timestamp": WHOLE,
        "end_timestamp": WHOLE,
        "live_content_category": TEXT,
    },
    gaps=("live_content_category",),
    rules={
        "start is not milliseconds of 1990 to 2100": EPOCH_MS.format("start_timestamp"),
        "end is not milliseconds of 1990 to 2100": EPOCH_MS.format("end_timestamp"),
        "end before start": "end_timestamp >= start_timestamp",
    },
)
_STREAMERS: Final = Delimited({"streamer_id": WHOLE}, others=True)
_USERS: Final = Delimited({"user_id": WHOLE}, others=True)


def read_kuailive(folder: str | Path, max_rejected: float = 0.01) -> SourceFrames:
    """What users did, the streamers as items, the users, and the live rooms with their hosts and hours.

    There are no products: what is recommended is the streamer, in a room of theirs. A click is a room that was seen and
    entered, so it gives an impression and a click of one time; ``negative.csv``, the publisher's negative feedback, has those
    that were seen and not entered. A like is a favourite; a gift is an order of one piece at its price, in the publisher's
    unit. The schema has no event for comments, and no place for how long was watched after a click: ``beside["comment"]`` and
    ``beside["watch"]`` (milliseconds) have them. A room on several days is one, from its first start to its last end; its scene
    is the category of its content, ``"unknown"`` in a gap. What else is said of users and streamers is kept as text.

    Args:
        folder: holds the publisher's CSV files, each plain or gz; ``negative``, ``like``, ``gift`` and ``comment`` may be absent.
            Without ``negative`` nothing says what was seen, and a click gives a click alone.
        max_rejected: the largest share of a file's rows that may be rejected.

    Raises:
        SourceError: a file that must be there is absent, or one cannot be read.
        SchemaError: a column is missing, or too many rows are damaged.
    """
    folder = Path(folder)
    done = {name: form.read(path, max_rejected) for name, form in _FORMATS.items() if (path := _file(folder, name))}
    if "click" not in done:
        raise SourceError(f"'{folder}' holds no 'click.csv'. Put the publisher's files there.")
    rooms, users, streamers = (
        form.read(_file(folder, name) or folder / f"{name}.csv", max_rejected)
        for name, form in (("room", _ROOMS), ("user", _USERS), ("streamer", _STREAMERS))
    )
    return SourceFrames(
        _events(done),
        first_each(streamers.table, "streamer_id").rename_columns({"streamer_id": ITEM_ID}),
        all_rejected(rows.rejected for rows in (*done.values(), rooms, users, streamers)),
        users=first_each(users.table, "user_id"),
        rooms=_rooms(rooms.table),
        beside=_beside(done),
    )


def _file(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / f"{name}.csv", folder / f"{name}.csv.gz") if path.exists()), None)


def _common(table: pa.Table) -> pa.Table:
    """Who, which streamer, which room, when."""
    return pa.table(
        {
            USER_ID: table.column("user_id"),
            ITEM_ID: table.column("streamer_id"),
            ROOM_ID: table.column("live_id"),
            TS: from_epoch(table.column("timestamp"), "ms"),
        }
    )


def _events(done: Mapping[str, Rows]) -> pa.Table:
    parts = []
    for name, events in _EVENTS.items():
        for event in events if name in done else ():
            if event == IMPRESSION and "negative" not in done:
                continue
            part = _common(done[name].table).append_column(
                EVENT, pa.repeat(pa.scalar(event), done[name].table.num_rows)
            )
            parts.append(part.append_column(PRICE, done[name].table.column("gift_price")) if event == ORDER else part)
    return by_time(one_each(pa.concat_tables(parts, promote_options="default"), ORDER))


def _rooms(table: pa.Table) -> pa.Table:
    grouped = table.group_by("live_id", use_threads=False).aggregate(
        [
            ("streamer_id", "first"),
            ("live_content_category", "first"),
            ("start_timestamp", "min"),
            ("end_timestamp", "max"),
        ]
    )
    return pa.table(
        {
            ROOM_ID: grouped.column("live_id"),
            SCENE: pc.fill_null(grouped.column("live_content_category_first"), UNKNOWN_SCENE),
            HOST: grouped.column("streamer_id_first").cast(pa.string()),
            STARTS_AT: from_epoch(grouped.column("start_timestamp_min"), "ms"),
            ENDS_AT: from_epoch(grouped.column("end_timestamp_max"), "ms"),
        }
    ).sort_by(ROOM_ID)


def _beside(done: Mapping[str, Rows]) -> dict[str, pa.Table]:
    clicks = done["click"].table
    watch = _common(clicks).append_column(WATCH_TIME, clicks.column(WATCH_TIME))
    return {WATCH: watch} | ({COMMENT: _common(done[COMMENT].table)} if COMMENT in done else {})
