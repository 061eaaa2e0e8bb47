"""The selection list of a month: the best products by the scorecard under quotas, without turning everything over."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.errors import ConfigError, InfeasibleError
from beautyrec.files import atomic_file
from beautyrec.selection.candidates import check_currency
from beautyrec.selection.limits import (
    Limit,
    Places,
    Quota,
    cap,
    codes_of,
    counted,
    find_clash,
    mixed_integer,
    of_quotas,
)
from beautyrec.selection.run_of_show import render
from beautyrec.selection.scorecard import Scores
from beautyrec.selection.spreadsheet import write_csv
from beautyrec.types import BoolArray

_SHOWN = ("title", "brand", "category", "price", "price_band")


@dataclass(frozen=True)
class ListConfig:
    """What a month's list has to keep to."""

    size: int = 100
    """Products on the list."""
    per_category: int | None = None
    """At most so many of one category."""
    per_brand: int | None = None
    """At most so many of one brand."""
    per_supplier: int | None = None
    """At most so many of one supplier (column ``supplier``)."""
    price_edges: tuple[float, ...] = ()
    """Prices that part the bands, rising; quotas may then name the column ``price_band``, whose values are 1, 2, ..."""
    new_days: int = 30
    """Products launched in so many days are new (column ``novelty``); quotas may name ``is_new``."""
    quotas: tuple[Quota, ...] = ()
    """How many products with a value in a column there shall be."""
    churn: float = 1.0
    """At most this share of those of last month's list that can still be sold may leave it."""

    def __post_init__(self) -> None:
        for key in ("size", "per_category", "per_brand", "per_supplier"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise ConfigError(f"selection list: {key} is {value}; it has to be at least 1.")
        if not 0 <= self.churn <= 1:
            raise ConfigError(f"selection list: churn is {self.churn}; it has to be between 0 and 1.")
        if list(self.price_edges) != sorted(set(self.price_edges)):
            raise ConfigError(f"selection list: price_edges are {self.price_edges}; give rising prices, each once.")


@dataclass(frozen=True, eq=False)
class MonthlyList:
    """A month's list.

    Args:
        entries: one row a product, the best first: ``rank, item_id, title, brand, category, price, price_band, status`` (kept
            or new), ``total``, ``reasons`` and the part of each dimension in the total.
        left: one row a product of last month's list that is not on this one: ``item_id, title, reason``.
        total: the sum of the totals.
    """

    entries: pd.DataFrame
    left: pd.DataFrame
    total: float

    def to_csv(self, path: str | Path) -> None:
        """Write the entries as CSV that spreadsheets open as it is, whole or not at all."""
        write_csv(self.entries, path)

    def to_parquet(self, path: str | Path) -> None:
        """Write the entries as Parquet, whole or not at all."""
        with atomic_file(path) as temporary:
            self.entries.to_parquet(temporary, index=False)

    def write_html(self, path: str | Path, title: str = "Selection list") -> None:
        """Write a page with the entries, their reasons and what left.

        Raises:
            MissingExtraError: jinja2 is not installed.
        """
        entries, left = (frame.astype(object).where(frame.notna(), None) for frame in (self.entries, self.left))
        page = render("monthly_list.html", title=title, rows=entries.to_dict("records"), left=left.to_dict("records"))
        with atomic_file(path) as temporary:
            temporary.write_text(page, encoding="utf-8")


def monthly_list(
    scores: Scores, products: pd.DataFrame, config: ListConfig | None = None, last: Sequence[Hashable] | None = None
) -> MonthlyList:
    """The list with the largest sum of totals under the quotas; exact, by HiGHS.

    Args:
        scores: of the products, by the scorecard.
        products: the same products: ``item_id``, ``category``, ``brand``, ``price`` and, where used, ``title``, ``supplier``,
            ``novelty``, ``stock`` and what quotas name. Products without a price or with a stock below 1 are not
            taken; a stock that is not known is no reason.
        config: what to keep to; the defaults where it is None.
        last: the products of last month's list.

    Raises:
        ConfigError: the two are not of the same products, or a column that the config needs is missing.
        SchemaError: prices are in several currencies (column ``currency``).
        InfeasibleError: not all quotas can hold: says which clash and the smallest relaxation.
        MissingExtraError: ``scipy`` is not installed.

    Examples:
        >>> from beautyrec.selection.scorecard import Scorecard
        >>> shelf = pd.DataFrame({"item_id": [1, 2, 3], "category": ["a", "a", "b"], "brand": "x", "price": 9.0,
        ...                       "margin": [0.5, 0.4, 0.1]})
        >>> chosen = monthly_list(Scorecard().score(shelf), shelf, ListConfig(size=2, per_category=1), last=[2])
        >>> chosen.entries["item_id"].tolist(), chosen.left["reason"].tolist()
        ([1, 3], ['at most 1 of a category: a better one has its place'])
    """
    config = config or ListConfig()
    rows = _rows(scores, products, config)
    why = _unsold(rows)
    open_ = (why == "").to_numpy()
    before = rows["item_id"].isin(list(last or ())).to_numpy()
    limits = _limits(rows, config, before & open_)
    chosen = _choose(rows["total"], open_, limits, config)
    return MonthlyList(
        _entries(rows, chosen, before, scores),
        _left(rows, chosen, (why, limits), last or ()),
        float(rows["total"][chosen].sum()),
    )


def _rows(scores: Scores, products: pd.DataFrame, config: ListConfig) -> pd.DataFrame:
    missing = [name for name in ("item_id", "category", "brand", "price") if name not in products]
    if missing or set(products["item_id"]) != set(scores.item_id) or len(products) != len(scores.item_id):
        raise ConfigError(
            f"selection list: {len(products)} products for {len(scores.item_id)} scores; columns missing: {missing}. Give "
            "the products that were scored, each once."
        )
    check_currency(products, "selection list")
    rows = products.set_index("item_id").loc[scores.item_id].reset_index()
    rows = rows.assign(total=scores.total.to_numpy())
    if "title" not in rows:
        rows = rows.assign(title=None)
    band = np.searchsorted(np.array(config.price_edges), rows["price"].to_numpy(np.float64), side="right") + 1
    rows = rows.assign(price_band=np.where(rows["price"].isna(), 0, band))
    if "novelty" in rows:
        rows = rows.assign(is_new=(rows["novelty"] <= config.new_days).fillna(False))
    return rows


def _unsold(rows: pd.DataFrame) -> pd.Series:
    """Why a product cannot be sold; empty where it can."""
    why = pd.Series("", index=rows.index, dtype="str")
    if "stock" in rows:
        why = why.mask(rows["stock"] < 1, "out of stock")
    return why.mask(rows["price"].isna(), "without a price")


def _limits(rows: pd.DataFrame, config: ListConfig, before: BoolArray) -> list[Limit]:
    limits = []
    for column in ("category", "brand", "supplier"):
        most = getattr(config, f"per_{column}")
        if most is not None:
            if column not in rows:
                raise ConfigError(
                    f"selection list: per_{column} is {most}, but the products have no column '{column}'."
                )
            limits.append(cap(f"at most {most} of a {column}", codes_of(rows[column]), most))
    limits += of_quotas(config.quotas, rows)
    if before.any() and config.churn < 1:
        least = int(np.ceil((1 - config.churn) * before.sum() - 1e-9))
        limits.append(counted(f"at least {least} of last month's {int(before.sum())} stay", before, least))
    return limits


def _choose(total: pd.Series, open_: BoolArray, limits: list[Limit], config: ListConfig) -> BoolArray:
    from scipy.sparse import csr_array, vstack

    n = len(total)
    matrix = vstack([csr_array(np.ones((1, n))), *(limit.matrix(n) for limit in limits)], format="csr")
    low = np.concatenate([[config.size], *(limit.low for limit in limits)])
    high = np.concatenate([[config.size], *(limit.high for limit in limits)])
    result = mixed_integer(-total.to_numpy(np.float64), matrix, low, high, upper=open_.astype(np.float64))
    if result.x is not None:
        return np.asarray(result.x > 0.5)
    clash = find_clash(Places([f"{config.size} products"], np.array([config.size]), open_[:, None]), limits)
    if clash is None:
        raise InfeasibleError(f"selection list: no list of {config.size} of {n} products was found in the time given.")
    raise clash.error("selection list", f" {int(open_.sum())} of {n} products can be sold.")


def _entries(rows: pd.DataFrame, chosen: BoolArray, before: BoolArray, scores: Scores) -> pd.DataFrame:
    table = rows.loc[chosen, ["item_id", *_SHOWN, "total"]]
    parts = scores.parts.loc[chosen]
    table = table.assign(status=np.where(before[chosen], "kept", "new"), reasons=_reasons(parts))
    table = pd.concat([table, parts.add_prefix("part_")], axis=1).sort_values("total", ascending=False, kind="stable")
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table.reset_index(drop=True)


def _reasons(parts: pd.DataFrame) -> list[str]:
    """The three largest parts of each product that speak for it, and the largest that speaks against it, in words."""
    values, names = parts.to_numpy(), [str(name).replace("_", " ") for name in parts]
    order = np.argsort(-values, axis=1, kind="stable")
    said = []
    for row, best in enumerate(order):
        for_it = [f"{names[at]} {values[row, at]:+.2f}" for at in best[:3] if values[row, at] > 0]
        worst = best[-1]
        against = [f"in spite of {names[worst]} {values[row, worst]:+.2f}"] if values[row, worst] < 0 else []
        said.append(", ".join(for_it + against) or "nothing stands out")
    return said


def _left(
    rows: pd.DataFrame, chosen: BoolArray, rest: tuple[pd.Series, list[Limit]], last: Sequence[Hashable]
) -> pd.DataFrame:
    why, limits = rest
    place = pd.Index(rows["item_id"])
    rank = rows["total"].rank(ascending=False, method="first").astype(int)
    size, least = int(chosen.sum()), float(rows["total"][chosen].min())
    found: list[dict[str, Any]] = []
    for item in dict.fromkeys(last):
        if item not in place:
            found.append({"item_id": item, "title": None, "reason": "no longer in the catalogue"})
            continue
        at = int(place.get_indexer([item])[0])
        if chosen[at]:
            continue
        full = [limit.name for limit in limits if _is_full(limit, at, chosen)]
        if why[at]:
            reason = why[at]
        elif rows["total"][at] <= least or not full:
            reason = f"its total {rows['total'][at]:.2f} is rank {rank[at]} of {len(rows)}; the list has {size}"
        else:
            reason = f"{'; '.join(full)}: a better one has its place"
        found.append({"item_id": item, "title": rows["title"][at], "reason": reason})
    return pd.DataFrame(found, columns=["item_id", "title", "reason"])


def _is_full(limit: Limit, product: int, chosen: BoolArray) -> bool:
    """Whether a row that counts the product is at its upper bound."""
    count = np.bincount(limit.row, weights=chosen[limit.product], minlength=len(limit.high))
    return bool((count >= limit.high)[limit.row[limit.product == product]].any())
