"""The model of a candidate as it goes into service: fitted on all that was known when a round, or the month, was over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.campaign.judging import POLICY, Candidate
from beautyrec.campaign.month import Campaign
from beautyrec.campaign.policy_lift import shelf_scores
from beautyrec.campaign.shelf_features import ShelfFeatures, funnel_scores, shown_keys
from beautyrec.data.log import EventLog
from beautyrec.data.slates import Slates
from beautyrec.models.base import Recommender
from beautyrec.models.funnel_base import FunnelLearner, FunnelModel
from beautyrec.serving.artifact import write_artifact
from beautyrec.serving.manifest import ModelCard
from beautyrec.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class FinalModel:
    """A fitted model with the policy over its scores.

    Args:
        campaign: it comes from.
        candidate: what it is.
        number: of its trial.
        model: fitted.
        day: of the month; it knows what was available before.
    """

    campaign: Campaign
    candidate: Candidate
    number: int
    model: Recommender | Any
    day: int

    @classmethod
    def of(cls, campaign: Campaign, number: int, day: int | None = None) -> FinalModel:
        """The model of a trial, fitted on what was known before ``day``; on the whole month if None."""
        task, judge = campaign.trial(number).task, campaign.judge
        day = campaign.spec.calendar.days if day is None else day
        learner = judge.families[task.family].learner(task.family, task.candidate.model)
        if isinstance(learner, FunnelLearner):
            model: Any = learner.fit(judge.known.rows_before(day), features=judge.known.features.names, seed=judge.seed)
        else:
            model = learner.fit(judge.known.interactions(day), seed=judge.seed)
        return cls(campaign, task.candidate, number, model, day)

    def chances(self, log: EventLog, slates: Slates) -> FloatArray:
        """[B, C] chance of each product on the shelves of ``slates`` to be drawn first, features as ``log`` has them."""
        if isinstance(self.model, FunnelModel):
            scores = funnel_scores(self.model, ShelfFeatures.of(log, self.campaign.judge.known.features, slates))
        else:
            scores = shelf_scores(self.model, slates)
        return self.candidate.policy.probabilities(scores)

    def predicted(self, log: EventLog, slates: Slates, shown: IntArray) -> pd.DataFrame | None:
        """``ctr, cvr, ctcvr`` of each product of ``shown`` [B, K], request by request; None of a model that only ranks."""
        if not isinstance(self.model, FunnelModel):
            return None
        features = self.campaign.judge.known.features
        return self.model.predict(features.compute(log, shown_keys(log, slates, shown)).astype(np.float32))

    def write(self, place: Path, promised: dict[str, float], label: str) -> ModelCard:
        """The artifact in a folder, with what was promised of it."""
        campaign = self.campaign
        policy = {key: str(value) for key, value in self.candidate.params.items() if key.startswith(POLICY)}
        card = ModelCard(
            family=self.candidate.family,
            params=self.candidate.model,
            seed=campaign.judge.seed,
            features=campaign.judge.known.features.fingerprint if isinstance(self.model, FunnelModel) else "",
            trained_until=pd.Timestamp(campaign.calendar.begins(self.day)).isoformat(),
            metrics=promised,
            labels={"rooms": label, "trial": str(self.number), **policy},
        )
        write_artifact(place, self.model.state(), card)
        return card
