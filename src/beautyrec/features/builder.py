"""What a feature builder is: a named, documented Ibis expression that sees only the past of each row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

from beautyrec.data.log import EventLog

ROW: Final = "row"
"""Column of the keys that numbers them."""

AS_OF: Final = "as_of"
"""Column of the keys: the moment from which a row looks back; only events available before it exist for the row."""

SECONDS_A_DAY: Final = 86_400


@dataclass(frozen=True)
class Feature:
    """One column that a builder gives.

    Args:
        name: name of the column; a number, 64-bit.
        unit: what one of it is.
        window: which part of the past is counted, in words.
        missing: when the value is NaN and what that means.
    """

    name: str
    unit: str
    window: str
    missing: str = "never"


class FeatureBuilder(Protocol):
    """A frozen dataclass of settings that gives one or a few features.

    A value at a row must be a function of the row's ``entity`` columns, of its ``as_of``, of the catalogue and the
    rooms, and of the events with ``available_at < as_of``: never of one available at ``as_of`` or after.
    """

    version: ClassVar[int]
    """Raised whenever the same settings come to give other values."""

    @property
    def entity(self) -> tuple[str, ...]:
        """The key columns that the values depend on, beside ``as_of``.

        Of ``user_id, item_id, room_id, position``, and of the product's ``category, brand``.
        """
        ...

    @property
    def features(self) -> tuple[Feature, ...]:
        """The columns it gives, in order."""
        ...

    def expr(self, log: EventLog, keys: Any) -> Any:
        """The features of some keys.

        Args:
            log: the events, the catalogue, the rooms.
            keys: Ibis table with ``row`` (unique), the ``entity`` columns and ``as_of`` (time, UTC).

        Returns:
            Ibis table with ``row`` and the features, one row a key, in any order.
        """
        ...
