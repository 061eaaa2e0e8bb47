from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from beautyrec.selection.spreadsheet import unescaped, write_csv


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-2+3", "@SUM(A1)", "\t=1", " =1", "\n=1"])
def test_no_text_is_a_formula_and_all_comes_back(tmp_path: Path, text: str) -> None:
    write_csv(pd.DataFrame({"item_id": [text, "balm", "'quoted'"], "margin": [-1.5, 2.0, -3.0]}), tmp_path / "t.csv")
    read = pd.read_csv(tmp_path / "t.csv", encoding="utf-8-sig")
    assert read["item_id"].str.startswith("'" + text[0]).iloc[0]
    assert unescaped(read["item_id"]).tolist() == [text, "balm", "'quoted'"]
    assert read["margin"].tolist() == [-1.5, 2.0, -3.0]


def test_texts_among_numbers_and_gaps_are_escaped(tmp_path: Path) -> None:
    write_csv(pd.DataFrame({"item_id": ["-1", 7, None]}), tmp_path / "t.csv")
    assert pd.read_csv(tmp_path / "t.csv", dtype="str", encoding="utf-8-sig")["item_id"].tolist()[:2] == ["'-1", "7"]
