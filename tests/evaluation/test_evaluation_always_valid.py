from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.always_valid import FIRST_EVENTS, lift_at_looks, widening
from beautyrec.evaluation.estimate import Verdict

LOOKS = [*range(250, 10_001, 250)]


def test_the_interval_is_its_formula():
    rng = np.random.default_rng(0)
    treated, seen = rng.random(900) < 0.5, rng.poisson(4, 900) + 1
    clicks = rng.binomial(seen, 0.2)
    look = lift_at_looks(clicks, treated, [300, 900], planned_users=500, denominator=seen)[1]
    ratio, variance = [], 0.0
    for arm in (treated, ~treated):
        y, d = clicks[arm], seen[arm]
        ratio.append(y.sum() / d.sum())
        variance += ((y - ratio[-1] * d) ** 2).sum() / y.sum() ** 2
    rho2 = (-2 * log(0.05) + log(1 - 2 * log(0.05))) / 500
    boundary = sqrt(2 * (900 * rho2 + 1) / (900**2 * rho2) * log(sqrt(900 * rho2 + 1) / 0.05))
    half = boundary * sqrt(900 * variance)
    middle = log(ratio[0] / ratio[1])
    found = look.lift.estimate
    assert (found.value, found.ci_low, found.ci_high) == pytest.approx(np.expm1([middle, middle - half, middle + half]))
    assert (look.lift.target, look.lift.logging) == pytest.approx(tuple(ratio))
    assert (look.users, found.n, look.lift.verdict) == (900, 900, Verdict.TRUST)


@pytest.mark.parametrize("lift", [0.0, 0.3])
def test_the_truth_is_held_at_all_looks_together(lift):
    """1,000 tests at a conversion of 5 %, looked at 40 times; each must hold the truth every time in 95 of 100."""
    rng = np.random.default_rng(7)
    missed = peeked = 0
    for _ in range(1_000):
        treated = rng.random(LOOKS[-1]) < 0.5
        bought = rng.random(LOOKS[-1]) < 0.05 * (1 + lift * treated)
        found = [look for look in lift_at_looks(bought, treated, LOOKS, planned_users=5_000) if look.lift.estimate]
        ends = np.log1p([(look.lift.estimate.ci_low, look.lift.estimate.ci_high) for look in found])
        truth, middle = np.log1p(lift), ends.mean(axis=1)
        missed += bool(((ends[:, 0] > truth) | (truth > ends[:, 1])).any())
        error = (ends[:, 1] - middle) / widening(np.array([look.users for look in found]), 5_000, 0.05)
        peeked += bool((np.abs(middle - truth) > 1.96 * error).any())
    assert missed / 1_000 <= 0.05
    assert peeked / 1_000 > 0.15  # what the interval for one look does when looked at 40 times


def test_it_is_not_much_wider_than_for_one_look_where_it_was_planned():
    at = np.arange(1_000, 40_001, 1_000)
    factor = widening(at, 10_000, 0.05)
    assert 1.5 < factor[9] / 1.96 < 1.6
    width = factor / np.sqrt(at)
    assert (np.diff(width) < 0).all()
    narrowest = [widening(np.array([10_000]), n, 0.05)[0] for n in (2_000, 10_000, 50_000)]
    assert narrowest[1] == min(narrowest)


def test_early_looks_say_nothing():
    treated = np.arange(4_000) % 2 == 0
    bought = np.arange(4_000) % 20 < 2  # 5 % of each variant: 30 buyers each after 600 users
    looks = lift_at_looks(bought, treated, [100, 580, 600, 4_000], planned_users=1_000)
    assert [look.lift.estimate is None for look in looks] == [True, True, False, False]
    assert looks[0].lift.verdict is Verdict.REFUSE
    assert str(FIRST_EVENTS) in looks[0].lift.reasons[0]
    nothing = lift_at_looks(np.zeros(10), np.zeros(10, dtype=bool), [10], planned_users=10)[0].lift
    assert (nothing.estimate, nothing.target) == (None, None)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"treated": np.ones(3, dtype=bool)}, "numerator has 4 users, denominator 4, treated 3"),
        ({"numerator": [0, 1, np.nan, -1]}, "numerator: 2 of 4 values are negative or not finite"),
        ({"looks": [3, 2]}, "must rise from 1 at least to 4 at most"),
        ({"looks": [5]}, "must rise"),
        ({"looks": []}, "must rise"),
        ({"confidence": 1.0}, r"confidence is 1\.0"),
        ({"planned_users": 0}, "planned_users 0"),
    ],
)
def test_bad_input_is_named(change, says):
    settings = {"numerator": [0, 1, 0, 1], "treated": [True, False, True, False], "looks": [4], "planned_users": 4}
    with pytest.raises(EvaluationError, match=says):
        lift_at_looks(**(settings | change))
