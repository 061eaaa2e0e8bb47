"""Lift from a log in Parquet files that is larger than memory, read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from beautyrec.data.schema import CLICKED, PROPENSITY, USER_ID
from beautyrec.errors import EvaluationError, SchemaError, SourceError
from beautyrec.evaluation.estimate import Lift
from beautyrec.evaluation.evidence import Outcomes, SlateEvidence
from beautyrec.evaluation.lift import Rules, allowed, lifts_of
from beautyrec.evaluation.metrics import CTCVR, CTR, CVR, REVENUE_PER_IMPRESSION, Metric
from beautyrec.evaluation.off_policy import (
    DM,
    DR,
    IPS,
    SNDR,
    SNIPS,
    ClippedIPS,
    Estimator,
    ShrunkDR,
    SubGaussianDR,
    SwitchDR,
)
from beautyrec.evaluation.tally import HashArray, Tally, hashes
from beautyrec.types import FloatArray

BUCKETS = 2**16
"""Buckets of clusters: intervals are made from their sums, and their width is known to 0.3 %."""
ROW_BY_ROW = (IPS, SNIPS, ClippedIPS, DM, DR, SNDR, SwitchDR, ShrunkDR, SubGaussianDR)
"""Estimators that value a row from that row alone, so that a log may be read in parts."""
_AT_ONCE = 2**18
_PER_IMPRESSION = (CTR, CVR, CTCVR, REVENUE_PER_IMPRESSION)


@dataclass(frozen=True)
class LogColumns:
    """Names of the columns of a log with one impression a row.

    Args:
        cluster: what is independent of each other, whole numbers or texts: the user, as a rule.
        logging: chance of the item shown under the logging policy.
        target: its chance under the target policy.
        clicked: 0 or 1, or true and false.
        ordered: likewise; None where the log has no orders.
        revenue: money; None likewise.
        expected: for `DR` and its kin, of each outcome the two columns of a model's expectations: of the item shown, and the
            mean under the target policy.

    Raises:
        EvaluationError: a model of some of the outcomes but not of all.
    """

    cluster: str = USER_ID
    logging: str = PROPENSITY
    target: str = "target"
    clicked: str = CLICKED
    ordered: str | None = None
    revenue: str | None = None
    expected: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.expected and set(self.expected) != set(self.outcomes):
            raise EvaluationError(
                f"expected has {sorted(self.expected)}, the log {sorted(self.outcomes)}; a model is of all outcomes or none."
            )

    @property
    def outcomes(self) -> dict[str, str]:
        """The column of each outcome that is there."""
        named = {"clicked": self.clicked, "ordered": self.ordered, "revenue": self.revenue}
        return {name: column for name, column in named.items() if column is not None}

    @property
    def names(self) -> list[str]:
        """All columns that are read."""
        model = [name for pair in self.expected.values() for name in pair]
        return [self.cluster, self.logging, self.target, *self.outcomes.values(), *model]


class Part(NamedTuple):
    """Some rows of a log."""

    evidence: SlateEvidence
    """Their weights and outcomes."""
    hashed: HashArray
    """[B] hash of each row's cluster."""


def lift_from_parquet(
    path: Path | str,
    columns: LogColumns,
    *,
    estimators: Sequence[Estimator] | None = None,
    metrics: Sequence[Metric] | None = None,
    rules: Rules | None = None,
    buckets: int = BUCKETS,
) -> list[Lift]:
    """The lift of each metric by each estimator, as `beautyrec.evaluation.lift.lifts` finds it, from one reading of files.

    Rows are read some hundred thousand at a time, from one row group of a file after the other. What is kept does not grow
    with the log, but for the heaviest 1 % of its weights: sums over buckets of clusters, sums over weights, and a sketch of
    how many clusters there are. Whole clusters are dealt to buckets by a hash of their id. Values are those of the same
    rows in memory. So are intervals and verdicts where no two clusters share a bucket, as with a few hundred of them; with
    very many, intervals come from differences between buckets, which estimate the same spread.

    Each row is an impression and a request of its own. Metrics per viewer of a room are left out if None is given, as they
    need whole slates (`SlateEvidence.by_viewer`).

    Args:
        path: a Parquet file, or a folder of files that end in ``.parquet``.
        columns: what they are called.
        estimators: of those in `ROW_BY_ROW`; SNIPS, and DR where there is a model of the outcomes, if None.
        metrics: CTR, CVR, CTCVR and revenue per impression, as far as the outcomes allow, if None.
        rules: how intervals and verdicts are made; as `lifts` does if None.
        buckets: how many, at least 2.

    Raises:
        SourceError: the files are not there or not Parquet.
        SchemaError: a column is missing or of a type that cannot be read as what it should be.
        EvaluationError: values out of range (says in which rows), no rows, or an estimator that needs the whole log.

    Examples:
        >>> import tempfile, pandas as pd
        >>> rng = np.random.default_rng(0)
        >>> good = rng.random(4000) < 0.5  # half of the impressions showed the better item
        >>> frame = pd.DataFrame({"user_id": np.arange(4000), "propensity": 0.5, "target": np.where(good, 0.8, 0.2),
        ...                       "clicked": rng.random(4000) < np.where(good, 0.2, 0.1)})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     frame.to_parquet(f"{folder}/log.parquet")
        ...     lift = lift_from_parquet(folder, LogColumns())[0]
        >>> str(lift.verdict), lift.estimate.ci_low < 0.18 / 0.15 - 1 < lift.estimate.ci_high
        ('trust', True)
    """
    if buckets < 2:
        raise EvaluationError(f"buckets is {buckets}; at least 2 are needed.")
    if estimators is None:
        estimators = (SNIPS(), DR()) if columns.expected else (SNIPS(),)
    _check_estimators(estimators)
    names = list(columns.outcomes)
    chosen = [metric for metric in _PER_IMPRESSION if set(metric.needs) <= set(names)] if metrics is None else metrics
    chosen = allowed(chosen, names)
    files = _files(Path(path))
    keep = max(1, sum(_rows(file, columns) for file in files) // 100)
    total: Tally | None = None
    for part in parts(files, columns):
        tally = Tally.of(part.evidence, part.hashed, estimators, buckets, keep)
        total = tally if total is None else total + tally
    if total is None:
        raise EvaluationError(f"'{path}' has no rows.")
    ledgers = total.ledgers()
    return lifts_of(ledgers, [total.overlap()] * len(ledgers), chosen, rules or Rules())


def parts(files: Sequence[Path], columns: LogColumns) -> Iterator[Part]:
    """The rows of Parquet files, in order, some hundred thousand at a time.

    Raises:
        SchemaError: as `lift_from_parquet`.
        EvaluationError: likewise.
    """
    start = 0
    for batch in _batches(files, columns.names):
        stop = start + batch.num_rows
        try:
            yield _part(batch, columns)
        except EvaluationError as error:
            raise EvaluationError(f"rows {start:,} to {stop - 1:,}, counted anew from 0: {error}") from None
        start = stop


def _batches(files: Sequence[Path], names: list[str]) -> Iterator[pa.RecordBatch]:
    """One row group after the other: a reader of several keeps what it has decoded until it is closed."""
    for place in files:
        with pq.ParquetFile(place) as file:
            for group in range(file.num_row_groups):
                yield from file.iter_batches(batch_size=_AT_ONCE, row_groups=[group], columns=names)


def _part(batch: pa.RecordBatch, columns: LogColumns) -> Part:
    def wide(name: str) -> FloatArray:
        return _numbers(batch, name)[:, None]

    def outcomes(named: Mapping[str, str]) -> Outcomes:
        return Outcomes(**{outcome: wide(name) for outcome, name in named.items()})

    model = None
    if columns.expected:
        logged, target = ({name: pair[side] for name, pair in columns.expected.items()} for side in (0, 1))
        model = (outcomes(logged), outcomes(target))
    hashed = _hashed(batch, columns.cluster)
    evidence = SlateEvidence.of(
        target=wide(columns.target),
        logging=wide(columns.logging),
        outcomes=outcomes(columns.outcomes),
        cluster=hashed,
        expected=model,
    )
    return Part(evidence, hashed)


def _check_estimators(estimators: Sequence[Estimator]) -> None:
    whole = [each.name for each in estimators if not isinstance(each, ROW_BY_ROW)]
    if whole:
        raise EvaluationError(f"{whole} need the whole log at once and cannot read it in parts; use `lifts`.")
    if len({each.name for each in estimators}) < len(estimators):
        raise EvaluationError(f"estimators {[each.name for each in estimators]}: a name may be there only once.")


def _files(path: Path) -> list[Path]:
    """The file, or all in the folder by name."""
    if not path.exists():
        raise SourceError(f"'{path}' is not there.")
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise SourceError(f"'{path}' holds no file that ends in .parquet.")
    return files


def _rows(file: Path, columns: LogColumns) -> int:
    """How many rows a file has, once all columns that are read are found in it."""
    try:
        with pq.ParquetFile(file) as opened:
            rows, there = opened.metadata.num_rows, opened.schema_arrow.names
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"'{file}' cannot be read as Parquet: {str(error).splitlines()[0]}") from None
    missing = [name for name in columns.names if name not in there]
    if missing:
        raise SchemaError(f"'{file}': columns {missing} are missing; there are {sorted(there)}.")
    return int(rows)


def _numbers(batch: pa.RecordBatch, name: str) -> FloatArray:
    """[B] a column as floats, NaN where it is missing."""
    column = batch.column(name)
    try:
        plain = pc.cast(column, pa.int8()) if pa.types.is_boolean(column.type) else column
        return np.asarray(pc.cast(plain, pa.float64()).to_numpy(zero_copy_only=False))
    except pa.ArrowException:
        raise SchemaError(f"column '{name}' is of type {column.type}; numbers are needed.") from None


def _hashed(batch: pa.RecordBatch, name: str) -> HashArray:
    """[B] hash of the ids of a column."""
    column = batch.column(name)
    if column.null_count:
        raise EvaluationError(f"column '{name}': {column.null_count} ids are missing. Give each row its cluster.")
    if pa.types.is_integer(column.type):
        return hashes(column.to_numpy(zero_copy_only=False))
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    kinds: Any = encoded.type.value_type
    if not (pa.types.is_string(kinds) or pa.types.is_large_string(kinds) or pa.types.is_integer(kinds)):
        raise SchemaError(f"column '{name}' is of type {column.type}; ids are whole numbers or texts.")
    ids: npt.NDArray[Any] = encoded.dictionary.to_numpy(zero_copy_only=False)
    found: HashArray = hashes(ids)[encoded.indices.to_numpy(zero_copy_only=False)]
    return found
