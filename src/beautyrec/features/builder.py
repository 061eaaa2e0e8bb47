"""What a feature builder is: what it needs to know of each row's past, and what it makes of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

from beautyrec.data.log import EventLog
from beautyrec.features.amounts import Amount
from beautyrec.features.traits import By

ROW: Final = "row"
"""Column of the keys that numbers them."""

AS_OF: Final = "as_of"
"""Column of the keys: the moment from which a row looks back; only events available before it exist for the row."""

MOMENT: Final = "moment"
"""``as_of`` in whole microseconds from 1970 (UTC)."""

MICROSECONDS_A_DAY: Final = 86_400_000_000


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


@dataclass(frozen=True)
class Asked:
    """An amount of the events known before a key, of those that share some columns with it.

    Args:
        amount: what is added up, or which time is taken.
        by: the columns that events and key share; none for all events.
        days: only what became known in so many days of 24 hours (``as_of - days <= available_at < as_of``); all the
            past where it is None.
    """

    amount: Amount
    by: tuple[By, ...]
    days: int | None = None


@dataclass(frozen=True, eq=False)
class Looked:
    """A column of a table in which each key is looked up: of the catalogue, the rooms, the shelves.

    Args:
        table: Ibis table with the columns ``by``, each combination of them once, and ``column``.
        by: the columns of the key.
        column: what is looked up; null where the table does not have the key.
    """

    table: Any
    by: tuple[str, ...]
    column: str


@dataclass(frozen=True, eq=False)
class LookedBack:
    """As :class:`Looked`, in a table that is made for the moments at which the keys look back.

    Args:
        make: gets an Ibis table of the distinct ``by, as_of, moment`` of the keys and gives one with ``by``, ``as_of``
            and ``column``.
        by: the columns of the key, beside ``as_of``.
        column: what is looked up.
    """

    make: Callable[[Any], Any]
    by: tuple[str, ...]
    column: str


Need = Asked | Looked | LookedBack


class FeatureBuilder(Protocol):
    """A frozen dataclass of settings that gives one or a few features.

    It declares what it needs, and says how values follow from that; a :class:`~beautyrec.features.feature_set.FeatureSet`
    gets what its builders need, once for all of them. What is :class:`Asked` is of events with ``available_at < as_of``
    alone, so a value cannot see its future. Tables that are :class:`Looked` up must not be made of events.

    Examples:
        >>> from beautyrec.features.amounts import Sum
        >>> @dataclass(frozen=True)
        ... class Reviews:
        ...     version: ClassVar[int] = 1
        ...     entity: tuple[str, ...] = ("item_id",)
        ...     features: tuple[Feature, ...] = (Feature("reviews", "reviews", "30 days"),)
        ...
        ...     def needs(self, log):
        ...         return {"n": Asked(Sum(("review",)), ("item_id",), 30)}
        ...
        ...     def values(self, known):
        ...         return {"reviews": known["n"]}
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

    def needs(self, log: EventLog) -> Mapping[str, Need]:
        """What the values are made of beside the columns of the key, by name."""
        ...

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """The features by name, as Ibis columns.

        Args:
            known: the ``entity`` columns, ``as_of``, ``moment`` and what was needed, as Ibis columns of one table. Sums
                of nothing are 0; other needs are null where nothing is known.
        """
        ...
