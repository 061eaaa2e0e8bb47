"""Python literals as JSON, in SQL: some publishers wrote one ``repr`` of a dictionary a line and called it JSON.

The text is taken apart into strings, in either quotes, and what stands between them; a string gets the quotes and the escapes
of JSON, and of the rest ``None``, ``True``, ``False`` and a ``u`` before a string are replaced. The result is JSON wherever the
text is a literal of dictionaries, lists, strings, numbers and those words.
"""

from __future__ import annotations

from typing import Final

_TOKENS: Final = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^'"]+"""
_PIECES: Final = r"\\U[0-9a-fA-F]{8}|\\?[^\\]*"
_IN_DOUBLE: Final = r"""replace(held, '"', '\"')"""
_HELD: Final = "chr(1)"
"""Stands for two backslashes while the other escapes are replaced."""


def as_json(column: str) -> str:
    r"""The expression of the text of a column, a Python literal, as JSON.

    Examples:
        >>> import duckdb
        >>> line = repr({"title": "Bob's \"best\"", "price": None})
        >>> [(json,)] = duckdb.sql(f"select {as_json('line')} from (select ? as line)", params=[line]).fetchall()
        >>> print(json)
        {"title": "Bob's \"best\"", "price": null}
    """
    single, double = _string(_IN_DOUBLE), _string("held")
    return f"""array_to_string(list_transform(regexp_extract_all({column}, $re${_TOKENS}$re$), lambda t: case
        when t[1] = '''' then {single} when t[1] = '"' then {double} else {_between("t")} end), '')"""


def _string(quoted: str) -> str:
    """The string token ``t``; ``quoted`` escapes what must be in the other quotes, of the text that stands for ``held``."""
    text = quoted.replace("held", rf"replace(replace(t[2:-2], '\\', {_HELD}), '\''', '''')")
    hexadecimal = rf"regexp_replace({text}, '\\x([0-9a-fA-F]{{2}})', '\\u00\1', 'g')"
    return rf"""'"' || replace({_wide(hexadecimal)}, {_HELD}, '\\') || '"'"""


def _wide(text: str) -> str:
    r"""Escapes of eight digits, ``\U0001f600``, which JSON does not have, as the character itself."""
    return (
        f"array_to_string(list_transform(regexp_extract_all({text}, $re${_PIECES}$re$), "
        r"lambda w: case when w[1:2] = '\U' then chr(try_cast('0x' || w[3:] as integer)) else w end), '')"
    )


def _between(token: str) -> str:
    """What stands between strings, with JSON's words for Python's."""
    for word, other in ((r"\bNone\b", "null"), (r"\bTrue\b", "true"), (r"\bFalse\b", "false"), (r"\bu$", "")):
        token = f"regexp_replace({token}, '{word}', '{other}', 'g')"
    return token
