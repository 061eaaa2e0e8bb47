"""Checks of columns, each over all rows at once; what they raise counts the bad rows and shows the first.

``where`` is the beginning of the message: source, table and, mostly, column.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from beautyrec.data.kinds import Kind
from beautyrec.errors import SchemaError
from beautyrec.types import BoolArray

SUM_TOLERANCE = 1e-6


def refuse(where: str, bad: BoolArray, values: pa.ChunkedArray, what: str, remedy: str) -> None:
    """Raise a SchemaError if any of ``bad`` [n] is true.

    Raises:
        SchemaError: ``where: COUNT of n rows WHAT (first: row NUMBER, value VALUE). REMEDY``, rows counted from 0.
    """
    if bad.any():
        first = int(bad.argmax())
        raise SchemaError(
            f"{where}: {int(bad.sum())} of {len(bad)} rows {what} "
            f"(first: row {first}, value {_shown(values[first])}). {remedy}"
        )


def _shown(value: pa.Scalar) -> str:
    plain = value.as_py()
    return "missing" if plain is None else str(plain)


def _mask(values: pa.ChunkedArray) -> BoolArray:
    """[n] a column of truth values, false where it has a gap."""
    mask: BoolArray = pc.fill_null(values, False).to_numpy()
    return mask


def from_pandas(frame: pd.DataFrame, where: str) -> pa.Table:
    """The frame in Arrow, without its index.

    Raises:
        SchemaError: a column mixes types.
    """
    columns = {}
    for name in frame.columns:
        try:
            columns[str(name)] = pa.Table.from_pandas(frame[[name]], preserve_index=False).column(0)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise SchemaError(f"{where}, column '{name}': mixes types: {error}. Cast it to one type.") from None
    return pa.table(columns)


def cast(values: pa.ChunkedArray, kind: Kind, where: str) -> pa.ChunkedArray:
    """The column in the type of its kind; NaN is a gap.

    Raises:
        SchemaError: the type is a wrong one, or a number that should be whole is not or does not fit in 64 bits.
    """
    if pa.types.is_null(values.type):
        return values.cast(kind.empty)
    target = kind.target(values.type)
    if target is None:
        raise SchemaError(f"{where}: holds {values.type} in its {len(values)} rows, not {kind.noun}. {kind.remedy}")
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    if pa.types.is_floating(values.type) and pa.types.is_integer(target):
        whole = pc.and_(pc.is_finite(values), pc.equal(pc.floor(values), values))
        refuse(where, _mask(pc.invert(whole)), values, "are not whole", kind.remedy)
    try:
        return values.cast(target, safe=not pa.types.is_timestamp(target))
    except pa.ArrowInvalid as error:
        raise SchemaError(f"{where}: does not fit into {target}: {error}. {kind.remedy}") from None


def check_filled(values: pa.ChunkedArray, where: str) -> None:
    """No row may have a gap."""
    if values.null_count:
        bad: BoolArray = pc.is_null(values).to_numpy()
        refuse(where, bad, values, "have no value", "Fill or drop them.")


def check_allowed(values: pa.ChunkedArray, allowed: tuple[str, ...], where: str) -> None:
    """Every value is one of ``allowed``."""
    known = pc.is_in(values, value_set=pa.array(allowed, values.type))
    bad = _mask(pc.and_(pc.invert(known), pc.is_valid(values)))
    refuse(where, bad, values, "have an unknown name", f"Known are {', '.join(allowed)}: map or drop the others.")


def check_bounds(
    values: pa.ChunkedArray, where: str, *, low: float | None, above: float | None, high: float | None
) -> None:
    """Every value is finite, at least ``low``, greater than ``above``, at most ``high``; None is no bound."""
    bounds = [
        (low, pc.less, f"are below {low}"),
        (above, pc.less_equal, f"are not above {above}"),
        (high, pc.greater, f"are above {high}"),
    ]
    for bound, breaks, what in bounds:
        if bound is not None:
            remedy = f"Values lie in {_interval(low, above, high)}: correct or drop those rows."
            refuse(where, _mask(breaks(values, pa.scalar(bound, values.type))), values, what, remedy)
    if pa.types.is_floating(values.type):
        refuse(where, _mask(pc.is_inf(values)), values, "are infinite", "Correct or drop those rows.")


def _interval(low: float | None, above: float | None, high: float | None) -> str:
    left = f"[{low}" if low is not None else f"({above}" if above is not None else "(-inf"
    return f"{left}, {high}]" if high is not None else f"{left}, inf)"


def check_unique(columns: Mapping[str, pa.ChunkedArray], where: str) -> None:
    """No two rows have the same values in all of ``columns``."""
    frame = pd.DataFrame({name: column.to_pandas() for name, column in columns.items()})
    first = frame.iloc[:, 0].to_numpy()
    if len(columns) == 1 and first.dtype == np.int64 and bool((first[1:] > first[:-1]).all()):
        return  # ascending: the usual case, and a quick look
    rows = pa.chunked_array([pa.StructArray.from_arrays([c.combine_chunks() for c in columns.values()], list(columns))])
    refuse(where, frame.duplicated().to_numpy(), rows, "repeat an id that stands above", "Keep one row for each.")


def check_order(earlier: pa.ChunkedArray, later: pa.ChunkedArray, names: tuple[str, str], where: str) -> None:
    """No row has ``later`` before ``earlier``."""
    bad = _mask(pc.less(later, earlier))
    refuse(where, bad, later, f"lie before '{names[0]}'", f"'{names[1]}' is at least '{names[0]}': correct those rows.")


def check_shares(groups: pa.ChunkedArray, shares: pa.ChunkedArray, group: str, where: str) -> None:
    """The shares of each group sum to 1, to within ``SUM_TOLERANCE``; a group that has none at all may be."""
    codes, names = pd.factorize(groups.to_pandas())
    given = shares.to_pandas().to_numpy(np.float64)
    sums = np.bincount(codes, np.nan_to_num(given), minlength=len(names))
    known = np.bincount(codes, ~np.isnan(given), minlength=len(names)) > 0
    bad = known & (np.abs(sums - 1) > SUM_TOLERANCE)
    if bad.any():
        first = int(bad.argmax())
        raise SchemaError(
            f"{where}: does not sum to 1 in {int(bad.sum())} of {len(names)} groups by '{group}', "
            f"{int(bad[codes].sum())} of {len(codes)} rows (first: {group} {names[first]}, sum {sums[first]:.6g}). "
            f"Divide it by its sum in each, or leave it out where it is not known."
        )
