"""Weights of a scorecard learnt from what was sold, and whether they do better than equal ones afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from beautyrec.errors import FitError
from beautyrec.selection.scorecard import Scorecard, Scores
from beautyrec.types import FloatArray

_STEPS = 50


@dataclass(frozen=True, eq=False)
class Sales:
    """What products sold, as far as it can be laid to them.

    Args:
        scores: of the products, from before.
        sold: [N] money or units, at least 0.
        shown: [N] impressions, above 0 where something was sold.

    Raises:
        FitError: lengths differ, values are negative, or something was sold that was never shown.
    """

    scores: Scores
    sold: FloatArray
    shown: FloatArray

    def __post_init__(self) -> None:
        n = len(self.scores.total)
        if len(self.sold) != n or len(self.shown) != n:
            raise FitError(f"sales: {len(self.sold)} sold and {len(self.shown)} shown for {n} products; give one each.")
        wrong = ~((self.sold >= 0) & (self.shown >= 0)) | ((self.sold > 0) & ~(self.shown > 0))
        if wrong.any():
            raise FitError(
                f"sales: {int(wrong.sum())} of {n} products have sales below 0, or sold without being shown."
            )


@dataclass(frozen=True, eq=False)
class FittedWeights:
    """What the sales say of the weights.

    Args:
        table: one row a dimension: ``weight`` (change of log sales per impression for one standard deviation) with its 95 %
            interval ``ci_low``, ``ci_high``.
        gain: how much more per impression the better half by these weights sold later than that by equal ones: a ratio less
            1; NaN where nothing later was given.
        gain_low: lower end of its 95 % interval.
        gain_high: upper end.
    """

    table: pd.DataFrame
    gain: float
    gain_low: float
    gain_high: float

    @property
    def beats_equal(self) -> bool:
        """Whether the later sales show that these weights are better than equal ones."""
        return self.gain_low > 0

    def scorecard(self) -> Scorecard:
        """The scorecard to use: with these weights where they beat equal ones, else with equal ones."""
        if not self.beats_equal:
            return Scorecard()
        return Scorecard({str(name): float(weight) for name, weight in self.table["weight"].items()})


def fit_weights(
    before: Sales,
    later: Sales | None = None,
    *,
    ridge: float = 10.0,
    top: float = 0.1,
    draws: int = 1000,
    rng: np.random.Generator,
) -> FittedWeights:
    """Weights from sales by Poisson's regression, drawn towards equal ones, judged on later sales.

    Sales per impression are taken as ``exp(a + w z)``. The weights maximise the quasi-likelihood less ``ridge / 2 sum (w_d -
    mean w)^2`` (in units of an average product's sales), so with little to learn from they are equal. The intervals are
    from the sandwich variance, which holds whatever the spread of sales (Wooldridge 1999, "Quasi-likelihood methods for
    count data"). The gain is of the ``top`` best by each scorecard, over products drawn again.

    Args:
        before: scores and the sales that followed.
        later: scores as of a later day and the sales that followed; none of it is used to fit.
        ridge: how strongly weights are drawn towards their mean.
        top: the share of products that a selection takes.
        draws: bootstrap draws.
        rng: source of randomness.

    Raises:
        FitError: nothing was sold, or fewer products than dimensions were shown.
    """
    z, names = before.scores.standard.to_numpy(), [str(name) for name in before.scores.standard]
    seen = before.shown > 0
    if seen.sum() <= z.shape[1] + 1 or not before.sold.sum() > 0:
        raise FitError(
            f"weights: {int(seen.sum())} products were shown and {before.sold.sum():g} was sold; give more products than "
            f"{z.shape[1]} dimensions, and some sales."
        )
    scale = before.sold[seen].mean()
    weight, variance = _poisson(z[seen], before.sold[seen] / scale, before.shown[seen], ridge)
    half = 1.96 * np.sqrt(np.diag(variance))
    table = pd.DataFrame({"weight": weight, "ci_low": weight - half, "ci_high": weight + half}, index=names)
    gain = (float("nan"),) * 3 if later is None else _gain(later, weight, names, (top, draws, rng))
    return FittedWeights(table.rename_axis("dimension"), *gain)


def _poisson(z: FloatArray, sold: FloatArray, shown: FloatArray, ridge: float) -> tuple[FloatArray, FloatArray]:
    """Weights [D] and their sandwich covariance, by Newton's method with halved steps."""
    n, d = z.shape
    x = np.column_stack([np.ones(n), z])
    penalty = np.zeros((d + 1, d + 1))
    penalty[1:, 1:] = ridge * (np.eye(d) - 1 / d)
    beta = np.zeros(d + 1)
    beta[0] = np.log(sold.sum() / shown.sum())

    def objective(at: FloatArray) -> float:
        linear = np.clip(x @ at, -50, 50)
        return float(sold @ linear - shown @ np.exp(linear) - at @ penalty @ at / 2)

    for _ in range(_STEPS):
        mean = shown * np.exp(np.clip(x @ beta, -50, 50))
        slope = x.T @ (sold - mean) - penalty @ beta
        bread = (x * mean[:, None]).T @ x + penalty + 1e-9 * np.eye(d + 1)
        step, size = np.linalg.solve(bread, slope), 1.0
        while objective(beta + size * step) < objective(beta) and size > 1e-6:
            size /= 2
        beta = beta + size * step
        if np.abs(size * step).max() < 1e-9:
            break
    mean = shown * np.exp(np.clip(x @ beta, -50, 50))
    bread = np.linalg.inv((x * mean[:, None]).T @ x + penalty + 1e-9 * np.eye(d + 1))
    meat = (x * (sold - mean)[:, None] ** 2).T @ x
    return beta[1:], (bread @ meat @ bread)[1:, 1:]


def _gain(
    later: Sales, weight: FloatArray, names: list[str], how: tuple[float, int, np.random.Generator]
) -> tuple[float, float, float]:
    """The gain of weights over equal ones and the ends of its interval."""
    top, draws, rng = how
    z = later.scores.standard[names].to_numpy()
    n = len(z)
    most = max(1, round(top * n))
    orders = [np.argsort(-(z @ w), kind="stable") for w in (weight, np.ones(len(weight)))]
    count = rng.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)  # [draws, N] products drawn again
    count = np.vstack([np.ones(n), count])
    rates = []
    for order in orders:
        taken = count[:, order]
        taken = np.minimum(taken, np.maximum(most - (np.cumsum(taken, axis=1) - taken), 0))
        sold, shown = taken @ later.sold[order], taken @ later.shown[order]
        rates.append(np.divide(sold, shown, out=np.zeros_like(sold), where=shown > 0))
    ratio = np.divide(rates[0], rates[1], out=np.full(len(rates[0]), np.nan), where=rates[1] > 0) - 1
    if not np.isfinite(ratio[0]):
        return (float("nan"),) * 3
    low, high = np.nanquantile(ratio[1:], [0.025, 0.975])
    return float(ratio[0]), float(low), float(high)
