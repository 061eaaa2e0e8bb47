"""The lift that a model's policy would have brought to rooms that were held already.

One way from a model to a lift, used by the comparison of models, by each trial of a sweep and for the champion: scores for
every product on the shelf, a policy over them, its chance for what was shown, and the estimators.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd

from beautyrec.campaign.clusters import ClusterBy, by_user
from beautyrec.data.slates import Slates
from beautyrec.evaluation.evidence import Outcomes, SlateEvidence
from beautyrec.evaluation.examination import ExaminationCurve, exposure
from beautyrec.evaluation.lift import lift_table
from beautyrec.evaluation.off_policy import Estimator, OwnWeights
from beautyrec.evaluation.reward_model import ItemPositionRates, RewardModel
from beautyrec.models.base import Recommender
from beautyrec.plackett_luce import conditional, marginals_at_all_positions, position_marginals, sampled_means
from beautyrec.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class HeldRooms:
    """Requests of rooms that were held, ready to value any policy on them.

    Args:
        slates: the requests, B of them, with the logging policy's chances on the shelves.
        logging: [B, K] chance of each shown product at its position under the logging policy.
        rewards: a model of the outcomes for the doubly robust estimator, cross-fitted over clusters.
        seed: of the slates drawn to average that model over a target policy.
        draws: [B, C] estimated chances to draw each product first, where the log does not have them; every lift then says
            so. Those of the shelves if None.
        cluster: what is independent of each other; see `beautyrec.campaign.clusters`.
    """

    slates: Slates
    logging: FloatArray
    rewards: RewardModel
    seed: int = 0
    draws: FloatArray | None = None
    cluster: ClusterBy = by_user

    @classmethod
    def of(
        cls, slates: Slates, *, seed: int = 0, draws: FloatArray | None = None, cluster: ClusterBy = by_user
    ) -> Self:
        """Held rooms from logged requests.

        Args:
            slates: the requests, B of them.
            seed: of folds and draws.
            draws: [B, C] estimated chances of the logging policy to draw each product first
                (`beautyrec.evaluation.propensities.EstimatedDraws`); those of the shelves if None.
            cluster: what intervals and folds take as independent: `by_user`, `by_room`, `by_request`, or any other id.

        Raises:
            EvaluationError: fewer clusters than folds of the outcome model.
        """
        chances = slates.shelves.draw_probability[slates.room_ix] if draws is None else draws
        rewards = ItemPositionRates(seed=seed).fit(
            _shown_items(slates), _outcomes(slates), cluster(slates), len(slates.shelves.items)
        )
        return cls(slates, position_marginals(chances, slates.shown), rewards, seed, draws, cluster)

    def __len__(self) -> int:
        return len(self.slates)

    def where(self, keep: BoolArray) -> Self:
        """The requests where ``keep`` [B] is true; the outcome model stays that of all."""
        rows = np.flatnonzero(keep)
        rewards = replace(self.rewards, fold=self.rewards.fold[rows])
        draws = None if self.draws is None else self.draws[rows]
        return replace(self, slates=self.slates.where(keep), logging=self.logging[rows], rewards=rewards, draws=draws)

    @cached_property
    def item_ix(self) -> IntArray:
        """[B, C] index in the catalogue of each product on the shelf of each request, -1 beyond it."""
        return self.slates.shelves.item_ix[self.slates.room_ix]

    @cached_property
    def logging_draws(self) -> FloatArray:
        """[B, C] chance of each product to be drawn first under the logging policy."""
        return self.slates.shelves.draw_probability[self.slates.room_ix] if self.draws is None else self.draws

    @cached_property
    def logging_everywhere(self) -> FloatArray:
        """[B, K, K] chance of each shown product to stand at each position under the logging policy."""
        return marginals_at_all_positions(self.logging_draws, self.slates.shown)

    @cached_property
    def attention(self) -> FloatArray:
        """[B, K] attention of each position, learnt from the other viewers of these requests."""
        clicked = self.slates.clicked.astype(np.float64)
        return ExaminationCurve(seed=self.seed).fit(clicked, self.logging_everywhere, self.slates.user_id)

    def evidence(self, draw_probability: FloatArray, *, for_slates: bool = False) -> SlateEvidence:
        """The log, weighted towards the policy with these chances [B, C] to draw each product first.

        Args:
            draw_probability: [B, C], rows sum to 1.
            for_slates: whether to add what the estimators of `beautyrec.evaluation.off_policy.slates` need: weights given
                the items above, and exposure. About twice the work.

        Raises:
            EvaluationError: attention cannot be learnt, since no slate is as long as the longest (``for_slates`` only).
        """
        slates, positions = self.slates, self.slates.shown.shape[1]
        self.rewards.check(self.cluster(slates))
        rng = np.random.default_rng(self.seed)
        rates = sampled_means(draw_probability, self.rewards.appeal(self.item_ix), positions, rng)
        evidence = SlateEvidence.of(
            target=position_marginals(draw_probability, slates.shown),
            logging=self.logging,
            outcomes=_outcomes(slates),
            cluster=self.cluster(slates),
            shown=slates.shown >= 0,
            expected=(self.rewards.logged(_shown_items(slates)), self.rewards.at_positions(rates)),
        )
        evidence = replace(evidence, estimated=True) if self.draws is not None else evidence
        return self._with_slate_weights(evidence, draw_probability) if for_slates else evidence

    def _with_slate_weights(self, evidence: SlateEvidence, draw_probability: FloatArray) -> SlateEvidence:
        shown = self.slates.shown
        everywhere = marginals_at_all_positions(draw_probability, shown)
        return replace(
            evidence.with_conditional(
                target=conditional(draw_probability, shown), logging=conditional(self.logging_draws, shown)
            ),
            exposure=exposure(self.attention, everywhere, self.logging_everywhere),
        )

    def lift(self, draw_probability: FloatArray, *, estimators: Sequence[Estimator] | None = None) -> pd.DataFrame:
        """Lift of the policy with these chances [B, C]; see :func:`beautyrec.evaluation.lift.lift_table`.

        Args:
            draw_probability: [B, C], rows sum to 1.
            estimators: SNIPS and DR if None.
        """
        for_slates = any(isinstance(each, OwnWeights) for each in estimators or ())
        return lift_table(self.evidence(draw_probability, for_slates=for_slates), estimators=estimators)


def shelf_scores(model: Recommender, slates: Slates) -> FloatArray:
    """[B, C] scores of every product on the shelf of every request, -inf beyond the shelf.

    A viewer the model has not seen gets its fallback, what is popular; a product it has not seen gets the lowest score on
    the shelf.
    """
    shelf = slates.shelves.item_ix[slates.room_ix]
    known = np.append(model.items.indices_or_missing(slates.shelves.items.ids), -1)
    item_ix = known[shelf]
    scores = model.scores_at(model.users.indices_or_missing(slates.user_id), item_ix).astype(np.float64)
    lowest = np.where(item_ix >= 0, scores, np.inf).min(axis=1, keepdims=True)
    lowest = np.where(np.isfinite(lowest), lowest, 0.0)
    return np.where(shelf < 0, -np.inf, np.where(item_ix < 0, lowest, scores))


def _outcomes(slates: Slates) -> Outcomes:
    return Outcomes(slates.clicked.astype(np.float64), slates.ordered.astype(np.float64), slates.revenue)


def _shown_items(slates: Slates) -> IntArray:
    """[B, K] index in the catalogue of what was shown, -1 after a slate's end."""
    shelf = slates.shelves.item_ix[slates.room_ix]
    return np.where(slates.shown >= 0, np.take_along_axis(shelf, np.maximum(slates.shown, 0), axis=1), -1)
