"""Whether the arrays of a model can be what they say: indices that point to something, numbers that are numbers.

The checksums of an artifact say that it was not changed since it was written. These checks say that whatever wrote it,
scoring with it ends, and reads no memory that is not its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from beautyrec.errors import ArtifactError
from beautyrec.models.state import ModelState

Array = npt.NDArray[Any]


def check_numbers(state: ModelState) -> None:
    """Raise where a number is NaN or infinite.

    Raises:
        ArtifactError: names the array and counts.
    """
    for name, array in state.arrays.items():
        bad = int(np.count_nonzero(~np.isfinite(array))) if array.dtype.kind == "f" else 0
        if bad:
            raise ArtifactError(f"arrays: {bad} of {array.size} values of '{name}' are not finite.")


def check_recommender(state: ModelState, n_users: int, n_items: int) -> None:
    """Raise where the indices of a recommender point outside of its users, items or entries.

    Args:
        state: of a recommender.
        n_users: U.
        n_items: I.

    Raises:
        ArtifactError: names the array.
    """
    arrays = state.arrays
    _check_rows("seen_indptr", arrays["seen_indptr"], n_users, len(arrays["seen_item_ix"]))
    _check_index("seen_item_ix", arrays["seen_item_ix"], n_items)
    if "neighbour_ix" in arrays:
        _check_rows("indptr", arrays["indptr"], n_items, len(arrays["neighbour_ix"]))
        _check_index("neighbour_ix", arrays["neighbour_ix"], n_items)
    whole = {"seen_indptr", "seen_item_ix", "indptr", "neighbour_ix", "value_keys", "value_items"}
    vocabulary = {name for name in arrays if name.startswith(("users_", "items_"))}
    bounds = {name for name in arrays if name.startswith("edges_")}
    for name in whole & set(arrays):
        _require(arrays[name].dtype == np.int64, name, "it has to be of 64-bit integers")
    for name in bounds:
        _require(arrays[name].dtype == np.float64, name, "it has to be of 64-bit floats")
    for name in set(arrays) - whole - vocabulary - bounds:
        _require(arrays[name].dtype == np.float32, name, "it has to be of 32-bit floats")


def check_funnel(state: ModelState) -> None:
    """Raise where a number of a funnel model is not of 64 bits, its networks' parameters aside.

    Args:
        state: of a funnel model.

    Raises:
        ArtifactError: names the array.
    """
    for name, array in state.arrays.items():
        whole = array.dtype.kind != "f" or name.startswith("net.")
        _require(whole or array.dtype == np.float64, name, "it has to be of 64-bit floats")


def check_trees(state: ModelState, prefix: str, n_features: int) -> None:
    """Raise where trees are not trees: every node but a root is the child of one node, and stands after it.

    Args:
        state: of a model of trees.
        prefix: of the names of the arrays.
        n_features: how many features there are to test.

    Raises:
        ArtifactError: names the array.
    """
    start, feature = state.array(prefix + "start", (None,)), state.array(prefix + "feature", (None,))
    n = len(feature)
    _check_rows(prefix + "start", start, len(start) - 1, n)
    _require(bool((np.diff(start) > 0).all()), prefix + "start", "a tree has no nodes")
    _check_index(prefix + "feature", feature, n_features, low=-1)
    for name in ("threshold", "value"):
        _require(state.array(prefix + name, (n,)).dtype == np.float64, prefix + name, "it has to be of 64-bit floats")
    _require(state.array(prefix + "missing_left", (n,)).dtype == bool, prefix + "missing_left", "it has to be boolean")
    tree = np.repeat(np.arange(len(start) - 1), np.diff(start))
    inner = feature >= 0
    own = np.arange(n)[inner] - start[tree[inner]]
    children = []
    for name in ("left", "right"):
        child = state.array(prefix + name, (n,))
        _check_index(prefix + name, child, n)
        ahead = (child[inner] > own) & (child[inner] < np.diff(start)[tree[inner]])
        _require(bool(ahead.all()), prefix + name, "a child does not stand after its parent in the same tree")
        children.append(start[tree[inner]] + child[inner])
    parents = np.bincount(np.concatenate(children).astype(np.int64), minlength=n)
    parents[start[:-1]] += 1
    _require(bool((parents == 1).all()), prefix + "left", "a node has no parent, or two")


def _check_rows(name: str, indptr: Array, rows: int, entries: int) -> None:
    """``indptr`` [rows + 1] goes up from 0 to ``entries``."""
    _require(indptr.dtype == np.int64, name, "it has to be of 64-bit integers")
    _require(indptr.shape == (rows + 1,), name, f"it has the shape {indptr.shape}, expected {(rows + 1,)}")
    up = bool((np.diff(indptr) >= 0).all()) and indptr[0] == 0 and indptr[-1] == entries
    _require(up, name, f"it does not go up from 0 to {entries}")


def _check_index(name: str, index: Array, size: int, low: int = 0) -> None:
    """``index`` points into ``size`` things; ``low`` may be -1 for none."""
    _require(index.dtype == np.int64, name, "it has to be of 64-bit integers")
    inside = not index.size or (index.min() >= low and index.max() < size)
    _require(bool(inside), name, f"an index is not from {low} to {size - 1}")


def _require(holds: bool, name: str, problem: str) -> None:
    if not holds:
        raise ArtifactError(f"arrays: '{name}' is damaged: {problem}.")
