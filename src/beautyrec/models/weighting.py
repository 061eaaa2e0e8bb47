"""What an interaction counts when items are compared: weights of text retrieval, an item as the document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict

from beautyrec.models.checks import require_bound
from beautyrec.types import FloatArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class BM25:
    """Okapi BM25 weights, an item as the document and its users as the terms.

    ``w(u, i) = idf(u) x (k1 + 1) / (x + k1 (1 - b + b |i| / mean |i|))`` where x is the weight of u and i, ``|i|`` the
    sum of the item's weights, ``idf(u) = ln(1 + (I - n_u + .5) / (n_u + .5))`` and ``n_u`` the number of the user's
    items. Robertson and Zaragoza, *The Probabilistic Relevance Framework: BM25 and Beyond* (2009), eq. 3.15.
    """

    k1: float = 1.2
    """How soon more of the same stops to count."""
    b: float = 0.75
    """How much the weights of items with many users are lowered, 0 to 1."""
    kind: Literal["bm25"] = "bm25"
    """What tells it from other weights in TOML."""
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    def __post_init__(self) -> None:
        require_bound("weighting.bm25", "k1", self.k1, 0)
        require_bound("weighting.bm25", "b", self.b, 0, 1)

    def __call__(self, matrix: csr_matrix) -> csr_matrix:
        """[U, I] the weights in place of those of ``matrix``."""
        length = np.asarray(matrix.sum(axis=0)).ravel()
        taken = np.diff(matrix.indptr)
        idf = np.log1p((matrix.shape[1] - taken + 0.5) / (taken + 0.5))
        norm = self.k1 * (1 - self.b + self.b * length / max(float(length.mean()), 1e-12))
        x = matrix.data
        return _with(matrix, np.repeat(idf, taken) * x * (self.k1 + 1) / (x + norm[matrix.indices]))


@dataclass(frozen=True)
class TfIdf:
    """Weights that count a user the less, the more items the user took, an item as the document.

    ``w(u, i) = x idf(u)`` where x is the weight of u and i, ``idf(u) = 1 + ln((1 + I) / (1 + n_u))`` and ``n_u`` the
    number of the user's items. Salton and Buckley, *Term-weighting approaches in automatic text retrieval* (1988), with
    scikit-learn's ones in the logarithm and before it.
    """

    kind: Literal["tf_idf"] = "tf_idf"
    """What tells it from other weights in TOML."""
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    def __call__(self, matrix: csr_matrix) -> csr_matrix:
        """[U, I] the weights in place of those of ``matrix``."""
        taken = np.diff(matrix.indptr)
        idf = 1 + np.log((1 + matrix.shape[1]) / (1 + taken))
        return _with(matrix, np.repeat(idf, taken) * matrix.data)


def _with(matrix: csr_matrix, data: FloatArray) -> csr_matrix:
    """A matrix with other entries at the places of ``matrix``."""
    from scipy.sparse import csr_matrix

    return csr_matrix((data.astype(np.float32), matrix.indices, matrix.indptr), shape=matrix.shape)
