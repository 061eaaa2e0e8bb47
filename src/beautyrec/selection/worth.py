"""What a product is worth in a slot: orders held to stock, at the mean or at a lower quantile, in margin, sales or orders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.errors import ConfigError, MissingExtraError
from beautyrec.types import FloatArray


@dataclass(frozen=True)
class Goal:
    """What a line-up shall bring most of: a weighted sum of money earned, money taken and orders.

    Args:
        margin: weight of the margin, after commission.
        revenue: weight of what buyers pay (GMV).
        orders: weight of an order, in money.
        commission: share of the price that host and platform take of each order.
        traffic_cost: what the room's audience costs, whatever is shown. As it is the same for every line-up, the line-up
            of the highest margin is that of the highest return on it (ROI).

    Raises:
        ConfigError: a value is below 0, all weights are 0, or the commission is not a share.
    """

    margin: float = 1.0
    revenue: float = 0.0
    orders: float = 0.0
    commission: float = 0.0
    traffic_cost: float = 0.0

    def __post_init__(self) -> None:
        weights = (self.margin, self.revenue, self.orders)
        if min(*weights, self.traffic_cost) < 0 or not 0 < sum(weights) < np.inf or not 0 <= self.commission < 1:
            raise ConfigError(
                f"{self}: give weights and costs of at least 0, one weight above 0, a commission in [0, 1)."
            )

    def of_an_order(self, rows: pd.DataFrame) -> FloatArray:
        """[N] what an order of each product counts; ``margin`` of the rows is after commission."""
        margin, price = rows["margin"].to_numpy(np.float64), rows["price"].to_numpy(np.float64)
        return np.asarray(self.margin * margin + self.revenue * price + self.orders)


def capped_orders(demand: npt.ArrayLike, stock: npt.ArrayLike) -> FloatArray:
    """Expected orders when so many are asked for on average and only so many can be served.

    ``E min(N, s) = d P(N <= s - 2) + s P(N >= s)`` for ``N`` of Poisson's distribution with mean ``d``: less than
    ``min(d, s)``, as some rooms ask for more than there is and others for less.

    Args:
        demand: mean number asked for, at least 0.
        stock: units there are, whole or inf; broadcast against ``demand``.

    Raises:
        MissingExtraError: ``scipy`` is not installed.

    Examples:
        >>> capped_orders([0.5, 2.0, 2.0], [1, 2, np.inf]).round(3).tolist()
        [0.393, 1.459, 2.0]
    """
    try:
        from scipy.special import pdtr
    except ImportError:
        raise MissingExtraError("scipy", "select") from None
    d, s = np.broadcast_arrays(np.asarray(demand, np.float64), np.floor(np.asarray(stock, np.float64)))
    finite = np.where(np.isfinite(s), s, 0.0)
    below = np.where(finite >= 2, pdtr(np.maximum(finite - 2, 0), d), 0.0)
    within = np.where(finite >= 1, pdtr(np.maximum(finite - 1, 0), d), 1.0)
    return np.where(np.isfinite(s), d * below + finite * (1 - within), d)


def cautious(rate: FloatArray, sureness: FloatArray, risk: float, quantile: float) -> FloatArray:
    """A rate between its mean and a lower quantile: ``(1 - risk) mean + risk quantile``.

    The rate is taken to be of a gamma distribution with this mean and shape ``sureness``: as sure as if the product had been
    seen to sell that often. What looks best among many is, as a rule, overestimated (Smith and Winkler 2006, "The
    Optimizer's Curse"); the less is known of a product, the more this takes off.

    Args:
        rate: [N] means.
        sureness: [N] shapes, above 0; inf for a rate that is known.
        risk: 0 for the mean, 1 for the quantile.
        quantile: such as 0.2.

    Examples:
        >>> cautious(np.ones(2), np.array([1.0, 100.0]), 1.0, 0.2).round(3).tolist()
        [0.223, 0.915]
    """
    if risk == 0:
        return rate
    try:
        from scipy.special import gammaincinv
    except ImportError:
        raise MissingExtraError("scipy", "select") from None
    known = np.isinf(sureness)
    shape = np.where(known, 1.0, sureness)
    low = np.where(known, 1.0, gammaincinv(shape, quantile) / shape)
    return np.asarray(rate * (1 - risk + risk * low))


def kept_shares(substitution: float, most: int) -> FloatArray:
    """[most] the share of its orders that the best, second best, ... product of a nest keeps beside its substitutes.

    Where n products are equally attractive, viewers who want one of them choose one by a multinomial logit with the option
    to choose none: together they sell ``n / (1 + (n - 1) s)`` times what one sells alone (Train 2009, *Discrete Choice
    Methods with Simulation*, ch. 3), where ``s`` is the chance that a viewer who would buy one alone does not also count
    as a buyer of another. The shares are the steps of this: what the n-th adds.

    Args:
        substitution: ``s``: 0 where products sell independently of each other, 1 where a second one sells nothing more.
        most: how many shares.

    Examples:
        >>> kept_shares(0.5, 3).round(3).tolist(), kept_shares(0.0, 3).tolist()
        ([1.0, 0.333, 0.167], [1.0])
    """
    if substitution == 0:
        return np.ones(1)
    n = np.arange(1, most + 1)
    total = n / (1 + (n - 1) * substitution)
    return np.diff(total, prepend=0.0)
