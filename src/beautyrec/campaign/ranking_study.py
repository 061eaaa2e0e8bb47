"""Several models, one split, one table: how well each ranks what was taken afterwards, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd

from beautyrec.data.splits import Split
from beautyrec.errors import EvaluationError, MissingExtraError
from beautyrec.evaluation.ranking import coverage, hits, mean_estimate, ndcg, recall
from beautyrec.models.base import Learner, Recommender
from beautyrec.types import IntArray, Progress

OnModel = Callable[[str], Progress | None]
"""Called with the name of a model before it is fitted; gives what reports the progress of its fit."""


@dataclass(frozen=True)
class RankingRow:
    """A model's row.

    Recall is hits / relevant items; NDCG has binary gain, ``1 / log2(rank + 1)`` and an ideal list of as many items as
    are relevant. Numbers are NaN where the model could not be fitted, and ``note`` says why.
    """

    model: str
    """Its name."""
    protocol: str
    """How train and test were cut."""
    k: int
    """Length of the lists."""
    users: int
    """Users in test with something relevant, each one list."""
    cold_users: int
    """Those of them without an event in train; they get what is popular and are counted."""
    recall: float = np.nan
    """Mean recall@k."""
    recall_ci_low: float = np.nan
    """Lower end of its 95 % interval."""
    recall_ci_high: float = np.nan
    """Upper end."""
    ndcg: float = np.nan
    """Mean NDCG@k."""
    ndcg_ci_low: float = np.nan
    """Lower end of its 95 % interval."""
    ndcg_ci_high: float = np.nan
    """Upper end."""
    coverage: float = np.nan
    """Share of the catalogue in at least one list."""
    fit_seconds: float = np.nan
    """To fit, wall clock."""
    rank_seconds: float = np.nan
    """To rank all items for all users of the test."""
    note: str = ""
    """Why there are no numbers."""


@dataclass(frozen=True, eq=False)
class _Task:
    """Who is asked about, and what is relevant to them.

    Args:
        user_ix: [B] users.
        indptr: [B + 1] the relevant items of each.
        item_ix: [n] those items.
        cold: how many of the users have no event in train.
    """

    user_ix: IntArray
    indptr: IntArray
    item_ix: IntArray
    cold: int


def rank_models(
    learners: Mapping[str, Learner],
    split: Split,
    *,
    protocol: str,
    k: int = 10,
    seed: int = 0,
    on_model: OnModel | None = None,
) -> pd.DataFrame:
    """Fit each learner on the train side and rank the full catalogue for every user of the test side.

    Items that a user took in train are left out of the user's list and of what is relevant to them. An item that only
    the test side has stays relevant: a model that cannot know it misses it.

    Args:
        learners: by the name shown.
        split: train and test over the same vocabularies.
        protocol: what to call the split.
        k: length of the lists.
        seed: of every fit.
        on_model: told when a fit begins.

    Returns:
        One row a learner in their order, with the columns of :class:`RankingRow`. A learner whose library is not
        installed has a row that says how to install it.

    Raises:
        EvaluationError: the test side has nothing relevant.
        FitError: a model cannot be fitted on the train side.
    """
    task = _task(split)
    rows = []
    for name, learner in learners.items():
        on_progress = on_model(name) if on_model else None
        blank = RankingRow(name, protocol, k, len(task.user_ix), task.cold)
        try:
            started = time.perf_counter()
            model = learner.fit(split.train, seed=seed, on_progress=on_progress)
            rows.append(_row(blank, model, task, time.perf_counter() - started))
        except MissingExtraError as error:
            rows.append(replace(blank, note=str(error)))
    return pd.DataFrame(rows, columns=[field.name for field in fields(RankingRow)])


def _task(split: Split) -> _Task:
    """The users of the test side and what they took there for the first time."""
    train, test = split.train, split.test
    width = len(test.items)
    key = np.unique(test.user_ix * width + test.item_ix)
    key = np.setdiff1d(key, train.user_ix * width + train.item_ix, assume_unique=False)
    if not len(key):
        raise EvaluationError("ranking: nobody took an item in test that they had not taken in train. Cut elsewhere.")
    user, first = np.unique(key // width, return_index=True)
    cold = int(np.count_nonzero(np.diff(train.indptr)[user] == 0))
    return _Task(user, np.append(first, len(key)), key % width, cold)


def _row(blank: RankingRow, model: Recommender, task: _Task, fit_seconds: float) -> RankingRow:
    """``blank`` with the numbers of ``model``."""
    started = time.perf_counter()
    lists, _ = model.top_k(task.user_ix, blank.k)
    rank_seconds = time.perf_counter() - started
    found = hits(lists, task.indptr, task.item_ix)
    r = mean_estimate(recall(found), f"recall@{blank.k}")
    n = mean_estimate(ndcg(found), f"ndcg@{blank.k}")
    return replace(
        blank,
        recall=r.value,
        recall_ci_low=r.ci_low,
        recall_ci_high=r.ci_high,
        ndcg=n.value,
        ndcg_ci_low=n.ci_low,
        ndcg_ci_high=n.ci_high,
        coverage=coverage(lists, len(model.items)),
        fit_seconds=fit_seconds,
        rank_seconds=rank_seconds,
    )
