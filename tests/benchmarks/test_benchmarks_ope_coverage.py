"""The coverage benchmark: its bound, one world of it, and the object that every benchmark prints."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from beautyrec.evaluation.metrics import METRICS
from beautyrec.simulate.world import World
from benchmarks import _harness, ope_coverage

LIFTS = 2 * len(METRICS)  # by SNIPS and by DR


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return ope_coverage.one_world(5)


@pytest.mark.parametrize("miss", [0.01, 0.001])
def test_the_bound_of_a_short_run_is_a_binomial_quantile(miss):
    for count in (20, 40, 200):
        bound = round(ope_coverage.lower_bound(count, miss) * count)
        assert stats.binom.cdf(bound - 1, count, ope_coverage.LEAST) <= miss < stats.binom.cdf(bound, count, 0.93)


def test_one_world_gives_a_lift_and_its_truth_for_every_policy_and_metric(table):
    assert table.groupby("policy").size().to_dict() == {"near": LIFTS, "far": LIFTS}
    asked = table[table["policy"] == "near"]
    assert asked[["estimate", "ci_low", "ci_high", "true"]].notna().all(axis=None)
    assert ((asked["ci_high"] - asked["ci_low"]) > 0).all()
    assert asked["true"].between(-0.9, 5).all()
    assert ope_coverage.one_world(6)["policy"].unique().tolist() == ["near"]


def test_a_far_policy_shares_less_with_the_log(table):
    effective = table.groupby("policy")["effective_n"].first()
    assert effective["far"] < 0.3 * effective["near"]


@pytest.mark.parametrize("kind", [ope_coverage.near, ope_coverage.far])
def test_a_policy_is_the_same_function_of_room_product_and_viewer_before_every_crowd(kind):
    world = World.tiny(7)
    crowd = world.with_viewers(1)
    target = kind(world, np.random.default_rng(0))
    slates = crowd.slates()
    chances = target.chances(crowd, slates)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert (chances[slates.shelves.item_ix[slates.room_ix] < 0] == 0).all()
    some = slates.where(np.arange(len(slates)) % 7 == 3)
    np.testing.assert_allclose(target.chances(crowd, some), chances[3::7])
    if target.goal is None:  # it knows no viewer: one row a room, the same in every crowd
        others = world.with_viewers(2)
        theirs = target.chances(others, others.slates())
        for room in (0, 11):
            np.testing.assert_allclose(
                theirs[others.slates().room_ix == room][0], chances[slates.room_ix == room][0], rtol=1e-12
            )


def test_what_covers_and_what_has_the_wrong_sign(monkeypatch):
    rows = pd.DataFrame(
        {
            "ci_low": pd.array([0.1, 0.1, -0.3, -0.1, None], dtype="Float64"),
            "ci_high": pd.array([0.3, 0.3, -0.1, 0.2, None], dtype="Float64"),
            "true": [0.2, -0.1, 0.1, 0.3, 0.1],
        }
    )
    monkeypatch.setattr(ope_coverage, "side_by_side", lambda work, workers, progress: iter([rows]))
    table = ope_coverage.all_worlds(0, 1)
    assert table["covers"].tolist() == [True, False, False, False, False]
    assert table["wrong"].tolist() == [False, True, True, False, False]


def test_each_metric_has_a_lower_and_an_upper_bound_and_refusals_are_counted(monkeypatch, table):
    judged = table.assign(covers=True, wrong=False)
    judged.loc[judged["policy"] == "far", "verdict"] = "refuse"
    monkeypatch.setattr(ope_coverage, "all_worlds", lambda first, count: judged)
    checks, notes = ope_coverage.measure(0, quick=False)
    targets = [(check.target, check.holds) for check in checks if check.name.startswith("coverage of ctr lift")]
    assert targets == [(">= 0.93", True), ("<= 0.97", False)] * 2
    assert checks[-1].value == LIFTS
    assert notes["verdicts"]["far"] == {"trust": 0, "caution": 0, "refuse": LIFTS}
    quick, _ = ope_coverage.measure(0, quick=True)
    assert not any(check.target == "<= 0.97" for check in quick)


def test_a_benchmark_prints_one_object_and_keeps_only_full_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(_harness, "RESULTS", tmp_path)
    checks = [_harness.at_least("a", 0.5, "share", 0.9), _harness.at_most("b", 1, "s", 2)]
    _harness.main("sample", lambda seed, quick: (checks, {"seed": seed, "quick": quick}), ["--json", "--quick"])
    printed = json.loads(capsys.readouterr().out)
    assert {"name", "commit", "seed", "machine", "seconds", "quick", "checks"} <= set(printed)
    assert [check["holds"] for check in printed["checks"]] == [False, True]
    assert printed["checks"][0] == {"name": "a", "value": 0.5, "unit": "share", "target": ">= 0.9", "holds": False}
    assert list(tmp_path.iterdir()) == []
    _harness.main("sample", lambda seed, quick: (checks, {}), [])
    assert "MISS a" in capsys.readouterr().out
    assert json.loads((tmp_path / "sample.json").read_text())["quick"] is False


def test_a_run_that_left_a_part_out_does_not_replace_one_that_measured_it(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(_harness, "RESULTS", tmp_path)
    kept = tmp_path / "sample.json"
    parts = {_harness.LEFT_OUT: "the browser, as streamlit is not installed"}
    part = [_harness.at_least("a", 0.1, "share", 0.9)]
    whole = [*part, _harness.at_least("b", 0.5, "share", 0.9)]
    _harness.main("sample", lambda seed, quick: (part, parts), [])
    assert len(json.loads(kept.read_text())["checks"]) == 1, "a part is more than nothing"
    _harness.main("sample", lambda seed, quick: (whole, {}), [])
    before = kept.read_text()
    _harness.main("sample", lambda seed, quick: (part, parts), [])
    assert kept.read_text() == before
    assert "stays: it has what was left out here, the browser, as streamlit is not installed" in capsys.readouterr().err
    _harness.main("sample", lambda seed, quick: (whole, {"newer": 1}), [])
    assert json.loads(kept.read_text())["notes"] == {"newer": 1}


def test_what_cannot_run_exits_with_1_or_2(capsys):
    with pytest.raises(SystemExit) as stopped:
        _harness.main("sample", lambda seed, quick: ([], {}), ["--unknown"])
    assert stopped.value.code == 2
    assert "--unknown" in capsys.readouterr().err
