"""Where trials lie: a journal file that any process of a machine writes to, or a database that machines share."""

from __future__ import annotations

import fcntl
import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from beautyrec.campaign.samplers import optuna
from beautyrec.errors import MissingExtraError, StateError


def open_storage(place: str | Path) -> Any:
    """A storage of Optuna, or an address that Optuna opens.

    Args:
        place: the path of a journal file, or the address of a database.

    Raises:
        MissingExtraError: the driver of PostgreSQL is not installed.
    """
    if "://" in str(place):
        return _with_driver(str(place))
    path = Path(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    return optuna().storages.JournalStorage(_journal(path))


def shown(place: str | Path) -> str:
    """A place as it may be shown: without a password.

    Examples:
        >>> shown("postgresql://month:secret@host/trials")
        'postgresql://month@host/trials'
    """
    return re.sub(r"(?<=://)([^:@/]*):[^@/]*@", r"\1@", str(place))


class FileLock:
    """The lock of a journal file. The system frees it when its holder dies, however that comes about.

    Who takes it cuts off a last line that a killed process did not finish.

    Args:
        path: of the journal.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: BinaryIO | None = None

    def acquire(self) -> bool:
        """Wait for the lock and take it."""
        handle = self._path.with_name(self._path.name + ".lock").open("ab")
        fcntl.flock(handle, fcntl.LOCK_EX)
        self._handle = handle
        _mend(self._path)
        return True

    def release(self) -> None:
        """Give it back."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None


def _journal(path: Path) -> Any:
    """A journal file whose failures say what to do; a line that did not fit is cut off by whoever writes next."""
    module = optuna().storages.journal

    class Journal(module.JournalFileBackend):  # type: ignore[misc, name-defined]
        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            try:
                super().append_logs(logs)
            except OSError as error:
                raise StateError(
                    f"'{path}' cannot be written: {error}. What it holds is kept; make room and run it again."
                ) from None

    return Journal(str(path), lock_obj=FileLock(path))


def _with_driver(address: str) -> str:
    """The address of a database; PostgreSQL is reached by psycopg unless it names another driver."""
    head, rest = address.split("://", 1)
    if head not in ("postgresql", "postgresql+psycopg"):
        return address
    if find_spec("psycopg") is None:
        raise MissingExtraError("psycopg", "postgres")
    return f"postgresql+psycopg://{rest}"


def _mend(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb+") as handle:
        end = handle.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - 4096)
            handle.seek(start)
            place = handle.read(end - start).rfind(b"\n")
            if place >= 0 or start == 0:
                keep = start + place + 1
                if keep < handle.seek(0, os.SEEK_END):
                    handle.truncate(keep)
                return
            end = start
