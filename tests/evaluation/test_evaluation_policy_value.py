"""Values of policies and the one look at all actions, against plain formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.errors import EvaluationError
from beautyrec.evaluation import action_scan
from beautyrec.evaluation.action_scan import scan_actions
from beautyrec.evaluation.bandit_log import BanditLog
from beautyrec.evaluation.evidence import Outcomes
from beautyrec.evaluation.intervals import Delta, PoissonBootstrap
from beautyrec.evaluation.off_policy import DM, DR, IPS, SNIPS
from beautyrec.evaluation.policy_value import policy_values

N, A = 4000, 5


def chances(rng, n=N):
    raised = np.exp(rng.normal(size=(n, A)))
    return raised / raised.sum(axis=1, keepdims=True)


def problem(seed=0):
    rng = np.random.default_rng(seed)
    logging, target, model = chances(rng), chances(rng), rng.uniform(0, 0.4, (N, A))
    action = (rng.random((N, 1)) > np.cumsum(logging[:, :-1], axis=1)).sum(axis=1)
    reward = (rng.random(N) < 0.2).astype(np.float64)
    at = np.arange(N)
    log = BanditLog(action, Outcomes(reward), logging[at, action])
    weight = target[at, action] / logging[at, action]
    return log, target, model, reward, weight


@pytest.mark.parametrize("interval", [Delta(), PoissonBootstrap(seed=0, replicates=4000)])
def test_values_and_widths_are_the_formulas(interval):
    log, target, model, y, w = problem()
    found = policy_values(log.evidence(target, Outcomes(model)), (IPS(), SNIPS(), DM(), DR()), interval=interval)
    mean = (target * model).sum(axis=1)
    rows = {
        "ips": w * y,
        "snips": (w * y).sum() / w.sum() + (y - (w * y).sum() / w.sum()) * w / w.mean(),
        "dm": mean,
        "dr": mean + w * (y - model[np.arange(N), log.action]),
    }
    for name, values in rows.items():
        estimate = found[name]
        assert estimate.value == pytest.approx(values.mean(), rel=1e-12)
        width = 2 * 1.96 * values.std(ddof=1) / np.sqrt(N)
        assert estimate.ci_high - estimate.ci_low == pytest.approx(width, rel=0.1)
        assert (estimate.n, estimate.unit) == (N, "clicks per impression")


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 50), st.integers(0, 1000))
def test_tiles_of_any_size_give_the_whole(n, actions, tile, seed):
    rng = np.random.default_rng(seed)
    target, values = rng.random((n, actions)), rng.normal(size=(n, actions))
    action = rng.integers(0, actions, n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(action_scan, "_TILE", tile)
        found = scan_actions(target, [values, target], action)
    assert (found.least, found.largest) == (target.min(), target.max())
    np.testing.assert_allclose(found.total, target.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(
        found.means, [(target * values).sum(axis=1), (target**2).sum(axis=1)], rtol=1e-9, atol=1e-12
    )
    np.testing.assert_array_equal(found.shown, [values[np.arange(n), action], target[np.arange(n), action]])


@pytest.mark.parametrize("wrong", [np.nan, -0.1, 1.5])
def test_a_wrong_chance_is_named_wherever_it_is(wrong):
    log, target, *_ = problem()
    target[3210, 2] = wrong
    with pytest.raises(EvaluationError, match=r"target: 1 of 20000 chances are outside .* in row 3210, position 3"):
        log.evidence(target)


def test_chances_that_do_not_sum_to_one_are_named():
    log, target, *_ = problem()
    target[7] *= 0.5
    with pytest.raises(EvaluationError, match=r"1 of 4000 rounds do not sum to 1; row 7 sums to 0\.5"):
        log.evidence(target)


def test_an_estimator_that_lacks_something_says_which():
    log, target, *_ = problem()
    with pytest.raises(EvaluationError, match="DM needs expected outcomes"):
        policy_values(log.evidence(target), (DM(),))
    empty = BanditLog(log.action, Outcomes(np.zeros(N)), log.logging).evidence(np.eye(A)[(log.action + 1) % A])
    with pytest.raises(EvaluationError, match=r"snips: .*too few events"):
        policy_values(empty, (SNIPS(),))
    with pytest.raises(EvaluationError, match="confidence is 95"):
        policy_values(empty, (IPS(),), confidence=95)
