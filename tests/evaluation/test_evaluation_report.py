from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from beautyrec.errors import EvaluationError, MissingExtraError
from beautyrec.evaluation import figures
from beautyrec.evaluation.evidence import impressions
from beautyrec.evaluation.lift import lift_table
from beautyrec.evaluation.prediction import calibration_curve
from beautyrec.evaluation.promise import promised_and_delivered
from beautyrec.evaluation.ranking_table import ranking_table
from beautyrec.evaluation.report import evaluation_report, overlap_columns

REFUSED = 0.876543
"""A number that must not be seen."""


@pytest.fixture(scope="module")
def lifts() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    good = rng.random(4000) < 0.5
    clicked = rng.random(4000) < np.where(good, 0.2, 0.1)
    log = impressions(target=np.where(good, 0.8, 0.2), logging=np.full(4000, 0.5), clicked=clicked)
    told = lift_table(log).assign(model="good", true=0.2, **overlap_columns(log))
    refused = told.assign(
        model="<b>sharp</b>",
        verdict="refuse",
        reasons="too few; and more",
        estimate=REFUSED,
        ci_low=REFUSED,
        ci_high=REFUSED,
    )
    return pd.concat([told, refused], ignore_index=True)


@pytest.fixture(scope="module")
def frames(lifts) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(1)
    p = rng.beta(2, 20, 3000)
    segment = np.array(["evening", "morning"])[np.arange(60) % 2]
    test = lifts[lifts["model"] == "good"].assign(estimator="a/b test")
    return {
        "lifts": lifts,
        "calibration": calibration_curve(p, rng.random(3000) < p).assign(prediction="pCTR"),
        "ranking": ranking_table({"ndcg": rng.random(60), "recall": rng.random(60)}, segment),
        "experiment": promised_and_delivered(lifts[lifts["model"] == "good"], test),
    }


def test_a_page_of_everything_needs_no_network(frames, tmp_path):
    report = evaluation_report(**frames, title="All of it", path=tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == report.html
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    page = re.sub(r"<script>.*?</script>", "", report.html, count=1, flags=re.DOTALL)
    assert not re.search(r"(src|href)=.?https?:", page)
    for anchor in ("lift", "overlap", "calibration", "ranking", "experiment"):
        assert f'<section id="{anchor}">' in page
        assert f"figure-{anchor}-0" in page
    assert set(report.frame["section"]) == set(frames)
    assert len(report.frame) == sum(map(len, frames.values()))


def test_a_refused_lift_shows_no_number_anywhere(lifts):
    report = evaluation_report(lifts=lifts)
    page = report.html[report.html.index("</head>") :]
    assert "the log cannot tell" in page
    assert "too few" in page
    assert "87.7" not in page
    assert "+88" not in page
    assert str(REFUSED) not in page
    refused = report.frame[report.frame["verdict"] == "refuse"]
    assert refused[["value", "ci_low", "ci_high"]].isna().all(axis=None)
    assert refused["note"].tolist() == ["too few; and more"] * len(refused)


def test_what_is_simulated_is_labelled(frames):
    told = {
        **frames,
        "lifts": frames["lifts"].assign(simulated=True),
        "ranking": frames["ranking"].assign(simulated=False),
    }
    page = evaluation_report(**told).html
    tagged = re.findall(r'<section id="([a-z]+)">\s*<h2>[^<]*<span class="tag simulated">', page)
    assert tagged == ["lift", "overlap"]


def test_names_cannot_break_the_page(lifts):
    page = evaluation_report(lifts=lifts).html
    assert "<td" in page
    assert "<b>sharp</b></td>" not in page
    assert "&lt;b&gt;sharp&lt;/b&gt;" in page


def test_the_forest_has_a_point_for_what_is_told_and_a_reason_for_what_is_not(lifts):
    figure = figures.forest(lifts, "ctr")
    drawn = [x for trace in figure.data if "trust" in trace.name for x in trace.x]
    told = lifts[(lifts["metric"] == "ctr") & (lifts["verdict"] == "trust")]
    assert drawn == told["estimate"].tolist()
    assert {trace.marker.color for trace in figure.data if "trust" in trace.name} == {figures.COLOURS["trust"]}
    assert [note.text for note in figure.layout.annotations] == ["<b>refuse</b>: too few"]
    truth = next(trace for trace in figure.data if trace.name == "true lift")
    assert set(truth.x) == {0.2}


def test_the_overlap_has_the_colours_of_the_limits(lifts):
    few = lifts.assign(effective_n=np.where(lifts["model"] == "good", 4000.0, 12.0))
    bars = figures.overlap(few).data[0]
    assert tuple(bars.marker.color) == (figures.COLOURS["trust"], figures.COLOURS["refuse"])
    assert tuple(bars.text) == ("4,000 of 4,000", "12 of 4,000")


def test_the_columns_of_the_overlap_are_those_of_the_weights(rng):
    target, logging = rng.uniform(0.1, 0.4, 500), rng.uniform(0.1, 0.4, 500)
    found = overlap_columns(impressions(target=target, logging=logging, clicked=np.ones(500)))
    weight = target / logging
    assert found["mean_weight"] == pytest.approx(weight.mean())
    assert found["largest_share"] == pytest.approx(weight.max() / weight.sum())
    assert found["top_share"] == pytest.approx(np.sort(weight)[-5:].sum() / weight.sum())


def test_a_model_without_any_lift_is_in_the_table_only(lifts):
    absent = pd.DataFrame([{"model": "hybrid", "verdict": "refuse", "reasons": "not installed"}])
    report = evaluation_report(lifts=pd.concat([lifts, absent], ignore_index=True))
    assert "not installed" in report.html


def test_what_cannot_be_reported_is_an_error(lifts, monkeypatch):
    with pytest.raises(EvaluationError, match="nothing to report"):
        evaluation_report(lifts=lifts.iloc[:0])
    with pytest.raises(EvaluationError, match=r"'lifts' lacks the columns \['verdict'\]"):
        evaluation_report(lifts=lifts.drop(columns="verdict"))
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match="report"):
        evaluation_report(lifts=lifts)
