"""A policy that shows the best scores, always."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beautyrec.policies.base import Slate, check_scores
from beautyrec.types import FloatArray, IntArray


@dataclass(frozen=True)
class Greedy:
    """Shows the items of the highest scores in falling order; among equals the first column.

    It explores nothing: its own logs can tell about no other policy, and a log can tell about it only through those
    slates that look like its own.

    Examples:
        >>> Greedy().choose(np.array([[1.0, 3.0, 2.0]]), 2, np.random.default_rng(0)).items.tolist()
        [[1, 2]]
    """

    def probabilities(self, scores: FloatArray) -> FloatArray:
        """[B, C] one for the best item, zero for the others.

        Raises:
            PolicyError: NaN or +inf scores, or a request without items.
        """
        scores = np.asarray(scores, dtype=np.float64)
        check_scores(scores)
        chance = np.zeros(scores.shape)
        chance[np.arange(len(scores)), scores.argmax(axis=1)] = 1.0
        return chance

    def choose(self, scores: FloatArray, k: int, rng: np.random.Generator) -> Slate:  # noqa: ARG002
        """The ``k`` best items of each request, each with a conditional chance of one; ``rng`` is not used."""
        items = self._ranked(scores, k)
        return Slate(items, (items >= 0).astype(np.float64))

    def position_marginals(self, scores: FloatArray, shown: IntArray) -> FloatArray:
        """[B, K] one where ``shown`` has the item that this policy puts there, else zero."""
        same: FloatArray = ((shown == self._ranked(scores, shown.shape[1])) & (shown >= 0)).astype(np.float64)
        return same

    def position_means(self, scores: FloatArray, values: FloatArray, k: int) -> FloatArray:
        """[B, k, V] the ``values`` [B, C, V] of the items at each position; 0 where the shelf is shorter."""
        items = self._ranked(scores, k)
        there = np.take_along_axis(values, np.maximum(items, 0)[:, :, None], axis=1)
        return np.where(items[:, :, None] >= 0, there, 0.0)

    @staticmethod
    def _ranked(scores: FloatArray, k: int) -> IntArray:
        """[B, k] columns by falling score, -1 where the shelf is shorter."""
        scores = np.asarray(scores, dtype=np.float64)
        check_scores(scores)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        order = np.where(np.take_along_axis(scores, order, axis=1) > -np.inf, order, -1)
        padding = np.full((len(scores), max(0, k - order.shape[1])), -1)
        return np.concatenate([order, padding], axis=1).astype(np.int64)
