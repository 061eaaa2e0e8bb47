"""The files of a scoring job: the users it reads, the folder it alone writes to, and the note of what it computes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from beautyrec.errors import ConfigError, SourceError
from beautyrec.files import atomic_file, held_alone

JOB, SHARDS = "job.json", "shards.json"

Group = tuple[Path, int, int]
"""A file, the number of a row group in it, and its rows."""


def files_of(users: Path) -> tuple[Path, ...]:
    """The file, or those of the folder in the order of their names.

    Raises:
        SourceError: there are none.
    """
    files = tuple(sorted(users.glob("*.parquet"))) if users.is_dir() else (users,)
    if not files or not all(path.is_file() for path in files):
        raise SourceError(f"users: '{users}' is no Parquet file and no folder of them. Check the path.")
    return tuple(path.absolute() for path in files)


def row_groups(files: tuple[Path, ...]) -> tuple[Group, ...]:
    """All row groups, in the order of the rows.

    Raises:
        SourceError: a file is not of Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    found: list[Group] = []
    for path in files:
        try:
            metadata = pq.read_metadata(path)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"users: '{path}' cannot be read as Parquet: {error}. Write it again.") from None
        found += [(path, group, metadata.row_group(group).num_rows) for group in range(metadata.num_row_groups)]
    return tuple(found)


def digest(files: tuple[Path, ...]) -> str:
    """A checksum of the contents of files, in their order."""
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as content:
            total.update(hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()


@contextmanager
def held(out: Path) -> Iterator[None]:
    """The folder, for this process alone; the system lets go of it when the process ends, however it does.

    Raises:
        SourceError: a file lies there.
        ConfigError: another process has it.
    """
    if out.exists() and not out.is_dir():
        raise SourceError(f"'{out}' is a file; a folder is to be written there. Remove it or name another place.")
    out.mkdir(parents=True, exist_ok=True)
    with held_alone(out, f"another process is writing to '{out}'. Wait for it, or name another place."):
        yield


def begin(out: Path, job: dict[str, Any]) -> None:
    """Notes what is computed, or sees that it is the same as before; removes what a killed process left half written.

    Raises:
        SourceError: the folder holds something else.
        ConfigError: it holds another job.
    """
    path = out / JOB
    strange = sorted(file.name for file in out.iterdir() if not _is_ours(file.name))
    if strange or (not path.exists() and any(file.name.startswith("part-") for file in out.iterdir())):
        raise SourceError(f"'{out}' holds something else: {strange[:3] or 'parts of no job'}. Name an empty folder.")
    for file in out.glob(".*.tmp.*"):
        file.unlink(missing_ok=True)
    if not path.exists():
        with atomic_file(path) as temporary:
            temporary.write_text(json.dumps(job, indent=1) + "\n")
        return
    before = json.loads(path.read_text())
    other = sorted(key for key in {*before, *job} if before.get(key) != job.get(key))
    if other:
        raise ConfigError(f"'{out}' holds the job of another {', '.join(other)}. Name an empty folder, or remove it.")


def _is_ours(name: str) -> bool:
    return name in (JOB, SHARDS) or (name.startswith((".part-", "part-", ".job", ".shards")))
