"""How well predicted chances agree with what happened: order, sharpness, and calibration.

Every function takes arrays. What the rows are (the *sample space*) is the caller's to say: the click rate is judged on
impressions, the conversion rate on clicks, click-and-order on impressions. :func:`funnel_quality` does all three and
names them so. The AUC within users or requests is in :mod:`beautyrec.evaluation.grouped_auc`, predicted against actual
sales in :mod:`beautyrec.evaluation.sales_deviation`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.grouped_auc import grouped_auc
from beautyrec.types import BoolArray, FloatArray, IntArray

SPACES: Final = ("ctr_on_impressions", "cvr_on_clicks", "ctcvr_on_impressions")
"""What :func:`funnel_quality` judges, by name: which chance, on which rows."""

_NOT_NUMBERS: Final = ("n", "positives", "note", "groups", "groups_left_out")

_Z95: Final = 1.959963984540054
_SMALLEST: Final = 1e-15


def auc(predicted: npt.ArrayLike, happened: npt.ArrayLike) -> float:
    """The chance that a row where it happened is ranked above one where it did not; ties count a half.

    From the ranks of the predictions: ``(sum of ranks of positives - P (P + 1) / 2) / (P N)``, tied rows sharing the
    mean of their ranks (Mann & Whitney 1947).

    Args:
        predicted: [n] any score.
        happened: [n] true or false.

    Raises:
        EvaluationError: it always or never happened, lengths differ, or a prediction is NaN.

    Examples:
        >>> auc([0.1, 0.4, 0.4, 0.8], [False, False, True, True])
        0.875
    """
    p, y = _checked(predicted, happened)
    positives = int(y.sum())
    negatives = len(y) - positives
    if positives == 0 or negatives == 0:
        raise EvaluationError(f"auc: {positives} of {len(y)} rows are positive; it needs some of each. Take more rows.")
    _, group, count = np.unique(p, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(count) - (count - 1) / 2
    above = float(mean_rank[group[y]].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives)


def log_loss(predicted: npt.ArrayLike, happened: npt.ArrayLike) -> float:
    """Mean of ``-log p`` where it happened and ``-log(1 - p)`` where not, in nats; p is kept 1e-15 away from 0 and 1.

    Raises:
        EvaluationError: no rows, lengths differ, or a prediction is not a probability.

    Examples:
        >>> round(log_loss([0.5, 0.5], [True, False]), 6)
        0.693147
    """
    p, y = _probabilities(predicted, happened)
    p = np.clip(p, _SMALLEST, 1 - _SMALLEST)
    return float(-np.where(y, np.log(p), np.log1p(-p)).mean())


def brier(predicted: npt.ArrayLike, happened: npt.ArrayLike) -> float:
    """Mean of ``(p - happened)^2`` (Brier 1950).

    Raises:
        EvaluationError: no rows, lengths differ, or a prediction is not a probability.

    Examples:
        >>> brier([1.0, 0.5], [True, False])
        0.125
    """
    p, y = _probabilities(predicted, happened)
    return float(((p - y) ** 2).mean())


def wilson_interval(successes: npt.ArrayLike, n: npt.ArrayLike, z: float = _Z95) -> tuple[FloatArray, FloatArray]:
    """Ends of the interval for a share, steady also where few or none succeed (Wilson 1927).

    ``(q + z^2/2n ± z sqrt(q (1 - q) / n + z^2/4n^2)) / (1 + z^2/n)`` with ``q = successes / n``.

    Args:
        successes: [k] counts.
        n: [k] of how many, above 0.
        z: half width in standard errors; 1.96 gives 95 %.

    Examples:
        >>> low, high = wilson_interval([5], [100])
        >>> round(float(low[0]), 4), round(float(high[0]), 4)
        (0.0215, 0.1118)
    """
    counts = np.asarray(n, dtype=np.float64)
    share = np.asarray(successes, dtype=np.float64) / counts
    centre = share + z**2 / (2 * counts)
    half = z * np.sqrt(share * (1 - share) / counts + z**2 / (4 * counts**2))
    scale = 1 + z**2 / counts
    return np.maximum(0.0, (centre - half) / scale), np.minimum(1.0, (centre + half) / scale)


def calibration_curve(predicted: npt.ArrayLike, happened: npt.ArrayLike, bins: int = 10) -> pd.DataFrame:
    """What was predicted beside what happened, in bins of equally many rows.

    Bins hold consecutive predictions; equal predictions stay in one bin, so there may be fewer than ``bins``.

    Args:
        predicted: [n] probabilities.
        happened: [n] true or false.
        bins: how many at most.

    Returns:
        One row a bin, lowest predictions first: ``n``, ``positives``, ``predicted`` (their mean), ``observed`` (share
        that happened) and its 95 % Wilson interval ``ci_low``, ``ci_high``.

    Raises:
        EvaluationError: no rows, lengths differ, a prediction is not a probability, or ``bins`` is below 1.

    Examples:
        >>> curve = calibration_curve([0.1, 0.1, 0.5, 0.5], [False, False, True, False], bins=2)
        >>> curve[["n", "predicted", "observed"]].to_numpy().tolist()
        [[2.0, 0.1, 0.0], [2.0, 0.5, 0.5]]
    """
    p, y = _probabilities(predicted, happened)
    if bins < 1:
        raise EvaluationError(f"calibration_curve: {bins} bins; ask for at least 1.")
    number = quantile_bins(p, bins)
    n = np.bincount(number)
    positives = np.bincount(number, weights=y).astype(np.int64)
    low, high = wilson_interval(positives, n)
    columns = {
        "n": n,
        "positives": positives,
        "predicted": np.bincount(number, weights=p) / n,
        "observed": positives / n,
        "ci_low": low,
        "ci_high": high,
    }
    return pd.DataFrame(columns)


def calibration_error(
    predicted: npt.ArrayLike, happened: npt.ArrayLike, bins: int = 10, *, relative: bool = False
) -> float:
    """Mean distance of predicted from observed over the bins of :func:`calibration_curve`, weighted by their rows.

    It does not fall to 0 for a perfect model: each bin's observed share is a sample.

    Args:
        predicted: [n] probabilities.
        happened: [n] true or false.
        bins: how many at most.
        relative: divide by the share of rows where it happened, so that 0.05 reads *5 % of the base rate*.

    Raises:
        EvaluationError: as for the curve, or ``relative`` and it never happened.

    Examples:
        >>> round(calibration_error([0.2, 0.2, 0.6, 0.6], [False, True, True, False], bins=2), 6)
        0.2
    """
    curve = calibration_curve(predicted, happened, bins)
    error = float(np.average((curve["predicted"] - curve["observed"]).abs(), weights=curve["n"]))
    if not relative:
        return error
    base = curve["positives"].sum() / curve["n"].sum()
    if base == 0:
        raise EvaluationError(f"calibration_error: 0 of {int(curve['n'].sum())} rows are positive; no base rate.")
    return error / float(base)


def funnel_quality(
    predicted: pd.DataFrame,
    clicked: BoolArray,
    ordered: BoolArray,
    bins: int = 10,
    *,
    group: npt.NDArray[Any] | None = None,
) -> pd.DataFrame:
    """The quality of the chances of click, of order after a click, and of both, each on the rows it speaks of.

    Args:
        predicted: [n] rows, one an impression, with ``ctr``, ``cvr`` and ``ctcvr``.
        clicked: [n] whether it was clicked.
        ordered: [n] whether it was ordered; counts only where it was clicked too.
        bins: for the calibration error.
        group: [n] the user or request of each impression, for the AUC within them; none where it is None.

    Returns:
        One row each for ``ctr_on_impressions``, ``cvr_on_clicks``, ``ctcvr_on_impressions`` (the index, ``chance``):
        ``n``, ``positives``, ``base_rate``, ``mean_predicted``, ``auc``, ``log_loss``, ``brier``,
        ``calibration_error`` and ``relative_calibration_error``, and ``note``; with ``group`` also ``gauc``, the mean AUC of
        groups weighted by their rows, and ``groups`` and ``groups_left_out`` (those with one label only). A value that
        cannot be computed is ``<NA>``, and the note says why: all but the counts without rows, some where it always or
        never happened.

    Raises:
        EvaluationError: lengths differ, or a prediction is not a probability.

    Examples:
        >>> chances = pd.DataFrame({"ctr": [0.2, 0.6], "cvr": [0.5, 0.5], "ctcvr": [0.1, 0.3]})
        >>> funnel_quality(chances, np.array([False, True]), np.array([False, False]))["n"].to_dict()
        {'ctr_on_impressions': 2, 'cvr_on_clicks': 1, 'ctcvr_on_impressions': 2}
    """
    clicked, ordered = np.asarray(clicked, dtype=np.bool_), np.asarray(ordered, dtype=np.bool_)
    if clicked.shape != (len(predicted),) or ordered.shape != (len(predicted),):
        raise EvaluationError(
            f"prediction: {len(predicted)} rows, clicked {clicked.shape}, ordered {ordered.shape}; pass as many of each."
        )
    both = clicked & ordered
    tables = (
        (predicted["ctr"].to_numpy(), clicked),
        (predicted["cvr"].to_numpy()[clicked], ordered[clicked]),
        (predicted["ctcvr"].to_numpy(), both),
    )
    rows = [_quality(p, y, bins) for p, y in tables]
    if group is not None:
        groups = (group, group[clicked], group)
        rows = [{**row, **_within(p, y, ids)} for row, (p, y), ids in zip(rows, tables, groups, strict=True)]
    frame = pd.DataFrame(rows, index=pd.Index(SPACES, name="chance"))
    return frame.astype({name: "Float64" for name in frame.columns if name not in _NOT_NUMBERS})


def _within(p: FloatArray, y: BoolArray, group: npt.NDArray[Any]) -> dict[str, object]:
    """The AUC within groups, none where no group has both labels."""
    try:
        found = grouped_auc(p, y, group)
    except EvaluationError:
        return {"gauc": np.nan, "groups": 0, "groups_left_out": len(np.unique(group))}
    return {"gauc": found.value, "groups": found.groups, "groups_left_out": found.groups_left_out}


def _quality(p: FloatArray, y: BoolArray, bins: int) -> dict[str, object]:
    """One row of :func:`funnel_quality`."""
    n, positives = len(y), int(y.sum())
    some = n > 0
    values = {
        "base_rate": positives / n if some else None,
        "mean_predicted": float(p.mean()) if some else None,
        "auc": auc(p, y) if 0 < positives < n else None,
        "log_loss": log_loss(p, y) if some else None,
        "brier": brier(p, y) if some else None,
        "calibration_error": calibration_error(p, y, bins) if some else None,
        "relative_calibration_error": calibration_error(p, y, bins, relative=True) if positives else None,
    }
    note = "" if 0 < positives < n else f"it happened in {positives} of {n} rows" if some else "there are no rows"
    return {"n": n, "positives": positives, **values, "note": note}


def quantile_bins(p: FloatArray, bins: int) -> IntArray:
    """[n] the bin of each prediction, 0 for the lowest, without empty bins."""
    _, group, count = np.unique(p, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count + 1) / 2
    bin_of_group = (middle * bins // len(p)).astype(np.int64)
    dense = np.unique(bin_of_group, return_inverse=True)[1]
    return np.asarray(dense[group], dtype=np.int64)


def _checked(predicted: npt.ArrayLike, happened: npt.ArrayLike) -> tuple[FloatArray, BoolArray]:
    """Both as arrays [n], n above 0, no NaN."""
    p, y = np.asarray(predicted, dtype=np.float64), np.asarray(happened, dtype=bool)
    if p.ndim != 1 or p.shape != y.shape or len(p) == 0:
        raise EvaluationError(f"prediction: shapes {p.shape} and {y.shape}; give two arrays [n] with at least one row.")
    missing = int(np.isnan(p).sum())
    if missing:
        raise EvaluationError(
            f"prediction: {missing} of {len(p)} predictions are NaN. Leave those rows out, or fill them."
        )
    return p, y


def _probabilities(predicted: npt.ArrayLike, happened: npt.ArrayLike) -> tuple[FloatArray, BoolArray]:
    """As :func:`_checked`, and every prediction in [0, 1]."""
    p, y = _checked(predicted, happened)
    outside = int(((p < 0) | (p > 1)).sum())
    if outside:
        raise EvaluationError(f"prediction: {outside} of {len(p)} predictions are outside [0, 1]. Give probabilities.")
    return p, y
