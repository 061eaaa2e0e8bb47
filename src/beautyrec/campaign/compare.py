"""Several models on one log by one protocol, in one table that says on every row how it came about.

A protocol is a frozen object: what is held out, what models may know, and what they are judged by. Ranking protocols are
here; :class:`~beautyrec.campaign.lift_from_log.LiftFromLog` judges models by the lift of a policy over their scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd

from beautyrec.campaign.ranking_study import LONG, RankingTask, metric_table, rank_each
from beautyrec.campaign.segments import Segment
from beautyrec.data.log import EventLog
from beautyrec.data.schema import CLICK, ORDER, TS
from beautyrec.data.splits import Split, leave_last_out
from beautyrec.data.times import Moment, microseconds, utc
from beautyrec.errors import ConfigError, EvaluationError
from beautyrec.evaluation.multiple import holm
from beautyrec.evaluation.ranking_table import ALL, paired_test
from beautyrec.evaluation.ranking_values import Values
from beautyrec.models.base import Learner
from beautyrec.models.funnel_base import FunnelLearner

Models = Mapping[str, Learner | FunnelLearner]
"""What is compared, by the name shown; the first one is what the others are tested against."""

HEAD: Final = ("protocol", "train", "test", "k", "seed", "model")
"""The first columns of every comparison."""

TESTED: Final = ("against", "difference", "p_value", "p_adjusted")
"""Columns of the tests: on the rows of all users, of every model but the first."""

COST: Final = ("fit_seconds", "rank_seconds")
"""The last columns of comparisons by ranking: wall clock, to fit and to rank all items for all users."""


class ComparisonProtocol(Protocol):
    """How models are held against each other."""

    def table(self, models: Models, log: EventLog, *, seed: int) -> pd.DataFrame:
        """The rows of all models, with the columns :data:`HEAD` first."""
        ...


def compare(models: Models, log: EventLog, protocol: ComparisonProtocol, *, seed: int = 0) -> pd.DataFrame:
    """Fit each model on what the protocol lets it know, and judge all by what it held out.

    Args:
        models: learners, by the name shown; the first is the one that the others are tested against.
        log: the whole log; the protocol cuts it.
        protocol: `LeaveLastOut`, `GlobalTime` or `LiftFromLog`.
        seed: of fits, slates and permutations.

    Returns:
        For ranking protocols one row a model, segment and metric: :data:`HEAD`, ``segment, metric, value, ci_low, ci_high, n,
        note``, and ``against, difference, p_value, p_adjusted``: the mean of the model's value minus the first one's over
        the same users, the p-value of a paired permutation test of no difference, and the same for all tests of the table
        together (Holm 1979); then :data:`COST`. For the lift the columns of
        :func:`beautyrec.evaluation.lift.lift_table` after :data:`HEAD`.

    Raises:
        ConfigError: there is no model, or a protocol cannot take one of them.
        DataError: the log cannot be cut so; says why.
        EvaluationError: nothing was held out that models can be judged by.

    Examples:
        >>> import beautyrec as br
        >>> log = br.World.tiny(0).log()
        >>> models = {"popularity": br.Popularity(), "item_knn": br.ItemKNN()}
        >>> table = br.compare(models, log, br.GlobalTime(test_days=2, k=5))
        >>> table[["protocol", "k", "model"]].drop_duplicates().to_numpy().tolist()
        [['global time', 5, 'popularity'], ['global time', 5, 'item_knn']]
        >>> lift = br.compare(models, log, br.LiftFromLog(test_days=2))
        >>> lift["protocol"].unique().tolist(), set(lift["verdict"]) <= {"trust", "caution", "refuse"}
        (['lift from the log'], True)
    """
    if not models:
        raise ConfigError("compare: there is no model. Give at least one, by the name to show.")
    return protocol.table(models, log, seed=seed)


@dataclass(frozen=True)
class LeaveLastOut:
    """Each user's last events are held out, and all items are ranked from what came before.

    The future of other users is in train: it says how well a model orders items, not how well it would have done on a day.

    Args:
        k: length of the lists.
        holdout: how many events of each user are held out; who has no more stays in train.
        weights: name of the event to how much it counts; these events are fitted on and are what is relevant.
        segment: what to cut the held-out events by; nothing where it is None.
        permutations: of the paired tests.
    """

    k: int = 10
    holdout: int = 1
    weights: Mapping[str, float] = field(default_factory=lambda: {ORDER: 1.0, CLICK: 0.3})
    segment: Segment | None = None
    permutations: int = 9_999
    name: str = "leave-last-out"

    def split(self, log: EventLog) -> tuple[Split, str]:
        """Train and test, and what was seen in train."""
        split = leave_last_out(log.interactions(self.weights), self.holdout)
        return split, f"all but the last {self.holdout} of each user's events: {_events(split)}"

    def table(self, models: Models, log: EventLog, *, seed: int) -> pd.DataFrame:
        """One row a model, segment and metric; see `compare`."""
        return _ranking_rows(models, self, self.split(log), seed)


@dataclass(frozen=True)
class GlobalTime:
    """Everything after one moment is held out, for all users at once; models know what was available before it.

    Args:
        test_days: the last days of the log, the one it ends on included, where ``cutoff`` is None.
        k: length of the lists.
        cutoff: the moment itself, with a time zone.
        weights: name of the event to how much it counts; these events are fitted on and are what is relevant.
        segment: what to cut the held-out events by; nothing where it is None.
        permutations: of the paired tests.
    """

    test_days: int = 7
    k: int = 10
    cutoff: Moment | None = None
    weights: Mapping[str, float] = field(default_factory=lambda: {ORDER: 1.0, CLICK: 0.3})
    segment: Segment | None = None
    permutations: int = 9_999
    name: str = "global time"

    def split(self, log: EventLog) -> tuple[Split, str]:
        """Train and test, and what was seen in train."""
        cutoff = last_days(log, self.test_days) if self.cutoff is None else utc(self.cutoff)
        whole = log.interactions(self.weights)
        train = log.before(cutoff).interactions(self.weights, whole.users, whole.items)
        later = whole.ts >= microseconds(cutoff)
        split = Split(train, whole.where(later), cutoff)
        if not len(split.train) or not len(split.test):
            sides = f"{len(split.train)} events were known before {cutoff} and {len(split.test)} came after"
            raise EvaluationError(f"global time: {sides}; both sides need some. Choose another cutoff.")
        return split, f"what was known before {cutoff:%Y-%m-%d %H:%M} UTC: {_events(split)}"

    def table(self, models: Models, log: EventLog, *, seed: int) -> pd.DataFrame:
        """One row a model, segment and metric; see `compare`."""
        return _ranking_rows(models, self, self.split(log), seed)


def last_days(log: EventLog, days: int) -> pd.Timestamp:
    """Midnight (UTC) before the last ``days`` days of a log, the one it ends on included.

    Raises:
        ConfigError: ``days`` is below 1.
    """
    if days < 1:
        raise ConfigError(f"test_days is {days}; hold out at least 1 day.")
    end = log.engine.frame(log.events.aggregate(end=log.events[TS].max()))["end"].iloc[0]
    return pd.Timestamp(end).tz_convert("UTC").floor("D") - pd.Timedelta(days=days - 1)


def _events(split: Split) -> str:
    return f"{len(split.train):,} events of {len(np.unique(split.train.user_ix)):,} users"


def _ranking_rows(
    models: Models, protocol: LeaveLastOut | GlobalTime, cut: tuple[Split, str], seed: int
) -> pd.DataFrame:
    """The comparison by a ranking protocol."""
    learners = {name: learner for name, learner in models.items() if not isinstance(learner, FunnelLearner)}
    if len(learners) < len(models):
        others = sorted(models.keys() - learners.keys())
        raise ConfigError(
            f"{protocol.name}: {others} predict clicks and do not rank all items. Use LiftFromLog for them."
        )
    split, train = cut
    task = RankingTask.of(split)
    test = f"{len(task.user_ix):,} users with {len(task.item_ix):,} items that are new to them"
    test += "" if protocol.segment is None else f", {protocol.segment.name}"
    head: dict[str, Any] = {"protocol": protocol.name, "train": train, "test": test, "k": protocol.k, "seed": seed}
    tables, first = [], None
    for ranked in rank_each(learners, task, k=protocol.k, seed=seed):
        if ranked.lists is None:
            tables.append(pd.DataFrame([{**head, "model": ranked.model, "segment": ALL, "note": ranked.note}]))
            continue
        table, values = metric_table(ranked.lists, task, protocol.segment), task.values(ranked.lists)
        if first is None:
            first = (ranked.model, values)
        else:
            tests = _tests(values, first[1], protocol.permutations, seed)
            table = table.merge(tests.assign(segment=ALL, against=first[0]), on=["segment", "metric"], how="left")
        cost = {"fit_seconds": ranked.fit_seconds, "rank_seconds": ranked.rank_seconds}
        tables.append(table.assign(**head, model=ranked.model, **cost))
    return _adjusted(pd.concat(tables, ignore_index=True).reindex(columns=[*HEAD, *LONG, *TESTED, *COST]))


def _tests(mine: Mapping[str, Values], first: Mapping[str, Values], permutations: int, seed: int) -> pd.DataFrame:
    """``metric, difference, p_value`` of the paired tests; none where a single user allows no test."""
    rows = []
    for metric, values in mine.items():
        try:
            test = paired_test(values, first[metric], seed=seed, permutations=permutations)
        except EvaluationError:
            continue
        rows.append((metric, test.difference.value, test.p_value))
    return pd.DataFrame(rows, columns=["metric", "difference", "p_value"])


def _adjusted(frame: pd.DataFrame) -> pd.DataFrame:
    """With the p-values for all tests of the table together."""
    tested = frame["p_value"].notna()
    adjusted = pd.Series(np.nan, frame.index)
    adjusted[tested] = holm(frame.loc[tested, "p_value"].to_numpy(np.float64))
    numbers = dict.fromkeys(("value", "ci_low", "ci_high", "difference", "p_value", "p_adjusted"), "Float64")
    return frame.assign(p_adjusted=adjusted, note=frame["note"].fillna("")).astype(numbers)
