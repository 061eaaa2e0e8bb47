"""Files and folders that are there whole or not at all.

What is written goes to a temporary name beside its place, is flushed to the disk, and is renamed into place at the end.
A run that is cut off, or an error half way, leaves what was there before.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from beautyrec.errors import ConfigError


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """A temporary path to write to; it becomes ``path`` when the block ends without an error.

    The temporary name has the suffix of ``path`` and lies in the same folder, which is made if it is absent. On an
    error it is removed and ``path`` stays as it was.

    Args:
        path: where the file shall lie. A file that is there already is replaced.

    Yields:
        The path to write; nothing is there yet.

    Raises:
        FileNotFoundError: the block ended without having written the file.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with atomic_file(folder / "answer.txt") as temporary:
        ...     _ = temporary.write_text("42")
        >>> [file.name for file in folder.iterdir()], (folder / "answer.txt").read_text()
        (['answer.txt'], '42')
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        yield temporary
        if not temporary.is_file():
            raise FileNotFoundError(f"nothing was written for '{path}': write to the path that atomic_file gives.")
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder to fill; it becomes ``path`` when the block ends without an error.

    A folder that lies at ``path`` already is replaced as a whole: what was in it and is not in the new one is gone. The
    two change places in one step, where the system can do that (Linux, on most file systems). Elsewhere two renames do
    it, so a reader may see no folder for an instant, but never a mixed one.

    Args:
        path: where the folder shall lie.

    Yields:
        An empty folder beside ``path``.

    Raises:
        NotADirectoryError: a file lies at ``path``.

    Examples:
        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "model"
        >>> with atomic_folder(place) as temporary:
        ...     _ = (temporary / "a.txt").write_text("a")
        >>> [file.name for file in place.iterdir()]
        ['a.txt']
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(
            f"'{path}' is a file; a folder was to be written there. Remove it or name another place."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    temporary.mkdir()
    try:
        yield temporary
        for place in [*temporary.rglob("*"), temporary]:
            _flush(place)
        _swap(temporary, path)
        _flush(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def held_alone(path: Path, otherwise: str) -> Iterator[None]:
    """Hold a file or folder for this process; the system lets go of it when the process ends, however it does.

    Args:
        path: a folder that is there, or a file, which is made if it is absent.
        otherwise: what the error says.

    Raises:
        ConfigError: another process, or another block of this one, holds it.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with held_alone(folder, "taken"), held_alone(folder, "taken"):
        ...     pass
        Traceback (most recent call last):
        beautyrec.errors.ConfigError: taken
    """
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    handle = os.open(path, flags | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(otherwise) from None
        yield
    finally:
        os.close(handle)


def _beside(path: Path) -> Path:
    """An unused hidden name in the folder of ``path``, with its suffix."""
    return path.with_name(f".{path.stem}.{secrets.token_hex(4)}.tmp{path.suffix}")


def _swap(new: Path, path: Path) -> None:
    """Rename ``new`` to ``path``; what lay there comes back if that fails, and is removed if not."""
    if not path.exists():
        new.rename(path)
        return
    if _exchange(new, path):
        shutil.rmtree(new, ignore_errors=True)
        return
    old = _beside(path)
    path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Let two places in one file system change their names in one step; false where the system does not do that."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    at_here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(rename(at_here, os.fsencode(one), at_here, os.fsencode(other), exchange) == 0)


def _flush(path: Path) -> None:
    """Ask the system to put a file, or the entries of a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
