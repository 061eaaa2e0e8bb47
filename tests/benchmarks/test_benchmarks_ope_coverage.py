"""The coverage benchmark: its bound, one world of it, and the object that every benchmark prints."""

from __future__ import annotations

import json

import pytest
from scipy import stats

from beautyrec.evaluation.metrics import METRICS
from benchmarks import _harness, ope_coverage


def test_the_bound_of_a_short_run_is_a_binomial_quantile():
    for seeds in (20, 40, 200):
        bound = round(ope_coverage.lower_bound(seeds) * seeds)
        assert stats.binom.cdf(bound - 1, seeds, ope_coverage.WANTED) <= 0.01 < stats.binom.cdf(bound, seeds, 0.93)


def test_one_world_gives_a_lift_and_its_truth_for_every_metric():
    table = ope_coverage.one_seed(3)
    assert len(table) == 2 * len(METRICS)
    assert table[["estimate", "ci_low", "ci_high", "true"]].notna().all(axis=None)
    assert ((table["ci_high"] - table["ci_low"]) > 0).all()
    assert table["true"].between(-0.9, 5).all()


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


def test_what_cannot_run_exits_with_1_or_2(capsys):
    with pytest.raises(SystemExit) as stopped:
        _harness.main("sample", lambda seed, quick: ([], {}), ["--unknown"])
    assert stopped.value.code == 2
    assert "--unknown" in capsys.readouterr().err
