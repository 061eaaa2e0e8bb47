"""The scorecard: what speaks for a product, dimension by dimension, in numbers that add up to its total."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from beautyrec.errors import ConfigError, SchemaError
from beautyrec.selection.candidates import check_currency
from beautyrec.types import FloatArray

_CLIP = 3.0


@dataclass(frozen=True)
class Dimension:
    """One thing that speaks for a product or against it.

    Args:
        name: its column.
        unit: what one of it is.
        better: 1 where more is better, -1 where less is.
        log: whether ``log(1 + value)`` is compared: for counts and days, whose few largest would drown the rest.
        evidence: the column that counts what a value rests on; a value that is known has none.
        strength: how much evidence the mean of the category is worth.
    """

    name: str
    unit: str
    better: int = 1
    log: bool = False
    evidence: str = ""
    strength: float = 1.0


DIMENSIONS: Final = (
    Dimension("heat", "clicks, carts, favourites and orders in 30 days", log=True),
    Dimension("trend", "log of 3 days against 21", evidence="impressions", strength=500.0),
    Dimension("margin", "share of the price"),
    Dimension("feedback", "stars", evidence="ratings", strength=5.0),
    Dimension("return_rate", "returns / order", better=-1),
    Dimension("price_position", "log of the price against its category's middle", better=-1),
    Dimension("stock_cover", "days", log=True),
    Dimension("novelty", "days since launch", better=-1, log=True),
    Dimension("pctcvr", "orders / 1,000 impressions", log=True),
)
"""The dimensions of the scorecard; see :func:`beautyrec.selection.dimension_values.dimension_values`."""


@dataclass(frozen=True, eq=False)
class Scores:
    """N products scored.

    Args:
        item_id: [N].
        raw: [N, D] values in their units, NaN where there is none.
        standard: [N, D] drawn towards the category, in standard deviations of all products, more is better.
        parts: [N, D] weight times that.
        total: [N] the sum of the parts.
    """

    item_id: pd.Series
    raw: pd.DataFrame
    standard: pd.DataFrame
    parts: pd.DataFrame
    total: pd.Series

    def explain(self, item: object) -> pd.DataFrame:
        """What a product's total is made of, the largest part first: ``value, unit, standard, part`` by dimension.

        Raises:
            ConfigError: there is no such product.
        """
        at = np.flatnonzero(self.item_id == item)
        if not len(at):
            raise ConfigError(f"scorecard: {item!r} is none of the {len(self.item_id)} products scored.")
        row = int(at[0])
        units = {dimension.name: dimension.unit for dimension in DIMENSIONS}
        table = pd.DataFrame(
            {
                "value": self.raw.iloc[row],
                "unit": [units.get(str(name), "") for name in self.raw],
                "standard": self.standard.iloc[row],
                "part": self.parts.iloc[row],
            }
        )
        return table.sort_values("part", key=abs, ascending=False).rename_axis("dimension")

    def ranked(self) -> pd.DataFrame:
        """One row a product, the best first: ``item_id, total`` and the part of each dimension."""
        table = pd.concat([self.item_id, self.total, self.parts], axis=1)
        return table.sort_values("total", ascending=False, kind="stable", ignore_index=True)


@dataclass(frozen=True)
class Scorecard:
    """How much each dimension counts.

    Args:
        weights: by dimension, for one standard deviation; the same for all where it is None. What is not named counts 0.
        dimensions: what is looked at.

    Raises:
        ConfigError: a weight of an unknown dimension, a weight that is no number, or all weights 0.

    Examples:
        >>> shelf = pd.DataFrame({"item_id": [1, 2], "category": "balm", "margin": [0.2, 0.4], "heat": [90, 10]})
        >>> card = Scorecard({"margin": 2.0, "heat": 1.0})
        >>> card.score(shelf).parts.round(2).to_dict("list"), card.score(shelf).total.round(2).tolist()
        ({'heat': [1.0, -1.0], 'margin': [-2.0, 2.0]}, [-1.0, 1.0])
    """

    weights: Mapping[str, float] | None = None
    dimensions: tuple[Dimension, ...] = DIMENSIONS

    def __post_init__(self) -> None:
        if self.weights is None:
            return
        names = [dimension.name for dimension in self.dimensions]
        unknown = [name for name in self.weights if name not in names]
        if unknown:
            raise ConfigError(f"scorecard: unknown dimensions {unknown}; there are {', '.join(names)}.")
        values = np.array(list(self.weights.values()), dtype=np.float64)
        if not np.isfinite(values).all() or not values.any():
            raise ConfigError(f"scorecard: weights {dict(self.weights)}; give numbers, one of them not 0.")

    def score(self, products: pd.DataFrame) -> Scores:
        """The products' scores.

        A value resting on evidence ``n`` is drawn towards its category's mean ``m``: ``(n x + s m) / (n + s)``; one that is
        missing is ``m``, and that of all products where the whole category has none. Then it is taken as distance from
        the mean of all products, in standard deviations, within -3..3.

        Args:
            products: ``item_id``, ``category`` and the columns of the dimensions; dimensions whose column is absent are
                left out.

        Raises:
            SchemaError: there are no products, a column is missing or not of numbers, an id is there twice, or prices are in
                several currencies (column ``currency``).
        """
        used = self._used(products)
        check_currency(products, "scorecard")
        table = products.reset_index(drop=True)
        standard = pd.DataFrame({dimension.name: _standard(table, dimension) for dimension in used})
        equal = 1.0 / len(used)
        weights = pd.Series({d.name: equal if self.weights is None else self.weights.get(d.name, 0.0) for d in used})
        parts = standard * weights
        total = parts.sum(axis=1).rename("total")
        return Scores(table["item_id"], table[list(standard)].astype(np.float64), standard, parts, total)

    def _used(self, products: pd.DataFrame) -> list[Dimension]:
        named = [d for d in self.dimensions if self.weights is None or self.weights.get(d.name)]
        used = [dimension for dimension in named if dimension.name in products]
        missing = [name for name in ("item_id", "category") if name not in products]
        if self.weights is not None:
            missing += [dimension.name for dimension in named if dimension.name not in products]
        if missing or not used or products.empty:
            raise SchemaError(
                f"scorecard: {len(products)} products with the columns {list(products)}; missing are {missing}. Give "
                "item_id, category and every dimension that has a weight."
            )
        words = [d.name for d in used if not pd.api.types.is_numeric_dtype(products[d.name].dtype)]
        twice = int(products["item_id"].duplicated().sum())
        if words or twice:
            raise SchemaError(
                f"scorecard: columns {words} are not of numbers, {twice} products are there twice. Mend them."
            )
        return used


def _standard(products: pd.DataFrame, dimension: Dimension) -> FloatArray:
    """[N] the dimension drawn towards its category, in standard deviations, more is better."""
    value = products[dimension.name].astype(np.float64)
    if dimension.log:
        value = pd.Series(np.sign(value) * np.log1p(value.abs()), index=value.index)
    middle = value.groupby(products["category"].fillna("")).transform("mean")
    middle = middle.fillna(value.mean()).fillna(0.0)
    if dimension.evidence and dimension.evidence in products:
        n = products[dimension.evidence].astype(np.float64).fillna(0.0)
        value = (n * value.fillna(0.0) + dimension.strength * middle) / (n + dimension.strength)
    value = value.fillna(middle)
    spread = float(value.std(ddof=0))
    if not spread > 1e-12 * max(1.0, float(value.abs().max())):
        return np.zeros(len(value))
    return np.asarray(np.clip((value - value.mean()) / spread, -_CLIP, _CLIP) * dimension.better)
