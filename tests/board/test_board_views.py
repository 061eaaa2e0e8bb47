from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beautyrec.board.alerts import daily_counts
from beautyrec.board.config import AlertConfig
from beautyrec.board.cube import Cube, refreshed
from beautyrec.board.kpis import KPIS, Filter, kpi_table, product_table, room_table, shown
from beautyrec.board.limits import control_charts
from beautyrec.board.stock import stock_table
from beautyrec.board.views import TILES, TRENDS, columns, control, readable, tiles, tiles_html, trend
from benchmarks._shop import DAYS, SCENES, write_shop

LAST = date(2026, 5, 4)
MONTH = Filter(date(2026, 4, 5), LAST)


@pytest.fixture(scope="module")
def cube(tmp_path_factory: pytest.TempPathFactory) -> Cube:
    return refreshed(write_shop(tmp_path_factory.mktemp("shop") / "log", 60_000, 3))


def test_tiles_tell_value_target_and_change(cube: Cube) -> None:
    found = {tile.label: tile for tile in tiles(cube, MONTH, {"ctr": 0.5, "cost_per_new_customer": 1e9})}
    assert len(found) == len(TILES)
    now = kpi_table(cube, where=MONTH)
    before = kpi_table(cube, where=Filter(date(2026, 3, 6), date(2026, 4, 4)))
    assert found["GMV"].value == f"{now.gmv[0]:,.0f}"
    assert found["GMV"].before.startswith(f"{now.gmv[0] / before.gmv[0] - 1:+.1%}".replace("%", " %"))
    assert (found["CTR"].target, found["CTR"].met) == ("50.00 %", False)
    assert found["Cost per new customer"].met  # less is better
    ripe = kpi_table(cube, where=Filter(date(2026, 3, 6), date(2026, 4, 4))).retention_30[0]
    assert found["Retention, 30 days"].value == shown(ripe, "share")
    assert found["Retention, 30 days"].before == "of rooms 30 days earlier"


def test_what_a_log_says_cannot_break_the_page(cube: Cube) -> None:
    tile = tiles(cube, MONTH, {})[0]
    assert "&lt;b&gt;" in tiles_html([type(tile)("<b>", "<b>", "", False, "", '"')])
    assert tiles_html([tile]).count("<div") == tiles_html([tile]).count("</div>") == 2


def test_a_time_without_rooms_is_shown_as_such(cube: Cube) -> None:
    assert {tile.value for tile in tiles(cube, Filter(date(2020, 1, 1), date(2020, 1, 2)), {})} == {"–"}
    with pytest.raises(ValueError, match="states no days"):
        tiles(cube, Filter(), {})


def test_each_kpi_can_be_drawn(cube: Cube) -> None:
    table = kpi_table(cube, ("day", "scene"), MONTH)
    for name in TRENDS:
        figure = trend(table, name, 0.1)
        assert {line.name for line in figure.data} == set(SCENES)
    charts = control_charts(daily_counts(cube), AlertConfig())
    chart = charts[(charts.kpi == "cvr") & (charts.scene == SCENES[0])]
    drawn = {line.name: line for line in control(chart, "CVR", "share").data}
    assert np.array_equal(drawn["seen"].y, chart.value)
    assert len(drawn["alert"].y) == (chart.alarm != 0).sum()


def test_tables_can_be_sorted_and_have_labels(cube: Cube) -> None:
    table = kpi_table(cube, ("day", "scene"), MONTH)
    text = readable(table)
    assert text.day.iloc[0] == "2026-04-05"
    assert all(pd.api.types.is_numeric_dtype(text[name]) for name in KPIS)
    assert columns(table)["ctr"] == ("CTR", "percent")
    assert columns(table)["scene"] == ("Scene", None)
    assert all(label[0].isupper() for label, _ in columns(table).values())
    products = columns(product_table(cube))
    assert products["competitor_price"] == ("Competitor's price", "localized")
    assert products["price_gap"][1] == "percent"
    assert products["title"] == ("Title", None)
    assert all(label[0].isupper() for label, _ in products.values())


def test_stock_is_what_the_last_shelf_stated_less_what_was_sold_since(cube: Cube) -> None:
    products = pd.read_parquet(cube.products)
    found = stock_table(cube).set_index("item_id")
    for item in found.index[:5].tolist() + found.index[-5:].tolist():
        rows = products[products.item_id == item].sort_values(["day", "room_id"])
        left = rows.stock.iloc[-1] - rows.units.iloc[-1]  # each shelf of this shop states it
        week = rows[pd.to_datetime(rows.day) > pd.Timestamp(LAST) - pd.Timedelta(days=7)].units.sum() / 7
        assert found.left[item] == left
        assert found.a_day[item] == pytest.approx(week)
    assert found.days_left.is_monotonic_increasing


def test_the_page_filters_and_drills_down(cube: Cube, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("streamlit", reason="needs the extra board")
    from streamlit.testing.v1 import AppTest

    from beautyrec.board import app

    log = cube.folder.parent / "log"
    monkeypatch.setattr("sys.argv", ["app.py", str(log), "", ""])
    page = AppTest.from_file(str(Path(app.__file__)), default_timeout=60).run()
    assert not page.exception
    assert page.date_input[0].value == date(2026, 4, 5)
    assert [each.value for each in page.main.subheader] == ["By day", "Within its limits?", "Scene → room → product"]
    assert len(page.dataframe[0].value) == len(SCENES)
    page.sidebar.multiselect[0].set_value(["brand_day"]).run()
    assert page.dataframe[0].value.scene.tolist() == ["brand_day"]
    wanted = kpi_table(cube, (), Filter(MONTH.start, MONTH.end, ("brand_day",)), ("viewers",)).viewers[0]
    assert page.dataframe[0].value.viewers.tolist() == [wanted]
    page.date_input[0].set_value(date(2026, 5, 1)).run()
    assert set(page.dataframe[1].value.day) <= {f"2026-05-0{day}" for day in range(1, 5)}
    page.selectbox[0].set_value("return_rate").run()
    assert not page.exception


def test_the_page_says_what_is_wrong_with_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("streamlit", reason="needs the extra board")
    from streamlit.testing.v1 import AppTest

    from beautyrec.board import app

    monkeypatch.setattr("sys.argv", ["app.py", str(tmp_path)])
    page = AppTest.from_file(str(Path(app.__file__)), default_timeout=60).run()
    assert "A log is a folder with" in page.error[0].value


def test_the_shop_is_the_same_for_a_seed(tmp_path: Path) -> None:
    one, two = (refreshed(write_shop(tmp_path / name, 20_000, 1)) for name in ("a", "b"))
    pd.testing.assert_frame_equal(room_table(one), room_table(two))
    assert kpi_table(one, ("day",)).shape[0] == DAYS
