"""Tables as CSV that a spreadsheet opens as it is: readable in any language, and no cell of it is run as a formula."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from beautyrec.files import atomic_file

_FORMULA = r"^(?=\s*[=+\-@\t\r])"
_ESCAPED = r"^'(?=\s*[=+\-@\t\r])"


def write_csv(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as CSV (UTF-8, with the mark that spreadsheets look for), whole or not at all.

    A text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line's end would be run as a formula by a spreadsheet
    (OWASP, *CSV Injection*): it gets an apostrophe in front. Numbers stay as they are.

    Args:
        table: to write; it is not changed.
        path: where.
    """
    with atomic_file(path) as temporary:
        escaped(table).to_csv(temporary, index=False, encoding="utf-8-sig", float_format="%.6g")


def escaped(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before every text that a spreadsheet would run.

    Examples:
        >>> escaped(pd.DataFrame({"title": ["=1+1", "balm"], "margin": [-1.0, 2.0]})).to_dict("list")
        {'title': ["'=1+1", 'balm'], 'margin': [-1.0, 2.0]}
    """
    return table.apply(lambda column: _replaced(column, _FORMULA, "'"))


def unescaped(column: pd.Series) -> pd.Series:
    """A column of such a file, read again, as it was before.

    Examples:
        >>> unescaped(pd.Series(["'=1+1", "'tis"])).tolist()
        ['=1+1', "'tis"]
    """
    return _replaced(column, _ESCAPED, "")


def _replaced(column: pd.Series, pattern: str, by: str) -> pd.Series:
    text = column.map(lambda value: isinstance(value, str)).astype(bool)
    if not text.any():
        return column
    return column.astype(object).where(~text, column.where(text).str.replace(pattern, by, regex=True))
