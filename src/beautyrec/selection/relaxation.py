"""Products to kinds of slots as a linear programme, solved by column generation: prices, and a bound on every line-up.

The linear relaxation has a variable for each product, kind of slot and rank among its substitutes: millions, of which few
matter. It is solved over a few products, and those of the others that its prices call worth while are added until there is
none (Gilmore and Gomory 1961; Barnhart et al. 1998, "Branch-and-price"). At any prices

    bound = value of the small programme + the largest T positive reduced values of products outside of it

is above every line-up of T products, as a line-up holds a product at most once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from beautyrec.selection.limits import Limit
from beautyrec.types import FloatArray, IntArray

_MORE = 150
_CLOSE = 1e-4


@dataclass(frozen=True, eq=False)
class Problem:
    """What to choose.

    Args:
        value: [N, C] what each product brings in a slot of each kind; -inf where it may not stand.
        size: [C] slots of each kind; all have to be filled.
        limits: what the choice has to keep to.
        nest: [N] which products are substitutes for each other; -1 for none.
        kept: [K] share of its value that the best, the second, ... of a nest keeps, falling; the last holds for all after.
    """

    value: FloatArray
    size: IntArray
    limits: Sequence[Limit]
    nest: IntArray
    kept: FloatArray

    @property
    def slots(self) -> int:
        """All slots."""
        return int(self.size.sum())


@dataclass(frozen=True, eq=False)
class Columns:
    """Variables: a product in a slot of some kind, as the so-many-th of its nest.

    Args:
        product: [n].
        kind: [n].
        rank: [n] from 0.
        value: [n].
    """

    product: IntArray
    kind: IntArray
    rank: IntArray
    value: FloatArray


@dataclass(frozen=True, eq=False)
class Prices:
    """The duals of the relaxation.

    Args:
        kind: [C] of a slot of each kind.
        product: [N] of each product; 0 outside of the small programme.
        limits: [N] of all limits that count a product.
        rank: [G, K] of each rank of each nest.
        value: of the small programme.
        bound: above every line-up.
        short: how many slots it could not fill, and how far it fell short of limits.
    """

    kind: FloatArray
    product: FloatArray
    limits: FloatArray
    rank: FloatArray
    value: float
    bound: float
    short: float


def columns_of(problem: Problem, products: IntArray) -> Columns:
    """All variables of some products."""
    open_ = np.isfinite(problem.value[products])
    ranks = np.where(problem.nest[products] >= 0, len(problem.kept), 1)
    at, kind, rank = np.nonzero(open_[:, :, None] & (np.arange(len(problem.kept)) < ranks[:, None])[:, None, :])
    product = products[at]
    return Columns(product, kind, rank, problem.kept[rank] * problem.value[product, kind])


def reduced(problem: Problem, prices: Prices) -> FloatArray:
    """[N, C] the largest reduced value of each product in each kind of slot, over its ranks."""
    paid = np.where(problem.nest[:, None] >= 0, prices.rank[problem.nest], 0.0)  # [N, K]
    open_ = np.isfinite(problem.value)
    value = np.where(open_, problem.value, 0.0)
    best = np.full(value.shape, -np.inf)
    for rank, kept in enumerate(problem.kept):
        np.maximum(best, kept * value - paid[:, rank, None], out=best, where=(problem.nest[:, None] >= 0) | (rank == 0))
    return np.where(open_, best - prices.kind - (prices.product + prices.limits)[:, None], -np.inf)


def relax(problem: Problem, start: IntArray) -> Prices:
    """The prices of the linear relaxation, to a relative accuracy of 1e-4.

    Args:
        problem: what to choose.
        start: products to begin with.
    """
    matrices = [limit.matrix(len(problem.value)).tocsc() for limit in problem.limits]
    inside = np.zeros(len(problem.value), dtype=bool)
    inside[start] = True
    while True:
        prices = _solve(problem, np.flatnonzero(inside), matrices)
        gain = np.where(inside, -np.inf, reduced(problem, prices).max(axis=1, initial=-np.inf))
        most = np.sort(gain)[::-1][: problem.slots]
        bound = prices.value + float(most[most > 0].sum())
        if bound - prices.value <= _CLOSE * abs(prices.value) or not (gain > 0).any():
            return Prices(prices.kind, prices.product, prices.limits, prices.rank, prices.value, bound, prices.short)
        better = np.argsort(-gain, kind="stable")[:_MORE]
        inside[better[gain[better] > 0]] = True


def _solve(problem: Problem, products: IntArray, matrices: Sequence[Any]) -> Prices:
    """The relaxation over some products; slots may stay empty and lower bounds be missed, at a forbidding price."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, eye_array, hstack, vstack

    columns = columns_of(problem, products)
    n, kinds, each = len(columns.product), len(problem.size), np.arange(len(columns.product))
    place = np.searchsorted(products, columns.product)
    once = csr_array((np.ones(n), (place, each)), shape=(len(products), n))
    fill = csr_array((np.ones(n), (columns.kind, each)), shape=(kinds, n))
    ranks, rank_keys = rank_rows(problem, columns)
    uppers, lowers, keys = [once, ranks], [], []
    high, low = [np.ones(len(products)), np.ones(len(rank_keys))], []
    for number, (limit, matrix) in enumerate(zip(problem.limits, matrices, strict=True)):
        here = matrix[:, columns.product].tocsr()
        top, bottom = np.flatnonzero(np.isfinite(limit.high)), np.flatnonzero(limit.low > 0)
        uppers.append(here[top])
        high.append(limit.high[top])
        lowers.append(here[bottom])
        low.append(limit.low[bottom])
        keys.append((number, top, bottom))
    above, below = vstack(uppers, format="csr"), vstack(lowers, format="csr") if lowers else csr_array((0, n))
    misses = below.shape[0]
    forbidding = 10.0 * float(np.abs(columns.value).max(initial=1.0)) + 1.0
    cost = np.concatenate([-columns.value, np.full(kinds + misses, forbidding)])
    a_ub = vstack(
        [
            hstack([above, csr_array((above.shape[0], kinds + misses))]),
            hstack([-below, csr_array((misses, kinds)), -eye_array(misses)]),
        ],
        format="csr",
    )
    a_eq = hstack([fill, eye_array(kinds), csr_array((kinds, misses))], format="csr")
    b_ub = np.concatenate([*high, *(-bound for bound in low)])
    result = linprog(cost, A_ub=a_ub, b_ub=b_ub, A_eq=a_eq, b_eq=problem.size.astype(np.float64), method="highs")
    return _prices(problem, products, result, rank_keys, (matrices, keys, n))


def rank_rows(problem: Problem, columns: Columns) -> tuple[Any, IntArray]:
    """Rows for the ranks of nests but the last: at most one product each; and which rank of which nest each row is."""
    from scipy.sparse import csr_array

    most = len(problem.kept)
    nest = problem.nest[columns.product]
    bound = (nest >= 0) & (columns.rank < most - 1)
    key = nest[bound] * most + columns.rank[bound]
    rows, row = np.unique(key, return_inverse=True)
    shape = (len(rows), len(nest))
    return csr_array((np.ones(len(row)), (row, np.flatnonzero(bound))), shape=shape), rows


def _prices(problem: Problem, products: IntArray, result: Any, rank_keys: IntArray, rest: Any) -> Prices:
    matrices, keys, n = rest
    paid, total = -result.ineqlin.marginals, len(problem.value)
    product = np.zeros(total)
    product[products] = paid[: len(products)]
    rank = np.zeros((int(problem.nest.max(initial=-1)) + 1, len(problem.kept)))
    at = len(products)
    rank.ravel()[rank_keys] = paid[at : at + len(rank_keys)]
    at += len(rank_keys)
    limits = np.zeros(total)
    for number, top, _ in keys:
        price = np.zeros(matrices[number].shape[0])
        price[top] = paid[at : at + len(top)]
        at += len(top)
        limits += matrices[number].T @ price
    for number, _, bottom in keys:
        price = np.zeros(matrices[number].shape[0])
        price[bottom] = paid[at : at + len(bottom)]
        at += len(bottom)
        limits -= matrices[number].T @ price
    value, short = -float(result.fun), float(result.x[n:].sum())
    rank = rank if len(rank) else np.zeros((1, len(problem.kept)))
    return Prices(-result.eqlin.marginals, product, limits, rank, value, np.inf, short)
