"""What the overlap of a log and a policy is made of: sums over impressions that merge with ``+``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import SlateEvidence
from beautyrec.types import FloatArray


@dataclass(frozen=True, eq=False)
class WeightSums:
    """Sums over the weights of impressions, and the heaviest of them.

    Args:
        impressions: n, that were shown.
        total: sum of the weights.
        squares: of their squares.
        heaviest: the ``keep`` heaviest, in no order; all where there are fewer.
        keep: how many of the heaviest to know.
        events: how often each outcome happened.
        weighted: sum of ``w y`` and of its square for each outcome y.

    Examples:
        >>> from beautyrec.evaluation.evidence import impressions
        >>> log = impressions(target=np.array([.5, .25]), logging=np.array([.5, .5]), clicked=np.array([1, 0]))
        >>> both = WeightSums.of(log, keep=1) + WeightSums.of(log, keep=1)
        >>> both.impressions, both.total, both.heaviest.tolist(), both.events
        (4, 3.0, [1.0], {'clicked': 2})
    """

    impressions: int
    total: float
    squares: float
    heaviest: FloatArray
    keep: int
    events: Mapping[str, int]
    weighted: Mapping[str, tuple[float, float]]

    @classmethod
    def of(cls, evidence: SlateEvidence, keep: int | None = None) -> WeightSums:
        """The sums of one log or a part of it.

        Args:
            evidence: the log.
            keep: how many of the heaviest weights to know; 1 % of the impressions, at least one, if None.
        """
        shown = evidence.shown
        weight = evidence.weight[shown]
        keep = max(1, len(weight) // 100) if keep is None else keep
        outcomes = {name: evidence.outcomes.of(name)[shown] for name in evidence.outcomes.names}
        return cls(
            impressions=len(weight),
            total=float(weight.sum()),
            squares=float((weight**2).sum()),
            heaviest=_heaviest(weight, keep),
            keep=keep,
            events={name: int(np.count_nonzero(outcome > 0)) for name, outcome in outcomes.items()},
            weighted={name: _sum_and_squares(weight * outcome) for name, outcome in outcomes.items()},
        )

    def __add__(self, other: WeightSums) -> WeightSums:
        """The sums of both parts together.

        Raises:
            EvaluationError: the parts have other outcomes, or keep another number of weights.
        """
        if self.events.keys() != other.events.keys() or self.keep != other.keep:
            raise EvaluationError(
                f"parts with outcomes {sorted(self.events)} and {sorted(other.events)} that keep {self.keep} and "
                f"{other.keep} weights cannot be merged."
            )
        return WeightSums(
            self.impressions + other.impressions,
            self.total + other.total,
            self.squares + other.squares,
            _heaviest(np.concatenate([self.heaviest, other.heaviest]), self.keep),
            self.keep,
            {name: count + other.events[name] for name, count in self.events.items()},
            {
                name: (a + other.weighted[name][0], b + other.weighted[name][1])
                for name, (a, b) in self.weighted.items()
            },
        )

    @property
    def largest(self) -> float:
        """The largest weight."""
        return float(self.heaviest.max())

    def share(self, weight: float) -> float:
        """Of all weight; 1 where there is none."""
        return weight / self.total if self.total > 0 else 1.0


def kish(total: float, squares: float) -> float:
    """Effective number of values with this sum and sum of squares (Kish 1965), 0 where all are 0."""
    return total**2 / squares if squares > 0 else 0.0


def _heaviest(weight: FloatArray, keep: int) -> FloatArray:
    return weight if len(weight) <= keep else np.partition(weight, len(weight) - keep)[-keep:]


def _sum_and_squares(values: FloatArray) -> tuple[float, float]:
    return float(values.sum()), float((values**2).sum())
