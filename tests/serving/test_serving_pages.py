"""The code on the page for engineers runs as it stands there."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from serving_models import funnel, least_squares

from beautyrec.data.vocabulary import Vocabulary
from beautyrec.serving import ModelCard, write_artifact

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"


def test_the_code_of_the_page_runs(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    model = least_squares("string")
    users, items = (
        Vocabulary(vocabulary.ids.map(lambda text, name=name: f"{name}-{int(re.sub(r'[^0-9]', '', text))}"))
        for name, vocabulary in (("viewer", model.users), ("item", model.items))
    )
    known = replace(model.known, users=users, items=items)
    write_artifact(tmp_path / "champion", replace(model, known=known).state(), ModelCard("als"))
    write_artifact(tmp_path / "funnel", funnel().state(), ModelCard("funnel"))
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) > 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)  # noqa: S102 (our own page)
    assert set(names["found"]["path"]) == {"fold_in", "model"}
