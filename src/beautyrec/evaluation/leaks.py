"""Leaks: what a table of training rows knows that it could not have known when it mattered.

Five kinds are looked for, each from the tables alone: a column that parts the labels by itself, a copy of the label under
another name, a value known only at or after the moment of its row, ids that tell the label by how they are written, and
rows or times that train and test share.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.prediction import auc
from beautyrec.types import BoolArray, FloatArray, IntArray

SEPARATES: Final = "separates the labels"
COPY: Final = "copy of the label"
FUTURE: Final = "known after the row"
ID: Final = "id tells the label"
OVERLAP: Final = "train and test overlap"

_LEVELS: Final = 256
_MODULI: Final = range(2, 11)
_ENDS: Final = (1, 2, 3)


class Leak(NamedTuple):
    """One thing found, with its evidence."""

    kind: str
    """What it is: one of the names at the top of the module."""

    column: str
    """Where it was found."""

    value: float
    """AUC, correlation, or number of rows, as the kind has it."""

    limit: float
    """The value that a clean column does not pass."""

    evidence: str
    """What was seen, in words."""


@dataclass(frozen=True)
class Columns:
    """What the columns of a table of rows are.

    Args:
        label: what is to be predicted, true or false.
        features: what it is to be predicted from.
        ids: what names users, items, requests.
        row: columns that together name a row; train and test share none.
        as_of: the moment from which a row looks back.
        times: when values of the row became known; all lie before ``as_of``.
    """

    label: str
    features: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    row: tuple[str, ...] = ()
    as_of: str | None = None
    times: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """How much is too much.

    Args:
        auc: what one feature alone may reach.
        id_auc: what the writing of an id alone may reach.
        correlation: what a column of two values may have with the label.
        least: rows with and without the label that an AUC needs.
    """

    auc: float = 0.98
    id_auc: float = 0.9
    correlation: float = 0.98
    least: int = 20

    def __post_init__(self) -> None:
        given = {"auc": self.auc, "id_auc": self.id_auc, "correlation": self.correlation}
        wrong = {name: value for name, value in given.items() if not 0.5 < value < 1}
        if wrong or self.least < 2:
            raise EvaluationError(
                f"Limits: {wrong or {'least': self.least}}; give shares in (0.5, 1), least of 2 or more."
            )


def find_leaks(
    train: pd.DataFrame,
    columns: Columns,
    rng: np.random.Generator,
    *,
    test: pd.DataFrame | None = None,
    limits: Limits = Limits(),
) -> tuple[Leak, ...]:
    """What in some rows could not have been known.

    A feature is held against the label as it stands, with gaps as the lowest and as the highest value, and by the rate
    of the label at each of its values (or of 256 groups of them) in one random half, judged on the other. An id is held
    against it as an order, by its length, by its first and last characters and by the remainders of whole numbers.

    Args:
        train: the rows; not changed.
        columns: what they are.
        rng: for the halves.
        test: rows of the other side of the split, where there is one.
        limits: how much is too much.

    Returns:
        The leaks in the order of the columns; none where nothing was found, which is no proof that there is none.

    Raises:
        EvaluationError: a column is absent, the label is not true or false, or has too few of one of the two.

    Examples:
        >>> rows = pd.DataFrame({"clicked": [0, 1] * 50, "price": range(100), "paid": [0, 1] * 50})
        >>> found = find_leaks(rows, Columns("clicked", ("price", "paid")), np.random.default_rng(0))
        >>> [(leak.kind, leak.column) for leak in found]
        [('copy of the label', 'paid')]
    """
    _check_columns(train, columns, test)
    y = _label(train[columns.label], limits)
    half = rng.random(len(y)) < 0.5
    found = [leak for name in columns.features for leak in _of_feature(name, train[name], y, half, limits)]
    found += [leak for name in columns.ids for leak in _of_id(name, train[name], y, half, limits)]
    for side, rows in (("train", train), ("test", test)):
        if rows is not None and columns.as_of is not None:
            found += _from_the_future(rows, columns, side)
    if test is not None:
        found += _shared(train, test, columns)
    return tuple(found)


def refuse_leaks(found: tuple[Leak, ...]) -> None:
    """Raise if anything was found.

    Raises:
        EvaluationError: how many leaks there are, and the evidence of each.

    Examples:
        >>> refuse_leaks(())
    """
    if found:
        lines = "; ".join(f"'{leak.column}': {leak.kind}: {leak.evidence}" for leak in found)
        raise EvaluationError(
            f"leaks: {len(found)} found: {lines}. Leave those columns out, or mend how they are made."
        )


def quality_report(train: pd.DataFrame, test: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row a column: how full it is, how many values it has, and whether the test side is like it.

    Returns:
        ``column, kind, missing`` (share of rows), ``distinct`` (values), ``constant`` (one value or none), and, with
        ``test``, ``missing_test`` and ``new_in_test`` (share of the test rows whose value train does not have).

    Examples:
        >>> quality_report(pd.DataFrame({"price": [3.0, None], "shop": ["a", "a"]}))[["column", "missing", "constant"]]
          column  missing  constant
        0  price      0.5      True
        1   shop      0.0      True
    """
    rows = []
    for name, column in train.items():
        distinct = column.nunique()
        row = {"column": name, "kind": str(column.dtype), "missing": column.isna().mean(), "distinct": distinct}
        row["constant"] = distinct <= 1
        if test is not None and name in test:
            other = test[name]
            row["missing_test"] = other.isna().mean()
            row["new_in_test"] = float((~other.isin(column.dropna()) & other.notna()).mean())
        rows.append(row)
    return pd.DataFrame(rows)


def _check_columns(train: pd.DataFrame, columns: Columns, test: pd.DataFrame | None) -> None:
    wanted = {columns.label, *columns.features, *columns.ids, *columns.row, *columns.times}
    wanted |= {columns.as_of} if columns.as_of is not None else set()
    absent = sorted(wanted - set(train))
    absent_test = sorted({*columns.row, *columns.times} - set(test)) if test is not None else []
    if absent or absent_test:
        raise EvaluationError(f"leaks: train lacks {absent}, test lacks {absent_test}. Name columns that are there.")


def _label(column: pd.Series, limits: Limits) -> BoolArray:
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = int((~np.isin(values, (0.0, 1.0))).sum())
    positives = int((values == 1).sum())
    if wrong or min(positives, len(values) - positives) < limits.least:
        raise EvaluationError(
            f"leaks: label '{column.name}' is true in {positives} of {len(values)} rows and neither true nor false in "
            f"{wrong}; at least {limits.least} of each are needed, and no gaps. Take more rows."
        )
    truth: BoolArray = values == 1
    return truth


def _of_feature(name: str, column: pd.Series, y: BoolArray, half: BoolArray, limits: Limits) -> Iterator[Leak]:
    """The leak of one feature, if it is one: a copy before a mere separation."""
    codes, levels = pd.factorize(column, use_na_sentinel=False)
    if len(levels) == 2:
        alike = abs(float(np.corrcoef(codes, y)[0, 1]))
        if alike > limits.correlation:
            same = max(float((codes == y).mean()), float((codes != y).mean()))
            words = f"two values, the label in {same:.2%} of {len(y)} rows"
            yield Leak(COPY, name, alike, limits.correlation, words)
            return
    best = max(_aucs(column, codes, y, half))
    if best > limits.auc:
        yield Leak(SEPARATES, name, best, limits.auc, f"AUC {best:.4f} alone, on {len(y)} rows ({int(y.sum())} true)")


def _aucs(column: pd.Series, codes: IntArray, y: BoolArray, half: BoolArray) -> Iterator[float]:
    """How well a column parts the label, in each way of reading it."""
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        values = _numbers(column)
        for gap in (-np.inf, np.inf):
            yield _either_way(np.where(np.isnan(values), gap, values), y)
        codes = _groups(values)
    yield _by_rate(codes, y, half)


def _numbers(column: pd.Series) -> FloatArray:
    """[n] a column as numbers, times in microseconds, NaN for gaps."""
    if pd.api.types.is_datetime64_any_dtype(column):
        since = (column - pd.Timestamp(0, tz=getattr(column.dt, "tz", None))) / pd.Timedelta(microseconds=1)
        return since.to_numpy(dtype=np.float64)
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _groups(values: FloatArray) -> IntArray:
    """[n] which of at most 256 groups of like size, or which value where they are few; gaps are a group."""
    codes, levels = pd.factorize(values, use_na_sentinel=False)
    if len(levels) > _LEVELS:
        ranks = pd.Series(values).rank(pct=True, method="average").fillna(-1.0).to_numpy()
        return np.floor(ranks * (_LEVELS - 1)).astype(np.int64)
    return codes.astype(np.int64)


def _either_way(values: FloatArray, y: BoolArray) -> float:
    """AUC of values, or of their negatives where that is more."""
    value = auc(values, y)
    return max(value, 1 - value)


def _by_rate(codes: IntArray, y: BoolArray, half: BoolArray) -> float:
    """AUC of each group's rate in the other half, the smaller of two; 0.5 where a half has one label alone."""
    codes = codes - codes.min()
    values = []
    for fitted, judged in ((half, ~half), (~half, half)):
        if not 0 < int(y[judged].sum()) < int(judged.sum()):
            return 0.5
        count = np.bincount(codes[fitted], minlength=codes.max() + 1)
        positive = np.bincount(codes[fitted], y[fitted], minlength=codes.max() + 1)
        rate = (positive + y[fitted].mean()) / (count + 1)
        values.append(auc(rate[codes[judged]], y[judged]))
    return min(values)


def _of_id(name: str, column: pd.Series, y: BoolArray, half: BoolArray, limits: Limits) -> Iterator[Leak]:
    """The leak of one id, if it is one: what tells most."""
    read = dict(_readings(column, y, half))
    what = max(read, key=read.__getitem__)
    if read[what] > limits.id_auc:
        yield Leak(ID, name, read[what], limits.id_auc, f"AUC {read[what]:.4f} from {what} alone, on {len(y)} rows")


def _readings(column: pd.Series, y: BoolArray, half: BoolArray) -> Iterator[tuple[str, float]]:
    """What each way of reading an id tells of the label."""
    text = column.astype("str")
    whole = pd.api.types.is_integer_dtype(column)
    order = column.to_numpy(dtype=np.float64, na_value=np.nan) if whole else text.rank(method="dense").to_numpy()
    yield "its order", max(_either_way(np.nan_to_num(order, nan=-np.inf), y), _by_rate(_groups(order), y, half))
    yield "its length", _by_rate(text.str.len().to_numpy(np.int64), y, half)
    yield "its gaps", _by_rate(column.isna().to_numpy().astype(np.int64), y, half)
    for n in _ENDS:
        yield f"its first {n} characters", _by_rate(pd.factorize(text.str[:n])[0], y, half)
        yield f"its last {n} characters", _by_rate(pd.factorize(text.str[-n:])[0], y, half)
    if whole:
        numbers = column.fillna(-1).to_numpy(dtype=np.int64)
        for modulus in _MODULI:
            yield f"its remainder by {modulus}", _by_rate(numbers % modulus, y, half)


def _from_the_future(rows: pd.DataFrame, columns: Columns, side: str) -> Iterator[Leak]:
    """Times at or after the moment of their row: those named, and features that are times."""
    as_of = rows[columns.as_of]
    timed = [name for name in columns.features if pd.api.types.is_datetime64_any_dtype(rows.get(name))]
    for name in dict.fromkeys((*columns.times, *timed)):
        late = (rows[name] >= as_of).to_numpy()
        if late.any():
            first = int(late.argmax())
            words = f"{int(late.sum())} of {len(rows)} rows of {side} (first: row {first}, {rows[name].iloc[first]} "
            yield Leak(FUTURE, name, float(late.sum()), 0.0, f"{words}for a row as of {as_of.iloc[first]})")


def _shared(train: pd.DataFrame, test: pd.DataFrame, columns: Columns) -> Iterator[Leak]:
    """Rows that are in both, and test rows that do not lie after all of train."""
    if columns.row:
        names = list(columns.row)
        both = test[names].merge(train[names].drop_duplicates(), on=names)
        if len(both):
            words = f"{len(both)} of {len(test)} rows of test are in train (first: {both.iloc[0].to_dict()})"
            yield Leak(OVERLAP, ", ".join(names), float(len(both)), 0.0, words)
    if columns.as_of is not None and columns.as_of in test:
        last = train[columns.as_of].max()
        early = int((test[columns.as_of] <= last).sum())
        if early:
            words = f"{early} of {len(test)} rows of test are not after the last of train, {last}"
            yield Leak(OVERLAP, columns.as_of, float(early), 0.0, words)
