"""Item neighbours: what is bought by those who bought what you bought last."""

from __future__ import annotations

from dataclasses import dataclass

from beautyrec.data.interactions import Interactions
from beautyrec.models.base import Known
from beautyrec.models.checks import require_bound, require_events
from beautyrec.models.neighbours import nearest_items
from beautyrec.models.recommenders import ItemSimilarityRecommender
from beautyrec.models.weighting import BM25, TfIdf
from beautyrec.types import Progress


@dataclass(frozen=True)
class ItemKNN:
    """Scores an item by its similarity to the items of the user's history, the last of them counting most.

    ``s(i, j) = x_i . x_j / (|x_i| |x_j| + shrinkage)`` over the columns x of the weighted user-item matrix, the
    largest ``neighbours`` of each j kept, and ``score(u, j) = sum_e decay ** steps_back(e) * s(i_e, j)``.
    Sarwar et al., *Item-based Collaborative Filtering Recommendation Algorithms* (WWW 2001).

    Examples:
        >>> import pandas as pd
        >>> log = Interactions.from_frame(pd.DataFrame({"user_id": [1, 1, 2, 2, 3], "item_id": list("ababa"),
        ...     "ts": pd.to_datetime(["2026-01-01"] * 5, utc=True)}))
        >>> ItemKNN().fit(log).recommend([3], 1)["item_id"].tolist()
        ['b']
    """

    neighbours: int = 200
    """Similar items kept for each item."""
    decay: float = 0.7
    """Weight of an item of the history relative to the one after it; 1 forgets the order."""
    shrinkage: float = 40.0
    """Added to the product of norms: pulls similarities that rest on few users towards 0."""
    weighting: BM25 | TfIdf | None = None
    """Weights in place of those of the log; None keeps the log's, which makes the similarity a cosine."""

    def __post_init__(self) -> None:
        require_bound("item_knn", "neighbours", self.neighbours, 1)
        require_bound("item_knn", "decay", self.decay, 1e-6, 1)
        require_bound("item_knn", "shrinkage", self.shrinkage, 0)

    def fit(
        self,
        train: Interactions,
        *,
        seed: int = 0,  # noqa: ARG002  (nothing is drawn)
        on_progress: Progress | None = None,
    ) -> ItemSimilarityRecommender:
        """Compare all pairs of items that share a user; memory is bounded by blocks of items.

        Raises:
            FitError: ``train`` has fewer than two events.
            MissingExtraError: ``scipy`` is not installed.
        """
        require_events(train, "item_knn")
        matrix = train.matrix() if self.weighting is None else self.weighting(train.matrix())
        similar = nearest_items(matrix, self.neighbours, self.shrinkage, on_progress)
        return ItemSimilarityRecommender.of(Known.of(train), train.weight, similar.T.tocsr(), self.decay)
