"""What stands on each room's shelf, how much of it there is, and what the legacy policy makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from beautyrec.errors import ConfigError
from beautyrec.simulate.config import Scene, WorldConfig
from beautyrec.simulate.live import DAY_US, Catalogue, relative_price
from beautyrec.types import FloatArray, IntArray

_BRAND_BOOST = 3.0
_NEW_DAYS = 60.0


@dataclass(frozen=True, eq=False)
class Depot:
    """Deliveries: product i is brought back to ``level[i]`` units every ``period`` days, at its own hour.

    Args:
        level: [L] units after a delivery.
        phase: [L] microseconds from the start of the month to its first delivery, within one period.
        start: start of the month, microseconds UTC.
        period: microseconds between deliveries.
    """

    level: IntArray
    phase: IntArray
    start: int
    period: int

    def stock(self, at: int, sold: IntArray, sold_at: IntArray) -> IntArray:
        """[L] units left at time ``at``: the level less what was ordered since the last delivery, at least 0.

        Args:
            at: microseconds UTC.
            sold: [n] products ordered so far, one entry a unit.
            sold_at: [n] when.
        """
        last = self.start + self.phase + (at - self.start - self.phase) // self.period * self.period
        since = (sold_at < at) & (sold_at >= last[sold])
        return np.asarray(np.maximum(self.level - np.bincount(sold[since], minlength=len(self.level)), 0))


def draw_depot(catalogue: Catalogue, config: WorldConfig, start_us: int, rng: np.random.Generator) -> Depot:
    """Levels in proportion to the root of purchases, log-normal around `WorldConfig.stock_median`."""
    n, period = len(catalogue.live), config.restock_days * DAY_US
    usual = np.sqrt((1 + catalogue.purchases) / np.median(1 + catalogue.purchases))
    level = np.rint(config.stock_median * usual * rng.lognormal(0, config.stock_spread, n)).astype(np.int64)
    return Depot(np.maximum(level, config.stock_reserve), rng.integers(period, size=n), start_us, period)


@dataclass(frozen=True, eq=False)
class Filling:
    """What the filling of R shelves hangs on besides stock, drawn once so that every pass over the month shares it.

    Args:
        catalogue: products on air.
        config: settings.
        key: [R, L] log weight of a place on the shelf plus a Gumbel draw: the largest are taken (Efraimidis and
            Spirakis 2006, "Weighted random sampling with a reservoir", in its Gumbel form).
        noise: [R, L] what the legacy policy adds to each product's score.
    """

    catalogue: Catalogue
    config: WorldConfig
    key: FloatArray
    noise: FloatArray
    popularity: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        """Keeps the standardised popularity."""
        object.__setattr__(self, "popularity", self.catalogue.popularity)

    def candidates(self, room: int, size: int, day: float) -> IntArray:
        """[M] the room's list: twice as many launched products as the shelf needs, largest keys first.

        It does not hang on stock, so that a product more or less in stock leaves the draws for all others as they are.

        Args:
            room: index of the room.
            size: products wanted on the shelf.
            day: days from the start of the month.
        """
        key = np.where(self.catalogue.launch_day <= day, self.key[room], -np.inf)
        order = np.argsort(-key)
        return order[: min(2 * size, int(np.isfinite(key).sum()))]

    def on_shelf(self, candidates: IntArray, size: int, stock: IntArray) -> IntArray:
        """[at most size] which candidates, as columns of the list, come on the shelf: the first that are in stock.

        Raises:
            ConfigError: fewer products than a slate are there.
        """
        columns = np.flatnonzero(stock[candidates] >= self.config.stock_reserve)[:size]
        if len(columns) < self.config.slate_size:
            raise ConfigError(
                f"world: a room has only {len(columns)} products that are launched and in stock, a slate needs "
                f"{self.config.slate_size}. Raise stock_median or live_items."
            )
        return columns

    def legacy(self, room: int, shelf: IntArray) -> FloatArray:
        """[size] first-draw chances of the legacy policy: a softmax of popularity and noise, a little for everyone."""
        score = (self.popularity[shelf] + self.noise[room, shelf]) / self.config.temperature
        weight = np.exp(score - score.max())
        even = self.config.exploration
        return np.asarray((1 - even) * weight / weight.sum() + even / len(shelf))


def draw_filling(catalogue: Catalogue, config: WorldConfig, scene: IntArray, rng: np.random.Generator) -> Filling:
    """Keys and noise of R rooms with these scenes [R]."""
    shape = (len(scene), len(catalogue.live))
    key = rng.gumbel(size=shape)
    for room, index in enumerate(scene):
        key[room] += _log_weight(config.scenes[index], catalogue, rng)
    return Filling(catalogue, config, key, config.legacy_noise * rng.standard_normal(shape))


def _log_weight(scene: Scene, catalogue: Catalogue, rng: np.random.Generator) -> FloatArray:
    """[L] the logarithm in the docstring of `Scene`; ages are those at the start of the month, launches have age 0."""
    age = np.maximum(-catalogue.launch_day, 0.0)
    weight = scene.popularity_power * np.log1p(catalogue.purchases) + scene.new_boost * np.exp(-age / _NEW_DAYS)
    weight = weight + scene.price_tilt * relative_price(catalogue.price, catalogue.median[catalogue.rows])
    if scene.brands:
        brands, count = np.unique(catalogue.brand[catalogue.brand >= 0], return_counts=True)
        size = min(scene.brands, len(brands))
        featured = rng.choice(brands, size=size, replace=False, p=count / count.sum()) if size else brands
        weight = weight + _BRAND_BOOST * np.isin(catalogue.brand, featured)
    return weight
