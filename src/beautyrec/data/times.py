"""Moments and lengths of time, as arguments."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd

from beautyrec.errors import DataError

Moment = str | datetime | pd.Timestamp
"""A point in time with its zone: ``"2026-03-01T00:00Z"``, or a datetime that has one."""

Length = str | timedelta | pd.Timedelta
"""A length of time: ``"1D"``, ``"30min"``, or a timedelta."""


def utc(moment: Moment) -> pd.Timestamp:
    """``moment`` in UTC, to the microsecond.

    Raises:
        DataError: it is no moment, or has no time zone.

    Examples:
        >>> utc("2026-03-01T08:00+08:00")
        Timestamp('2026-03-01 00:00:00+0000', tz='UTC')
    """
    try:
        stamp = pd.Timestamp(moment)
    except (ValueError, TypeError):
        raise DataError(f"{moment!r} is not a moment in time. Write it as in 2026-03-01T00:00Z.") from None
    if stamp.tzinfo is None:
        raise DataError(f"{moment!r} has no time zone. Say which, as in 2026-03-01T00:00Z for UTC.")
    return stamp.tz_convert("UTC").as_unit("us")


def microseconds(moment: Moment) -> int:
    """Microseconds from 1970-01-01 UTC to ``moment``.

    Examples:
        >>> microseconds("1970-01-01T00:00:01Z")
        1000000
    """
    return int(utc(moment).value // 1000)


def length(of: Length) -> pd.Timedelta:
    """A length of time, zero or more.

    Raises:
        DataError: it is no length of time, or below zero.

    Examples:
        >>> length("90min")
        Timedelta('0 days 01:30:00')
    """
    try:
        delta = pd.Timedelta(of)
    except (ValueError, TypeError):
        raise DataError(f"{of!r} is not a length of time. Write it as in '1D', '6h' or '30min'.") from None
    if not delta >= pd.Timedelta(0):  # not a time (NaT) is no length either
        raise DataError(f"{of!r} is not a length of time of zero or more. Write it as in '1D', '6h' or '30min'.")
    return delta
