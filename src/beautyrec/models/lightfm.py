"""Factorisation that knows items and users by their features, by the library ``rectools-lightfm``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from beautyrec.data.interactions import Interactions
from beautyrec.errors import MissingExtraError
from beautyrec.models.base import Known
from beautyrec.models.checks import not_finite, require_bound, require_events, require_finite
from beautyrec.models.featured import FeatureFactorRecommender
from beautyrec.models.item_features import ItemFeatures, UserProfiles
from beautyrec.types import Float32Array, Progress

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class LightFM:
    """Factorisation where an item's factors are the weighted mean of those of its features, itself being one of them.

    ``s_ui = x_u . sum_f a_if y_f + sum_f a_if b_f``, fitted by WARP: wrong items are drawn until one scores too high.
    Features are the columns of ``item_features`` that the item table of the log has. An item that nobody has taken is the
    mean of its features alone. With ``user_features`` a user is likewise the mean of its own factors and of those of the
    features of what it took, and a user who comes later is folded in by these alone. Kula, *Metadata Embeddings for
    User and Item Cold-start Recommendations* (CBRecSys 2015); Weston, Bengio and Usunier, *WSABIE* (IJCAI 2011).

    Examples:
        >>> import pandas as pd
        >>> log = Interactions.from_frame(pd.DataFrame({"user_id": [1, 1, 2, 2, 3], "item_id": list("ababa"),
        ...     "ts": pd.to_datetime(["2026-01-01"] * 5, utc=True)}))
        >>> LightFM(factors=2, epochs=3).fit(log).recommend([3], 1)["item_id"].tolist()
        ['b']
    """

    factors: int = 128
    """Dimensions of the factors."""
    epochs: int = 30
    """Passes over the interactions."""
    learning_rate: float = 0.05
    """First step of Adagrad."""
    item_features: tuple[str, ...] = ("category", "brand")
    """Columns of the item table used as features; those that the table lacks are left out. Fractional numbers, such as
    prices, are cut into twenty groups of like size."""
    text_features: tuple[str, ...] = ()
    """Columns of text, each of whose words is a feature; likewise."""
    least_items: int = 1
    """Items taken that must share a value or a word for it to count."""
    feature_weight: float = 1.0
    """Weight of a value that one item has; n items taken that share one give it ``1 / sqrt(n)`` of that. The item itself
    weighs 1, and the weights of an item are scaled to sum to 1."""
    user_features: bool = False
    """Whether users have the features of what they took, besides factors of their own."""
    user_feature_weight: float = 1.0
    """Weight of these together; the user itself weighs 1, and the weights of a user are scaled to sum to 1."""
    history_decay: float = 0.7
    """How much an item taken says for a user's features, relative to the next one."""
    item_alpha: float = 1e-5
    """L2 penalty on the features of items."""
    user_alpha: float = 1e-5
    """L2 penalty on users and their features."""
    max_sampled: int = 10
    """Wrong items drawn at most for one interaction."""

    def __post_init__(self) -> None:
        require_bound("lightfm", "factors", self.factors, 1)
        require_bound("lightfm", "epochs", self.epochs, 1)
        require_bound("lightfm", "learning_rate", self.learning_rate, 1e-9)
        require_bound("lightfm", "least_items", self.least_items, 1)
        require_bound("lightfm", "feature_weight", self.feature_weight, 0)
        require_bound("lightfm", "user_feature_weight", self.user_feature_weight, 0)
        require_bound("lightfm", "history_decay", self.history_decay, 1e-6, 1)
        require_bound("lightfm", "item_alpha", self.item_alpha, 0)
        require_bound("lightfm", "user_alpha", self.user_alpha, 0)
        require_bound("lightfm", "max_sampled", self.max_sampled, 1)

    def fit(
        self, train: Interactions, *, seed: int = 0, on_progress: Progress | None = None
    ) -> FeatureFactorRecommender:
        """Descend in one thread: several would write over each other, and no two fits would be alike.

        Raises:
            FitError: ``train`` has fewer than two events, or the factors are not finite.
            MissingExtraError: ``rectools-lightfm`` is not installed.
        """
        require_events(train, "lightfm")
        try:
            from lightfm import LightFM as Model
        except ModuleNotFoundError:
            raise MissingExtraError("lightfm", "hybrid") from None

        model = Model(
            no_components=self.factors,
            loss="warp",
            learning_rate=self.learning_rate,
            item_alpha=self.item_alpha,
            user_alpha=self.user_alpha,
            max_sampled=self.max_sampled,
            random_state=seed,
        )
        known, features = Known.of(train), self._known_features(train)
        items, users = self._items(train, features), self._users(train, known, features)
        weight = train.matrix().tocoo()
        positive = weight.copy()
        positive.data = np.ones_like(weight.data)
        sides: dict[str, Any] = {"item_features": items, "user_features": users}
        for epoch in range(self.epochs):
            try:
                model.fit_partial(positive, **sides, sample_weight=weight, epochs=1, num_threads=1)
            except ValueError:  # what it raises where an embedding is not finite; its input was checked
                raise not_finite("lightfm") from None
            if on_progress:
                on_progress(epoch + 1, self.epochs)
        require_finite("lightfm", model.user_embeddings, model.item_embeddings, model.item_biases)
        return self._recommender(model, known, features, items, users)

    def _recommender(
        self, model: Any, known: Known, features: ItemFeatures, items: csr_matrix, users: csr_matrix | None
    ) -> FeatureFactorRecommender:
        """The factors of a fitted ``model`` and of what users and items are made of."""
        own, n_users = len(known.items), len(known.users)
        bias = items @ model.item_biases
        nothing_known = np.asarray(items.sum(axis=1)).ravel() == 0
        bias[nothing_known] = bias[~nothing_known].min()
        none: Float32Array = np.zeros((0, self.factors), dtype=np.float32)
        return FeatureFactorRecommender(
            known,
            model.user_embeddings if users is None else np.asarray(users @ model.user_embeddings),
            np.asarray(items @ model.item_embeddings),
            bias,
            features=features,
            value_weight=self._value_weight(features),
            value_factors=model.item_embeddings[own:],
            value_bias=model.item_biases[own:],
            user_value_factors=none if users is None else model.user_embeddings[n_users:],
            history_decay=self.history_decay,
        )

    def _known_features(self, train: Interactions) -> ItemFeatures:
        """The features of the items taken."""
        return ItemFeatures.of(
            train.item_table,
            np.bincount(train.item_ix, minlength=len(train.items)) > 0,
            columns=self.item_features,
            words=self.text_features,
            least_items=self.least_items,
        )

    def _value_weight(self, features: ItemFeatures) -> Float32Array:
        """[F] the weight of each value, by how many items taken share it."""
        return (self.feature_weight / np.sqrt(features.items)).astype(np.float32)

    def _items(self, train: Interactions, features: ItemFeatures) -> csr_matrix:
        """[I, I + F] an item that was taken itself, then its values; rows sum to 1, or to 0 where nothing is known."""
        from scipy.sparse import csr_matrix, diags, hstack

        n_items, found = len(train.items), features.values(train.item_table)
        taken = (np.bincount(train.item_ix, minlength=n_items) > 0).astype(np.float32)
        weight = self._value_weight(features)[found.value]
        values = csr_matrix((weight, (found.row, found.value)), shape=(n_items, len(features)), dtype=np.float32)
        return _rows_to_one(hstack([diags(taken), values], format="csr"))

    def _users(self, train: Interactions, known: Known, features: ItemFeatures) -> csr_matrix | None:
        """[U, U + F] a user, then the features of what it took; rows sum to 1. None where users have no features."""
        from scipy.sparse import csr_matrix, hstack, identity

        if not self.user_features:
            return None
        n_users = len(train.users)
        found = UserProfiles.of(known.seen, features, train.item_table, self.history_decay)
        share = self.user_feature_weight * found.share
        values = csr_matrix((share, (found.row, found.value)), shape=(n_users, len(features)), dtype=np.float32)
        return _rows_to_one(hstack([identity(n_users, dtype=np.float32, format="csr"), values], format="csr"))


def _rows_to_one(matrix: csr_matrix) -> csr_matrix:
    """``matrix`` with rows that sum to 1; those of zeros stay."""
    from scipy.sparse import diags

    total = np.asarray(matrix.sum(axis=1)).ravel()
    scale = np.divide(1, total, out=np.zeros_like(total), where=total > 0).astype(np.float32)
    return (diags(scale) @ matrix).tocsr().astype(np.float32)
