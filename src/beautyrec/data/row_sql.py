"""From the text in a source's columns to checked values of ours, as SQL that DuckDB runs over a whole file at once.

Nothing of it raises on a value: what is not as it should be becomes a reason, beside the row.
"""

# ruff: noqa: S608 (queries are made of texts: every name and value of the user's is quoted by row_sql)
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from beautyrec.data import schema
from beautyrec.data.kinds import ID, INTEGER, NUMBER, TEXT, TIME
from beautyrec.data.mapping import EPOCHS, MONEY, LogMapping

ORDINAL: Final = "_ordinal"
REASON: Final = "_reason"
ROW: Final = "_row"
FILE: Final = "_file"
ITEM_PREFIX: Final = "_item_"
CURRENCY: Final = "_currency"
UNIQUE: Final = "_unique"
_FIRST_TIME, _LAST_TIME = "1900-01-01 00:00:00+00", "2262-01-01 00:00:00+00"
_ZONE_AT_END: Final = r"([0-9]\s*Z|\s(UTC|GMT)|\s[A-Za-z_]+/[A-Za-z_/]+)$"
_WHOLE: Final = r"\s*[+-]?[0-9]+(\.0*)?\s*"


def name(column: str) -> str:
    """A column's name, quoted.

    Examples:
        >>> print(name('a"b'))
        "a""b"
    """
    return '"' + column.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string, quoted.

    Examples:
        >>> print(text("it's"))
        'it''s'
    """
    return "'" + value.replace("'", "''") + "'"


def texts(values: Iterable[str]) -> str:
    """Strings, quoted, with commas."""
    return ", ".join(text(value) for value in values)


@dataclass(frozen=True)
class Target:
    """One column that is filled.

    Args:
        column: what may stand in it.
        name: its name in the table that the rows are put into first.
        label: its name in reasons.
        source: the source's column, or None for a constant.
        constant: the constant, as text.
    """

    column: schema.Column
    name: str
    label: str
    source: str | None
    constant: str = ""

    @property
    def raw(self) -> str:
        """Its text as it came, quoted as a name."""
        return name(f"_s_{self.name}")

    @property
    def value(self) -> str:
        """Its value, quoted as a name."""
        return name(self.name)


def targets(mapping: LogMapping) -> list[Target]:
    """All columns that a mapping fills; those of items last."""
    own = [
        Target(column, ours, ours, mapping.columns.get(ours), str(mapping.constants.get(ours, "")))
        for ours, column in mapping.targets.items()
    ]
    items = mapping.items or {}
    return own + [
        Target(column, f"{ITEM_PREFIX}{ours}", f"items.{ours}", items[ours])
        for ours, column in mapping.item_targets.items()
    ]


def checked(mapping: LogMapping, fields: Mapping[str, str], relation: str, file: int) -> str:
    """The query of a file's rows: values, what is wrong with them (null: nothing; empty: an ignored event), and the text.

    Args:
        mapping: how the columns are read.
        fields: a source's column to the SQL of its text.
        relation: SQL of the rows as they come, with the number of each in `ORDINAL`.
        file: number of the file, kept in `FILE`.
    """
    wanted = targets(mapping)
    raw = {target.raw: _raw(target, fields, mapping.missing) for target in wanted}
    if mapping.currency.column:
        raw[name(CURRENCY)] = _without(fields[mapping.currency.column], mapping.missing)
    keys = {name(f"{UNIQUE}{place}"): fields[column] for place, column in enumerate(mapping.unique)}
    first = ", ".join(f"{sql} AS {alias}" for alias, sql in (raw | keys).items())
    second = ", ".join(f"{value(target, mapping)} AS {target.value}" for target in wanted)
    kept = ", ".join([*(target.value for target in wanted), *keys])
    bad = reasons(wanted, mapping)
    wrong = " OR ".join(f"({condition})" for condition in bad)
    said = ", ".join(f"CASE WHEN {condition} THEN {message} END" for condition, message in bad.items())
    event = next((target.raw for target in wanted if target.name == schema.EVENT), "NULL")
    ignored = f"WHEN {event} IN ({texts(mapping.ignore)}) THEN ''" if mapping.ignore else ""
    shown_once = {target.source: target.raw for target in wanted if target.source is not None}
    struct = ", ".join(f"{text(source)}: {alias}" for source, alias in shown_once.items())
    shown = f"CASE WHEN {REASON} = '' THEN {event} WHEN {REASON} IS NOT NULL THEN CAST(to_json({{{struct}}}) AS VARCHAR) END"
    return (
        f"SELECT {file} AS {FILE}, {ORDINAL}, {kept}, {REASON}, {shown} AS {ROW} FROM ("
        f"SELECT *, CASE {ignored} WHEN coalesce({wrong}, false) THEN concat_ws('; ', {said}) END AS {REASON} FROM ("
        f"SELECT *, {second} FROM (SELECT {ORDINAL}, {first} FROM ({relation}))))"
    )


def _raw(target: Target, fields: Mapping[str, str], missing: tuple[str, ...]) -> str:
    return text(target.constant) if target.source is None else _without(fields[target.source], missing)


def _without(sql: str, missing: tuple[str, ...]) -> str:
    """The text, null where it says that there is no value."""
    for marker in missing:
        sql = f"nullif({sql}, {text(marker)})"
    return sql


def value(target: Target, mapping: LogMapping) -> str:
    """SQL of the value in a column's text; null where there is none or it cannot be read."""
    kind, raw = target.column.kind, target.raw
    if target.name == schema.EVENT and mapping.table == "events":
        return _event(raw, mapping)
    if kind is INTEGER or (kind is ID and target.name in mapping.integer_ids):
        whole = f"try_cast({raw} AS BIGINT)"
        return (
            f"CASE WHEN CAST({whole} AS VARCHAR) = {raw} OR regexp_full_match({raw}, {text(_WHOLE)}) THEN {whole} END"
        )
    if kind is NUMBER:
        return _number(target, mapping)
    if kind is TIME:
        return _time(raw, mapping)
    return raw


def _event(raw: str, mapping: LogMapping) -> str:
    if not mapping.event_names:
        return f"CASE WHEN {raw} IN ({texts(schema.EVENT_NAMES)}) THEN {raw} END"
    cases = " ".join(
        f"WHEN {raw} IN ({texts(theirs)}) THEN {text(ours)}" for ours, theirs in mapping.event_names.items()
    )
    return f"CASE {cases} END"


def _number(target: Target, mapping: LogMapping) -> str:
    number = f"try_cast({target.raw} AS DOUBLE)"
    number = f"CASE WHEN NOT isnan({number}) THEN {number} END"
    ours = target.label.removeprefix("items.")
    factor = mapping.units.get(ours, 1.0)
    if factor != 1.0:
        number = f"({number}) * CAST({factor!r} AS DOUBLE)"
    if ours in MONEY and mapping.currency.column:
        number = f"({number}) * coalesce({_rate(mapping)}, 1)"
    return number


def _rate(mapping: LogMapping) -> str:
    """SQL of what one of the row's currency is worth; null where that is not known."""
    rates = {mapping.currency.name: 1.0} | mapping.currency.rates
    cases = " ".join(f"WHEN {text(code)} THEN CAST({rate!r} AS DOUBLE)" for code, rate in rates.items())
    return f"CASE {name(CURRENCY)} {cases} END"


def _time(raw: str, mapping: LogMapping) -> str:
    form = mapping.time_format
    if form in EPOCHS:
        moment = f"try_cast({raw} AS DOUBLE)"
        moment = f"CASE WHEN abs({moment}) < {9.2e15 / EPOCHS[form]!r} THEN make_timestamptz("
        moment += f"CAST(round(try_cast({raw} AS DOUBLE) * {EPOCHS[form]!r}) AS BIGINT)) END"
    elif form:
        moment = f"try_strptime({raw}, {text(form)})"
        moment = moment if "%z" in form or "%Z" in form else f"timezone({text(mapping.zone)}, {moment})"
    else:  # in the zone of the session, which is that of the mapping; CST and its like are several zones, so they are none
        moment = f"try_cast({raw} AS TIMESTAMPTZ)"
        moment = f"CASE WHEN right({raw}, 1) BETWEEN '0' AND '9' THEN {moment} "
        moment += f"WHEN regexp_matches({raw}, {text(_ZONE_AT_END)}) THEN try_cast({raw} AS TIMESTAMPTZ) END"
    return moment


def reasons(wanted: list[Target], mapping: LogMapping) -> dict[str, str]:
    """SQL of what makes a row bad, to SQL of what is said of it."""
    bad: dict[str, str] = {}
    for target in wanted:
        bad |= _unreadable(target) | _out_of_bounds(target)
    present = {target.name: target for target in wanted}
    for earlier, later in schema.TABLES[mapping.table].ordered:
        if earlier in present and later in present:
            bad[f"{name(later)} < {name(earlier)}"] = text(f"{later} lies before {earlier}")
    amounts = [target.raw for target in wanted if target.label.removeprefix("items.") in MONEY]
    if mapping.currency.column and amounts:
        given = " OR ".join(f"{raw} IS NOT NULL" for raw in amounts)
        neither = text(f": neither {mapping.currency.name} nor one with a rate")
        said = f"concat('currency ', coalesce({name(CURRENCY)}, 'missing'), {neither})"
        bad[f"({_rate(mapping)}) IS NULL AND ({given})"] = said
    return bad


def _unreadable(target: Target) -> dict[str, str]:
    raw, read = target.raw, target.value
    bad: dict[str, str] = {}
    if target.column.required:
        bad[f"{raw} IS NULL"] = text(f"{target.label} is missing")
    if target.column.kind is TEXT and not target.column.allowed:
        return bad
    what = "a known event" if target.column.allowed else _NOUNS[target.column.kind.noun]
    shown = f"concat({text(target.label + ' ')}, chr(39), left({raw}, 80), chr(39), {text(' is not ' + what)})"
    bad[f"{raw} IS NOT NULL AND {read} IS NULL"] = shown
    if target.column.kind is TIME:
        outside = f"NOT ({read} BETWEEN {text(_FIRST_TIME)}::TIMESTAMPTZ AND {text(_LAST_TIME)}::TIMESTAMPTZ)"
        bad[outside] = f"concat({text(target.label + ' ')}, chr(39), {raw}, chr(39), ' is not between 1900 and 2261')"
    return bad


_NOUNS: Final = {
    ID.noun: "a whole number",
    INTEGER.noun: "a whole number",
    NUMBER.noun: "a number",
    TIME.noun: "a time",
    TEXT.noun: "text",
}


def _out_of_bounds(target: Target) -> dict[str, str]:
    column, read = target.column, target.value
    bounds = [(column.low, "<", "is below"), (column.above, "<=", "is not above"), (column.high, ">", "is above")]
    bad = {
        f"{read} {sign} {bound!r}": f"concat({text(target.label + ' ')}, {read}, {text(f' {said} {bound:g}')})"
        for bound, sign, said in bounds
        if bound is not None
    }
    if column.kind is NUMBER:
        bad[f"isinf({read})"] = text(f"{target.label} is infinite")
    return bad
