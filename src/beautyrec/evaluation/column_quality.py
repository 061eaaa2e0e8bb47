"""How full the columns of a table are, and whether the test side is like the train side."""

from __future__ import annotations

import pandas as pd


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
