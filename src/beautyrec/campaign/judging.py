"""A candidate of the tuning month, judged day by day: fitted on what was known before each day, valued on that day's rooms."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.campaign.known_days import KnownDays
from beautyrec.campaign.policy_lift import HeldRooms, shelf_scores
from beautyrec.campaign.rungs import Epochs, OnEpoch
from beautyrec.campaign.searched import SearchedFamily
from beautyrec.campaign.shelf_features import funnel_scores
from beautyrec.campaign.space import Scalar
from beautyrec.data.log import EventLog
from beautyrec.data.schema import CLICKED, ITEM_ID
from beautyrec.data.slates import Slates
from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import Outcomes, SlateEvidence
from beautyrec.evaluation.lift import lift_table
from beautyrec.evaluation.metrics import METRICS
from beautyrec.evaluation.off_policy import DR
from beautyrec.models.funnel_base import FunnelLearner, FunnelModel
from beautyrec.policies.base import Policy
from beautyrec.policies.exploring import Exploring
from beautyrec.policies.softmax import Softmax
from beautyrec.types import FloatArray

POLICY = "policy__"
"""What the names of a policy's settings begin with, among the hyperparameters of a trial."""

ESTIMATOR = DR().name
"""The estimator that counts."""

OnDay = Callable[[Mapping[str, float]], None]
"""Called with the numbers of each day as they come; may raise to end the trial."""


@dataclass(frozen=True)
class Candidate:
    """A family of models with its hyperparameters and those of the policy over its scores.

    Args:
        family: its name.
        params: by name; those of the policy begin with :data:`POLICY`.
    """

    family: str
    params: Mapping[str, Scalar]

    @property
    def policy(self) -> Policy:
        """From scores to what is shown."""
        settings = {
            key.removeprefix(POLICY): float(value) for key, value in self.params.items() if key.startswith(POLICY)
        }
        follow = Softmax(settings.get("temperature", 0.7))
        share = settings.get("exploration", 0.0)
        return Exploring(follow, share) if share > 0 else follow

    @property
    def model(self) -> dict[str, Scalar]:
        """The hyperparameters of the model alone."""
        return {key: value for key, value in self.params.items() if not key.startswith(POLICY)}

    @property
    def key(self) -> str:
        """What two candidates share if their models are the same."""
        return json.dumps([self.family, dict(sorted(self.model.items()))])


@dataclass(frozen=True, eq=False)
class Judged:
    """What a candidate was worth on some days.

    Args:
        table: as `beautyrec.evaluation.lift.lift_table`, of the estimator that counts.
        scenes: likewise, with ``scene``, of the one metric asked for; empty where it was not asked for.
        metrics: ``calibration`` (predicted clicks over clicks, less 1; absent where the model predicts no chance),
            ``coverage`` (effective share of the products on shelves), ``ms_per_request`` and ``fit_seconds`` a day.
        days: the numbers of each day.
    """

    table: pd.DataFrame
    scenes: pd.DataFrame
    metrics: Mapping[str, float]
    days: tuple[Mapping[str, float], ...]

    def lift(self, metric: str) -> dict[str, Any]:
        """``estimate, ci_low, ci_high, target, logging, verdict, reasons`` of a metric.

        Raises:
            EvaluationError: the log cannot tell; says why.
        """
        row = self.table[self.table["metric"] == metric].iloc[0]
        if pd.isna(row["estimate"]):
            raise EvaluationError(f"the log cannot tell the lift in {metric}: {row['reasons']}.")
        return {
            name: row[name] for name in ("estimate", "ci_low", "ci_high", "target", "logging", "verdict", "reasons")
        }


@dataclass(frozen=True)
class Judge:
    """Values candidates on the days of a month.

    Args:
        known: the log, day by day.
        families: what a candidate's parameters mean.
        seed: of all fits: candidates differ by what they are and not by their luck.
        refit_days: a model is fitted on the first day after the warm-up and every so many days after it.
    """

    known: KnownDays
    families: Mapping[str, SearchedFamily]
    seed: int
    refit_days: int = 1

    def judge(
        self,
        candidate: Candidate,
        days: range,
        as_of: int,
        metric: str,
        on_day: OnDay | None = None,
        *,
        on_epoch: OnEpoch | None = None,
        scenes: bool = False,
    ) -> Judged:
        """What ``candidate`` is worth on ``days``, with what was known when the day ``as_of`` was over.

        Args:
            candidate: to be judged.
            days: each by a model that knows what was available before it.
            as_of: not before the last of ``days``.
            metric: whose lift of each day is told to ``on_day``.
            on_day: hears of each day, in their order.
            on_epoch: hears of each epoch of the first fit, where the model is a network that validates.
            scenes: whether to value each scene as well.
        """
        held = self.known.held(days, as_of)
        parts, told, drawn = [], [], np.zeros(held.item_ix.shape)
        if on_epoch is not None:
            self._audition(candidate, self.fitted_on(days[0]), on_epoch)
        for day in days:
            mine = self.known.on(held.slates, day)
            today = held.where(mine)
            scores, numbers = self._scores(candidate, today.slates, day)
            drawn[mine] = candidate.policy.probabilities(scores)
            evidence = today.evidence(drawn[mine])
            numbers = {"day": float(day), **numbers, **_of_day(evidence, metric)}
            parts.append(evidence)
            told.append(numbers)
            if on_day is not None:
                on_day(numbers)
        evidence = join(parts)
        table = lift_table(evidence)
        by_scene = self._by_scene(evidence, held, metric) if scenes else pd.DataFrame()
        return Judged(table[table["estimator"] == ESTIMATOR], by_scene, _metrics(told, held, drawn), tuple(told))

    def fitted_on(self, day: int) -> int:
        """The day whose morning a model that is judged on ``day`` was fitted on."""
        return day - max(0, day - self.known.calendar.config.warm_up_days) % self.refit_days

    def _audition(self, candidate: Candidate, day: int, on_epoch: OnEpoch) -> None:
        """Fit the model of ``day`` unless this process did before: then its epochs are told as they were."""
        key = (candidate.key, day)
        if key not in self.known.curves:
            self.known.models.get(key, lambda: self._fit(candidate, day, on_epoch))
        else:
            seen = self.known.curves[key]
            for epoch, value in enumerate(seen.curve, 1):
                on_epoch(epoch, seen.most, value)

    def _scores(self, candidate: Candidate, slates: Slates, day: int) -> tuple[FloatArray, dict[str, float]]:
        """[B, C] scores on the shelves of ``day`` by a model that knows what came before, and what that cost."""
        key = (candidate.key, day, len(slates))
        scores, numbers = self.known.scores.get(key, lambda: self._score(candidate, slates, day))
        return scores.astype(np.float64), numbers

    def _score(self, candidate: Candidate, slates: Slates, day: int) -> tuple[Any, dict[str, float]]:
        fit_day = self.fitted_on(day)
        model, seconds = self.known.models.get((candidate.key, fit_day), lambda: self._fit(candidate, fit_day))
        numbers = {"fit_seconds": seconds}
        if isinstance(model, FunnelModel):
            shelf, shown = self.known.shelf(slates, day), self.known.rows_of(day)
            start = time.perf_counter()
            scores = funnel_scores(model, shelf)
            numbers["ms_per_request"] = 1000 * (time.perf_counter() - start) / len(slates)
            numbers["predicted_clicks"] = float(model.predict(shown)["ctr"].sum())
            numbers["clicks"] = float(shown[CLICKED].sum())
        else:
            start = time.perf_counter()
            scores = shelf_scores(model, slates)
            numbers["ms_per_request"] = 1000 * (time.perf_counter() - start) / len(slates)
        return scores.astype(np.float32), numbers

    def _fit(self, candidate: Candidate, day: int, on_epoch: OnEpoch | None = None) -> tuple[Any, float]:
        """The model as it is fitted before ``day``, and the seconds that took."""
        epochs = Epochs(on_epoch)
        learner = self.families[candidate.family].learner(candidate.family, candidate.model)
        if isinstance(learner, FunnelLearner):
            rows = self.known.rows_before(day)
            start = time.perf_counter()
            model: Any = learner.fit(rows, features=self.known.features.names, seed=self.seed, on_progress=epochs)
        else:
            train = self.known.interactions(day)
            start = time.perf_counter()
            model = learner.fit(train, seed=self.seed, on_progress=epochs)
        self.known.curves[candidate.key, day] = epochs
        return model, time.perf_counter() - start

    def _by_scene(self, evidence: SlateEvidence, held: HeldRooms, metric: str) -> pd.DataFrame:
        scene = self.known.scenes(held.slates)  # requests are in the order of time, so days follow each other
        tables = [
            _one_lift(evidence.where(scene == name), metric).assign(scene=name)
            for name in sorted(set(scene[pd.notna(scene)]))
        ]
        return pd.concat(tables, ignore_index=True)


def join(parts: Sequence[SlateEvidence]) -> SlateEvidence:
    """Evidence of several days as one; their outcome models are those of each part.

    Examples:
        >>> from beautyrec.evaluation.evidence import impressions
        >>> day = impressions(target=np.array([0.5]), logging=np.array([0.25]), clicked=np.array([1]))
        >>> join([day, day]).weight.tolist()
        [[2.0], [2.0]]
    """

    def outcomes(of: Sequence[Outcomes | None]) -> Outcomes | None:
        there = [each for each in of if each is not None]
        if not there:
            return None
        return Outcomes(**{name: np.concatenate([each.of(name) for each in there]) for name in there[0].names})

    measured = outcomes([part.outcomes for part in parts])
    return replace(
        parts[0],
        weight=np.concatenate([part.weight for part in parts]),
        outcomes=measured if measured is not None else parts[0].outcomes,
        shown=np.concatenate([part.shown for part in parts]),
        cluster=np.concatenate([part.cluster for part in parts]),
        expected_logged=outcomes([part.expected_logged for part in parts]),
        expected_target=outcomes([part.expected_target for part in parts]),
    )


def margin(commission: float) -> Callable[[EventLog, Slates], Slates]:
    """Puts what is left of revenue, after commission and the cost of what was ordered, in its place; not below 0.

    Args:
        commission: share of revenue that the platform and the host keep.
    """

    def of(log: EventLog, slates: Slates) -> Slates:
        items = log.engine.frame(log.items).set_index(ITEM_ID)
        if "cost" not in items or items["cost"].isna().all():
            raise EvaluationError("margin: no product has a cost. Add the column 'cost' to items, or aim at revenue.")
        cost = items["cost"].reindex(slates.shelves.items.ids).fillna(0.0).to_numpy(np.float64)
        shelf = slates.shelves.item_ix[slates.room_ix]
        shown = np.where(slates.shown >= 0, np.take_along_axis(shelf, np.maximum(slates.shown, 0), axis=1), 0)
        left = slates.revenue * (1 - commission) - np.where(slates.ordered, cost[shown], 0.0)
        return replace(slates, revenue=np.maximum(left, 0.0))

    return of


def _one_lift(evidence: SlateEvidence, metric: str) -> pd.DataFrame:
    """The row of one metric by the estimator that counts."""
    return lift_table(evidence, metrics=[one for one in METRICS if one.name == metric], estimators=[DR()])


def _of_day(evidence: SlateEvidence, metric: str) -> dict[str, float]:
    """The lift of one day; nothing where it cannot be told."""
    row = _one_lift(evidence, metric).iloc[0]
    return {name: float(row[name]) for name in ("estimate", "ci_low", "ci_high") if pd.notna(row[name])}


def _metrics(days: Sequence[Mapping[str, float]], held: HeldRooms, drawn: FloatArray) -> dict[str, float]:
    metrics = {name: float(np.mean([day[name] for day in days])) for name in ("fit_seconds", "ms_per_request")}
    clicks = sum(day.get("clicks", 0.0) for day in days)
    if clicks:
        metrics["calibration"] = sum(day["predicted_clicks"] for day in days) / clicks - 1
    there = held.item_ix >= 0
    exposure = np.bincount(held.item_ix[there], weights=drawn[there])
    on_shelves = np.bincount(held.item_ix[there]) > 0
    share = exposure[exposure > 0] / exposure.sum()
    metrics["coverage"] = float(np.exp(-(share * np.log(share)).sum()) / on_shelves.sum())
    return metrics
