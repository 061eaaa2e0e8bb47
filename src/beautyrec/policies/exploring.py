"""A policy that follows another one and leaves every product some chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beautyrec.errors import PolicyError
from beautyrec.policies.base import Policy
from beautyrec.policies.draws import Draws
from beautyrec.types import FloatArray


@dataclass(frozen=True)
class Exploring(Draws):
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
