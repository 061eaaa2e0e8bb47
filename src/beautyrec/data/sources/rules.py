"""What a publisher's file never has, refused in the same words for every publisher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from beautyrec.errors import SchemaError

Rules = Mapping[str, tuple[Any, str]]
"""Column to which of its rows are good [n], and what good ones are, in words."""


def refuse_rows(frame: pd.DataFrame, rules: Rules, source: str) -> None:
    """Nothing, where every row keeps to every rule.

    Raises:
        SchemaError: names the file, the first column with rows that do not, how many, and the first of them.

    Examples:
        >>> frame = pd.DataFrame({"visit": [0, 2]})
        >>> refuse_rows(frame, {"visit": (frame["visit"].isin([0, 1]), "0 or 1")}, "log.csv")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        beautyrec.errors.SchemaError: log.csv, column 'visit': 1 of 2 rows are not 0 or 1 (first: row 1, ...original.
    """
    for name, (good, what) in rules.items():
        if not good.all():
            first = int((~good).to_numpy().argmax())
            raise SchemaError(
                f"{source}, column '{name}': {int((~good).sum())} of {len(frame)} rows are not {what} "
                f"(first: row {first}, value {frame[name].iloc[first]}). Take the publisher's original."
            )
