"""Scoring everyone on a cluster: the same scorer and the same answers, by Spark's ``mapInArrow`` over the users.

The executors need the package (its base install) and a path to the artifact. Each Python process of theirs maps the artifact
into memory once; rows come and go as Arrow.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from beautyrec import errors
from beautyrec.engine import SparkEngine
from beautyrec.errors import SchemaError
from beautyrec.models.base import Recommender
from beautyrec.serving.batch import BatchPlan, Shard, answer_table, finish, job_of, same_scorer, shard_at
from beautyrec.serving.batch_files import SHARDS, begin, files_of, held, row_groups
from beautyrec.serving.scorer import Scorer

_RAW = ".part-of-spark"
"""Where Spark writes before its files are moved to their places."""


def answers(users: Any, artifact: str | Path, plan: BatchPlan) -> Any:
    """The answers for all rows of a Spark frame, as another one: nothing runs before it is asked for.

    For users and answers that lie anywhere Spark reads and writes; :func:`score_users_on_spark` is for files.

    Args:
        users: a ``pyspark.sql.DataFrame`` with ``user_id`` (for a funnel model: its features).
        artifact: a folder at a path that every executor reaches.
        plan: what everyone is to get; its ``shard_users`` plays no part here.

    Returns:
        A frame of the columns of :func:`~beautyrec.serving.batch.answer_table`, in no certain order.

    Raises:
        ArtifactError: the artifact is not sound.
        SchemaError: the users have no column ``user_id``, or ids of another type than the model's.
    """
    from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

    folder, scorer = Path(artifact).absolute(), Scorer.load(artifact)
    fingerprint = scorer.artifact.fingerprint
    if isinstance(scorer.artifact.model, Recommender):
        if "user_id" not in users.columns:
            raise SchemaError(f"users: column 'user_id' is missing; there are {users.columns}.")
        users = users.select("user_id")
    none = to_arrow_schema(users.schema).empty_table()
    kinds = from_arrow_schema(answer_table(scorer, none, plan).schema)
    shape = to_arrow_schema(kinds)

    def answer(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = pa.Table.from_batches([batch])
            yield from answer_table(same_scorer(folder, fingerprint), rows, plan).cast(shape).to_batches()

    return users.mapInArrow(answer, kinds)


def score_users_on_spark(
    engine: SparkEngine, artifact: str | Path, users: str | Path, out: str | Path, plan: BatchPlan | None = None
) -> tuple[Shard, ...]:
    """Score all rows of Parquet files into a folder, as :func:`~beautyrec.serving.batch.score_users` does.

    A job that was killed begins again from the start, and no row is there twice; one that is done is not done again. Which
    rows lie in which shard is Spark's to say.

    Args:
        engine: where it runs.
        artifact: the folder of the artifact; like the other two at a path that every executor reaches.
        users: a Parquet file, or a folder of them.
        out: a folder; it is made if it is absent.
        plan: what everyone is to get.

    Returns:
        The shards.

    Raises:
        ArtifactError: the artifact is not sound, or was replaced meanwhile.
        SourceError: there are no users to be read, or ``out`` holds something else.
        ConfigError: ``out`` holds another job, or another process is at it.
        SchemaError: the users have no column ``user_id``, or what their columns hold does not fit the model.
    """
    plan, place = plan or BatchPlan(), Path(out)
    files = files_of(Path(users))
    rows = sum(size for *_, size in row_groups(files))
    with held(place):
        begin(place, job_of(Scorer.load(artifact), files, rows, plan) | {"engine": "spark"})
        if not (place / SHARDS).exists():
            frame = engine.session.read.parquet(*map(str, files))
            _write(answers(frame.repartition(max(1, -(-rows // plan.shard_users))), artifact, plan), place)
        shards = tuple(shard_at(path) for path in sorted(place.glob("part-*.parquet")))
        finish(place, shards)
    return shards


def _write(found: Any, place: Path) -> None:
    """Runs the job and puts its files into their places, beside none of a job that was killed."""
    raw = place / _RAW
    shutil.rmtree(raw, ignore_errors=True)
    for path in place.glob("part-*"):
        path.unlink()
    with _own_errors():
        found.write.parquet(str(raw.absolute()), compression="zstd")
    for number, path in enumerate(sorted(raw.glob("part-*.parquet"))):
        path.replace(place / f"part-{number:05d}.parquet")
    shutil.rmtree(raw)


@contextmanager
def _own_errors() -> Iterator[None]:
    """What an executor raised on purpose, raised here as the same error rather than as a trace of Java."""
    from pyspark.errors import PySparkException

    try:
        yield
    except PySparkException as error:
        said = re.search(r"beautyrec\.errors\.(\w+): (.+)", str(error))
        kind = getattr(errors, said.group(1), None) if said else None
        if said is None or kind is None:
            raise
        raise kind(said.group(2)) from None
