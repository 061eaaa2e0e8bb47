"""Single-item estimators against an oracle that enumerates every context, action and outcome of a tiny problem."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.bandit_log import BanditLog
from beautyrec.evaluation.evidence import Outcomes, impressions
from beautyrec.evaluation.lift import lifts
from beautyrec.evaluation.metrics import CTR
from beautyrec.evaluation.moments import Moments
from beautyrec.evaluation.off_policy import (
    AUTOMATIC,
    CLIPPED_IPS,
    DM,
    DR,
    IPS,
    MIPS,
    SHRUNK_DR,
    SNDR,
    SNIPS,
    SUB_GAUSSIAN_DR,
    SWITCH_DR,
    Chosen,
    ClippedIPS,
    OffCEM,
    RegressedDR,
    Replay,
    ShrunkDR,
    SubGaussianDR,
    SwitchDR,
    least_error,
    per_row,
    slope,
)
from beautyrec.evaluation.totals import Ledger

CONTEXTS, ACTIONS = 3, 4
GROUP = np.array([0, 0, 1, 1])


def simplex(rng, shape):
    chances = rng.uniform(0.1, 1, size=shape)
    return chances / chances.sum(axis=1, keepdims=True)


class Problem:
    """A tiny world: chances of every cell are known, so means over the log's distribution are sums."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.context = simplex(rng, (1, CONTEXTS))[0]
        self.logging, self.target = (simplex(rng, (CONTEXTS, ACTIONS)) for _ in range(2))
        self.rate = rng.uniform(0, 1, size=(CONTEXTS, ACTIONS))
        self.model = rng.uniform(0, 1, size=(CONTEXTS, ACTIONS))
        cells = np.indices((CONTEXTS, ACTIONS, 2)).reshape(3, -1)
        self.x, self.a, self.y = cells

    @property
    def chance(self):
        """Of each cell (context, action, outcome) in the log."""
        right = np.where(self.y == 1, self.rate[self.x, self.a], 1 - self.rate[self.x, self.a])
        return self.context[self.x] * self.logging[self.x, self.a] * right

    @property
    def truth(self):
        return float((self.context[:, None] * self.target * self.rate).sum())

    def evidence(self, group=None):
        log = BanditLog(self.a, Outcomes(self.y.astype(float)), self.logging[self.x], group=group)
        return log.evidence(self.target[self.x], Outcomes(self.model[self.x]))

    def mean(self, values):
        return float(self.chance @ (values.plain + values.weighted)[:, 0])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "estimator",
    [IPS(), DR(), ClippedIPS(np.inf), SwitchDR(np.inf), ShrunkDR(np.inf), SubGaussianDR(0)],
    ids=lambda each: each.name,
)
def test_unbiased_estimators_have_the_target_as_expectation(estimator, seed):
    problem = Problem(seed)
    assert problem.mean(estimator.per_position(problem.evidence(), "clicked")) == pytest.approx(problem.truth, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_a_regressed_model_is_unbiased_whatever_its_coefficients(seed):
    # one enumerated world a fold: coefficients come from other worlds, the sum over one world's cells is its expectation
    problem, folds = Problem(seed), 3
    world = np.repeat(np.arange(folds), len(problem.x))
    tile = [np.tile(part, folds) for part in (problem.x, problem.a, problem.y)]
    log = BanditLog(tile[1], Outcomes(tile[2].astype(float)), problem.logging[tile[0]], cluster=world)
    evidence = log.evidence(problem.target[tile[0]], Outcomes(problem.model[tile[0]]))
    values = RegressedDR(folds=folds).per_position(evidence, "clicked")
    for each in range(folds):
        rows = (values.plain + values.weighted)[world == each, 0]
        assert problem.chance @ rows == pytest.approx(problem.truth, rel=1e-9)
    assert not np.allclose(values.weighted, DR().per_position(evidence, "clicked").weighted)


@pytest.mark.parametrize("seed", range(3))
def test_sndr_and_snips_divide_by_weights_that_average_one(seed):
    problem = Problem(seed)
    evidence = problem.evidence()
    for estimator, plain in ((SNIPS(), IPS()), (SNDR(), DR())):
        values = estimator.per_position(evidence, "clicked")
        assert problem.chance @ values.divisor[:, 0] == pytest.approx(1, rel=1e-9)
        np.testing.assert_array_equal(values.weighted, plain.per_position(evidence, "clicked").weighted)


@pytest.mark.parametrize("seed", range(3))
def test_mips_is_right_where_items_of_a_group_are_alike(seed):
    problem = Problem(seed)
    problem.rate = problem.rate[:, [0, 0, 2, 2]]
    assert problem.mean(MIPS().per_position(problem.evidence(GROUP), "clicked")) == pytest.approx(problem.truth)


@pytest.mark.parametrize("seed", range(3))
def test_offcem_needs_only_differences_within_a_group(seed):
    problem = Problem(seed)
    wrong_by_group = np.random.default_rng(seed).uniform(-0.5, 0.5, size=(CONTEXTS, 2))[:, GROUP]
    problem.model = problem.rate + wrong_by_group
    evidence = problem.evidence(GROUP)
    assert problem.mean(OffCEM().per_position(evidence, "clicked")) == pytest.approx(problem.truth)
    assert abs(problem.mean(MIPS().per_position(evidence, "clicked")) - problem.truth) > 1e-4


def test_groups_take_noise_out_of_a_large_catalogue():
    rng = np.random.default_rng(0)
    n, items, groups = 3000, 400, 10
    group = np.arange(items) % groups
    rate = rng.uniform(0.1, 0.9, groups)[group]
    logging, target = (np.tile(part, (n, 1)) for part in simplex(rng, (2, items)) ** 4)
    logging, target = logging / logging.sum(axis=1, keepdims=True), target / target.sum(axis=1, keepdims=True)
    action = rng.choice(items, n, p=logging[0])
    clicked = (rng.random(n) < rate[action]).astype(float)
    evidence = BanditLog(action, Outcomes(clicked), logging, group=group).evidence(target)
    plain, grouped = (per_row(each, evidence, "clicked") for each in (IPS(), MIPS()))
    assert grouped.std() < 0.2 * plain.std()
    assert grouped.mean() == pytest.approx(target[0] @ rate, abs=4 * grouped.std() / n**0.5)


def test_requests_of_one_viewer_side_by_side_keep_what_estimators_need():
    evidence = Problem(0).evidence(GROUP)
    n = len(evidence.weight)
    merged = evidence.by_viewer(np.arange(n) // 2)
    assert merged.weight.shape == (n // 2, 2)
    np.testing.assert_array_equal(merged.group_weight.ravel(), evidence.group_weight.ravel())
    for ours, before in zip(merged.controls, evidence.controls, strict=True):
        np.testing.assert_array_equal(ours.logged.ravel(), before.logged.ravel())
        np.testing.assert_array_equal(ours.target.ravel(), before.target.ravel())
    for estimator in (OffCEM(), SwitchDR(1.0), DM()):
        together, apart = (per_row(estimator, each, "clicked").sum() for each in (merged, evidence))
        assert together == pytest.approx(apart)


def test_weights_of_groups_are_ratios_of_summed_chances():
    problem = Problem(0)
    found = problem.evidence(GROUP).group_weight[:, 0]
    for at, (x, a) in enumerate(zip(problem.x, problem.a, strict=True)):
        same = GROUP[a] == GROUP
        assert found[at] == pytest.approx(problem.target[x, same].sum() / problem.logging[x, same].sum())


def test_replay_is_the_mean_of_matches_on_a_uniform_log():
    rng = np.random.default_rng(0)
    action, wanted = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    reward = rng.integers(0, 2, 200).astype(float)
    evidence = BanditLog(action, Outcomes(reward), np.full((200, 4), 0.25)).evidence(np.eye(4)[wanted])
    assert per_row(Replay(), evidence, "clicked").mean() == pytest.approx(reward[action == wanted].mean())


def test_replay_refuses_a_log_that_is_not_uniform():
    with pytest.raises(EvaluationError, match="uniform logging policy"):
        Replay().per_position(Problem(0).evidence(), "clicked")


@given(seed=st.integers(0, 10_000), limit=st.floats(0.01, 20))
@settings(max_examples=50, deadline=None)
def test_what_limits_weights_lies_between_the_model_and_dr(seed, limit):
    evidence = Problem(seed % 50).evidence()
    error = evidence.outcomes.clicked - evidence.expected_logged.clicked
    full = np.abs(evidence.weight * error)
    for estimator in (SwitchDR(limit), ShrunkDR(limit), SubGaussianDR(min(limit / 20, 1))):
        weighted = estimator.per_position(evidence, "clicked").weighted
        heavy = evidence.weight >= 1
        assert (np.abs(weighted[heavy]) <= full[heavy] + 1e-12).all()
        assert (weighted * error >= 0).all()
    np.testing.assert_allclose(
        ShrunkDR(limit).per_position(evidence, "clicked").weighted,
        limit * evidence.weight / (evidence.weight**2 + limit) * error,
    )


def test_limits_end_in_the_direct_method():
    evidence = Problem(1).evidence()
    direct = DM().per_position(evidence, "clicked")
    for estimator in (SwitchDR(0), ShrunkDR(0)):
        values = estimator.per_position(evidence, "clicked")
        np.testing.assert_array_equal(values.plain, direct.plain)
        assert not values.weighted.any()


@pytest.mark.parametrize("make", [lambda: ClippedIPS(0), lambda: SwitchDR(-1), lambda: ShrunkDR(np.nan)])
def test_hyperparameters_out_of_range_are_named(make):
    with pytest.raises(EvaluationError, match="must be"):
        make()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_rows_average_to_the_ledgers_value(seed):
    rng = np.random.default_rng(seed)
    log = impressions(
        target=rng.uniform(0.1, 1, 40),
        logging=rng.uniform(0.1, 1, 40),
        clicked=rng.integers(0, 2, 40),
        cluster=rng.integers(0, 15, 40),
        expected=(rng.uniform(0, 1, 40), rng.uniform(0, 1, 40)),
    )
    for estimator in (IPS(), SNIPS(), DR(), SNDR(), RegressedDR(), SHRUNK_DR):
        ledger = Ledger.of(log, estimator)
        value = CTR.of(ledger.target(ledger.moments.mean))
        assert per_row(estimator, log, "clicked").mean() == pytest.approx(value, rel=1e-9)


def test_slope_follows_the_published_rule():
    covariance = np.diag([4.0, 1.0, 0.25, 0.01])
    assert slope(Moments(100, np.array([1.0, 1.1, 1.1, 1.1]), covariance), 1) == 3
    assert slope(Moments(100, np.array([1.0, 1.1, 9.0, 1.1]), covariance), 1) == 1
    # by hand: half-widths 1.66 x (.2, .1); |difference| against .166 + (sqrt 6 - 1) .332 = .647
    pair = np.diag([4.0, 1.0])
    assert slope(Moments(100, np.array([0.0, 0.64]), pair), 1) == 1
    assert slope(Moments(100, np.array([0.0, 0.66]), pair), 1) == 0


def test_a_bias_that_intervals_hide_shows_in_the_paired_difference():
    noise = np.random.default_rng(0).normal(size=1000)
    rows = np.stack([noise, 0.9 * noise + 0.1], axis=1)  # correlated .99..., off by .1, standard errors about .03
    values = Moments.of(rows)
    assert slope(values, 1) == 1
    assert least_error(values, 1) == 0


def test_least_error_takes_a_biased_one_that_is_worth_it():
    rng = np.random.default_rng(0)
    rows = np.stack([rng.normal(0, 10, 1000), rng.normal(0, 0.1, 1000)], axis=1)
    rows[:, 1] = rows[:, 1] - rows[:, 1].mean() + rows[:, 0].mean()
    correlated = rows[:, [0, 0]] * [1.0, 0.5]
    assert least_error(Moments.of(correlated - correlated.mean(axis=0)), 1) == 1


def noisy_log(seed, n=2000, model_error=0.3):
    """A long log whose policies both know something of the rewards."""
    rng = np.random.default_rng(seed)
    rate = rng.uniform(0.1, 0.9, size=(n, 6))
    logging, target = (np.exp(k * rate) / np.exp(k * rate).sum(axis=1, keepdims=True) for k in (2.0, 6.0))
    action = (logging.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    reward = (rng.random(n) < rate[np.arange(n), action]).astype(float)
    model = np.clip(rate + model_error * rng.normal(size=rate.shape), 0, 1)
    evidence = BanditLog(action, Outcomes(reward), logging).evidence(target, Outcomes(model))
    return evidence, float((target * rate).sum(axis=1).mean())


@pytest.mark.parametrize("seed", range(5))
def test_regression_takes_noise_out_of_dr_and_ips(seed):
    evidence, _ = noisy_log(seed, model_error=1.0)
    spread = {each.name: per_row(each, evidence, "clicked").std() for each in (RegressedDR(), DR(), IPS())}
    assert spread["regressed_dr"] < 0.9 * min(spread["dr"], spread["ips"])


@pytest.mark.parametrize("chosen", [CLIPPED_IPS, SWITCH_DR, SHRUNK_DR, SUB_GAUSSIAN_DR, AUTOMATIC])
def test_choices_come_from_the_log_and_stay_near_the_truth(chosen):
    evidence, truth = noisy_log(3)
    assert chosen.pick(evidence, "clicked") == chosen.pick(evidence, "clicked")
    assert per_row(chosen, evidence, "clicked").mean() == pytest.approx(truth, abs=0.05)


def test_the_automatic_choice_gives_a_lift_like_any_estimator():
    evidence, truth = noisy_log(4)
    lift = lifts(evidence, estimators=(DR(), AUTOMATIC))[1]
    assert lift.estimator == "automatic"
    logged = float(evidence.outcomes.clicked.mean())
    assert lift.estimate.ci_low < truth / logged - 1 < lift.estimate.ci_high


def test_the_automatic_choice_works_without_a_model():
    evidence, truth = noisy_log(5)
    bare = impressions(
        target=evidence.weight[:, 0] / 10, logging=np.full(2000, 0.1), clicked=evidence.outcomes.clicked[:, 0]
    )
    assert per_row(AUTOMATIC, bare, "clicked").mean() == pytest.approx(truth, abs=0.06)


def test_a_choice_without_an_unbiased_candidate_says_so():
    with pytest.raises(EvaluationError, match="no unbiased"):
        Chosen("none", lambda _: [], lambda _: [DM()]).pick(Problem(0).evidence(), "clicked")


@pytest.mark.parametrize(("estimator", "what"), [(MIPS(), "groups"), (OffCEM(), "groups"), (DM(), "expected outcomes")])
def test_what_is_missing_is_named(estimator, what):
    evidence = BanditLog(np.array([0]), Outcomes(np.array([1.0])), np.array([[1.0, 0.0]])).evidence(np.eye(2)[:1])
    if what == "groups":
        evidence = Problem(0).evidence()
    with pytest.raises(EvaluationError, match=what):
        estimator.per_position(evidence, "clicked")


def bad(**changes):
    parts = {"action": np.array([0, 1]), "outcomes": Outcomes(np.zeros(2)), "logging": np.full((2, 2), 0.5)}
    return BanditLog(**(parts | changes))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: bad(action=np.array([0, 2])), "A is 2"),
        (lambda: bad(action=np.array([0.0, 1.0])), "whole numbers"),
        (lambda: bad(logging=np.full((2, 2), 0.4)), "sum to 1"),
        (lambda: bad(logging=np.array([[0.5, 0.5], [np.nan, 1]])), "outside"),
        (lambda: bad(logging=np.full((3, 2), 0.5)), "expected"),
        (lambda: bad(outcomes=Outcomes(np.zeros(3))), "clicked has shape"),
        (lambda: bad(logging=np.full(2, 0.5), group=np.array([0, 1])), "groups need"),
        (lambda: bad(logging=np.eye(2)[[1, 1]]).evidence(np.full((2, 2), 0.5)), "chance above zero"),
        (lambda: bad().evidence(np.full((2, 3), 1 / 3)), "must agree"),
        (lambda: bad().evidence(np.full((2, 2), 0.5), Outcomes(np.zeros((2, 3)))), "expected clicked"),
        (lambda: bad(group=np.zeros(3, dtype=int)).evidence(np.full((2, 2), 0.5)), "group has shape"),
    ],
)
def test_bad_input_is_a_named_error(make, what):
    with pytest.raises(EvaluationError, match=what):
        make()
