from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from beautyrec.errors import EvaluationError, MissingExtraError
from beautyrec.evaluation.estimate import Verdict
from beautyrec.evaluation.evidence import impressions
from beautyrec.evaluation.experiments import read_out
from beautyrec.evaluation.lift import COLUMNS, lift_table
from beautyrec.evaluation.measure import Measure
from beautyrec.evaluation.sample_size import smallest_lift, users_needed

pytest.importorskip("tea_tasting", reason="needs the extra 'experiments'")

CTR = Measure("ctr", "clicks", "impressions")
ORDERS = Measure("orders", "orders")


def shop(n=4_000, lift=0.3, share=0.5, seed=0):
    """Users with a taste of their own, which shows before the test and in it."""
    rng = np.random.default_rng(seed)
    taste = rng.gamma(2, 0.5, n)
    new = rng.random(n) < share
    seen = rng.poisson(6, n) + 1
    return pd.DataFrame(
        {
            "variant": np.where(new, "new", "old"),
            "impressions": seen,
            "clicks": rng.binomial(seen, np.clip(0.1 * taste * (1 + lift * new), 0, 1)),
            "orders": rng.poisson(0.3 * taste * (1 + lift * new)),
            "before": rng.poisson(4 * taste),
        }
    )


def by_hand(users, numerator, denominator):
    """Log of the ratio of the variants and its standard error, a user at a time."""
    total, variance = [], 0.0
    for name in ("new", "old"):
        part = users[users["variant"] == name]
        over, under = part[numerator].to_numpy(float), np.ones(len(part)) if denominator is None else part[denominator]
        ratio = over.mean() / np.mean(under)
        residual = (over - ratio * under) / np.mean(under)
        total.append(ratio)
        variance += residual.var(ddof=1) / len(part) / ratio**2
    return total, variance**0.5


@pytest.mark.parametrize("measure", [CTR, ORDERS])
def test_the_lift_and_its_interval_are_the_delta_methods(measure):
    users = shop()
    lift = read_out(users, [measure], control="old").lifts[0]
    (new, old), error = by_hand(users, measure.numerator, measure.denominator)
    ends = np.exp(np.log(new / old) + error * stats.norm.ppf([0.5, 0.025, 0.975])) - 1
    assert (lift.target, lift.logging) == pytest.approx((new, old))
    assert (lift.estimate.value, lift.estimate.ci_low, lift.estimate.ci_high) == pytest.approx(ends, rel=0.01)
    assert (lift.metric, lift.estimator, lift.verdict) == (measure.name, "a/b test", Verdict.TRUST)


def test_what_was_there_before_is_taken_out():
    """CUPED keeps the lift and narrows its interval by the share that taste explains."""
    plain, less = [], []
    for seed in range(40):
        users = shop(1_500, seed=seed)
        pair = read_out(users, [ORDERS, Measure("adjusted", "orders", before="before")], control="old").lifts
        plain.append((pair[0].estimate.value, pair[0].estimate.ci_high - pair[0].estimate.ci_low))
        less.append((pair[1].estimate.value, pair[1].estimate.ci_high - pair[1].estimate.ci_low))
        assert pair[1].estimator == "a/b test, cuped"
    assert np.mean(less, axis=0)[0] == pytest.approx(0.3, abs=0.05)
    assert np.mean(less, axis=0)[1] < 0.95 * np.mean(plain, axis=0)[1]
    assert np.std(less, axis=0)[0] < np.std(plain, axis=0)[0]


def test_intervals_cover_and_calls_hold_their_level():
    found = [read_out(shop(600, lift=0.0, seed=seed), [CTR, ORDERS], control="old") for seed in range(150)]
    covered = np.mean([f.lifts[0].estimate.ci_low <= 0 <= f.lifts[0].estimate.ci_high for f in found])
    assert 0.9 <= covered <= 0.99
    assert np.mean([min(f.adjusted) < 0.05 for f in found]) <= 0.09


def test_several_measures_are_corrected_as_holm_did():
    users = shop(lift=0.05)
    found = read_out(users, [CTR, ORDERS, Measure("impressions", "impressions")], control="old")
    order = np.argsort(found.p_values)
    steps = np.maximum.accumulate([min(1.0, p * (3 - i)) for i, p in enumerate(np.array(found.p_values)[order])])
    assert np.array(found.adjusted)[order] == pytest.approx(steps)


def test_lost_users_refuse_the_test():
    users = shop(6_000)
    lost = users.drop(users[users["variant"] == "new"].index[:300])
    found = read_out(lost, [CTR], control="old")
    assert found.mismatch_p_value < 0.001
    assert found.lifts[0].verdict is Verdict.REFUSE
    assert "of the users got the treatment where 50.00% were to" in found.lifts[0].reasons[0]
    assert read_out(shop(6_000, share=0.2), [CTR], control="old", share=0.2).lifts[0].verdict is Verdict.TRUST


def test_rare_events_and_few_users_are_refused_without_a_nan():
    users = shop().assign(never=0, rare=0)
    users.loc[[0, 1, 2], "rare"] = 1
    table = read_out(users, [Measure("never", "never"), Measure("rare", "rare")], control="old").table()
    assert table["verdict"].tolist() == ["refuse", "refuse"]
    assert table.loc[0, "estimate"] is pd.NA
    assert table.loc[0, "p_value"] == 1
    assert "never happened" in table.loc[0, "reasons"]
    few = read_out(shop(40), [CTR], control="old").lifts[0]
    assert few.verdict is not Verdict.TRUST
    assert any("users" in reason for reason in few.reasons)


def test_promised_and_delivered_stand_in_one_table():
    rng = np.random.default_rng(0)
    log = impressions(target=np.full(3_000, 0.5), logging=np.full(3_000, 0.5), clicked=rng.random(3_000) < 0.1)
    promised, delivered = lift_table(log), read_out(shop(), [CTR], control="old").table()
    assert list(delivered.columns[: len(COLUMNS)]) == list(promised.columns)
    both = pd.concat([promised[promised["metric"] == "ctr"], delivered], ignore_index=True)
    assert both["estimator"].tolist() == ["snips", "a/b test"]
    assert both["estimate"].dtype == "Float64"


def test_the_size_of_a_test_is_the_textbooks_and_its_inverse():
    users = shop()
    n = users_needed(users, ORDERS, 0.1)
    orders = users["orders"].to_numpy(float)
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert n == pytest.approx(4 * (z * orders.std(ddof=1) / (0.1 * orders.mean())) ** 2, rel=0.01)
    assert smallest_lift(users, ORDERS, n) == pytest.approx(0.1, rel=0.001)
    assert users_needed(users, Measure("adjusted", "orders", before="before"), 0.1) < n
    assert users_needed(users, ORDERS, 0.1, share=0.1) > 2 * n


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"measures": []}, "name at least one"),
        ({"measures": [CTR, CTR]}, "each once"),
        ({"measures": [Measure("a", "absent")]}, r"columns \['absent'\] are missing"),
        ({"control": "legacy"}, "there must be 'legacy' and one other"),
        ({"variant": "group"}, "column 'group' is missing"),
        ({"share": 1.0}, r"share is 1\.0"),
        ({"confidence": 95}, "confidence is 95"),
        ({"users": shop(50).assign(clicks=np.nan)}, "column 'clicks': 50 of 50 users are not finite"),
        ({"users": shop(50).assign(variant="old")}, "one other"),
    ],
)
def test_bad_input_is_named(change, says):
    settings = {"users": shop(200), "measures": [CTR], "control": "old"} | change
    with pytest.raises(EvaluationError, match=says):
        read_out(settings.pop("users"), settings.pop("measures"), **settings)


def test_sizes_that_cannot_be_are_named():
    with pytest.raises(EvaluationError, match="no test is large enough"):
        users_needed(shop(50), ORDERS, 0.0)
    with pytest.raises(EvaluationError, match="plan at least 4"):
        smallest_lift(shop(50), ORDERS, 3)
    with pytest.raises(EvaluationError, match="before_denominator is set"):
        Measure("a", "b", before_denominator="c")


def test_without_tea_tasting_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tea_tasting", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'beautyrec\[experiments\]'"):
        read_out(shop(50), [CTR], control="old")
