"""What every interval is: a way from sums over clusters to the two ends around a ratio."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.moments import Columns, Smooth


class Ends(NamedTuple):
    """A ratio with the interval around it."""

    value: float
    """The ratio at the means of all clusters."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""
    method: str
    """How it was made, in words."""


class Interval(Protocol):
    """A way to find the interval of a ratio of two smooth functions of column means.

    Both are made of totals, so that nothing changes if all columns are multiplied by one number.
    """

    def ratio(self, columns: Columns, above: Smooth, below: Smooth, confidence: float = 0.95) -> Ends:
        """The interval of ``above / below``.

        Args:
            columns: sums over independent clusters.
            above: from the column means [m] (or [m, r], of r samples) to the upper part of the ratio.
            below: likewise the lower part.
            confidence: chance to cover, between 0 and 1.

        Raises:
            EvaluationError: no honest interval can be made; says why.
        """
        ...


def check_confidence(confidence: float) -> None:
    """Raises an `EvaluationError` where it is not between 0 and 1."""
    if not 0 < confidence < 1:
        raise EvaluationError(f"confidence is {confidence}; it must be between 0 and 1, 0.95 for instance.")


def check_clusters(clusters: int) -> None:
    """Raises an `EvaluationError` where there are fewer than two."""
    if clusters < 2:
        raise EvaluationError(f"an interval needs at least 2 clusters; there is {clusters}. Use a longer log.")
