"""Lists that do not depend on who else is asked for: the same for a user alone, in a batch, and on any number of threads.

Matrix products of other shapes add in another order, and so differ in the last digits of a 32-bit float; two items whose scores
are nearly equal may change places by it. Where scores of a list are that close, they are computed again with 64-bit floats,
whose own last digits are far below any difference between 32-bit factors.
"""

from __future__ import annotations

import numpy as np

from beautyrec.models.base import Recommender
from beautyrec.models.factors import FactorRecommender
from beautyrec.types import Float32Array, IntArray

CLOSE = 4e-6
"""Difference of two scores, beside the largest of the list, below which their order is looked at again."""

SPARE = 4
"""Items after the last one wanted that may turn out to belong before it."""

CHUNK_FLOATS = 2**20
"""64-bit numbers held at one time, 8 MB."""


def steady_top_k(
    model: Recommender, user_ix: IntArray, k: int, *, exclude_seen: bool, candidates: IntArray | None
) -> tuple[IntArray, Float32Array]:
    """As :meth:`~beautyrec.models.base.Recommender.top_k`, with an order that depends on the user alone.

    Other forms than factors add for each user on its own already, and are left as they are.

    Examples:
        >>> import pandas as pd
        >>> from beautyrec.data.vocabulary import Vocabulary
        >>> from beautyrec.models.known import History, Known
        >>> ids = Vocabulary(pd.Index([1, 2]))
        >>> known = Known(ids, ids, History(np.array([0, 1, 2]), np.array([0, 1])), np.ones(2, np.float32))
        >>> model = FactorRecommender(known, np.eye(2, dtype=np.float32), np.ones((2, 2), np.float32))
        >>> steady_top_k(model, np.array([1, 0]), 2, exclude_seen=False, candidates=None)[0].tolist()
        [[0, 1], [0, 1]]
    """
    if not isinstance(model, FactorRecommender):
        return model.top_k(user_ix, k, exclude_seen=exclude_seen, candidates=candidates)
    top, values = model.top_k(user_ix, k + SPARE, exclude_seen=exclude_seen, candidates=candidates)
    with np.errstate(invalid="ignore"):  # -inf after the last item
        near = values[:, :-1] - values[:, 1:] <= CLOSE * np.abs(values[:, :1])
    again = np.flatnonzero(near.any(axis=1) & (model.seen.counts(user_ix) > 0))
    height = max(1, CHUNK_FLOATS // (top.shape[1] * max(1, model.item_factors.shape[1])))
    for start in range(0, len(again), height):
        rows = again[start : start + height]
        top[rows], values[rows] = exactly_ordered(model, user_ix[rows], top[rows])
    return top[:, :k], values[:, :k]


def exactly_ordered(model: FactorRecommender, user_ix: IntArray, top: IntArray) -> tuple[IntArray, Float32Array]:
    """The items [b, m] of each user, best first by scores of 64 bits, among equals the lower index; -1 stays last."""
    item_ix = np.maximum(top, 0)
    factors = model.item_factors[item_ix].astype(np.float64)
    score = np.einsum("bmd,bd->bm", factors, model.user_factors[user_ix].astype(np.float64))
    if model.item_bias is not None:
        score += model.item_bias[item_ix]
    score[top < 0] = -np.inf
    order = np.lexsort((np.where(top < 0, len(model.items), top), -score), axis=1)
    return np.take_along_axis(top, order, axis=1), np.take_along_axis(score, order, axis=1).astype(np.float32)
