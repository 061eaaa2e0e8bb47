"""Which items are like which, by what each form of a model knows of items."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from beautyrec.errors import ConfigError
from beautyrec.models.base import Recommender
from beautyrec.models.factors import FactorRecommender
from beautyrec.models.known import spans
from beautyrec.models.recommenders import ItemSimilarityRecommender
from beautyrec.models.top_k import best_columns
from beautyrec.serving.tables import Columns
from beautyrec.types import Float32Array, IntArray

CHUNK_SCORES = 2**20
"""Likenesses held at one time."""


@singledispatch
def likeness(model: Recommender, item_ix: IntArray) -> Float32Array:  # noqa: ARG001
    """[b, I] how like each item of the model is to each of ``item_ix`` [b]; -inf says *not at all*.

    Raises:
        ConfigError: models of this kind do not compare items.
    """
    raise ConfigError(f"similar_items: a model of the kind '{model.kind}' does not compare items. Use one of factors.")


@likeness.register
def _(model: FactorRecommender, item_ix: IntArray) -> Float32Array:
    """Cosine of the factors; 0 beside an item that has none."""
    factors = model.item_factors
    length = np.sqrt(np.einsum("id,id->i", factors, factors))
    length[length == 0] = 1
    cosine: Float32Array = (factors[item_ix] / length[item_ix, None]) @ factors.T
    cosine /= length
    return cosine


@likeness.register
def _(model: ItemSimilarityRecommender, item_ix: IntArray) -> Float32Array:
    """The weights of the neighbours; other items are none."""
    starts = model.indptr[item_ix]
    row, entry = spans(starts, model.indptr[item_ix + 1] - starts)
    weight = np.full((len(item_ix), len(model.items)), -np.inf, dtype=np.float32)
    weight[row, model.neighbour_ix[entry]] = model.similarity[entry]
    return weight


def similar(model: Recommender, item_ix: IntArray, k: int, candidates: IntArray | None) -> Columns:
    """``item_id, similar_item_id, score, rank``: the k items most like each of ``item_ix``, itself left out."""
    n_items = len(model.items)
    k = min(k, n_items)
    top, scores = np.empty((len(item_ix), k), dtype=np.int64), np.empty((len(item_ix), k), dtype=np.float32)
    refused = np.zeros(n_items, dtype=np.bool_)
    if candidates is not None:
        refused[:] = True
        refused[candidates] = False
    height = max(1, CHUNK_SCORES // max(1, n_items))
    for start in range(0, len(item_ix), height):
        rows = slice(start, start + height)
        like = likeness(model, item_ix[rows])
        like[:, refused] = -np.inf
        like[np.arange(len(like)), item_ix[rows]] = -np.inf
        top[rows], scores[rows] = best_columns(like, k)
    if not len(item_ix):
        likeness(model, item_ix)  # says where the model does not compare items
    row, place = np.nonzero(top >= 0)
    return {
        "item_id": model.items.ids_at(item_ix[row]),
        "similar_item_id": model.items.ids_at(top[row, place]),
        "score": scores[row, place],
        "rank": place + 1,
    }
