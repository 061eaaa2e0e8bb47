"""By how much predicted sales miss the real ones, and what of it comes from traffic, clicks, orders and prices.

Sales of a row (a product in a room, a product a day) are a product of four factors::

    sales  =  impressions  x  clicks / impressions  x  orders / clicks  x  sales / orders
              traffic         CTR (on impressions)      CVR (on clicks)     price (an order)

The prediction has four as well. What each contributes to ``predicted - actual`` of a row is its Shapley value: the mean,
over all orders in which the factors can be changed one after the other from actual to predicted, of the change that it
makes. The four sum to the difference exactly, no order is preferred, and a factor that was predicted right gets 0, also
where sales are 0, which logarithms (LMDI) could not bear. Shapley, *A Value for n-Person Games* (1953); as a decomposition
of sums: Shorrocks, *Decomposition Procedures for Distributional Analysis: A Unified Framework Based on the Shapley Value*
(Journal of Economic Inequality 2013); beside LMDI: Ang, *Decomposition Analysis for Policymaking in Energy* (2004).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.errors import EvaluationError
from beautyrec.types import FloatArray

FACTORS: Final = ("traffic", "ctr", "cvr", "price")
"""What sales are a product of, in the order of the funnel."""

TOTAL: Final = "total"
"""The last row of :func:`sales_deviation`."""


@dataclass(frozen=True, eq=False)
class SalesFactors:
    """The four factors of the sales of n rows.

    A rate of nothing is NaN: the CTR without impressions, the CVR without clicks, the price without orders.

    Args:
        traffic: [n] impressions.
        ctr: [n] clicks / impressions.
        cvr: [n] orders / clicks.
        price: [n] sales / orders, in money.

    Raises:
        EvaluationError: lengths differ, or a value is below 0, infinite, or NaN although there was something to divide by.
    """

    traffic: FloatArray
    ctr: FloatArray
    cvr: FloatArray
    price: FloatArray

    def __post_init__(self) -> None:
        shapes = {name: np.shape(getattr(self, name)) for name in FACTORS}
        if len(set(shapes.values())) > 1 or len(shapes["traffic"]) != 1:
            raise EvaluationError(f"sales factors: shapes {shapes}; each must be [n] with the same n.")
        some = np.ones(shapes["traffic"], dtype=np.bool_)
        for name in FACTORS:
            values = np.asarray(getattr(self, name), dtype=np.float64)
            wrong = ~((values >= 0) & (values < np.inf)) & ~(np.isnan(values) & ~some)
            if wrong.any():
                raise EvaluationError(
                    f"sales factors: {int(wrong.sum())} of {len(values)} values of '{name}' are below 0 or not finite, the "
                    f"first is {values[wrong][0]} in row {int(wrong.argmax())}. NaN may stand where a factor before is 0."
                )
            some &= values > 0

    @classmethod
    def of_counts(
        cls, impressions: npt.ArrayLike, clicks: npt.ArrayLike, orders: npt.ArrayLike, sales: npt.ArrayLike
    ) -> SalesFactors:
        """From what was counted (or predicted) in each row, each [n].

        Raises:
            EvaluationError: as the class; or there are clicks without impressions, orders without clicks, or sales without
                orders, which no factors can say. Leave such rows out.

        Examples:
            >>> factors = SalesFactors.of_counts([200, 10], [10, 0], [2, 0], [30.0, 0.0])
            >>> factors.ctr.tolist(), factors.cvr.tolist(), factors.price.tolist()
            ([0.05, 0.0], [0.2, nan], [15.0, nan])
        """
        counts = [np.asarray(part, dtype=np.float64) for part in (impressions, clicks, orders, sales)]
        names = ("impressions", "clicks", "orders", "sales")
        if len({part.shape for part in counts}) > 1:
            raise EvaluationError(f"sales factors: shapes {[part.shape for part in counts]}; they must agree.")
        rates = []
        for place in range(1, len(counts)):
            above, below = counts[place], counts[place - 1]
            lost = (above > 0) & (below == 0)
            if lost.any():
                raise EvaluationError(
                    f"sales factors: {int(lost.sum())} of {len(lost)} rows have {names[place]} without {names[place - 1]}, the "
                    f"first is row {int(lost.argmax())}. Leave them out, or count what they came from."
                )
            rates.append(np.divide(above, below, out=np.full(len(above), np.nan), where=below != 0))
        return cls(counts[0], *rates)

    def sales(self) -> FloatArray:
        """[n] what the rows sold: the product, 0 where a rate is missing."""
        product: FloatArray = np.nan_to_num(self._stack()).prod(axis=0)
        return product

    def _stack(self) -> FloatArray:
        """[4, n] the factors, one above the other."""
        return np.stack([np.asarray(getattr(self, name), dtype=np.float64) for name in FACTORS])


def weighted_absolute_percentage_error(predicted: npt.ArrayLike, actual: npt.ArrayLike) -> float:
    """``sum |predicted - actual| / sum |actual|``: the shop's deviation of predicted from actual sales.

    Args:
        predicted: [n] amounts.
        actual: [n] amounts in the same unit.

    Raises:
        EvaluationError: lengths differ, a value is not finite, or all that was actual is 0.

    Examples:
        >>> weighted_absolute_percentage_error([8.0, 3.0], [10.0, 0.0])
        0.5
    """
    p, a = np.asarray(predicted, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    if p.shape != a.shape or not (np.isfinite(p).all() and np.isfinite(a).all()):
        raise EvaluationError(f"deviation: shapes {p.shape} and {a.shape}; they must agree and all values be finite.")
    total = float(np.abs(a).sum())
    if total == 0:
        raise EvaluationError(f"deviation: all {len(a)} actual values are 0; there is nothing to divide by.")
    return float(np.abs(p - a).sum()) / total


def split_difference(predicted: SalesFactors, actual: SalesFactors) -> FloatArray:
    """[n, 4] what each factor contributes to ``predicted - actual`` sales of each row, in money; rows sum to it.

    Above 0: the factor was predicted too high and lifts the prediction. A rate that one side does not have (a CVR without
    clicks) is taken from the other side, so that nothing is laid to its charge.

    Args:
        predicted: n rows.
        actual: the same rows.

    Raises:
        EvaluationError: the two have different lengths.

    Examples:
        >>> actual = SalesFactors.of_counts([100], [10], [5], [5.0])
        >>> split_difference(SalesFactors.of_counts([200], [20], [10], [10.0]), actual).tolist()
        [[5.0, 0.0, 0.0, 0.0]]
    """
    p, a = predicted._stack(), actual._stack()
    if p.shape != a.shape:
        raise EvaluationError(
            f"deviation: {p.shape[1]} predicted rows and {a.shape[1]} actual ones; give the same rows."
        )
    return shapley_of_product(p, a)


def shapley_of_product(p: FloatArray, a: FloatArray) -> FloatArray:
    """[n, factors] what each factor contributes to the difference of two products; rows sum to it.

    Args:
        p: [factors, n] of the one product; NaN is taken from the other.
        a: [factors, n] of the other.

    Examples:
        >>> shapley_of_product(np.array([[2.0], [3.0]]), np.array([[1.0], [1.0]])).tolist()
        [[2.0, 3.0]]
    """
    p, a = (np.nan_to_num(np.where(np.isnan(mine), other, mine)) for mine, other in ((p, a), (a, p)))
    n = len(p)
    bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1  # [2^factors, factors] which are as in p
    values = np.where(bits[:, :, None] == 1, p, a).prod(axis=1)  # [2^factors, n] product of each mixture
    parts = []
    for factor in range(n):
        without = np.flatnonzero(bits[:, factor] == 0)
        before = bits[without].sum(axis=1)
        weight = np.array([factorial(size) * factorial(n - 1 - size) / factorial(n) for size in before])
        parts.append(weight @ (values[without + 2**factor] - values[without]))
    return np.stack(parts, axis=1)


def sales_deviation(predicted: SalesFactors, actual: SalesFactors) -> pd.DataFrame:
    """The deviation of predicted from actual sales, split into traffic, CTR, CVR and price.

    A row's ``|predicted - actual|`` is its difference with the sign turned where it is below 0, and so are the shares of the
    factors in it: a factor that pushed the row away from the truth adds to the deviation, one that pulled it back takes from
    it.

    Args:
        predicted: n rows, what was predicted before.
        actual: the same rows, what happened.

    Returns:
        One row a factor and ``total`` (the index, ``factor``). ``deviation``: its part of
        :func:`weighted_absolute_percentage_error`, as a share of actual sales; below 0 where it made up for the errors of
        others. ``bias``: its part of ``(sum predicted - sum actual) / sum actual``; above 0 is too much. ``deviation_amount``
        and ``bias_amount``: the same in money. Each column's four sum to its ``total``.

    Raises:
        EvaluationError: lengths differ, or nothing was sold.

    Examples:
        >>> actual = SalesFactors.of_counts([100, 100], [10, 10], [5, 5], [50.0, 50.0])
        >>> predicted = SalesFactors.of_counts([100, 100], [12, 10], [6, 4], [60.0, 40.0])
        >>> sales_deviation(predicted, actual)[["deviation", "bias"]].round(3).to_dict("index")["ctr"]
        {'deviation': 0.1, 'bias': 0.1}
    """
    parts = split_difference(predicted, actual)
    sold = actual.sales()
    if sold.sum() == 0:
        raise EvaluationError(f"deviation: all {len(sold)} actual sales are 0; there is nothing to divide by.")
    sign = np.sign(predicted.sales() - sold)
    amounts = np.stack([sign @ parts, parts.sum(axis=0)], axis=1)
    table = np.concatenate([amounts, amounts.sum(axis=0, keepdims=True)])
    columns = {"deviation": table[:, 0], "bias": table[:, 1]}
    shares = {name: values / sold.sum() for name, values in columns.items()}
    money = {f"{name}_amount": values for name, values in columns.items()}
    return pd.DataFrame({**shares, **money}, index=pd.Index([*FACTORS, TOTAL], name="factor"))
