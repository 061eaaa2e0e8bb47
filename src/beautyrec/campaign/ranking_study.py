"""Several models, one split, one table: how well each ranks what was taken afterwards, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd

from beautyrec.campaign.segments import Pairs, Segment
from beautyrec.data.schema import CATEGORY
from beautyrec.data.splits import Split
from beautyrec.errors import EvaluationError, MissingExtraError
from beautyrec.evaluation.ranking import coverage
from beautyrec.evaluation.ranking_table import ALL, estimate_or_note
from beautyrec.evaluation.ranking_values import ItemFacts, Values, ranking_values
from beautyrec.models.base import Learner
from beautyrec.types import BoolArray, IntArray, Progress

OnModel = Callable[[str], Progress | None]
"""Called with the name of a model before it is fitted; gives what reports the progress of its fit."""

COVERAGE: Final = "coverage"
"""Share of the catalogue in at least one list; of all lists together, so it has no interval."""

METRICS: Final = (
    "recall",
    "precision",
    "hit_rate",
    "ndcg",
    "map",
    "mrr",
    "novelty",
    "diversity",
    "popularity_bias",
    "debiased_recall",
    COVERAGE,
)
"""What a table holds, at k: see :mod:`beautyrec.evaluation.ranking` and :mod:`beautyrec.evaluation.list_quality`.
``diversity`` is by category, and missing where the split's items have none."""

LONG: Final = ("segment", "metric", "value", "ci_low", "ci_high", "n", "note")
"""Columns of a table with a row a metric, as :func:`beautyrec.evaluation.ranking_table.ranking_table` has them."""


@dataclass(frozen=True, eq=False)
class RankingTask:
    """Who is asked about, and what is relevant to them: what they took in test for the first time.

    Args:
        split: train and test over the same vocabularies.
        user_ix: [B] users with something relevant.
        indptr: [B + 1] the relevant items of each.
        item_ix: [n] those items.
    """

    split: Split
    user_ix: IntArray
    indptr: IntArray
    item_ix: IntArray

    @classmethod
    def of(cls, split: Split) -> RankingTask:
        """The users of the test side and what they took there for the first time.

        Raises:
            EvaluationError: the test side has nothing relevant.
        """
        train, test = split.train, split.test
        width = len(test.items)
        key = np.unique(test.user_ix * width + test.item_ix)
        key = np.setdiff1d(key, train.user_ix * width + train.item_ix, assume_unique=False)
        if not len(key):
            raise EvaluationError(
                "ranking: nobody took an item in test that they had not taken in train. Cut elsewhere."
            )
        user, first = np.unique(key // width, return_index=True)
        return cls(split, user, np.append(first, len(key)), key % width)

    @cached_property
    def row(self) -> IntArray:
        """[n] which of the B users each relevant item belongs to."""
        return np.repeat(np.arange(len(self.user_ix)), np.diff(self.indptr))

    @cached_property
    def pairs(self) -> Pairs:
        """The relevant pairs, to be cut into segments."""
        return Pairs(self.split.train, self.user_ix[self.row], self.item_ix)

    @property
    def cold_users(self) -> int:
        """Users without an event in train; they get what is popular and are counted."""
        return int(np.count_nonzero(np.diff(self.split.train.indptr)[self.user_ix] == 0))

    @cached_property
    def facts(self) -> ItemFacts:
        """What the train side says of the items."""
        train = self.split.train
        counts = np.bincount(train.item_ix, minlength=len(train.items)).astype(np.float64)
        table = train.item_table
        if table is None or CATEGORY not in table:
            return ItemFacts(counts)
        return ItemFacts(counts, np.asarray(pd.factorize(table[CATEGORY])[0], dtype=np.int64))

    def where(self, keep: BoolArray) -> tuple[IntArray, RankingTask]:
        """Only the relevant pairs where ``keep`` [n] is true: which of the B users have one, and the task of those."""
        rows, count = np.unique(self.row[keep], return_counts=True)
        indptr = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
        return rows, RankingTask(self.split, self.user_ix[rows], indptr, self.item_ix[keep])

    def values(self, lists: IntArray) -> dict[str, Values]:
        """The metrics of ``lists`` [B, k], a value a user each (coverage has none)."""
        return ranking_values(lists, self.indptr, self.item_ix, self.facts)


@dataclass(frozen=True, eq=False)
class Ranked:
    """What a model ranked.

    Args:
        model: its name.
        lists: [B, k] the items of each user of the task, best first; None where the model could not be fitted.
        fit_seconds: to fit, wall clock.
        rank_seconds: to rank all items for all users.
        note: why there are no lists.
    """

    model: str
    lists: IntArray | None = None
    fit_seconds: float = np.nan
    rank_seconds: float = np.nan
    note: str = ""


def rank_each(
    learners: Mapping[str, Learner], task: RankingTask, *, k: int, seed: int = 0, on_model: OnModel | None = None
) -> Iterator[Ranked]:
    """Fit each learner on the train side and rank the full catalogue for every user of the task, one after the other.

    Args:
        learners: by the name shown.
        task: who is asked about.
        k: length of the lists.
        seed: of every fit.
        on_model: told when a fit begins.

    Raises:
        FitError: a model cannot be fitted on the train side.
    """
    for name, learner in learners.items():
        on_progress = on_model(name) if on_model else None
        started = time.perf_counter()
        try:
            model = learner.fit(task.split.train, seed=seed, on_progress=on_progress)
        except MissingExtraError as error:
            yield Ranked(name, note=str(error))
            continue
        fitted = time.perf_counter()
        lists, _ = model.top_k(task.user_ix, k)
        yield Ranked(name, lists, fitted - started, time.perf_counter() - fitted)


def metric_table(lists: IntArray, task: RankingTask, segment: Segment | None = None) -> pd.DataFrame:
    """All metrics of one model's lists with their 95 % intervals: of all users, and in each segment.

    In a segment only its own pairs are relevant, and only users who have one are counted.

    Args:
        lists: [B, k] the items of each user of the task.
        task: who was asked about.
        segment: what to cut by; only all users where it is None.

    Returns:
        The columns of :data:`LONG`, ``users`` and ``cold_users``; values that there are too few users for are ``<NA>``, and
        the note says why.
    """
    parts = [_metrics(ALL, lists, task)]
    if segment is not None:
        label = np.asarray(segment(task.pairs)).astype(str)
        for name in np.unique(label):
            rows, part = task.where(label == name)
            parts.append(_metrics(str(name), lists[rows], part))
    frame = pd.concat(parts, ignore_index=True)
    return frame.astype(dict.fromkeys(("value", "ci_low", "ci_high"), "Float64"))


def _metrics(segment: str, lists: IntArray, task: RankingTask) -> pd.DataFrame:
    values = task.values(lists)
    rows: list[tuple[Any, ...]] = [(segment, name, *estimate_or_note(part, name)) for name, part in values.items()]
    share = coverage(lists, len(task.split.train.items))
    rows.append((segment, COVERAGE, share, None, None, len(lists), "one value of all lists, without an interval"))
    order = {name: place for place, name in enumerate(METRICS)}
    frame = pd.DataFrame(sorted(rows, key=lambda row: order[str(row[1])]), columns=list(LONG))
    return frame.assign(users=len(lists), cold_users=task.cold_users)


def rank_models(
    learners: Mapping[str, Learner],
    split: Split,
    *,
    protocol: str,
    k: int = 10,
    seed: int = 0,
    segment: Segment | None = None,
    on_model: OnModel | None = None,
) -> pd.DataFrame:
    """Fit each learner on the train side and rank the full catalogue for every user of the test side.

    Items that a user took in train are left out of the user's list and of what is relevant to them. An item that only
    the test side has stays relevant: a model that cannot know it misses it. To test whether one model is better than
    another, use :func:`beautyrec.campaign.compare.compare`.

    Args:
        learners: by the name shown.
        split: train and test over the same vocabularies.
        protocol: what to call the split.
        k: length of the lists.
        seed: of every fit.
        segment: what to cut the test side by, see :mod:`beautyrec.campaign.segments`; nothing where it is None.
        on_model: told when a fit begins.

    Returns:
        One row a learner in their order (and segment, that of all users first): ``model, protocol, segment, k, users,
        cold_users``, each of :data:`METRICS` and the ends of its 95 % interval as ``NAME_ci_low`` and ``NAME_ci_high``
        (``coverage`` has none), ``fit_seconds``, ``rank_seconds``, ``note``. What there are too few users for is NaN. A
        learner whose library is not installed has a row whose note says how to install it.

    Raises:
        EvaluationError: the test side has nothing relevant.
        FitError: a model cannot be fitted on the train side.
    """
    task = RankingTask.of(split)
    rows = []
    for ranked in rank_each(learners, task, k=k, seed=seed, on_model=on_model):
        head = {"model": ranked.model, "protocol": protocol, "k": k}
        cost = {"fit_seconds": ranked.fit_seconds, "rank_seconds": ranked.rank_seconds, "note": ranked.note}
        if ranked.lists is None:
            rows.append({**head, "segment": ALL, "users": len(task.user_ix), "cold_users": task.cold_users, **cost})
            continue
        table = metric_table(ranked.lists, task, segment)
        rows += [{**head, **cost, **_wide(part)} for _, part in table.groupby("segment", sort=False)]
    ends = [name for metric in METRICS for name in (metric, f"{metric}_ci_low", f"{metric}_ci_high")]
    ends = [name for name in ends if not name.startswith(f"{COVERAGE}_")]
    head_names = ["model", "protocol", "segment", "k", "users", "cold_users"]
    return pd.DataFrame(rows, columns=[*head_names, *ends, "fit_seconds", "rank_seconds", "note"])


def _wide(part: pd.DataFrame) -> dict[str, Any]:
    """One row from the rows of a segment."""
    row: dict[str, Any] = {name: part[name].iloc[0] for name in ("segment", "users", "cold_users")}
    for name, column in (("", "value"), ("_ci_low", "ci_low"), ("_ci_high", "ci_high")):
        numbers = part[column].to_numpy(np.float64, na_value=np.nan)
        row |= {f"{metric}{name}": number for metric, number in zip(part["metric"], numbers, strict=True)}
    notes = part.loc[(part["metric"] != COVERAGE) & (part["note"] != ""), "note"]
    return {**row, "note": notes.iloc[0] if len(notes) else ""}
