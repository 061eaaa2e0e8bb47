"""What is counted of events: sums of whole numbers, and the first or last of times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

from beautyrec.data.schema import EVENT, PRICE, QUANTITY, RATING, ROOM_ID, TS

PARTS: Final = 10_000
"""Amounts are added up in whole ten-thousandths: a sum of integers is the same in any order."""


class Amount(Protocol):
    """A column of the events, and how many of it make one; frozen, so that equal ones are made once."""

    nothing: ClassVar[int | None]
    """The amount of no events."""

    @property
    def names(self) -> tuple[str, ...]:
        """The events that count; all where there are none."""
        ...

    def of(self, events: Any) -> Any:
        """The amount of each event (Ibis table with times in microseconds), null where it does not count."""
        ...

    def total(self, column: Any) -> Any:
        """One amount of several, null of none."""
        ...


def one(events: Any) -> Any:  # noqa: ARG001
    """Each event counts as one."""
    import ibis

    return ibis.literal(1, "int64")


def parts(amount: Any) -> Any:
    """An amount in whole ten-thousandths."""
    return (amount * PARTS).round().cast("int64")


def units(events: Any) -> Any:
    """How many pieces; an event that states no quantity is one."""
    return events[QUANTITY].fill_null(1)


def spent(events: Any) -> Any:
    """Price times quantity, in parts; nothing without a price."""
    return parts(events[PRICE] * units(events))


def paid(events: Any) -> Any:
    """The price in parts, null where there is none above 0."""
    return parts(events[PRICE]).nullif(0)


def with_price(events: Any) -> Any:
    """One where there is a price above 0."""
    import ibis

    return ibis.ifelse(paid(events) > 0, 1, ibis.null("int64"))


def stars(events: Any) -> Any:
    """The rating in parts, null where there is none."""
    return parts(events[RATING])


def rated(events: Any) -> Any:
    """One where there is a rating."""
    import ibis

    return ibis.ifelse(events[RATING].notnull(), 1, ibis.null("int64"))


@dataclass(frozen=True)
class Sum:
    """A whole number of each event, added up.

    Args:
        names: the events that count; all where there are none.
        value: gives the number from the Ibis table of the events; a function of a module, so that equal ones are known.
        rooms: whether only events of live rooms count.
    """

    names: tuple[str, ...] = ()
    value: Callable[[Any], Any] = one
    rooms: bool = False
    nothing: ClassVar[int | None] = 0

    def of(self, events: Any) -> Any:
        """See :meth:`Amount.of`."""
        value = _where(events, self.names, self.value(events))
        return value if not self.rooms else _if(events[ROOM_ID].notnull(), value)

    def total(self, column: Any) -> Any:
        """See :meth:`Amount.total`."""
        return column.sum().cast("int64")


@dataclass(frozen=True)
class Last:
    """When the last event happened, in microseconds from 1970.

    Args:
        names: the events that count; all where there are none.
        having: only events that have a value there count.
    """

    names: tuple[str, ...] = ()
    having: str | None = None
    nothing: ClassVar[int | None] = None

    def of(self, events: Any) -> Any:
        """See :meth:`Amount.of`."""
        value = _where(events, self.names, events[TS])
        return value if self.having is None else _if(events[self.having].notnull(), value)

    def total(self, column: Any) -> Any:
        """See :meth:`Amount.total`."""
        return column.max()


@dataclass(frozen=True)
class First:
    """When the first event happened, in microseconds from 1970.

    Args:
        names: the events that count; all where there are none.
    """

    names: tuple[str, ...] = ()
    nothing: ClassVar[int | None] = None

    def of(self, events: Any) -> Any:
        """See :meth:`Amount.of`."""
        return _where(events, self.names, events[TS])

    def total(self, column: Any) -> Any:
        """See :meth:`Amount.total`."""
        return column.min()


def _where(events: Any, names: tuple[str, ...], value: Any) -> Any:
    return _if(events[EVENT].isin(list(names)), value) if names else value


def _if(condition: Any, value: Any) -> Any:
    import ibis

    return ibis.ifelse(condition, value, ibis.null("int64"))
