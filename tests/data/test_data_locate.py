from __future__ import annotations

from pathlib import Path

import pytest

from beautyrec.data.locate import find_data
from beautyrec.errors import SourceError


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Folders explicit, named and work; work is where we are, and nothing is set."""
    for name in ("explicit", "named", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("BEAUTYREC_DATA", raising=False)
    return tmp_path


def test_explicit_then_variable_then_beside_then_none(place, monkeypatch):
    assert find_data() is None
    (place / "shared" / "data").mkdir(parents=True)
    assert find_data() == Path("../shared/data")
    monkeypatch.setenv("BEAUTYREC_DATA", str(place / "named"))
    assert find_data() == place / "named"
    assert find_data(place / "explicit") == place / "explicit"


def test_what_was_named_must_be_there(place, monkeypatch):
    (place / "file").write_text("")
    with pytest.raises(SourceError, match="file' is not a folder"):
        find_data(place / "file")
    monkeypatch.setenv("BEAUTYREC_DATA", str(place / "absent"))
    with pytest.raises(SourceError, match=r"absent' \(BEAUTYREC_DATA\) is not a folder"):
        find_data()
