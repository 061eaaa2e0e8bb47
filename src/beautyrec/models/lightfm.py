"""LightFM: factors built from the features of items, by the library ``rectools-lightfm``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from beautyrec.data.interactions import Interactions
from beautyrec.errors import MissingExtraError
from beautyrec.models.base import Known
from beautyrec.models.checks import not_finite, require_bound, require_events, require_finite
from beautyrec.models.recommenders import FactorRecommender
from beautyrec.types import Progress

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class LightFM:
    """Factorisation where an item's factors are the weighted mean of those of its features, itself being one of them.

    ``s_ui = x_u . sum_f a_if y_f + sum_f a_if b_f``, fitted by WARP: wrong items are drawn until one scores too high.
    Features are the columns of ``item_features`` that the item table of the log has. Kula, *Metadata Embeddings for
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
    """Columns of the item table used as features; those that the table lacks are left out."""
    feature_weight: float = 1.0
    """Weight of a value that one item has; n items that share one give it ``1 / sqrt(n)`` of that. The item itself
    weighs 1, and the weights of an item are scaled to sum to 1."""
    item_alpha: float = 1e-5
    """L2 penalty on the features of items."""
    user_alpha: float = 1e-5
    """L2 penalty on users."""
    max_sampled: int = 10
    """Wrong items drawn at most for one interaction."""

    def __post_init__(self) -> None:
        require_bound("lightfm", "factors", self.factors, 1)
        require_bound("lightfm", "epochs", self.epochs, 1)
        require_bound("lightfm", "learning_rate", self.learning_rate, 1e-9)
        require_bound("lightfm", "feature_weight", self.feature_weight, 0)
        require_bound("lightfm", "item_alpha", self.item_alpha, 0)
        require_bound("lightfm", "user_alpha", self.user_alpha, 0)
        require_bound("lightfm", "max_sampled", self.max_sampled, 1)

    def fit(self, train: Interactions, *, seed: int = 0, on_progress: Progress | None = None) -> FactorRecommender:
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
        features = self._features(train)
        weight = train.matrix().tocoo()
        positive = weight.copy()
        positive.data = np.ones_like(weight.data)
        for epoch in range(self.epochs):
            try:
                model.fit_partial(positive, item_features=features, sample_weight=weight, epochs=1, num_threads=1)
            except ValueError:  # what it raises where an embedding is not finite; its input was checked
                raise not_finite("lightfm") from None
            if on_progress:
                on_progress(epoch + 1, self.epochs)
        bias, factors = model.get_item_representations(features)
        require_finite("lightfm", model.user_embeddings, factors, bias)
        return FactorRecommender(Known.of(train), model.user_embeddings, factors, bias)

    def _features(self, train: Interactions) -> csr_matrix:
        """[I, I + F] the item itself, then one column a value of each feature; rows sum to 1."""
        from scipy.sparse import csr_matrix, diags, hstack, identity

        n_items = len(train.items)
        blocks = [identity(n_items, dtype=np.float32, format="csr")]
        table = train.item_table
        for column in self.item_features if table is not None else ():
            if table is None or column not in table:
                continue
            code, values = pd.factorize(table[column])
            row = np.flatnonzero(code >= 0)
            weight = self.feature_weight / np.sqrt(np.bincount(code[row], minlength=len(values)))
            entries = (weight[code[row]].astype(np.float32), (row, code[row]))
            blocks.append(csr_matrix(entries, shape=(n_items, len(values))))
        stacked = hstack(blocks, format="csr")
        total = np.asarray(stacked.sum(axis=1)).ravel()
        return (diags((1 / total).astype(np.float32)) @ stacked).tocsr()
