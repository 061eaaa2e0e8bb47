"""The line-up of a live room: which products, in which slot, for the highest expected margin. Solved exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from beautyrec.errors import ConfigError, InfeasibleError
from beautyrec.files import atomic_file
from beautyrec.selection.assignment import Caps, assign, most_products, undominated
from beautyrec.selection.candidates import sellable
from beautyrec.types import FloatArray, IntArray

COLUMNS = (
    *("slot", "minute_from", "minute_to", "item_id", "title", "brand", "category", "price", "margin", "stock"),
    *("attention", "expected_clicks", "expected_orders", "expected_revenue", "expected_margin"),
)
"""The columns of :attr:`LineUp.table`."""


@dataclass(frozen=True)
class LineUpConfig:
    """What a line-up has to keep to.

    Args:
        products: how many products, one a slot.
        minutes: how long the room lasts; every slot gets the same share.
        per_category: at most so many of one category; products without a category are not counted as one.
        per_brand: at most so many of one brand; products without a brand are not counted as one.
        seconds: when to stop looking for better; the gap that is left then is stated.
    """

    products: int = 30
    minutes: float = 120
    per_category: int = 4
    per_brand: int = 3
    seconds: float = 60

    def __post_init__(self) -> None:
        for key in ("products", "per_category", "per_brand"):
            if getattr(self, key) < 1:
                raise ConfigError(f"line-up: {key} is {getattr(self, key)}; it has to be at least 1.")
        for key in ("minutes", "seconds"):
            if not 0 < getattr(self, key) < float("inf"):
                raise ConfigError(f"line-up: {key} is {getattr(self, key)}; it has to be above 0 and finite.")


@dataclass(frozen=True, eq=False)
class LineUp:
    """The products of a room in running order.

    Args:
        table: one row a slot: ``slot`` (from 1), ``minute_from``, ``minute_to``, ``item_id``, ``title``, ``brand``,
            ``category``, ``price``, ``margin``, ``stock``, ``attention``, ``expected_clicks``, ``expected_orders``,
            ``expected_revenue``, ``expected_margin``.
        expected_margin: of the whole line-up, in money.
        gap: how far it can be below the best line-up there is, as a share of ``expected_margin``; 0 is proven best.
        left_out: how many candidates were not considered, by the reason.
        considered: how many were.
    """

    table: pd.DataFrame
    expected_margin: float
    gap: float
    left_out: Mapping[str, int]
    considered: int

    def to_csv(self, path: str | Path) -> None:
        """Write the table as CSV (UTF-8, with the mark that spreadsheets look for), whole or not at all."""
        with atomic_file(path) as temporary:
            self.table.to_csv(temporary, index=False, encoding="utf-8-sig", float_format="%.6g")


def line_up(
    candidates: pd.DataFrame, audience: float, config: LineUpConfig | None = None, attention: FloatArray | None = None
) -> LineUp:
    """The line-up with the highest expected margin under stock, categories and brands.

    Product ``i`` in slot ``t`` gives ``margin_i * min(audience * attention_t * ctr_i * cvr_i, stock_i)``. Which product
    goes to which slot is an integer programme, solved by HiGHS to a gap of 0 after products that cannot be needed were
    removed (:func:`beautyrec.selection.assignment.undominated`).

    Args:
        candidates: columns ``item_id`` (unique), ``category``, ``brand`` (both may be missing), ``price`` and
            ``margin`` (money per unit), ``ctr`` and ``cvr`` (chance of a click when shown, of an order when clicked),
            ``stock`` (units; inf where it is not limited) and, if there is one, ``title``. Rows that miss a number,
            have no stock, or lose money are left out and counted in :attr:`LineUp.left_out`.
        audience: viewers expected to see a slot of attention 1.
        config: what to keep to; the defaults where it is None.
        attention: [products] share of the audience that each slot has; 1 everywhere where it is None.

    Raises:
        SchemaError: a column is missing, an id is there twice, or a value is negative or above 1.
        ConfigError: the audience or the attention is negative or not a number.
        InfeasibleError: no candidate is left, or the constraints leave too few; says which clash.
        MissingExtraError: ``scipy`` is not installed.

    Examples:
        >>> table = pd.DataFrame({"item_id": ["a", "b", "c"], "category": "balm", "brand": ["x", "x", "y"],
        ...                       "price": 9.0, "margin": [3.0, 2.0, 1.0], "ctr": 0.1, "cvr": 0.5,
        ...                       "stock": [5, 90, 90]})
        >>> plan = line_up(table, 1000, LineUpConfig(products=2, minutes=10, per_brand=1))
        >>> plan.table["item_id"].tolist(), plan.expected_margin, plan.gap
        (['b', 'c'], 150.0, 0.0)
    """
    config = config or LineUpConfig()
    attention = _checked_attention(config, audience, attention)
    rows, left_out = sellable(candidates)
    caps = Caps.of(rows, config.per_category, config.per_brand)
    _check_enough(rows, caps, config, left_out)
    demand = (rows["ctr"] * rows["cvr"]).to_numpy()[:, None] * (audience * attention)[None, :]  # [N, T]
    orders = np.minimum(demand, rows["stock"].to_numpy(np.float64)[:, None])
    value = orders * rows["margin"].to_numpy(np.float64)[:, None]
    kept = np.flatnonzero(undominated(value, caps, config.products))
    solution = assign(value[kept], caps.at(kept), config.seconds)
    chosen = _best_first(kept[solution.product], value, attention)
    table = _table(rows.iloc[chosen], audience * attention, attention, config)
    return LineUp(table, float(table["expected_margin"].sum()), solution.gap, left_out, len(rows))


def _best_first(product: IntArray, value: FloatArray, attention: FloatArray) -> IntArray:
    """[T] the products of slots of the same attention, the most valuable first; the line-up is worth the same."""
    worth = value[product, np.arange(len(product))]
    ordered = np.empty_like(product)
    ordered[np.argsort(attention, kind="stable")] = product[np.lexsort((product, -worth, attention))]
    return ordered


def _table(rows: pd.DataFrame, viewers: FloatArray, attention: FloatArray, config: LineUpConfig) -> pd.DataFrame:
    """The table of a line-up from its products in running order."""
    length = config.minutes / config.products
    start = np.arange(config.products) * length
    clicks = viewers * rows["ctr"].to_numpy(np.float64)
    orders = np.minimum(clicks * rows["cvr"].to_numpy(np.float64), rows["stock"].to_numpy(np.float64))
    table = rows.reset_index(drop=True).assign(
        slot=np.arange(1, config.products + 1),
        minute_from=start,
        minute_to=start + length,
        attention=attention,
        expected_clicks=clicks,
        expected_orders=orders,
        expected_revenue=orders * rows["price"].to_numpy(np.float64),
        expected_margin=orders * rows["margin"].to_numpy(np.float64),
    )
    return table[list(COLUMNS)]


def _checked_attention(config: LineUpConfig, audience: float, attention: FloatArray | None) -> FloatArray:
    if not 0 <= audience < float("inf"):
        raise ConfigError(f"line-up: the audience is {audience}; it has to be a number of viewers, at least 0.")
    found = np.ones(config.products) if attention is None else np.asarray(attention, dtype=np.float64)
    if found.shape != (config.products,):
        raise ConfigError(
            f"line-up: attention has the shape {found.shape}; it needs one value for each of {config.products} slots."
        )
    bad = int(np.count_nonzero(~(np.isfinite(found) & (found >= 0))))
    if bad:
        raise ConfigError(f"line-up: {bad} of {len(found)} values of attention are negative or not numbers.")
    return found


def _check_enough(rows: pd.DataFrame, caps: Caps, config: LineUpConfig, left_out: Mapping[str, int]) -> None:
    """Raise where the constraints leave too few products, naming those that clash."""
    out = ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count) or "none"
    if rows.empty:
        raise InfeasibleError(f"line-up: no candidate is left (left out: {out}). Add products, or complete their data.")
    most = most_products(caps)
    if most >= config.products:
        return
    alone = {
        f"without the {config.per_category} a category": most_products(caps.without_categories()),
        f"without the {config.per_brand} a brand": most_products(caps.without_brands()),
    }
    relaxed = ", ".join(f"{min(count, config.products)} {name}" for name, count in alone.items())
    raise InfeasibleError(
        f"line-up: only {most} products can be placed under {config.per_category} a category and {config.per_brand} a "
        f"brand; {config.products} wanted. Of {len(rows)} candidates (left out: {out}) there could be {relaxed}. "
        "Allow more of a category or brand, ask for fewer products, or add candidates."
    )
