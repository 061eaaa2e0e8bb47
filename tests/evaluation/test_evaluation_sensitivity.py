import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import impressions
from beautyrec.evaluation.sensitivity import extreme, tipping_point


@given(seed=st.integers(0, 10_000), factor=st.floats(1, 5), highest=st.booleans())
@settings(max_examples=50, deadline=None)
def test_extremes_are_those_of_every_pattern_of_wrong_weights(seed, factor, highest):
    rng = np.random.default_rng(seed)
    weight, worth = rng.uniform(0.1, 3, 7), rng.choice([0.0, 0.5, 1.0, 2.0], 7)
    patterns = np.array(list(itertools.product([1 / factor, factor], repeat=7)))
    means = (patterns * weight) @ worth / (patterns @ weight)
    wanted = means.max() if highest else means.min()
    assert extreme(weight, worth, factor, highest=highest) == pytest.approx(wanted, rel=1e-12)


def log(rng, n=300):
    target, logging = rng.uniform(0.05, 1, n), rng.uniform(0.2, 1, n)
    return impressions(target=target, logging=logging, clicked=rng.random(n) < 0.3 * target)


@pytest.mark.parametrize("seed", range(5))
def test_the_lift_is_gone_at_the_tipping_factor_and_there_below(seed):
    evidence = log(np.random.default_rng(seed))
    found = tipping_point(evidence)
    weight, worth = evidence.weight.ravel(), evidence.outcomes.clicked.ravel()
    against = found.lift < 0
    assert found.lift == pytest.approx(weight @ worth / weight.sum() / worth.mean() - 1)
    assert extreme(weight, worth, found.tipping, highest=against) == pytest.approx(worth.mean(), rel=1e-9)
    below = extreme(weight, worth, 1 + 0.9 * (found.tipping - 1), highest=against)
    assert (below < worth.mean()) == against


def test_a_log_of_the_target_itself_has_nothing_to_tip():
    same = np.full(10, 0.5)
    found = tipping_point(impressions(target=same, logging=same, clicked=np.arange(10) % 2))
    assert (found.lift, found.tipping) == (0.0, 1.0)


def test_where_only_successes_have_weight_nothing_tips():
    clicked = np.array([1, 1, 0, 0])
    found = tipping_point(impressions(target=clicked.astype(float), logging=np.full(4, 0.5), clicked=clicked))
    assert found.tipping == np.inf


def test_no_clicks_is_a_named_error():
    with pytest.raises(EvaluationError, match="no lift to tip"):
        tipping_point(impressions(target=np.ones(3), logging=np.ones(3), clicked=np.zeros(3)))
