"""Dealing clusters to folds, so that nothing is judged by what it has seen."""

from __future__ import annotations

from collections.abc import Sequence
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
    check_folds(folds)
    ids, group = np.unique(cluster, return_inverse=True)
    if len(ids) < folds:
        raise EvaluationError(f"{len(ids)} clusters cannot be dealt to {folds} folds. Use fewer folds or a longer log.")
    fold: IntArray = np.random.default_rng(seed).permutation(len(ids))[group] % folds
    return fold


def check_folds(folds: int) -> None:
    """Raises an `EvaluationError` where there are fewer than two: with one, everything is judged by what it has seen."""
    if folds < 2:
        raise EvaluationError(f"folds is {folds}; cross-fitting needs at least 2.")


def check_unseen(cluster: npt.NDArray[Any], fold: IntArray, fitted_on: Sequence[npt.NDArray[Any]]) -> None:
    """Raises where rows are to be valued by a model that has seen their cluster.

    Such a model knows outcomes that it is to predict, and values that lean on it are biased towards the log.

    Args:
        cluster: [B] the user of each row, as a rule.
        fold: [B] which of the F models values the row, 0 to F - 1.
        fitted_on: for each model the clusters of the rows that it was fitted with.

    Raises:
        EvaluationError: lengths differ, a fold has no model, rows of a cluster are in several folds, or a model was fitted
            with a cluster that it is to value.

    Examples:
        >>> check_unseen(np.array(["a", "a", "b"]), np.array([0, 0, 1]), [np.array(["b"]), np.array(["a"])])
    """
    cluster = np.asarray(cluster)
    if np.shape(fold) != cluster.shape or cluster.ndim != 1:
        raise EvaluationError(f"folds have shape {np.shape(fold)}, clusters {cluster.shape}; they must be [B] both.")
    if len(fold) and not 0 <= fold.min() <= fold.max() < len(fitted_on):
        raise EvaluationError(f"folds are from {fold.min()} to {fold.max()}; there are {len(fitted_on)} models.")
    ids, group = np.unique(cluster, return_inverse=True)
    pairs = np.unique(group * max(1, len(fitted_on)) + fold) // max(1, len(fitted_on))
    spread = ids[np.bincount(pairs, minlength=len(ids)) > 1]
    if len(spread):
        raise EvaluationError(
            f"{len(spread)} of {len(ids)} clusters are spread over several folds, the first is {spread[0]!r}. Deal whole "
            f"clusters (`beautyrec.evaluation.folds.deal`)."
        )
    for number, seen in enumerate(fitted_on):
        known = np.intersect1d(cluster[fold == number], seen)
        if len(known):
            raise EvaluationError(
                f"the model of fold {number} was fitted with {len(known)} of the clusters that it is to value, the first is "
                f"{known[0]!r}. Fit it on the other folds only."
            )
