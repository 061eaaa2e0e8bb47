"""Features of the occasion: the hour, the kind of room, the position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from beautyrec.data.log import EventLog
from beautyrec.data.schema import HOST, POSITION, ROOM_ID, SCENE, STARTS_AT
from beautyrec.errors import ConfigError
from beautyrec.features.builder import AS_OF, ROW, Feature


@dataclass(frozen=True)
class Hour:
    """The hour of the day of ``as_of``, 0 to 23, in a zone without summer time.

    Args:
        utc_offset: hours that the shop's clock is ahead of UTC; 8 for China.
    """

    utc_offset: int = 0
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _check_offset("Hour", self.utc_offset)

    @property
    def entity(self) -> tuple[str, ...]:
        """Nothing but ``as_of``."""
        return ()

    @property
    def features(self) -> tuple[Feature, ...]:
        """One hour."""
        return (Feature("hour", "hour of the day", "the moment"),)

    def expr(self, log: EventLog, keys: Any) -> Any:  # noqa: ARG002
        """The hour of each moment."""
        return keys.select(ROW, hour=((_hours(keys) + self.utc_offset) % 24).cast("float64"))


@dataclass(frozen=True)
class Scene:
    """The kind of the room, as its place in a declared list.

    The list is part of the feature, so a scene has the same number in training and in scoring.

    Args:
        scenes: the kinds of rooms, each once; the first is 0.
    """

    scenes: tuple[str, ...]
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _check_names("Scene", "scenes", self.scenes)

    @property
    def entity(self) -> tuple[str, ...]:
        """The room."""
        return (ROOM_ID,)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One code."""
        return (_code_feature("scene", self.scenes),)

    def expr(self, log: EventLog, keys: Any) -> Any:
        """The code of each room's scene."""
        return _codes(log, keys, SCENE, self.scenes)


@dataclass(frozen=True)
class Host:
    """The host of the room, as the place in a declared list.

    The list is part of the feature, so a host has the same number in training and in scoring.

    Args:
        hosts: the hosts, each once; the first is 0.
    """

    hosts: tuple[str, ...]
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _check_names("Host", "hosts", self.hosts)

    @property
    def entity(self) -> tuple[str, ...]:
        """The room."""
        return (ROOM_ID,)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One code."""
        return (_code_feature("host", self.hosts),)

    def expr(self, log: EventLog, keys: Any) -> Any:
        """The code of each room's host."""
        return _codes(log, keys, HOST, self.hosts)


@dataclass(frozen=True)
class Weekday:
    """The day of the week of ``as_of``, Monday 0 to Sunday 6, in a zone without summer time.

    Args:
        utc_offset: hours that the shop's clock is ahead of UTC; 8 for China.
    """

    utc_offset: int = 0
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _check_offset("Weekday", self.utc_offset)

    @property
    def entity(self) -> tuple[str, ...]:
        """Nothing but ``as_of``."""
        return ()

    @property
    def features(self) -> tuple[Feature, ...]:
        """One day."""
        return (Feature("weekday", "day of the week, Monday 0", "the moment"),)

    def expr(self, log: EventLog, keys: Any) -> Any:  # noqa: ARG002
        """The weekday of each moment; the epoch was a Thursday."""
        days = ((_hours(keys) + self.utc_offset) / 24).floor().cast("int64")
        return keys.select(ROW, weekday=((days + 3) % 7).cast("float64"))


@dataclass(frozen=True)
class RoomMinute:
    """Minutes from the start of the room to ``as_of``; 0 at its start, below 0 before it."""

    version: ClassVar[int] = 1

    @property
    def entity(self) -> tuple[str, ...]:
        """The room."""
        return (ROOM_ID,)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One duration."""
        return (Feature("room_minute", "minutes", "the room", "there is no such room"),)

    def expr(self, log: EventLog, keys: Any) -> Any:
        """Minutes by room and moment."""
        joined = keys.left_join(log.rooms.select(ROOM_ID, STARTS_AT), ROOM_ID, rname="room_{name}")
        return joined.select(ROW, room_minute=joined[AS_OF].delta(joined[STARTS_AT], unit="microsecond") / 60e6)


@dataclass(frozen=True)
class Position:
    """The position in the slate, from 1, as the keys have it.

    In training it is the logged one. In ranking give every product the same one (1), so that it cannot order them.
    """

    version: ClassVar[int] = 1

    @property
    def entity(self) -> tuple[str, ...]:
        """The position."""
        return (POSITION,)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One position."""
        return (Feature("position", "place from the top", "the moment", "the keys have none"),)

    def expr(self, log: EventLog, keys: Any) -> Any:  # noqa: ARG002
        """The position of each key."""
        return keys.select(ROW, position=keys[POSITION].cast("float64"))


def _check_offset(who: str, hours: int) -> None:
    if not -12 <= hours <= 14:
        raise ConfigError(f"{who}: utc_offset is {hours}; give whole hours from -12 to 14.")


def _check_names(who: str, what: str, names: tuple[str, ...]) -> None:
    if len(set(names)) != len(names) or not names:
        raise ConfigError(f"{who}: {what} are {names}; name at least one, and each once.")


def _code_feature(column: str, names: tuple[str, ...]) -> Feature:
    """What is said of a column of the rooms as its place in a declared list."""
    codes = ", ".join(f"{code} {name}" for code, name in enumerate(names))
    return Feature(column, f"code: {codes}", "the room", f"no such room, or its {column} is not in the list")


def _codes(log: EventLog, keys: Any, column: str, names: tuple[str, ...]) -> Any:
    """The place of each room's ``column`` in the list, none where it is not in it."""
    import ibis

    joined = keys.left_join(log.rooms.select(ROOM_ID, column), ROOM_ID, rname="room_{name}")
    cases = [(joined[column] == name, float(code)) for code, name in enumerate(names)]
    return joined.select(ROW, **{column: ibis.cases(*cases, else_=ibis.null("float64"))})


def _hours(keys: Any) -> Any:
    """Whole hours from 1970-01-01 UTC to ``as_of``; not ``.hour()``, which engines take in the zone of the session."""
    import ibis

    epoch = ibis.timestamp("1970-01-01T00:00:00Z")
    return (keys[AS_OF].delta(epoch, unit="microsecond") / 3_600_000_000).floor().cast("int64")
