"""What is read from an A/B test: a metric as a ratio of sums over users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.errors import EvaluationError, MissingExtraError


@dataclass(frozen=True)
class Measure:
    """A metric of a test, as a ratio of sums over users.

    Args:
        name: shown in the table; that of the off-policy metric, to stand beside it.
        numerator: column that is summed, such as clicks.
        denominator: column that it is divided by, such as impressions; None for a mean over users.
        before: the numerator before the test, to take out what was there already (CUPED: Deng et al., *Improving the
            Sensitivity of Online Controlled Experiments*, WSDM 2013); None without.
        before_denominator: the denominator before the test, for a ratio.

    Raises:
        EvaluationError: a denominator before the test without a numerator before it.
    """

    name: str
    numerator: str
    denominator: str | None = None
    before: str | None = None
    before_denominator: str | None = None

    def __post_init__(self) -> None:
        if self.before_denominator is not None and self.before is None:
            raise EvaluationError(
                f"measure '{self.name}': before_denominator is set and before is not. Set both or none."
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        names = (self.numerator, self.denominator, self.before, self.before_denominator)
        return tuple(name for name in names if name is not None)

    @property
    def estimator(self) -> str:
        """What stands in the table as the estimator."""
        return "a/b test" if self.before is None else "a/b test, cuped"

    def tea(self, tea_tasting: ModuleType, **settings: Any) -> Any:
        """tea-tasting's metric."""
        return tea_tasting.RatioOfMeans(
            self.numerator, self.denominator, self.before, self.before_denominator, **settings
        )


def load_tea_tasting() -> ModuleType:
    """The package that does the sums.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return import_module("tea_tasting")
    except ImportError:
        raise MissingExtraError("tea-tasting", "experiments") from None


def check_columns(users: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raises an `EvaluationError` where a column is missing or holds values that are not finite."""
    missing = [name for name in columns if name not in users.columns]
    if missing:
        raise EvaluationError(f"columns {missing} are missing; there are {list(users.columns)}.")
    for name in columns:
        wrong = ~np.isfinite(users[name].to_numpy(np.float64))
        if wrong.any():
            raise EvaluationError(
                f"column '{name}': {int(wrong.sum())} of {len(users)} users are not finite, the first in row "
                f"{int(wrong.argmax())}. A user without events has 0."
            )


def check_shares(**shares: float) -> None:
    """Raises an `EvaluationError` where a value is not between 0 and 1."""
    for name, value in shares.items():
        if not 0 < value < 1:
            raise EvaluationError(f"{name} is {value}; it must be between 0 and 1.")
