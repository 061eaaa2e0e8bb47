"""Checks that learners share: of their hyperparameters, of what they are fitted on, of what came out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from beautyrec.data.interactions import Interactions
from beautyrec.errors import ConfigError, FitError


def require_events(train: Interactions, model: str, at_least: int = 2) -> None:
    """Check that there is something to learn from.

    Raises:
        FitError: ``train`` has fewer than ``at_least`` interactions, or weights that are not above 0 and finite.
    """
    if len(train) < at_least:
        raise FitError(
            f"{model}: cannot be fitted on {len(train)} interactions of {len(train.users)} users and "
            f"{len(train.items)} items; it needs at least {at_least}. Read a longer log or widen the time window."
        )
    bad = int(np.count_nonzero(~((train.weight > 0) & np.isfinite(train.weight))))
    if bad:
        raise FitError(
            f"{model}: {bad} of {len(train)} interactions have a weight that is not above 0 and finite. "
            "Leave them out or give them one."
        )


def require_next_items(train: Interactions, model: str) -> None:
    """Check that there is something to learn from for a model that learns what comes next.

    Raises:
        FitError: as `require_events`, or nobody has two interactions.
    """
    require_events(train, model)
    if np.diff(train.indptr).max() < 2:
        raise FitError(
            f"{model}: nobody in the log has two interactions, so there is no next item to learn from. Read a longer log."
        )


def not_finite(model: str) -> FitError:
    """The error of a fit whose numbers ran away."""
    return FitError(f"{model}: parameters are not finite. Lower the learning rate or raise the regularisation.")


def require_finite(model: str, *arrays: npt.NDArray[Any]) -> None:
    """Check that fitted parameters are numbers.

    Raises:
        FitError: some are NaN or infinite.
    """
    if not all(np.isfinite(array).all() for array in arrays):
        raise not_finite(model)


def require_bound(model: str, key: str, value: float, low: float, high: float = np.inf) -> None:
    """Check a hyperparameter.

    Raises:
        ConfigError: ``value`` is not within ``low`` and ``high``, both allowed.
    """
    if not low <= value <= high:
        raise ConfigError(f"{model}: {key} is {value}; it has to be from {low:g} to {high:g}.")
