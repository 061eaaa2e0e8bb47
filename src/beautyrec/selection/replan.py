"""A line-up planned again in the middle of its room, from what has been shown and sold so far."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from beautyrec.errors import ConfigError
from beautyrec.selection.line_up import LineUp, line_up
from beautyrec.selection.line_up_config import LineUpConfig
from beautyrec.selection.slots import Clock
from beautyrec.types import FloatArray

_PRIOR_ORDERS = 20.0


@dataclass(frozen=True, eq=False)
class Replan:
    """The rest of a room.

    Args:
        plan: the whole room: what was shown as it was, the rest anew.
        shown: how many slots are past or on air.
        pace: how many times what was expected the room sells, drawn towards 1.
        dropped: products that had to come, have not, and are sold out.
    """

    plan: LineUp
    shown: int
    pace: float
    dropped: tuple[Hashable, ...]


def replan(
    plan: LineUp,
    candidates: pd.DataFrame,
    audience: float,
    config: LineUpConfig,
    *,
    minute: float,
    sold: Mapping[Hashable, int],
    attention: FloatArray | None = None,
) -> Replan:
    """The best rest of a room under everything that the whole room has to keep to.

    What is past or on air stays. Stock is what it was less what was sold. The rest of the room is expected to sell ``(s + 20) /
    (e + 20)`` times what was expected before, for ``s`` orders of products that have been shown where ``e`` were expected:
    a gamma prior as strong as 20 orders.

    Args:
        plan: the line-up so far.
        candidates: as for the line-up, with the stock at the start of the room.
        audience: as for the line-up.
        config: likewise.
        minute: of the room, now.
        sold: units sold so far by product; 0 where a product is not named.
        attention: as for the line-up.

    Raises:
        ConfigError: the minute is outside of the room, or sold units are negative or of products that are no candidates.
        InfeasibleError: the rest cannot keep everything: says what clashes and the smallest relaxation.
    """
    table = plan.table
    clock = Clock(table["minute_from"].to_numpy(np.float64), table["minute_to"].to_numpy(np.float64))
    if not 0 <= minute <= clock.end[-1]:
        raise ConfigError(f"replan: minute {minute:g} is outside of the room's products, 0 to {clock.end[-1]:g}.")
    known = set(candidates["item_id"])
    wrong = [item for item, units in sold.items() if units < 0 or item not in known]
    if wrong:
        raise ConfigError(f"replan: {len(wrong)} products sold are no candidates or have units below 0: {wrong[:3]}.")
    past = table[clock.start < minute]
    units = candidates["item_id"].map(lambda item: sold.get(item, 0)).astype(np.float64)
    was = candidates["item_id"].isin(past["item_id"])
    left = candidates.assign(stock=(candidates["stock"] - units.where(~was, 0.0)).clip(lower=0.0))
    took = float(sum(sold.get(item, 0) for item in past["item_id"]))
    pace = (took + _PRIOR_ORDERS) / (float(past["expected_orders"].sum()) + _PRIOR_ORDERS)
    gone = set(left.loc[left["stock"] < 1, "item_id"])
    dropped = tuple(item for item in config.must_have if item in gone)
    asked = replace(config, must_have=tuple(item for item in config.must_have if item not in gone))
    pinned = dict(enumerate(past["item_id"]))
    rest = line_up(left, audience * pace, asked, attention, clock=clock, pinned=pinned)
    return Replan(rest, len(past), pace, dropped)
