"""Measures of chances against known chances: what AUC, log loss and calibration error would be on endless draws."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import t as student

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


def debiased_calibration_error(p: FloatArray, happened: BoolArray, bins: int = 10) -> float:
    """Root of the mean square distance of predicted from true over bins of equally many rows, as a share of the base rate.

    Estimated from outcomes: the variance of each bin's share, which makes the plain error of a perfect model large where
    little happened, is taken out. Source: Kumar, Liang and Ma (2019), "Verified uncertainty calibration", NeurIPS.
    """
    number = np.empty(len(p), dtype=np.int64)
    number[np.argsort(p, kind="stable")] = np.arange(len(p)) * bins // len(p)
    rows = np.bincount(number, minlength=bins)
    predicted, share = (np.bincount(number, values, bins) / rows for values in (p, happened))
    square = (predicted - share) ** 2 - share * (1 - share) / np.maximum(1, rows - 1)
    return float(np.sqrt(max(0.0, np.average(square, weights=rows))) / happened.mean())


def lower_end(apart: FloatArray) -> float:
    """Lower end of the 95 % interval of a mean over fits and days [fits, days], both drawn from many.

    The variance is that of the means of fits over their number plus that of the means of days over theirs, which counts what
    is left of both twice and so errs to the wide side; as many degrees of freedom as the fewer of the two allow.
    """
    means = [apart.mean(axis=axis) for axis in (0, 1)]
    half = np.sqrt(sum(float(np.var(each, ddof=1)) / len(each) for each in means))
    return float(apart.mean() - student.ppf(0.975, min(apart.shape) - 1) * half)


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
