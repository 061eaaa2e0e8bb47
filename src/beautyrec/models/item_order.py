"""A fixed order of the items as a model: a scorecard, a smoothed click rate, whatever a table should be measured by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from beautyrec.data.interactions import Interactions
from beautyrec.errors import ConfigError, EvaluationError, SchemaError
from beautyrec.models.base import Known
from beautyrec.models.checks import require_events
from beautyrec.models.recommenders import ItemScoreRecommender
from beautyrec.types import Progress


@dataclass(frozen=True)
class ItemOrder:
    """Ranks items by scores that were made elsewhere, the same for every user.

    Items of the log without a score come after all others, the popular ones of them first; scores of items that the log
    does not have are left out.

    Examples:
        >>> card = pd.DataFrame({"item_id": ["a", "b", "c"], "score": [0.2, 0.9, 0.4]})
        >>> log = Interactions.from_frame(pd.DataFrame({"user_id": [1, 2, 3], "item_id": ["a", "a", "b"],
        ...     "ts": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-03-01"], utc=True)}))
        >>> ItemOrder.of(card).fit(log).recommend([1], 2)["item_id"].tolist()
        ['b']
    """

    item_ids: tuple[int, ...] | tuple[str, ...]
    """Which items have a score."""
    item_scores: tuple[float, ...]
    """The score of each, the best highest."""

    def __post_init__(self) -> None:
        if len(self.item_ids) != len(self.item_scores) or not self.item_ids:
            raise ConfigError(
                f"item_order: {len(self.item_ids)} items and {len(self.item_scores)} scores; give each item one."
            )
        repeated, bad = len(self.item_ids) - len(set(self.item_ids)), np.count_nonzero(~np.isfinite(self.item_scores))
        if repeated or bad:
            raise ConfigError(
                f"item_order: of {len(self.item_ids)} items {repeated} come again and {bad} have a score that is no "
                "finite number. Give each item one score."
            )

    @classmethod
    def of(cls, scores: pd.DataFrame) -> ItemOrder:
        """The order of a frame ``item_id, score``.

        Raises:
            SchemaError: a column is missing.
            ConfigError: an item comes twice, a score is not a finite number, or there are none.
        """
        missing = [column for column in ("item_id", "score") if column not in scores]
        if missing:
            raise SchemaError(f"item_order: columns {missing} are missing; the frame has {list(scores)}. Add them.")
        return cls(tuple(scores["item_id"].tolist()), tuple(scores["score"].astype(float).tolist()))

    def fit(
        self,
        train: Interactions,
        *,
        seed: int = 0,  # noqa: ARG002  (nothing is drawn)
        on_progress: Progress | None = None,
    ) -> ItemScoreRecommender:
        """Bring the scores into the order of the items; only what users have seen is taken from ``train``.

        Raises:
            FitError: ``train`` has fewer than two events.
        """
        require_events(train, "item_order")
        known = Known.of(train)
        item_ix = train.items.indices_or_missing(pd.Index(self.item_ids))
        given = np.full(len(train.items), np.nan)
        given[item_ix[item_ix >= 0]] = np.asarray(self.item_scores)[item_ix >= 0]
        gap = max(
            1.0, 0.01 * float(np.abs(self.item_scores).max())
        )  # wide enough for 32-bit floats to hold an order in
        last = min(self.item_scores) - gap * (2 - known.popularity / (1 + known.popularity.max()))
        if on_progress:
            on_progress(1, 1)
        return ItemScoreRecommender(known, np.where(np.isnan(given), last, given).astype(np.float32))


def smoothed_ctr(impressions: pd.DataFrame) -> pd.DataFrame:
    """The click rate of each item, drawn towards that of all items as far as its few impressions ask for.

    ``score = (clicks + strength mean) / (impressions + strength)``, the mean of the posterior under a Beta prior with
    that mean and that strength, which are found from the items themselves by moments, each item weighted by its
    impressions: with ``S = sum n_i (p_i - mean)^2`` over m items and N impressions the variance of the true rates is
    ``(S - (m - 1) mean (1 - mean)) / (N - sum n_i^2 / N - m + 1)`` and the strength ``mean (1 - mean) / variance - 1``.
    Items that differ by no more than chance, or were shown once each, all get the mean. Kleinman, *Proportions with
    Extraneous Variance* (1973).
    Positions are not corrected for: what was shown first looks better than it is.

    Args:
        impressions: one row an impression, with ``item_id`` and ``clicked``, as from
            :meth:`beautyrec.data.log.EventLog.impressions`.

    Returns:
        A frame ``item_id, impressions, clicks, score``, one row an item, by ``item_id``; for :meth:`ItemOrder.of`.

    Raises:
        SchemaError: a column is missing.
        EvaluationError: there are no impressions.

    Examples:
        >>> shown = pd.DataFrame({"item_id": ["a"] * 100 + ["b"] * 100 + ["c"] * 2,
        ...                       "clicked": [True] * 30 + [False] * 70 + [True] * 5 + [False] * 95 + [True] * 2})
        >>> smoothed_ctr(shown)["score"].round(2).tolist()
        [0.3, 0.05, 0.54]
    """
    missing = [column for column in ("item_id", "clicked") if column not in impressions]
    if missing:
        raise SchemaError(f"smoothed_ctr: columns {missing} are missing; the frame has {list(impressions)}. Add them.")
    if not len(impressions):
        raise EvaluationError("smoothed_ctr: there are no impressions. Read a longer log.")
    counts = impressions.groupby("item_id")["clicked"].agg(impressions="size", clicks="sum").reset_index()
    shown, clicks = counts["impressions"].to_numpy(float), counts["clicks"].to_numpy(float)
    mean = clicks.sum() / shown.sum()
    chance = mean * (1 - mean)
    spread = shown @ (clicks / shown - mean) ** 2 - (len(counts) - 1) * chance
    seen_again = shown.sum() - shown @ shown / shown.sum() - len(counts) + 1  # 0 where no item was shown twice
    variance = spread / seen_again if seen_again > 1e-9 * shown.sum() else 0.0
    share = shown / (shown + max(chance / variance - 1, 0.0)) if variance > 0 else np.zeros(len(counts))
    score = share * clicks / shown + (1 - share) * mean
    return counts.assign(clicks=counts["clicks"].astype("int64"), score=score)
