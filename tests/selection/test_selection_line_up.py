from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.errors import ConfigError, InfeasibleError, SchemaError
from beautyrec.selection.limits import Quota
from beautyrec.selection.line_up import COLUMNS, LineUpConfig, line_up
from beautyrec.selection.line_up_config import Presenter, PriceStep
from beautyrec.selection.slots import Clock
from beautyrec.selection.worth import Goal, capped_orders, kept_shares

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


def sold(demand: float, stock: float) -> float:
    """E min(Poisson(demand), stock), term by term."""
    if not np.isfinite(stock):
        return demand
    terms = [math.exp(-demand) * demand**n / math.factorial(n) for n in range(int(stock))]
    return sum(n * chance for n, chance in enumerate(terms)) + stock * (1 - sum(terms))


def value_of(order, table: pd.DataFrame, audience: float, attention: np.ndarray, substitution: float = 0.0) -> float:
    """The expected margin of the products at the places ``order`` of ``table``, one a slot."""
    worth: dict[object, list[float]] = {}
    for slot, place in enumerate(order):
        row = table.iloc[place]
        orders = sold(audience * attention[slot] * row["ctr"] * row["cvr"], min(row["stock"], 100))
        category = row["category"] if isinstance(row["category"], str) else ("alone", place)
        worth.setdefault(category, []).append(row["margin"] * orders)
    shares = kept_shares(substitution, 4)
    return sum(
        value * shares[min(rank, len(shares) - 1)]
        for values in worth.values()
        for rank, value in enumerate(sorted(values, reverse=True))
    )


def allowed(order, table: pd.DataFrame, config: LineUpConfig) -> bool:
    """Whether a line-up keeps everything, said anew."""
    chosen = table.iloc[list(order)].reset_index(drop=True)
    categories, brands = chosen["category"].dropna().value_counts(), chosen["brand"].dropna().value_counts()
    ids, minutes = chosen["item_id"].tolist(), config.minutes / len(order)
    where = chosen.groupby("category").groups.values()
    apart = all(b - a >= config.spacing for places in where for a, b in itertools.pairwise(places))
    heroes = all(chosen["hero"][int(minute // minutes)] for minute in config.hero_minutes)
    ladder = all(
        step.low <= price < step.high
        for step in config.ladder
        for slot, price in enumerate(chosen["price"])
        if step.start <= slot * minutes < step.end
    )
    quotas = all(
        quota.at_least <= (chosen[quota.column] == quota.value).sum() <= (quota.at_most or math.inf)
        for quota in config.quotas
    )
    presented = all(
        (chosen["presenter"] == name).sum() * minutes <= presenter.minutes + 1e-9
        and all(
            presenter.start <= slot * minutes and (slot + 1) * minutes <= presenter.end
            for slot in chosen.index[chosen["presenter"] == name]
        )
        for name, presenter in config.presenters.items()
    )
    return bool(
        (categories <= config.per_category).all()
        and (brands <= config.per_brand).all()
        and all(item in ids for item in config.must_have)
        and not any(one in ids and other in ids for one, other in config.never_with)
        and apart
        and heroes
        and ladder
        and quotas
        and presented
    )


rows = st.fixed_dictionaries(
    {
        "category": st.sampled_from(["balm", "serum", None]),
        "brand": st.sampled_from(["x", "y", None]),
        "margin": st.sampled_from([0.0, 1.0, 2.0, 3.5, 7.0]),
        "price": st.sampled_from([5.0, 15.0]),
        "ctr": st.sampled_from([0.0, 0.1, 0.3, 1.0]),
        "cvr": st.sampled_from([0.1, 0.5]),
        "stock": st.sampled_from([1.0, 3.0, 20.0, np.inf]),
        "hero": st.booleans(),
        "presenter": st.sampled_from(["Ana", "Bo", None]),
    }
)
asked = st.fixed_dictionaries(
    {},
    optional={
        "spacing": st.integers(2, 3),
        "hero_minutes": st.sampled_from([(0.0,), (5.0,)]),
        "ladder": st.sampled_from([(PriceStep(0, 4, high=10.0),), (PriceStep(4, 9, low=10.0),)]),
        "must_have": st.sampled_from([(0,), (0, 1)]),
        "never_with": st.just(((0, 1), (1, 2))),
        "presenters": st.sampled_from([{"Ana": Presenter(4), "Bo": Presenter(start=3)}]),
        "quotas": st.sampled_from([(Quota("brand", "x", 1, 2),), (Quota("hero", True, at_most=1),)]),
        "substitution": st.sampled_from([0.3, 1.0]),
    },
)


@settings(max_examples=80, deadline=None)
@given(
    table=st.lists(rows, min_size=3, max_size=6),
    attention=st.lists(st.sampled_from([0.0, 0.3, 0.6, 1.0]), min_size=1, max_size=3),
    per_category=st.integers(1, 2),
    per_brand=st.integers(1, 2),
    more=asked,
)
def test_no_line_up_is_better_by_trying_all(table, attention, per_category, per_brand, more):
    frame = pd.DataFrame(table).assign(item_id=lambda f: np.arange(len(f)))
    config = LineUpConfig(len(attention), 10, per_category, per_brand, gap=0, **more)
    weights = np.array(attention)
    orders = itertools.permutations(range(len(frame)), len(attention))
    kept = config.substitution
    values = [value_of(order, frame, 100.0, weights, kept) for order in orders if allowed(order, frame, config)]
    if not values:
        with pytest.raises(InfeasibleError, match=r"cannot all hold|cannot be kept"):
            line_up(frame, 100.0, config, weights)
        return
    plan = line_up(frame, 100.0, config, weights)
    assert plan.expected_margin == pytest.approx(max(values))
    assert plan.gap == pytest.approx(0, abs=1e-6)
    chosen = plan.table["item_id"].tolist()
    assert len(set(chosen)) == len(attention)
    assert allowed(chosen, frame, config)
    assert value_of(chosen, frame, 100.0, weights, kept) == pytest.approx(max(values))


def test_two_thousand_candidates_are_solved_in_seconds():
    attention = np.linspace(1.0, 0.4, 30)
    table = products(2000)
    start = time.perf_counter()
    plan = line_up(table, 20_000, LineUpConfig(gap=0), attention)
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
    assert plan.expected_margin == pytest.approx(400)
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


def test_the_constraints_that_clash_and_the_smallest_relaxation_are_named():
    table = products(60, category=["a", "b", "c"] * 20, brand=[str(i % 20) for i in range(60)])
    with pytest.raises(InfeasibleError) as caught:
        line_up(table, 100)
    message = str(caught.value)
    assert "cannot all hold: 30 products; at most 4 of a category." in message  # 3 x 4 = 12
    assert "relax 'at most 4 of a category' by 6" in message  # 3 x 10 = 30
    assert "of a brand" not in message


def test_heroes_that_are_too_few_are_named():
    table = products(60, category=None, brand=None, hero=[i < 2 for i in range(60)])
    config = LineUpConfig(products=12, minutes=12, hero_minutes=(0, 4, 8), never_with=((0, 1),))
    with pytest.raises(InfeasibleError) as caught:
        line_up(table, 100, config)
    message = str(caught.value)
    assert "cannot all hold: heroes at minutes 0, 4, 8." in message
    assert "relax 'heroes at minutes 0, 4, 8' by 2." in message  # or by 1, and the pair by 1


def test_products_that_must_be_there_and_cannot_are_named():
    table = products(40)
    table.loc[3, "stock"] = 0
    with pytest.raises(InfeasibleError, match="3 is out of stock"):
        line_up(table, 100, LineUpConfig(products=4, must_have=(3,)))
    with pytest.raises(ConfigError, match="1 products that have to be there are no candidates, for instance 77"):
        line_up(table, 100, LineUpConfig(products=4, must_have=(77,)))


def test_orders_held_to_stock_are_the_mean_of_the_smaller():
    demand, stock = np.array([0.0, 0.4, 3.0, 9.0, 2.0]), np.array([1.0, 1.0, 3.0, 2.0, np.inf])
    np.testing.assert_allclose(capped_orders(demand, stock), [sold(d, s) for d, s in zip(demand, stock, strict=True)])


def test_a_second_of_equals_adds_what_a_logit_says():
    # two equal products of attraction w each: together 2w / (1 + 2w), one alone w / (1 + w)
    w = 0.7
    together, alone = 2 * w / (1 + 2 * w), w / (1 + w)
    assert kept_shares(w / (1 + w), 2).sum() == pytest.approx(together / alone)


def test_substitutes_make_room_for_others():
    table = products(
        4, category=["a", "a", "a", "b"], brand=None, margin=[10.0, 9.0, 9.0, 4.0], ctr=0.5, cvr=0.5, stock=np.inf
    )
    config = LineUpConfig(products=2, minutes=2)
    assert 3 not in line_up(table, 10, config).table["item_id"].tolist()
    plan = line_up(table, 10, LineUpConfig(products=2, minutes=2, substitution=0.5))
    assert sorted(plan.table["item_id"]) == [0, 3]  # 4 is more than a third of 9
    table["kind"] = ["p", "q", "r", "p"]
    plan = line_up(table, 10, LineUpConfig(products=2, minutes=2, substitution=0.5, nest="kind"))
    assert 3 not in plan.table["item_id"].tolist()


def test_caution_takes_what_is_better_known():
    table = products(2, margin=5.0, ctr=0.5, cvr=[0.5, 0.45], stock=np.inf, sureness=[1.0, 400.0])
    assert line_up(table, 10, LineUpConfig(products=1)).table["item_id"].tolist() == [0]
    plan = line_up(table, 10, LineUpConfig(products=1, risk=0.5))
    assert plan.table["item_id"].tolist() == [1]
    assert plan.expected_margin == pytest.approx(10 * 0.5 * 0.45 * 5)  # the mean is what is reported


def test_what_the_goal_counts_is_what_is_chosen():
    table = products(3, margin=[9.0, 2.0, 1.0], price=[10.0, 90.0, 5.0], ctr=0.5, cvr=[0.1, 0.1, 0.4], stock=np.inf)
    for goal, best in (
        (Goal(), 0),
        (Goal(margin=0, revenue=1), 1),
        (Goal(margin=0, orders=1), 2),
        (Goal(margin=0.1, orders=10), 2),
    ):
        assert line_up(table, 10, LineUpConfig(products=1, goal=goal)).table["item_id"].tolist() == [best]
    plan = line_up(table, 10, LineUpConfig(products=1, goal=Goal(commission=0.5, traffic_cost=2.0)))
    assert plan.left_out == {"sold at a loss": 2}
    assert plan.expected_margin == pytest.approx(10 * 0.05 * 4)
    assert plan.roi == pytest.approx(plan.expected_margin / 2)


GOALS = {
    "margin": (Goal(), lambda row: row["margin"]),
    "GMV": (Goal(margin=0, revenue=1), lambda row: row["price"]),
    "orders": (Goal(margin=0, orders=1), lambda row: 1.0),
    "ROI": (Goal(commission=0.2, traffic_cost=30.0), lambda row: row["margin"] - 0.2 * row["price"]),
}


@pytest.mark.parametrize("name", GOALS)
def test_each_goal_finds_the_best_of_all_line_ups_by_that_goal(name):
    """Two slots, six products, every order of them tried; a product that brings a loss is not taken."""
    table = products(6, seed=4, margin=[9.0, 8.0, 2.5, 4.0, 1.0, 3.0], price=[42.0, 20.0, 90.0, 6.0, 4.0, 12.0])
    table = table.assign(ctr=0.2, cvr=[0.1, 0.1, 0.09, 0.15, 0.4, 0.2], stock=[30, 3, 30, 30, 30, 30])
    table = table.assign(category=[str(n) for n in range(6)], brand=None)
    goal, worth = GOALS[name]
    attention = np.array([1.0, 0.6])

    def value(order):
        rows = [table.iloc[at] for at in order]
        return sum(
            worth(r) * sold(200 * a * r["ctr"] * r["cvr"], r["stock"]) for r, a in zip(rows, attention, strict=True)
        )

    can = [at for at in range(6) if table["margin"][at] - goal.commission * table["price"][at] >= 0]
    best = max(itertools.permutations(can, 2), key=value)
    plan = line_up(table, 200, LineUpConfig(products=2, goal=goal, gap=0.0), attention)
    assert plan.table["item_id"].tolist() == list(best)
    if name == "ROI":
        assert plan.roi == pytest.approx(value(best) / 30.0)


def test_no_two_goals_choose_alike():
    table = products(6, seed=4, margin=[9.0, 8.0, 2.5, 4.0, 1.0, 3.0], price=[42.0, 20.0, 90.0, 6.0, 4.0, 12.0])
    table = table.assign(ctr=0.2, cvr=[0.1, 0.1, 0.09, 0.15, 0.4, 0.2], stock=[30, 3, 30, 30, 30, 30])
    attention = np.array([1.0, 0.6])
    chosen = {
        name: tuple(line_up(table, 200, LineUpConfig(products=2, goal=goal), attention).table["item_id"])
        for name, (goal, _) in GOALS.items()
    }
    assert len(set(chosen.values())) == len(GOALS), chosen


def test_what_is_pinned_stays_and_the_rest_goes_round_it():
    table, clock = products(200), Clock.even(12, 24)
    free = line_up(table, 5000, LineUpConfig(products=12, minutes=24, spacing=3), clock=clock)
    first = free.table["item_id"].tolist()
    bad = next(i for i in table["item_id"] if i not in first)
    plan = line_up(table, 5000, LineUpConfig(products=12, spacing=3), clock=clock, pinned={0: bad, 1: first[0]})
    assert plan.table["item_id"].tolist()[:2] == [bad, first[0]]
    assert plan.table["item_id"].is_unique


def test_rooms_drawn_from_a_line_up_have_its_mean():
    table = products(60, stock=np.inf, sureness=3.0)
    plan = line_up(table, 20_000, LineUpConfig(products=10), np.linspace(1, 0.5, 10))
    drawn = plan.margins(np.random.default_rng(0), 4000)
    assert drawn.mean() == pytest.approx(plan.expected_margin, rel=0.03)
    sure = line_up(table.drop(columns="sureness"), 20_000, LineUpConfig(products=10), np.linspace(1, 0.5, 10))
    assert sure.margins(np.random.default_rng(0), 4000).std() < drawn.std() / 1.5


def test_mixed_currencies_are_named():
    with pytest.raises(SchemaError, match=r"2 currencies: USD \(30\), EUR \(10\)"):
        line_up(products(40, currency=["USD"] * 30 + ["EUR"] * 10), 100)


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
