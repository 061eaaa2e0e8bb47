"""Plain Optuna beside the tuning month: one study, the days split once, the best point estimate wins.

It has what the campaign has: the same families, defaults, spaces and policies, the same fits and features, the same doubly
robust estimator, all days of the month at once, and TPE as the campaign sets it. What it lacks is what the campaign is about: a
calendar, an interval, a gate and a confirmation.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from beautyrec.campaign.calendar import Calendar
from beautyrec.campaign.journal import quiet
from beautyrec.campaign.judging import Candidate
from beautyrec.campaign.known_days import KnownDays
from beautyrec.campaign.month_spec import MonthSpec
from beautyrec.campaign.month_state import first_day
from beautyrec.campaign.policy_lift import HeldRooms, shelf_scores
from beautyrec.campaign.samplers import TPE, optuna
from beautyrec.campaign.shelf_features import ShelfFeatures, funnel_scores
from beautyrec.campaign.study import trial_seed
from beautyrec.data.log import EventLog
from beautyrec.data.slates import Slates
from beautyrec.errors import BeautyrecError
from beautyrec.evaluation.lift import lift_table
from beautyrec.evaluation.metrics import METRICS
from beautyrec.evaluation.off_policy import DR
from beautyrec.models.funnel_base import FunnelLearner, FunnelModel
from beautyrec.types import FloatArray

TEST_SHARE = 0.3
"""Of the days: models are fitted on the first seven tenths and valued on the rest."""


@dataclass(frozen=True, eq=False)
class OneSplit:
    """A month's log, split once.

    Args:
        log: what was available when the month was over.
        spec: of the month whose families are searched.
    """

    log: EventLog
    spec: MonthSpec

    @cached_property
    def known(self) -> KnownDays:
        """The log by days, with the features that the campaign computes."""
        calendar = Calendar(self.spec.calendar, first_day(self.log))
        return KnownDays(self.log, calendar, self.spec.weights, self.spec.learn_days, self.spec.seed)

    @cached_property
    def test(self) -> range:
        """The days that policies are valued on."""
        days = self.spec.calendar.days
        return range(days - max(1, round(TEST_SHARE * days)), days)

    @cached_property
    def held(self) -> HeldRooms:
        """Their requests."""
        return self.known.held(self.test, self.test[-1])

    @cached_property
    def shelf(self) -> ShelfFeatures:
        """Features of all that could be shown to them."""
        return ShelfFeatures.of(self.log, self.known.features, self.held.slates)

    def model(self, candidate: Candidate, day: int) -> Any:
        """The candidate's model, fitted on what was known before ``day``."""
        learner = self.spec.families[candidate.family].learner(candidate.family, candidate.model)
        if isinstance(learner, FunnelLearner):
            rows = self.known.rows_before(day)
            return learner.fit(rows, features=self.known.features.names, seed=self.spec.seed)
        return learner.fit(self.known.interactions(day), seed=self.spec.seed)

    def lift(self, candidate: Candidate) -> float | None:
        """Its estimated lift in room conversion; None where there is no number."""
        model = self.model(candidate, self.test[0])
        scores = (
            funnel_scores(model, self.shelf)
            if isinstance(model, FunnelModel)
            else shelf_scores(model, self.held.slates)
        )
        metrics = [one for one in METRICS if one.name == self.spec.metric]
        evidence = self.held.evidence(candidate.policy.probabilities(scores))
        told = lift_table(evidence, metrics=metrics, estimators=[DR()])["estimate"].iloc[0]
        return None if pd.isna(told) else float(told)

    def chances(self, candidate: Candidate, log: EventLog, slates: Slates) -> FloatArray:
        """[B, C] what it shows once its model is fitted again on the whole month."""
        model = self.model(candidate, self.spec.calendar.days)
        if isinstance(model, FunnelModel):
            scores = funnel_scores(model, ShelfFeatures.of(log, self.known.features, slates))
        else:
            scores = shelf_scores(model, slates)
        return candidate.policy.probabilities(scores)


@dataclass(frozen=True)
class Picked:
    """What plain Optuna found best.

    Args:
        candidate: what it is.
        promised: the point estimate of its lift.
        trials: how many there were.
        failed: how many of them raised, or had no number.
        seconds: of the processor, for all of it.
    """

    candidate: Candidate
    promised: float
    trials: int
    failed: int
    seconds: float


def plain_optuna(split: OneSplit, seconds: float) -> Picked:
    """The best of one study that begins no trial after so many seconds of the processor; defaults come first."""
    module, start = optuna(), time.process_time()
    families = split.spec.searched()

    def objective(trial: Any) -> float:
        name = trial.suggest_categorical("family", list(families))
        params = families[name].suggest(trial)
        trial.set_user_attr("candidate", {"family": name, "params": params})
        told = split.lift(Candidate(name, params))
        if told is None:
            raise module.TrialPruned
        return told

    with quiet(module):
        study = module.create_study(direction="maximize", sampler=TPE().build(trial_seed(split.spec.seed, 0)))
        for name, family in families.items():
            study.enqueue_trial({"family": name, **{f"{name}.{key}": value for key, value in family.defaults.items()}})
        while time.process_time() - start < seconds:
            study.optimize(objective, n_trials=1, catch=(BeautyrecError,))
    done = study.get_trials(deepcopy=False, states=(module.trial.TrialState.COMPLETE,))
    candidate = Candidate(**study.best_trial.user_attrs["candidate"])
    trials = len(study.get_trials(deepcopy=False))
    return Picked(candidate, float(study.best_value), trials, trials - len(done), time.process_time() - start)
