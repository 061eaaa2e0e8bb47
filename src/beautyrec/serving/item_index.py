"""An index of the items of a large catalogue: a graph that finds most of the best items and looks at few.

The graph is HNSW (Malkov and Yashunin, *Efficient and robust approximate nearest neighbor search using hierarchical navigable
small world graphs*, IEEE TPAMI 2020) by inner product, built and walked by the library ``faiss`` (extra ``index``). It is stored
as arrays, never in a format of that library: every index in it is checked before ``faiss`` sees it.

What the graph finds is scored again with 64-bit floats, so items have the scores of an exact search and lists do not depend on
who else is asked for.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from beautyrec.errors import ArtifactError, MissingExtraError
from beautyrec.models.factors import FactorRecommender
from beautyrec.serving.steady import CHUNK_FLOATS, SPARE, exactly_ordered
from beautyrec.types import BoolArray, Float32Array, IntArray

INDEX = "index.safetensors"
"""The file of an artifact that holds the graph."""

LARGEST_FETCH = 1024
"""Items that a walk may be asked for; users who took more than leaves room for their list are searched for exactly."""

_log = logging.getLogger(__name__)
Graph = Mapping[str, npt.NDArray[Any]]
"""``levels`` [I] of how many layers each item is part; ``neighbours`` [m] of each item in each of them, -1 for none;
``entry`` [1] the item at which a walk begins."""


class Answer(NamedTuple):
    """Lists from an index."""

    top: IntArray
    """[B, k] items, best first."""
    scores: Float32Array
    """[B, k]."""
    filled: BoolArray
    """[B] whether the user has a whole list; the others are to be searched for exactly."""


class ItemIndex:
    """A graph of the items of a factor model, ready to be walked; it never changes, so any number of threads may use one.

    Args:
        graph: that :func:`graph_of` has told, or :func:`check_graph` has found sound.
        facts: what the manifest says of it: ``k``, ``effort``, ``neighbours`` and more.
        model: with the items.

    Raises:
        MissingExtraError: ``faiss`` is not installed.
    """

    def __init__(self, graph: Graph, facts: Mapping[str, Any], model: FactorRecommender) -> None:
        self.facts = facts
        self._index = _empty(_vectors(model), facts["neighbours"])
        walked = self._index.hnsw
        layers = np.asarray(graph["levels"], dtype=np.int32)
        faiss = _faiss()
        faiss.copy_array_to_vector(layers, walked.levels)
        faiss.copy_array_to_vector(_offsets(layers, facts["neighbours"]).astype(np.uint64), walked.offsets)
        faiss.copy_array_to_vector(np.array(graph["neighbours"], dtype=np.int32), walked.neighbors)
        walked.entry_point, walked.max_level = int(graph["entry"][0]), int(layers.max()) - 1

    def with_effort(self, effort: int) -> Self:
        """The same graph, walked with so many items in view."""
        twin = copy.copy(self)
        twin.facts = {**self.facts, "effort": effort}
        return twin

    def serves(self, k: int, candidates: IntArray | None) -> bool:
        """Whether its recall was measured for such a request: all items, and lists no longer than those measured."""
        return candidates is None and k <= self.facts["k"]

    def top_k(self, model: FactorRecommender, user_ix: IntArray, k: int, *, exclude_seen: bool) -> Answer:
        """Nearly the best ``k`` items of each user, with the scores and in the order of an exact search.

        Args:
            model: of the index, or the same items with other users.
            user_ix: [B] index of each user, -1 for an unknown one.
            k: how many, at least 1.
            exclude_seen: leave out what the user took; so many more are looked for.
        """
        n = len(user_ix)
        found = Answer(np.full((n, k), -1), np.full((n, k), -np.inf, dtype=np.float32), np.zeros(n, dtype=np.bool_))
        counts = model.seen.counts(user_ix)
        wanted = k + SPARE + counts * exclude_seen
        fetch = 2 ** np.ceil(np.log2(wanted)).astype(np.int64)  # depends on the user alone, and takes few values
        fetch[(counts == 0) | (fetch > LARGEST_FETCH)] = 0
        for many in np.unique(fetch[fetch > 0]).tolist():
            alike = np.flatnonzero(fetch == many)
            height = max(1, CHUNK_FLOATS // (many * model.item_factors.shape[1]))
            for start in range(0, len(alike), height):
                rows = alike[start : start + height]
                top, scores = self._walk(model, user_ix[rows], min(many, len(model.items)), exclude_seen)
                have = min(k, top.shape[1])
                found.top[rows, :have], found.scores[rows, :have] = top[:, :have], scores[:, :have]
        found.filled[:] = (found.top >= 0).all(axis=1)
        return found

    def _walk(
        self, model: FactorRecommender, user_ix: IntArray, many: int, exclude_seen: bool
    ) -> tuple[IntArray, Float32Array]:
        """[b, many] what is found for each user, ordered; -1 after the last."""
        users = model.user_factors[user_ix]
        if model.item_bias is not None:
            users = np.column_stack([users, np.ones(len(users), dtype=np.float32)])
        parameters = _faiss().SearchParametersHNSW(efSearch=self.facts["effort"])
        _, top = self._index.search(np.ascontiguousarray(users, dtype=np.float32), many, params=parameters)
        if exclude_seen:
            row, entry = model.seen.entries(user_ix)
            n_items = len(model.items)
            taken = row * n_items + model.seen.item_ix[entry]
            top[np.isin(np.arange(len(top))[:, None] * n_items + top, taken)] = -1
        return exactly_ordered(model, user_ix, top)


def graph_of(model: FactorRecommender, neighbours: int, effort: int) -> dict[str, npt.NDArray[Any]]:
    """The graph of the items of a model, built by one thread: the same items give the same graph.

    Args:
        model: with the items.
        neighbours: of an item in each layer, twice as many in the first.
        effort: items looked at to find them.

    Raises:
        MissingExtraError: ``faiss`` is not installed.
    """
    faiss, vectors = _faiss(), _vectors(model)
    index = faiss.IndexHNSWFlat(vectors.shape[1], neighbours, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = effort
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        index.add(vectors)
    finally:
        faiss.omp_set_num_threads(threads)
    walked = index.hnsw
    return {
        "levels": faiss.vector_to_array(walked.levels).astype(np.int32),
        "neighbours": faiss.vector_to_array(walked.neighbors).astype(np.int32),
        "entry": np.array([walked.entry_point], dtype=np.int64),
    }


def library() -> str:
    """Name and version of the library that builds graphs."""
    return f"faiss {_faiss().__version__}"


def read_index(graph: Graph, facts: Mapping[str, Any], model: Any) -> ItemIndex | None:
    """The index of an artifact, once its graph is sound; None, and a warning, where ``faiss`` is not installed.

    Raises:
        ArtifactError: it is not the graph of the items of the model.
    """
    if not isinstance(model, FactorRecommender):
        raise ArtifactError(f"index: a model of the kind '{getattr(model, 'kind', '?')}' has no factors to search.")
    check_graph(graph, facts, len(model.items))
    try:
        return ItemIndex(graph, facts, model)
    except MissingExtraError as error:
        _log.warning("the artifact has an index of its items, but every search stays exact: %s", error)
        return None


def check_graph(graph: Graph, facts: Mapping[str, Any], n_items: int) -> None:
    """Raise where a walk over the graph could leave it.

    Raises:
        ArtifactError: says what is wrong.
    """
    _require({"k", "effort", "neighbours"} <= set(facts), "the manifest lacks k, effort or neighbours")
    numbers = [facts[name] for name in ("k", "effort", "neighbours")]
    _require(all(type(number) is int and 1 <= number <= LARGEST_FETCH for number in numbers), "its settings are wrong")
    _require(set(graph) == {"levels", "neighbours", "entry"}, f"its arrays are {sorted(graph)}")
    levels, around, entry = (graph[name] for name in ("levels", "neighbours", "entry"))
    right = levels.dtype == around.dtype == np.int32 and entry.dtype == np.int64
    _require(right and levels.shape == (n_items,) and entry.shape == (1,), "its arrays are of other types or shapes")
    _require(n_items > 0 and levels.min() >= 1 and levels.max() <= 32, "an item is part of no layer or of too many")
    offsets = _offsets(levels, facts["neighbours"])
    _require(around.shape == (offsets[-1],), "its layers do not fit its neighbours")
    _require(around.min() >= -1 and around.max() < n_items, "a neighbour is no item")
    start = int(entry[0])
    _require(0 <= start < n_items and levels[start] == levels.max(), "its entry is not in the last layer")
    item = np.flatnonzero(levels > 1)  # few: only these have neighbours above the first layer
    for layer in range(1, int(levels.max())):
        item = item[levels[item] > layer]
        first = offsets[item] + facts["neighbours"] * (layer + 1)
        there = around[first[:, None] + np.arange(facts["neighbours"])]
        _require(bool((levels[there[there >= 0]] > layer).all()), "a neighbour is not in the layer that names it")


def _offsets(levels: npt.NDArray[np.int32], neighbours: int) -> IntArray:
    """[I + 1] where the neighbours of each item begin: twice ``neighbours`` in the first layer, once in the others."""
    return np.concatenate([[0], np.cumsum((levels.astype(np.int64) + 1) * neighbours)])


def _vectors(model: FactorRecommender) -> Float32Array:
    """[I, d] what is searched: the factors, with the bias, where there is one, as one number more."""
    factors = np.ascontiguousarray(model.item_factors, dtype=np.float32)
    return factors if model.item_bias is None else np.column_stack([factors, model.item_bias])


def _empty(vectors: Float32Array, neighbours: int) -> Any:
    """An index that holds the vectors and no graph."""
    faiss = _faiss()
    index = faiss.IndexHNSWFlat(vectors.shape[1], neighbours, faiss.METRIC_INNER_PRODUCT)
    index.storage.add(vectors)
    index.ntotal = len(vectors)
    return index


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise MissingExtraError("faiss", "index") from None
    return faiss


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise ArtifactError(f"index: the graph is damaged: {problem}. Write the artifact again.")
