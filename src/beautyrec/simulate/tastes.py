"""What shoppers like, taken from what they bought by a way that no model under test goes.

The models count who bought what together with what (neighbours, factors, sequences) or share categories and brands.
The tastes here come from words: each product is the text of its title, brand and category path, TF-IDF weighted and
reduced by a truncated SVD (latent semantic analysis: Deerwester et al. 1990, "Indexing by Latent Semantic Analysis"),
and a shopper likes what reads like the things they bought. Text and categories overlap, as they do in a real shop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from beautyrec.data import schema
from beautyrec.errors import MissingExtraError
from beautyrec.types import Float32Array, FloatArray, IntArray

CLIP = 3.0
"""Taste is held within this many standard deviations: one exact match in words doesn't make a click certain."""


@dataclass(frozen=True, eq=False)
class Bought:
    """Who bought what: ``user_ix`` [n] of ``users``, ``row`` [n] of the item table."""

    user_ix: IntArray
    row: IntArray
    users: int


@dataclass(frozen=True, eq=False)
class Tastes:
    """Vectors whose product is the liking.

    Args:
        users: [U, d].
        items: [I, d], in the order of the item table.
    """

    users: Float32Array
    items: Float32Array


class TasteRoute(Protocol):
    """A way to tastes."""

    def __call__(self, bought: Bought, table: pd.DataFrame, *, seed: int) -> Tastes:
        """The tastes of all shoppers for all products of ``table``."""
        ...


@dataclass(frozen=True)
class ContentTastes:
    """Tastes from words: the shrunk mean of the content vectors bought.

    Args:
        dimensions: of the content vectors; 32 keep some tens of kinds of products apart.
        shrinkage: purchases that the average shopper counts for: with n purchases the mean is multiplied by
            ``n / (n + shrinkage)``.
    """

    dimensions: int = 32
    shrinkage: float = 3.0

    def __call__(self, bought: Bought, table: pd.DataFrame, *, seed: int) -> Tastes:
        """The tastes; needs scikit-learn.

        Raises:
            MissingExtraError: scikit-learn is not installed.
        """
        items = _content(table, self.dimensions, seed)
        items = items - items[bought.row].mean(axis=0)
        users = shrunk_means(items[bought.row], bought, self.shrinkage)
        return Tastes(users.astype(np.float32), items.astype(np.float32))


@dataclass(frozen=True)
class RandomTastes:
    """Tastes drawn at random, apart from all purchases: for small worlds in tests, where only the arithmetic counts."""

    dimensions: int = 4

    def __call__(self, bought: Bought, table: pd.DataFrame, *, seed: int) -> Tastes:
        """Independent standard normal vectors."""
        rng = np.random.default_rng([seed, 11])
        users = rng.standard_normal((bought.users, self.dimensions), dtype=np.float32)
        return Tastes(users, rng.standard_normal((len(table), self.dimensions), dtype=np.float32))


def shrunk_means(values: FloatArray, bought: Bought, shrinkage: float) -> FloatArray:
    """[U, d] the sum of each user's ``values`` [n, d] over (their number + ``shrinkage``).

    Examples:
        >>> shrunk_means(np.array([[1.0], [3.0]]), Bought(np.array([0, 0]), np.array([0, 1]), 2), 2.0).tolist()
        [[1.0], [0.0]]
    """
    total = np.stack(
        [np.bincount(bought.user_ix, weights=column, minlength=bought.users) for column in values.T], axis=1
    )
    count = np.bincount(bought.user_ix, minlength=bought.users)
    return np.asarray(total / np.maximum(count + shrinkage, 1e-9)[:, None])


def on_unit_spread(tastes: Tastes, rows: IntArray) -> Tastes:
    """The tastes scaled so that over all (user, item of ``rows``) pairs their product has standard deviation 1.

    Users are centred first: each product's mean over users is then 0, so that taste is purely personal and what
    everybody likes is left to a product's appeal. The second moment of the products is ``trace(E[uu'] E[vv'])``,
    exactly.

    Args:
        tastes: of U users and I items.
        rows: [L] the items to keep.
    """
    users = tastes.users.astype(np.float64)
    users -= users.mean(axis=0)
    items = tastes.items[rows].astype(np.float64)
    second = np.einsum("de,de->", users.T @ users / len(users), items.T @ items / len(items))
    scale = 1 / np.sqrt(second) if second > 0 else 0.0
    return Tastes((users * scale).astype(np.float32), items.astype(np.float32))


def _content(table: pd.DataFrame, dimensions: int, seed: int) -> FloatArray:
    """[I, d] content vectors of unit length from titles, brands and categories."""
    try:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError:
        raise MissingExtraError("scikit-learn", "train") from None
    path = table[schema.CATEGORY_PATH].fillna("").str.replace("|", " ", regex=False)
    text = table[schema.TITLE].fillna("") + " " + table[schema.BRAND].fillna("") + " " + path
    weights = TfidfVectorizer(min_df=2, sublinear_tf=True).fit_transform(text)
    size = min(dimensions, weights.shape[1] - 1)
    vectors = np.asarray(TruncatedSVD(size, random_state=seed).fit_transform(weights), dtype=np.float64)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
