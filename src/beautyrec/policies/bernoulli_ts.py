"""Thompson sampling of items that are clicked or not: what is shown first is what a draw from the beliefs holds best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beautyrec.errors import PolicyError
from beautyrec.types import FloatArray, IntArray

_CELLS = 2**20  # values drawn at a time: 8 MiB


@dataclass(frozen=True, eq=False)
class BernoulliTS:
    """Bernoulli Thompson sampling without context.

    For each request the click rate of item i is drawn from ``Beta(alpha_i, beta_i)``, and the items with the largest
    draws are shown, largest first (Thompson 1933; Chapelle and Li 2011, "An Empirical Evaluation of Thompson Sampling").

    Args:
        alpha: [I] clicks seen so far plus those of the prior, above 0.
        beta: [I] impressions without a click likewise, above 0.

    Raises:
        PolicyError: the two are not of one length, or a value is not above 0.

    Examples:
        >>> policy = BernoulliTS(np.array([30.0, 10.0]), np.array([970.0, 990.0]))
        >>> policy.updated(np.array([1, 1]), np.array([1, 0])).alpha.tolist()
        [30.0, 11.0]
        >>> policy.action_distribution(1, rng=np.random.default_rng(0)).round(2).tolist()
        [[1.0], [0.0]]
    """

    alpha: FloatArray
    beta: FloatArray

    def __post_init__(self) -> None:
        if self.alpha.ndim != 1 or self.alpha.shape != self.beta.shape or len(self.alpha) == 0:
            raise PolicyError(
                f"alpha {self.alpha.shape} and beta {self.beta.shape} must both be [I], one value an item."
            )
        for name in ("alpha", "beta"):
            values = getattr(self, name)
            wrong = ~((values > 0) & np.isfinite(values))
            if wrong.any():
                raise PolicyError(
                    f"{name}: {int(wrong.sum())} of {len(values)} values are not above 0 and finite; the first is "
                    f"{values[wrong][0]} of item {int(wrong.argmax())}. Start from 1 where nothing is known."
                )

    def __len__(self) -> int:
        return len(self.alpha)

    def updated(self, item_ix: IntArray, clicked: IntArray) -> BernoulliTS:
        """The policy after n more impressions.

        Args:
            item_ix: [n] item of each impression.
            clicked: [n] 1 where it was clicked, else 0.
        """
        clicks = np.bincount(item_ix, weights=clicked, minlength=len(self))
        return BernoulliTS(self.alpha + clicks, self.beta + np.bincount(item_ix, minlength=len(self)) - clicks)

    def choose(self, requests: int, k: int, rng: np.random.Generator | np.random.RandomState) -> IntArray:
        """[requests, k] items for each request, position 1 first.

        Args:
            requests: how many.
            k: positions, 1 to I.
            rng: source of randomness; draws are made request by request, item by item, so that a number of requests
                takes the same numbers at once or in parts.

        Raises:
            PolicyError: ``k`` is out of its bounds.
        """
        if not 1 <= k <= len(self):
            raise PolicyError(f"{k} positions are to be filled from {len(self)} items; choose 1 to {len(self)}.")
        draws = rng.beta(self.alpha, self.beta, size=(requests, len(self)))
        top = np.argpartition(-draws, k - 1, axis=1)[:, :k]
        order = np.argsort(-np.take_along_axis(draws, top, axis=1), axis=1, kind="stable")
        return np.asarray(np.take_along_axis(top, order, axis=1))

    def action_distribution(
        self, positions: int, draws: int = 100_000, *, rng: np.random.Generator | np.random.RandomState
    ) -> FloatArray:
        """[I, positions] chance of each item at each position: its share of ``draws`` requests.

        The chance has no closed form. The standard error of a share p is ``sqrt(p (1 - p) / draws)``.

        Args:
            positions: 1 to I.
            draws: Monte Carlo requests; memory does not grow with them.
            rng: source of randomness. A legacy ``RandomState`` is taken as well, for values that were published with
                one: its draws do not change between releases of numpy.

        Raises:
            PolicyError: ``positions`` or ``draws`` is out of its bounds.
        """
        if draws < 1:
            raise PolicyError(f"draws is {draws}; at least 1 is needed, and 100,000 give chances to three digits.")
        step, place = max(1, _CELLS // len(self)), np.arange(positions)
        count = np.zeros(len(self) * positions, dtype=np.int64)
        for start in range(0, draws, step):
            chosen = self.choose(min(step, draws - start), positions, rng)
            count += np.bincount((chosen * positions + place).ravel(), minlength=len(count))
        return np.asarray(count.reshape(len(self), positions) / draws)
