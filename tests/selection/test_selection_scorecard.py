from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.data.log import EventLog
from beautyrec.errors import ConfigError, FitError, SchemaError
from beautyrec.selection.dimension_values import dimension_values
from beautyrec.selection.monthly_list import ListConfig, monthly_list
from beautyrec.selection.scorecard import DIMENSIONS, Dimension, Scorecard
from beautyrec.selection.weights import Sales, fit_weights
from beautyrec.simulate.world import World

NAMES = [dimension.name for dimension in DIMENSIONS]


def shelf(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = {name: rng.normal(size=n) for name in NAMES}
    return pd.DataFrame({"item_id": np.arange(n), "category": rng.choice(list("abcde"), n), **values})


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 40),
    gaps=st.floats(0, 1),
    weights=st.dictionaries(st.sampled_from(NAMES), st.floats(-3, 3), min_size=1),
)
def test_a_total_is_the_sum_of_its_parts(seed, n, gaps, weights):
    table, rng = shelf(n, seed), np.random.default_rng(seed)
    table[NAMES] = table[NAMES].mask(rng.random((n, len(NAMES))) < gaps)
    if not any(weights.values()):
        with pytest.raises(ConfigError, match="one of them not 0"):
            Scorecard(weights)
        return
    scores = Scorecard(weights).score(table)
    np.testing.assert_array_equal(scores.parts.sum(axis=1), scores.total)
    assert np.isfinite(scores.total).all()
    item = int(rng.integers(n))
    assert scores.explain(item)["part"].sum() == pytest.approx(scores.total[item], abs=1e-12)


def test_a_value_with_little_evidence_is_drawn_to_its_category():
    table = pd.DataFrame(
        {"item_id": range(4), "category": ["a", "a", "b", "b"], "x": [1.0, 3.0, 10.0, 20.0], "n": [0.0, 2.0, 1e9, 1e9]}
    )
    scores = Scorecard(dimensions=(Dimension("x", "", evidence="n", strength=2.0),)).score(table)
    drawn = np.array([2.0, 2.5, 10.0, 20.0])  # category a: mean 2
    np.testing.assert_allclose(scores.standard["x"], (drawn - drawn.mean()) / drawn.std(), rtol=1e-6)


def test_what_is_missing_counts_as_its_category():
    table = pd.DataFrame({"item_id": range(4), "category": ["a", "a", "b", None], "x": [1.0, np.nan, 4.0, np.nan]})
    standard = Scorecard(dimensions=(Dimension("x", ""),)).score(table).standard["x"]
    filled = np.array([1.0, 1.0, 4.0, 2.5])
    np.testing.assert_allclose(standard, (filled - filled.mean()) / filled.std())


def test_less_is_better_where_it_is_said():
    table = shelf(50)
    up, down = (Scorecard(dimensions=(Dimension("heat", "", better=b),)).score(table).total for b in (1, -1))
    np.testing.assert_allclose(up, -down)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"item_id": 1}, "19 products are there twice"),
        ({"heat": "much"}, r"columns \['heat'\] are not of numbers"),
    ],
)
def test_wrong_products_are_named(change, says):
    with pytest.raises(SchemaError, match=says):
        Scorecard().score(shelf(20).assign(**change))


def test_missing_columns_and_unknown_dimensions_are_named():
    with pytest.raises(SchemaError, match=r"missing are \['heat'\]"):
        Scorecard({"heat": 1.0}).score(shelf(20).drop(columns="heat"))
    with pytest.raises(SchemaError, match="0 products"):
        Scorecard().score(shelf(0))
    with pytest.raises(ConfigError, match=r"unknown dimensions .'heet'"):
        Scorecard({"heet": 1.0})
    with pytest.raises(ConfigError, match="77 is none of the 20"):
        Scorecard().score(shelf(20)).explain(77)


def sales(n: int, seed: int, truth: np.ndarray) -> Sales:
    scores = Scorecard().score(shelf(n, seed))
    rng = np.random.default_rng(seed + 1)
    shown = rng.integers(0, 400, n).astype(float)
    return Sales(scores, rng.poisson(0.01 * shown * np.exp(scores.standard.to_numpy() @ truth)) * 10.0, shown)


def test_weights_are_found_again_and_beat_equal_ones():
    truth = np.array([0.6, 0.0, 0.3, -0.2, 0.0, 0.0, 0.0, 0.0, 0.4])
    fitted = fit_weights(sales(3000, 0, truth), sales(2000, 1, truth), rng=np.random.default_rng(2))
    table = fitted.table
    np.testing.assert_allclose(table["weight"], truth, atol=0.08)
    assert fitted.beats_equal
    assert dict(fitted.scorecard().weights)["heat"] == table["weight"]["heat"]


def test_intervals_of_weights_cover_the_truth():
    truth, inside = np.array([0.3, 0.1, 0.2, 0.0, 0.1, 0.0, 0.2, 0.1, 0.3]), []
    for seed in range(60):
        table = fit_weights(sales(400, 10 * seed, truth), ridge=0.0, rng=np.random.default_rng(0)).table
        inside.append(((table["ci_low"] <= truth) & (truth <= table["ci_high"])).mean())
    assert 0.9 < np.mean(inside) < 0.98


def test_weights_that_tell_nothing_are_not_used():
    equal = np.full(9, 0.2)
    fitted = fit_weights(sales(60, 3, equal), sales(400, 4, equal), rng=np.random.default_rng(0))
    assert not fitted.beats_equal
    assert fitted.scorecard().weights is None
    strong = fit_weights(sales(60, 3, equal), ridge=1e9, rng=np.random.default_rng(0)).table["weight"]
    assert np.ptp(strong) < 1e-4


def test_sales_that_cannot_be_are_named():
    scores = Scorecard().score(shelf(30))
    zeros = np.zeros(30)
    with pytest.raises(FitError, match="30 of 30 products"):
        Sales(scores, zeros + 1, zeros)
    with pytest.raises(FitError, match="give one each"):
        Sales(scores, zeros, zeros[:3])
    with pytest.raises(FitError, match="some sales"):
        fit_weights(Sales(scores, zeros, zeros + 5), rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def log() -> EventLog:
    return World.tiny(seed=0).log()


def test_dimensions_are_as_known_at_the_time(log: EventLog) -> None:
    rooms = log.engine.frame(log.rooms)
    at = rooms["starts_at"].quantile(0.6, interpolation="nearest")
    table = dimension_values(log, at)
    assert table["item_id"].is_unique
    assert {*NAMES, "price", "stock", "impressions", "ratings"} <= set(table)
    before = dimension_values(log.before(at), at)
    pd.testing.assert_frame_equal(table, before)
    events = log.engine.frame(log.events)
    seen = events[(events["event"] == "impression") & (events["available_at"] < at)]
    counts = table.set_index("item_id")["impressions"]
    assert counts.to_dict() == seen["item_id"].value_counts().reindex(counts.index).fillna(0).to_dict()
    shelves = log.engine.frame(log.shelves).merge(rooms[["room_id", "starts_at"]], on="room_id")
    last = shelves[shelves["starts_at"] < at].sort_values("starts_at").groupby("item_id")["stock"].last()
    known = table.set_index("item_id")["stock"].dropna()
    assert known.to_dict() == last.to_dict()
    assert Scorecard().score(table).total.notna().all()


def test_a_models_rates_take_the_place_of_smoothed_ones(log: EventLog) -> None:
    at = log.engine.frame(log.rooms)["starts_at"].max()
    ids = log.engine.frame(log.items)["item_id"]
    table = dimension_values(log, at, pctcvr=dict.fromkeys(ids, 0.002))
    assert table["pctcvr"].eq(2.0).all()


def test_several_currencies_are_named_wherever_prices_are_compared() -> None:
    shelf = pd.DataFrame({"item_id": range(6), "category": "a", "brand": "x", "price": 9.0, "margin": 0.3})
    mixed = shelf.assign(currency=["CNY"] * 4 + ["USD"] * 2)
    with pytest.raises(SchemaError, match=r"scorecard: prices are in 2 currencies: CNY \(4\), USD \(2\)"):
        Scorecard().score(mixed)
    with pytest.raises(SchemaError, match="selection list: prices are in 2 currencies"):
        monthly_list(Scorecard().score(shelf), mixed, ListConfig(size=2))
    shown = pd.DataFrame({"event_id": [0], "event": "impression", "user_id": 7, "item_id": 1})
    shown["ts"] = pd.Timestamp("2026-03-01", tz="UTC")
    for items, said in ((mixed, "2 currencies"), (shelf.assign(currency="CNY"), "")):
        log = EventLog.from_frames(shown, items.drop(columns="margin"))
        if said:
            with pytest.raises(SchemaError, match="catalogue: prices are in 2 currencies"):
                dimension_values(log, pd.Timestamp("2026-03-02", tz="UTC"))
        else:
            assert set(dimension_values(log, pd.Timestamp("2026-03-02", tz="UTC"))["currency"]) == {"CNY"}
