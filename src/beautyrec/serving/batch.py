"""Scoring everyone: shards of a table of users over spawned processes, each written whole or not at all.

==================  ==================================================================================================
``job.json``        what is computed: the artifact, the users, the plan; a job that is started again has to be this one
``part-00012...``   the answers for one shard of rows, as Parquet; written under another name, flushed and renamed
``shards.json``     written last: rows, size and SHA-256 of every shard; where it is there, the job is done
==================  ==================================================================================================

A job that was killed goes on where it was: shards that are there are whole, and the others are computed again, to the same
bytes. A processor's memory holds one shard a process, whatever the number of users.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any

import beautyrec
from beautyrec.errors import ArtifactError, ConfigError, SchemaError
from beautyrec.files import atomic_file
from beautyrec.models.base import OnUnknown, Recommender
from beautyrec.serving.batch_files import SHARDS, Group, begin, digest, files_of, held, row_groups
from beautyrec.serving.scorer import Scorer
from beautyrec.types import Progress

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class BatchPlan:
    """What everyone is to get."""

    k: int = 50
    """Items for each user; only for models that rank."""
    exclude_seen: bool = True
    """Leave out what the user took in training; likewise."""
    on_unknown: OnUnknown = "fallback"
    """Users the model has not seen raise, get what is popular (``"fallback"``), or are left out (``"skip"``)."""
    shard_users: int = 20_000
    """Rows of the users' table in a shard."""

    def __post_init__(self) -> None:
        wrong = {name: getattr(self, name) for name in ("k", "shard_users") if getattr(self, name) < 1}
        if wrong or self.on_unknown not in ("raise", "fallback", "skip"):
            raise ConfigError(f"{self}: k and shard_users have to be at least 1, on_unknown raise, fallback or skip.")


@dataclass(frozen=True)
class Shard:
    """A shard that was written.

    Args:
        name: of its file.
        rows: in it.
        bytes: its size.
        sha256: its checksum, in hexadecimal.
    """

    name: str
    rows: int
    bytes: int
    sha256: str


def answer_table(scorer: Scorer, rows: pa.Table, plan: BatchPlan) -> pa.Table:
    """The answers for some rows of a table: what a shard holds, and what any engine that hands out Arrow may call.

    Args:
        scorer: a model that ranks, or a funnel model.
        rows: with ``user_id``, or with the features of a funnel model.
        plan: what is wanted.

    Returns:
        ``user_id, item_id, score, rank, path``; for a funnel model ``user_id`` and ``item_id`` where the rows have them, and
        the chances of each row.
    """
    if isinstance(scorer.artifact.model, Recommender):
        lists = scorer.traced().recommend(
            rows.select(["user_id"]), plan.k, exclude_seen=plan.exclude_seen, on_unknown=plan.on_unknown
        )
        return lists.drop_columns(["artifact", "search"])
    said = scorer.score(rows)
    for name in ("item_id", "user_id"):
        if name in rows.column_names:
            said = said.add_column(0, name, rows.column(name))
    return said


def score_users(
    artifact: str | Path,
    users: str | Path,
    out: str | Path,
    plan: BatchPlan | None = None,
    *,
    workers: int = 1,
    on_progress: Progress | None = None,
) -> tuple[Shard, ...]:
    """Score all rows of a table into a folder, or go on with a job that was cut off.

    Args:
        artifact: a folder that :func:`~beautyrec.serving.artifact.write_artifact` has written.
        users: a Parquet file, or a folder of them, with ``user_id`` (for a funnel model: its features).
        out: a folder; it is made if it is absent. It may hold an earlier start of the same job.
        plan: what everyone is to get.
        workers: processes, each with one thread; 1 works in this one.
        on_progress: called with the shards that are done and all of them.

    Returns:
        The shards, in the order of the rows.

    Raises:
        ArtifactError: the artifact is not sound, or was replaced meanwhile.
        SourceError: there are no users to be read, or ``out`` holds something else.
        ConfigError: ``out`` holds another job, or another process is at it.
        SchemaError: the users have no column ``user_id``, or what their columns hold does not fit the model.
    """
    plan, place = plan or BatchPlan(), Path(out)
    scorer = Scorer.load(artifact)
    files = files_of(Path(users))
    groups = row_groups(files)
    rows = sum(size for *_, size in groups)
    count = -(-rows // plan.shard_users)
    with held(place):
        begin(place, job_of(scorer, files, rows, plan))
        task = _Task(Path(artifact).absolute(), scorer.artifact.fingerprint, groups, place.absolute(), plan)
        shards = _run(task, count, min(workers, count), on_progress)
        finish(place, shards)
    return shards


def job_of(scorer: Scorer, files: tuple[Path, ...], rows: int, plan: BatchPlan) -> dict[str, Any]:
    """What a job computes, as ``job.json`` holds it."""
    return {
        "artifact": scorer.artifact.fingerprint,
        "users": digest(files),
        "rows": rows,
        "plan": asdict(plan),
        "package": beautyrec.__version__,
    }


def shard_at(path: Path) -> Shard:
    """What a shard's file holds."""
    import pyarrow.parquet as pq

    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return Shard(path.name, pq.read_metadata(path).num_rows, path.stat().st_size, sha256)


def finish(out: Path, shards: tuple[Shard, ...]) -> None:
    """Writes ``shards.json``: the job is done."""
    listed = {"shards": [asdict(shard) for shard in shards], "rows": sum(shard.rows for shard in shards)}
    with atomic_file(out / SHARDS) as temporary:
        temporary.write_text(json.dumps(listed, indent=1) + "\n")


@dataclass(frozen=True)
class _Task:
    """All that a process needs to know to write a shard."""

    artifact: Path
    fingerprint: str
    groups: tuple[Group, ...]
    out: Path
    plan: BatchPlan

    def shard(self, number: int) -> Shard:
        """Writes the shard if it is not there, and says what is in it."""
        import pyarrow.parquet as pq

        path = self.out / f"part-{number:05d}.parquet"
        if not path.exists():
            scorer = same_scorer(self.artifact, self.fingerprint)
            rows = self._rows(number, scorer)
            with atomic_file(path) as temporary:
                pq.write_table(answer_table(scorer, rows, self.plan), temporary, compression="zstd")
        return shard_at(path)

    def _rows(self, number: int, scorer: Scorer) -> pa.Table:
        """The rows of a shard, read from the row groups that it lies in."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        names = ["user_id"] if isinstance(scorer.artifact.model, Recommender) else None
        first, parts, start = number * self.plan.shard_users, [], 0
        last = first + self.plan.shard_users
        for path, group, size in self.groups:
            if start < last and start + size > first:
                with pq.ParquetFile(path) as file:
                    if names and "user_id" not in file.schema_arrow.names:
                        raise SchemaError(
                            f"'{path}': column 'user_id' is missing; there are {file.schema_arrow.names}."
                        )
                    part = file.read_row_group(group, columns=names)
                begin = max(0, first - start)
                parts.append(part.slice(begin, min(size, last - start) - begin))
            start += size
        return pa.concat_tables(parts)


def _run(task: _Task, count: int, workers: int, on_progress: Progress | None) -> tuple[Shard, ...]:
    """All shards, in order."""
    done = on_progress or (lambda _done, _all: None)
    found: dict[int, Shard] = {}
    if workers <= 1:
        for number in range(count):
            found[number] = task.shard(number)
            done(len(found), count)
        return tuple(found.values())
    with _one_thread_each(), ProcessPoolExecutor(workers, get_context("spawn"), _end_with_parent) as pool:
        numbers: dict[Future[Shard], int] = {pool.submit(task.shard, number): number for number in range(count)}
        try:
            for future in as_completed(numbers):
                found[numbers[future]] = future.result()
                done(len(found), count)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return tuple(found[number] for number in range(count))


@lru_cache(maxsize=1)
def same_scorer(artifact: Path, fingerprint: str) -> Scorer:
    """The scorer of this process, which has to be the one that the job was begun with."""
    scorer = Scorer.load(artifact)
    if scorer.artifact.fingerprint != fingerprint:
        raise ArtifactError(
            f"artifact '{artifact}' was replaced while everyone was scored with it. Write to a new folder."
        )
    return scorer


def _end_with_parent() -> None:
    """Ends this process when the one that began it is killed; it would wait for work for ever."""
    parent = parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """The environment in which new processes compute with one thread; as it was afterwards."""
    key = "OMP_NUM_THREADS"
    before = os.environ.get(key)
    os.environ[key] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[key]
        else:
            os.environ[key] = before
