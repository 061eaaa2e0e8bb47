from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from beautyrec.cli import main
from beautyrec.data.log import EventLog
from beautyrec.errors import ConfigError
from beautyrec.jobs.select import read_selection, select_products
from beautyrec.simulate.world import World

pytest.importorskip("scipy")

TOML = """
[room]
starts_at = "{at}"
minutes = 20
audience = 500
attention = [1.0, 0.7, 0.5]
[list]
size = 25
churn = 0.5
[line_up]
per_category = 10
per_brand = 10
spacing = 2
quotas = [{{ column = "is_new", value = true, at_most = 3 }}]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    place = tmp_path_factory.mktemp("select")
    log = World.tiny(seed=0).log()
    log.write(place / "log")
    end = log.engine.frame(log.rooms)["ends_at"].max()
    return place, str(end + pd.Timedelta(hours=20))


def test_from_a_log_to_a_run_of_show(folder: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    place, at = folder
    (place / "one.toml").write_text(TOML.format(at=at))
    with pytest.raises(SystemExit) as stopped:
        main(["select", str(place / "one.toml"), "--log", str(place / "log"), "--out", str(place / "one")])
    assert not stopped.value.code
    listed = pd.read_csv(place / "one" / "list.csv")
    assert len(listed) == 25
    show = pd.read_csv(place / "one" / "run_of_show.csv")
    assert show["minutes"].sum() == pytest.approx(20)
    assert set(show["item_id"].dropna()) <= set(listed["item_id"])
    for name in ("list.parquet", "list.html", "line_up.csv", "run_of_show.html"):
        assert (place / "one" / name).stat().st_size > 500
    assert "line-up: margin" in capsys.readouterr().out
    again = (
        TOML.format(at=at)
        .replace("[list]", "[list]\nper_brand = 4\n")
        .replace("[room]", f'last_list = "{place / "one" / "list.csv"}"\n[room]', 1)
    )
    (place / "two.toml").write_text(again)
    selected = select_products(read_selection(place / "two.toml"), place / "log", place / "two")
    gone = len(selected.listed.left)
    assert gone <= 12
    assert (selected.listed.entries["status"] == "kept").sum() == 25 - gone


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("audience", "audiense"), "did you mean 'audience'"),
        (("at_most", "at_must"), "did you mean 'at_most'"),
        (("+00:00", ""), "time with its zone"),
        (("churn = 0.5", "churn = 1.5"), "churn is 1.5"),
    ],
)
def test_a_wrong_selection_is_named(
    folder: tuple[Path, str], tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    text = TOML.format(at=folder[1])
    assert change[0] in text
    (tmp_path / "wrong.toml").write_text(text.replace(*change))
    with pytest.raises(ConfigError, match=says):
        read_selection(tmp_path / "wrong.toml")


def test_the_packaged_selection_is_sound() -> None:
    config = read_selection(Path(__file__).parents[2] / "configs" / "selection.toml")
    assert len(config.script.clock(config.room.minutes)) == 94


def test_attention_is_learnt_where_none_is_given(folder: tuple[Path, str]) -> None:
    place, at = folder
    (place / "learnt.toml").write_text(TOML.format(at=at).replace("attention = [1.0, 0.7, 0.5]\n", ""))
    said = Console(record=True, width=200)
    selected = select_products(read_selection(place / "learnt.toml"), place / "log", place / "learnt", console=said)
    assert "learnt from the log" in said.export_text()
    attention = selected.plan.table["attention"].to_numpy()
    assert len(set(attention.round(6))) == 4, "a slate of the tiny world has four positions"
    assert attention[0] > attention[3]
    assert attention[:4].mean() == pytest.approx(1.0)
    np.testing.assert_allclose(attention[4:8], attention[:4])
    # the world's truth is position ** -0.5; a tiny month tells it roughly
    assert attention[3] / attention[0] == pytest.approx(0.5, abs=0.2)


def test_without_slates_the_attention_is_even_and_that_is_said(folder: tuple[Path, str]) -> None:
    place, at = folder
    log = EventLog.read(place / "log")
    replace(log, shelves=log.shelves.mutate(draw_probability=ibis.null("float64"))).write(place / "unlogged")
    (place / "even.toml").write_text(TOML.format(at=at).replace("attention = [1.0, 0.7, 0.5]\n", ""))
    said = Console(record=True, width=300)
    selected = select_products(read_selection(place / "even.toml"), place / "unlogged", place / "even", console=said)
    assert "the same attention for every slot" in said.export_text()
    assert (selected.plan.table["attention"] == 1).all()


def test_a_room_of_a_scene_is_planned_at_what_its_rooms_take_off(folder: tuple[Path, str]) -> None:
    place, at = folder
    log = EventLog.read(place / "log")
    listed = log.engine.frame(log.items).set_index("item_id")
    off = {}
    for scene in ("", "flash_sale"):
        given = TOML.format(at=at).replace("minutes = 20", f'minutes = 20\nscene = "{scene}"')
        (place / "scene.toml").write_text(given)
        plan = select_products(read_selection(place / "scene.toml"), place / "log", place / "scene").plan.table
        items = listed.loc[plan["item_id"]]
        off[scene] = float(np.nanmean(1 - plan["price"].to_numpy() / items["price"].to_numpy()))
        np.testing.assert_allclose(plan["margin"], plan["price"].to_numpy() - items["cost"].to_numpy(), atol=1e-9)
    assert off["flash_sale"] == pytest.approx(0.275, abs=0.03)
    assert off[""] < off["flash_sale"]
    (place / "scene.toml").write_text(given.replace("flash_sale", "gala"))
    with pytest.raises(ConfigError, match="no room of scene 'gala'"):
        select_products(read_selection(place / "scene.toml"), place / "log", place / "scene")
