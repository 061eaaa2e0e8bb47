"""The best products for kinds of slots in whole numbers, and how far from the best they can be.

What the linear relaxation (:mod:`beautyrec.selection.relaxation`) leaves to decide is small: with a line-up of value L at
hand, a variable whose reduced value is below L - bound is in no better one, so those are left out, and nothing is lost.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from beautyrec.selection.limits import mixed_integer
from beautyrec.selection.placing import windows_of
from beautyrec.selection.relaxation import Columns, Problem, columns_of, rank_rows, reduced, relax
from beautyrec.types import BoolArray, IntArray

_FIRST = 150
_WIDTHS = (2e-4, 1e-3, 3e-3)
"""How much worse than free a variable may be to be looked at first, as shares of the bound."""
_SMALL = 4000
"""So many variables are decided all at once, without leaving any out."""


@dataclass(frozen=True, eq=False)
class Choice:
    """Products in kinds of slots.

    Args:
        product: [T].
        kind: [T].
        value: of all.
        bound: no choice is worth more.
    """

    product: IntArray
    kind: IntArray
    value: float
    bound: float


def choose(problem: Problem, gap: float, seconds: float) -> Choice | None:
    """The best choice, to within ``gap`` of the bound that comes with it; None where there is none.

    Args:
        problem: what to choose.
        gap: relative; 0 is proven best.
        seconds: when to stop at the best found so far.
    """
    start = time.monotonic()
    prices = relax(problem, _first(problem))
    if prices.short > 1e-6:
        return None
    left, everything = reduced(problem, prices), np.isfinite(problem.value)
    best: Choice | None = None
    small = everything.sum() * len(problem.kept) <= _SMALL
    for width in () if small else _WIDTHS:
        near = everything & (left >= -width * abs(prices.bound))
        remaining = seconds - (time.monotonic() - start)
        found = whole(problem, near, gap / 2, remaining / 3)
        if found is not None and (best is None or found.value > best.value):
            best = replace(found, bound=max(prices.bound, found.value))
            if best.bound - best.value <= gap * abs(best.bound):
                return best
    rest = everything if best is None else everything & (left >= -(best.bound - best.value) * (1 + 1e-6))
    found = whole(problem, rest, gap / 2, seconds - (time.monotonic() - start))
    if found is None:
        return best
    if best is not None and best.value > found.value:
        found = replace(best, bound=found.bound)
    return replace(found, bound=max(min(prices.bound, found.bound), found.value))


def _first(problem: Problem) -> IntArray:
    """Products to begin with: the best in any kind of slot, and the best few of each row that asks for some."""
    top = np.where(np.isfinite(problem.value), problem.value, -np.inf).max(axis=1, initial=-np.inf)
    chosen = [np.argsort(-top, kind="stable")[:_FIRST]]
    order = np.argsort(-problem.value, axis=0, kind="stable")
    chosen += [order[: 2 * int(size) + 5, kind] for kind, size in enumerate(problem.size)]
    for limit in problem.limits:
        for row in np.flatnonzero(limit.low > 0):
            members = limit.product[limit.row == row]
            chosen.append(members[np.argsort(-top[members], kind="stable")][: 2 * int(limit.low[row]) + 5])
    found = np.unique(np.concatenate(chosen))
    return np.asarray(found[np.isfinite(top[found])])


def whole(
    problem: Problem, allowed: BoolArray, gap: float, seconds: float, windows: tuple[IntArray, int] | None = None
) -> Choice | None:
    """The best choice among the variables of ``allowed`` [N, C], in whole numbers; its bound is for these alone.

    Args:
        problem: what to choose.
        allowed: which product may be in which kind of slot.
        gap: relative, when to stop.
        seconds: likewise.
        windows: [N] codes of products that keep a distance and that distance, where the kinds are single slots in order.
    """
    from scipy.sparse import csr_array, vstack

    products = np.flatnonzero(allowed.any(axis=1))
    columns = columns_of(problem, products)
    keep = allowed[columns.product, columns.kind]
    columns = Columns(columns.product[keep], columns.kind[keep], columns.rank[keep], columns.value[keep])
    n = len(columns.product)
    if not n:
        return None
    each, place = np.arange(n), np.searchsorted(products, columns.product)
    rows = [
        csr_array((np.ones(n), (columns.kind, each)), shape=(len(problem.size), n)),
        csr_array((np.ones(n), (place, each)), shape=(len(products), n)),
    ]
    size = problem.size.astype(np.float64)
    low, high = [size, np.zeros(len(products))], [size, np.ones(len(products))]
    ranks, rank_keys = rank_rows(problem, columns)
    more = [(ranks, np.zeros(len(rank_keys)), np.ones(len(rank_keys)))]
    total = len(problem.value)
    more += [(limit.matrix(total).tocsc()[:, columns.product], limit.low, limit.high) for limit in problem.limits]
    if windows is not None:
        apart = _window_rows(columns, *windows, slots=len(problem.size))
        more.append((apart, np.zeros(apart.shape[0]), np.ones(apart.shape[0])))
    matrix = vstack([*rows, *(block for block, _, _ in more)], format="csr")
    low += [bound for _, bound, _ in more]
    high += [bound for _, _, bound in more]
    result = mixed_integer(-columns.value, matrix, np.concatenate(low), np.concatenate(high), gap=gap, seconds=seconds)
    if result.x is None:
        return None
    taken = np.flatnonzero(result.x > 0.5)
    value = float(columns.value[taken].sum())
    bound = -float(result.mip_dual_bound) if result.mip_dual_bound is not None else np.inf
    return Choice(columns.product[taken], columns.kind[taken], value, max(bound, value))


def _window_rows(columns: Columns, codes: IntArray, distance: int, *, slots: int) -> Any:
    """Rows that hold at most one product of each code: every ``distance`` slots in a row."""
    from scipy.sparse import csr_array

    key, column = windows_of(codes[columns.product], columns.kind, distance, slots)
    rows, row = np.unique(key, return_inverse=True)
    return csr_array((np.ones(len(row)), (row, column)), shape=(len(rows), len(columns.product)))
