"""The line-up of a live room: which products, in which slot, for the most it can be expected to bring, with the gap."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from beautyrec.errors import ConfigError, InfeasibleError
from beautyrec.selection import columns
from beautyrec.selection.asked import after_commission, check_named, checked_attention, counts, limits_of, sureness
from beautyrec.selection.candidates import sellable
from beautyrec.selection.columns import Choice
from beautyrec.selection.limits import Limit, codes_of, find_clash
from beautyrec.selection.line_up_config import LineUpConfig
from beautyrec.selection.placing import held_apart, moved_apart
from beautyrec.selection.relaxation import Problem
from beautyrec.selection.slots import Clock, Kinds, openings
from beautyrec.selection.spreadsheet import write_csv
from beautyrec.selection.worth import capped_orders, cautious, kept_shares
from beautyrec.types import FloatArray, IntArray

__all__ = ["COLUMNS", "LineUp", "LineUpConfig", "line_up"]

COLUMNS = (
    *("slot", "minute_from", "minute_to", "item_id", "title", "brand", "category", "price", "margin", "stock"),
    *("attention", "kept", "expected_clicks", "demand", "expected_orders"),
    *("expected_revenue", "expected_margin"),
)
"""The columns of :attr:`LineUp.table`."""

_RANKS = 4
_WHOLE = 40_000


@dataclass(frozen=True, eq=False)
class LineUp:
    """The products of a room in running order.

    Args:
        table: one row a slot: ``slot`` (from 1), ``minute_from``, ``minute_to``, ``item_id``, ``title``, ``brand``,
            ``category``, ``price``, ``margin`` (after commission), ``stock``, ``attention``, ``kept`` (share of its orders
            that it keeps beside its substitutes), ``expected_clicks``, ``demand`` (orders asked for, were there stock
            without end), ``expected_orders``, ``expected_revenue``, ``expected_margin``.
        expected_margin: of the whole line-up, in money.
        gap: how far its worth (by the goal, after caution) can be below that of the best line-up, as a share; 0 is proven
            best.
        left_out: how many candidates were not considered, by the reason.
        considered: how many were.
        roi: expected margin over the cost of the room's audience; NaN where that costs nothing.
        sureness: [T] of the products' rates; inf where they are taken as known.
    """

    table: pd.DataFrame
    expected_margin: float
    gap: float
    left_out: Mapping[str, int]
    considered: int
    roi: float = float("nan")
    sureness: FloatArray = field(default_factory=lambda: np.zeros(0))

    def to_csv(self, path: str | Path) -> None:
        """Write the table as CSV (UTF-8, with the mark that spreadsheets look for), whole or not at all."""
        write_csv(self.table, path)

    def margins(self, rng: np.random.Generator, draws: int = 2000) -> FloatArray:
        """[draws] margins of rooms as they might turn out: rates drawn as far as they are not known, then orders.

        Args:
            rng: source of randomness.
            draws: how many rooms.
        """
        table = self.table
        shape = np.where(np.isinf(self.sureness), 1.0, self.sureness)
        rate = np.where(np.isinf(self.sureness), 1.0, rng.gamma(shape, 1 / shape, (draws, len(table))))
        orders = np.minimum(rng.poisson(rate * table["demand"].to_numpy()), table["stock"].to_numpy())
        return np.asarray(orders @ table["margin"].to_numpy())


def line_up(
    candidates: pd.DataFrame,
    audience: float,
    config: LineUpConfig | None = None,
    attention: FloatArray | None = None,
    *,
    clock: Clock | None = None,
    pinned: Mapping[int, Hashable] | None = None,
) -> LineUp:
    """The line-up that is worth most under all that it has to keep to.

    Product ``i`` in slot ``t`` is asked for ``d = audience * attention_t * ctr_i * cvr_i`` times on average and sells
    :func:`beautyrec.selection.worth.capped_orders` of its stock; the second best of a nest of substitutes keeps less
    of that than the best, and so on (:func:`beautyrec.selection.worth.kept_shares`). Which product goes to which slot is
    an integer programme, solved by HiGHS over the columns that can matter (:mod:`beautyrec.selection.columns`).

    Args:
        candidates: columns ``item_id`` (unique), ``category``, ``brand`` (both may be missing), ``price`` and
            ``margin`` (money per unit), ``ctr`` and ``cvr`` (chance of a click when shown, of an order when clicked),
            ``stock`` (units; inf where it is not limited) and, where used, ``title``, ``hero`` (bool), ``presenter``,
            ``sureness`` (how sure ``ctr * cvr`` is, in sales seen; inf for known), ``currency``, and what quotas name.
            Rows that miss a number, have no stock, or lose money are left out and counted in :attr:`LineUp.left_out`.
        audience: viewers expected to see a slot of attention 1.
        config: what to keep to; the defaults where it is None.
        attention: [T] share of the audience that each slot has; 1 everywhere where it is None.
        clock: when the slots are; ``config.products`` even ones where it is None.
        pinned: what stands in some slots (from 0) already.

    Raises:
        SchemaError: a column is missing, an id is there twice, a value is negative or above 1, currencies are mixed.
        ConfigError: the audience or the attention is negative or not a number, a product named is not a candidate, or a
            column that a setting needs is missing.
        InfeasibleError: no candidate is left, or not all can hold: says what clashes and the smallest relaxation.
        MissingExtraError: ``scipy`` is not installed.

    Examples:
        >>> table = pd.DataFrame({"item_id": ["a", "b", "c"], "category": "balm", "brand": ["x", "x", "y"],
        ...                       "price": 9.0, "margin": [3.0, 2.0, 1.0], "ctr": 0.1, "cvr": 0.5,
        ...                       "stock": [5, 900, 900]})
        >>> plan = line_up(table, 1000, LineUpConfig(products=2, minutes=10, per_brand=1))
        >>> plan.table["item_id"].tolist(), round(plan.expected_margin, 3), plan.gap
        (['b', 'c'], 150.0, 0.0)
    """
    config = config or LineUpConfig()
    clock = clock or Clock.even(config.products, config.minutes)
    attention = checked_attention(len(clock), audience, attention)
    net = after_commission(candidates, config)
    rows, left_out = sellable(net)
    check_named(net, config, pinned or {})
    if rows.empty:
        raise InfeasibleError(
            f"line-up: no candidate is left (left out: {counts(left_out)}). Add products, or complete their data."
        )
    names, open_ = openings(rows, clock, config, pinned or {})
    kinds = Kinds.of(attention, names, open_)
    limits = limits_of(rows, len(clock), float((clock.end - clock.start).max()), config)
    problem = _problem(rows, audience, config, (kinds, limits))
    placed, bound = _placed(problem, kinds, config, codes_of(rows["category"]), left_out)
    return _result(rows, placed, (problem, kinds, bound), (audience, attention, clock, config), left_out)


def _problem(
    rows: pd.DataFrame, audience: float, config: LineUpConfig, asked: tuple[Kinds, Sequence[Limit]]
) -> Problem:
    kinds, limits = asked
    rate = (rows["ctr"] * rows["cvr"]).to_numpy(np.float64)
    rate = cautious(rate, sureness(rows), config.risk, config.quantile)
    orders = capped_orders(rate[:, None] * audience * kinds.attention, rows["stock"].to_numpy(np.float64)[:, None])
    value = np.where(kinds.places.open, orders * config.goal.of_an_order(rows)[:, None], -np.inf)
    if config.nest not in rows:
        raise ConfigError(f"line-up: nest is '{config.nest}', which is no column of the candidates: {list(rows)}.")
    kept = kept_shares(config.substitution, min(_RANKS, len(kinds.of_slot)))
    return Problem(value, kinds.places.size, limits, codes_of(rows[config.nest]), kept)


def _placed(
    problem: Problem, kinds: Kinds, config: LineUpConfig, codes: IntArray, left_out: Mapping[str, int]
) -> tuple[IntArray, float]:
    """[T] the product of each slot, and a bound on what any line-up is worth."""
    start = time.monotonic()
    choice = columns.choose(problem, config.gap, config.seconds)
    if choice is None:
        raise _explained(problem, kinds, left_out)
    worth = problem.value[choice.product, choice.kind]
    placed = held_apart(choice.product, choice.kind, kinds.of_slot, worth, codes, config.spacing)
    if placed is not None:
        return placed, choice.bound
    left = config.seconds - (time.monotonic() - start)
    kept = _kept(problem.nest[choice.product], worth, problem.kept)
    value = kept[:, None] * problem.value[choice.product][:, kinds.of_slot]
    placed = moved_apart(choice.product, value, codes, config.spacing, seconds=left / 2)
    if placed is not None:
        moved = problem.value[placed, kinds.of_slot]
        total = float((_kept(problem.nest[placed], moved, problem.kept) * moved).sum())
        if choice.bound - total <= config.gap * abs(choice.bound):
            return placed, choice.bound
    left = config.seconds - (time.monotonic() - start)
    found = _slot_by_slot(problem, choice, kinds, (config, codes, left))
    if found is not None:
        return found
    if placed is not None:
        return placed, choice.bound
    raise InfeasibleError(
        f"line-up: products of a category cannot be kept {config.spacing} slots apart under everything else that is asked, or "
        f"no such line-up was found in {config.seconds:g} seconds. Lower spacing to {config.spacing - 1}, or free slots that "
        "heroes, prices or presenters bind."
    )


def _slot_by_slot(
    problem: Problem, choice: Choice, kinds: Kinds, rest: tuple[LineUpConfig, IntArray, float]
) -> tuple[IntArray, float] | None:
    """The same with a variable for each product and single slot, for when the chosen products cannot be held apart."""
    config, codes, seconds = rest
    slots = len(kinds.of_slot)
    single = replace(problem, value=problem.value[:, kinds.of_slot], size=np.ones(slots, dtype=np.int64))
    everything = np.isfinite(single.value)
    top = problem.value.max(axis=1)
    near = np.zeros(len(top), dtype=bool)
    near[choice.product] = True
    near[np.argsort(-top, kind="stable")[: 2 * slots]] = True
    small = everything.sum() * len(problem.kept) <= _WHOLE
    for products in (None,) if small else (near, None):
        allowed = everything if products is None else everything & products[:, None]
        found = columns.whole(single, allowed, config.gap / 2, seconds / 2, (codes, config.spacing))
        if found is not None:
            bound = min(choice.bound, found.bound) if products is None else choice.bound
            return found.product[np.argsort(found.kind)], max(bound, found.value)
    return None


def _explained(problem: Problem, kinds: Kinds, left_out: Mapping[str, int]) -> InfeasibleError:
    clash = find_clash(kinds.places, problem.limits)
    n = len(problem.value)
    if clash is None:
        return InfeasibleError(
            f"line-up: no line-up of {n} candidates was found in the time given. Allow more seconds."
        )
    return clash.error("line-up", f" There are {n} candidates (left out: {counts(left_out)}).")


def _result(
    rows: pd.DataFrame,
    placed: IntArray,
    solved: tuple[Problem, Kinds, float],
    asked: tuple[float, FloatArray, Clock, LineUpConfig],
    left_out: Mapping[str, int],
) -> LineUp:
    problem, kinds, bound = solved
    audience, attention, clock, config = asked
    worth = problem.value[placed, kinds.of_slot]
    kept = _kept(problem.nest[placed], worth, problem.kept)
    value = float((kept * worth).sum())
    chosen = rows.iloc[placed].reset_index(drop=True)
    clicks = audience * attention * chosen["ctr"].to_numpy(np.float64)
    demand = clicks * chosen["cvr"].to_numpy(np.float64)
    orders = kept * capped_orders(demand, chosen["stock"].to_numpy(np.float64))
    table = chosen.assign(
        slot=np.arange(1, len(clock) + 1),
        minute_from=clock.start,
        minute_to=clock.end,
        attention=attention,
        kept=kept,
        expected_clicks=clicks,
        demand=kept * demand,
        expected_orders=orders,
        expected_revenue=orders * chosen["price"].to_numpy(np.float64),
        expected_margin=orders * chosen["margin"].to_numpy(np.float64),
    )[list(COLUMNS)]
    margin = float(table["expected_margin"].sum())
    gap = max(0.0, (bound - value) / abs(bound)) if bound else 0.0
    cost = config.goal.traffic_cost
    roi = margin / cost if cost else float("nan")
    return LineUp(table, margin, gap if gap > 1e-9 else 0.0, left_out, len(rows), roi, sureness(chosen))


def _kept(nest: IntArray, worth: FloatArray, shares: FloatArray) -> FloatArray:
    """[T] the share that each keeps: the most valuable of a nest the first one, and so on."""
    order = np.lexsort((-worth, nest))
    first = np.concatenate([[True], nest[order][1:] != nest[order][:-1]])
    rank = np.arange(len(nest)) - np.maximum.accumulate(np.where(first, np.arange(len(nest)), 0))
    kept = np.ones(len(nest))
    kept[order] = np.where(nest[order] >= 0, shares[np.minimum(rank, len(shares) - 1)], 1.0)
    return kept
