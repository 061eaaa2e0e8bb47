"""Slate estimators against the enumeration of every slate, for viewers of four kinds."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec import plackett_luce
from beautyrec.errors import EvaluationError
from beautyrec.evaluation.estimate import Verdict
from beautyrec.evaluation.evidence import Outcomes, SlateEvidence
from beautyrec.evaluation.examination import exposure
from beautyrec.evaluation.lift import lifts
from beautyrec.evaluation.metrics import METRICS
from beautyrec.evaluation.off_policy import (
    DR,
    IPS,
    PBM,
    RIPS,
    SNIPS,
    SNPBM,
    SNRIPS,
    CascadeDR,
    JointIPS,
    SNJointIPS,
    per_row,
)
from beautyrec.evaluation.overlap import Overlap
from beautyrec.evaluation.totals import Ledger

C, K = 5, 3
LOGGING = np.array([0.4, 0.25, 0.15, 0.12, 0.08])
TARGET = np.array([0.1, 0.15, 0.2, 0.25, 0.3])
SLATES = np.array(list(itertools.permutations(range(C), K)))
ATTENTION = np.array([1.0, 0.6, 0.3])
RNG = np.random.default_rng(11)
WORTH = RNG.uniform(0.05, 0.5, size=C)
AT_POSITION = RNG.uniform(0.05, 0.5, size=(C, K))


def chance(p, slate):
    left, result = 1.0, 1.0
    for item in slate:
        result *= p[item] / left
        left -= p[item]
    return result


def conditional(p, slate):
    return [p[item] / (1 - sum(p[j] for j in slate[:k])) for k, item in enumerate(slate)]


def marginals(p):
    table = np.zeros((C, K))
    for slate in SLATES:
        table[slate, np.arange(K)] += chance(p, slate)
    return table


IN_LOG, IN_TARGET = (np.array([chance(p, slate) for slate in SLATES]) for p in (LOGGING, TARGET))


def independent(slate):
    return [AT_POSITION[item, k] for k, item in enumerate(slate)]


def position_based(slate):
    return [ATTENTION[k] * WORTH[item] for k, item in enumerate(slate)]


def cascade(slate):
    """The better what stood above, and the nearer it stood, the less the viewer still wants."""
    return [
        WORTH[item] * np.prod([1 - WORTH[j] * (1 + (j > item)) / 2 for j in slate[:k]]) for k, item in enumerate(slate)
    ]


def interacting(slate):
    """An item suffers from everything else on the slate, below as well."""
    total = sum(WORTH[j] * (1 + k) for k, j in enumerate(slate))
    return [WORTH[item] / (1 + total) + 0.1 * (slate[-1] == 0) for item in slate]


KINDS = {"independent": independent, "pbm": position_based, "cascade": cascade, "full": interacting}
RATES = {name: np.array([kind(slate) for slate in SLATES]) for name, kind in KINDS.items()}
HOLDS = {
    IPS(): {"independent", "pbm"},
    SNIPS(): {"independent", "pbm"},
    DR(): {"independent", "pbm"},
    PBM(): {"pbm"},
    SNPBM(): {"pbm"},
    RIPS(): {"independent", "pbm", "cascade"},
    SNRIPS(): {"independent", "pbm", "cascade"},
    CascadeDR(): {"independent", "pbm", "cascade"},
    JointIPS(): set(KINDS),
    SNJointIPS(): set(KINDS),
}
CASES = [(estimator, kind) for estimator in HOLDS for kind in KINDS]


def wrong_model(seed=5):
    """A model of item and position that is arbitrarily wrong, logged and with its exact mean under the target policy."""
    rate = np.random.default_rng(seed).uniform(0, 1, size=(C, K))
    logged = rate[SLATES, np.arange(K)]
    return Outcomes(logged, logged, logged), Outcomes(*[np.tile(IN_TARGET @ logged, (len(SLATES), 1))] * 3)


def evidence_of(outcomes, rows=None, expected=None):
    """One row a slate of ``rows``, with every weight there is, from chances that were enumerated."""
    rows = np.arange(len(SLATES)) if rows is None else rows
    slates = SLATES[rows]
    target, logging = (marginals(p)[slates] for p in (TARGET, LOGGING))
    pair = [np.array([conditional(p, slate) for slate in slates]) for p in (TARGET, LOGGING)]
    seen = exposure(np.tile(ATTENTION, (len(rows), 1)), target, logging)
    model = wrong_model() if expected is None else expected
    own = tuple(each.each(lambda values: values[rows]) for each in model)
    at = np.arange(K)
    plain = SlateEvidence.of(
        target=target[:, at, at],
        logging=logging[:, at, at],
        outcomes=outcomes,
        cluster=np.arange(len(rows)),
        expected=own,
    )
    return replace(plain.with_conditional(target=pair[0], logging=pair[1]), exposure=seen)


@pytest.mark.parametrize(("estimator", "kind"), CASES, ids=lambda each: getattr(each, "name", each))
def test_totals_are_those_of_the_target_where_the_assumption_holds_and_only_there(estimator, kind):
    rates = RATES[kind]
    ledger = Ledger.of(evidence_of(Outcomes(rates, rates / 2, 3 * rates)), estimator)
    totals = ledger.target(IN_LOG @ ledger.sums)
    truth = (IN_TARGET @ rates).sum()
    if kind in HOLDS[estimator]:
        assert abs(totals.clicked - truth) < 1e-10
        assert abs(totals.revenue - 3 * truth) < 1e-10
    else:
        assert abs(totals.clicked / truth - 1) > 0.002


@pytest.mark.parametrize("estimator", [RIPS(), CascadeDR(), JointIPS()], ids=lambda each: each.name)
@pytest.mark.parametrize("kind", KINDS)
def test_every_position_is_right_where_the_assumption_holds(estimator, kind):
    values = estimator.per_position(evidence_of(Outcomes(RATES[kind])), "clicked")
    apart = np.abs(IN_LOG @ (values.plain + values.weighted) - IN_TARGET @ RATES[kind]).max()
    assert apart < 1e-10 if kind in HOLDS[estimator] else apart > 1e-4


@pytest.mark.parametrize("estimator", [SNRIPS(), SNJointIPS(), SNPBM()], ids=lambda each: each.name)
def test_weights_average_one_in_every_group_that_shares_a_divisor(estimator):
    values = estimator.per_position(evidence_of(Outcomes(RATES["pbm"])), "clicked")
    mean = IN_LOG @ values.divisor
    if values.group is None:
        assert mean.mean() == pytest.approx(1, abs=1e-10)
    else:
        np.testing.assert_allclose(mean, 1, atol=1e-10)
        np.testing.assert_array_equal(values.group, np.tile([1, 2, 3], (len(SLATES), 1)))


def test_weights_down_to_a_position_vary_less_than_those_of_the_slate_and_those_of_attention_least():
    evidence = evidence_of(Outcomes(RATES["pbm"]))
    spread = [
        IN_LOG @ ((weights * RATES["pbm"]).sum(axis=1) ** 2)
        for weights in (
            evidence.exposure.weight,
            evidence.weight,
            RIPS().weights(evidence),
            JointIPS().weights(evidence),
        )
    ]
    assert spread == sorted(spread)


def patterns(kind):
    """Every slate with every pattern of orders: rows, orders, and their chance given the slate."""
    pattern = np.array(list(itertools.product([0.0, 1.0], repeat=K)))
    row = np.repeat(np.arange(len(SLATES)), len(pattern))
    ordered = np.tile(pattern, (len(SLATES), 1))
    bought = np.cumsum(ordered, axis=1) - ordered  # orders above: buyers want less, in the kinds that allow it
    rate = RATES[kind][row] * (0.4**bought if kind in ("cascade", "full") else 1)
    return row, ordered, np.where(ordered == 1, rate, 1 - rate).prod(axis=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "estimator", [RIPS(), SNRIPS(), CascadeDR(), JointIPS(), SNJointIPS()], ids=lambda each: each.name
)
def test_viewers_who_buy_are_exact_where_the_assumption_holds(estimator, kind):
    row, ordered, pattern = patterns(kind)
    ledger = Ledger.of(evidence_of(Outcomes(ordered, ordered), row), estimator)
    totals = ledger.target((IN_LOG[row] * pattern) @ ledger.sums)
    truth = (IN_TARGET[row] * pattern) @ ordered.any(axis=1)
    if kind in HOLDS[estimator]:
        assert abs(totals.converted - truth) < 1e-10
    else:
        assert abs(totals.converted / truth - 1) > 0.002


@pytest.mark.parametrize("estimator", [PBM(), SNPBM()], ids=lambda each: each.name)
@pytest.mark.parametrize("scale", [0.2, 0.05])
def test_viewers_who_buy_are_right_to_second_order_by_attention(estimator, scale):
    row, ordered, _ = patterns("pbm")
    rate = scale * RATES["pbm"]
    pattern = np.where(ordered == 1, rate[row], 1 - rate[row]).prod(axis=1)
    ledger = Ledger.of(evidence_of(Outcomes(ordered, ordered), row), estimator)
    totals = ledger.target((IN_LOG[row] * pattern) @ ledger.sums)
    truth = IN_TARGET @ (1 - (1 - rate).prod(axis=1))
    assert abs(totals.converted - truth) < truth**2 / 2


@pytest.mark.parametrize("kind", ["independent", "pbm", "cascade"])
def test_cascade_dr_is_the_recursion_of_its_source(kind):
    """Expected values of what follows by recursion over the target's next item, then corrected position by position."""
    rate = np.random.default_rng(7).uniform(0, 1, size=(C, K))

    def follows(above, k):
        """The model's value of position k once the items ``above`` stand."""
        if len(above) > k:
            return rate[above[k], k]
        rest = 1 - sum(TARGET[j] for j in above)
        return sum(TARGET[j] / rest * follows((*above, j), k) for j in range(C) if j not in above)

    logged = rate[SLATES, np.arange(K)]
    under_target = np.tile([follows((), k) for k in range(K)], (len(SLATES), 1))
    evidence = evidence_of(Outcomes(RATES[kind]), expected=(Outcomes(logged), Outcomes(under_target)))
    values = CascadeDR().per_position(evidence, "clicked")
    for number in range(0, len(SLATES), 7):
        slate = tuple(SLATES[number])
        ratio = np.divide(conditional(TARGET, slate), conditional(LOGGING, slate))
        for k in range(K):
            value, weight = 0.0, 1.0
            for j in range(k + 1):
                value += weight * follows(slate[:j], k)
                weight *= ratio[j]
                value -= weight * follows(slate[: j + 1], k)
            value += weight * RATES[kind][number, k]
            assert values.plain[number, k] + values.weighted[number, k] == pytest.approx(value, abs=1e-12)


def test_cascade_dr_has_no_noise_where_the_model_is_perfect_and_outcomes_are_certain():
    rng = np.random.default_rng(2)
    outcome = {part: float(rng.integers(0, 2)) for k in range(1, K + 1) for part in itertools.permutations(range(C), k)}
    certain = np.array([[outcome[tuple(slate[: k + 1])] for k in range(K)] for slate in SLATES])
    assert 0 < certain.mean() < 1
    perfect = Outcomes(certain), Outcomes(np.tile(IN_TARGET @ certain, (len(SLATES), 1)))
    evidence = evidence_of(Outcomes(certain), expected=perfect)
    assert np.ptp(per_row(CascadeDR(), evidence, "clicked")) < 1e-12
    assert np.ptp(per_row(RIPS(), evidence, "clicked")) > 0.1
    spoilt = replace(evidence, expected_logged=Outcomes(certain * 0.9))
    assert np.ptp(per_row(CascadeDR(), spoilt, "clicked")) > 0.01


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_any_cascade_and_any_slate_are_unbiased_for_any_two_policies(seed):
    """Outcomes drawn for each prefix, or for each slate, with nothing in common."""
    rng = np.random.default_rng(seed)
    logging, target = rng.dirichlet(np.ones(4), size=2)
    slates = np.array(list(itertools.permutations(range(4), 3)))
    by_prefix = {part: rng.random() for k in (1, 2, 3) for part in itertools.permutations(range(4), k)}
    cascading = np.array([[by_prefix[tuple(slate[: k + 1])] for k in range(3)] for slate in slates])
    at_will = rng.random(slates.shape)
    in_log, in_target = (np.array([chance(p, slate) for slate in slates]) for p in (logging, target))
    pair = [np.array([conditional(p, slate) for slate in slates]) for p in (target, logging)]
    guess = {part: rng.random() for part in by_prefix}  # a model, too, may look at the items above
    model = np.array([[guess[tuple(slate[: k + 1])] for k in range(3)] for slate in slates])
    mean = np.tile(in_target @ model, (len(slates), 1))
    for outcomes, estimators in ((cascading, (RIPS(), CascadeDR(), JointIPS())), (at_will, (JointIPS(),))):
        evidence = SlateEvidence(
            np.ones(slates.shape),
            Outcomes(outcomes),
            slates >= 0,
            np.arange(len(slates)),
            Outcomes(model),
            Outcomes(mean),
        ).with_conditional(target=pair[0], logging=pair[1])
        for estimator in estimators:
            values = estimator.per_position(evidence, "clicked")
            found = in_log @ (values.plain + values.weighted)
            np.testing.assert_allclose(found, in_target @ outcomes, rtol=1e-9)


def test_merging_requests_of_a_viewer_keeps_totals_and_multiplies_for_those_who_buy():
    row, ordered, _ = patterns("cascade")
    single = evidence_of(Outcomes(ordered, ordered), row)
    pick = np.random.default_rng(0).integers(0, len(row), size=(200, 2)).ravel()
    twice = single.where(pick)
    merged = twice.by_viewer(np.repeat(np.arange(200), 2))
    np.testing.assert_array_equal(merged.slate_position, np.tile([1, 2, 3, 1, 2, 3], (200, 1)))
    for estimator in (RIPS(), SNRIPS(), JointIPS(), SNJointIPS(), CascadeDR(), PBM(), SNPBM()):
        apart = per_row(estimator, twice, "ordered").sum(), per_row(estimator, merged, "ordered").sum()
        assert apart[0] == pytest.approx(apart[1], rel=1e-12)
    again = merged.where(np.arange(200) < 50)
    assert again.conditional_weight.shape == again.slate_position.shape == (50, 6)
    # a viewer who buys in either of two requests, over all pairs of slates of a small shelf
    pairs = np.array(list(itertools.product(range(0, len(row), 1), repeat=2)))
    pairs = pairs[np.random.default_rng(1).choice(len(pairs), 4000, replace=False)]
    viewers = single.where(pairs.ravel()).by_viewer(np.repeat(np.arange(len(pairs)), 2))
    value = RIPS().buyers(viewers).weighted.sum(axis=1)
    down = RIPS().buyers(single).weighted.sum(axis=1)
    all_of_first = RIPS().weights(single)[pairs[:, 0], -1]
    first_buys = ordered[pairs[:, 0]].any(axis=1)
    np.testing.assert_allclose(
        value, np.where(first_buys, down[pairs[:, 0]], all_of_first * down[pairs[:, 1]]), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("estimator", "lost", "says"),
    [
        (RIPS(), "conditional_weight", "rips needs the chances of items given those above"),
        (SNRIPS(), "conditional_weight", "sn_rips needs the chances"),
        (JointIPS(), "conditional_weight", "joint_ips needs the chances"),
        (SNJointIPS(), "conditional_weight", "sn_joint_ips needs the chances"),
        (CascadeDR(), "conditional_weight", "cascade_dr needs the chances"),
        (PBM(), "exposure", "pbm needs attention"),
        (SNPBM(), "exposure", "sn_pbm needs attention"),
    ],
    ids=lambda each: getattr(each, "name", None),
)
def test_what_an_estimator_lacks_is_named(estimator, lost, says):
    evidence = replace(evidence_of(Outcomes(RATES["pbm"])), **{lost: None})
    with pytest.raises(EvaluationError, match=says):
        estimator.per_position(evidence, "clicked")


def test_cascade_dr_without_a_model_says_so():
    evidence = replace(evidence_of(Outcomes(RATES["pbm"])), expected_logged=None, expected_target=None)
    with pytest.raises(EvaluationError, match="CascadeDR needs expected outcomes"):
        CascadeDR().per_position(evidence, "clicked")


def logged(n=3000, seed=0):
    """A log drawn from the logging policy, with viewers of the position-based kind, and its true lift."""
    rng = np.random.default_rng(seed)
    row = rng.choice(len(SLATES), size=n, p=IN_LOG / IN_LOG.sum())
    clicked = (rng.random((n, K)) < RATES["pbm"][row]).astype(float)
    ordered = clicked * (rng.random((n, K)) < 0.5)
    truth = (IN_TARGET @ RATES["pbm"]).sum() / (IN_LOG @ RATES["pbm"]).sum() - 1
    return evidence_of(Outcomes(clicked, ordered, 2 * ordered), row), truth


def test_all_of_them_give_lifts_with_intervals():
    evidence, truth = logged()
    found = lifts(evidence, estimators=list(HOLDS))
    assert len(found) == len(METRICS) * len(HOLDS)
    for lift in found:
        assert lift.estimate is not None, lift.reasons
        if lift.metric == "ctr":
            assert lift.estimate.value == pytest.approx(truth, abs=4 * (lift.estimate.ci_high - truth))
            assert lift.estimate.ci_low < truth < lift.estimate.ci_high


def test_the_verdict_is_that_of_the_weights_an_estimator_uses():
    evidence, _ = logged()
    found = {
        lift.estimator: lift
        for lift in lifts(evidence, estimators=[SNIPS(), JointIPS(), PBM()])
        if lift.metric == "ctr"
    }
    weight = JointIPS().weights(evidence)[:, 0]
    share = weight / weight.sum()
    expected = (
        len(weight) * K / (1 + K * len(weight) * ((share - 1 / len(weight)) ** 2).sum())
    )  # K impressions share one
    assert found["joint_ips"].effective_n == pytest.approx(expected)
    assert found["joint_ips"].effective_n < found["snips"].effective_n
    heavy = replace(
        evidence, conditional_weight=evidence.conditional_weight * np.where(np.arange(3000) < 2, 40, 1e-3)[:, None]
    )
    spoilt = {
        lift.estimator: lift.verdict for lift in lifts(heavy, estimators=[SNIPS(), JointIPS()]) if lift.metric == "ctr"
    }
    assert spoilt["joint_ips"] is Verdict.REFUSE
    assert spoilt["snips"] is Verdict.TRUST


def test_weights_that_are_independent_count_as_kish_counts_them():
    rng = np.random.default_rng(0)
    weight = rng.exponential(size=(4000, K))
    blank = evidence_of(Outcomes(np.zeros((1, K))), np.zeros(1, dtype=int)).where(np.zeros(4000, dtype=int))
    blank = replace(blank, cluster=np.arange(4000))
    kish = weight.sum() ** 2 / (weight**2).sum()
    assert Overlap.of(blank, weight).effective_n == pytest.approx(kish, rel=0.05)
    shared = np.repeat(weight[:, :1], K, axis=1)
    once = weight[:, 0].sum() ** 2 / (weight[:, 0] ** 2).sum()
    assert once < Overlap.of(blank, shared).effective_n < 2 * once
    assert Overlap.of(blank, np.zeros((4000, K))).effective_n == 0


def test_a_position_where_all_weights_are_zero_is_refused_with_a_reason():
    evidence, _ = logged(n=200)
    none = evidence.conditional_weight.copy()
    none[:, 2] = 0.0
    nothing = replace(evidence, conditional_weight=none)
    with pytest.raises(EvaluationError, match="sn_rips: all 200 weights are 0"):
        per_row(SNRIPS(), nothing, "clicked")
    assert {lift.verdict for lift in lifts(nothing, estimators=[SNRIPS()])} == {Verdict.REFUSE}


def test_conditional_weights_from_the_policies_are_those_of_the_enumeration():
    tile = np.ones((len(SLATES), 1))
    evidence = evidence_of(Outcomes(RATES["pbm"]))
    again = evidence.with_conditional(
        target=plackett_luce.conditional(TARGET * tile, SLATES),
        logging=plackett_luce.conditional(LOGGING * tile, SLATES),
    )
    np.testing.assert_allclose(again.conditional_weight, evidence.conditional_weight, rtol=1e-12)
    ratio = plackett_luce.joint(TARGET * tile, SLATES) / plackett_luce.joint(LOGGING * tile, SLATES)
    np.testing.assert_allclose(JointIPS().weights(again), np.tile(ratio[:, None], (1, K)), rtol=1e-12)
