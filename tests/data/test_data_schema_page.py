from __future__ import annotations

from pathlib import Path

import pytest

from beautyrec.data import schema
from beautyrec.data.schema_page import MEANINGS, page

PAGE = Path(__file__).parents[2] / "docs" / "schema.md"


def test_the_page_is_what_the_code_says():
    """Write it again: python -m beautyrec.data.schema_page > docs/schema.md."""
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("table", list(schema.TABLES))
def test_every_column_is_on_the_page_with_its_meaning(table):
    part = page().split(f"\n## {table}\n")[1].split("\n## ")[0]
    rows = {line.split("`")[1]: line.split(" | ") for line in part.splitlines() if line.startswith("| `")}
    assert tuple(rows) == schema.TABLES[table].names
    for name, cells in rows.items():
        assert len(cells) == 4
        assert cells[3].removesuffix(" |") == MEANINGS[name]
