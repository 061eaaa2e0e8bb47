"""Which candidates can be sold at all, and why the others cannot."""

from __future__ import annotations

import numpy as np
import pandas as pd

from beautyrec.errors import SchemaError

NUMBERS = ("price", "margin", "ctr", "cvr", "stock")
REQUIRED = ("item_id", "category", "brand", *NUMBERS)


def sellable(candidates: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """The candidates that a line-up can hold, and how many it cannot, by the reason; see :func:`reasons`.

    Args:
        candidates: as in :func:`beautyrec.selection.line_up.line_up`; it is not changed.

    Returns:
        The rows, with a new index, a ``title`` in any case, and numbers as 64-bit floats; and the counts.

    Raises:
        SchemaError: as :func:`reasons`.

    Examples:
        >>> table = pd.DataFrame({"item_id": [1, 2], "category": "balm", "brand": "x", "price": [9.0, None],
        ...                       "margin": 3.0, "ctr": 0.1, "cvr": 0.5, "stock": 7})
        >>> rows, left_out = sellable(table)
        >>> rows["item_id"].tolist(), left_out
        ([1], {'without a price': 1})
    """
    reason = reasons(candidates)
    counts = reason[reason != ""].value_counts(sort=False)
    rows = candidates.assign(**{column: candidates[column].astype(np.float64) for column in NUMBERS})
    if "title" not in rows:
        rows = rows.assign(title=None)
    return rows[reason == ""].reset_index(drop=True), {str(name): int(count) for name, count in counts.items()}


def reasons(candidates: pd.DataFrame) -> pd.Series:
    """Why each candidate cannot be sold; empty where it can.

    The first that holds: a number is missing (``without a price``, ``margin``, ``ctr``, ``cvr``, ``stock``), its stock is
    below one unit (``out of stock``), its margin is below 0 (``sold at a loss``).

    Raises:
        SchemaError: a column is missing or is not of numbers, an id is missing or there twice, a price, stock or chance
            is negative, a chance is above 1, or prices are in several currencies (column ``currency``).
    """
    missing = [column for column in REQUIRED if column not in candidates]
    if missing:
        raise SchemaError(f"line-up: candidates miss the columns {missing}; they have {list(candidates)}. Add them.")
    _check_ids(candidates["item_id"])
    rows = candidates[list(NUMBERS)].apply(lambda column: _numbers(candidates, str(column.name)))
    _check_bounds(rows.assign(item_id=candidates["item_id"]))
    check_currency(candidates, "line-up")
    found = {f"without a {column}": rows[column].isna().to_numpy() for column in NUMBERS}
    found["out of stock"] = (rows["stock"] < 1).to_numpy()
    found["sold at a loss"] = (rows["margin"] < 0).to_numpy()
    names = np.array([*found, ""], dtype=object)
    first = np.argmax(np.stack([*found.values(), np.ones(len(rows), dtype=bool)]), axis=0)  # [N] the first that holds
    return pd.Series(names[first], index=candidates.index, dtype="str")


def _numbers(candidates: pd.DataFrame, column: str) -> pd.Series:
    if not pd.api.types.is_numeric_dtype(candidates[column].dtype):
        raise SchemaError(
            f"line-up: column '{column}' of the candidates is of type {candidates[column].dtype}. Make it numbers."
        )
    return candidates[column].astype(np.float64)


def _check_ids(ids: pd.Series) -> None:
    absent, twice = int(ids.isna().sum()), ids[ids.duplicated()]
    if absent or len(twice):
        raise SchemaError(
            f"line-up: {absent} candidates have no item_id, and {len(twice)} have one that is there already, "
            f"for instance {twice.unique()[:3].tolist()}. Give every product once."
        )


def check_currency(products: pd.DataFrame, who: str) -> None:
    """Raises `SchemaError` where a column ``currency`` says that prices are in several; says which and how many."""
    if "currency" not in products:
        return
    counts = products["currency"].value_counts()
    if len(counts) > 1:
        shown = ", ".join(f"{name} ({count})" for name, count in counts.head(5).items())
        raise SchemaError(
            f"{who}: prices are in {len(counts)} currencies: {shown}. Money of different currencies can be neither compared nor "
            "added: convert prices and costs to one, and state it."
        )


def _check_bounds(rows: pd.DataFrame) -> None:
    highest = {"price": np.finfo(np.float64).max, "stock": np.inf, "ctr": 1.0, "cvr": 1.0}
    for column, most in highest.items():
        bad = rows[(rows[column] < 0) | (rows[column] > most)]
        if len(bad):
            raise SchemaError(
                f"line-up: {len(bad)} candidates have a {column} below 0 or above {most:g}, for instance "
                f"{bad['item_id'].iloc[0]!r} with {bad[column].iloc[0]:g}. Correct them."
            )
    endless = rows[np.isinf(rows["margin"])]
    if len(endless):
        raise SchemaError(f"line-up: {len(endless)} candidates have an infinite margin. Correct them.")
