"""The page of public data sets says what the readers do."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from beautyrec.data import sources
from beautyrec.data.schema import TABLES

PAGE = (Path(__file__).parents[3] / "docs" / "sources.md").read_text(encoding="utf-8")
MODULES = sorted(module.name for module in pkgutil.iter_modules(sources.__path__))
SECTIONS = {
    "rees46": "REES46",
    "amazon": "Amazon reviews",
    "sequences": "Sequence text",
    "retailrocket": "Retailrocket",
    "kuailive": "KuaiLive",
    "taobao": "Taobao user behaviour",
}


def readers(name):
    module = importlib.import_module(f"beautyrec.data.sources.{name}")
    return {
        key for key, value in vars(module).items() if key.startswith("read_") and value.__module__ == module.__name__
    }


def section(title):
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def test_every_reader_is_in_the_table():
    listed = set(re.findall(r"`(\w+\.read_\w+)`", PAGE))
    there = {f"{name}.{reader}" for name in MODULES for reader in readers(name)}
    assert there - listed == set()


@pytest.mark.parametrize("listed", sorted(set(re.findall(r"`(\w+\.read_\w+)`", PAGE))))
def test_every_listed_reader_is_there(listed):
    name, reader = listed.split(".")
    assert reader in readers(name)


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name in SECTIONS))
def test_the_columns_of_the_page_are_those_of_the_reader(name):
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", section(SECTIONS[name]), flags=re.MULTILINE)
    columns = importlib.import_module(f"beautyrec.data.sources.{name}").COLUMNS
    assert dict(rows) == dict(columns)
    known = {column for table in TABLES.values() for column in table.names}
    assert set(columns.values()) <= known


def test_every_reader_with_columns_has_a_section():
    with_columns = {
        name for name in MODULES if hasattr(importlib.import_module(f"beautyrec.data.sources.{name}"), "COLUMNS")
    }
    assert with_columns == set(SECTIONS)
