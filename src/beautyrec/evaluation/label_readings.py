"""How much one column tells of a label, in each way that it can be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd

from beautyrec.evaluation.prediction import auc
from beautyrec.types import BoolArray, FloatArray, IntArray

_LEVELS: Final = 256
_MODULI: Final = range(2, 11)
_ENDS: Final = (1, 2, 3)


def likeness(column: pd.Series, y: BoolArray, least: int) -> float:
    """The correlation with the label, either way, of a column of two values or of its gaps; 0 where it has neither.

    Args:
        column: [n] of any kind.
        y: [n] the label.
        least: rows with and without the label that must be filled for the values to be judged.
    """
    filled = column.notna().to_numpy()
    best = _correlation(filled, y)
    codes, levels = pd.factorize(column[filled])
    if len(levels) == 2 and enough(y[filled], least):
        best = max(best, _correlation(codes, y[filled]))
    return best


def feature_readings(column: pd.Series, y: BoolArray, half: BoolArray, least: int) -> Iterator[tuple[str, float]]:
    """The AUC of a feature in each way of reading it: as it stands, and by the rate of the label at its values.

    Args:
        column: [n] of any kind.
        y: [n] the label.
        half: [n] rows of one half: rates come from one half and are judged on the other.
        least: rows with and without the label that must be filled for the filled rows to be judged by themselves.
    """
    filled = column.notna().to_numpy()
    alone = not filled.all() and enough(y[filled], least)
    codes = pd.factorize(column, use_na_sentinel=False)[0].astype(np.int64)
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        values = _numbers(column)
        codes = _groups(values)
        yield "its order, gaps lowest", _either_way(np.where(filled, values, -np.inf), y)
        yield "its order, gaps highest", _either_way(np.where(filled, values, np.inf), y)
        if alone:
            yield "its order, where it is filled", _either_way(values[filled], y[filled])
    yield "the rate at its values", _by_rate(codes, y, half)
    if alone:
        yield "the rate at its values, where it is filled", _by_rate(codes[filled], y[filled], half[filled])


def id_readings(column: pd.Series, y: BoolArray, half: BoolArray) -> Iterator[tuple[str, float]]:
    """The AUC of an id in each way of reading how it is written, as :func:`feature_readings`."""
    text = column.astype("str")
    whole = pd.api.types.is_integer_dtype(column)
    order = _numbers(column if whole else text.rank(method="dense"))
    yield "its order", max(_either_way(np.nan_to_num(order, nan=-np.inf), y), _by_rate(_groups(order), y, half))
    yield "its length", _by_rate(_codes(text.str.len()), y, half)
    yield "its gaps", _by_rate(column.isna().to_numpy().astype(np.int64), y, half)
    for n in _ENDS:
        yield f"its first {n} characters", _by_rate(_codes(text.str[:n]), y, half)
        yield f"its last {n} characters", _by_rate(_codes(text.str[-n:]), y, half)
    if whole:
        numbers = column.fillna(-1).to_numpy(dtype=np.int64)
        for modulus in _MODULI:
            yield f"its remainder by {modulus}", _by_rate(numbers % modulus, y, half)


def enough(y: BoolArray, least: int) -> bool:
    """Whether there are at least so many rows with and without the label."""
    positives = int(y.sum())
    return min(positives, len(y) - positives) >= least


def _correlation(codes: IntArray | BoolArray, y: BoolArray) -> float:
    """Between two columns of two values, without its sign; 0 where one of them has one value."""
    if codes.min() == codes.max() or y.min() == y.max():
        return 0.0
    return abs(float(np.corrcoef(codes, y)[0, 1]))


def _codes(column: pd.Series) -> IntArray:
    return pd.factorize(column, use_na_sentinel=False)[0].astype(np.int64)


def _numbers(column: pd.Series) -> FloatArray:
    """[n] a column as numbers, times in microseconds, NaN for gaps."""
    if pd.api.types.is_datetime64_any_dtype(column):
        column = (column - column.min()) / pd.Timedelta(microseconds=1)
    values: FloatArray = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


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
