from __future__ import annotations

from pathlib import Path

import pytest

from beautyrec.data.mapping import CsvForm, Currency, LogMapping, read_mapping
from beautyrec.data.schema import TABLES
from beautyrec.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs" / "sources"
COLUMNS = {"event": "act", "ts": "t", "user_id": "u", "item_id": "i"}


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_mapping_that_comes_with_the_package_reads(path):
    mapping = read_mapping(path)
    needed = {column.name for column in TABLES[mapping.table].columns if column.required}
    assert mapping.targets.keys() >= needed - {"event_id"}


def test_what_toml_says_is_what_the_mapping_has(tmp_path):
    path = tmp_path / "shop.toml"
    path.write_text(
        'time_zone = "UTC"\nignore = ["beat"]\n[columns]\nevent = "act"\nts = "t"\nuser_id = "u"\nitem_id = "i"\n'
        'price = "p"\n[event_names]\nclick = ["tap", "touch"]\n[units]\nprice = 0.01\n'
        '[currency]\ncolumn = "c"\nrates = { USD = 7.1 }\n[csv]\ndelimiter = ";"\n'
    )
    assert read_mapping(path) == LogMapping(
        COLUMNS | {"price": "p"},
        time_zone="UTC",
        ignore=("beat",),
        event_names={"click": ("tap", "touch")},
        units={"price": 0.01},
        currency=Currency(column="c", rates={"USD": 7.1}),
        csv=CsvForm(delimiter=";"),
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"columns": COLUMNS | {"colour": "c"}}, "table events has no .'colour'."),
        ({"columns": {"event": "act"}}, "'item_id', 'ts', 'user_id'. of table events are not given"),
        ({"columns": COLUMNS, "constants": {"event": "click"}}, "'event'. are both"),
        ({"columns": COLUMNS, "event_names": {"tap": ("x",)}}, "'tap'. are no events"),
        ({"columns": COLUMNS, "event_names": {"click": ("x",), "cart": ("x",)}}, "'x'. stand there more than once"),
        ({"columns": COLUMNS, "event_names": {"click": ("x",)}, "ignore": ("x",)}, "'x'. stand there more than once"),
        ({"columns": COLUMNS, "time_zone": "Asia/Nowhere"}, "'Asia/Nowhere' is no time zone"),
        ({"columns": COLUMNS, "units": {"price": 2.0}}, "'price'. are no numbers that"),
        ({"columns": COLUMNS | {"price": "p"}, "units": {"price": 0.0}}, "are not above 0"),
        ({"columns": COLUMNS, "integer_ids": ("ts",)}, "'ts'. are no ids given"),
        ({"columns": {"item_id": "i"}, "table": "items", "items": {}}, "belongs to a mapping of events"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(given, words):
    with pytest.raises(ConfigError, match=words):
        LogMapping(**given)


def test_an_error_names_the_file_and_the_nearest_key(tmp_path):
    path = tmp_path / "shop.toml"
    path.write_text('time_zon = "UTC"\n[columns]\nevent = "act"\n')
    with pytest.raises(ConfigError, match=r"shop.toml: unknown key 'time_zon'.*did you mean 'time_zone'"):
        read_mapping(path)
    path.write_text('[columns]\nevent = "act"\n')
    with pytest.raises(ConfigError, match=r"shop.toml.*'item_id', 'ts', 'user_id'"):
        read_mapping(path)


def test_delimiter_and_quote_are_one_character():
    with pytest.raises(ConfigError, match="one character"):
        CsvForm(delimiter="||")
