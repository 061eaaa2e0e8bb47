import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from beautyrec.engine import Engine
from beautyrec.errors import ConfigError, EvaluationError
from beautyrec.jobs import main_job
from beautyrec.jobs.config import JobConfig, read_config
from beautyrec.jobs.main_job import run_job
from beautyrec.jobs.shop import Shop, open_shop
from beautyrec.serving import Scorer
from beautyrec.settings import from_table
from beautyrec.simulate.config import SIMULATED
from beautyrec.simulate.world import World
from beautyrec.types import Progress

POPULARITY = {"popularity": {"family": "popularity"}}
SMALL = Path(__file__).with_name("small.toml")
METRICS = {"ctr", "cvr", "ctcvr", "room_conversion", "revenue_per_viewer", "revenue_per_impression"}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of public data without purchases, so that the job generates them, and with no Open Bandit to fetch."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "open-bandit-small").mkdir()
    return folder


@pytest.fixture(scope="module")
def run(bare: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("run")
    run_job(read_config(SMALL), data_folder=bare, output=folder)
    return folder, json.loads((folder / "summary.json").read_text())


def test_every_part_of_the_summary_is_there(run: tuple[Path, dict[str, Any]]) -> None:
    _, summary = run
    assert {"data", "ranking", "lift", "open_bandit", "sweep", "champion", "lineup", "seconds"} <= summary.keys()
    assert not summary["data"]["purchases"]["real"]
    assert summary["data"]["month"]["label"] == SIMULATED
    assert {row["protocol"] for row in summary["ranking"]} == {"leave-last-out", "global time, last 90 days"}
    assert len(summary["ranking"]) == 2 * 2, "two models that rank, two protocols"


def test_the_rows_that_models_learn_from_were_looked_at_for_leaks(run: tuple[Path, dict[str, Any]]) -> None:
    checks = run[1]["data"]["checks"]
    assert checks["leaks"] == []
    assert checks["labels"] == ["clicked", "ordered"]
    assert {"item_heat_7d", "position", "event_id"} <= {row["column"] for row in checks["columns"]}


def test_a_leak_ends_the_run_with_its_evidence(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A feature that was made of the label."""

    def leaky(world: World, on_progress: Progress, engine: Engine) -> Shop:
        shop = open_shop(world, on_progress, engine)
        rows = shop.rows.assign(position=shop.rows["clicked"].astype(float))
        return replace(shop, rows=rows)

    monkeypatch.setattr(main_job, "open_shop", leaky)
    with pytest.raises(
        EvaluationError, match=r"leaks: 1 found: 'position': copy of the label: .*, correlation 1\.0000"
    ):
        run_job(read_config(SMALL), data_folder=bare, output=tmp_path)
    assert not (tmp_path / "summary.json").exists()


def test_the_first_line_says_that_purchases_are_generated(
    run: tuple[Path, dict[str, Any]], bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_job(read_config(SMALL), data_folder=bare, output=run[0], console=Console(width=200))
    assert capsys.readouterr().out.splitlines()[0].startswith("purchases: generated")
    assert "generated purchases" in (run[0] / "report.html").read_text()


def test_lift_has_every_model_metric_and_estimator_beside_the_truth(run: tuple[Path, dict[str, Any]]) -> None:
    rows = pd.DataFrame(run[1]["lift"])
    assert set(zip(rows.model, rows.metric, rows.estimator, strict=True)) == {
        (model, metric, estimator)
        for model in ("popularity", "item_knn", "funnel")
        for metric in METRICS
        for estimator in ("snips", "dr")
    }
    told = rows[rows.verdict != "refuse"]
    assert len(told) > 0
    assert (told.ci_low < told.estimate).all()
    assert (told.estimate < told.ci_high).all()
    assert rows.true.notna().all()
    distance = (told.estimate - told.true).abs() / (told.ci_high - told.ci_low)
    assert distance.median() < 0.5, "the truth lies inside most intervals"


def test_the_month_is_set_to_the_rates_asked_for(run: tuple[Path, dict[str, Any]]) -> None:
    month = run[1]["data"]["month"]
    n, rate = month["impressions"], 0.08
    assert abs(month["ctr"] - rate) < 4 * (rate * (1 - rate) / n) ** 0.5


def test_the_same_seed_gives_the_same_summary(run: tuple[Path, dict[str, Any]], bare: Path, tmp_path: Path) -> None:
    run_job(read_config(SMALL), data_folder=bare, output=tmp_path)
    again = json.loads((tmp_path / "summary.json").read_text())
    assert without_times(again) == without_times(run[1])


def test_running_it_again_resumes_the_finished_study(run: tuple[Path, dict[str, Any]], bare: Path) -> None:
    folder, summary = run
    run_job(read_config(SMALL), data_folder=bare, output=folder)
    again = json.loads((folder / "summary.json").read_text())
    assert again["sweep"]["trials_done"] == summary["sweep"]["trials_done"], "seconds too: no trial was run again"


def test_the_report_needs_no_network_and_says_what_is_simulated(run: tuple[Path, dict[str, Any]]) -> None:
    page = (run[0] / "report.html").read_text()
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=", page)
    for anchor in ("ranking", "lift", "calibration", "open-bandit", "sweep", "line-up"):
        assert f'id="{anchor}"' in page
    assert page.count('class="tag simulated"') == 4
    assert page.count("Plotly.newPlot(") >= 6


def test_the_line_up_is_a_csv_with_the_products_of_the_summary(run: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = run
    table = pd.read_csv(folder / "line_up.csv")
    assert table.item_id.tolist() == [row["item_id"] for row in summary["lineup"]]
    assert len(table) == 8
    assert table.groupby("category").size().max() <= 4
    assert table.groupby("brand").size().max() <= 3
    assert summary["room"]["expected_margin"] == pytest.approx(table.expected_margin.sum(), rel=1e-5)


def test_the_champion_is_the_best_lower_bound_and_can_be_loaded(run: tuple[Path, dict[str, Any]]) -> None:
    folder, summary = run
    trials, champion = pd.DataFrame(summary["sweep"]["trials_done"]), summary["champion"]
    believed = trials[(trials.verdict != "refuse") & (trials.value > 0)]
    assert champion["promoted"] == (len(believed) > 0)
    if champion["promoted"]:
        assert champion["trial"] == believed.loc[believed.value.idxmax(), "number"]
        assert champion["largest_difference"] <= 1e-6
        assert Scorer.load(folder / "champion").info.card.family == champion["family"]


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(entry) for key, entry in value.items() if "seconds" not in key}
    if isinstance(value, list):
        return [without_times(entry) for entry in value]
    return value


def test_the_engine_is_one_setting() -> None:
    assert from_table(JobConfig, {"engine": "spark", "models": POPULARITY}, "job").engine == "spark"
    with pytest.raises(ConfigError, match=r"job: key 'engine': .*'duckdb' or 'spark'.*given: 'flink'"):
        from_table(JobConfig, {"engine": "flink", "models": POPULARITY}, "job")
