"""What may stand in a column of a publisher's file, and how its text becomes a value; nothing is rounded or guessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Kind:
    """How the text of a value is read.

    Args:
        noun: what a good value is, for the reason of a row that is rejected.
        sql: DuckDB's expression of the value of the text ``{0}``, null where the text is no such value.
    """

    noun: str
    sql: str

    def value(self, text: str) -> str:
        """The expression of the value of the text in a column."""
        return self.sql.format(text)


WHOLE: Final = Kind(
    "a whole number", r"case when regexp_full_match({0}, '\s*-?\d+\s*') then try_cast({0} as bigint) end"
)
NUMBER: Final = Kind("a number", "case when isfinite(try_cast({0} as double)) then try_cast({0} as double) end")
TEXT: Final = Kind("text", "{0}")
TIME: Final = Kind("a time", "try_cast({0} as timestamp)")


def one_of(*names: str) -> Kind:
    """The kind of a column in which only these names may stand.

    Examples:
        >>> one_of("view", "buy").value("event")
        "case when event in ('view', 'buy') then event end"
    """
    return Kind(
        f"one of {', '.join(names)}", f"case when {{0}} in ({', '.join(quoted(name) for name in names)}) then {{0}} end"
    )


def quoted(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def named(name: str) -> str:
    """The name of a column in SQL."""
    return '"' + name.replace('"', '""') + '"'


def verdict(columns: dict[str, tuple[str, Kind]], gaps: tuple[str, ...], rules: dict[str, str]) -> str:
    """The cases of what is wrong with a row, of which the first that holds is the reason; null for a sound row.

    Args:
        columns: name of a column to the column of its text, and what it should be.
        gaps: which of them may have gaps.
        rules: what is wrong, to the condition that sound rows meet.
    """
    cases = []
    for name, (text, kind) in columns.items():
        cases.append(f"when {text} is not null and {named(name)} is null then {quoted(f'{name} is not {kind.noun}')}")
        if name not in gaps:
            cases.append(f"when {text} is null then {quoted(f'no {name}')}")
    cases += [f"when ({rule}) is false then {quoted(why)}" for why, rule in rules.items()]
    return " ".join(cases)
