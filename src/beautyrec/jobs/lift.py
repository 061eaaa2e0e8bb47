"""Lift of each model's policy from the log alone, beside the truth of the simulated world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from beautyrec.campaign.policy_lift import HeldRooms, shelf_scores
from beautyrec.campaign.shelf_features import ShelfFeatures, funnel_scores
from beautyrec.data import schema
from beautyrec.data.interactions import Interactions
from beautyrec.data.slates import Slates
from beautyrec.errors import MissingExtraError
from beautyrec.jobs.config import LiftConfig
from beautyrec.jobs.shop import Shop
from beautyrec.jobs.side_by_side import side_by_side
from beautyrec.models.base import Learner
from beautyrec.models.funnel_base import FunnelLearner
from beautyrec.policies.softmax import Softmax
from beautyrec.simulate.truth import Truth
from beautyrec.types import BoolArray, FloatArray, Progress


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What models may know at one moment, in the forms that they are fitted on.

    Args:
        interactions: who took what, for models that rank.
        rows: impressions with features and outcomes, for the funnel model.
        features: the columns of ``rows`` to learn from.
    """

    interactions: Interactions
    rows: pd.DataFrame
    features: tuple[str, ...]

    @classmethod
    def at(cls, shop: Shop, cutoff: pd.Timestamp, config: LiftConfig) -> Knowledge:
        """All that was available before ``cutoff``; rows from the end of the warm-up on."""
        known, rows = shop.log.before(cutoff), shop.known_rows(cutoff)
        warm = rows[schema.TS] >= shop.day(config.warm_up_days)
        return cls(known.interactions(config.weights), rows[warm], shop.features.names)


@dataclass(frozen=True, eq=False)
class Stage:
    """Rooms that were held, with the features of all that they could have shown.

    Args:
        held: the requests.
        shelf: the features.
        truth: of the legacy policy on these requests.
    """

    held: HeldRooms
    shelf: ShelfFeatures
    legacy: Truth

    @classmethod
    def of(cls, shop: Shop, first: int, last: int, *, seed: int, on_progress: Progress | None = None) -> Stage:
        """The rooms of the days ``first`` to ``last``, without ``last``."""
        slates = shop.between(first, last)
        legacy = shop.world.legacy_truth(slates, rng=np.random.default_rng(seed))
        shelf = ShelfFeatures.of(shop.log, shop.features, slates, on_progress)
        return cls(HeldRooms.of(slates, seed=seed), shelf, legacy)

    def where(self, keep: BoolArray) -> Stage:
        """The requests where ``keep`` [B] is true; the truth stays that of all."""
        return replace(self, held=self.held.where(keep), shelf=self.shelf.where(keep))


def scores_of(learner: Learner | FunnelLearner, knowledge: Knowledge, stage: Stage, *, seed: int) -> FloatArray:
    """[B, C] scores on the shelves from a model fitted on ``knowledge``; a funnel model's are log pCTCVR."""
    if isinstance(learner, FunnelLearner):
        model = learner.fit(knowledge.rows, features=knowledge.features, seed=seed)
        return funnel_scores(model, stage.shelf)
    return shelf_scores(learner.fit(knowledge.interactions, seed=seed), stage.held.slates)


def with_truth(table: pd.DataFrame, truth: Truth, legacy: Truth) -> pd.DataFrame:
    """The table of lifts with the world's own beside each: ``true`` and its Monte-Carlo error ``true_se``."""
    true = truth.lift(legacy).set_index("metric")
    return table.assign(true=table["metric"].map(true["lift"]), true_se=table["metric"].map(true["standard_error"]))


def scores_of_models(
    learners: Mapping[str, Learner | FunnelLearner],
    knowledge: Knowledge,
    stage: Stage,
    *,
    seed: int,
    workers: int,
    on_progress: Progress | None = None,
) -> Mapping[str, FloatArray | MissingExtraError]:
    """[B, C] scores of each model, fitted side by side; the error where its package is not installed."""
    slates = stage.held.slates
    rankers = {
        name: learner for name, learner in list(learners.items())[::-1] if not isinstance(learner, FunnelLearner)
    }
    work = [(_ranker_scores, (learner, knowledge.interactions, slates, seed)) for learner in rankers.values()]
    scores = dict(zip(rankers, side_by_side(work, workers, on_progress), strict=True))
    for name, learner in learners.items():
        if isinstance(learner, FunnelLearner):
            scores[name] = scores_of(learner, knowledge, stage, seed=seed)
    return {name: scores[name] for name in learners}


def _ranker_scores(
    learner: Learner, interactions: Interactions, slates: Slates, seed: int
) -> FloatArray | MissingExtraError:
    try:
        return shelf_scores(learner.fit(interactions, seed=seed), slates)
    except MissingExtraError as error:
        return error


def lift_of_models(
    shop: Shop,
    scores: Mapping[str, FloatArray | MissingExtraError],
    stage: Stage,
    policy: Softmax,
    *,
    seed: int,
    on_progress: Progress,
) -> pd.DataFrame:
    """One row a model, metric and estimator: the lift of ``policy`` over the model's scores, and the truth.

    A model whose package is not installed has one row that says how to install it.
    """
    tables = []
    for number, (name, score) in enumerate(scores.items()):
        on_progress(number, len(scores))
        if isinstance(score, MissingExtraError):
            tables.append(pd.DataFrame([{"model": name, "verdict": "refuse", "reasons": str(score)}]))
            continue
        chances = policy.probabilities(score)
        truth = shop.world.truth(stage.held.slates, chances, rng=np.random.default_rng(seed))
        table = with_truth(stage.held.lift(chances), truth, stage.legacy)
        tables.append(table.assign(model=name))
    on_progress(len(scores), len(scores))
    return pd.concat(tables, ignore_index=True)
