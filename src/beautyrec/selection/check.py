"""What a line-up breaks, counted anew from its table: for line-ups that were changed by hand, and to test those made here."""

from __future__ import annotations

import numpy as np
import pandas as pd

from beautyrec.selection.limits import codes_of
from beautyrec.selection.line_up_config import LineUpConfig
from beautyrec.types import BoolArray, FloatArray


def broken(table: pd.DataFrame, candidates: pd.DataFrame, config: LineUpConfig, from_slot: int = 0) -> list[str]:
    """What a line-up does not keep, in words; empty where it keeps everything.

    Args:
        table: the line-up in running order: ``item_id``, ``minute_from``, ``minute_to``.
        candidates: what it was chosen from.
        config: what it has to keep to.
        from_slot: what only holds for a slot by itself (heroes, prices, presenters' hours, stock) is asked from this slot on.

    Examples:
        >>> shelf = pd.DataFrame({"item_id": [1, 2], "category": "balm", "brand": None, "price": 9.0, "margin": 3.0,
        ...                       "ctr": 0.1, "cvr": 0.5, "stock": [0, 5]})
        >>> broken(shelf.assign(minute_from=[0, 1], minute_to=[1, 2]), shelf, LineUpConfig(per_category=1))
        ['2 products of one category (at most 1)', '1 products without stock']
    """
    rows = candidates.set_index("item_id").loc[table["item_id"]].reset_index()
    start, end = table["minute_from"].to_numpy(), table["minute_to"].to_numpy()
    return [
        *_counted(rows, config, end - start),
        *_placed(rows, config, (start, end, np.arange(len(rows)) >= from_slot)),
        *_apart(rows, config),
    ]


def _counted(rows: pd.DataFrame, config: LineUpConfig, minutes: FloatArray) -> list[str]:
    said, ids = [], rows["item_id"]
    for column, most in (("category", config.per_category), ("brand", config.per_brand)):
        count = int(np.bincount(codes_of(rows[column]) + 1, minlength=2)[1:].max())
        if count > most:
            said.append(f"{count} products of one {column} (at most {most})")
    if ids.duplicated().any():
        said.append(f"{int(ids.duplicated().sum())} products twice")
    said += [f"{item!r} is missing" for item in config.must_have if item not in set(ids)]
    said += [f"{pair} together" for pair in config.never_with if set(pair) <= set(ids)]
    for quota in config.quotas:
        count = int((rows[quota.column] == quota.value).sum())
        if count < quota.at_least or (quota.at_most is not None and count > quota.at_most):
            said.append(f"{count} of {quota.column} '{quota.value}' ({quota.at_least} to {quota.at_most})")
    for name, presenter in config.presenters.items():
        spent = float(minutes[(rows["presenter"] == name).to_numpy(dtype=bool, na_value=False)].sum())
        if spent > presenter.minutes + 1e-6:
            said.append(f"{spent:g} minutes of presenter {name} (at most {presenter.minutes:g})")
    return said


def _placed(rows: pd.DataFrame, config: LineUpConfig, on_air: tuple[FloatArray, FloatArray, BoolArray]) -> list[str]:
    start, end, asked = on_air
    said = []
    empty = int(((rows["stock"] < 1).to_numpy() & asked).sum())
    if empty:
        said.append(f"{empty} products without stock")
    for step in config.ladder:
        inside = asked & (start >= step.start) & (start < step.end)
        wrong = int((inside & ~((rows["price"] >= step.low) & (rows["price"] < step.high)).to_numpy()).sum())
        if wrong:
            said.append(f"{wrong} prices out of the step {step.low:g} to {step.high:g}")
    for minute in config.hero_minutes:
        slot = int(np.flatnonzero(end > minute + 1e-9)[0])
        if asked[slot] and not rows["hero"].iloc[slot]:
            said.append(f"no hero at minute {minute:g}")
    for name, presenter in config.presenters.items():
        away = asked & (rows["presenter"] == name).to_numpy(dtype=bool, na_value=False)
        away &= (start < presenter.start) | (end > presenter.end)
        if away.any():
            said.append(f"{int(away.sum())} products while presenter {name} is away")
    return said


def _apart(rows: pd.DataFrame, config: LineUpConfig) -> list[str]:
    code = codes_of(rows["category"])
    close = [
        int(((code[lag:] == code[:-lag]) & (code[lag:] >= 0)).sum()) for lag in range(1, min(config.spacing, len(code)))
    ]
    return [f"{sum(close)} pairs of a category less than {config.spacing} slots apart"] if sum(close) else []
