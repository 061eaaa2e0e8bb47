from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.diagnosis import diagnose

ROOMS, PRODUCTS = 20, 30


def week(seed: int, cause: str) -> pd.DataFrame:
    """Rooms that meet their targets but for chance and one planted cause."""
    rng = np.random.default_rng(seed)
    n = ROOMS * PRODUCTS
    room, item = np.repeat(np.arange(ROOMS), PRODUCTS), np.tile(np.arange(PRODUCTS), ROOMS)
    traffic = rng.integers(2000, 4000, n).astype(float)
    ctr, cvr, price = rng.uniform(0.03, 0.06, n), rng.uniform(0.1, 0.3, n), rng.uniform(5, 30, PRODUCTS)[item]
    rows = pd.DataFrame({"room": room, "item_id": item, "scene": np.array(["chat", "sale", "new", "day"])[room % 4]})
    rows["target_impressions"], rows["target_clicks"] = traffic, traffic * ctr
    rows["target_orders"] = traffic * ctr * cvr
    rows["target_sales"] = rows["target_orders"] * price
    rows["target_margin"] = 0.4 * rows["target_sales"]
    rows["target_discount"], rows["target_interactions"], rows["stock"] = 0.2, 10.0, 1000.0
    hit = rng.random(n) < 0.3
    rows["discount"] = np.where((cause == "weak_discount") & hit, 0.1, 0.2)
    rows["interactions"] = np.where((cause == "little_interaction") & (room < 7), 4.0, 10.0)
    size = {
        "traffic": traffic * (0.7 if cause == "traffic" else 1.0),
        "ctr": ctr * (0.7 if cause == "ctr" else 1.0),
        "cvr": cvr * (0.7 if cause == "cvr" else 1.0),
    }
    size["cvr"] = size["cvr"] * np.where((cause == "scene") & (rows["scene"] == "sale"), 0.5, 1.0)
    size["cvr"] = size["cvr"] * np.where((cause == "product") & (item == 7), 0.05, 1.0)
    size["cvr"] = size["cvr"] * np.where(rows["discount"] < 0.2, 0.5, 1.0)
    size["ctr"] = size["ctr"] * np.where(rows["interactions"] < 10, 0.5, 1.0)
    rows["impressions"] = rng.poisson(size["traffic"]).astype(float)
    rows["clicks"] = rng.binomial(rows["impressions"].astype(int), size["ctr"]).astype(float)
    rows["orders"] = rng.binomial(rows["clicks"].astype(int), size["cvr"]).astype(float)
    if cause == "stock_out":
        rows["stock"] = np.where(hit, 5.0, 1000.0)
        rows["orders"] = np.minimum(rows["orders"], rows["stock"])
    rows["sales"] = rows["orders"] * price * (0.7 if cause == "price" else 1.0)
    rows["margin"] = rows["sales"] * np.where((cause == "low_margin") & hit, 0.1, 0.4)
    return rows


STAGES = ("traffic", "ctr", "cvr", "price")
CONSTRAINTS = ("stock_out", "weak_discount", "little_interaction", "low_margin")


def first(table: pd.DataFrame, kind: str) -> object:
    return table[table["kind"] == kind]["name"].iloc[0]


@pytest.mark.parametrize("cause", [*STAGES, "scene", "product", *CONSTRAINTS])
def test_a_planted_cause_ranks_first(cause: str) -> None:
    for seed in range(10):
        table = diagnose(week(seed, cause), segments=["scene"])
        if cause in STAGES:
            assert first(table, "stage") == cause
        elif cause == "scene":
            assert first(table, "scene") == "sale"
            assert first(table, "stage") == "cvr"
        elif cause == "product":
            assert first(table, "product") == 7
        else:
            top = table[table["kind"] == "constraint"].iloc[0]
            assert top["name"] == cause
            assert top["share"] > 0.7


@pytest.mark.parametrize("cause", [*STAGES, "scene", "product", *CONSTRAINTS])
def test_shares_of_every_kind_add_up_to_the_gap(cause: str) -> None:
    rows = week(3, cause)
    table = diagnose(rows, segments=["scene", "room"])
    gap = float(rows["margin"].sum() - rows["target_margin"].sum())
    sums = table.groupby("kind")[["gap", "share"]].sum()
    assert set(sums.index) == {"stage", "scene", "room", "product", "constraint"}
    np.testing.assert_allclose(sums["gap"], gap)
    np.testing.assert_allclose(sums["share"], 1.0)


def test_two_constraints_are_told_apart_by_rows_that_have_one() -> None:
    rows = week(1, "")
    rng = np.random.default_rng(2)
    weak, quiet = rng.random(len(rows)) < 0.4, rng.random(len(rows)) < 0.4
    rows["discount"], rows["interactions"] = np.where(weak, 0.1, 0.2), np.where(quiet, 4.0, 10.0)
    for name in ("impressions", "clicks", "orders", "sales", "margin"):
        rows[name] = rows["target_" + name] * np.where(weak, 0.5, 1.0) * np.where(quiet, 0.9, 1.0)
    table = diagnose(rows).query("kind == 'constraint'").set_index("name")
    t = rows["target_margin"]
    # Shapley of two factors by hand
    lost_weak = (t * np.where(weak, -0.5, 0) * (1 + np.where(quiet, 0.9, 1)) / 2).sum()
    lost_quiet = (t * np.where(quiet, -0.1, 0) * (1 + np.where(weak, 0.5, 1)) / 2).sum()
    assert table.loc["weak_discount", "gap"] == pytest.approx(lost_weak, rel=0.01)
    assert table.loc["little_interaction", "gap"] == pytest.approx(lost_quiet, rel=0.02)
    assert abs(table.loc["other", "share"]) < 0.01


def test_without_margins_the_gap_is_of_sales() -> None:
    rows = week(0, "price").drop(columns=["margin", "target_margin"])
    table = diagnose(rows)
    assert set(table.query("kind == 'stage'")["name"]) == set(STAGES)
    assert table.query("kind == 'product'")["gap"].sum() == pytest.approx((rows["sales"] - rows["target_sales"]).sum())


def test_what_cannot_be_diagnosed_is_named() -> None:
    rows = week(0, "ctr")
    with pytest.raises(EvaluationError, match=r"\['target_sales'\] are missing"):
        diagnose(rows.drop(columns="target_sales"))
    with pytest.raises(EvaluationError, match=r"rows without a value: \{'scene': 1\}"):
        diagnose(rows.assign(scene=rows["scene"].where(rows.index != 4)), segments=["scene"])
    same = rows.assign(
        **{name: rows["target_" + name] for name in ("impressions", "clicks", "orders", "sales", "margin")}
    )
    with pytest.raises(EvaluationError, match="on target together"):
        diagnose(same)
    with pytest.raises(EvaluationError, match="margin without sales"):
        diagnose(rows.assign(sales=0.0, orders=0.0))
