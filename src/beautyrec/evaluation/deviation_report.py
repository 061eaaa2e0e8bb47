"""Deviation of predicted from actual sales by product, room, scene or week: what drives it, and whether it is more than noise.

Orders that are predicted right still scatter: a product of which 2 are expected sells 0 one time in seven. Whether a deviation
is more than that is a test: orders are drawn many times as if the prediction were right, and the deviation that is seen is
compared with those that come of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.multiple import holm
from beautyrec.evaluation.sales_deviation import FACTORS, SalesFactors, split_difference
from beautyrec.types import FloatArray, IntArray


@dataclass(frozen=True)
class Noise:
    """What scatter is expected of orders that were predicted right.

    Args:
        draws: how often orders are drawn.
        dispersion: variance of a row's orders over their mean: 1 is Poisson's distribution, above 1 the negative binomial.
        level: a group deviates more than noise where its p-value, for all groups together (Holm), is below this.

    Raises:
        EvaluationError: fewer than 200 draws, a dispersion below 1, or a level outside of (0, 1).
    """

    draws: int = 2000
    dispersion: float = 1.0
    level: float = 0.05

    def __post_init__(self) -> None:
        if self.draws < 200 or not self.dispersion >= 1 or not 0 < self.level < 1:
            raise EvaluationError(f"{self}: give at least 200 draws, a dispersion of at least 1, a level in (0, 1).")

    def orders(self, mean: FloatArray, rng: np.random.Generator) -> FloatArray:
        """[n] orders drawn around their means."""
        rate = mean
        if self.dispersion > 1:
            shape = mean / (self.dispersion - 1)
            rate = np.where(mean > 0, rng.gamma(np.where(mean > 0, shape, 1.0)) * (self.dispersion - 1), 0.0)
        return rng.poisson(rate).astype(np.float64)


def deviation_by(
    group: npt.ArrayLike,
    predicted: SalesFactors,
    actual: SalesFactors,
    *,
    rng: np.random.Generator,
    noise: Noise | None = None,
) -> pd.DataFrame:
    """The deviation of each group, such as each scene or week.

    Sales are added up over a group first, and then compared: errors of its rows that go both ways cancel, as they do for who
    reads the week's sum. Group by the row's own id for the deviation of rows.

    Args:
        group: [n] the group of each row.
        predicted: n rows, what was predicted before.
        actual: the same rows, what happened.
        rng: source of randomness.
        noise: what scatter is expected; Poisson's where it is None.

    Returns:
        One row a group (the index, ``group``), the largest absolute difference first: ``predicted`` and ``actual`` sales,
        ``difference``, ``deviation`` (its absolute value over actual sales; inf where nothing was sold), ``traffic, ctr,
        cvr, price`` (which sum to the difference), ``driver`` (the factor that pushed most in the direction of the
        difference), ``p_value`` (chance of at least that difference where the prediction is right) and ``more_than_noise``.

    Raises:
        EvaluationError: lengths differ or a group is missing.

    Examples:
        >>> actual = SalesFactors.of_counts([1000, 1000], [100, 100], [30, 10], [300.0, 100.0])
        >>> predicted = SalesFactors.of_counts([1000, 1000], [100, 100], [11, 10], [110.0, 100.0])
        >>> table = deviation_by(["a", "b"], predicted, actual, rng=np.random.default_rng(0))
        >>> table[["driver", "more_than_noise"]].to_dict("index")["a"]
        {'driver': 'cvr', 'more_than_noise': True}
    """
    code, names = _codes(group, len(actual.traffic))
    noise = noise or Noise()
    parts = split_difference(predicted, actual)
    sums = pd.DataFrame(
        {
            "predicted": _summed(code, predicted.sales(), len(names)),
            "actual": _summed(code, actual.sales(), len(names)),
        },
        index=pd.Index(names, name="group"),
    )
    gap = (sums["predicted"] - sums["actual"]).to_numpy()
    factors = np.column_stack([_summed(code, part, len(names)) for part in parts.T])
    sold = sums["actual"].to_numpy()
    deviation = np.divide(np.abs(gap), sold, out=np.where(gap == 0, 0.0, np.inf), where=sold > 0)
    p_value = _p_values(code, predicted, actual, np.abs(gap), (noise, rng))
    driver = np.array(FACTORS, dtype=object)[np.argmax(factors * np.sign(gap)[:, None], axis=1)]
    table = sums.assign(
        difference=gap,
        deviation=deviation,
        **dict(zip(FACTORS, factors.T, strict=True)),
        driver=np.where(gap == 0, "", driver),
        p_value=p_value,
        more_than_noise=holm(p_value) < noise.level,
    )
    return table.iloc[np.argsort(-np.abs(gap), kind="stable")]


def _codes(group: npt.ArrayLike, n: int) -> tuple[IntArray, npt.NDArray[np.object_]]:
    values = pd.Series(np.asarray(group))
    if len(values) != n or values.isna().any():
        raise EvaluationError(
            f"deviation: {len(values)} groups for {n} rows, {int(values.isna().sum())} of them missing; give one a row."
        )
    code, names = pd.factorize(values, sort=True)
    return code.astype(np.int64), np.asarray(names, dtype=object)


def _summed(code: IntArray, values: FloatArray, groups: int) -> FloatArray:
    return np.asarray(np.bincount(code, weights=values, minlength=groups), dtype=np.float64)


def _p_values(
    code: IntArray,
    predicted: SalesFactors,
    actual: SalesFactors,
    seen: FloatArray,
    how: tuple[Noise, np.random.Generator],
) -> FloatArray:
    """[groups] how often orders drawn as predicted miss the prediction by as much; never 0 (Davison and Hinkley 1997)."""
    noise, rng = how
    rates = (np.nan_to_num(np.asarray(part, np.float64)) for part in (predicted.traffic, predicted.ctr, predicted.cvr))
    mean = np.prod(np.stack(list(rates)), axis=0)
    price = np.where(np.nan_to_num(actual.price) > 0, actual.price, np.nan_to_num(predicted.price))
    expected = _summed(code, predicted.sales(), len(seen))
    beyond = np.ones(len(seen))
    for _ in range(noise.draws):
        drawn = _summed(code, noise.orders(mean, rng) * price, len(seen))
        beyond += np.abs(drawn - expected) >= seen - 1e-9
    return beyond / (noise.draws + 1)
