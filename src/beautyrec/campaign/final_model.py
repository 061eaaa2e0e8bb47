"""The model of a candidate as it goes into service: fitted on all that was known when the month was over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from beautyrec.campaign.judging import POLICY, Candidate
from beautyrec.campaign.month import Campaign
from beautyrec.campaign.policy_lift import shelf_scores
from beautyrec.campaign.shelf_features import ShelfFeatures, funnel_scores
from beautyrec.data.log import EventLog
from beautyrec.data.slates import Slates
from beautyrec.models.base import Recommender
from beautyrec.models.funnel import FunnelModel
from beautyrec.models.funnel_base import FunnelLearner
from beautyrec.serving.artifact import write_artifact
from beautyrec.serving.manifest import ModelCard
from beautyrec.types import FloatArray


@dataclass(frozen=True, eq=False)
class FinalModel:
    """A fitted model with the policy over its scores.

    Args:
        campaign: it comes from.
        candidate: what it is.
        number: of its trial.
        model: fitted.
    """

    campaign: Campaign
    candidate: Candidate
    number: int
    model: Recommender | Any

    @classmethod
    def of(cls, campaign: Campaign, number: int) -> FinalModel:
        """The model of a trial, fitted on the whole month."""
        task, judge, days = campaign.trial(number).task, campaign.judge, campaign.spec.calendar.days
        learner = judge.families[task.family].learner(task.family, task.candidate.model)
        if isinstance(learner, FunnelLearner):
            model: Any = learner.fit(
                judge.known.rows_before(days), features=judge.known.features.names, seed=judge.seed
            )
        else:
            model = learner.fit(judge.known.interactions(days), seed=judge.seed)
        return cls(campaign, task.candidate, number, model)

    def chances(self, log: EventLog, slates: Slates) -> FloatArray:
        """[B, C] chance of each product on the shelves of ``slates`` to be drawn first, features as ``log`` has them."""
        if isinstance(self.model, FunnelModel):
            scores = funnel_scores(self.model, ShelfFeatures.of(log, self.campaign.judge.known.features, slates))
        else:
            scores = shelf_scores(self.model, slates)
        return self.candidate.policy.probabilities(scores)

    def write(self, place: Path, promised: dict[str, float], label: str) -> ModelCard:
        """The artifact in a folder, with what was promised of it."""
        campaign = self.campaign
        policy = {key: str(value) for key, value in self.candidate.params.items() if key.startswith(POLICY)}
        card = ModelCard(
            family=self.candidate.family,
            params=self.candidate.model,
            seed=campaign.judge.seed,
            features=campaign.judge.known.features.fingerprint if isinstance(self.model, FunnelModel) else "",
            trained_until=pd.Timestamp(campaign.calendar.begins(campaign.spec.calendar.days)).isoformat(),
            metrics=promised,
            labels={"rooms": label, "trial": str(self.number), **policy},
        )
        write_artifact(place, self.model.state(), card)
        return card
