from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.attribution import order_known_at
from beautyrec.data.log import EventLog
from beautyrec.errors import FitError, SchemaError
from beautyrec.models.calibrated import sigmoid
from beautyrec.models.calibration import Platt
from beautyrec.models.funnel import Boosting, Funnel
from beautyrec.models.funnel_delay import (
    ORDER_KNOWN_AT,
    DelayCurve,
    calibrate_matured,
    completed,
    first_chance,
    matured_rows,
)

DAY = 86_400.0


def late_orders(n, mean_days, seed=0, days=20):
    """Clicks over 20 days, each with a chance of an order of 0.3 that comes after an exponential delay."""
    rng = np.random.default_rng(seed)
    heat = rng.normal(size=n)
    cvr = sigmoid(-1.0 + heat)
    ordered = rng.random(n) < cvr
    ts = pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(np.sort(rng.random(n)) * days, unit="D")
    known = pd.Series(ts + pd.to_timedelta(rng.exponential(mean_days, n), unit="D")).where(ordered)
    clicked = rng.random(n) < 0.5
    rows = {"ts": ts, "heat": heat, "clicked": clicked, "true_cvr": cvr, ORDER_KNOWN_AT: known.where(clicked)}
    return pd.DataFrame(rows)


def test_the_curve_is_that_of_the_delays_though_most_clicks_are_young():
    rng = np.random.default_rng(1)
    n, mean, window = 200_000, 2 * DAY, 10 * DAY
    age = rng.random(n) * 20 * DAY
    delay = np.where(rng.random(n) < 0.3, rng.exponential(mean, n), np.nan)
    delay[delay > age] = np.nan
    curve = DelayCurve.fit(delay, age, window)
    at = np.array([0.0, 0.5, 1, 2, 5, 9]) * DAY
    expected = (1 - np.exp(-at / mean)) / (1 - np.exp(-window / mean))
    np.testing.assert_allclose(curve.maturity(at), expected, atol=0.01)
    assert (curve.maturity(np.array([window, 1e12])) == 1).all()


def test_the_curve_is_kaplan_and_meiers_by_hand():
    delay = np.array([10.0, 20.0, np.nan, 30.0, np.nan, np.nan])
    age = np.array([99.0, 99.0, 15.0, 99.0, 25.0, 99.0])
    s = np.cumprod([1 - 1 / 6, 1 - 1 / 4, 1 - 1 / 2])  # at risk: six, then four (one left at 15), then two (at 25)
    curve = DelayCurve.fit(delay, age, 50.0)
    np.testing.assert_allclose(
        curve.maturity(np.array([9.0, 10.0, 20.0, 29.0, 30.0])), [0, *(1 - s[[0, 1, 1, 2]]) / (1 - s[2])]
    )


@pytest.mark.parametrize(("delay", "age"), [([5.0], [40.0]), ([np.nan], [99.0]), ([-1.0], [99.0]), ([], [])])
def test_delays_that_tell_nothing_are_refused(delay, age):
    with pytest.raises(FitError, match="delays: "):
        DelayCurve.fit(np.array(delay), np.array(age), 50.0)


def test_naive_labels_are_biased_low_and_corrected_ones_are_not():
    rows = late_orders(60_000, mean_days=3.0)
    known = matured_rows(rows, "2026-03-21T00:00Z", "14D").query("clicked")
    truth = known["true_cvr"].mean() * (1 - np.exp(-14 / 3))
    young = known[known["ts"] > pd.Timestamp("2026-03-18", tz="UTC")]
    assert known["ordered"].mean() < 0.87 * truth
    assert young["ordered"].mean() < 0.5 * young["true_cvr"].mean()
    chance = first_chance(young["ordered"].to_numpy(), young["maturity"].to_numpy())[0]
    assert chance == pytest.approx(young["true_cvr"].mean() * (1 - np.exp(-14 / 3)), rel=0.08)


def test_trees_on_late_orders_are_biased_low_unless_they_are_told():
    rows = matured_rows(late_orders(40_000, mean_days=3.0), "2026-03-21T00:00Z", "10D")
    learner = Funnel(Boosting(20, 4, 0.2, 5.0, 100), Boosting(20, 4, 0.2, 5.0, 100), negatives_a_click=5.0)
    clicks = rows["clicked"].to_numpy()
    truth = rows["true_cvr"][clicks].mean() * (1 - np.exp(-10 / 3))
    naive = learner.fit(rows.drop(columns="maturity"), features=("heat",)).predict(rows)["cvr"][clicks].mean()
    told = learner.fit(rows, features=("heat",)).predict(rows)["cvr"][clicks].mean()
    assert naive < 0.75 * truth
    assert told == pytest.approx(truth, rel=0.06)


def test_labels_after_the_moment_are_not_used():
    rows = late_orders(4000, mean_days=1.0)
    then = matured_rows(rows, "2026-03-15T00:00Z", "5D")
    assert then["ts"].max() < pd.Timestamp("2026-03-15", tz="UTC")
    known = then[ORDER_KNOWN_AT]
    in_time = (known < pd.Timestamp("2026-03-15", tz="UTC")) & (known - then["ts"] <= pd.Timedelta("5D"))
    np.testing.assert_array_equal(then["ordered"], in_time)
    with pytest.raises(SchemaError, match="order_known_at"):
        matured_rows(rows.drop(columns=ORDER_KNOWN_AT), "2026-03-15T00:00Z", "5D")


def test_completed_rows_keep_their_weight_and_expect_the_right_number(rng):
    n = 100_000
    chance, maturity = rng.random(n) * 0.5, rng.random(n) + 1e-5
    seen = (rng.random(n) < chance) & (rng.random(n) < maturity)
    row, label, weight = completed(seen, maturity.clip(0, 1), chance)
    np.testing.assert_allclose(np.bincount(row, weight, n), 1.0)
    assert weight[label].sum() == pytest.approx(chance.sum(), rel=0.02)


def test_calibration_of_waiting_rows_finds_the_line_of_all_rows(rng):
    n = 100_000
    x = rng.normal(-1, 1, n)
    maturity = rng.uniform(0.2, 1.0, n)
    ordered = (rng.random(n) < sigmoid(0.4 + 0.8 * x)) & (rng.random(n) < maturity)
    line = calibrate_matured(Platt(), x, ordered, maturity)
    assert line.slope == pytest.approx(0.8, abs=0.06)
    assert line.intercept == pytest.approx(0.4, abs=0.06)


def test_when_an_order_became_known_is_read_from_the_log():
    at = pd.to_datetime(["2026-03-01", "2026-03-02", "2026-03-03", "2026-03-03"], utc=True)
    later = pd.to_datetime(["2026-03-01", "2026-03-05", "2026-03-04", "2026-03-03"], utc=True)
    frame = {
        "event_id": range(4),
        "event": ["impression", "order", "order", "impression"],
        "ts": at,
        "available_at": later,
    }
    events = pd.DataFrame(frame).assign(user_id=1, item_id="a", request_id=[7, 7, 7, 8])
    log = EventLog.from_frames(events, pd.DataFrame({"item_id": ["a"]}))
    found = log.engine.frame(order_known_at(log.events, "1D"))
    assert found["event_id"].tolist() == [0]
    assert found[ORDER_KNOWN_AT].iloc[0] == pd.Timestamp("2026-03-04", tz="UTC")
