"""The protocol that judges models by the lift of a policy over their scores, read from rooms that were held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from beautyrec.campaign.compare import HEAD, Models, last_days
from beautyrec.campaign.policy_lift import HeldRooms, shelf_scores
from beautyrec.campaign.shelf_features import ShelfFeatures, funnel_scores, impression_rows
from beautyrec.data.interactions import Interactions
from beautyrec.data.log import EventLog
from beautyrec.data.schema import CLICK, ORDER, TS
from beautyrec.data.slates import Slates
from beautyrec.data.times import Moment, microseconds, utc
from beautyrec.errors import EvaluationError, MissingExtraError
from beautyrec.features.family import first_family, scenes_of
from beautyrec.features.feature_set import FeatureSet
from beautyrec.models.base import Learner
from beautyrec.models.funnel_base import FunnelLearner
from beautyrec.policies.base import Policy
from beautyrec.policies.softmax import Softmax
from beautyrec.types import FloatArray


@dataclass(frozen=True)
class LiftFromLog:
    """Models know what was available before a moment; a policy over their scores is valued on the rooms held after it.

    Args:
        policy: from the scores of a shelf to the chances of its products.
        test_days: the last days of the log, the one it ends on included, where ``cutoff`` is None.
        cutoff: the moment itself, with a time zone.
        weights: name of the event to how much it counts, for models that rank.
        warm_up_days: first days with impressions that a funnel model is not fitted on: its features look back over windows
            that are still filling then.
    """

    policy: Policy = field(default_factory=lambda: Softmax(temperature=0.7))
    test_days: int = 7
    cutoff: Moment | None = None
    weights: Mapping[str, float] = field(default_factory=lambda: {ORDER: 1.0, CLICK: 0.3})
    warm_up_days: int = 0
    name: str = "lift from the log"

    def table(self, models: Models, log: EventLog, *, seed: int) -> pd.DataFrame:
        """One row a model, metric and estimator: :data:`HEAD`, then the columns of `lift_table`.

        A model whose package is not installed has one row that says how to install it, with the verdict *refuse*.

        Raises:
            SchemaError: the log has no shelves.
            EvaluationError: no room was held after the cutoff, or too few viewers saw one.
        """
        cutoff = last_days(log, self.test_days) if self.cutoff is None else utc(self.cutoff)
        slates = log.slates()
        slates = slates.where(slates.ts >= microseconds(cutoff))
        if not len(slates):
            raise EvaluationError(f"{self.name}: no request came after {cutoff}. Choose an earlier cutoff.")
        head = {
            "protocol": self.name,
            "train": f"what was known before {cutoff:%Y-%m-%d %H:%M} UTC",
            "test": f"{len(slates):,} requests after it, by {self.policy}",
            "k": slates.shown.shape[1],
            "seed": seed,
        }
        held, bench = HeldRooms.of(slates, seed=seed), _Bench(log, cutoff, slates, self)
        tables = []
        for name, learner in models.items():
            try:
                table = held.lift(self.policy.probabilities(bench.scores(learner, seed)))
            except MissingExtraError as error:
                table = pd.DataFrame([{"verdict": "refuse", "reasons": str(error)}])
            tables.append(table.assign(**head, model=name))
        frame = pd.concat(tables, ignore_index=True)
        return frame[[*HEAD, *(name for name in frame.columns if name not in HEAD)]]


@dataclass(frozen=True, eq=False)
class _Bench:
    """Where models are fitted and scored; what several need is computed once.

    Args:
        log: the whole log.
        cutoff: models know what was available before it.
        slates: the requests whose shelves are scored.
        protocol: its weights and warm-up.
    """

    log: EventLog
    cutoff: pd.Timestamp
    slates: Slates
    protocol: LiftFromLog

    def scores(self, learner: Learner | FunnelLearner, seed: int) -> FloatArray:
        """[B, C] from ``learner``, fitted on what was known before the cutoff."""
        if isinstance(learner, FunnelLearner):
            model = learner.fit(self.rows, features=self.features.names, seed=seed)
            return funnel_scores(model, self.shelf)
        return shelf_scores(learner.fit(self.interactions, seed=seed), self.slates)

    @cached_property
    def interactions(self) -> Interactions:
        """For models that rank."""
        return self.log.before(self.cutoff).interactions(self.protocol.weights)

    @cached_property
    def features(self) -> FeatureSet:
        """Of funnel models."""
        return first_family(scenes_of(self.log))

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Impressions known before the cutoff, from the end of the warm-up on, with their features."""
        rows = impression_rows(self.log, self.features, self.log.before(self.cutoff).impressions())
        warm = rows[TS].min().floor("D") + pd.Timedelta(days=self.protocol.warm_up_days)
        kept: pd.DataFrame = rows[rows[TS] >= warm]
        return kept

    @cached_property
    def shelf(self) -> ShelfFeatures:
        """Features of all that could be shown."""
        return ShelfFeatures.of(self.log, self.features, self.slates)
