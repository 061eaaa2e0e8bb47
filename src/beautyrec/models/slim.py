"""Every item from its neighbours: small regressions, one an item, whose work and memory grow with the items only.

Both models here choose for each item the items nearest to it by cosine and solve among these alone, many items at a
time. SLIM's authors call that feature selection (fsSLIM); with a ridge instead of an elastic net it is EASE cut to a
neighbourhood, an inverse that is approximated on a chosen sparse pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from beautyrec.data.interactions import Interactions
from beautyrec.models.base import Known
from beautyrec.models.checks import require_bound, require_events, require_finite
from beautyrec.models.known import spans
from beautyrec.models.neighbours import nearest_items
from beautyrec.models.recommenders import ItemSimilarityRecommender
from beautyrec.types import BoolArray, Float32Array, IntArray, Progress

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BLOCK_FLOATS = 2**22
"""Numbers of the matrices solved together, 16 MB of them, whatever the number of items."""

BLOCK_ENTRIES = 2**21
"""Interactions of the neighbours looked at together."""

Solver = Callable[[Float32Array, Float32Array], Float32Array]
"""Weights [b, n] from the matrices [b, n, n] of what neighbours share, and what they share with their item [b, n]."""


@dataclass(frozen=True)
class SLIM:
    """Sparse item weights of an elastic net, none below 0.

    For each item j, over its neighbours i: minimises ``|x_j - sum_i x_i w_i|^2 / 2 + l2 |w|^2 / 2 + l1 sum_i w_i`` with
    ``w >= 0``, by coordinate descent on ``X'X``. As all that is in X is above 0, an item that shares no user with j has
    no weight in the optimum, so with ``neighbours`` of I - 1 nothing is left out. The score is
    ``sum_e decay ** steps_back(e) * w_(i_e) of j``. Ning and Karypis, *SLIM: Sparse Linear Methods for Top-N Recommender
    Systems* (ICDM 2011), eq. 3 and, for the neighbours, section IV-C; Friedman, Hastie and Tibshirani, *Regularization
    Paths for Generalized Linear Models via Coordinate Descent* (2010), section 2.2.

    Examples:
        >>> import pandas as pd
        >>> log = Interactions.from_frame(pd.DataFrame({"user_id": [1, 1, 2, 2, 3], "item_id": list("ababa"),
        ...     "ts": pd.to_datetime(["2026-01-01"] * 5, utc=True)}))
        >>> SLIM(l1=0.1, l2=1.0).fit(log).recommend([3], 1)["item_id"].tolist()
        ['b']
    """

    l1: float = 0.3
    """Pull of each weight to exactly 0, in interactions of weight 1."""
    l2: float = 50.0
    """Pull of the weights towards 0, growing with them."""
    neighbours: int = 100
    """Items that can have a weight for an item, its nearest by cosine."""
    decay: float = 0.7
    """Weight of an item of the history relative to the one after it when scoring; 1 forgets the order."""
    sweeps: int = 100
    """Passes over the neighbours at most."""
    tolerance: float = 1e-4
    """A block is done when no weight moved by more in a pass."""

    def __post_init__(self) -> None:
        require_bound("slim", "l1", self.l1, 0)
        require_bound("slim", "l2", self.l2, 1e-6)
        require_bound("slim", "neighbours", self.neighbours, 1)
        require_bound("slim", "decay", self.decay, 1e-6, 1)
        require_bound("slim", "sweeps", self.sweeps, 1)
        require_bound("slim", "tolerance", self.tolerance, 0)

    def fit(
        self,
        train: Interactions,
        *,
        seed: int = 0,  # noqa: ARG002  (nothing is drawn)
        on_progress: Progress | None = None,
    ) -> ItemSimilarityRecommender:
        """Solve blocks of items in memory that is bounded.

        Raises:
            FitError: ``train`` has fewer than two events.
            MissingExtraError: ``scipy`` is not installed.
        """
        require_events(train, "slim")
        similar = neighbourhood_weights(train.matrix(), self.neighbours, self._descend, on_progress)
        require_finite("slim", similar.data)
        return ItemSimilarityRecommender.of(Known.of(train), train.weight, similar, self.decay)

    def _descend(self, shared: Float32Array, target: Float32Array) -> Float32Array:
        """The weights by coordinate descent, one neighbour of all items of the block at a time."""
        by_neighbour = np.ascontiguousarray(shared.transpose(1, 0, 2))  # [n, b, n]
        own = np.ascontiguousarray(np.diagonal(shared, axis1=1, axis2=2).T)  # [n, b]
        scale = 1 / (own + np.float32(self.l2))
        weight = np.zeros_like(own)
        rest = target - np.float32(self.l1)  # [b, n] what each neighbour shares with what is not yet explained, less l1
        for _ in range(self.sweeps):
            largest = 0.0
            for c in range(len(weight)):
                better = np.maximum(rest[:, c] + own[c] * weight[c], 0) * scale[c]
                step = better - weight[c]
                moved = np.flatnonzero(step)
                if not len(moved):
                    continue
                largest = max(largest, float(np.abs(step).max()))
                weight[c] = better
                rest[moved] -= by_neighbour[c, moved] * step[moved, None]
            if largest <= self.tolerance:
                break
        return weight.T


@dataclass(frozen=True)
class LocalEASE:
    """EASE solved for each item among its nearest neighbours only, for catalogues whose full inverse does not fit.

    For each item j, with S its ``neighbours`` nearest by cosine: ``w = (X_S'X_S + regularization)^-1 X_S'x_j``, a ridge
    regression. With all other items in S it is :class:`beautyrec.models.ease.EASE`. The score is
    ``sum_e decay ** steps_back(e) * w_(i_e) of j``. The objective is Steck, *Embarrassingly Shallow Autoencoders for
    Sparse Data* (WWW 2019); the columns solved apart on a chosen pattern are a sparse approximate inverse as in Grote
    and Huckle, *Parallel Preconditioning with Sparse Approximate Inverses* (1997). Spišák et al., *Scalable Approximate
    NonSymmetric Autoencoder for Collaborative Filtering* (RecSys 2023) reach the same end by a sparse Cholesky factor,
    which this does not.

    Memory grows with I x ``neighbours``, work with I x ``neighbours``^3.

    Examples:
        >>> import pandas as pd
        >>> log = Interactions.from_frame(pd.DataFrame({"user_id": [1, 1, 2, 2, 3], "item_id": list("ababa"),
        ...     "ts": pd.to_datetime(["2026-01-01"] * 5, utc=True)}))
        >>> LocalEASE(regularization=1.0).fit(log).recommend([3], 1)["item_id"].tolist()
        ['b']
    """

    regularization: float = 50.0
    """Pull of the weights towards 0, in interactions of weight 1."""
    neighbours: int = 100
    """Items that have a weight for an item, its nearest by cosine."""
    decay: float = 0.7
    """Weight of an item of the history relative to the one after it when scoring; 1 forgets the order."""

    def __post_init__(self) -> None:
        require_bound("local_ease", "regularization", self.regularization, 1e-6)
        require_bound("local_ease", "neighbours", self.neighbours, 1)
        require_bound("local_ease", "decay", self.decay, 1e-6, 1)

    def fit(
        self,
        train: Interactions,
        *,
        seed: int = 0,  # noqa: ARG002  (nothing is drawn)
        on_progress: Progress | None = None,
    ) -> ItemSimilarityRecommender:
        """Solve blocks of items in memory that is bounded.

        Raises:
            FitError: ``train`` has fewer than two events, or the weights are not finite.
            MissingExtraError: ``scipy`` is not installed.
        """
        require_events(train, "local_ease")
        similar = neighbourhood_weights(train.matrix(), self.neighbours, self._solve, on_progress)
        require_finite("local_ease", similar.data)
        return ItemSimilarityRecommender.of(Known.of(train), train.weight, similar, self.decay)

    def _solve(self, shared: Float32Array, target: Float32Array) -> Float32Array:
        """The weights by one elimination an item."""
        ridge = np.float32(self.regularization) * np.eye(shared.shape[1], dtype=np.float32)
        weight: Float32Array = np.linalg.solve(shared + ridge, target[:, :, None])[:, :, 0]
        return weight


def neighbourhood_weights(
    matrix: csr_matrix, neighbours: int, solve: Solver, on_progress: Progress | None = None
) -> csr_matrix:
    """What the neighbours of each item say for it, by a regression among them.

    Args:
        matrix: [U, I] weights of users and items.
        neighbours: how many neighbours an item has at most.
        solve: the regression; neighbours that are only padding share nothing with any.
        on_progress: told after each block of items.

    Returns:
        [I, I] row i has the weights of i for each item it is a neighbour of.
    """
    from scipy.sparse import csr_matrix

    near = nearest_items(matrix, neighbours)
    by_item = matrix.T.tocsr()
    values = np.zeros(near.nnz, dtype=np.float32)
    blocks = list(_blocks(by_item, near))
    for done, block in enumerate(blocks, start=1):
        shared, target, there = _shared(by_item, near, block)
        first = near.indptr[block].astype(np.int64)
        values[(first[:, None] + np.arange(target.shape[1]))[there]] = solve(shared, target)[there]
        if on_progress:
            on_progress(done, len(blocks))
    if on_progress and not blocks:
        on_progress(1, 1)
    weights = csr_matrix((values, near.indices, near.indptr), shape=near.shape).T.tocsr()
    weights.eliminate_zeros()
    return weights


def _blocks(by_item: csr_matrix, near: csr_matrix) -> Iterator[IntArray]:
    """Items with about as many neighbours, together within ``BLOCK_FLOATS`` and ``BLOCK_ENTRIES`` unless it is one."""
    counts, users = np.diff(near.indptr), np.diff(by_item.indptr)
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    entries = np.cumsum((near.astype(bool) @ users + users)[order])
    start = 0
    while start < len(order):
        before = entries[start - 1] if start else 0
        fits = int(np.searchsorted(entries, before + BLOCK_ENTRIES, side="right"))
        end = min(fits, start + BLOCK_FLOATS // (int(counts[order[start]]) + 1) ** 2)
        end = max(end, start + 1)
        yield order[start:end]
        start = end


def _shared(by_item: csr_matrix, near: csr_matrix, block: IntArray) -> tuple[Float32Array, Float32Array, BoolArray]:
    """What neighbours share: with each other [b, n, n], with the item [b, n], and which are not padding [b, n].

    The items of all neighbourhoods are rows of one matrix in which each neighbourhood has users of its own, so that one
    sparse product makes all of them.
    """
    from scipy.sparse import csr_matrix

    counts = np.diff(near.indptr)[block]
    width = int(counts.max())
    there = np.arange(width) < counts[:, None]
    around = np.full((len(block), width + 1), -1)
    around[:, 0] = block
    around[:, 1:][there] = near.indices[spans(near.indptr[block].astype(np.int64), counts)[1]]
    group, place = np.nonzero(around >= 0)
    items = around[group, place]
    taken = np.diff(by_item.indptr)[items]
    row, entry = spans(by_item.indptr[items].astype(np.int64), taken)
    users, column = np.unique(group[row] * by_item.shape[1] + by_item.indices[entry], return_inverse=True)
    pointers = np.concatenate([[0], np.cumsum(taken)])
    rows = csr_matrix((by_item.data[entry], column, pointers), shape=(len(items), len(users)))
    product = (rows @ rows.T).tocoo()
    both = np.zeros((len(block), width + 1, width + 1), dtype=np.float32)
    both[group[product.row], place[product.row], place[product.col]] = product.data
    return both[:, 1:, 1:], both[:, 0, 1:], there
