"""Items first sold in the last 60 days of Amazon Beauty: do features find their buyers better than popularity does?

Models are fitted on what was sold before. Candidates are only the items that nobody had bought by then; relevant is which of
them a user bought afterwards. Users are those with a history: to a user without one every model gives what is
popular, and none of these items is. Reported are recall@10 and NDCG@10, means over users with 95 % intervals, and the
target is that the lower end of a model's interval lies above the upper end of that of popularity, plain and fair.

Popularity of an item that was never sold is 0, so the plain one has no order (ties go by a seeded draw). A fair one takes
an item's category and brand: their events in training by item of theirs, over all time or the last 180 days. Which of
these is the baseline, as any setting of the models, was chosen on the items first sold in the 60 days before: the cutoff 60
days earlier, and only what was sold until the cutoff of the reading. ``--quick`` reads these, with a smaller LightFM, and
only guards against a slip: that the means are apart, not the intervals.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.campaign.ranking_study import RankingTask
from beautyrec.data.interactions import Interactions
from beautyrec.data.locate import find_data
from beautyrec.data.sources.amazon_beauty import read_amazon_beauty
from beautyrec.data.splits import split_at
from beautyrec.errors import SourceError
from beautyrec.evaluation.estimate import Estimate
from beautyrec.evaluation.ranking_table import estimate
from beautyrec.models.base import Learner
from beautyrec.models.lightfm import LightFM
from beautyrec.models.losses import InBatchSoftmax
from beautyrec.models.two_tower import TwoTower
from beautyrec.types import FloatArray, IntArray
from benchmarks import _harness

FOLDER = "amazon-beauty-2014"
DAYS, K = 60, 10
METRICS = ("recall", "ndcg")
WORDS = ("category_path", "title")
TOWERS = TwoTower(width=32, hidden=32, own_dropout=0.5, epochs=2, loss=InBatchSoftmax(256), validation_users=0)
MODELS: Mapping[str, Learner] = {
    "two_tower": TOWERS,
    "lightfm": LightFM(factors=64, epochs=10, text_features=WORDS, least_items=3, feature_weight=5.0),
}
QUICK: Mapping[str, Learner] = {
    "two_tower": TOWERS,
    "lightfm": LightFM(factors=32, epochs=4, text_features=WORDS, least_items=3, feature_weight=5.0),
}


@dataclass(frozen=True, eq=False)
class ColdTask:
    """Users with a history, the items nobody had bought, and which of them they bought."""

    task: RankingTask
    candidates: IntArray
    without_history: int

    @classmethod
    def of(cls, log: Interactions, days_before_end: int) -> ColdTask:
        """The ``DAYS`` that begin ``days_before_end`` before the end of ``log``; nothing after them is looked at."""
        end = int(log.ts.max()) - (days_before_end - DAYS) * 86_400_000_000
        whole = log.where(log.ts <= end)
        split = split_at(whole, pd.Timestamp(end, unit="us", tz="UTC") - pd.Timedelta(days=DAYS))
        sold = np.bincount(split.train.item_ix, minlength=len(log.items)) > 0
        everything = RankingTask.of(split)
        _, cold = everything.where(~sold[everything.item_ix])
        warm = np.diff(split.train.indptr)[cold.user_ix] > 0
        _, task = cold.where(warm[cold.row])
        first_sold = np.unique(split.test.item_ix[~sold[split.test.item_ix]])
        return cls(task, first_sold, int((~warm).sum()))

    @property
    def train(self) -> Interactions:
        return self.task.split.train

    def lists(self, score: FloatArray, seed: int) -> IntArray:
        """[B, K] the same items for all, by ``score`` [I]; equal ones in an order drawn once."""
        order = np.random.default_rng(seed).permutation(self.candidates)
        best = order[np.argsort(-score[order], kind="stable")][:K]
        return np.tile(best, (len(self.task.user_ix), 1))

    def judge(self, lists: IntArray) -> dict[str, Estimate]:
        values = self.task.values(lists)
        return {metric: estimate(values[metric], f"{metric}@{K}") for metric in METRICS}


def popularities(train: Interactions) -> dict[str, FloatArray]:
    """[I] by name: what the train side says of items through their category and brand, and plain counts."""
    table = train.item_table
    if table is None:
        raise SourceError(f"'{FOLDER}' has no items.parquet. Get it as data/README.md says.")
    n_items = len(train.items)
    found = {"plain": np.bincount(train.item_ix, minlength=n_items).astype(np.float64)}
    sold = found["plain"] > 0
    for span, days in (("all time", None), ("180 days", 180)):
        recent = np.ones(len(train), bool) if days is None else train.ts >= train.ts.max() - days * 86_400_000_000
        events = np.bincount(train.item_ix[recent], minlength=n_items)
        rate = {name: by_value(table[name], events, sold) for name in ("category", "brand")}
        found |= {f"{name}, {span}": score for name, score in rate.items()}
        found[f"category and brand, {span}"] = rate["category"] * rate["brand"]
    return found


def by_value(values: pd.Series[Any], events: IntArray, sold: np.ndarray[Any, np.dtype[np.bool_]]) -> FloatArray:
    """[I] events an item sold of the same value; the mean of all where the value is missing or new, shrunk to it by one item."""
    code, names = pd.factorize(values)
    mean = events[sold].mean()
    known = sold & (code >= 0)
    total = np.bincount(code[known], weights=events[known], minlength=len(names))
    count = np.bincount(code[known], minlength=len(names))
    rate = (total + mean) / (count + 1)
    return np.where(code >= 0, rate[code], mean)


def read_log() -> Interactions:
    data = find_data()
    if data is None or not (data / FOLDER).is_dir():
        raise SourceError(f"the data folder '{FOLDER}' is not there. Name the folder above it in BEAUTYREC_DATA.")
    return read_amazon_beauty(data / FOLDER).interactions()


def shown(found: Mapping[str, Estimate]) -> dict[str, list[float]]:
    """Value and ends of the interval of each metric."""
    return {name: [round(x, 4) for x in (one.value, one.ci_low, one.ci_high)] for name, one in found.items()}


def fitted(cold: ColdTask, models: Mapping[str, Learner], seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Estimates of each model, and the processor's seconds."""
    found, seconds = {}, {}
    for place, (name, learner) in enumerate(models.items()):
        started = time.process_time()
        lists, _ = learner.fit(cold.train, seed=seed).top_k(cold.task.user_ix, K, candidates=cold.candidates)
        found[name], seconds[name] = cold.judge(lists), round(time.process_time() - started, 1)
        _harness.progress(place + 1, len(models))
    return found, seconds


def check(name: str, mine: Estimate, other: str, theirs: Estimate, quick: bool) -> _harness.Check:
    """Whether the interval of a model lies above that of a popularity; in the quick form, whether the mean does."""
    by = mine.value - theirs.value if quick else mine.ci_low - theirs.ci_high
    what = "mean above that" if quick else "interval above that"
    return _harness.at_least(f"{mine.unit} of {name}: {what} of popularity, {other}", by, mine.unit, 0.0)


def measure(seed: int, quick: bool) -> _harness.Measured:
    log = read_log()
    before = ColdTask.of(log, 2 * DAYS)
    chosen = {name: before.judge(before.lists(score, seed)) for name, score in popularities(before.train).items()}
    best = max((name for name in chosen if name != "plain"), key=lambda name: chosen[name]["ndcg"].value)
    cold = before if quick else ColdTask.of(log, DAYS)
    score = popularities(cold.train)
    baselines = {name: cold.judge(cold.lists(score[name], seed)) for name in ("plain", best)}
    found, seconds = fitted(cold, QUICK if quick else MODELS, seed)
    checks = [
        check(name, mine[metric], other, baselines[other][metric], quick)
        for name, mine in found.items()
        for other in baselines
        for metric in METRICS
    ]
    notes = {
        "users": len(cold.task.user_ix),
        "users_without_history_left_out": cold.without_history,
        "items_nobody_had_bought": len(cold.candidates),
        "popularity_chosen_before": best,
        "value_and_interval": {name: shown(one) for name, one in (baselines | found).items()},
        "processor_seconds": seconds,
        "popularities_in_the_60_days_before": {name: shown(one) for name, one in chosen.items()},
    }
    return checks, notes


if __name__ == "__main__":
    _harness.main("cold_start", measure)
