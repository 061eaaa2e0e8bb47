"""Estimators against an oracle that enumerates every slate and every outcome's expectation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from beautyrec import plackett_luce
from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import Outcomes, SlateEvidence
from beautyrec.evaluation.metrics import METRICS
from beautyrec.evaluation.off_policy import DR, IPS, SNIPS
from beautyrec.evaluation.totals import Ledger

K = 3
LOGGING = np.array([0.4, 0.25, 0.15, 0.12, 0.08])
TARGET = np.array([0.1, 0.15, 0.2, 0.25, 0.3])
CLICK = np.array([0.10, 0.08, 0.12, 0.05, 0.16])
ORDER = CLICK * np.array([0.3, 0.5, 0.2, 0.4, 0.25])
PRICE = np.array([10.0, 25.0, 8.0, 30.0, 12.0])
ATTENTION = np.array([1.0, 0.7, 0.5])


def chance(p, slate):
    left, result = 1.0, 1.0
    for item in slate:
        result *= p[item] / left
        left -= p[item]
    return result


SLATES = np.array(list(itertools.permutations(range(5), K)))
IN_LOG, IN_TARGET = (np.array([chance(p, slate) for slate in SLATES]) for p in (LOGGING, TARGET))
EXPECTED = {name: rate[SLATES] * ATTENTION for name, rate in {"clicked": CLICK, "ordered": ORDER}.items()}
EXPECTED["revenue"] = EXPECTED["ordered"] * PRICE[SLATES]


def every_slate(outcomes=None, expected=None):
    """Evidence with one row a slate, in which outcomes are their expectations: sums over rows times chance are exact."""
    tile = np.ones((len(SLATES), 1))
    return SlateEvidence.of(
        target=plackett_luce.position_marginals(TARGET * tile, SLATES),
        logging=plackett_luce.position_marginals(LOGGING * tile, SLATES),
        outcomes=outcomes or Outcomes(**EXPECTED),
        cluster=np.arange(len(SLATES)),
        expected=expected,
    )


def wrong_model(seed):
    """A model that is arbitrarily wrong, with its exact mean under the target policy."""
    rate = np.random.default_rng(seed).uniform(0, 1, size=(5, 3))
    seen = np.random.default_rng(seed + 1).uniform(0, 2, size=K)
    logged = rate[SLATES] * seen[:, None]
    means = IN_TARGET @ logged.reshape(len(SLATES), -1)
    under_target = np.tile(means.reshape(1, K, 3), (len(SLATES), 1, 1))
    return tuple(Outcomes(part[..., 0], part[..., 1], part[..., 2]) for part in (logged, under_target))


def mean_in_log(values):
    return IN_LOG @ values


@pytest.mark.parametrize("outcome", ["clicked", "ordered", "revenue"])
def test_ips_has_the_expectation_of_the_target_at_every_position(outcome):
    values = IPS().per_position(every_slate(), outcome)
    np.testing.assert_allclose(mean_in_log(values.plain + values.weighted), IN_TARGET @ EXPECTED[outcome], rtol=1e-8)


def test_snips_divides_by_a_mean_weight_that_is_one_in_expectation():
    evidence = every_slate()
    np.testing.assert_allclose(mean_in_log(evidence.weight), 1, rtol=1e-8)
    np.testing.assert_array_equal(
        SNIPS().per_position(evidence, "clicked").weighted, IPS().per_position(evidence, "clicked").weighted
    )
    np.testing.assert_array_equal(SNIPS().per_position(evidence, "clicked").divisor, evidence.weight)
    assert IPS().per_position(evidence, "clicked").divisor is None


@pytest.mark.parametrize("outcome", ["clicked", "ordered", "revenue"])
@pytest.mark.parametrize("seed", [0, 1])
def test_dr_has_the_expectation_of_the_target_for_any_model(outcome, seed):
    values = DR().per_position(every_slate(expected=wrong_model(seed)), outcome)
    np.testing.assert_allclose(mean_in_log(values.plain + values.weighted), IN_TARGET @ EXPECTED[outcome], rtol=1e-8)


def test_the_ratio_of_conditional_propensities_would_be_biased():
    tile = np.ones((len(SLATES), 1))
    weight = plackett_luce.conditional(TARGET * tile, SLATES) / plackett_luce.conditional(LOGGING * tile, SLATES)
    naive = mean_in_log(weight * EXPECTED["clicked"])
    assert abs(naive / (IN_TARGET @ EXPECTED["clicked"]) - 1).max() > 0.03


def test_dr_without_a_model_says_so():
    with pytest.raises(EvaluationError, match="expected outcomes"):
        DR().per_position(every_slate(), "clicked")


def expected_ledger(evidence, estimator):
    """Totals at the expectations of all columns."""
    ledger = Ledger.of(evidence, estimator)
    means = IN_LOG @ ledger.sums  # one row a cluster, in the order of slates
    return ledger.target(means), ledger.logging(means)


@pytest.mark.parametrize("estimator", [IPS(), SNIPS(), DR()])
def test_every_metric_is_right_at_the_expectations(estimator):
    evidence = every_slate(expected=wrong_model(3) if estimator == DR() else None)
    target, _ = expected_ledger(evidence, estimator)
    clicks, orders, revenue = (float((IN_TARGET @ EXPECTED[name]).sum()) for name in EXPECTED)
    truth = {"ctr": clicks / K, "cvr": orders / clicks, "ctcvr": orders / K, "revenue_per_viewer": revenue}
    truth["revenue_per_impression"] = revenue / K
    for metric in METRICS:
        if metric.name in truth:
            assert metric.of(target) == pytest.approx(truth[metric.name], rel=1e-7)


def every_outcome():
    """All slates with all patterns of orders: rows, patterns, and the chance of each in the log."""
    patterns = np.array(list(itertools.product([0.0, 1.0], repeat=K)))
    slate = np.repeat(np.arange(len(SLATES)), len(patterns))
    ordered = np.tile(patterns, (len(SLATES), 1))
    rate = EXPECTED["ordered"][slate]
    return slate, ordered, np.where(ordered == 1, rate, 1 - rate).prod(axis=1)


@pytest.mark.parametrize("estimator", [IPS(), SNIPS(), DR()])
def test_room_conversion_is_right_to_second_order(estimator):
    slate, ordered, pattern_chance = every_outcome()
    tile = np.ones((len(slate), 1))
    weight = plackett_luce.position_marginals(TARGET * tile, SLATES[slate]) / plackett_luce.position_marginals(
        LOGGING * tile, SLATES[slate]
    )
    model = EXPECTED["ordered"][slate], np.tile(IN_TARGET @ EXPECTED["ordered"], (len(slate), 1))
    evidence = SlateEvidence(
        weight,
        Outcomes(ordered, ordered),
        np.ones(weight.shape, dtype=bool),
        np.arange(len(slate)),
        *(Outcomes(part, part) for part in model),
    )
    ledger = Ledger.of(evidence, estimator)
    totals = ledger.target((IN_LOG[slate] * pattern_chance) @ ledger.sums)
    truth = IN_TARGET @ (1 - (1 - EXPECTED["ordered"]).prod(axis=1))
    largest_competition = TARGET.max() + LOGGING.max()
    assert abs(totals.converted - truth) < truth**2 / 2 * largest_competition
    assert abs(totals.converted - truth) < 0.3 * abs(totals.ordered - truth)  # the sum of orders would be further off


def test_a_log_of_the_target_itself_has_a_lift_of_zero():
    rng = np.random.default_rng(0)
    shown = plackett_luce.sample(np.tile(TARGET, (500, 1)), K, rng)
    ordered = (rng.random(shown.shape) < 0.2).astype(float)
    same = plackett_luce.position_marginals(np.tile(TARGET, (500, 1)), shown)
    evidence = SlateEvidence.of(
        target=same, logging=same, outcomes=Outcomes(ordered, ordered, 3 * ordered), cluster=np.arange(500)
    )
    for estimator in (IPS(), SNIPS()):
        ledger = Ledger.of(evidence, estimator)
        for metric in METRICS:
            target, logging = (value(ledger.moments.mean) for value in ledger.values(metric))
            assert target == pytest.approx(logging, rel=1e-9)
