"""Lift: values, tables, coverage on a small problem, and verdicts."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.estimate import Verdict
from beautyrec.evaluation.evidence import Outcomes, SlateEvidence, impressions
from beautyrec.evaluation.lift import COLUMNS, lift_table, lifts
from beautyrec.evaluation.metrics import CTR, CVR, METRICS
from beautyrec.evaluation.off_policy import DR, IPS, SNIPS
from beautyrec.evaluation.overlap import THRESHOLDS, Overlap

N_ITEMS = 8
LOGGING = np.full(N_ITEMS, 1 / N_ITEMS)
TARGET = np.arange(1.0, N_ITEMS + 1) / np.arange(1.0, N_ITEMS + 1).sum()
CLICK = np.linspace(0.05, 0.25, N_ITEMS)
ORDER = np.linspace(0.5, 0.2, N_ITEMS)


def single_item_log(rng, n=3000, model=True, users=800):
    """Impressions of a logging policy that draws evenly; outcomes of known rates."""
    item = rng.integers(0, N_ITEMS, size=n)
    clicked = rng.random(n) < CLICK[item]
    ordered = clicked & (rng.random(n) < ORDER[item])
    wide = [part.astype(float)[:, None] for part in (clicked, ordered, ordered * 7.0)]
    guess = [rate[item][:, None] for rate in (CLICK * 0.8, CLICK * 0.3, CLICK * 2.0)]
    under = [np.full((n, 1), TARGET @ rate) for rate in (CLICK * 0.8, CLICK * 0.3, CLICK * 2.0)]
    return SlateEvidence.of(
        target=TARGET[item][:, None],
        logging=LOGGING[item][:, None],
        outcomes=Outcomes(*wide),
        cluster=rng.integers(0, users, size=n),
        expected=(Outcomes(*guess), Outcomes(*under)) if model else None,
    )


TRUE_CTR = TARGET @ CLICK / (LOGGING @ CLICK) - 1
TRUE_CTCVR = TARGET @ (CLICK * ORDER) / (LOGGING @ (CLICK * ORDER)) - 1
TRUE = {
    "ctr": TRUE_CTR,
    "ctcvr": TRUE_CTCVR,
    "cvr": (1 + TRUE_CTCVR) / (1 + TRUE_CTR) - 1,
    "room_conversion": TRUE_CTCVR,
    "revenue_per_viewer": TRUE_CTCVR,
    "revenue_per_impression": TRUE_CTCVR,
}


def test_intervals_cover_the_true_lift():
    rng = np.random.default_rng(11)
    tables = [lift_table(single_item_log(rng), estimators=(IPS(), SNIPS(), DR())) for _ in range(200)]
    table = pd.concat(tables)
    true = table["metric"].map(TRUE)
    covered = (
        ((table["ci_low"] <= true) & (true <= table["ci_high"])).groupby([table["metric"], table["estimator"]]).mean()
    )
    assert covered.min() >= 0.91  # of 200 at 0.95: below 0.91 once in 100
    assert covered.mean() <= 0.98
    width = (table["ci_high"] - table["ci_low"]).groupby([table["metric"], table["estimator"]]).mean()
    assert width["ctr", "dr"] <= width["ctr", "ips"]


def test_values_are_the_formulas():
    evidence = single_item_log(np.random.default_rng(0))
    weight, clicked, ordered = (
        evidence.weight[:, 0],
        evidence.outcomes.clicked[:, 0],
        evidence.outcomes.of("ordered")[:, 0],
    )
    table = lift_table(evidence, estimators=(IPS(), SNIPS(), DR())).set_index(["metric", "estimator"])
    assert table.loc[("ctr", "ips"), "target"] == pytest.approx((weight * clicked).mean())
    assert table.loc[("ctr", "snips"), "target"] == pytest.approx((weight * clicked).sum() / weight.sum())
    assert table.loc[("cvr", "snips"), "target"] == pytest.approx((weight * ordered).sum() / (weight * clicked).sum())
    guess = evidence.expected_logged.clicked[:, 0]
    doubly = (evidence.expected_target.clicked[:, 0] + weight * (clicked - guess)).mean()
    assert table.loc[("ctr", "dr"), "target"] == pytest.approx(doubly)
    assert table.loc[("ctr", "dr"), "logging"] == pytest.approx(clicked.mean())
    assert table.loc[("ctr", "dr"), "estimate"] == pytest.approx(doubly / clicked.mean() - 1)
    revenue = (weight * ordered).sum() * 7 / weight.sum()
    assert table.loc[("revenue_per_impression", "snips"), "target"] == pytest.approx(revenue)
    assert table.loc[("revenue_per_impression", "snips"), "logging"] == pytest.approx(7 * ordered.mean())
    assert table.loc[("room_conversion", "snips"), "target"] == pytest.approx((weight * ordered).sum() / weight.sum())


def test_the_table_has_its_columns_one_row_a_metric_and_estimator():
    table = lift_table(single_item_log(np.random.default_rng(1)))
    assert tuple(table.columns) == COLUMNS
    assert list(zip(table["metric"], table["estimator"], strict=True)) == [
        (metric.name, name) for metric in METRICS for name in ("snips", "dr")
    ]
    assert (table["n"] == 3000).all()
    assert (table["ci_low"] < table["estimate"]).all()
    assert (table["estimate"] < table["ci_high"]).all()
    assert set(table["verdict"]) == {"trust"}
    assert set(table["reasons"]) == {""}


def test_clusters_of_dependent_rows_widen_the_interval():
    rng = np.random.default_rng(2)
    alone = single_item_log(rng, n=1000, users=10**9)
    copies = np.repeat(np.arange(1000), 5)
    pick = lambda outcomes: Outcomes(*(outcomes.of(name)[copies] for name in outcomes.names))  # noqa: E731
    repeated = SlateEvidence(
        alone.weight[copies], pick(alone.outcomes), np.ones((5000, 1), dtype=bool), alone.cluster[copies]
    )
    one, five = (lifts(part, estimators=(SNIPS(),), metrics=(CTR,))[0].estimate for part in (alone, repeated))
    assert five.ci_low == pytest.approx(one.ci_low, abs=1e-9)
    assert five.n == one.n == 1000


def test_without_a_model_only_snips_is_asked_and_without_orders_only_ctr():
    log = impressions(
        target=np.full(200, 0.5), logging=np.full(200, 0.5), clicked=np.arange(200) % 2 == 0, cluster=np.arange(200)
    )
    assert [(lift.metric, lift.estimator) for lift in lifts(log)] == [("ctr", "snips")]


def test_a_metric_without_its_outcome_and_a_confidence_of_one_raise():
    log = impressions(target=np.full(4, 0.5), logging=np.full(4, 0.5), clicked=np.ones(4))
    with pytest.raises(EvaluationError, match="'cvr' needs"):
        lifts(log, metrics=(CVR,))
    with pytest.raises(EvaluationError, match="confidence is 1"):
        lifts(log, confidence=1)


def refused(evidence, metric="ctr"):
    lift = next(lift for lift in lifts(evidence) if lift.metric == metric)
    assert lift.verdict is Verdict.REFUSE
    return lift


def test_no_clicks_at_all_is_refused_without_a_number():
    lift = refused(impressions(target=np.full(500, 0.5), logging=np.full(500, 0.5), clicked=np.zeros(500)))
    assert lift.estimate is None
    assert "there are no clicks in the log" in lift.reasons
    table = lift_table(impressions(target=np.full(500, 0.5), logging=np.full(500, 0.5), clicked=np.zeros(500)))
    assert table["estimate"].isna().all()
    assert "nan" not in table.to_string().lower()


def test_one_cluster_is_refused():
    rng = np.random.default_rng(0)
    log = impressions(
        target=np.full(500, 0.5), logging=np.full(500, 0.5), clicked=rng.random(500) < 0.3, cluster=np.zeros(500)
    )
    assert any("independent clusters" in reason for reason in refused(log).reasons)


def test_a_log_without_orders_refuses_conversion_but_not_clicks():
    evidence = single_item_log(np.random.default_rng(3), model=False)
    zeros = np.zeros_like(evidence.weight)
    evidence = SlateEvidence(
        evidence.weight, Outcomes(evidence.outcomes.clicked, zeros, zeros), evidence.shown, evidence.cluster
    )
    verdicts = {lift.metric: lift.verdict for lift in lifts(evidence)}
    assert verdicts.pop("ctr") is Verdict.TRUST
    assert set(verdicts.values()) == {Verdict.REFUSE}


def test_a_target_without_support_is_refused_for_its_mean_weight():
    rng = np.random.default_rng(4)
    item = rng.integers(0, 4, size=4000)  # the target shows items 4 to 7 in 72 % of the cases
    log = impressions(target=TARGET[item], logging=np.full(4000, 0.25), clicked=rng.random(4000) < 0.2)
    assert any("weights average" in reason for reason in refused(log).reasons)


def test_one_dominating_weight_is_refused():
    rng = np.random.default_rng(5)
    logging = np.full(5000, 0.5)
    logging[0] = 1e-4
    log = impressions(target=np.full(5000, 0.5), logging=logging, clicked=rng.random(5000) < 0.2)
    assert any("one impression of weight 5,000" in reason for reason in refused(log).reasons)


def test_few_effective_orders_give_caution():
    evidence = single_item_log(np.random.default_rng(6), n=1500, model=False)
    keep = np.cumsum(evidence.outcomes.of("ordered"), axis=0) <= 20
    ordered = evidence.outcomes.of("ordered") * keep
    evidence = SlateEvidence(
        evidence.weight, Outcomes(evidence.outcomes.clicked, ordered, ordered), evidence.shown, evidence.cluster
    )
    lift = next(lift for lift in lifts(evidence) if lift.metric == "ctcvr")
    assert lift.verdict is Verdict.CAUTION
    assert "orders count as" in lift.reasons[0]


def test_estimators_that_disagree_give_caution():
    evidence = single_item_log(np.random.default_rng(7))
    shift = Outcomes(*(evidence.expected_target.of(name) + 0.05 for name in ("clicked", "ordered", "revenue")))
    spoilt = SlateEvidence(
        evidence.weight, evidence.outcomes, evidence.shown, evidence.cluster, evidence.expected_logged, shift
    )
    lift = lifts(spoilt, metrics=(CTR,))[0]
    assert lift.verdict is Verdict.CAUTION
    assert "estimators differ" in lift.reasons[0]


def test_a_negative_doubly_robust_value_still_has_an_interval():
    evidence = single_item_log(np.random.default_rng(8), n=400)
    shift = Outcomes(*(evidence.expected_target.of(name) - 1.0 for name in ("clicked", "ordered", "revenue")))
    evidence = SlateEvidence(
        evidence.weight, evidence.outcomes, evidence.shown, evidence.cluster, evidence.expected_logged, shift
    )
    lift = next(lift for lift in lifts(evidence, metrics=(CTR,)) if lift.estimator == "dr")
    assert lift.target < 0
    assert lift.estimate.ci_low == -1
    assert "ratio" in lift.estimate.method


def test_effective_numbers_are_kishs():
    weight = np.array([1.0, 3.0])
    overlap = Overlap.of(impressions(target=weight / 4, logging=np.full(2, 0.25), clicked=np.array([1, 1])))
    assert overlap.effective_n == pytest.approx(16 / 10)
    assert overlap.effective_events["clicked"] == pytest.approx(16 / 10)
    assert overlap.largest_share == pytest.approx(0.75)
    assert overlap.mean_weight == pytest.approx(2)


def test_thresholds_can_be_others():
    from dataclasses import replace

    evidence = single_item_log(np.random.default_rng(9), model=False)
    strict = replace(THRESHOLDS, effective_n=(1e6, 1e6))
    assert lifts(evidence, limits=strict)[0].verdict is Verdict.REFUSE


def open_bandit(name):
    folder = (
        Path(os.environ.get("BEAUTYREC_DATA") or Path(__file__).parents[3] / "shared" / "data") / "open-bandit-small"
    )
    if not folder.is_dir():
        pytest.skip(f"public research data is not there: {folder}")
    return pd.read_parquet(folder / f"{name}.parquet")


def real_log(log, target):
    logged = open_bandit(log)
    n_items = int(logged["item_id"].max()) + 1
    shown = logged["item_id"].to_numpy(), logged["position"].to_numpy() - 1
    if target is None:
        chances = np.full((n_items, 3), 1 / n_items)
    else:
        other = open_bandit(target)
        counts = np.full((n_items, 3), 0.5)
        np.add.at(counts, (other["item_id"].to_numpy(), other["position"].to_numpy() - 1), 1)
        chances = counts / counts.sum(axis=0)
    return impressions(
        target=chances[shown], logging=logged["propensity_score"].to_numpy(), clicked=logged["click"].to_numpy()
    )


@pytest.mark.shared
def test_open_bandit_bts_women_for_random_is_refused():
    evidence = real_log("bts-women", None)
    overlap = Overlap.of(evidence)
    assert overlap.effective_n == pytest.approx(2.08, abs=0.01)
    assert overlap.largest_weight == pytest.approx(21_739, abs=1)
    assert overlap.mean_weight == pytest.approx(3.13, abs=0.01)
    assert refused(evidence).reasons[0].startswith("the log is worth 2.08 impressions")


@pytest.mark.shared
def test_open_bandit_random_all_for_bts_is_read_with_caution_for_its_38_clicks():
    lift = lifts(real_log("random-all", "bts-all"))[0]
    assert lift.verdict is Verdict.CAUTION
    assert [reason.split(" count")[0] for reason in lift.reasons] == ["the log's 38 clicks"]
    assert lift.estimate.ci_low < 0.198 < lift.estimate.ci_high
