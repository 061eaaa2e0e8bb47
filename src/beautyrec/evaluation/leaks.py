"""Leaks: what a table of training rows knows that it could not have known when it mattered.

Five kinds are looked for, each from the tables alone: a column that parts the labels by itself, a copy of the label under
another name, a value known only at or after the moment of its row, ids that tell the label by how they are written, and
rows or times that train and test share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.label_readings import enough, feature_readings, id_readings, likeness
from beautyrec.types import BoolArray

SEPARATES: Final = "separates the labels"
COPY: Final = "copy of the label"
FUTURE: Final = "known after the row"
ID: Final = "id tells the label"
OVERLAP: Final = "train and test overlap"


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

    A feature is held against the label as it stands, with gaps as the lowest and as the highest value and without them,
    and by the rate of the label at each of its values (or of 256 groups of them) in one random half, judged on the other;
    a column of two values, or with gaps, is a copy where it goes with the label, either way. An id is held
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
            found += _from_the_future(rows, rows[columns.as_of], columns, side)
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


def changed_by_the_future(whole: pd.DataFrame, cut: pd.DataFrame, rtol: float = 1e-9) -> tuple[Leak, ...]:
    """Features that come out otherwise where the log has no future: they look ahead.

    Compute the features of the same rows twice, from the whole log and from ``log.before(moment)``, where no row looks
    back from after the moment.

    Args:
        whole: [n, features] from the whole log.
        cut: [n, features] from the log as it was known at the moment.
        rtol: how much two values may differ, as a share.

    Raises:
        EvaluationError: the frames do not have the same rows and columns.

    Examples:
        >>> whole, cut = pd.DataFrame({"heat": [3.0, 9.0]}), pd.DataFrame({"heat": [3.0, 4.0]})
        >>> [leak.evidence for leak in changed_by_the_future(whole, cut)]
        ['1 of 2 rows change with what came after (first: row 1, 9.0 for 4.0)']
    """
    if list(whole) != list(cut) or len(whole) != len(cut):
        raise EvaluationError(
            f"leaks: features with the future are {whole.shape} of {list(whole)}, without it {cut.shape} of {list(cut)}. "
            "Compute the same features of the same rows."
        )
    found = []
    for name in whole:
        one, other = (frame[name].to_numpy(dtype=np.float64, na_value=np.nan) for frame in (whole, cut))
        differs = ~np.isclose(one, other, rtol=rtol, atol=0, equal_nan=True)
        if differs.any():
            first = int(differs.argmax())
            words = f"{int(differs.sum())} of {len(one)} rows change with what came after"
            shown = f"(first: row {first}, {one[first]} for {other[first]})"
            found.append(Leak(FUTURE, str(name), float(differs.sum()), 0.0, f"{words} {shown}"))
    return tuple(found)


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
    if wrong or not enough(values == 1, limits.least):
        raise EvaluationError(
            f"leaks: label '{column.name}' is true in {positives} of {len(values)} rows and neither true nor false in "
            f"{wrong}; at least {limits.least} of each are needed, and no gaps. Take more rows."
        )
    truth: BoolArray = values == 1
    return truth


def _of_feature(name: str, column: pd.Series, y: BoolArray, half: BoolArray, limits: Limits) -> Iterator[Leak]:
    """The leak of one feature, if it is one: a copy before a mere separation."""
    alike = likeness(column, y, limits.least)
    if alike > limits.correlation:
        words = f"its values or its gaps go with the label, correlation {alike:.4f}, on {len(y)} rows"
        yield Leak(COPY, name, alike, limits.correlation, words)
        return
    yield from _highest(SEPARATES, name, dict(feature_readings(column, y, half, limits.least)), limits.auc, y)


def _of_id(name: str, column: pd.Series, y: BoolArray, half: BoolArray, limits: Limits) -> Iterator[Leak]:
    """The leak of one id, if it is one."""
    yield from _highest(ID, name, dict(id_readings(column, y, half)), limits.id_auc, y)


def _highest(kind: str, name: str, readings: Mapping[str, float], limit: float, y: BoolArray) -> Iterator[Leak]:
    """The reading that tells most, if it tells too much."""
    what = max(readings, key=readings.__getitem__)
    if readings[what] > limit:
        words = f"AUC {readings[what]:.4f} from {what} alone, on {len(y)} rows ({int(y.sum())} true)"
        yield Leak(kind, name, readings[what], limit, words)


def _from_the_future(rows: pd.DataFrame, as_of: pd.Series, columns: Columns, side: str) -> Iterator[Leak]:
    """Times at or after the moment of their row: those named, and features that are times."""
    timed = [name for name in columns.features if name in rows and pd.api.types.is_datetime64_any_dtype(rows[name])]
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
