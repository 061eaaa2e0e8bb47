"""A policy that follows another one and leaves every product some chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beautyrec import plackett_luce
from beautyrec.errors import PolicyError
from beautyrec.policies.base import Policy, Slate
from beautyrec.types import FloatArray, IntArray


@dataclass(frozen=True)
class Exploring:
    """Draws without replacement: each time with chance ``share`` evenly over the shelf, else as ``policy`` would.

    First-draw chances are ``(1 - share) * policy + share / shelf size``. The slate has the Plackett–Luce distribution of
    these. What is learnt from its log covers the whole shelf.

    Args:
        policy: which is followed.
        share: from 0, which is the policy itself, to 1, which is chance.

    Raises:
        PolicyError: the share is not in [0, 1].

    Examples:
        >>> from beautyrec.policies.greedy import Greedy
        >>> Exploring(Greedy(), 0.2).probabilities(np.array([[2.0, 1.0, -np.inf]])).tolist()
        [[0.9, 0.1, 0.0]]
    """

    policy: Policy
    share: float

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise PolicyError(f"share is {self.share}; it must be from 0 to 1.")

    def probabilities(self, scores: FloatArray) -> FloatArray:
        """[B, C] chance of each item to be drawn first; see `beautyrec.policies.base.Policy`."""
        followed = self.policy.probabilities(scores)
        there = np.asarray(scores) > -np.inf
        even = there / there.sum(axis=1, keepdims=True)
        mixed: FloatArray = (1 - self.share) * followed + self.share * even
        return mixed

    def choose(self, scores: FloatArray, k: int, rng: np.random.Generator) -> Slate:
        """A slate of ``k`` positions for each request, and the conditional chance of each item in it."""
        chance = self.probabilities(scores)
        items = plackett_luce.sample(chance, k, rng)
        return Slate(items, plackett_luce.conditional(chance, items))

    def position_marginals(self, scores: FloatArray, shown: IntArray) -> FloatArray:
        """[B, K] chance that each item of ``shown`` [B, K] stands at its position."""
        return plackett_luce.position_marginals(self.probabilities(scores), shown)

    def position_means(self, scores: FloatArray, values: FloatArray, k: int) -> FloatArray:
        """[B, k, V] mean of ``values`` [B, C, V] over the item that stands at each position."""
        return plackett_luce.position_means(self.probabilities(scores), values, k)
