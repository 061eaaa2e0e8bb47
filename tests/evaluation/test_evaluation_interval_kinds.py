"""Delta, Poisson bootstrap and empirical Bernstein: formulas, agreement, coverage, and what they refuse."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.bandit_log import BanditLog
from beautyrec.evaluation.evidence import Outcomes, impressions
from beautyrec.evaluation.intervals import (
    LEAVE_ONE_OUT,
    Delta,
    EmpiricalBernstein,
    PoissonBootstrap,
    bernstein_half_width,
)
from beautyrec.evaluation.intervals.bootstrap import _poisson_table
from beautyrec.evaluation.lift import lift_table, lifts
from beautyrec.evaluation.metrics import CTR, METRICS
from beautyrec.evaluation.moments import Columns, Grouping, Moments, cluster_sums
from beautyrec.evaluation.off_policy import DR, IPS, SNIPS


def first(means):
    return means[0]


def second(means):
    return means[1]


def columns(rows, names=("weighted clicked", "impressions")):
    return Columns(names, np.asarray(rows, dtype=np.float64))


def gammas(rng, clusters=200):
    return columns(rng.gamma(4.0, size=(clusters, 2)))


def test_delta_is_the_formula_on_the_log_scale():
    rows = np.random.default_rng(0).gamma(4.0, size=(300, 2))
    a, b = rows.T
    error = sqrt(np.var(a / a.mean() - b / b.mean(), ddof=1) / 300)
    ends = Delta().ratio(columns(rows), first, second, 0.9)
    half = stats.t.ppf(0.95, 299) * error
    np.testing.assert_allclose(ends[:3], a.mean() / b.mean() * np.exp([0, -half, half]), rtol=1e-7)


def test_delta_of_a_negative_ratio_is_that_of_the_ratio_itself():
    rows = np.random.default_rng(0).normal((-1, 4), 1, size=(300, 2))
    ends = Delta().ratio(columns(rows), first, second)
    assert ends.low < ends.value < ends.high < 0
    assert "of the ratio" in ends.method


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=2, max_size=5), st.integers(0, 10_000))
def test_delta_needs_only_moments_that_were_merged_from_parts(sizes, seed):
    rows = np.random.default_rng(seed).gamma(4.0, size=(sum(sizes), 2))
    parts = [Moments.of(part) for part in np.split(rows, np.cumsum(sizes)[:-1])]
    merged = Delta().of_moments(sum(parts[1:], parts[0]), first, second)
    np.testing.assert_allclose(merged[:3], Delta().ratio(columns(rows), first, second)[:3], rtol=1e-9)


def test_a_poisson_count_has_its_chances():
    table = _poisson_table()
    for count in range(7):
        assert (table == count).mean() == pytest.approx(stats.poisson.pmf(count, 1), abs=2**-16)
    assert table.mean() == pytest.approx(1, abs=1e-4)
    assert table.var() == pytest.approx(1, abs=1e-4)


def test_the_bootstrap_agrees_with_the_delta_method_where_both_are_right():
    sample = gammas(np.random.default_rng(1), 3000)
    boot = PoissonBootstrap(seed=0, replicates=4000).ratio(sample, first, second)
    delta = Delta().ratio(sample, first, second)
    assert boot.value == pytest.approx(delta.value, rel=1e-12)
    assert boot.high - boot.low == pytest.approx(delta.high - delta.low, rel=0.08)  # 4 standard errors of two quantiles


def test_buckets_of_clusters_give_the_same_width():
    sample = gammas(np.random.default_rng(2), 20_000)
    whole = PoissonBootstrap(seed=0, replicates=1000, buckets=20_000).ratio(sample, first, second)
    dealt = PoissonBootstrap(seed=0, replicates=1000, buckets=512).ratio(sample, first, second)
    within = 4 * sqrt(2 / (2 * 1000) * 1.5 + 1 / (2 * 512))
    assert dealt.high - dealt.low == pytest.approx(whole.high - whole.low, rel=within)


def test_replicates_are_seeded_and_average_the_means():
    sums = np.random.default_rng(3).gamma(4.0, size=(400, 2))
    once, again = (PoissonBootstrap(seed=5).means(sums) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, PoissonBootstrap(seed=6).means(sums))
    error = sums.std(axis=0) / sqrt(400 * 1000)
    assert (np.abs(once.mean(axis=0) - sums.mean(axis=0)) < 5 * error).all()
    np.testing.assert_allclose(once.std(axis=0), sums.std(axis=0) / 20, rtol=5 / sqrt(2000))


@pytest.mark.parametrize("interval", [LEAVE_ONE_OUT, Delta(), PoissonBootstrap(seed=1, replicates=300)])
def test_covers_a_known_ratio_as_often_as_asked(interval):
    rng, runs, confidence = np.random.default_rng(4), 400, 0.9
    found = [interval.ratio(gammas(rng, 60), first, second, confidence) for _ in range(runs)]
    coverage = np.mean([ends.low <= 1 <= ends.high for ends in found])
    slack = 4 * sqrt(confidence * (1 - confidence) / runs)
    assert confidence - slack - 0.01 <= coverage <= confidence + slack + 0.01


def rare(rng, clusters, weight):
    """IPS of clicks that always come: a weight of ``weight`` once in ``weight`` impressions, so the truth is 1."""
    return columns(np.stack([weight * (rng.random(clusters) < 1 / weight), np.ones(clusters)], axis=1))


def test_bernstein_covers_where_the_weight_that_matters_is_often_not_seen():
    rng, runs = np.random.default_rng(5), 300
    guaranteed = EmpiricalBernstein(largest_weight=100, largest_cluster=1)
    held = {"bernstein": 0, "bootstrap": 0, "delta": 0}
    for _ in range(runs):
        sample = rare(rng, 100, 100.0)
        found = {
            "bernstein": guaranteed.ratio(sample, first, second),
            "bootstrap": PoissonBootstrap(seed=0, replicates=100).ratio(sample, first, second),
            "delta": Delta().ratio(sample, first, second),
        }
        for name, ends in found.items():
            held[name] += ends.low <= 1 <= ends.high
    missed_by_chance = 1 - (1 - 1 / 100) ** 100  # logs that hold the weight at all, 0.63
    assert held["bernstein"] / runs >= 0.95
    assert max(held["bootstrap"], held["delta"]) / runs < missed_by_chance + 4 * sqrt(0.25 / runs)


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_bernstein_covers_the_lift_at_least_as_often_as_asked(confidence):
    rng, runs = np.random.default_rng(6), 60
    chance, target = np.array([0.1, 0.9]), np.array([0.5, 0.5])
    truth = target @ [0.4, 0.2] / (chance @ [0.4, 0.2]) - 1
    interval = EmpiricalBernstein(largest_weight=5, largest_cluster=1)
    held = 0
    for _ in range(runs):
        item = (rng.random(20_000) < chance[1]).astype(np.int64)
        log = impressions(
            target=target[item], logging=chance[item], clicked=rng.random(20_000) < np.array([0.4, 0.2])[item]
        )
        for lift in lifts(log, estimators=(IPS(), SNIPS()), interval=interval, confidence=confidence):
            held += lift.estimate.ci_low <= truth <= lift.estimate.ci_high
    assert held / (2 * runs) >= confidence


def test_bernstein_is_the_published_bound_for_one_mean():
    rows = np.stack([np.random.default_rng(7).random(5000) < 0.3, np.ones(5000)], axis=1)
    ends = EmpiricalBernstein(largest_weight=1, largest_cluster=1).ratio(columns(rows), first, second, 0.9)
    variance, each = rows[:, 0].var(ddof=1), 0.1 / 2  # two columns share the chance to miss
    half = sqrt(2 * variance * log(4 / each) / 5000) + 7 * log(4 / each) / (3 * 4999)
    assert float(bernstein_half_width(np.array(variance), np.array(1.0), 5000, each)) == pytest.approx(half)
    np.testing.assert_allclose(ends[:3], rows[:, 0].mean() + np.array([0, -half, half]), rtol=1e-9)


def test_bernstein_of_a_ratio_takes_the_worst_corner():
    rng = np.random.default_rng(8)
    rows = np.stack([rng.random(4000) < 0.3, 1 + (rng.random(4000) < 0.5)], axis=1).astype(np.float64)
    ends = EmpiricalBernstein(largest_weight=1, largest_cluster=2).ratio(columns(rows), first, second)
    halves = [
        float(bernstein_half_width(np.array(column.var(ddof=1)), np.array(width), 4000, 0.025))
        for column, width in zip(rows.T, (2.0, 1.0), strict=True)
    ]
    a, b = rows.mean(axis=0)
    assert ends.low == pytest.approx((a - halves[0]) / (b + halves[1]), rel=1e-9)
    assert ends.high == pytest.approx((a + halves[0]) / (b - halves[1]), rel=1e-9)


def test_bernstein_refuses_what_it_cannot_bound():
    rng = np.random.default_rng(9)
    item = rng.integers(0, 2, 5000)
    wide = np.stack([rng.random(5000) < 0.5] * 2, axis=1)
    outcomes = Outcomes(*(wide[:, 0].astype(np.float64) for _ in range(3)))
    log = BanditLog(item, outcomes, np.full((5000, 2), 0.5)).evidence(np.full((5000, 2), 0.5))
    bounds = EmpiricalBernstein(largest_weight=2, largest_cluster=1)
    reasons = {lift.metric: " ".join(lift.reasons) for lift in lifts(log, interval=bounds) if lift.estimate is None}
    assert "largest_revenue is not given" in reasons["revenue_per_impression"]
    assert "no bound is known for 'unconverted" in reasons["room_conversion"]
    assert "ctr" not in reasons
    tight = EmpiricalBernstein(largest_weight=0.5, largest_cluster=1)
    assert "A bound is wrong" in lifts(log, metrics=(CTR,), interval=tight)[0].reasons[0]
    few = EmpiricalBernstein(largest_weight=1e6, largest_cluster=1)
    assert "do not bound the ratio" in lifts(log, metrics=(CTR,), interval=few)[0].reasons[0]


@pytest.mark.parametrize("weight", [np.inf, np.nan, 0.0, -1.0])
def test_bernstein_refuses_to_be_without_a_bound(weight):
    with pytest.raises(EvaluationError, match="Without a bound nothing can be guaranteed"):
        EmpiricalBernstein(largest_weight=weight, largest_cluster=1)


def test_bernstein_bounds_are_of_clusters_and_not_of_buckets():
    dealt = Columns(("weighted clicked", "impressions"), np.ones((10, 2)), held=20)
    with pytest.raises(EvaluationError, match="20 clusters were added up into 10 buckets"):
        EmpiricalBernstein(largest_weight=1, largest_cluster=9).ratio(dealt, first, second)


KINDS = [LEAVE_ONE_OUT, Delta(), PoissonBootstrap(seed=0), EmpiricalBernstein(5, 5)]


@pytest.mark.parametrize("interval", KINDS)
def test_one_cluster_has_no_interval(interval):
    with pytest.raises(EvaluationError, match="at least 2 clusters"):
        interval.ratio(columns([[1.0, 1.0]]), first, second)


@pytest.mark.parametrize("interval", KINDS)
def test_a_ratio_over_nothing_has_no_interval(interval):
    with pytest.raises(EvaluationError, match="too few events"):
        interval.ratio(columns([[0.0, 1.0]] * 12), second, first)


def test_replicates_that_are_too_few_or_find_nothing_are_refused():
    with pytest.raises(EvaluationError, match=r"20 replicates are too few for 200 clusters .* at least 8\d are needed"):
        PoissonBootstrap(seed=0, replicates=20).ratio(gammas(np.random.default_rng(0)), first, second)
    rows = np.zeros((50, 2))
    rows[:, 0] = rows[0, 1] = 1.0  # one event: about a third of the replicates have none
    with pytest.raises(EvaluationError, match="of 1000 replicates have no finite value"):
        PoissonBootstrap(seed=0).ratio(columns(rows), first, second)
    with pytest.raises(EvaluationError, match="replicates is 0"):
        PoissonBootstrap(seed=0, replicates=0)


def test_every_kind_goes_through_the_table_of_lifts():
    rng = np.random.default_rng(10)
    n, item = 6000, np.random.default_rng(11).integers(0, 2, 6000)
    clicked = rng.random(n) < np.array([0.6, 0.3])[item]
    ordered = clicked & (rng.random(n) < 0.7)
    outcomes = Outcomes(clicked.astype(float), ordered.astype(float), ordered * rng.uniform(1, 2, n))
    log = BanditLog(item, outcomes, np.full((n, 2), 0.5), cluster=rng.integers(0, 2000, n))
    model = Outcomes(*(np.tile(rates, (n, 1)) for rates in ([0.5, 0.4], [0.3, 0.3], [0.5, 0.5])))
    evidence = log.evidence(np.tile([0.7, 0.3], (n, 1)), model)
    tables = {type(kind).__name__: lift_table(evidence, interval=kind) for kind in KINDS[:3]}
    base = tables["LeaveOneOut"]
    assert len(base) == 2 * len(METRICS)
    for table in tables.values():
        np.testing.assert_allclose(table["estimate"].astype(float), base["estimate"].astype(float), rtol=1e-9)
        ratio = (table["ci_high"] - table["ci_low"]) / (base["ci_high"] - base["ci_low"])
        assert ratio.astype(float).between(0.85, 1.15).all()
    most = int(np.bincount(np.unique(log.cluster, return_inverse=True)[1]).max())
    wide = lift_table(evidence, metrics=(CTR,), estimators=(IPS(), DR()), interval=EmpiricalBernstein(1.4, most))
    normal = base[(base["metric"] == "ctr") & (base["estimator"] == "dr")]
    assert (wide["ci_high"] - wide["ci_low"]).min() > 2 * float((normal["ci_high"] - normal["ci_low"]).iloc[0])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30), st.sampled_from([1, 10**6]), st.booleans())
def test_groups_are_those_of_numpys_unique(ids, spread, texts):
    cluster = np.array([str(i * spread) for i in ids] if texts else np.array(ids) * spread)
    found = Grouping.of(cluster)
    ones, rank = np.unique(cluster, return_inverse=True)
    index = np.arange(len(cluster)) if found.index is None else found.index
    np.testing.assert_array_equal(index, rank)
    assert found.count == len(ones)
    np.testing.assert_array_equal(cluster_sums(np.ones((len(cluster), 1)), cluster)[:, 0], np.bincount(rank))


@pytest.mark.parametrize(
    "cluster",
    [
        np.array([1.0, np.nan, 2.0]),
        np.array(["a", None, "b"], dtype=object),
        np.array(["2026-11-01", "NaT", "2026-11-02"], dtype="datetime64[D]"),
    ],
)
def test_ids_that_are_missing_are_named(cluster):
    with pytest.raises(EvaluationError, match="1 of 3 ids are missing; the first is in row 1"):
        lifts(impressions(target=np.full(3, 0.5), logging=np.full(3, 0.5), clicked=np.ones(3), cluster=cluster))


def room_log(rng, rooms=30, viewers=40):
    """Each viewer comes once; what a room does to item 0 is shared by all who are in it."""
    room = np.repeat(np.arange(rooms), viewers)
    item = rng.integers(0, 2, len(room))
    boost = np.exp(0.7 * rng.standard_normal(rooms) - 0.7**2 / 2)
    chance = np.where(item == 0, 0.2 * np.minimum(boost[room], 5.0), 0.2)
    return room, item, (rng.random(len(room)) < chance).astype(np.float64)


def test_rooms_that_share_a_random_effect_need_clusters_of_rooms():
    rng, runs = np.random.default_rng(12), 200
    truth = 0.0  # both items are clicked 0.2 of the time over all rooms
    held = {"user": 0, "room": 0}
    for _ in range(runs):
        room, item, clicked = room_log(rng)
        for name, cluster in (("user", np.arange(len(room))), ("room", room)):
            log = BanditLog(item, Outcomes(clicked), np.full((len(room), 2), 0.5), cluster=cluster)
            lift = lifts(log.evidence(np.tile([0.9, 0.1], (len(room), 1))), estimators=(SNIPS(),))[0]
            held[name] += lift.estimate.ci_low <= truth <= lift.estimate.ci_high
    slack = 4 * sqrt(0.95 * 0.05 / runs)
    assert held["room"] / runs >= 0.95 - slack
    assert held["user"] / runs < 0.95 - slack
