"""What a policy is: scores in, a slate and its probabilities out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from beautyrec.errors import PolicyError
from beautyrec.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Slate:
    """What is shown to B requests.

    Args:
        items: [B, K] columns on the shelf, position 1 first; -1 where the shelf is shorter than K.
        propensity: [B, K] the chance of each item given those above it; 0 at padding.
    """

    items: IntArray
    propensity: FloatArray


@runtime_checkable
class Policy(Protocol):
    """From scores to what is shown.

    ``scores`` are [B, C], one row a request, -inf where a column is not on the request's shelf. A policy is a frozen
    dataclass of its settings and keeps no state. `beautyrec.testing.policies` checks what every policy must satisfy.
    """

    def probabilities(self, scores: FloatArray) -> FloatArray:
        """[B, C] chance of each item to be drawn first; rows sum to one, 0 where the score is -inf."""
        ...

    def choose(self, scores: FloatArray, k: int, rng: np.random.Generator) -> Slate:
        """A slate of ``k`` positions for each request, and the conditional chance of each item in it."""
        ...

    def position_marginals(self, scores: FloatArray, shown: IntArray) -> FloatArray:
        """[B, K] chance that each item of ``shown`` [B, K] stands at its position, whatever stands above it."""
        ...

    def position_means(self, scores: FloatArray, values: FloatArray, k: int) -> FloatArray:
        """[B, k, V] mean of ``values`` [B, C, V] over the item that stands at each position."""
        ...


def check_scores(scores: FloatArray) -> None:
    """Checks that ``scores`` is [B, C], has no NaN or +inf, and that each request has an item on its shelf.

    Raises:
        PolicyError: says how many rows are wrong and which is the first.
    """
    if scores.ndim != 2 or scores.shape[1] == 0:
        raise PolicyError(f"scores must have shape [B, C]; got {scores.shape}. Pass one row a request.")
    unusable = ~(scores < np.inf).all(axis=1)
    if unusable.any():
        raise PolicyError(
            f"{int(unusable.sum())} of {len(scores)} rows of scores hold NaN or +inf; the first is row "
            f"{int(unusable.argmax())}. Use -inf for an item that is not on the shelf."
        )
    empty = np.isneginf(scores).all(axis=1)
    if empty.any():
        raise PolicyError(
            f"{int(empty.sum())} of {len(scores)} requests have no item on the shelf; the first is row "
            f"{int(empty.argmax())}. Drop these requests."
        )
