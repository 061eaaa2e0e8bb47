"""From a TOML table to a frozen dataclass, with errors that name the file and the key."""

from __future__ import annotations

import dataclasses
import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from beautyrec.errors import ConfigError

T = TypeVar("T")


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        ConfigError: the file is absent or is not TOML; says where it stops being so.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file. Check the path, or start from configs/demo.toml.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, IsADirectoryError) as error:
        raise ConfigError(f"{path}: this is not a TOML file: {error}. Mend it there.") from None


def from_table(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """An instance of the frozen dataclass ``cls`` from a TOML table; nested tables become nested dataclasses.

    Args:
        cls: a dataclass; its fields are the keys, its defaults hold for the keys that are absent.
        table: the table; an integer may stand for a float, a list for a tuple, nothing else is converted.
        where: what to call the table in an error, for instance ``"configs/demo.toml [world]"``.

    Raises:
        ConfigError: an unknown key (names the nearest known one), a wrong type, or a value that ``cls`` refuses.

    Examples:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Window:
        ...     days: int = 7
        >>> from_table(Window, {"days": 30}, "example [window]")
        Window(days=30)
    """
    from pydantic import TypeAdapter, ValidationError  # here, so that a process that only scores does not wait for it

    for key, known in _unknown_keys(cls, table):
        near = difflib.get_close_matches(key.rpartition(".")[2], known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "remove it."
        raise ConfigError(f"{where}: unknown key '{key}'; known are {', '.join(sorted(known))}; {hint}")
    try:
        return TypeAdapter(cls).validate_json(json.dumps(dict(table)), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "the table"
        given = f" (given: {first['input']!r})" if first["loc"] and first["type"] != "missing" else ""
        more = f"; {error.error_count() - 1} more" if error.error_count() > 1 else ""
        raise ConfigError(f"{where}: key '{key}': {first['msg']}{given}{more}. Correct it.") from None
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    except TypeError as error:
        raise ConfigError(f"{where}: a value of a kind that settings do not have: {error}. Correct it.") from None


def _unknown_keys(cls: Any, table: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, list[str]]]:
    """Each key of ``table`` that ``cls`` does not have, with the keys it has."""
    hints = get_type_hints(cls)
    known = [field.name for field in dataclasses.fields(cls) if field.init]
    for key, value in table.items():
        if key not in known:
            yield path + key, known
        else:
            for inner, part in _tables(hints[key], value):
                yield from _unknown_keys(inner, part, f"{path}{key}.")


def _tables(hint: Any, value: Any) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """The tables in a value that stand for dataclasses: the value itself, or those in a list or under names."""
    if dataclasses.is_dataclass(hint):
        if isinstance(value, Mapping):
            yield hint, value
        return
    inner = next((part for part in reversed(get_args(hint)) if dataclasses.is_dataclass(part)), None)
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for part in parts if inner is not None else ():
        yield from _tables(inner, part)
