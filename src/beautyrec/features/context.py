"""Features of the occasion: the hour, the kind of room, the position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from beautyrec.data.log import EventLog
from beautyrec.data.schema import HOST, POSITION, ROOM_ID, SCENE, STARTS_AT
from beautyrec.errors import ConfigError
from beautyrec.features.builder import MOMENT, Feature, Looked, Need


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

    def needs(self, log: EventLog) -> Mapping[str, Need]:  # noqa: ARG002
        """Nothing."""
        return {}

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """The hour of each moment."""
        return {"hour": (_hours(known) + self.utc_offset) % 24}


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

    def needs(self, log: EventLog) -> Mapping[str, Need]:
        """The scene of each room."""
        return {"name": Looked(log.rooms, (ROOM_ID,), SCENE)}

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """Its code."""
        return {"scene": _code(known["name"], self.scenes)}


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

    def needs(self, log: EventLog) -> Mapping[str, Need]:
        """The host of each room."""
        return {"name": Looked(log.rooms, (ROOM_ID,), HOST)}

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """Its code."""
        return {"host": _code(known["name"], self.hosts)}


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

    def needs(self, log: EventLog) -> Mapping[str, Need]:  # noqa: ARG002
        """Nothing."""
        return {}

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """The weekday of each moment; the epoch was a Thursday."""
        days = ((_hours(known) + self.utc_offset) / 24).floor().cast("int64")
        return {"weekday": (days + 3) % 7}


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

    def needs(self, log: EventLog) -> Mapping[str, Need]:
        """The start of each room."""
        starts = log.rooms.select(ROOM_ID, start=log.engine.microseconds(log.rooms[STARTS_AT]))
        return {"start": Looked(starts, (ROOM_ID,), "start")}

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """Minutes from it."""
        return {"room_minute": (known[MOMENT] - known["start"]) / 60e6}


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

    def needs(self, log: EventLog) -> Mapping[str, Need]:  # noqa: ARG002
        """Nothing."""
        return {}

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """The position of each key."""
        return {"position": known[POSITION]}


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


def _code(name: Any, names: tuple[str, ...]) -> Any:
    """The place of each name in the list, none where it is not in it."""
    import ibis

    return ibis.cases(*((name == each, float(code)) for code, each in enumerate(names)), else_=ibis.null("float64"))


def _hours(known: Mapping[str, Any]) -> Any:
    """Whole hours from 1970-01-01 UTC to the moment; not ``.hour()``, which engines take in the zone of the session."""
    return (known[MOMENT] / 3.6e9).floor().cast("int64")
