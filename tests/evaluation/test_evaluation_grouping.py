"""The choice among groupings against exact bias and variance, where the right one is known."""

from __future__ import annotations

import numpy as np
import pytest

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.bandit_log import BanditLog
from beautyrec.evaluation.evidence import Outcomes
from beautyrec.evaluation.grouping import choose_group, nested_groups
from beautyrec.evaluation.off_policy import MIPS, least_error, per_row

ACTIONS, ROUNDS = 128, 4000
ALIKE = np.arange(ACTIONS) // 8  # 16 kinds of eight actions each; the click rate is that of the kind
GROUPS = [np.arange(ACTIONS) // size for size in (2, 8, 32, 128)]
_RNG = np.random.default_rng(3)
RATE = np.tile([0.1, 0.8], 8)[ALIKE]  # kinds next to each other are unlike
LOGGING = _RNG.dirichlet(np.full(ACTIONS, 0.5))
TARGET = _RNG.dirichlet(np.where(RATE > 0.5, 1.5, 0.3))


def drawn(seed: int, rate: np.ndarray = RATE) -> BanditLog:
    rng = np.random.default_rng(seed)
    action = rng.choice(ACTIONS, size=ROUNDS, p=LOGGING)
    clicked = (rng.random(ROUNDS) < rate[action]).astype(np.float64)
    return BanditLog(action, Outcomes(clicked), np.tile(LOGGING, (ROUNDS, 1)))


def squared_error(group: np.ndarray, rate: np.ndarray) -> float:
    """Exact mean squared error of MIPS: sums over all actions and both outcomes."""
    mass = [np.bincount(group, weights=chances)[group] for chances in (TARGET, LOGGING)]
    weight = mass[0] / mass[1]
    mean = (LOGGING * weight * rate).sum()
    variance = (LOGGING * weight**2 * rate).sum() - mean**2
    return float((mean - (TARGET * rate).sum()) ** 2 + variance / ROUNDS)


def test_slope_takes_the_grouping_of_least_exact_error():
    errors = [squared_error(group, RATE) for group in GROUPS]
    assert int(np.argmin(errors)) == 1  # actions of a kind together, no more
    target = np.tile(TARGET, (ROUNDS, 1))
    chosen = [len(np.unique(choose_group(drawn(seed), target, GROUPS).group)) for seed in range(20)]
    assert chosen.count(16) >= 18


def test_the_order_of_the_groupings_does_not_count():
    target = np.tile(TARGET, (ROUNDS, 1))
    for seed in range(3):
        forth, back = (choose_group(drawn(seed), target, groups).group for groups in (GROUPS, GROUPS[::-1]))
        np.testing.assert_array_equal(forth, back)


def test_without_likeness_every_action_stays_on_its_own():
    rate = np.random.default_rng(5).permutation(np.r_[np.full(ACTIONS // 2, 0.02), np.full(ACTIONS // 2, 0.98)])
    logging = np.full((ROUNDS, ACTIONS), 1 / ACTIONS)
    rng = np.random.default_rng(6)
    action = rng.integers(ACTIONS, size=ROUNDS)
    log = BanditLog(action, Outcomes((rng.random(ROUNDS) < rate[action]).astype(np.float64)), logging)
    target = np.tile(np.where(rate > 0.5, 2 / ACTIONS, 0.0), (ROUNDS, 1))  # weights of 0 and 2: little variance
    for rule_choice in (choose_group(log, target, GROUPS), choose_group(log, target, GROUPS, rule=least_error)):
        assert len(np.unique(rule_choice.group)) == ACTIONS


def test_with_a_model_that_knows_all_but_the_level_one_group_does():
    """OffCEM needs only the differences within a group; a constant error is corrected by one group of all."""
    model = np.tile(RATE - 0.2, (ROUNDS, 1))
    target = np.tile(TARGET, (ROUNDS, 1))
    log = choose_group(drawn(0), target, GROUPS, expected=Outcomes(model))
    assert len(np.unique(log.group)) == 1
    alone = choose_group(drawn(0), target, GROUPS)
    value = per_row(MIPS(), alone.evidence(target), "clicked")
    assert value.mean() == pytest.approx(TARGET @ RATE, abs=4 * value.std() / ROUNDS**0.5)


def test_groups_by_features_are_nested():
    features = np.random.default_rng(0).standard_normal((40, 3))
    fine, middle, coarse = nested_groups(features, [20, 6, 2])
    assert [len(np.unique(group)) for group in (fine, middle, coarse)] == [20, 6, 2]
    for finer, coarser in ((fine, middle), (middle, coarse)):
        assert all(len(np.unique(coarser[finer == one])) == 1 for one in np.unique(finer))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: choose_group(drawn(0), np.tile(TARGET, (ROUNDS, 1)), []), "no grouping to choose from"),
        (lambda: choose_group(drawn(0), np.tile(TARGET, (ROUNDS, 1)), [np.zeros(3, dtype=int)]), "group has shape"),
        (lambda: nested_groups(np.ones((3, 1)), [2, 4]), "4 groups of 3 actions"),
        (lambda: nested_groups(np.ones(3), [2]), "got shape"),
    ],
)
def test_what_is_refused(make, says):
    with pytest.raises(EvaluationError, match=says):
        make()
