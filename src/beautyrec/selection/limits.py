"""What a selection has to keep to: rows that count products, and the smallest change under which they can all hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.errors import ConfigError, InfeasibleError, MissingExtraError
from beautyrec.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Quota:
    """How many products with a value in a column there shall be.

    Args:
        column: a column of the candidates, such as ``"brand"``.
        value: what stands in it.
        at_least: at least so many.
        at_most: at most so many; no bound where it is None.

    Raises:
        ConfigError: a bound is below 0, or the two contradict each other.
    """

    column: str
    value: str | int | bool
    at_least: int = 0
    at_most: int | None = None

    def __post_init__(self) -> None:
        if self.at_least < 0 or (self.at_most is not None and self.at_most < self.at_least):
            raise ConfigError(
                f"quota of {self.column} '{self.value}': at least {self.at_least} and at most {self.at_most} do not go "
                "together; give 0 <= at_least <= at_most."
            )


@dataclass(frozen=True, eq=False)
class Limit:
    """Rows that each count some products; every count has to lie between its two bounds.

    Args:
        name: what it asks, in words.
        row: [n] row of each coefficient; all coefficients are 1.
        product: [n] the product that it counts.
        low: [R] least count of each row.
        high: [R] largest count; inf where there is none.
    """

    name: str
    row: IntArray
    product: IntArray
    low: FloatArray
    high: FloatArray

    def at(self, products: IntArray, total: int) -> Limit:
        """As seen by the products ``products`` out of ``total``, which get the numbers 0, 1, ..."""
        place = np.full(total, -1)
        place[products] = np.arange(len(products))
        here = place[self.product] >= 0
        return replace(self, row=self.row[here], product=place[self.product[here]])

    def matrix(self, total: int) -> Any:
        """[R, total] as a sparse matrix."""
        from scipy.sparse import csr_array

        shape = (len(self.low), total)
        return csr_array((np.ones(len(self.row)), (self.row, self.product)), shape=shape)


def codes_of(values: pd.Series) -> IntArray:
    """[N] a number for each value, from 0; -1 where it is missing or empty.

    Examples:
        >>> codes_of(pd.Series(["a", None, "b", "", "a"])).tolist()
        [0, -1, 1, -1, 0]
    """
    codes = pd.factorize(values.where(values.notna() & (values.astype("str") != "")))[0]
    return np.asarray(codes, dtype=np.int64)


def cap(name: str, codes: IntArray, most: float | Sequence[float]) -> Limit:
    """At most so many of each value; products of value -1 are never counted."""
    rows = int(codes.max(initial=-1)) + 1
    there = np.flatnonzero(codes >= 0)
    return Limit(name, codes[there], there, np.zeros(rows), np.broadcast_to(np.asarray(most, np.float64), rows).copy())


def counted(name: str, members: BoolArray, low: float, high: float = np.inf) -> Limit:
    """How many of ``members`` [N] there are."""
    there = np.flatnonzero(members)
    return Limit(name, np.zeros(len(there), dtype=np.int64), there, np.array([low]), np.array([high]))


def of_quotas(quotas: Iterable[Quota], rows: pd.DataFrame) -> list[Limit]:
    """A limit for each quota.

    Raises:
        ConfigError: a quota names a column that the candidates do not have.
    """
    limits = []
    for quota in quotas:
        if quota.column not in rows:
            raise ConfigError(f"quota: the candidates have no column '{quota.column}'; they have {list(rows)}.")
        most = np.inf if quota.at_most is None else float(quota.at_most)
        bounds = [f"at least {quota.at_least}"] * (quota.at_least > 0) + [f"at most {quota.at_most}"] * (most < np.inf)
        name = f"{' and '.join(bounds)} of {quota.column} '{quota.value}'"
        members = (rows[quota.column] == quota.value).to_numpy(dtype=bool, na_value=False)
        limits.append(counted(name, members, quota.at_least, most))
    return limits


@dataclass(frozen=True, eq=False)
class Places:
    """Kinds of places that products can take, all of which have to be filled.

    Args:
        name: [C] what each kind is, in words.
        size: [C] how many there are of each.
        open: [N, C] which product may take which.
    """

    name: Sequence[str]
    size: IntArray
    open: BoolArray


@dataclass(frozen=True)
class Clash:
    """Why a selection cannot be made.

    Args:
        between: limits that cannot all hold, although they could without any one of them.
        relaxed: the smallest change: how far to move each limit named, in products.
    """

    between: tuple[str, ...]
    relaxed: Mapping[str, int]

    def error(self, what: str, more: str = "") -> InfeasibleError:
        """As an error to raise."""
        change = "; ".join(f"'{name}' by {size}" for name, size in self.relaxed.items()) or "none was found"
        return InfeasibleError(
            f"{what}: these cannot all hold: {'; '.join(self.between)}. The smallest change that lets them: relax "
            f"{change}.{more}"
        )


def find_clash(places: Places, limits: Sequence[Limit]) -> Clash | None:
    """Whether places can be filled under limits; if not, which clash and the smallest relaxation.

    Every limit may be moved by a whole number of products, the same for all its rows, and places may stay empty; the sum
    of these is made as small as can be (an elastic programme: Chinneck 2008, *Feasibility and Infeasibility in
    Optimization*, ch. 6). Then one limit after the other is dropped if the rest cannot hold without it (the deletion
    filter, ch. 6.3). Products that no limit tells apart are one variable, so that this is small.

    Raises:
        MissingExtraError: ``scipy`` is not installed.
    """
    count, kinds = _kinds(places, limits)
    slack = _smallest_slack(places, count, kinds, set())
    if slack is None or not slack.any():
        return None
    names = [*dict.fromkeys(places.name), *(limit.name for limit in limits)]
    free: set[int] = set()
    for number in range(len(names)):
        found = _smallest_slack(places, count, kinds, free | {number})
        if found is not None and found.any():
            free.add(number)
    between = tuple(name for number, name in enumerate(names) if number not in free)
    return Clash(between, {name: int(size) for name, size in zip(names, slack, strict=True) if size})


def _kinds(places: Places, limits: Sequence[Limit]) -> tuple[IntArray, tuple[BoolArray, list[Limit]]]:
    """How many products there are of each kind, and the places and limits of the kinds."""
    n = len(places.open)
    signature = [np.packbits(places.open, axis=1)]
    for limit in limits:
        codes = np.zeros(n, dtype=np.uint64)  # a hash of the rows that count a product
        mixed = (limit.row.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        np.add.at(codes, limit.product, mixed ^ (mixed >> np.uint64(29)))
        signature.append(codes.view(np.uint8).reshape(n, 8))
    _, first, count = np.unique(np.hstack(signature), axis=0, return_index=True, return_counts=True)
    return count.astype(np.int64), (places.open[first], [limit.at(first, n) for limit in limits])


def _smallest_slack(
    places: Places, count: IntArray, kinds: tuple[BoolArray, list[Limit]], free: set[int]
) -> IntArray | None:
    """[limits] how far each has to move, places first; those in ``free`` cost nothing. None if it took too long."""
    from scipy.sparse import coo_array

    may, limits = kinds
    kind, place = np.nonzero(may)
    groups = list(dict.fromkeys(places.name))
    n, slacks = len(kind), len(groups) + len(limits)
    parts: list[tuple[IntArray, IntArray, FloatArray]] = []
    low: list[FloatArray] = []
    high: list[FloatArray] = []
    rows = 0

    def add(row: IntArray, column: IntArray, sign: FloatArray, bounds: tuple[FloatArray, FloatArray]) -> None:
        nonlocal rows
        parts.append((row + rows, column, sign))
        low.append(bounds[0])
        high.append(bounds[1])
        rows += len(bounds[0])

    each = np.arange(n)
    add(kind, each, np.ones(n), (np.zeros(len(count)), count.astype(np.float64)))
    size, empty = places.size.astype(np.float64), n + slacks + np.arange(len(places.size))
    full = np.concatenate([place, np.arange(len(size))]), np.concatenate([each, empty])
    add(*full, np.ones(len(full[0])), (size, size))
    group = np.array([groups.index(name) for name in places.name])
    many = np.concatenate([group, np.arange(len(groups))]), np.concatenate([empty, n + np.arange(len(groups))])
    sign = np.concatenate([np.ones(len(size)), -np.ones(len(groups))])
    add(*many, sign, (np.full(len(groups), -np.inf), np.zeros(len(groups))))
    for number, limit in enumerate(limits):
        counts = limit.matrix(len(count))[:, kind].tocoo()
        for bound, towards in ((limit.low, 1.0), (limit.high, -1.0)):
            row = np.concatenate([counts.coords[0], np.arange(len(bound))])
            column = np.concatenate([counts.coords[1], np.full(len(bound), n + len(groups) + number)])
            sign = np.concatenate([np.ones(len(counts.coords[0])), np.full(len(bound), towards)])
            ends = (bound, np.full(len(bound), np.inf)) if towards > 0 else (np.full(len(bound), -np.inf), bound)
            add(row, column, sign, ends)
    cost = np.concatenate([np.zeros(n), [0.0 if k in free else 1.0 for k in range(slacks)], np.zeros(len(size))])
    row, column, coefficient = (np.concatenate(part) for part in zip(*parts, strict=True))
    matrix = coo_array((coefficient, (row, column)), shape=(rows, len(cost))).tocsr()
    result = mixed_integer(cost, matrix, np.concatenate(low), np.concatenate(high), upper=np.inf)
    if result.x is None:
        return None
    found = np.rint(result.x[n : n + slacks]).astype(np.int64)
    return np.where([k in free for k in range(slacks)], 0, found)


def mixed_integer(
    cost: FloatArray,
    matrix: Any,
    low: FloatArray,
    high: FloatArray,
    *,
    upper: float | FloatArray = 1.0,
    gap: float = 0.0,
    seconds: float = 60.0,
) -> Any:
    """What HiGHS makes of ``min cost x`` with ``low <= matrix x <= high`` and whole numbers ``0 <= x <= upper``.

    Raises:
        MissingExtraError: ``scipy`` is not installed.
    """
    try:
        from scipy.optimize import Bounds, LinearConstraint, milp
    except ImportError:
        raise MissingExtraError("scipy", "select") from None
    return milp(
        cost,
        constraints=LinearConstraint(matrix, low, high),
        integrality=np.ones(len(cost)),
        bounds=Bounds(0, upper),
        options={"mip_rel_gap": gap, "time_limit": max(seconds, 0.1)},
    )
