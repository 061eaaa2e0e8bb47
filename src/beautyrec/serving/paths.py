"""How the scores of a user come about: from the model as it was fitted, by fold-in of new events, or from what is popular."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.data.interactions import Interactions
from beautyrec.errors import ConfigError, SchemaError
from beautyrec.models.base import OnUnknown, Recommender
from beautyrec.models.fold_in import FoldsIn
from beautyrec.serving.ids import Found, find
from beautyrec.serving.tables import plain, table_of
from beautyrec.types import BoolArray, IntArray

Path = Literal["model", "fold_in", "fallback"]
"""Where the scores of a user come from: what was fitted, events that came with the request, or popularity."""

KNOWN_USERS = "Ask with on_unknown='fallback' or 'skip', hand their events in context, or fit the model again."
KNOWN_ITEMS = "Leave them out (known_items tells which), or fit the model again."


@dataclass(frozen=True, eq=False)
class Context:
    """What is known at the time of a request and was not in training.

    Args:
        events: all that some users took up to now, as a table of any kind: ``user_id``, ``item_id``, and where they are
            there ``ts`` (else the rows are in the order of time) and ``weight``. These users are folded in: their events
            stand in place of what the model knew of them.
        features: values that all rows of the request share, for models that read features: ``{"hour": 20}``.
    """

    events: Any = None
    features: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


NOTHING = Context()


class Route(NamedTuple):
    """A recommender and the rows of a request that it answers."""

    path: Path
    model: Recommender
    rows: IntArray
    """Places in the request."""
    user_ix: IntArray
    """Index of the user of each of them in ``model``, -1 for an unknown one."""


def routes(model: Recommender, users: Found, context: Context, on_unknown: OnUnknown, where: str) -> list[Route]:
    """Which model answers for which rows; rows of unknown users are in none where they are to be skipped.

    Raises:
        ConfigError: ``on_unknown`` is none of the three, or ``context`` has features, which no recommender reads.
        UnknownIdError: users or items of their events are unknown and ``on_unknown`` is ``"raise"``.
        SchemaError: the events lack a column.
    """
    _check_options(model, context, on_unknown, where)
    folded = None if context.events is None else _fold(model, context.events, on_unknown)
    found: list[Route] = []
    rest = np.ones(len(users.ids), dtype=np.bool_)
    if folded is not None:
        index = folded.users.indices_or_missing(users.ids)
        rest = index < 0
        found.append(Route("fold_in", folded, np.flatnonzero(~rest), index[~rest]))
    if on_unknown == "raise":
        Found(users.ids[rest], users.place[rest]).require_known(where, model.users, KNOWN_USERS)
    if on_unknown == "skip":
        rest &= users.place >= 0
    warm = model.seen.counts(users.place) > 0
    for path, rows in (("model", rest & warm), ("fallback", rest & ~warm)):
        at = np.flatnonzero(rows)
        found.append(Route(path, model, at, users.place[at]))  # type: ignore[arg-type]  # one of the three
    return [route for route in found if len(route.rows)]


def path_of(n: int, found: list[Route]) -> tuple[npt.NDArray[np.object_], BoolArray]:
    """[n] the path of each row, and whether it has one."""
    path = np.full(n, "", dtype=object)
    for route in found:
        path[route.rows] = route.path
    return path, path != ""


def _check_options(model: Recommender, context: Context, on_unknown: OnUnknown, where: str) -> None:
    if on_unknown not in ("raise", "fallback", "skip"):
        raise ConfigError(f"on_unknown is {on_unknown!r}; use 'raise', 'fallback' or 'skip'.")
    if context.features:
        raise ConfigError(
            f"context.features has {sorted(context.features)}, but a model of the kind '{model.kind}' reads no features "
            f"for {where}. Leave them out."
        )


def _fold(model: Recommender, events: Any, on_unknown: OnUnknown) -> Recommender | None:
    """The model for the users of ``events``; None where it takes none in and unknown users may go another way."""
    history = _history(model, events, on_unknown)
    try:
        if not isinstance(model, FoldsIn):
            raise ConfigError(f"a model of the kind '{model.kind}' cannot take users in after its fit.")
        return model.fold_in(history) if len(history) else None
    except (ConfigError, SchemaError) as error:
        if on_unknown == "raise":
            raise ConfigError(
                f"context.events: {error} Ask with on_unknown='fallback', or leave the events out."
            ) from None
        return None


def _history(model: Recommender, events: Any, on_unknown: OnUnknown) -> Interactions:
    """The events as the model takes them; those of unknown items are left out where they may be."""
    table = table_of(events, "context.events")
    items = find(table["item_id"], model.items, "context.events: column 'item_id'")
    users = find(table["user_id"], model.users, "context.events: column 'user_id'")
    if len(users.ids) != len(items.ids):
        raise SchemaError(
            f"context.events: {len(users.ids)} user_id and {len(items.ids)} item_id; give one of each a row."
        )
    known = items.place >= 0
    if on_unknown == "raise":
        items.require_known("context.events: column 'item_id'", model.items, KNOWN_ITEMS)
    frame = pd.DataFrame({"user_id": users.ids, "item_id": items.ids})
    n = len(frame)
    frame["ts"] = (
        np.asarray(plain(table["ts"], "context.events: column 'ts'"))
        if "ts" in table.names
        else pd.to_datetime(np.arange(n), unit="us", utc=True)
    )
    if "weight" in table.names:
        frame["weight"] = np.asarray(plain(table["weight"], "context.events: column 'weight'"))
    return Interactions.from_frame(frame[known], items=model.items)
