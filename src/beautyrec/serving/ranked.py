"""What recommenders answer, as columns: lists for users, scores of pairs, some items in order."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from beautyrec.errors import SchemaError
from beautyrec.models.base import CHUNK_SCORES, OnUnknown, Recommender
from beautyrec.models.factors import FactorRecommender
from beautyrec.serving.ids import Found, find
from beautyrec.serving.item_index import ItemIndex
from beautyrec.serving.paths import KNOWN_ITEMS, Context, Route, path_of, routes
from beautyrec.serving.steady import steady_top_k
from beautyrec.serving.tables import Columns, Table
from beautyrec.types import BoolArray, Float32Array, IntArray


class Wanted(NamedTuple):
    """Which lists are wanted."""

    k: int
    """How many items."""
    exclude_seen: bool
    """Leave out what the user took."""
    candidates: IntArray | None
    """[C] indices of the only items allowed; all where it is None."""
    traced: bool
    """Say of each row where it comes from."""


class Lists(NamedTuple):
    """Lists of B users."""

    top: IntArray
    """[B, k] items, best first, -1 after the last."""
    scores: Float32Array
    """[B, k]."""
    by_index: BoolArray
    """[B] whether an index found them."""


def recommended(
    model: Recommender,
    users: Found,
    wanted: Wanted,
    context: Context,
    on_unknown: OnUnknown,
    index: ItemIndex | None,
) -> Columns:
    """``user_id, item_id, score, rank`` of the best k items of each user, in the order of the users; traced ``path, search``."""
    n, most = len(users.ids), len(model.items) if wanted.candidates is None else max(1, len(wanted.candidates))
    wanted = wanted._replace(k=min(wanted.k, most))
    found = routes(model, users, context, on_unknown, "recommend")
    if len(found) == 1 and len(found[0].rows) == n:
        lists = _lists(found[0], wanted, index)
    else:
        shape = n, wanted.k
        lists = Lists(np.full(shape, -1), np.full(shape, -np.inf, dtype=np.float32), np.zeros(n, dtype=np.bool_))
        for route in found:
            part = _lists(route, wanted, index)
            lists.top[route.rows], lists.scores[route.rows], lists.by_index[route.rows] = part
    row, place = np.nonzero(lists.top >= 0)
    columns = {
        "user_id": users.ids[row],
        "item_id": model.items.ids_at(lists.top[row, place]),
        "score": lists.scores[row, place],
        "rank": place + 1,
    }
    if wanted.traced:
        path, _ = path_of(n, found)
        search = np.where(lists.by_index, "index", "exact").astype(object)
        columns |= {"path": path[row], "search": search[row]}
    return columns


def _lists(route: Route, wanted: Wanted, index: ItemIndex | None) -> Lists:
    """The lists of a route: by the index where it may serve and fills them, else from all items."""
    model, user_ix, (k, exclude_seen, candidates, _) = route.model, route.user_ix, wanted
    if index is None or not isinstance(model, FactorRecommender) or not index.serves(k, candidates):
        exact = steady_top_k(model, user_ix, k, exclude_seen=exclude_seen, candidates=candidates)
        return Lists(*exact, np.zeros(len(user_ix), dtype=np.bool_))
    found = Lists(*index.top_k(model, user_ix, k, exclude_seen=exclude_seen))
    rest = np.flatnonzero(~found.by_index)
    if len(rest):
        top, scores = steady_top_k(model, user_ix[rest], k, exclude_seen=exclude_seen, candidates=None)
        found.top[rest], found.scores[rest] = top, scores
    return found


def pair_scores(model: Recommender, rows: Table, context: Context, on_unknown: OnUnknown) -> tuple[Columns, IntArray]:
    """``score, path`` of pairs of user and item, and the row that each stands for."""
    users = find(rows["user_id"], model.users, "rows: column 'user_id'")
    items = find(rows["item_id"], model.items, "rows: column 'item_id'")
    if len(users.ids) != len(items.ids):
        raise SchemaError(f"rows: {len(users.ids)} user_id and {len(items.ids)} item_id. Give one of each a row.")
    item_ix = items.require_known("rows: column 'item_id'", model.items, KNOWN_ITEMS)
    found = routes(model, users, context, on_unknown, "score")
    scores = np.empty(len(item_ix), dtype=np.float32)
    for route in found:
        scores[route.rows] = _scores_of_pairs(route.model, route.user_ix, item_ix[route.rows])
    path, answered = path_of(len(item_ix), found)
    return {"score": scores[answered], "path": path[answered]}, np.flatnonzero(answered)


def ranked_items(model: Recommender, user: Any, items: Table, context: Context, on_unknown: OnUnknown) -> Columns:
    """``item_id, score, rank, path``: the items, best first for the user; each once."""
    candidates = find(items["item_id"], model.items, "candidates")
    candidates = candidates.known() if on_unknown == "skip" else candidates
    item_ix = candidates.require_known("candidates", model.items, KNOWN_ITEMS)
    _, first = np.unique(item_ix, return_index=True)
    first.sort()
    users = find([user], model.users, "user")
    found = routes(model, users, context, on_unknown, "rank")
    scores = np.zeros(0, dtype=np.float32)
    if found and len(first):
        scores = found[0].model.scores(found[0].user_ix, item_ix[first])[0]
    order = np.argsort(-scores, kind="stable")
    return {
        "item_id": candidates.ids[first[order]],
        "score": scores[order],
        "rank": np.arange(1, len(order) + 1),
        "path": np.full(len(order), found[0].path if found else "", dtype=object),
    }


def _scores_of_pairs(model: Recommender, user_ix: IntArray, item_ix: IntArray) -> Float32Array:
    """[n] the score of each pair, from scores of the users and items among them, in blocks of bounded size."""
    users, user_at = np.unique(user_ix, return_inverse=True)
    items, item_at = np.unique(item_ix, return_inverse=True)
    found = np.empty(len(user_ix), dtype=np.float32)
    order = np.argsort(user_at, kind="stable")
    height = max(1, CHUNK_SCORES // max(1, len(items)))
    for start in range(0, len(users), height):
        block = model.scores(users[start : start + height], items)
        low, high = np.searchsorted(user_at, [start, start + height], sorter=order)
        rows = order[low:high]
        found[rows] = block[user_at[rows] - start, item_at[rows]]
    return found
