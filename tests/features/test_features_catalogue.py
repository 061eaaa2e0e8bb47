from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path

import beautyrec.features
from beautyrec.features.catalogue import page

PAGE = Path(__file__).parents[2] / "docs" / "features.md"


def builders():
    """Every class of the package that gives features."""
    for module in pkgutil.iter_modules(beautyrec.features.__path__, "beautyrec.features."):
        for name, found in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if found.__module__ == module.name and hasattr(found, "features") and name != "FeatureBuilder":
                yield name


def test_the_page_is_what_the_code_says():
    """Write it again: python -m beautyrec.features.catalogue > docs/features.md."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_builder_is_on_the_page():
    names = set(builders())
    assert len(names) > 25
    assert {line.removeprefix("## ") for line in page().splitlines() if line.startswith("## ")} == names


def test_every_row_of_a_table_has_its_four_cells():
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    assert all(line.count(" | ") == 3 for line in rows)
    assert not [line for line in page().splitlines() if ":class:" in line or "``" in line]
