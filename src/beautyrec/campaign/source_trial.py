"""A source tried: the same model fitted with and without its columns, before the same days, and judged on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from beautyrec.campaign.clusters import ClusterBy, by_user
from beautyrec.campaign.compare import last_days
from beautyrec.campaign.policy_lift import HeldRooms
from beautyrec.campaign.shelf_features import ShelfFeatures, funnel_scores, impression_rows, known_rows
from beautyrec.data.external import ExternalSource
from beautyrec.data.log import EventLog
from beautyrec.data.schema import CLICKED, COST, ITEM_ID, ORDERED, ROOM_ID, TS, USER_ID
from beautyrec.data.slates import Slates
from beautyrec.data.times import microseconds
from beautyrec.errors import ConfigError, EvaluationError
from beautyrec.evaluation.off_policy import DR, Estimator
from beautyrec.evaluation.paired import Book, PairedPredictions
from beautyrec.features.external import External
from beautyrec.features.family import first_family, scenes_of
from beautyrec.features.feature_set import FeatureSet
from beautyrec.models.funnel import Funnel
from beautyrec.models.funnel_base import FunnelLearner
from beautyrec.policies.base import Policy
from beautyrec.policies.softmax import Softmax
from beautyrec.types import FloatArray, Progress


@dataclass(frozen=True)
class SourceTrial:
    """How a source is tried: twice the same, but for its columns.

    Args:
        features: what models know without the source; :func:`beautyrec.features.family.first_family` if None.
        learner: fitted with and without, on the same impressions with the same seed.
        policy: from scores (log of the chance of click and order) to what is shown.
        test_days: the last days of the log, which models are judged on.
        folds: blocks of whole days that the test days are cut into; before each, models are fitted again.
        warm_up_days: first days with impressions that are not learnt from, as their features' windows are still filling.
        estimator: of what a policy would have brought.
        cluster: what is independent of each other; see `beautyrec.campaign.clusters`.
        confidence: chance of the intervals to cover.

    Raises:
        ConfigError: there are fewer test days than folds, or no fold.
    """

    features: FeatureSet | None = None
    learner: FunnelLearner = field(default_factory=Funnel)
    policy: Policy = field(default_factory=lambda: Softmax(temperature=0.7))
    test_days: int = 7
    folds: int = 1
    warm_up_days: int = 0
    estimator: Estimator = field(default_factory=DR)
    cluster: ClusterBy = by_user
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not 1 <= self.folds <= self.test_days:
            raise ConfigError(
                f"trial: folds is {self.folds}, test_days {self.test_days}; give 1 fold or more, a day each at least."
            )


@dataclass(frozen=True, eq=False)
class Arm:
    """One way to predict: n test impressions and B test requests.

    Args:
        features: what models know.
        predicted: [n] rows, the chances of the impressions.
        draws: [B, C] chances of the policy to draw each product first.
    """

    features: tuple[str, ...]
    predicted: pd.DataFrame
    draws: FloatArray


@dataclass(frozen=True, eq=False)
class Tried:
    """Both arms, fitted and judged on the same days.

    Args:
        arms: without the source and with it.
        pairs: what both predict of the test impressions, and what came of them.
        books: the log weighted towards either arm's policy: revenue and, where it is known, cost.
        coverage: share of the test impressions of which the source had a row that held, when their room began.
    """

    arms: tuple[Arm, Arm]
    pairs: PairedPredictions
    books: list[Book]
    coverage: float

    @classmethod
    def of(
        cls,
        source: ExternalSource,
        log: EventLog,
        trial: SourceTrial,
        seed: int = 0,
        on_progress: Progress | None = None,
    ) -> Tried:
        """Fit both arms before each block of days, and value both policies on all of them.

        Raises:
            EvaluationError: no room was held in the test days, or too few viewers saw one.
        """
        done = on_progress or (lambda _done, _total: None)
        external = External.of(source)
        base = trial.features or first_family(scenes_of(log))
        features = FeatureSet((*base.builders, external))
        rows = impression_rows(log, features, log.impressions())
        cuts = _cuts(log, trial)
        slates = log.slates()
        slates = slates.where(slates.ts >= microseconds(cuts[0]))
        if not len(slates):
            raise EvaluationError(f"value_of: no request came after {cuts[0]}. Take fewer test days, or a longer log.")
        done(1, 4)
        shelf = ShelfFeatures.of(log, features, slates)
        done(2, 4)
        tested = rows[rows[TS] >= cuts[0]]
        fit = _Fits(log, trial, seed, rows, slates, shelf, cuts)
        arms = (fit.arm(base.names), fit.arm(features.names))
        done(3, 4)
        books = list(_books(log, slates, arms, trial, seed))
        done(4, 4)
        coverage = float(tested[external.features[-1].name].notna().mean())
        return cls(arms, _pairs(tested, arms, trial, seed), books, coverage)


@dataclass(frozen=True, eq=False)
class _Fits:
    """What the two arms share: the log, its impressions, the shelves, and the moments at which models are fitted.

    Args:
        log: the whole log.
        trial: how it is done.
        seed: of every fit.
        rows: all impressions with all features.
        slates: the test requests.
        shelf: features of all that could be shown in them.
        cuts: the starts of the blocks, and the end of the last.
    """

    log: EventLog
    trial: SourceTrial
    seed: int
    rows: pd.DataFrame
    slates: Slates
    shelf: ShelfFeatures
    cuts: list[pd.Timestamp]

    def arm(self, features: tuple[str, ...]) -> Arm:
        """Chances of the test impressions and of the policy, block by block."""
        predicted, draws = [], np.zeros(self.shelf.there.shape)
        warm = self.rows[TS].min().floor("D") + pd.Timedelta(days=self.trial.warm_up_days)
        for start, end in pairwise(self.cuts):
            known = known_rows(self.log, self.rows, start)
            model = self.trial.learner.fit(known[known[TS] >= warm], features=features, seed=self.seed)
            predicted.append(model.predict(self.rows[self.rows[TS].between(start, end, inclusive="left")]))
            ts = self.slates.ts
            now = (ts >= microseconds(start)) & (ts < microseconds(end))
            draws[now] = self.trial.policy.probabilities(funnel_scores(model, self.shelf.where(now)))
        tested = self.rows.index[self.rows[TS] >= self.cuts[0]]
        return Arm(features, pd.concat(predicted).loc[tested], draws)


def _cuts(log: EventLog, trial: SourceTrial) -> list[pd.Timestamp]:
    """The starts of the blocks of test days, and the end of the last."""
    first = last_days(log, trial.test_days)
    days = [trial.test_days * number // trial.folds for number in range(trial.folds + 1)]
    return [first + pd.Timedelta(days=day) for day in days]


def _books(log: EventLog, slates: Slates, arms: tuple[Arm, Arm], trial: SourceTrial, seed: int) -> Iterator[Book]:
    """Revenue, and the cost of what was ordered where all products on the shelves have one."""
    items = log.engine.frame(log.items.select(ITEM_ID, COST)).set_index(ITEM_ID)[COST]
    cost = items.reindex(slates.shelves.items.ids).to_numpy(np.float64, na_value=np.nan)
    shelf = slates.shelves.item_ix[slates.room_ix]
    books = [(1.0, slates)]
    if not np.isnan(cost[np.unique(shelf[shelf >= 0])]).any():
        shown = np.take_along_axis(shelf, np.maximum(slates.shown, 0), axis=1)
        books.append((-1.0, replace(slates, revenue=np.where(slates.ordered, cost[shown], 0.0))))
    for sign, book in books:
        held = HeldRooms.of(book, seed=seed, cluster=trial.cluster)
        yield Book(sign, held.evidence(arms[0].draws), held.evidence(arms[1].draws))


def _pairs(tested: pd.DataFrame, arms: tuple[Arm, Arm], trial: SourceTrial, seed: int) -> PairedPredictions:
    """Both arms' chances of the same impressions; a viewer in a room is the request that a list was chosen for."""
    return PairedPredictions(
        before=arms[0].predicted,
        after=arms[1].predicted,
        clicked=tested[CLICKED].to_numpy(bool),
        ordered=tested[ORDERED].to_numpy(bool),
        cluster=tested[USER_ID].to_numpy(),
        request=tested.groupby([ROOM_ID, USER_ID], sort=False).ngroup().to_numpy(),
        confidence=trial.confidence,
        seed=seed,
    )
