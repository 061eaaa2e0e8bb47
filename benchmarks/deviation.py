"""By how much do the selection's predicted sales miss the true ones, at week and category level?

Simulated months of rooms. On the eve of each day of their last three weeks every room of that day is predicted from what was
known then: viewers from rooms of the scene and hour before, what they will be shown from the shop's own policy over the shelf
that is planned, prices as planned, chances of click and order from a funnel model fitted at the beginning of the week that
knows nothing of the product's own clicks and orders in rooms, times the levels of categories and products: what they did so far
over what the model said of them (`beautyrec.selection.levels`). Sales are then added up over weeks and categories.

*True* sales are those that the world expects of the slates that were shown; *drawn* ones are the log's. Between the two lies
chance alone, which no prediction escapes: the floor. The *legacy scorecard* says of a product how good it is, not what it sells;
so a product in a room is predicted to sell what those of its tenth of the scorecard (heat, margin and feedback alike, as known
when the week began) sold in rooms before.

The kept result is of five worlds, seeds 11 to 15, with intervals over worlds; none of them was looked at before. What is set was
chosen on seeds 200 and 201. An earlier form, whose figures stood here before, was chosen on seeds from 100 on and read on seed 0.
``python -m benchmarks._deviation_sizes`` says how the miss falls with the size of the shop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student
from threadpoolctl import threadpool_limits

from beautyrec.data import schema
from beautyrec.evaluation.sales_deviation import SalesFactors, sales_deviation, weighted_absolute_percentage_error
from benchmarks import _harness
from benchmarks._deviation_weeks import WEEKS, Size, Weeks

SIZE, QUICK_SIZE = Size(6_000.0, 1000, 30), Size(700.0, 300, 10)
FIRST_SEED, WORLDS = 11, 5
MISS, QUICK_MISS = 0.10, 0.6
NAMES = ("impressions", "clicks", "orders", "sales")


def measure(seed: int, quick: bool) -> tuple[list[_harness.Check], dict[str, Any]]:
    seeds = [seed] if quick else [seed + FIRST_SEED + number for number in range(WORLDS)]
    worlds = []
    for number, each in enumerate(seeds):
        with threadpool_limits(1):
            worlds.append(told(cells(Weeks.of(each, QUICK_SIZE if quick else SIZE))))
        _harness.progress(number + 1, len(seeds))
    return checks_of(pd.DataFrame(worlds), quick), notes_of(pd.DataFrame(worlds, index=seeds))


def cells(weeks: Weeks, copies: int = 1) -> pd.DataFrame:
    """One row a week and category: everything predicted and everything that came of it; see :meth:`Weeks.predicted`."""
    plan = weeks.shelf.join(weeks.outcomes.drop(columns=[schema.ROOM_ID, schema.ITEM_ID]))
    price = plan[schema.PRICE]
    plan = plan.assign(sales=plan["orders"] * price, true_sales=plan["true_orders"] * price)
    plan = plan[plan["week"].between(0, WEEKS - 1)]
    predicted = pd.concat([weeks.predicted(week, copies) for week in range(WEEKS)])
    predicted = predicted.assign(sales=predicted["orders"] * predicted[schema.PRICE])
    legacy = pd.concat([weeks.legacy(week) for week in range(WEEKS)])
    by = ["week", schema.CATEGORY]
    sums = plan.groupby(by)[[*NAMES, "true_clicks", "true_orders", "true_sales"]].sum()
    sums = sums.join(predicted.groupby(by)[list(NAMES)].sum().add_prefix("predicted_"))
    return sums.join(legacy.groupby(by)["sales"].sum().rename("legacy_sales"))


def told(table: pd.DataFrame) -> dict[str, float]:
    """What one world says."""
    miss = weighted_absolute_percentage_error
    factors = SalesFactors.of_counts(*(table[f"predicted_{name}"] for name in NAMES))
    true = SalesFactors.of_counts(
        *(table[name] for name in ("impressions", "true_clicks", "true_orders", "true_sales"))
    )
    stages = sales_deviation(factors, true)
    weeks = table.groupby("week")
    to_level = weeks["true_sales"].transform("sum") / weeks["predicted_sales"].transform("sum")
    return {
        "predicted_misses_true": miss(table["predicted_sales"], table["true_sales"]),
        "at_the_true_level_of_each_week": miss(table["predicted_sales"] * to_level, table["true_sales"]),
        "of_whole_weeks": miss(weeks["predicted_sales"].sum(), weeks["true_sales"].sum()),
        "predicted_misses_drawn": miss(table["predicted_sales"], table["sales"]),
        "legacy_scorecard_misses_true": miss(table["legacy_sales"], table["true_sales"]),
        "legacy_scorecard_misses_drawn": miss(table["legacy_sales"], table["sales"]),
        "floor_true_misses_drawn": miss(table["true_sales"], table["sales"]),
        **{f"part_of_{stage}": float(value) for stage, value in stages["deviation"].drop("total").items()},
        **{f"bias_of_{stage}": float(value) for stage, value in stages["bias"].items()},
        "cells": float(len(table)),
        "orders": float(table["orders"].sum()),
    }


def checks_of(worlds: pd.DataFrame, quick: bool) -> list[_harness.Check]:
    true, legacy = worlds["predicted_misses_true"], worlds["legacy_scorecard_misses_true"]
    bound, shares = (QUICK_MISS if quick else MISS), f"of sales, weeks x categories{interval(true)}"
    checks = [
        _harness.at_most("predicted sales miss the true ones", true.mean(), shares, bound),
        _harness.at_most(
            "miss over that of the legacy scorecard", true.mean() / legacy.mean(), "ratio", 1.5 if quick else 1.0
        ),
    ]
    if not quick:
        drawn = worlds["predicted_misses_drawn"]
        shares = f"of sales, weeks x categories{interval(drawn)}"
        checks.append(_harness.at_most("predicted sales miss those drawn", drawn.mean(), shares, bound))
    return checks


def interval(values: pd.Series[float]) -> str:
    """The 95 % interval of the mean over worlds, in words; none of one world."""
    if len(values) < 2:
        return ""
    half = float(student.ppf(0.975, len(values) - 1)) * float(values.std(ddof=1)) / np.sqrt(len(values))
    return f", 95 % interval {values.mean() - half:.3f} to {values.mean() + half:.3f}"


def notes_of(worlds: pd.DataFrame) -> dict[str, Any]:
    return {
        "seeds": [int(seed) for seed in worlds.index],
        "means": worlds.mean().round(4).to_dict(),
        "by_world": {str(seed): round(value, 4) for seed, value in worlds["predicted_misses_true"].items()},
    }


if __name__ == "__main__":
    _harness.main("deviation", measure)
