"""The Open Bandit benchmark: its value on a log done by hand, and what it does without the prior."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.sources.open_bandit import BetaPrior, OpenBanditLog
from beautyrec.errors import SourceError
from beautyrec.evaluation.lift import COLUMNS
from beautyrec.policies.bernoulli_ts import BernoulliTS
from benchmarks import open_bandit


@pytest.fixture
def log() -> OpenBanditLog:
    """Four impressions of two items at two positions, one click each."""
    zeros = np.zeros(4, dtype=np.int64)
    return OpenBanditLog(
        item_id=np.array([0, 1, 0, 1]),
        position=np.array([1, 1, 2, 2]),
        click=np.array([1, 0, 0, 1]),
        propensity=np.array([0.5, 0.5, 0.25, 0.75]),
        timestamp=zeros,
        n_items=2,
        behaviour="random",
        campaign="all",
        n_positions=2,
    )


def test_the_value_is_the_mean_of_weighted_clicks(log):
    chances = np.array([[0.8, 0.2], [0.2, 0.8]])
    assert open_bandit.ipw(log, chances) == pytest.approx((0.8 / 0.5 + 0.8 / 0.75) / 4)


def test_runs_one_after_another_are_one_run_and_tell_its_error(log):
    policy = BernoulliTS(np.array([2.0, 1.0]), np.array([3.0, 3.0]))
    found = open_bandit.drawn(policy, log, 4000, np.random.RandomState(5))
    whole = policy.action_distribution(2, 4000, rng=np.random.RandomState(5))
    np.testing.assert_allclose(found.chances, whole)
    assert found.value == pytest.approx(open_bandit.ipw(log, whole))
    p = whole[
        0, 0
    ]  # item 0 first means item 1 second: both clicks are of that order, so the value is p times a constant
    exact = np.sqrt(p * (1 - p) / 4000) * (1 / 0.5 + 1 / 0.75) / 4
    assert 0.4 * exact < found.error < 1.8 * exact  # a standard deviation of ten: 9 degrees of freedom


def test_a_value_that_differs_in_the_sixth_digit_does_not_hold(log, monkeypatch):
    prior = BetaPrior(np.ones(2), np.ones(2))
    monkeypatch.setattr(open_bandit, "bandit_lift", lambda log, chances: pd.DataFrame(columns=COLUMNS))
    checks, _ = open_bandit.thompson(log, prior, 0, 1000)
    assert [check.holds for check in checks[:2]] == [False, False]
    monkeypatch.setattr(open_bandit, "VALUE", checks[0].value)
    checks, _ = open_bandit.thompson(log, prior, 0, 1000)
    assert [check.holds for check in checks[:2]] == [True, False]


@pytest.mark.shared
def test_without_the_prior_the_rest_is_measured_and_says_so(monkeypatch, shared_data):
    def offline(into):
        raise SourceError("pip could not download")

    monkeypatch.setattr(open_bandit, "fetch_open_bandit", offline)
    monkeypatch.setattr(open_bandit, "find_open_bandit", lambda data, into: shared_data / "open-bandit-small")
    checks, notes = open_bandit.measure(0, quick=True)
    assert len(checks) == 2
    assert "prior is not there: pip could not download" in notes["left_out"]
    assert notes["ipw_with_logged_chances"] == pytest.approx(0.004526, abs=5e-7)


def test_without_the_logs_it_cannot_run(monkeypatch, tmp_path):
    def offline(data, into):
        raise SourceError("pip could not download")

    monkeypatch.setattr(open_bandit, "find_open_bandit", offline)
    with pytest.raises(SourceError, match="the data folder has no Open Bandit logs: pip could not download"):
        open_bandit.measure(0, quick=True)
