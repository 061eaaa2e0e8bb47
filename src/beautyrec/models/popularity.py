"""Popularity: what sold most, all the time or lately."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beautyrec.data.interactions import Interactions
from beautyrec.models.base import Known
from beautyrec.models.checks import require_bound, require_events
from beautyrec.models.recommenders import ItemScoreRecommender
from beautyrec.types import Progress

DAY_US = 86_400_000_000
"""Microseconds in a day."""


@dataclass(frozen=True)
class Popularity:
    """Ranks items by the weight of their interactions before the last one in training.

    ``score(i) = sum_e weight_e * 0.5 ** (age_e / half_life_days)`` over the events of item i no older than the window,
    ages in days before the last event of the training log.

    Examples:
        >>> import pandas as pd
        >>> log = Interactions.from_frame(pd.DataFrame({"user_id": [1, 2, 3], "item_id": ["a", "a", "b"],
        ...     "ts": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-03-01"], utc=True)}))
        >>> Popularity(window_days=30).fit(log).recommend([1], 1)["item_id"].tolist()
        ['b']
    """

    window_days: float | None = None
    """Days before the last event that count; all where it is None."""
    half_life_days: float | None = None
    """Days after which an event counts half; no decay where it is None."""

    def __post_init__(self) -> None:
        for key, value in (("window_days", self.window_days), ("half_life_days", self.half_life_days)):
            if value is not None:
                require_bound("popularity", key, value, 1e-6)

    def fit(
        self,
        train: Interactions,
        *,
        seed: int = 0,  # noqa: ARG002  (nothing is drawn)
        on_progress: Progress | None = None,
    ) -> ItemScoreRecommender:
        """Count; takes milliseconds.

        Raises:
            FitError: ``train`` has fewer than two events.
        """
        require_events(train, "popularity")
        age_days = (train.ts.max() - train.ts) / DAY_US
        weight = train.weight.astype(np.float64)
        if self.half_life_days is not None:
            weight = weight * 0.5 ** (age_days / self.half_life_days)
        if self.window_days is not None:
            weight = np.where(age_days <= self.window_days, weight, 0.0)
        score = np.bincount(train.item_ix, weights=weight, minlength=len(train.items)).astype(np.float32)
        if on_progress:
            on_progress(1, 1)
        return ItemScoreRecommender(Known.of(train), score)
