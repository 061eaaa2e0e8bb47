from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from beautyrec.board.config import read_board_config
from beautyrec.board.cube import refreshed
from beautyrec.board.kpis import Filter, kpi_table, shown
from beautyrec.board.review import Review, write_review
from beautyrec.errors import ConfigError, EvaluationError
from benchmarks._shop import SCENES, write_shop


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("review") / "log", 400_000, 0)


def test_the_page_holds_the_weeks_numbers_and_needs_no_network(log: Path, tmp_path: Path) -> None:
    out = write_review(log, tmp_path / "week.html", days=7)
    text = out.read_text(encoding="utf-8")
    week = Filter(date(2026, 4, 28), date(2026, 5, 4))
    now = kpi_table(refreshed(log), where=week).iloc[0]
    for name, unit in (("gmv", "money"), ("cvr", "share"), ("deviation", "share")):
        assert shown(now[name], unit) in text
    assert all(scene in text for scene in SCENES)
    assert "Live rooms, 2026-04-28 to 2026-05-04" in text
    assert "<script src" not in text
    assert "<link" not in text


def test_what_left_its_limits_and_what_was_missed_has_a_section(log: Path) -> None:
    review = Review.of(refreshed(log), read_board_config(), 30)
    sections = {section.anchor: section for section in review.page().sections}
    assert list(sections) == ["scenes", "trends", "limits", "products", "missed"]
    assert len(sections["trends"].figures) == len(review.targets) == 4
    products = sections["products"].tables[0].rows
    assert len(products) == 20
    sold = [float(str(row["gmv"]).replace(",", "")) for row in products]
    assert sold == sorted(sold, reverse=True)


def test_a_missed_target_stands_beside_its_number(log: Path, tmp_path: Path) -> None:
    place = tmp_path / "board.toml"
    place.write_text("[phases.x]\nstart = '2026-01-01'\nend = '2026-12-31'\nscenes = { brand_day = { cvr = 0.99 } }")
    page = Review.of(refreshed(log), read_board_config(place)).page()
    rows = {row["scene"]: row["cvr"] for row in page.sections[0].tables[0].rows}
    assert "target 99.00 %" in rows["brand_day"]
    assert "target" not in rows["flash_sale"]
    assert [section.anchor for section in page.sections][1] == "limits"  # no target for all, so no trend


def test_days_without_rooms_and_no_day_at_all_are_refused(log: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no room was on air from 2025-12-26 to 2026-01-01"):
        write_review(log, tmp_path / "x.html", end="2026-01-01")
    with pytest.raises(ConfigError, match="'yesterday' is no day"):
        write_review(log, tmp_path / "x.html", end="yesterday")
    assert not (tmp_path / "x.html").exists()
