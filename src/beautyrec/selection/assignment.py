"""The integer programme behind a line-up: products to slots, under caps on categories and brands."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.errors import InfeasibleError, MissingExtraError
from beautyrec.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Caps:
    """How many of a category and of a brand there may be.

    Args:
        category: [N] the category of each product, from 0; -1 is none, which is never capped.
        brand: [N] likewise.
        per_category: at most so many of one category.
        per_brand: at most so many of one brand.
    """

    category: IntArray
    brand: IntArray
    per_category: int
    per_brand: int

    @classmethod
    def of(cls, rows: pd.DataFrame, per_category: int, per_brand: int) -> Caps:
        """The caps for the columns ``category`` and ``brand``; a missing or empty value is none."""
        category, brand = (rows[column].where(rows[column] != "") for column in ("category", "brand"))
        codes = [pd.factorize(names)[0].astype(np.int64) for names in (category, brand)]
        return cls(codes[0], codes[1], per_category, per_brand)

    def at(self, index: IntArray) -> Caps:
        """The caps of the products at ``index``."""
        return replace(self, category=self.category[index], brand=self.brand[index])

    def without_categories(self) -> Caps:
        """As if no product had a category."""
        return replace(self, category=np.full_like(self.category, -1))

    def without_brands(self) -> Caps:
        """As if no product had a brand."""
        return replace(self, brand=np.full_like(self.brand, -1))


@dataclass(frozen=True, eq=False)
class Solution:
    """What the solver found.

    Args:
        product: [T] the product in each slot.
        gap: how far the value can be below the best, as a share of it.
    """

    product: IntArray
    gap: float


def undominated(value: FloatArray, caps: Caps, slots: int) -> BoolArray:
    """Which products a best line-up may need; some best line-up uses these only.

    Product ``j`` dominates ``i`` if it has the same category and brand and at least the value of ``i`` in every slot
    (among equals the first dominates). A line-up holds at most ``q`` products of one category and brand, where ``q`` is
    the smaller of the two caps, or the number of slots where neither is there. If ``i`` has ``q`` dominators and is in
    a line-up, one of them is not, and can take its slot: the caps hold as before and the value is not lower. Each such
    step goes up in the order of dominance, so steps end, at a line-up without such ``i``.

    A product's value is ``min(a * u, c)`` for a slot of attention ``a``. Of two such curves one is above the other
    everywhere if it is so at the least and at the greatest attention above 0: these two values are compared.

    Args:
        value: [N, T] value of each product in each slot.
        caps: category and brand of each product.
        slots: T.

    Returns:
        [N] mask.

    Examples:
        >>> caps = Caps(np.array([0, 0, 0]), np.array([0, 0, 1]), per_category=2, per_brand=1)
        >>> undominated(np.array([[3.0, 2.0], [2.0, 1.0], [1.0, 1.0]]), caps, 2).tolist()
        [True, False, True]
    """
    shown = value[:, value.max(axis=0, initial=0.0) > 0]
    if not shown.shape[1]:
        shown = np.zeros((len(value), 1))
    low, high = shown.min(axis=1), shown.max(axis=1)
    group = pd.factorize(pd.MultiIndex.from_arrays([caps.category, caps.brand]))[0]
    most = np.minimum(
        np.where(caps.category < 0, slots, caps.per_category), np.where(caps.brand < 0, slots, caps.per_brand)
    )
    keep = np.zeros(len(value), dtype=bool)
    for members in pd.Series(group).groupby(group).indices.values():
        keep[members] = _needed(low[members], high[members], int(most[members[0]]))
    return keep


def _needed(low: FloatArray, high: FloatArray, most: int) -> BoolArray:
    """[n] which products of one category and brand have fewer than ``most`` dominators."""
    keep = np.zeros(len(low), dtype=bool)
    best: list[float] = []  # a heap: the highest values of `low` so far, `most` of them
    for i in np.lexsort((-low, -high)):  # whoever dominates i comes before i
        keep[i] = len(best) < most or best[0] < low[i]
        if len(best) < most:
            heapq.heappush(best, low[i])
        elif keep[i]:
            heapq.heapreplace(best, low[i])
    return keep


def most_products(caps: Caps) -> int:
    """How many products can be placed under the caps, whatever they are worth.

    Products are edges between their category and their brand, so the constraint matrix is that of a network flow and
    the linear programme has an integral optimum.
    """
    n = len(caps.category)
    result = _solve(np.full(n, -1.0), [(*_cap_rows(caps, 1), -np.inf)], integral=False, seconds=60.0)
    return round(-float(result.fun))


def assign(value: FloatArray, caps: Caps, seconds: float) -> Solution:
    """The assignment of products to slots with the highest value: every slot filled, no product twice, caps kept.

    Args:
        value: [N, T] value of each product in each slot.
        caps: category and brand of each product.
        seconds: when to stop at the best found so far.

    Raises:
        InfeasibleError: no assignment was found.
        MissingExtraError: ``scipy`` is not installed.

    Examples:
        >>> free = Caps(np.array([-1, -1, -1]), np.array([-1, -1, -1]), 1, 1)
        >>> assign(np.array([[3.0, 1.0], [3.0, 2.0], [1.0, 0.0]]), free, 60).product.tolist()
        [0, 1]
    """
    n, slots = value.shape
    slot_rows = (np.tile(np.arange(slots), n), np.arange(n * slots), np.ones(slots))
    product_rows = (np.repeat(np.arange(n), slots), np.arange(n * slots), np.ones(n))
    blocks = [(*slot_rows, 1.0), (*product_rows, -np.inf), (*_cap_rows(caps, slots), -np.inf)]
    result = _solve(-value.ravel(), blocks, integral=True, seconds=seconds)
    if result.x is None:
        raise InfeasibleError(f"line-up: no assignment of {n} products to {slots} slots was found: {result.message}")
    placed = result.x.reshape(n, slots) > 0.5
    return Solution(placed.argmax(axis=0), float(result.mip_gap or 0.0))


Block = tuple[IntArray, IntArray, FloatArray, float]
"""Constraints: the row and the column of each coefficient 1, the upper bound of each row, the lower bound of all."""


def _cap_rows(caps: Caps, slots: int) -> tuple[IntArray, IntArray, FloatArray]:
    """One row for each category and each brand; ``slots`` columns a product."""
    n_categories = int(caps.category.max(initial=-1)) + 1
    n_brands = int(caps.brand.max(initial=-1)) + 1
    columns = np.arange(len(caps.category) * slots)
    category, brand = np.repeat(caps.category, slots), np.repeat(caps.brand, slots)
    row = np.concatenate([category[category >= 0], brand[brand >= 0] + n_categories])
    column = np.concatenate([columns[category >= 0], columns[brand >= 0]])
    upper = [np.full(n_categories, float(caps.per_category)), np.full(n_brands, float(caps.per_brand))]
    return row, column, np.concatenate(upper)


def _solve(cost: FloatArray, blocks: list[Block], *, integral: bool, seconds: float) -> Any:
    """The result of HiGHS for variables between 0 and 1."""
    try:
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array
    except ImportError:
        raise MissingExtraError("scipy", "select") from None
    constraints = [
        LinearConstraint(
            csr_array((np.ones(len(row)), (row, column)), shape=(len(upper), len(cost))),
            np.full(len(upper), low),
            upper,
        )
        for row, column, upper, low in blocks
        if len(upper)
    ]
    options = {"mip_rel_gap": 0.0, "time_limit": seconds}
    kinds = np.full(len(cost), int(integral))
    return milp(cost, constraints=constraints, integrality=kinds, bounds=Bounds(0, 1), options=options)
