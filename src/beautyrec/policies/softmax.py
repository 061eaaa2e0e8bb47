"""A policy that draws without replacement from a softmax of the scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beautyrec.errors import PolicyError
from beautyrec.policies.base import check_scores
from beautyrec.policies.draws import Draws
from beautyrec.types import FloatArray


@dataclass(frozen=True)
class Softmax(Draws):
    """Draws items without replacement with chances ``softmax(z / temperature)``.

    ``z`` are the scores of a request, standardised over its shelf (mean 0, standard deviation 1), so that one
    temperature means the same for a model of votes, of dot products or of probabilities. The slate has the
    Plackett–Luce distribution. Equal scores give equal chances.

    Args:
        temperature: above 0; 1 follows the scores loosely, 0.2 closely. Low temperatures leave little overlap with
            other policies, and logs that can tell little about them.

    Raises:
        PolicyError: the temperature is not above 0.

    Examples:
        >>> Softmax(temperature=0.5).probabilities(np.array([[2.0, 1.0, -np.inf]])).round(3).tolist()
        [[0.982, 0.018, 0.0]]
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.temperature < np.inf):
            raise PolicyError(f"temperature is {self.temperature}; it must be above 0 and finite.")

    def probabilities(self, scores: FloatArray) -> FloatArray:
        """[B, C] chance of each item to be drawn first.

        Args:
            scores: [B, C], -inf where a column is not on the shelf.

        Raises:
            PolicyError: NaN or +inf scores, or a request without items.
        """
        scores = np.asarray(scores, dtype=np.float64)
        check_scores(scores)
        there = scores > -np.inf
        count = there.sum(axis=1, keepdims=True)
        centred = np.where(there, scores, 0.0)
        centred = np.where(there, centred - centred.sum(axis=1, keepdims=True) / count, 0.0)
        size = np.abs(np.where(there, scores, 0.0)).max(axis=1, keepdims=True)
        spread = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
        z = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-12 * size)
        z = np.where(there, z / self.temperature, -np.inf)
        weight = np.exp(z - z.max(axis=1, keepdims=True))
        chance: FloatArray = weight / weight.sum(axis=1, keepdims=True)
        return chance
