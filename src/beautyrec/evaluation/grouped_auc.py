"""The AUC within users or requests, where a list is chosen from: what is easy between them does not count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.estimate import Estimate
from beautyrec.evaluation.intervals import Jackknife
from beautyrec.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class GroupedAUC:
    """The mean AUC of groups, and what it leaves out.

    Args:
        value: the weighted mean.
        weights: what a group counts by.
        groups: groups with both labels, which it is made of.
        groups_left_out: groups where it always or never happened: they have no AUC.
        rows: rows of the groups it is made of.
        rows_left_out: rows of the others.
        estimate: the value with its 95 % interval over groups (jackknife); None with fewer than two groups.
    """

    value: float
    weights: str
    groups: int
    groups_left_out: int
    rows: int
    rows_left_out: int
    estimate: Estimate | None

    def __str__(self) -> str:
        """The value with all that it leaves out."""
        all_groups, all_rows = self.groups + self.groups_left_out, self.rows + self.rows_left_out
        return (
            f"GAUC {self.value:.4f}, weighted by {self.weights}, over {self.groups:,} of {all_groups:,} groups "
            f"({self.rows:,} of {all_rows:,} rows); {self.groups_left_out:,} groups have one label only"
        )


class AUCs(NamedTuple):
    """The AUC of each of G groups."""

    ids: npt.NDArray[Any]
    """[G] the groups, sorted."""
    values: FloatArray
    """[G] NaN where it always or never happened."""
    rows: IntArray
    """[G] how many rows each has."""


def auc_of_groups(predicted: npt.ArrayLike, happened: npt.ArrayLike, group: npt.NDArray[Any]) -> AUCs:
    """The AUC within each group, by which two predictions can be held against each other group by group.

    Args:
        predicted: [n] any score.
        happened: [n] true or false.
        group: [n] the user or request of each row.

    Raises:
        EvaluationError: lengths differ, or a prediction is missing.

    Examples:
        >>> auc_of_groups([0.1, 0.9, 0.5], [False, True, True], np.array([1, 1, 2])).values.tolist()
        [1.0, nan]
    """
    p, y, index = _checked(predicted, happened, group)
    rows, positives, above = _by_group(p, y, index)
    pairs = positives * (rows - positives)
    values = np.divide(above, pairs, out=np.full(len(rows), np.nan), where=pairs > 0)
    return AUCs(np.unique(np.asarray(group)), values, rows)


def grouped_auc(
    predicted: npt.ArrayLike, happened: npt.ArrayLike, group: npt.NDArray[Any], *, by_rows: bool = True
) -> GroupedAUC:
    """``sum of n_g AUC_g / sum of n_g`` over the groups where it happened to some rows and not to others.

    Zhu et al., *Optimized Cost per Click in Taobao Display Advertising* (KDD 2017), with impressions as weights ``n_g``. The
    AUC of a group is :func:`beautyrec.evaluation.prediction.auc`, ties counted half.

    Args:
        predicted: [n] any score.
        happened: [n] true or false.
        group: [n] the user or request of each row.
        by_rows: weigh a group by its rows (impressions); all alike if false.

    Raises:
        EvaluationError: lengths differ, a prediction or group is missing, or no group has both labels.

    Examples:
        >>> found = grouped_auc([0.1, 0.9, 0.5, 0.4, 0.7], [False, True, True, False, False], np.array([1, 1, 2, 2, 3]))
        >>> found.value, found.groups, found.groups_left_out
        (1.0, 2, 1)
    """
    _, values, rows = auc_of_groups(predicted, happened, group)
    both = ~np.isnan(values)
    if not both.any():
        raise EvaluationError(
            f"grouped auc: none of {len(rows)} groups has rows where it happened and rows where it did not. Group coarser."
        )
    values = values[both]
    weight = rows[both].astype(np.float64) if by_rows else np.ones(len(values))
    return GroupedAUC(
        value=float(np.average(values, weights=weight)),
        weights="rows" if by_rows else "nothing (each group alike)",
        groups=len(values),
        groups_left_out=int((~both).sum()),
        rows=int(rows[both].sum()),
        rows_left_out=int(rows[~both].sum()),
        estimate=_estimate(values, weight),
    )


def _checked(
    predicted: npt.ArrayLike, happened: npt.ArrayLike, group: npt.NDArray[Any]
) -> tuple[FloatArray, BoolArray, IntArray]:
    """Both as arrays, and [n] the number of the group, from 0."""
    p, y, ids = np.asarray(predicted, dtype=np.float64), np.asarray(happened, dtype=bool), np.asarray(group)
    if p.ndim != 1 or p.shape != y.shape or p.shape != ids.shape or len(p) == 0:
        raise EvaluationError(f"grouped auc: shapes {p.shape}, {y.shape}, {ids.shape}; give three [n], n above 0.")
    missing = int(np.isnan(p).sum())
    if missing:
        raise EvaluationError(f"grouped auc: {missing} of {len(p)} predictions are NaN. Leave those rows out.")
    return p, y, np.unique(ids, return_inverse=True)[1].astype(np.int64)


def _by_group(p: FloatArray, y: BoolArray, group: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
    """[G] rows, positives, and pairs of a positive above a negative (ties a half), by the ranks within each group."""
    order = np.lexsort((p, group))
    p, y, group = p[order], y[order], group[order]
    rows = np.bincount(group)
    start = np.cumsum(rows) - rows
    new = np.append(True, (p[1:] != p[:-1]) | (group[1:] != group[:-1]))  # first of its tied rows
    tie = np.cumsum(new) - 1
    first, size = np.flatnonzero(new), np.bincount(tie)
    rank = (first + (size + 1) / 2)[tie] - start[group]
    positives = np.bincount(group, weights=y).astype(np.int64)
    above = np.bincount(group, weights=rank * y) - positives * (positives + 1) / 2
    return rows, positives, above


def _estimate(values: FloatArray, weight: FloatArray) -> Estimate | None:
    if len(values) < 2:
        return None
    knife = Jackknife.of(np.stack([values * weight, weight], axis=1), lambda means: means[0] / means[1])
    low, high = knife.interval()
    return Estimate(knife.value, low, high, len(values), "AUC within groups", "weighted mean of groups, jackknife")
