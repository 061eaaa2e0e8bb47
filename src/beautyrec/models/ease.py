"""EASE: every item from all others at once, by one inverse of the matrix of what was taken together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from beautyrec.data.interactions import Interactions
from beautyrec.errors import FitError
from beautyrec.models.base import Known
from beautyrec.models.checks import require_bound, require_events, require_finite
from beautyrec.models.known import recency_weight
from beautyrec.models.neighbours import item_blocks
from beautyrec.models.recommenders import ItemSimilarityRecommender
from beautyrec.models.top_k import best_columns
from beautyrec.types import Float32Array, Progress

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BLOCK = 1_024
"""Rows of a dense matrix looked at together."""


@dataclass(frozen=True)
class EASE:
    """Item weights that minimise ``|X - X B|^2 + regularization |B|^2`` with a diagonal of B of 0, in closed form.

    With ``P = (X'X + regularization)^-1`` they are ``B_ij = -P_ij / P_jj``; P comes from a Cholesky factor in 32-bit
    floats, half the work of a general inverse. The weight of an entry of X is that of the log, times ``train_decay`` a
    step back in the user's history; the score is ``sum_e decay ** steps_back(e) * B[i_e, j]``. Steck, *Embarrassingly
    Shallow Autoencoders for Sparse Data* (WWW 2019), eq. 8.

    A fit holds one dense matrix of I x I 32-bit floats, 4 I^2 bytes, and little else: 0.6 GB at 12,101 items, 1.6 GB at
    20,000. The work is I^3 multiplications. For larger catalogues there is :class:`beautyrec.models.slim.LocalEASE`. Of
    B the largest ``neighbours`` of each row are kept, which leaves out what hardly changes a list.

    Examples:
        >>> import pandas as pd
        >>> log = Interactions.from_frame(pd.DataFrame({"user_id": [1, 1, 2, 2, 3], "item_id": list("ababa"),
        ...     "ts": pd.to_datetime(["2026-01-01"] * 5, utc=True)}))
        >>> EASE(regularization=1.0).fit(log).recommend([3], 1)["item_id"].tolist()
        ['b']
    """

    regularization: float = 100.0
    """Pull of the weights towards 0, in interactions of weight 1."""
    decay: float = 0.7
    """Weight of an item of the history relative to the one after it when scoring; 1 forgets the order."""
    train_decay: float = 1.0
    """The same in the matrix that is fitted."""
    neighbours: int = 200
    """Items kept that each item of a history says something for; with all of them the model is exact."""
    max_items: int = 20_000
    """Larger catalogues are refused before their memory is asked for."""

    def __post_init__(self) -> None:
        require_bound("ease", "regularization", self.regularization, 1e-6)
        require_bound("ease", "decay", self.decay, 1e-6, 1)
        require_bound("ease", "train_decay", self.train_decay, 1e-6, 1)
        require_bound("ease", "neighbours", self.neighbours, 1)
        require_bound("ease", "max_items", self.max_items, 1)

    def fit(
        self,
        train: Interactions,
        *,
        seed: int = 0,  # noqa: ARG002  (nothing is drawn)
        on_progress: Progress | None = None,
    ) -> ItemSimilarityRecommender:
        """Invert; BLAS takes as many threads as it is given.

        Raises:
            FitError: ``train`` has fewer than two events, there are more than ``max_items`` items, or the matrix has no
                inverse in 32-bit floats.
            MissingExtraError: ``scipy`` is not installed.
        """
        require_events(train, "ease")
        n_items = len(train.items)
        if n_items > self.max_items:
            raise FitError(
                f"ease: {n_items} items need a dense matrix of {4e-9 * n_items**2:.1f} GB; max_items is {self.max_items}. "
                "Raise max_items where that memory is there, leave out items that are hardly taken, or use local_ease."
            )
        known = Known.of(train)
        recent = replace(train, weight=train.weight * recency_weight(known.seen, self.train_decay))
        steps = iter(range(1, 4))

        def done() -> None:
            if on_progress:
                on_progress(next(steps), 3)

        matrix = gram(recent.matrix())
        matrix[np.diag_indices(n_items)] += np.float32(self.regularization)
        done()
        inverse = _inverse(matrix, self.regularization)
        done()
        similar = _largest_weights(inverse, self.neighbours)
        done()
        return ItemSimilarityRecommender.of(known, train.weight, similar, self.decay)


def gram(matrix: csr_matrix) -> Float32Array:
    """[I, I] the dense ``X'X`` of ``matrix`` [U, I], made in blocks of items."""
    by_item = matrix.T.tocsr()
    dense = np.zeros((matrix.shape[1],) * 2, dtype=np.float32)
    for block in item_blocks(matrix, by_item):
        (by_item[block] @ matrix).toarray(out=dense[block])
    return dense


def _inverse(matrix: Float32Array, smallest: float) -> Float32Array:
    """[I, I] the inverse of a symmetric matrix whose eigenvalues are at least ``smallest``, in its place.

    Raises:
        FitError: it has no Cholesky factor in 32-bit floats, or one that rounding has spoilt: no square on the diagonal
            of the factor can be below the smallest eigenvalue.
    """
    from scipy.linalg import lapack

    factor, wrong = lapack.spotrf(matrix.T, lower=1, clean=0, overwrite_a=1)  # transposed: LAPACK goes by columns
    if wrong or not (np.diag(factor) ** 2 > smallest / 2).all():
        raise FitError(
            f"ease: the matrix of {len(matrix)} items has no inverse in 32-bit floats with a regularization of "
            f"{smallest:g}. Raise it."
        )
    inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    upper: Float32Array = inverse.T
    for start in range(0, len(upper), BLOCK):
        end = min(start + BLOCK, len(upper))
        corner = np.triu(upper[start:end, start:end])
        upper[start:end, start:end] = corner + np.triu(corner, 1).T
        upper[end:, start:end] = upper[start:end, end:].T
    require_finite("ease", np.diag(upper))
    return upper


def _largest_weights(inverse: Float32Array, neighbours: int) -> csr_matrix:
    """[I, I] the largest weights ``-P_ij / P_jj`` of each row i, its own item left out."""
    from scipy.sparse import csr_matrix

    n_items = len(inverse)
    scale: Float32Array = np.float32(-1) / np.diag(inverse)
    columns, values = [], []
    for start in range(0, n_items, BLOCK):
        weight: Float32Array = inverse[start : start + BLOCK] * scale
        weight[np.arange(len(weight)), np.arange(start, start + len(weight))] = -np.inf
        best, value = best_columns(weight, min(neighbours, n_items))
        columns.append(best)
        values.append(value)
    column, value = np.concatenate(columns), np.concatenate(values)
    row, place = np.nonzero((column >= 0) & (value != 0))
    return csr_matrix((value[row, place], (row, column[row, place])), shape=(n_items, n_items))
