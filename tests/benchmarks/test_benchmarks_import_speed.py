"""The import benchmark: the file it makes, and the check of the lines."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmarks import import_speed

ROWS = 6_000


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    import_speed.make(folder / "events.csv", ROWS, seed=3)
    _, imported = import_speed.ours(folder / "events.csv", folder / "log")
    return folder, imported


def test_the_file_has_thirty_days_and_one_bad_row_in_a_thousand(shop):
    folder, imported = shop
    made = pd.read_csv(folder / "events.csv")
    assert len(made) == ROWS == imported.read
    assert imported.rejected == (made["action"] == "oops").sum() > 0
    assert pd.to_datetime(made["happened"]).dt.date.nunique() in (30, 31)
    assert import_speed.accounted(imported) == 1.0


def test_the_same_seed_makes_the_same_file(shop, tmp_path):
    folder, _ = shop
    import_speed.make(tmp_path / "again.csv", ROWS, seed=3)
    assert (tmp_path / "again.csv").read_bytes() == (folder / "events.csv").read_bytes()


def test_a_wrong_line_is_seen(shop, tmp_path):
    folder, _ = shop
    rejected = folder / "log" / "rejected" / "events.csv"
    assert import_speed.lines_are_right(folder / "events.csv", rejected)
    moved = pd.read_csv(rejected)
    moved["line"] += 1
    moved.to_csv(tmp_path / "moved.csv", index=False)
    assert not import_speed.lines_are_right(folder / "events.csv", tmp_path / "moved.csv")
