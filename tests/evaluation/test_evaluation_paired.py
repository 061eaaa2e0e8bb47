"""Differences of two ways on the same rows, against the functions that judge one way alone, and by the coverage of intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import Outcomes, SlateEvidence
from beautyrec.evaluation.grouped_auc import auc_of_groups, grouped_auc
from beautyrec.evaluation.lift import lift_table
from beautyrec.evaluation.metrics import CTR, REVENUE_PER_VIEWER
from beautyrec.evaluation.off_policy import SNIPS
from beautyrec.evaluation.paired import Book, PairedPredictions, lift_changes, money_change
from beautyrec.evaluation.prediction import auc, calibration_error, log_loss


def made(seed, viewers=400, shown=6):
    """Impressions of viewers who differ, and two predictions: one that knows the product, one that does not."""
    rng = np.random.default_rng(seed)
    viewer = np.repeat(np.arange(viewers), shown)
    good = rng.random(len(viewer)) < 0.5
    true = 1 / (1 + np.exp(-(np.where(good, -0.5, -1.5) + np.repeat(rng.normal(0, 0.7, viewers), shown))))
    clicked = rng.random(len(viewer)) < true
    ordered = clicked & (rng.random(len(viewer)) < 0.3)
    flat, sharp = np.full(len(viewer), 0.29), np.where(good, 0.39, 0.2)
    frames = [pd.DataFrame({"ctr": chance, "ctcvr": 0.3 * chance}) for chance in (flat, sharp)]
    return frames, clicked, ordered, viewer


def pairs(seed, **more):
    frames, clicked, ordered, viewer = made(seed, **more)
    return PairedPredictions(*frames, clicked, ordered, viewer, viewer)


def test_each_side_is_what_its_own_measure_says(rng):
    both = pairs(1)
    noisy = pd.DataFrame({"ctr": rng.random(len(both.before)), "ctcvr": rng.random(len(both.before))})
    both = PairedPredictions(both.before, noisy, both.clicked, both.ordered, both.cluster, both.request)
    changes = {change.measure: change for change in both.changes()}
    for name, happened in (("ctr", both.clicked), ("ctcvr", both.ordered)):
        for side, frame in (("before", both.before), ("after", noisy)):
            chance = frame[name].to_numpy()
            loss, error = changes[f"log loss, {name}"], changes[f"calibration error / base rate, {name}"]
            assert getattr(loss, side) == pytest.approx(log_loss(chance, happened))
            assert getattr(error, side) == pytest.approx(calibration_error(chance, happened, relative=True))
            within = grouped_auc(chance, happened, both.request).value
            assert getattr(changes[f"AUC within requests, {name}"], side) == pytest.approx(within)
    for change in changes.values():
        assert change.difference == pytest.approx(change.after - change.before)
        assert change.ci_low < change.difference < change.ci_high
    assert changes["log loss, ctr"].clusters == 400


def test_the_interval_of_a_difference_is_the_jackknife_of_the_difference():
    """Recomputed by hand: the loss without each viewer."""
    both = pairs(2, viewers=30)
    loss = both.changes()[0]
    left_out = []
    for viewer in range(30):
        keep = both.cluster != viewer
        values = [log_loss(frame["ctr"][keep], both.clicked[keep]) for frame in (both.before, both.after)]
        left_out.append(values[1] - values[0])
    spread = np.array(left_out) - np.mean(left_out)
    error = np.sqrt(29 / 30 * (spread**2).sum())
    assert (loss.ci_high - loss.ci_low) / 2 > 1.96 * error
    assert (loss.ci_high - loss.ci_low) / 2 < 3.0 * error


def test_intervals_hold_the_true_difference_about_as_often_as_they_say():
    """The truth is the mean over many viewers. The calibration error of rare orders is left out: it says so itself."""
    rare = "calibration error / base rate, ctcvr"
    true = {change.measure: change.difference for change in pairs(99, viewers=50_000).changes()}
    held = dict.fromkeys(true.keys() - {rare}, 0)
    for seed in range(200):
        for change in pairs(seed, viewers=150).changes():
            if change.measure in held:
                held[change.measure] += change.ci_low < true[change.measure] < change.ci_high
    assert all(181 <= count <= 199 for count in held.values()), held


def test_predictions_that_are_the_same_differ_by_exactly_nothing():
    both = pairs(3)
    same = PairedPredictions(both.after, both.after, both.clicked, both.ordered, both.cluster, both.request)
    for change in same.changes():
        assert (change.difference, change.ci_low, change.ci_high) == (0, 0, 0)


def test_what_cannot_be_computed_says_why():
    frames, clicked, ordered, viewer = made(4, viewers=20)
    never = PairedPredictions(*frames, clicked, np.zeros_like(ordered), viewer, viewer).changes()[3:]
    assert [change.note for change in never[1:]] == [
        "it never happened",
        "0 requests have both a row where it happened and one not",
    ]
    assert all(np.isnan(change.difference) for change in never[1:])
    with pytest.raises(EvaluationError, match="lengths"):
        PairedPredictions(frames[0], frames[1][:5], clicked, ordered, viewer, viewer)
    with pytest.raises(EvaluationError, match="confidence"):
        PairedPredictions(*frames, clicked, ordered, viewer, viewer, confidence=1.0)


def evidence(seed, target, money=None):
    """Single impressions of two items shown evenly; a target policy that shows the first with chance ``target``."""
    rng = np.random.default_rng(seed)
    first = rng.random(3000) < 0.5
    clicked = rng.random(3000) < np.where(first, 0.3, 0.2)
    paid = np.where(clicked, np.where(first, 8.0, 5.0), 0.0) if money is None else np.where(clicked, money, 0.0)
    outcomes = Outcomes(*(values.astype(np.float64)[:, None] for values in (clicked, clicked, paid)))
    chance = np.where(first, target, 1 - target)
    return SlateEvidence.of(
        target=chance[:, None], logging=np.full((3000, 1), 0.5), outcomes=outcomes, cluster=np.arange(3000) // 3
    )


def test_lifts_are_those_of_the_table_and_the_pair_is_surer_than_its_parts():
    before, after = evidence(1, 0.6), evidence(1, 0.8)
    [ctr] = lift_changes(before, after, estimator=SNIPS(), metrics=[CTR])
    tables = [lift_table(each, estimators=[SNIPS()], metrics=[CTR]).iloc[0] for each in (before, after)]
    assert [ctr.before, ctr.after] == pytest.approx([float(table["estimate"]) for table in tables])
    assert ctr.ci_low < ctr.difference < ctr.ci_high
    width = float(tables[1]["ci_high"] - tables[1]["ci_low"])
    assert ctr.ci_high - ctr.ci_low < width, "what both share has dropped out"


def test_margin_is_revenue_less_cost_and_may_be_below_nothing():
    before, after = evidence(2, 0.5), evidence(2, 0.9)
    costs = evidence(2, 0.5, money=9.0), evidence(2, 0.9, money=9.0)
    revenue = money_change([Book(1, before, after)], "revenue", estimator=SNIPS())
    [lift] = lift_changes(before, after, estimator=SNIPS(), metrics=[REVENUE_PER_VIEWER])
    logged = 1000 * before.outcomes.of("revenue").mean()
    assert revenue.before == pytest.approx(logged, rel=0.05)
    assert revenue.difference == pytest.approx(lift.difference * logged)
    cost = money_change([Book(1, *costs)], "cost", estimator=SNIPS())
    margin = money_change([Book(1, before, after), Book(-1, *costs)], "margin", estimator=SNIPS())
    assert margin.difference == pytest.approx(revenue.difference - cost.difference)
    assert margin.after < 0
    assert margin.measure == "margin per 1,000 viewers"


def test_policies_of_other_requests_are_refused():
    with pytest.raises(EvaluationError, match="not valued on the same requests"):
        lift_changes(evidence(1, 0.6), evidence(1, 0.6).where(np.arange(3000) < 2000))
    with pytest.raises(EvaluationError, match="at least one pair"):
        money_change([], "margin")


def test_the_auc_of_each_group_is_the_auc_of_its_rows(rng):
    group, happened = rng.integers(0, 40, 300), rng.random(300) < 0.3
    chance = rng.integers(0, 6, 300) / 6
    found = auc_of_groups(chance, happened, group)
    assert found.ids.tolist() == sorted(set(group.tolist()))
    for number, value, rows in zip(*found, strict=True):
        mine = group == number
        assert rows == mine.sum()
        both = 0 < happened[mine].sum() < rows
        assert np.isnan(value) if not both else value == pytest.approx(auc(chance[mine], happened[mine]))
