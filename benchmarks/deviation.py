"""By how much do the selection's predicted sales miss the true ones, at week and category level?

A simulated month of rooms. On the eve of each day of its last three weeks every room of that day is predicted from what was known
then: viewers from rooms of the scene and hour before, what they will be shown from the shop's own policy over the shelf that is
planned, chances of click and order from a funnel model fitted at the beginning of the week, drawn to what its categories did
before, and prices as planned. Sales are then added up over weeks and categories.

*True* sales are those that the world expects of the slates that were shown; *drawn* ones are the log's. Between the two lies
chance alone, which no prediction escapes: the floor. The *legacy scorecard* says of a product how good it is, not what it sells;
so a product in a room is predicted to sell what those of its tenth of the scorecard (heat, margin and feedback alike, as known
when the week began) sold in rooms before. What is set was looked at on worlds of seeds from 100 on.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from beautyrec.data import schema
from beautyrec.evaluation.sales_deviation import SalesFactors, sales_deviation, weighted_absolute_percentage_error
from benchmarks import _harness
from benchmarks._deviation_weeks import legacy_week, outcomes, predicted_week, shelf_rows, shop_of

FULL, QUICK = (6_000.0, 1000, 30), (700.0, 300, 10)
VIEWERS, SLATES = 3, 300
WEEKS = 3
MISS, QUICK_MISS = 0.10, 0.6


def measure(seed: int, quick: bool) -> tuple[list[_harness.Check], dict[str, Any]]:
    with threadpool_limits(1):
        shop = shop_of(seed, *(QUICK if quick else FULL))
        plan, got = shelf_rows(shop), outcomes(shop)
        rows = (
            plan[[schema.ROOM_ID, schema.ITEM_ID]]
            .merge(got, on=[schema.ROOM_ID, schema.ITEM_ID], how="left")
            .fillna(0.0)
        )
        viewers = rows["impressions"].groupby(rows[schema.ROOM_ID]).sum() / shop.world.config.slate_size
        weeks = [predicted_week(shop, plan, week, viewers, (VIEWERS, SLATES), seed) for week in range(WEEKS)]
        legacy = [legacy_week(shop, plan, rows["orders"] * plan[schema.PRICE], week) for week in range(WEEKS)]
    table = by_cell(pd.concat(weeks), plan.assign(**rows), pd.concat(legacy))
    return report(table, quick)


def by_cell(predicted: pd.DataFrame, actual: pd.DataFrame, legacy: pd.DataFrame) -> pd.DataFrame:
    """One row a week and category: everything predicted and everything that came of it."""
    price = actual[schema.PRICE]
    actual = actual.assign(sales=actual["orders"] * price, true_sales=actual["true_orders"] * price)
    actual = actual[actual["week"].between(0, WEEKS - 1)]
    predicted = predicted.assign(sales=predicted["orders"] * predicted[schema.PRICE])
    names = ["impressions", "clicks", "orders", "sales"]
    cells = ["week", schema.CATEGORY]
    sums = actual.groupby(cells)[[*names, "true_clicks", "true_orders", "true_sales"]].sum()
    sums = sums.join(predicted.groupby(cells)[names].sum().add_prefix("predicted_"))
    return sums.join(legacy.groupby(cells)["sales"].sum().rename("legacy_sales"))


def report(table: pd.DataFrame, quick: bool) -> tuple[list[_harness.Check], dict[str, Any]]:
    """The checks, and what stands beside them."""
    miss = weighted_absolute_percentage_error
    bound = QUICK_MISS if quick else MISS
    shares = "of sales, weeks x categories"
    checks = [
        _harness.at_most(
            "predicted sales miss the true ones", miss(table["predicted_sales"], table["true_sales"]), shares, bound
        ),
        _harness.at_most(
            "miss over that of the legacy scorecard",
            miss(table["predicted_sales"], table["true_sales"]) / miss(table["legacy_sales"], table["true_sales"]),
            "ratio",
            1.5 if quick else 1.0,
        ),
    ]
    if not quick:
        sold = miss(table["predicted_sales"], table["sales"])
        checks.append(_harness.at_most("predicted sales miss those drawn", sold, shares, bound))
    predicted = SalesFactors.of_counts(*(table[f"predicted_{n}"] for n in ("impressions", "clicks", "orders", "sales")))
    true = SalesFactors.of_counts(*(table[n] for n in ("impressions", "true_clicks", "true_orders", "true_sales")))
    weeks = table.groupby("week")
    notes = {
        "cells": len(table),
        "orders": int(table["orders"].sum()),
        "legacy_scorecard_misses_true": round(miss(table["legacy_sales"], table["true_sales"]), 4),
        "legacy_scorecard_misses_drawn": round(miss(table["legacy_sales"], table["sales"]), 4),
        "floor_true_misses_drawn": round(miss(table["true_sales"], table["sales"]), 4),
        "predicted_misses_drawn": round(miss(table["predicted_sales"], table["sales"]), 4),
        "of_whole_weeks": round(miss(weeks["predicted_sales"].sum(), weeks["true_sales"].sum()), 4),
        "by_stage": sales_deviation(predicted, true)[["deviation", "bias"]].round(4).to_dict("index"),
        "by_week": {
            int(str(week)): round(miss(part["predicted_sales"], part["true_sales"]), 4) for week, part in weeks
        },
    }
    return checks, notes


if __name__ == "__main__":
    _harness.main("deviation", measure)
