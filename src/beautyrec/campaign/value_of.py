"""What third-party columns are worth: the same model with and without them, and the money that they bring against their price."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
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
from beautyrec.evaluation.estimate import Estimate, Verdict
from beautyrec.evaluation.evidence import SlateEvidence
from beautyrec.evaluation.off_policy import DR, Estimator
from beautyrec.evaluation.overlap import Finding, Overlap, judge
from beautyrec.evaluation.paired import Change, PairedPredictions, lift_changes, money_change
from beautyrec.features.external import External
from beautyrec.features.family import first_family, scenes_of
from beautyrec.features.feature_set import FeatureSet
from beautyrec.models.funnel import Funnel
from beautyrec.models.funnel_base import FunnelLearner
from beautyrec.policies.base import Policy
from beautyrec.policies.softmax import Softmax
from beautyrec.types import FloatArray, Progress


class Purchase(StrEnum):
    """Whether to buy.

    ``PAYS``: the whole interval of the extra money lies above the price. ``DOES_NOT_PAY``: the whole of it lies below.
    ``CANNOT_BE_TOLD``: it holds the price, or the log does not show the policies well enough.
    """

    PAYS = "pays"
    DOES_NOT_PAY = "does not pay"
    CANNOT_BE_TOLD = "cannot be told"


@dataclass(frozen=True)
class Trial:
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
class SourceValue:
    """What a source changes, and whether that is worth its price.

    Args:
        source: its name.
        changes: one row a measure, ``measure, better, without, with, difference, ci_low, ci_high, clusters, note``; differences
            are with less without, and a value that cannot be computed is ``<NA>``.
        extra: margin (or revenue) that the source brings per 1,000 viewers of rooms; None where it cannot be computed.
        price: asked for 1,000 viewers of rooms.
        coverage: share of the test impressions of which a row was known, and held, when their room began.
        verdict: whether to buy.
        reasons: why, in words.
    """

    source: str
    changes: pd.DataFrame
    extra: Estimate | None
    price: float
    coverage: float
    verdict: Purchase
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        """The verdict and what it rests on."""
        return f"{self.source}: {self.verdict}: {'; '.join(self.reasons)}"


def value_of(
    source: ExternalSource,
    log: EventLog,
    *,
    price: float,
    trial: Trial | None = None,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> SourceValue:
    """Does the purchase pay? The same model is fitted with and without the source, and both are judged by the same viewers.

    Before each block of test days two models are fitted on what was known by then. On the impressions of the block their chances
    are compared: log loss and calibration error, and the AUC within requests. On its shelves a policy over either's scores is
    valued from the log, and so is what each would have brought. Every difference is taken viewer by viewer, so its interval
    (jackknife; Poisson bootstrap for the calibration error) is that of the difference. It is of these two fitted models: what
    another month to learn from would change is not in it.

    Money is margin, price paid less the catalogue's cost, where every product on a test shelf has a cost, and revenue if not.

    Args:
        source: with its rows in the log: ``source.read(rows).join(log)``.
        log: with shelves and propensities, as the lift needs them.
        price: money asked for 1,000 viewers of rooms, in the currency of the log. A fee of a month is ``1000 * fee / viewers``
            with the viewers of that month.
        trial: how it is tried; `Trial` as it stands if None.
        seed: of fits, of the outcome model's folds and of the bootstrap.
        on_progress: called as work goes on.

    Raises:
        ConfigError: the price is below 0 or no number.
        SchemaError: the log has no such source, or no shelves.
        EvaluationError: no room was held in the test days, or too few viewers saw one.
        FitError: there is too little before the test days to fit a model on.

    Examples:
        >>> import beautyrec as br
        >>> log = br.World.tiny(0).log()
        >>> items = log.engine.frame(log.items)[["item_id"]]
        >>> told = items.assign(told_at=pd.Timestamp("2014-01-01", tz="UTC"), luck=np.random.default_rng(0).random(len(items)))
        >>> source = ExternalSource("horoscope", "item_id", "told_at", "3650D", ("luck",))
        >>> found = br.value_of(source, source.read(told).join(log), price=5_000.0, trial=Trial(test_days=2))
        >>> str(found.verdict), round(found.coverage, 2)
        ('does not pay', 1.0)
    """
    if not (np.isfinite(price) and price >= 0):
        raise ConfigError(f"value_of: price is {price}; give the money asked for 1,000 viewers, 0 or more.")
    trial = trial or Trial()
    bench = _Bench.of(source, log, trial, seed, on_progress or (lambda _done, _total: None))
    predicted = [arm.predicted for arm in bench.arms]
    rows = bench.tested
    pairs = PairedPredictions(
        *predicted,
        rows[CLICKED].to_numpy(bool),
        rows[ORDERED].to_numpy(bool),
        rows[USER_ID].to_numpy(),
        rows.groupby([ROOM_ID, USER_ID], sort=False).ngroup().to_numpy(),
        trial.confidence,
        seed,
    )
    (_, *policies), *costs = bench.books
    options = {"estimator": trial.estimator, "confidence": trial.confidence}
    lifts = lift_changes(*policies, **options)
    money = money_change(bench.books, "margin" if costs else "revenue", **options)
    verdict, reasons = _verdict(money, price, bench.coverage, policies)
    return SourceValue(
        source=source.name,
        changes=_table([*pairs.changes(), *lifts, money]),
        extra=None if money.note else _estimate(money, trial),
        price=price,
        coverage=bench.coverage,
        verdict=verdict,
        reasons=reasons,
    )


@dataclass(frozen=True, eq=False)
class _Arm:
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
class _Bench:
    """Both arms, fitted and judged on the same days.

    Args:
        tested: [n] test impressions with their outcomes.
        arms: without the source and with it.
        books: sign, and the log weighted towards the first and second arm's policy: revenue and, where known, cost.
        coverage: share of the test impressions that the source covers.
    """

    tested: pd.DataFrame
    arms: tuple[_Arm, _Arm]
    books: list[tuple[float, SlateEvidence, SlateEvidence]]
    coverage: float

    @classmethod
    def of(cls, source: ExternalSource, log: EventLog, trial: Trial, seed: int, on_progress: Progress) -> _Bench:
        """Fit both arms before each block of days, and value both policies on all of them."""
        external = External.of(source)
        base = trial.features or first_family(scenes_of(log))
        features = FeatureSet((*base.builders, external))
        rows = impression_rows(log, features, log.impressions())
        cuts = _cuts(log, trial)
        slates = log.slates()
        slates = slates.where(slates.ts >= microseconds(cuts[0]))
        if not len(slates):
            raise EvaluationError(f"value_of: no request came after {cuts[0]}. Take fewer test days, or a longer log.")
        on_progress(1, 4)
        shelf = ShelfFeatures.of(log, features, slates)
        on_progress(2, 4)
        tested = rows[rows[TS] >= cuts[0]]
        fit = _Fits(log, trial, seed, rows, slates, shelf, cuts)
        arms = (fit.arm(base.names), fit.arm(features.names))
        on_progress(3, 4)
        books = list(_books(log, slates, arms, trial, seed))
        on_progress(4, 4)
        coverage = float(tested[external.features[-1].name].notna().mean())
        return cls(tested, arms, books, coverage)


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
    trial: Trial
    seed: int
    rows: pd.DataFrame
    slates: Slates
    shelf: ShelfFeatures
    cuts: list[pd.Timestamp]

    def arm(self, features: tuple[str, ...]) -> _Arm:
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
        return _Arm(features, pd.concat(predicted).loc[tested], draws)


def _cuts(log: EventLog, trial: Trial) -> list[pd.Timestamp]:
    """The starts of the blocks of test days, and the end of the last."""
    first = last_days(log, trial.test_days)
    days = [trial.test_days * number // trial.folds for number in range(trial.folds + 1)]
    return [first + pd.Timedelta(days=day) for day in days]


def _books(
    log: EventLog, slates: Slates, arms: tuple[_Arm, _Arm], trial: Trial, seed: int
) -> Iterator[tuple[float, SlateEvidence, SlateEvidence]]:
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
        without, with_source = (held.evidence(arm.draws) for arm in arms)
        yield sign, without, with_source


def _verdict(
    money: Change, price: float, coverage: float, policies: list[SlateEvidence]
) -> tuple[Purchase, tuple[str, ...]]:
    """Whether to buy, and why."""
    reasons = [f"of the test impressions {coverage:.1%} were covered in time"]
    if money.note:
        return Purchase.CANNOT_BE_TOLD, (f"the extra money has no value: {money.note}", *reasons)
    between = f"{money.ci_low:,.2f} .. {money.ci_high:,.2f}"
    reasons.insert(0, f"{money.measure}: {money.difference:+,.2f} ({between}) for a price of {price:,.2f}")
    same = np.array_equal(*(policy.weight for policy in policies))
    level, found = (Verdict.TRUST, ()) if same else judge(list(_overlaps(policies)))
    reasons += found
    if level is Verdict.REFUSE or money.ci_low <= price <= money.ci_high:
        return Purchase.CANNOT_BE_TOLD, tuple(reasons)
    return (Purchase.PAYS if money.ci_low > price else Purchase.DOES_NOT_PAY), tuple(reasons)


def _overlaps(policies: list[SlateEvidence]) -> Iterator[Finding]:
    """What speaks against reading either policy from the log."""
    for name, policy in zip(("without", "with"), policies, strict=True):
        for verdict, reason in Overlap.of(policy).findings("ordered"):
            yield verdict, f"{name} the source, {reason}"


def _estimate(money: Change, trial: Trial) -> Estimate:
    method = f"{trial.estimator.name}, jackknife over clusters of the difference, {trial.confidence:.0%}"
    return Estimate(money.difference, money.ci_low, money.ci_high, money.clusters, money.measure, method)


def _table(changes: list[Change]) -> pd.DataFrame:
    frame = pd.DataFrame(changes).rename(columns={"before": "without", "after": "with"})
    return frame.astype(dict.fromkeys(("without", "with", "difference", "ci_low", "ci_high"), "Float64"))
