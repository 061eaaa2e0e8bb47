"""The files of a campaign, and what is asked of its log before it begins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from beautyrec.data.log import EventLog
from beautyrec.data.schema import EVENT, IMPRESSION, TS
from beautyrec.errors import ConfigError, SourceError, StateError
from beautyrec.files import atomic_file


def write_entry(path: Path, entry: Mapping[str, Any]) -> None:
    """A JSON file, whole or not at all.

    Raises:
        StateError: it cannot be written, for instance because the disk is full; what was there stays.
    """
    try:
        with atomic_file(path) as temporary:
            temporary.write_text(json.dumps(entry, indent=1), encoding="utf-8")
    except OSError as error:
        raise StateError(
            f"'{path}' cannot be written: {error}. What was there stays; make room and run it again."
        ) from None


def read_entry(path: Path) -> dict[str, Any]:
    """What a JSON file of the state says.

    Raises:
        SourceError: it is absent or damaged.
    """
    try:
        entry: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise SourceError(f"'{path}' cannot be read: {error}. It is part of the state of a campaign.") from None
    return entry


def check_same(head: Path, spec: Mapping[str, Any]) -> None:
    """Raises where another campaign lies there. Workers and budgets of seconds may change."""
    old = read_entry(head)["spec"]
    loose = {"workers", "budget"}
    apart = [key for key in spec if key not in loose and spec[key] != old.get(key)]
    if apart:
        raise ConfigError(
            f"'{head.parent}' holds a campaign with another {', '.join(apart)}. Go on with that one as it was, or name "
            f"another folder."
        )


def first_day(log: EventLog) -> pd.Timestamp:
    """Midnight (UTC) before the first impression.

    Raises:
        SourceError: there is none.
    """
    shown = log.events.filter(log.events[EVENT] == IMPRESSION)
    start = log.engine.frame(shown.aggregate(start=shown[TS].min()))["start"].iloc[0]
    if pd.isna(start):
        raise SourceError("month: the log has no impression. A tuning month reads lift from what was shown.")
    return pd.Timestamp(start).tz_convert("UTC").floor("D")


def last_moment(log: EventLog) -> pd.Timestamp:
    """When the last event happened."""
    end = log.engine.frame(log.events.aggregate(end=log.events[TS].max()))["end"].iloc[0]
    return pd.Timestamp(end).tz_convert("UTC")
