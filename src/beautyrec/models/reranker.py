"""A second stage: boosted trees put the best items of a blend into a new order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from beautyrec.data.interactions import Interactions
from beautyrec.errors import FitError, MissingExtraError
from beautyrec.models.base import Known
from beautyrec.models.blend import Blend, WithoutLast, within
from beautyrec.models.checks import require_bound, require_events
from beautyrec.models.reranked import Purchases, RerankRecommender, look
from beautyrec.models.trees import MAX_LEAVES, TreeEnsemble
from beautyrec.types import BoolArray, FloatArray, IntArray, Progress

CHUNK_SCORES = 2**20
"""Scores of one part held at one time while examples are made."""

NEWTON_STEPS = 50
"""For the slope."""

LEAST_CHANCE = 1e-12
"""Of a candidate by the first stage, so that one divides by it."""


@dataclass(frozen=True)
class SecondStage:
    """How the best of the first stage are put into a new order; trees are scikit-learn's histogram gradient boosting."""

    candidates: int = 100
    """How many of a user's best are put into a new order."""
    groups: tuple[str, ...] = ("category", "brand")
    """Columns of the item table whose values a history is searched for; those that the table lacks say nothing."""
    trees: int = 100
    """How many."""
    leaves: int = 8
    """Of each tree at most."""
    learning_rate: float = 0.06
    """How much of each tree is taken."""
    l2: float = 10.0
    """Pull of leaves towards 0, in events: a leaf where so many were expected goes half of the way."""
    rows_a_leaf: int = 200
    """Candidates at least in each leaf."""
    training_users: int = 20_000
    """Users at most whose last event the trees learn from; those who took a candidate cost `candidates` rows each."""

    def __post_init__(self) -> None:
        require_bound("reranker", "candidates", self.candidates, 2)
        require_bound("reranker", "trees", self.trees, 1)
        require_bound("reranker", "leaves", self.leaves, 2, MAX_LEAVES)
        require_bound("reranker", "learning_rate", self.learning_rate, 1e-6, 1)
        require_bound("reranker", "l2", self.l2, 0)
        require_bound("reranker", "rows_a_leaf", self.rows_a_leaf, 1)
        require_bound("reranker", "training_users", self.training_users, 1)


@dataclass(frozen=True)
class Reranker:
    """``score(u, i) = slope * blend(u, i) + trees(u, i)`` for the best candidates of a blend; all others come after them.

    Trees see what a sum of scores cannot weigh: how far the parts agree, how the item sold until then and of late, its price
    against what the user pays, when the user last took one of its category or brand. They learn from the last event of each
    user in ``train``: the blend is fitted without it, its best are the candidates, one of them was taken (users of whom none
    was say nothing). The blend is then fitted again with that event, so a fit costs that of a `Blend` that chooses its
    weights and some seconds more. No event outside ``train`` is used.

    Slope and trees maximise the likelihood of what was taken, ``exp score / sum of exp score`` over the candidates: first
    the slope alone, then boosting in its Poisson form, ``sum_i p_i exp f_i - f_taken`` with the first model's chances p, as
    sums of p are 1 for each user (Baker, *The Multinomial-Poisson Transformation*, 1994). Trees that find nothing leave the
    order of the blend as it is. Two-stage ranking: Covington, Adams and Sargin, *Deep Neural Networks for YouTube
    Recommendations* (RecSys 2016).

    What a user has taken is no candidate: with ``exclude_seen=False`` it comes after them.

    Examples:
        >>> from beautyrec.models.item_knn import ItemKNN
        >>> from beautyrec.models.popularity import Popularity
        >>> Reranker(Blend((ItemKNN(), Popularity()))).second.candidates
        100
    """

    first: Blend
    """What finds the candidates: a blend of several learners, or of one."""
    second: SecondStage = SecondStage()
    """What puts them into a new order."""

    def fit(self, train: Interactions, *, seed: int = 0, on_progress: Progress | None = None) -> RerankRecommender:
        """Fit the blend without the last events, learn from them, fit the blend again.

        Raises:
            FitError: a part cannot be fitted, nobody has two events, or no last one is among the candidates.
            MissingExtraError: scikit-learn or a part's library is not installed.
        """
        require_events(train, "reranker")
        if find_spec("sklearn") is None:  # before minutes are spent on the first stage
            raise MissingExtraError("scikit-learn", "train")
        n_parts = len(self.first.parts)
        total = 2 * n_parts + 1
        held = self.first.without_last(train, seed=seed, on_progress=within(on_progress, 0, total))
        slope, trees = learn(Choices.of(held, self.second, seed), self.second, seed)
        if on_progress:
            on_progress(n_parts + 1, total)
        blend = replace(self.first, weights=held.model.weights)
        return RerankRecommender(
            Known.of(train),
            first=blend.fit(train, seed=seed, on_progress=within(on_progress, n_parts + 1, total)),
            purchases=Purchases.of(train, self.second.groups),
            trees=trees,
            slope=slope,
            candidates=self.second.candidates,
        )


class Choices(NamedTuple):
    """Users who took one of their candidates, and all of these, user by user."""

    features: FloatArray
    """[m, F] see `beautyrec.models.reranked.look`."""
    blended: FloatArray
    """[m] the score of the first stage."""
    taken: BoolArray
    """[m] which was taken: one a user."""
    start: IntArray
    """Where the candidates of each user begin."""

    @classmethod
    def of(cls, held: WithoutLast, settings: SecondStage, seed: int) -> Choices:
        """From the last events that ``held`` has not seen, of at most ``training_users`` drawn by ``seed``.

        Raises:
            FitError: none of them is among the candidates.
        """
        rows = np.arange(len(held.user_ix))
        if len(rows) > settings.training_users:
            rows = np.sort(np.random.default_rng([seed, 3]).choice(rows, settings.training_users, replace=False))
        purchases = Purchases.of(held.train, settings.groups)
        step = max(1, CHUNK_SCORES // len(held.model.items))
        parts = [
            _chosen(held, purchases, rows[begin : begin + step], settings.candidates)
            for begin in range(0, len(rows), step)
        ]
        features, blended, taken, count = (np.concatenate(part) for part in zip(*parts, strict=True))
        features[:, np.isnan(features).all(axis=0)] = 0  # nothing is known of it, and no tree can ask for it
        if not len(count):
            raise FitError(
                f"reranker: none of the last events of {len(rows)} users is among the best {settings.candidates} items of the "
                "first stage, so there is nothing to learn from. Raise `candidates`."
            )
        return cls(features, blended, taken, np.cumsum(count) - count)


def _chosen(
    held: WithoutLast, purchases: Purchases, rows: IntArray, n: int
) -> tuple[FloatArray, FloatArray, BoolArray, IntArray]:
    """Features, scores, what was taken, and how many candidates each user has, of those who took one of them."""
    stage = look(held.model, purchases, held.user_ix[rows], n)
    is_next = stage.items == held.item_ix[rows, None]
    there = stage.items >= 0
    found = is_next.any(axis=1)
    keep = np.broadcast_to(found[:, None], there.shape)[there]
    features = np.stack([column[keep] for column in stage.columns], axis=1)
    return features, stage.blended[keep], is_next[there][keep], there.sum(axis=1)[found]


def learn(choices: Choices, stage: SecondStage, seed: int) -> tuple[float, TreeEnsemble]:
    """The slope, and trees grown on one thread so that sums are added in one order on every machine."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    slope = best_slope(choices.blended, choices.taken, choices.start)
    chance = np.maximum(chances(slope * choices.blended, choices.start), LEAST_CHANCE)
    model = HistGradientBoostingRegressor(
        loss="poisson",
        max_iter=stage.trees,
        max_leaf_nodes=stage.leaves,
        learning_rate=stage.learning_rate,
        l2_regularization=stage.l2,
        min_samples_leaf=stage.rows_a_leaf,
        early_stopping=False,
        random_state=seed,
    )
    with threadpool_limits(limits=1):
        model.fit(choices.features, choices.taken / chance, sample_weight=chance)
    return slope, TreeEnsemble.from_sklearn(model)


def chances(score: FloatArray, start: IntArray) -> FloatArray:
    """[m] ``exp score / sum of exp score`` over each user's candidates, which begin at ``start``.

    Examples:
        >>> chances(np.log([1.0, 3.0, 5.0]), np.array([0, 2])).round(2).tolist()
        [0.25, 0.75, 1.0]
    """
    count = np.diff(np.append(start, len(score)))
    weight = np.exp(score - np.repeat(np.maximum.reduceat(score, start), count))
    chance: FloatArray = weight / np.repeat(np.add.reduceat(weight, start), count)
    return chance


def best_slope(score: FloatArray, taken: BoolArray, start: IntArray) -> float:
    """The slope b, from 0 up, that makes what was taken most likely under chances ``exp b score``.

    The logarithm of the likelihood is concave in b; its zero of slope is found by Newton's steps, none longer than a half of
    what a standard deviation of the scores would take.
    """
    count = np.diff(np.append(start, len(score)))
    spread = float(score.std())
    slope = 0.0
    for _ in range(NEWTON_STEPS if spread > 0 else 0):
        chance = chances(slope * score, start)
        mean = np.add.reduceat(chance * score, start)
        deviation = score - np.repeat(mean, count)
        gain, bend = score[taken].sum() - mean.sum(), (chance * deviation**2).sum()
        if bend <= 0:
            break
        slope = max(0.0, slope + float(np.clip(gain / bend, -0.5 / spread, 0.5 / spread)))
    return slope
