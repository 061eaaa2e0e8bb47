"""What may stand in a column: ids, text, times, whole numbers, numbers; and the Arrow type each is brought to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.types as pt

MICROSECONDS: Final = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Kind:
    """A kind of column.

    Args:
        noun: what stands in it, for messages.
        remedy: what to do where something else stands in it.
        target: the type that a column of a given type is brought to, None where that type is a wrong one.
        empty: the type of a column without values.
    """

    noun: str
    remedy: str
    target: Callable[[pa.DataType], pa.DataType | None]
    empty: pa.DataType


def _text(found: pa.DataType) -> pa.DataType | None:
    if pt.is_dictionary(found):
        return _text(found.value_type)
    return pa.string() if pt.is_string(found) or pt.is_large_string(found) or pt.is_string_view(found) else None


def _id(found: pa.DataType) -> pa.DataType | None:
    return pa.int64() if pt.is_integer(found) else _text(found)


def _id_or_gaps(found: pa.DataType) -> pa.DataType | None:
    # pandas turns integers with gaps into floats
    return pa.int64() if pt.is_floating(found) else _id(found)


def _time(found: pa.DataType) -> pa.DataType | None:
    return MICROSECONDS if pt.is_timestamp(found) and found.tz is not None else None


def _whole(found: pa.DataType) -> pa.DataType | None:
    return pa.int64() if pt.is_integer(found) or pt.is_floating(found) else None


def _number(found: pa.DataType) -> pa.DataType | None:
    return pa.float64() if pt.is_integer(found) or pt.is_floating(found) or pt.is_decimal(found) else None


ID: Final = Kind("integers or strings", "Cast it to one of the two.", _id_or_gaps, pa.int64())
TEXT: Final = Kind("strings", "Cast it to strings.", _text, pa.string())
TIME: Final = Kind(
    "times with a time zone",
    "Say in which zone it is: pd.to_datetime(frame['COLUMN'], utc=True), or series.dt.tz_localize('Asia/Shanghai').",
    _time,
    MICROSECONDS,
)
INTEGER: Final = Kind("whole numbers", "Cast it to integers.", _whole, pa.int64())
NUMBER: Final = Kind("numbers", "Cast it to floats.", _number, pa.float64())
