"""Dealing clusters to folds, so that nothing is judged by what it has seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from beautyrec.errors import EvaluationError
from beautyrec.types import IntArray


def deal(cluster: npt.NDArray[Any], folds: int, seed: int) -> IntArray:
    """[B] the fold of each row: rows of one cluster share it, and folds differ by at most one cluster.

    Args:
        cluster: [B] the user, as a rule.
        folds: at least 2.
        seed: of the dealing.

    Raises:
        EvaluationError: fewer than two folds, or fewer clusters than folds.

    Examples:
        >>> deal(np.array(["b", "a", "b"]), 2, seed=0).tolist() in ([0, 1, 0], [1, 0, 1])
        True
    """
    if folds < 2:
        raise EvaluationError(f"folds is {folds}; cross-fitting needs at least 2.")
    ids, group = np.unique(cluster, return_inverse=True)
    if len(ids) < folds:
        raise EvaluationError(f"{len(ids)} clusters cannot be dealt to {folds} folds. Use fewer folds or a longer log.")
    fold: IntArray = np.random.default_rng(seed).permutation(len(ids))[group] % folds
    return fold
