"""Made-up purchases and a made-up catalogue, of the shape of the public Amazon Beauty 5-core set.

They stand in where the real files are absent, and whatever is shown of them says so. What is of the same shape: the
counts of users, items and events; at least five events a user and an item; a head and a long tail; shoppers with
tastes, who stay in a category or with a brand and take what goes together, so that models find something; dates to the
day from 2002 to 2014, most of them late; prices and brands with gaps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.errors import ConfigError
from beautyrec.simulate.words import BASE_PRICE, DEPARTMENTS, SIZES, SYLLABLES, TRAITS
from beautyrec.types import FloatArray, IntArray

CORE = 5
"""Fewest events of each user and of each item."""

_END = np.datetime64("2014-07-23")
_START = np.datetime64("2002-06-12")
_CLUSTERS = 40
_COMPANIONS = 3
_STAY = (
    0.09,
    0.17,
    0.32,
    0.72,
)  # cumulated chances: same brand, same category, a companion, the cluster; else anything


@dataclass(frozen=True, eq=False)
class _Goods:
    """The catalogue as arrays, one entry an item."""

    leaf: IntArray
    brand: IntArray
    weight: FloatArray
    companions: IntArray  # [I, 3]
    frame: pd.DataFrame


@dataclass(frozen=True, eq=False)
class _Draw:
    """Draws an item of a group in proportion to its weight, for many groups at once."""

    order: IntArray
    ends: FloatArray  # cumulated weights in that order
    low: FloatArray  # [groups] cumulated weight before the group
    high: FloatArray

    @classmethod
    def by(cls, group: IntArray, weight: FloatArray, groups: int) -> _Draw:
        order = np.argsort(group, kind="stable")
        ends = np.cumsum(weight[order])
        stops = np.searchsorted(group[order], np.arange(groups), side="right")
        edges = np.concatenate([[0.0], ends])
        starts = np.searchsorted(group[order], np.arange(groups), side="left")
        return cls(order, ends, edges[starts], edges[stops])

    def __call__(self, group: IntArray, rng: np.random.Generator) -> IntArray:
        at = self.low[group] + rng.random(len(group)) * (self.high[group] - self.low[group])
        return self.order[np.minimum(np.searchsorted(self.ends, at, side="right"), len(self.order) - 1)]


def synthetic_purchases(
    users: int = 22363, items: int = 12101, events: int = 198502, *, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Purchases and the catalogue they are of; all simulated.

    Args:
        users: shoppers.
        items: products.
        events: purchases, at least five a user and five an item.
        seed: the same seed gives the same frames.

    Returns:
        Purchases (``user_id``, ``item_id``, ``ts``), each user's in order, none of a product twice; and items
        (``item_id``, ``title``, ``brand``, ``category``, ``category_path``, ``price``).

    Raises:
        ConfigError: there are too few events for so many users or items, or too many for so few.

    Examples:
        >>> purchases, items = synthetic_purchases(users=60, items=40, events=420, seed=0)
        >>> len(purchases), purchases["user_id"].nunique(), int(purchases["item_id"].value_counts().min()) >= 5
        (420, 60, True)
    """
    if events < CORE * max(users, items) or events > users * items // 3 or items < 4 * CORE:
        raise ConfigError(
            f"synthetic purchases: {events} events do not fit {users} users and {items} items; ask for at least "
            f"{CORE * max(users, items)} and at most {users * items // 3} events, and at least {4 * CORE} items."
        )
    rng = np.random.default_rng([seed, 1])
    goods = _goods(items, rng)
    count = _user_counts(users, events, items // 2, rng)
    user = np.repeat(np.arange(users), count)
    item = _repair(user, _sequences(count, goods, rng), goods, rng)
    purchases = pd.DataFrame({"user_id": user + 1, "item_id": item + 1, "ts": _dates(count, rng)})
    return purchases, goods.frame


def _goods(items: int, rng: np.random.Generator) -> _Goods:
    """The catalogue: categories and brands of Zipf sizes, popularity with a head and a tail."""
    paths = [(d, a, leaf) for d, areas in DEPARTMENTS.items() for a, leaves in areas.items() for leaf in leaves]
    department = np.array([list(DEPARTMENTS).index(d) for d, _, _ in paths])
    leaf_weight = rng.permutation(1.0 / np.arange(1, len(paths) + 1) ** 0.7)
    leaf = rng.choice(len(paths), size=items, p=leaf_weight / leaf_weight.sum())
    brands = max(items // 6, len(DEPARTMENTS))
    brand_home = np.arange(brands) % len(DEPARTMENTS)
    brand = _Draw.by(brand_home, np.arange(1.0, brands + 1.0) ** -0.8, len(DEPARTMENTS))(department[leaf], rng)
    rank = rng.permutation(items)
    weight = np.asarray((rank + max(items / 480, 1.0)) ** -0.65, dtype=np.float64)
    companions = _Draw.by(department[leaf], weight, len(DEPARTMENTS))(np.repeat(department[leaf], _COMPANIONS), rng)
    frame = _item_frame(paths, leaf, brand, brands, rng)
    return _Goods(leaf, brand, weight, companions.reshape(items, _COMPANIONS), frame)


def _item_frame(
    paths: list[tuple[str, str, str]], leaf: IntArray, brand: IntArray, brands: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Titles, brands, categories and prices; a brand keeps to a trait and a price level."""
    items = len(leaf)
    trait = np.where(
        rng.random(items) < 0.5, rng.integers(len(TRAITS), size=brands)[brand], rng.integers(len(TRAITS), size=items)
    )
    second, size = rng.integers(len(TRAITS), size=items), rng.integers(len(SIZES), size=items)
    names = _brand_names(brands, rng)
    base = np.array([BASE_PRICE[d] for d, _, _ in paths]) * rng.lognormal(0, 0.3, len(paths))
    price = base[leaf] * rng.lognormal(0, 0.45, brands)[brand] * rng.lognormal(0, 0.4, items)
    kind = [paths[i][2] for i in leaf]
    has_brand, has_price = rng.random(items) >= 0.17, rng.random(items) >= 0.05
    titles = [
        f"{names[b]} {TRAITS[t]} {TRAITS[s]} {k}, {SIZES[z]}"
        for b, t, s, k, z in zip(brand, trait, second, kind, size, strict=True)
    ]
    return pd.DataFrame(
        {
            "item_id": np.arange(1, items + 1, dtype=np.int64),
            "title": titles,
            "brand": pd.Series(names[brand], dtype="str").where(has_brand),
            "category": pd.Series(kind, dtype="str"),
            "category_path": pd.Series(["|".join(("Beauty", *paths[i])) for i in leaf], dtype="str"),
            "price": np.where(has_price, np.round(np.maximum(price, 0.5), 2), np.nan),
        }
    )


def _brand_names(brands: int, rng: np.random.Generator) -> npt.NDArray[np.object_]:
    """Pronounceable names, numbered where two would be the same."""
    parts = np.array(SYLLABLES)[rng.integers(len(SYLLABLES), size=(brands, 3))]
    names = pd.Series(["".join(row[: 2 + i % 2]).capitalize() for i, row in enumerate(parts)])
    again = names.groupby(names).cumcount()
    return np.where(again == 0, names, names + " " + (again + 1).astype(str)).astype(object)


def _user_counts(users: int, events: int, most: int, rng: np.random.Generator) -> IntArray:
    """[U] purchases of each user: five and a heavy tail, adding up to ``events``."""
    weight = rng.lognormal(0, 1.5, users)
    count = CORE + rng.multinomial(events - CORE * users, weight / weight.sum())
    while (over := int(np.maximum(count - most, 0).sum())) > 0:
        count = np.minimum(count, most)
        room = (count < most).astype(np.float64)
        count = count + rng.multinomial(over, room / room.sum())
    return np.asarray(count, dtype=np.int64)


def _sequences(count: IntArray, goods: _Goods, rng: np.random.Generator) -> IntArray:
    """[events] the items, user by user in order: each next one stays near the last one, or in the user's cluster."""
    leaves = int(goods.leaf.max()) + 1
    by_leaf = _Draw.by(goods.leaf, goods.weight, leaves)
    by_brand = _Draw.by(goods.brand, goods.weight, int(goods.brand.max()) + 1)
    anything = _Draw.by(np.zeros_like(goods.leaf), goods.weight, 1)
    cluster_leaves = _cluster_leaves(goods, leaves, rng)
    cluster = rng.integers(_CLUSTERS, size=len(count))
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    item = np.empty(int(count.sum()), dtype=np.int64)
    for step in range(int(count.max())):
        active = np.flatnonzero(count > step)
        n = len(active)
        last = item[start[active] + max(step - 1, 0)] if step else np.zeros(n, dtype=np.int64)
        own_leaf = cluster_leaves[cluster[active], rng.integers(cluster_leaves.shape[1], size=n)]
        choices = np.stack(
            [
                by_brand(goods.brand[last], rng),
                by_leaf(goods.leaf[last], rng),
                goods.companions[last, rng.integers(_COMPANIONS, size=n)],
                by_leaf(own_leaf, rng),
                anything(np.zeros(n, dtype=np.int64), rng),
            ]
        )
        way = np.searchsorted(_STAY, rng.random(n), side="right") if step else np.full(n, 3)
        item[start[active] + step] = choices[way, np.arange(n)]
    return item


def _cluster_leaves(goods: _Goods, leaves: int, rng: np.random.Generator) -> IntArray:
    """[clusters, 32] categories a cluster buys from, the liked ones several times."""
    mass = np.bincount(goods.leaf, weights=goods.weight, minlength=leaves)
    liking = mass * rng.gamma(0.15, size=(_CLUSTERS, leaves)) + 1e-12 * mass
    share = np.cumsum(liking / liking.sum(axis=1, keepdims=True), axis=1)
    at = (np.arange(32) + 0.5) / 32
    picked = (share[:, None, :] < at[None, :, None]).sum(axis=2)
    return np.asarray(np.minimum(picked, leaves - 1))


def _repair(user: IntArray, item: IntArray, goods: _Goods, rng: np.random.Generator) -> IntArray:
    """The items again, so that no user has one twice and each item has at least five events."""
    items = len(goods.leaf)
    chance = goods.weight / goods.weight.sum()
    for _ in range(200):
        twice = pd.Series(user * items + item).duplicated().to_numpy()
        item = np.where(twice, rng.choice(items, size=len(item), p=chance), item) if twice.any() else item
        short = np.maximum(CORE - np.bincount(item, minlength=items), 0)
        if not twice.any() and not short.any():
            return item
        item = _fill_short(item, np.repeat(np.arange(items), short), goods.leaf, rng)
    raise ConfigError(
        f"synthetic purchases: {items} items cannot each have {CORE} buyers. Ask for more users or events."
    )


def _fill_short(item: IntArray, needs: IntArray, leaf: IntArray, rng: np.random.Generator) -> IntArray:
    """Gives events of items that have more than five to ``needs``, within the category where possible."""
    shuffled = rng.permutation(len(item))
    place = pd.Series(item[shuffled]).groupby(item[shuffled]).cumcount().to_numpy()
    donors = shuffled[place >= CORE]
    needs_frame = pd.DataFrame({"item": needs, "leaf": leaf[needs]})
    donors_frame = pd.DataFrame({"event": donors, "leaf": leaf[item[donors]]})
    for frame in (needs_frame, donors_frame):
        frame["place"] = frame.groupby("leaf").cumcount()
    joined = needs_frame.merge(donors_frame, on=["leaf", "place"], how="left")
    found = joined["event"].notna().to_numpy()
    event = joined["event"].fillna(-1).to_numpy(np.int64, copy=True)
    spare = np.setdiff1d(donors, event[found])
    event[~found] = rng.permutation(spare)[: int((~found).sum())]
    filled = item.copy()
    filled[event] = joined["item"].to_numpy(np.int64)
    return filled


def _dates(count: IntArray, rng: np.random.Generator) -> pd.Series:
    """[events] days, rising within each user; four in nine purchases share the day of the one before."""
    rows = int(count.sum())
    gap = np.where(rng.random(rows) < 0.44, 0.0, np.ceil(rng.lognormal(np.log(45), 1.4, rows)))
    user = np.repeat(np.arange(len(count)), count)
    gap = np.ceil(gap * (CORE / count[user]) ** 0.7)  # who buys often waits less
    last = np.minimum(rng.exponential(300, len(count)), 4000.0)
    done = np.cumsum(gap)
    total = done[np.cumsum(count) - 1]
    back = (last[user] + total[user] - done).astype(np.int64)
    days = np.maximum(_END - back.astype("timedelta64[D]"), _START)
    return pd.Series(days.astype("datetime64[us]")).dt.tz_localize("UTC")
