"""What funnel models answer, as columns: chances of click and order, and the margin to be expected of an impression."""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

import numpy as np
import pandas as pd

from beautyrec.errors import ConfigError, SchemaError
from beautyrec.models.funnel_base import FunnelModel
from beautyrec.models.funnel_network import NetworkFunnelModel
from beautyrec.serving.paths import Context
from beautyrec.serving.tables import Columns, Table
from beautyrec.types import FloatArray

Order = Literal["ctr", "cvr", "ctcvr", "expected_margin"]
"""What a funnel model may order items by: the chance of a click, of an order after it, of both, or money."""

EXPECTED_MARGIN: Final = "expected_margin"


def chances(model: FunnelModel, rows: Table, context: Context) -> Columns:
    """``ctr, cvr, ctcvr``, and ``expected_margin`` where price and cost are there."""
    return _chances(model, _with_shared(rows, context), rows.field)


def ranked_chances(model: FunnelModel, user: Any, items: Table, by: Order, context: Context) -> Columns:
    """``item_id, score, rank`` and the chances, best first by ``by``; of an item that is there twice the first row."""
    if by not in get_args(Order):
        raise ConfigError(f"rank: by is {by!r}; use one of {list(get_args(Order))}.")
    if "item_id" not in items.names:
        raise SchemaError(f"candidates: column 'item_id' is missing; there are {list(items.names)}. Add it.")
    frame = _with_shared(items, context)
    ids = pd.Index(frame["item_id"])
    if ids.hasnans:
        raise SchemaError(
            f"candidates: {int(np.count_nonzero(ids.isna()))} of {len(ids)} item_id are missing. Leave them out."
        )
    if not ids.is_unique:
        frame = frame[~ids.duplicated()]
        ids = pd.Index(frame["item_id"])
    if "user_id" in reads(model) and "user_id" not in frame:
        frame = frame.assign(user_id=user)
    said = _chances(model, frame, items.field)
    if by not in said:
        raise SchemaError(
            f"candidates: columns 'price' and 'cost' are needed for {by}; there are {list(items.names)}. Add them."
        )
    order = np.argsort(-said[by], kind="stable")
    ranked = {
        "item_id": ids.to_numpy()[order],
        "score": said[by][order],
        "rank": np.arange(1, len(order) + 1),
    }
    return ranked | {name: values[order] for name, values in said.items()}


def reads(model: FunnelModel) -> tuple[str, ...]:
    """The columns that a funnel model reads: features, then categories."""
    return (*model.features, *(model.inputs.categories if isinstance(model, NetworkFunnelModel) else ()))


def _with_shared(rows: Table, context: Context) -> pd.DataFrame:
    """All rows with what they share beside them.

    Raises:
        ConfigError: there are events, which funnel models do not read, or a feature that the rows have already.
    """
    if context.events is not None:
        raise ConfigError("context.events: a funnel model takes no users in. Compute features from the events instead.")
    twice = sorted(set(context.features) & set(rows.names))
    if twice:
        raise ConfigError(f"context.features: {twice} are columns of {rows.field} already. Give them once.")
    frame = rows.frame()
    return frame.assign(**context.features) if context.features else frame


def _chances(model: FunnelModel, frame: pd.DataFrame, field: str) -> Columns:
    try:
        found = model.predict(frame)
    except SchemaError as error:
        raise SchemaError(f"{field}: {error}") from None
    said: Columns = {str(name): found[name].to_numpy() for name in found}
    if {"price", "cost"} <= set(frame):
        said[EXPECTED_MARGIN] = said["ctcvr"] * (_money(frame, "price", field) - _money(frame, "cost", field))
    return said


def _money(frame: pd.DataFrame, name: str, field: str) -> FloatArray:
    try:
        money: FloatArray = frame[name].to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise SchemaError(f"{field}: column '{name}' is {frame[name].dtype}; it must be a number.") from None
    return money
