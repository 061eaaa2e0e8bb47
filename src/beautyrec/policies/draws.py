"""What policies share that draw a slate without replacement: all of it follows from the chances of the first draw."""

from __future__ import annotations

import abc

import numpy as np

from beautyrec import plackett_luce
from beautyrec.policies.base import Slate
from beautyrec.types import FloatArray, IntArray


class Draws(abc.ABC):
    """A policy whose slates have the Plackett–Luce distribution of its :meth:`probabilities`.

    A frozen dataclass that inherits it says these; see `beautyrec.policies.base.Policy`.
    """

    @abc.abstractmethod
    def probabilities(self, scores: FloatArray) -> FloatArray:
        """[B, C] chance of each item to be drawn first."""

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
