"""Several models as one: their scores, made alike, are added with weights that validation chooses."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from beautyrec.data.interactions import Interactions
from beautyrec.data.splits import leave_last_out
from beautyrec.errors import ConfigError, DataError, FitError
from beautyrec.models.base import Known, Learner, Recommender
from beautyrec.models.blended import BlendRecommender, LogStandardised, ReciprocalRank, Scale, Standardised
from beautyrec.models.checks import require_bound, require_events
from beautyrec.types import BoolArray, Float32Array, FloatArray, IntArray, Progress

K = 10
"""Length of the lists whose NDCG chooses the weights."""

STEPS = (0.3, 0.1, 0.05, 0.02)
"""By how much a weight is moved, one size after the other."""

CHUNK_SCORES = 2**21
"""Scores of one part held at one time while the candidates are scored."""


@dataclass(frozen=True)
class Blend:
    """``score(u, i) = sum_p w_p f(s_p(u, i))`` over models p: f makes scores alike, w lies on the simplex.

    The weights are those with the highest NDCG@10 on the last event of each user in ``train``: the parts are fitted
    without it, one weight at a time is moved by smaller and smaller steps while that helps, and the parts are fitted
    again with it. So a fit costs those of its parts twice; with ``weights`` given it costs them once. No event outside
    ``train`` is used. Each part's best ``candidates`` for each of ``validation_users`` stand for the catalogue while
    weights are searched, which takes ``4 x validation_users x parts^2 x candidates`` bytes, 100 MB for five parts.

    Equal learners are parts of their own, with other seeds: the first is fitted with the seed of the fit, as it would be
    alone, the second with one more, and so on. Weighted sums of scores: Fox and Shaw, *Combination of Multiple Searches*
    (TREC-2, 1993), CombSUM.

    Examples:
        >>> import pandas as pd
        >>> from beautyrec.models.item_knn import ItemKNN
        >>> from beautyrec.models.popularity import Popularity
        >>> log = Interactions.from_frame(pd.DataFrame({"user_id": [1, 1, 2, 2, 3], "item_id": list("ababa"),
        ...     "ts": pd.to_datetime(["2026-01-01"] * 5, utc=True)}))
        >>> Blend((ItemKNN(), Popularity()), weights=(0.8, 0.2)).fit(log).recommend([3], 1)["item_id"].tolist()
        ['b']
    """

    parts: tuple[Learner, ...]
    """What is blended."""
    weights: tuple[float, ...] | None = None
    """One a part, not below 0; they are scaled to sum to 1. Validation chooses them where this is None."""
    how: Standardised | LogStandardised | ReciprocalRank = LogStandardised()  # noqa: RUF009 - frozen
    """What makes scores alike: :class:`~beautyrec.models.blended.LogStandardised`,
    :class:`~beautyrec.models.blended.Standardised` or :class:`~beautyrec.models.blended.ReciprocalRank`."""
    candidates: int = 100
    """Best items of each part that are looked at while weights are searched."""
    validation_users: int = 10_000
    """Users at most whose last event says which weights are good."""

    def __post_init__(self) -> None:
        if not self.parts:
            raise ConfigError("blend: there are no parts; give at least one learner.")
        if self.weights is not None and len(self.weights) != len(self.parts):
            raise ConfigError(f"blend: {len(self.weights)} weights for {len(self.parts)} parts; give one each.")
        for weight in self.weights or ():
            require_bound("blend", "a weight", weight, 0)
        if self.weights is not None and not 0 < sum(self.weights) < np.inf:
            raise ConfigError(f"blend: the weights sum to {sum(self.weights):g}; at least one has to be above 0.")
        require_bound("blend", "candidates", self.candidates, K)
        require_bound("blend", "validation_users", self.validation_users, 1)

    def fit(self, train: Interactions, *, seed: int = 0, on_progress: Progress | None = None) -> BlendRecommender:
        """Fit the parts, choose the weights, fit the parts again.

        Raises:
            FitError: a part cannot be fitted, or weights are to be chosen and no user has two events.
            MissingExtraError: a part's library is not installed.
        """
        require_events(train, "blend")
        n_parts = len(self.parts)
        if self.weights is not None:
            return self._of(train, self._fit_parts(train, seed, on_progress), self.weights)
        total = 2 * n_parts
        weights = self.without_last(train, seed=seed, on_progress=within(on_progress, 0, total)).model.weights
        return self._of(train, self._fit_parts(train, seed, within(on_progress, n_parts, total)), weights)

    def without_last(self, train: Interactions, *, seed: int = 0, on_progress: Progress | None = None) -> WithoutLast:
        """The blend fitted without the last event of each user, and those events: what can be learnt from beyond it.

        Weights that are not given are those with the highest NDCG@10 on these events.

        Raises:
            FitError: nobody has two interactions, or no last one is with an item new to its user.
            MissingExtraError: a part's library is not installed.
        """
        try:
            split = leave_last_out(train)
        except DataError:
            raise FitError(
                "blend: no user has two interactions, so none can be held out to choose weights by. Read a longer log, or "
                "give a blend its `weights`."
            ) from None
        models = self._fit_parts(split.train, seed, on_progress)
        rows = new_to_their_users(split.train, split.test)
        user_ix, item_ix = split.test.user_ix[rows], split.test.item_ix[rows]
        weights = self.weights or self._search(models, user_ix, item_ix, seed)
        return WithoutLast(self._of(split.train, models, weights), split.train, user_ix, item_ix)

    def _fit_parts(self, train: Interactions, seed: int, on_progress: Progress | None) -> tuple[Recommender, ...]:
        fitted = []
        for place, part in enumerate(self.parts):
            fitted.append(part.fit(train, seed=seed + self.parts[:place].count(part)))
            if on_progress:
                on_progress(place + 1, len(self.parts))
        return tuple(fitted)

    def _of(self, train: Interactions, parts: tuple[Recommender, ...], weights: tuple[float, ...]) -> BlendRecommender:
        shares = tuple(weight / sum(weights) for weight in weights)
        return BlendRecommender(Known.of(train), parts=parts, weights=shares, how=self.how)

    def _search(
        self, models: tuple[Recommender, ...], user_ix: IntArray, item_ix: IntArray, seed: int
    ) -> tuple[float, ...]:
        """The best weights on the items [m] of the users [m], or of some of them drawn by ``seed``."""
        if len(models) == 1:
            return (1.0,)
        rows = np.arange(len(user_ix))
        if len(rows) > self.validation_users:
            rows = np.sort(np.random.default_rng([seed, 2]).choice(rows, self.validation_users, replace=False))
        found = Candidates.of(models, self.how, user_ix[rows], item_ix[rows], self.candidates)
        return tuple(best_weights(found).tolist())


class WithoutLast(NamedTuple):
    """A blend that has not seen the last event of each user, and those of these events whose item was new to the user."""

    model: BlendRecommender
    """Fitted on ``train``."""
    train: Interactions
    """What came before."""
    user_ix: IntArray
    """[m] the users."""
    item_ix: IntArray
    """[m] what each took next."""


def within(on_progress: Progress | None, done: int, total: int) -> Progress | None:
    """A report of a stage that begins after ``done`` of ``total`` steps."""
    return None if on_progress is None else lambda step, _: on_progress(done + step, total)


@dataclass(frozen=True, eq=False)
class Candidates:
    """What each of P parts says of some items for each of n users: the item in question first, then candidates.

    Args:
        values: [P, n, 1 + C] scores, made alike.
        counts: [n, C] which of the candidates count: padding and repetitions do not.
    """

    values: Float32Array
    counts: BoolArray

    @classmethod
    def of(
        cls, models: tuple[Recommender, ...], how: Scale, user_ix: IntArray, item_ix: IntArray, n: int
    ) -> Candidates:
        """The best ``n`` of each model for the users [n] beside the items [n] in question."""
        tops = [model.top_k(user_ix, n)[0] for model in models]
        items = np.concatenate([item_ix[:, None], *tops], axis=1)
        order = np.argsort(items, axis=1, kind="stable")
        ascending = np.take_along_axis(items, order, axis=1)
        first = np.ones(items.shape, dtype=np.bool_)
        first[:, 1:] = ascending[:, 1:] != ascending[:, :-1]
        counts = np.empty_like(first)
        np.put_along_axis(counts, order, first, axis=1)
        counts &= items >= 0
        values = np.empty((len(models), *items.shape), dtype=np.float32)
        step = max(1, CHUNK_SCORES // max(1, len(models[0].items)))
        for rows in (slice(a, b) for a, b in pairwise([*range(0, len(items), step), len(items)])):
            for place, model in enumerate(models):
                alike = how(model.scores(user_ix[rows]))
                values[place, rows] = np.take_along_axis(alike, np.maximum(items[rows], 0), axis=1)
        return cls(values, counts[:, 1:])

    def ndcg(self, weights: FloatArray) -> float:
        """Mean NDCG@10 of the items in question, with each of equals above them counted against them by half."""
        total = np.tensordot(weights.astype(np.float32), self.values, axes=1)  # [n, 1 + C]
        mine, others = total[:, :1], total[:, 1:]
        above = np.count_nonzero((others > mine) & self.counts, axis=1)
        above = above + np.count_nonzero((others == mine) & self.counts, axis=1) / 2
        return float(np.where(above < K, 1 / np.log2(above + 2), 0.0).mean())


def best_weights(found: Candidates) -> FloatArray:
    """[P] weights on the simplex that no single move of a step makes better, from the best of the parts alone.

    Examples:
        >>> values = np.array([[[2.0, 1.0], [2.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]], dtype=np.float32)
        >>> best_weights(Candidates(values, np.ones((2, 1), dtype=np.bool_))).tolist()
        [1.0, 0.0]
    """
    n_parts = len(found.values)
    starts: list[FloatArray] = [*np.eye(n_parts), np.full(n_parts, 1 / n_parts)]
    reached = [found.ndcg(weights) for weights in starts]
    weights, best = starts[int(np.argmax(reached))], max(reached)
    for step in STEPS:
        better = True
        while better:
            better = False
            for move in _moves(weights, step):
                value = found.ndcg(move)
                if value > best + 1e-9:
                    weights, best, better = move, value, True
                    break
    return weights


def _moves(weights: FloatArray, step: float) -> list[FloatArray]:
    """The weights with one of them higher or lower by ``step``, back on the simplex."""
    moves = []
    for part in range(len(weights)):
        for change in (step, -step):
            moved = weights.copy()
            moved[part] = max(0.0, moved[part] + change)
            if moved.sum() > 0:
                moves.append(moved / moved.sum())
    return moves


def new_to_their_users(train: Interactions, held: Interactions) -> IntArray:
    """[m] places of what was held out and not taken before: what was is left out of every list.

    Raises:
        FitError: there is none.
    """
    width = len(train.items)
    fresh = ~np.isin(held.user_ix * width + held.item_ix, train.user_ix * width + train.item_ix)
    if not fresh.any():
        raise FitError("blend: nobody's last interaction is with an item new to them. Give `weights`.")
    return np.flatnonzero(fresh)
