from __future__ import annotations

import itertools
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.errors import ConfigError, InfeasibleError, SchemaError
from beautyrec.selection.assignment import Caps, most_products, undominated
from beautyrec.selection.line_up import COLUMNS, LineUpConfig, line_up

pytest.importorskip("scipy")


def products(n: int, seed: int = 0, **columns) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "item_id": np.arange(n),
            "title": [f"product {i}" for i in range(n)],
            "category": (rng.zipf(1.3, n) % 230).astype(str),
            "brand": (rng.zipf(1.4, n) % 800).astype(str),
            "price": rng.gamma(2, 20, n),
            "margin": rng.gamma(2, 5, n),
            "ctr": rng.beta(1, 40, n),
            "cvr": rng.beta(2, 20, n),
            "stock": rng.integers(1, 50, n),
        }
    )
    return frame.assign(**columns)


def value_of(order, table: pd.DataFrame, audience: float, attention: np.ndarray) -> float:
    """The expected margin of the products at the places ``order`` of ``table``, one a slot."""
    total = 0.0
    for slot, place in enumerate(order):
        row = table.iloc[place]
        total += row["margin"] * min(audience * attention[slot] * row["ctr"] * row["cvr"], row["stock"])
    return total


def allowed(order, table: pd.DataFrame, config: LineUpConfig) -> bool:
    chosen = table.iloc[list(order)]
    categories, brands = chosen["category"].dropna().value_counts(), chosen["brand"].dropna().value_counts()
    return (categories <= config.per_category).all() and (brands <= config.per_brand).all()


rows = st.fixed_dictionaries(
    {
        "category": st.sampled_from(["balm", "serum", None]),
        "brand": st.sampled_from(["x", "y", None]),
        "margin": st.sampled_from([0.0, 1.0, 2.0, 3.5, 7.0]),
        "ctr": st.sampled_from([0.0, 0.1, 0.3, 1.0]),
        "cvr": st.sampled_from([0.1, 0.5]),
        "stock": st.sampled_from([1, 3, 20, 1000]),
    }
)


@settings(max_examples=60, deadline=None)
@given(
    table=st.lists(rows, min_size=1, max_size=7),
    attention=st.lists(st.sampled_from([0.0, 0.3, 0.6, 1.0]), min_size=1, max_size=3),
    per_category=st.integers(1, 2),
    per_brand=st.integers(1, 2),
)
def test_no_line_up_is_better_by_trying_all(table, attention, per_category, per_brand):
    frame = pd.DataFrame(table).assign(item_id=lambda f: np.arange(len(f)), price=1.0)
    config = LineUpConfig(len(attention), 10, per_category, per_brand)
    weights = np.array(attention)
    orders = itertools.permutations(range(len(frame)), len(attention))
    values = [value_of(order, frame, 100.0, weights) for order in orders if allowed(order, frame, config)]
    if not values:
        with pytest.raises(InfeasibleError, match=f"{len(attention)} wanted"):
            line_up(frame, 100.0, config, weights)
        return
    plan = line_up(frame, 100.0, config, weights)
    assert plan.expected_margin == pytest.approx(max(values))
    assert plan.gap == 0
    chosen = plan.table["item_id"].tolist()
    assert len(set(chosen)) == len(attention)
    assert allowed(chosen, frame, config)
    assert value_of(chosen, frame, 100.0, weights) == pytest.approx(max(values))


@settings(max_examples=40, deadline=None)
@given(table=st.lists(rows, min_size=1, max_size=9), per_category=st.integers(1, 3), per_brand=st.integers(1, 3))
def test_how_many_can_be_placed_by_trying_all(table, per_category, per_brand):
    frame = pd.DataFrame(table)
    config = LineUpConfig(1, 1, per_category, per_brand)
    sizes = (
        size
        for size in range(len(frame), 0, -1)
        if any(allowed(chosen, frame, config) for chosen in itertools.combinations(range(len(frame)), size))
    )
    assert most_products(Caps.of(frame, per_category, per_brand)) == next(sizes)


def test_two_thousand_candidates_are_solved_in_seconds():
    attention = np.linspace(1.0, 0.4, 30)
    table = products(2000)
    start = time.perf_counter()
    plan = line_up(table, 20_000, LineUpConfig(), attention)
    assert time.perf_counter() - start < 15  # alone on a core it takes about 1.5
    assert plan.gap == 0
    assert plan.considered == 2000
    assert len(plan.table) == 30
    assert plan.table["category"].value_counts().max() <= 4
    assert plan.table["brand"].value_counts().max() <= 3
    assert (plan.table["expected_orders"] <= plan.table["stock"]).all()
    greedy = table.assign(value=table["margin"] * table["ctr"] * table["cvr"]).nlargest(30, "value")
    capped = greedy.groupby("category").head(4).groupby("brand").head(3)
    assert plan.expected_margin > value_of(range(len(capped)), capped, 20_000, attention)


def test_what_was_removed_was_not_needed():
    from beautyrec.selection.assignment import assign

    table = products(150, seed=5, category=[str(i % 6) for i in range(150)], brand=[str(i % 4) for i in range(150)])
    attention = np.linspace(1.0, 0.2, 12)
    demand = (table["ctr"] * table["cvr"]).to_numpy()[:, None] * 20_000 * attention
    value = table["margin"].to_numpy()[:, None] * np.minimum(demand, table["stock"].to_numpy()[:, None])
    caps = Caps.of(table, 4, 3)
    kept = np.flatnonzero(undominated(value, caps, 12))
    assert len(kept) < 120
    full, reduced = assign(value, caps, 60), assign(value[kept], caps.at(kept), 60)
    slots = np.arange(12)
    assert value[kept][reduced.product, slots].sum() == pytest.approx(value[full.product, slots].sum())


def test_the_table_of_a_line_up():
    table = products(40, category=[str(i) for i in range(40)], brand=None)
    attention = np.linspace(1.0, 0.5, 4)
    plan = line_up(table, 1000, LineUpConfig(products=4, minutes=10), attention)
    out = plan.table
    assert out.columns.tolist() == list(COLUMNS)
    assert out["slot"].tolist() == [1, 2, 3, 4]
    assert out["minute_from"].tolist() == [0, 2.5, 5, 7.5]
    assert out["minute_to"].tolist() == [2.5, 5, 7.5, 10]
    np.testing.assert_allclose(
        out["expected_clicks"], 1000 * attention * table.set_index("item_id")["ctr"][out["item_id"]]
    )
    np.testing.assert_allclose(out["expected_revenue"], out["expected_orders"] * out["price"])
    assert plan.expected_margin == pytest.approx((out["expected_orders"] * out["margin"]).sum())
    assert out["title"].tolist() == [f"product {i}" for i in out["item_id"]]


def test_stock_caps_what_a_product_is_worth():
    table = products(2, margin=[10.0, 4.0], ctr=0.5, cvr=0.5, stock=[10, 1000])
    plan = line_up(table, 400, LineUpConfig(products=1))
    assert plan.table["item_id"].tolist() == [1]  # 100 orders at 4 against 10 at 10
    assert plan.expected_margin == 400
    unlimited = line_up(table.assign(stock=np.inf), 400, LineUpConfig(products=1))
    assert (unlimited.table["item_id"].tolist(), unlimited.expected_margin) == ([0], 1000)


def test_slots_of_the_same_attention_are_in_order_of_worth():
    plan = line_up(products(300), 5000, LineUpConfig(products=8), np.array([0.5, 1.0] * 4))
    for slots in (slice(0, 8, 2), slice(1, 8, 2)):
        assert plan.table["expected_margin"].iloc[slots].is_monotonic_decreasing


def test_products_without_a_brand_or_category_are_not_one():
    table = products(6, category=["a", "a", None, "", "b", "b"], brand=["x", None, None, "x", "", "y"])
    config = LineUpConfig(products=6, minutes=6, per_category=2, per_brand=2)
    assert sorted(line_up(table, 100, config).table["item_id"]) == [0, 1, 2, 3, 4, 5]


def test_what_is_left_out_is_counted():
    table = products(12, brand=None, category=None)
    table.loc[0, "price"] = np.nan
    table.loc[[0, 1], "margin"] = np.nan
    table.loc[2, "stock"] = 0
    table.loc[3, "margin"] = -1.0
    table.loc[4, "cvr"] = np.nan
    before = table.copy()
    plan = line_up(table, 100, LineUpConfig(products=7))
    counts = {"without a price": 1, "without a margin": 1, "without a cvr": 1, "out of stock": 1, "sold at a loss": 1}
    assert plan.left_out == counts
    assert plan.considered == 7
    assert sorted(plan.table["item_id"]) == list(range(5, 12))
    pd.testing.assert_frame_equal(table, before)


def test_the_constraints_that_clash_are_named():
    table = products(60, category=["a", "b", "c"] * 20, brand=[str(i % 20) for i in range(60)])
    with pytest.raises(InfeasibleError) as caught:
        line_up(table, 100)
    message = str(caught.value)
    assert "only 12 products can be placed under 4 a category and 3 a brand; 30 wanted" in message
    assert "30 without the 4 a category, 12 without the 3 a brand" in message


@pytest.mark.parametrize(
    ("change", "says"),
    [({"stock": 0}, "40 out of stock"), ({"price": np.nan}, "40 without a price"), ({"margin": -2.0}, "at a loss")],
)
def test_nothing_to_sell_is_said(change, says):
    with pytest.raises(InfeasibleError, match=f"no candidate is left.*{says}"):
        line_up(products(40, **change), 100)


def test_no_candidates_at_all():
    with pytest.raises(InfeasibleError, match="no candidate is left"):
        line_up(products(0), 100)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"price": -1.0}, "40 candidates have a price below 0"),
        ({"stock": -1}, "40 candidates have a stock below 0"),
        ({"ctr": 1.5}, "40 candidates have a ctr below 0 or above 1"),
        ({"cvr": -0.5}, "40 candidates have a cvr"),
        ({"margin": np.inf}, "infinite margin"),
        ({"price": np.inf}, "40 candidates have a price"),
        ({"margin": "much"}, "column 'margin'"),
        ({"item_id": 7}, "39 have one that is there already"),
        ({"item_id": None}, "40 candidates have no item_id"),
    ],
)
def test_wrong_candidates_are_named(change, says):
    with pytest.raises(SchemaError, match=says):
        line_up(products(40, **change), 100)


def test_a_missing_column_is_named():
    with pytest.raises(SchemaError, match=r"\['margin', 'stock'\]"):
        line_up(products(40).drop(columns=["margin", "stock"]), 100)


@pytest.mark.parametrize(
    ("audience", "attention", "says"),
    [
        (-1, None, "audience is -1"),
        (float("nan"), None, "audience is nan"),
        (100, np.ones(29), "one value for each of 30 slots"),
        (100, np.full(30, -0.1), "30 of 30 values of attention"),
        (100, np.full(30, np.nan), "30 of 30 values of attention"),
    ],
)
def test_wrong_audience_and_attention_are_named(audience, attention, says):
    with pytest.raises(ConfigError, match=says):
        line_up(products(40), audience, attention=attention)


@pytest.mark.parametrize("change", [{"products": 0}, {"per_brand": 0}, {"per_category": -1}, {"minutes": 0}])
def test_wrong_settings_are_named(change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        LineUpConfig(**change)


def test_an_empty_room_still_has_a_line_up():
    plan = line_up(products(200), 0, LineUpConfig(products=5))
    assert (plan.expected_margin, plan.gap, len(plan.table)) == (0, 0, 5)


def test_the_same_input_gives_the_same_line_up():
    plans = [line_up(products(300), 5000).table for _ in range(2)]
    pd.testing.assert_frame_equal(*plans)


def test_csv_holds_the_table(tmp_path):
    plan = line_up(products(50, title="crème, “été”"), 1000, LineUpConfig(products=5))
    plan.to_csv(tmp_path / "line_up.csv")
    read = pd.read_csv(tmp_path / "line_up.csv", encoding="utf-8-sig", dtype={"category": str, "brand": str})
    pd.testing.assert_frame_equal(read, plan.table, check_dtype=False, rtol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["line_up.csv"]
