"""Which products go on air, and what is true of them: prices, costs, launches, how much they sold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from beautyrec.data import schema
from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import ConfigError, SchemaError
from beautyrec.simulate.config import WorldConfig
from beautyrec.types import FloatArray, IntArray

DAY_US = 86_400_000_000
"""Microseconds of a day."""

HOUR_US = 3_600_000_000
"""Microseconds of an hour."""

_TEXT = (schema.TITLE, schema.BRAND, schema.CATEGORY, schema.CATEGORY_PATH)


@dataclass(frozen=True, eq=False)
class Catalogue:
    """All products the shop has, and the L of them that go on air in the month.

    Args:
        table: one row a product, launches last: the columns of the log's ``items`` table.
        items: vocabulary of the table's ids; its order need not be that of the table.
        list_price: [rows of table] list price; the median of its category where the table has none.
        median: [rows of table] median list price of its category, over the products that have one.
        live: vocabulary of the products on air.
        rows: [L] row of each in the table.
        category: [L] code of its category, below ``categories``.
        categories: number of categories on air.
        brand: [L] code of its brand, -1 where unknown.
        price: [L] list price.
        cost: [L] what a unit costs the shop.
        purchases: [L] real purchases before the month; those of the 5th percentile for launches.
        launch_day: [L] days from the start of the month to the launch; below 0 for what was there before.
    """

    table: pd.DataFrame
    items: Vocabulary
    list_price: FloatArray
    median: FloatArray
    live: Vocabulary
    rows: IntArray
    category: IntArray
    categories: int
    brand: IntArray
    price: FloatArray
    cost: FloatArray
    purchases: FloatArray
    launch_day: FloatArray

    @property
    def popularity(self) -> FloatArray:
        """[L] log(1 + purchases), standardised over the products on air."""
        return standardise(np.log1p(self.purchases))


def standardise(values: FloatArray) -> FloatArray:
    """[n] ``values`` with mean 0 and standard deviation 1; zeros where all are the same."""
    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)


def relative_price(price: FloatArray, median: FloatArray) -> FloatArray:
    """log(price / median of the category), within -1.5..1.5; anything below a cent counts as a cent.

    Examples:
        >>> relative_price(np.array([5.0, 20.0, 500.0]), np.array([10.0, 10.0, 10.0])).round(3).tolist()
        [-0.693, 0.693, 1.5]
    """
    return np.asarray(np.clip(np.log(np.maximum(price, 0.01) / np.maximum(median, 0.01)), -1.5, 1.5))


def go_on_air(
    purchases: pd.DataFrame, items: pd.DataFrame, config: WorldConfig, start_us: int, rng: np.random.Generator
) -> Catalogue:
    """Chooses the products on air in proportion to their purchases to a power, and makes up the launches.

    A launch is a new product: brand and category of one that sells, its price within some 10 %, an id of its own, no
    purchase.

    Raises:
        SchemaError: a column or an item is missing.
        ConfigError: fewer products were ever bought than are to go on air.
    """
    table = _base_table(items)
    ids = Vocabulary.from_ids(table[schema.ITEM_ID])
    place = pd.Index(table[schema.ITEM_ID]).get_indexer(pd.Index(purchases[schema.ITEM_ID]))
    if (place < 0).any():
        raise SchemaError(
            f"purchases: {int((place < 0).sum())} of {len(place)} rows have an item_id that items lacks. Add them."
        )
    count = np.bincount(place, minlength=len(table)).astype(np.float64)
    first = purchases.groupby(schema.ITEM_ID)[schema.TS].min().reindex(table[schema.ITEM_ID])
    old, templates = _choose(count, config, rng)
    launch = np.sort(rng.uniform(1.0, max(config.days - 3.0, 1.5), config.launches))
    new = _launches(table.iloc[templates], ids, launch, start_us, rng)
    table[schema.LAUNCHED_AT] = pd.to_datetime(first.to_numpy(), utc=True).as_unit("us")
    table = pd.concat([table, new], ignore_index=True)
    rows = np.concatenate([np.sort(old), np.arange(len(count), len(table))])
    low = float(np.quantile(count[old], 0.05))
    return _finish(table, rows, np.concatenate([count[np.sort(old)], np.full(len(new), low)]), start_us, config, rng)


def _base_table(items: pd.DataFrame) -> pd.DataFrame:
    """The columns that the world uses, absent ones empty, ``category`` from the end of ``category_path`` if need be."""
    if schema.ITEM_ID not in items:
        raise SchemaError(f"items: column 'item_id' is missing; the frame has {list(items)}. Rename it.")
    table = pd.DataFrame({schema.ITEM_ID: items[schema.ITEM_ID].to_numpy()})
    if pd.api.types.is_integer_dtype(table[schema.ITEM_ID].dtype):
        table[schema.ITEM_ID] = table[schema.ITEM_ID].astype(np.int64)
    for name in _TEXT:
        table[name] = (
            items[name].astype("str").to_numpy() if name in items else pd.Series(np.nan, table.index, dtype="str")
        )
    leaf = table[schema.CATEGORY_PATH].str.rsplit("|", n=1).str[-1]
    table[schema.CATEGORY] = table[schema.CATEGORY].fillna(leaf).astype("str")
    table[schema.PRICE] = items[schema.PRICE].to_numpy(np.float64) if schema.PRICE in items else np.nan
    return table


def _choose(count: FloatArray, config: WorldConfig, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Rows that go on air, and rows that launches are like; both without replacement, by purchases to a power."""
    wanted = config.live_items - config.launches
    if (count > 0).sum() < max(wanted, config.launches):
        raise ConfigError(
            f"world: live_items is {config.live_items} but only {int((count > 0).sum())} products were ever bought. "
            "Lower it."
        )
    with np.errstate(divide="ignore"):
        key = config.live_power * np.log(count) + rng.gumbel(size=(2, len(count)))
    order = np.argsort(-key, axis=1)
    return order[0, :wanted], order[1, : config.launches]


def _launches(
    like: pd.DataFrame, ids: Vocabulary, launch: FloatArray, start_us: int, rng: np.random.Generator
) -> pd.DataFrame:
    """One new product after each of the rows ``like``, launched at 8 h of its day."""
    new = like.reset_index(drop=True)
    n = len(new)
    new[schema.ITEM_ID] = (
        np.arange(1, n + 1, dtype=np.int64) + int(ids.ids.max())
        if ids.kind == "integer"
        else [f"new-{i:04d}" for i in range(1, n + 1)]
    )
    new[schema.TITLE] = new[schema.TITLE].fillna("") + " (new)"
    new[schema.PRICE] = np.round(new[schema.PRICE] * rng.lognormal(0, 0.1, n), 2)
    at = start_us + np.floor(launch).astype(np.int64) * DAY_US + 8 * HOUR_US
    new[schema.LAUNCHED_AT] = pd.to_datetime(at, unit="us", utc=True).as_unit("us")
    return new


def _finish(
    table: pd.DataFrame,
    rows: IntArray,
    purchases: FloatArray,
    start_us: int,
    config: WorldConfig,
    rng: np.random.Generator,
) -> Catalogue:
    """Prices filled, costs by brand, codes of what is on air."""
    known = table[schema.PRICE]
    median = known.groupby(table[schema.CATEGORY]).transform("median").fillna(known.median()).fillna(10.0)
    price = known.fillna(median).to_numpy(np.float64)
    brand, _ = pd.factorize(table[schema.BRAND])
    by_brand = rng.uniform(config.margin_low, config.margin_high, int(brand.max(initial=-1)) + 2)
    cost = np.round(price * (1 - by_brand[brand]), 2)  # brand -1 takes the last rate
    table[schema.COST] = cost
    category, names = pd.factorize(table[schema.CATEGORY].to_numpy()[rows], use_na_sentinel=False)
    launched = pd.to_datetime(table[schema.LAUNCHED_AT]).astype("int64").to_numpy()[rows]
    return Catalogue(
        table=table,
        items=Vocabulary.from_ids(table[schema.ITEM_ID]),
        list_price=price,
        median=median.to_numpy(np.float64),
        live=Vocabulary(pd.Index(table[schema.ITEM_ID].to_numpy()[rows])),
        rows=rows,
        category=np.asarray(category, dtype=np.int64),
        categories=len(names),
        brand=np.asarray(brand, dtype=np.int64)[rows],
        price=price[rows],
        cost=cost[rows],
        purchases=purchases,
        launch_day=(launched - start_us) / DAY_US,
    )
