"""Measures of chances against known chances: what AUC, log loss and calibration error would be on endless draws."""

from __future__ import annotations

import numpy as np
import pandas as pd

from beautyrec.evaluation.prediction import auc
from beautyrec.types import BoolArray, FloatArray


def known_auc(p: FloatArray, truth: FloatArray, weight: FloatArray) -> float:
    """AUC where each row is a positive with its true chance and a negative with the rest; ties count a half."""
    _, group = np.unique(p, return_inverse=True)
    positive, negative = np.bincount(group, weight * truth), np.bincount(group, weight * (1 - truth))
    below = np.cumsum(negative) - negative / 2
    return float((positive * below).sum() / (positive.sum() * negative.sum()))


def known_log_loss(p: FloatArray, truth: FloatArray, weight: FloatArray) -> float:
    """Expected log loss, nats."""
    return float(-np.average(truth * np.log(p) + (1 - truth) * np.log1p(-p), weights=weight))


def known_calibration_error(p: FloatArray, truth: FloatArray, weight: FloatArray, bins: int = 10) -> float:
    """Mean distance of predicted from true over bins of equal weight, as a share of the base rate."""
    order = np.argsort(p, kind="stable")
    reached = np.cumsum(weight[order]) - weight[order] / 2
    number = np.minimum((reached / weight.sum() * bins).astype(np.int64), bins - 1)
    apart = np.bincount(number, (weight * (p - truth))[order], bins)
    return float(np.abs(apart).sum() / (weight * truth).sum())


def bootstrap_auc(
    p: FloatArray, other: FloatArray, happened: BoolArray, group: FloatArray, rng: np.random.Generator, draws: int = 100
) -> tuple[float, float, float]:
    """How much greater the AUC of ``p`` is than that of ``other``, with a 95 % interval over groups drawn again."""
    place = pd.factorize(group)[0]
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(place.max() + 2))
    found = []
    for _ in range(draws):
        drawn = rng.integers(len(starts) - 1, size=len(starts) - 1)
        rows = np.concatenate([order[starts[g] : starts[g + 1]] for g in drawn])
        found.append(auc(p[rows], happened[rows]) - auc(other[rows], happened[rows]))
    low, high = np.quantile(found, [0.025, 0.975])
    return auc(p, happened) - auc(other, happened), float(low), float(high)
