"""Why a room or a week is under its target: which stage of the funnel, which segment, which products, which constraint.

The gap is ``actual - target``, below 0 where something is missing. It is parted in four ways, the parts of each sum to it:

- **stages**: traffic, CTR, CVR, price and, where margins are given, margin, by Shapley values of each row
  (:mod:`beautyrec.evaluation.sales_deviation`);
- **segments** (of each column that is named) and **products**: sums over rows;
- **constraints**: how much less rows sell on which one bears, all others alike. Amounts are regressed on the constraints
  with the target as offset (quasi-Poisson, the usual estimator of multiplicative effects: Santos Silva and Tenreyro 2006,
  "The Log of Gravity"), and each row's effects are parted by Shapley values. What no constraint explains is ``other``.

That rows with a constraint sell less is not yet that they do so because of it: where worse products are those that
run out of stock, the two cannot be told apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.sales_deviation import FACTORS, SalesFactors, shapley_of_product
from beautyrec.types import BoolArray, FloatArray

OTHER: Final = "other"
COUNTS: Final = ("impressions", "clicks", "orders", "sales")
_STEPS, _RIDGE = 50, 1e-3


@dataclass(frozen=True)
class Thresholds:
    """When a constraint bears on a row; each is looked at where its columns are there.

    Args:
        margin: ``low_margin``: margin over sales below this share of the target's.
        discount: ``weak_discount``: ``discount`` below ``target_discount`` by more than this.
        interaction: ``little_interaction``: ``interactions`` below this share of ``target_interactions``.
    """

    margin: float = 0.9
    discount: float = 0.02
    interaction: float = 0.8

    def flags(self, rows: pd.DataFrame) -> dict[str, BoolArray]:
        """Name to [n] whether the constraint bears. ``stock_out``: below target, and no unit of ``stock`` is left."""
        found: dict[str, pd.Series] = {}
        if "stock" in rows:
            found["stock_out"] = (rows["orders"] >= rows["stock"]) & (rows["orders"] < rows["target_orders"])
        if {"discount", "target_discount"} <= set(rows):
            found["weak_discount"] = rows["discount"] < rows["target_discount"] - self.discount
        if {"interactions", "target_interactions"} <= set(rows):
            found["little_interaction"] = rows["interactions"] < self.interaction * rows["target_interactions"]
        if {"margin", "target_margin"} <= set(rows):
            wanted = self.margin * rows["target_margin"] * rows["sales"]
            found["low_margin"] = (rows["sales"] > 0) & (rows["margin"] * rows["target_sales"] < wanted)
        return {name: np.asarray(flag, dtype=np.bool_) for name, flag in found.items()}


def diagnose(
    rows: pd.DataFrame, *, segments: Sequence[str] = (), product: str = "item_id", thresholds: Thresholds | None = None
) -> pd.DataFrame:
    """What explains the gap between what was sold and what was wanted, ranked.

    Args:
        rows: one row a product in a room: ``impressions, clicks, orders, sales``, the same with ``target_`` in front, the
            product and the segments; where they are there, ``margin`` and ``target_margin`` (money; the gap is then that of
            the margin), ``stock``, ``discount`` and ``target_discount``, ``interactions`` and ``target_interactions``.
        segments: columns, such as ``scene`` or ``category``.
        product: the column of the product.
        thresholds: when a constraint bears.

    Returns:
        One row a part: ``kind`` (``stage``, ``product``, ``constraint`` or the name of a segment), ``name``, ``gap`` (money,
        below 0 is missing) and ``share`` of the whole gap. Within a kind, what pushes most in the gap's direction comes first,
        and the parts sum to the gap.

    Raises:
        EvaluationError: a column is missing, there are no rows, amounts are negative or endless, or there is no gap.

    Examples:
        >>> rows = pd.DataFrame({"item_id": ["a", "b"], "impressions": [100, 100], "clicks": [10, 10], "orders": [2, 5],
        ...     "sales": [20.0, 50.0], "target_impressions": 100, "target_clicks": 10, "target_orders": 5, "target_sales": 50.0})
        >>> diagnose(rows).groupby("kind", sort=False).head(1)[["kind", "name", "gap", "share"]].values.tolist()
        [['stage', 'cvr', -30.0, 1.0], ['product', 'a', -30.0, 1.0]]
    """
    _check(rows, segments, product)
    money = {"margin", "target_margin"} <= set(rows)
    actual, target = _factors(rows, "", money=money), _factors(rows, "target_", money=money)
    parts = shapley_of_product(actual, target)
    gap = parts.sum(axis=1)
    whole = float(gap.sum())
    if abs(whole) < 1e-9:
        raise EvaluationError(f"diagnosis: {len(rows)} rows are on target together; there is no gap to explain.")
    names = [*FACTORS, "margin"][: parts.shape[1]]
    tables = {"stage": pd.Series(parts.sum(axis=0), index=names)}
    for column in (*segments, product):
        tables["product" if column == product else column] = pd.Series(gap).groupby(rows[column].to_numpy()).sum()
    flags = (thresholds or Thresholds()).flags(rows)
    if flags:
        tables["constraint"] = _constraints(flags, gap, _value(target))
    found = [_ranked(kind, table, whole) for kind, table in tables.items()]
    return pd.concat(found, ignore_index=True)


def _check(rows: pd.DataFrame, segments: Sequence[str], product: str) -> None:
    wanted = [*COUNTS, *(f"target_{name}" for name in COUNTS), *segments, product]
    missing = [name for name in wanted if name not in rows]
    if missing or rows.empty:
        raise EvaluationError(f"diagnosis: {len(rows)} rows, columns {missing} are missing; add them.")
    unnamed = {name: int(rows[name].isna().sum()) for name in (*segments, product) if rows[name].isna().any()}
    if unnamed:
        raise EvaluationError(f"diagnosis: rows without a value: {unnamed}. Name them, or leave them out.")


def _factors(rows: pd.DataFrame, before: str, *, money: bool) -> FloatArray:
    """[factors, n] traffic, CTR, CVR, price and, of margins, margin over sales; NaN for a rate of nothing."""
    factors = SalesFactors.of_counts(*(rows[before + name] for name in COUNTS))
    stack = [np.asarray(getattr(factors, name), dtype=np.float64) for name in FACTORS]
    if money:
        margin, sales = (rows[before + name].to_numpy(np.float64) for name in ("margin", "sales"))
        if not np.isfinite(margin).all() or ((margin != 0) & (sales == 0)).any():
            raise EvaluationError(f"diagnosis: '{before}margin' is not finite, or there is a margin without sales.")
        stack.append(np.divide(margin, sales, out=np.full(len(rows), np.nan), where=sales > 0))
    return np.stack(stack)


def _value(factors: FloatArray) -> FloatArray:
    return np.asarray(np.nan_to_num(factors).prod(axis=0))


def _constraints(flags: dict[str, BoolArray], gap: FloatArray, target: FloatArray) -> pd.Series:
    """What each constraint takes from the rows on which it bears, and the rest."""
    used = {name: flag for name, flag in flags.items() if flag.any() and not flag.all()}
    bears = np.column_stack([np.ones(len(gap)), *used.values()]).astype(np.float64)
    some = target > 0
    effect = np.exp(_effects(bears[some], (gap + target)[some], target[some]))
    alone = np.where(bears[:, 1:] == 1, effect[1:], 1.0).T  # [constraints, n]
    base = np.where(some, effect[0] * target, 0.0)
    taken = shapley_of_product(np.vstack([alone, base]), np.vstack([np.ones_like(alone), base]))[:, :-1].sum(axis=0)
    table = pd.Series(0.0, index=[*flags, OTHER])
    table[list(used)] = taken
    table[OTHER] = float(gap.sum() - taken.sum())
    return table


def _effects(x: FloatArray, amount: FloatArray, offset: FloatArray) -> FloatArray:
    """[1 + constraints] logs of the multiplicative effects, by Newton's method; at most a factor of e^5."""
    scale = max(float(offset.mean()), 1e-300)
    y, mean = np.maximum(amount, 0.0) / scale, offset / scale
    penalty = _RIDGE * np.eye(x.shape[1])
    beta = np.zeros(x.shape[1])
    beta[0] = np.log(max(y.sum(), 1e-6) / mean.sum())
    for _ in range(_STEPS):
        fitted = mean * np.exp(np.clip(x @ beta, -20, 20))
        step = np.linalg.solve((x * fitted[:, None]).T @ x + penalty, x.T @ (y - fitted) - penalty @ beta)
        beta = np.clip(beta + np.clip(step, -1, 1), -5, 5)
        if np.abs(step).max() < 1e-9:
            break
    return beta


def _ranked(kind: str, table: pd.Series, whole: float) -> pd.DataFrame:
    share = table / whole
    order = np.argsort(-share.to_numpy(), kind="stable")
    frame = pd.DataFrame({"kind": kind, "name": table.index, "gap": table.to_numpy(), "share": share.to_numpy()})
    return frame.iloc[order]
