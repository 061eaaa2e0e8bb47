"""Ranking metrics in tables by segment, and whether one model ranks better than another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.estimate import Estimate
from beautyrec.evaluation.intervals import Jackknife
from beautyrec.evaluation.list_quality import Ratio
from beautyrec.evaluation.ranking import mean_estimate
from beautyrec.types import BoolArray, FloatArray

ALL = "all"
"""The segment of all requests."""

COLUMNS = ("segment", "metric", "value", "ci_low", "ci_high", "n", "note")
_CHUNK = 2**22  # random numbers held at one time


def estimate(values: FloatArray | Ratio, unit: str) -> Estimate:
    """The mean of values of independent requests, or the ratio of two means, with its 95 % interval.

    Args:
        values: [B] one a request, of different users; or a ratio of such.
        unit: what the values are, such as ``"recall@10"``.

    Raises:
        EvaluationError: fewer than two values, some that are not finite, or a ratio over 0.

    Examples:
        >>> found = estimate(Ratio(np.array([0.0, 1.0, 1.0]), np.array([1.0, 1.0, 2.0])), "debiased recall@10")
        >>> found.value
        0.5
    """
    if not isinstance(values, Ratio):
        return mean_estimate(values, unit)
    rows = np.stack([values.above, values.below], axis=1)
    knife = Jackknife.of(rows, lambda means: means[0] / means[1])
    low, high = knife.interval()
    return Estimate(knife.value, low, high, len(rows), unit, "ratio of means over requests, jackknife")


def ranking_table(
    metrics: Mapping[str, FloatArray | Ratio], segment: npt.ArrayLike | pd.Series[Any] | None = None
) -> pd.DataFrame:
    """Metrics with intervals, over all requests and for each value of a column.

    Args:
        metrics: values [B] of each metric, by the name shown.
        segment: [B] what to tell requests apart by: the scene, a class of users, `warmth`; missing values make a
            segment of their own, ``"unknown"``. Only all requests if None.

    Returns:
        ``segment, metric, value, ci_low, ci_high, n, note``. Where a segment is too small for an interval, the value alone
        is given, ends are ``<NA>`` and the note says why; where there is no value, that is ``<NA>`` as well.

    Raises:
        EvaluationError: lengths differ, or the values of all requests allow no interval.

    Examples:
        >>> table = ranking_table({"recall": np.array([0.0, 1.0, 1.0, 1.0])}, ["a", "b", "b", "b"])
        >>> table[["segment", "value", "n"]].to_numpy().tolist()
        [['all', 0.75, 4], ['a', 0.0, 1], ['b', 1.0, 3]]
    """
    lengths = {name: len(values.above if isinstance(values, Ratio) else values) for name, values in metrics.items()}
    label = np.full(next(iter(lengths.values()), 0), ALL) if segment is None else _labels(segment)
    for name, length in lengths.items():
        if length != len(label):
            raise EvaluationError(f"ranking table: '{name}' has {length} values for {len(label)} requests.")
    rows: list[tuple[object, ...]] = []
    for name, values in metrics.items():
        found = estimate(values, name)
        rows.append((ALL, name, found.value, found.ci_low, found.ci_high, found.n, ""))
    for part in () if segment is None else np.unique(label):
        rows += [_row(str(part), name, values, label == part) for name, values in metrics.items()]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(("value", "ci_low", "ci_high"), "Float64"))


def _labels(segment: npt.ArrayLike | pd.Series[Any]) -> npt.NDArray[Any]:
    column = pd.Series(np.asarray(segment), dtype=object)
    return np.asarray(column.where(column.notna(), "unknown").astype(str), dtype=str)


def _row(segment: str, name: str, values: FloatArray | Ratio, keep: BoolArray) -> tuple[object, ...]:
    part = Ratio(values.above[keep], values.below[keep]) if isinstance(values, Ratio) else values[keep]
    return (segment, name, *estimate_or_note(part, name))


def estimate_or_note(
    values: FloatArray | Ratio, name: str
) -> tuple[float | None, float | None, float | None, int, str]:
    """Value, ends of its interval, number of requests and a note, as in a row of `ranking_table`.

    Where the requests are too few for an interval the value stands alone and the note says why.

    Args:
        values: as for `estimate`.
        name: of the metric.

    Examples:
        >>> estimate_or_note(np.array([0.5]), "recall")[:4]
        (0.5, None, None, 1)
    """
    try:
        found = estimate(values, name)
    except EvaluationError as error:
        return _plain(values), None, None, len(values.above if isinstance(values, Ratio) else values), str(error)
    return found.value, found.ci_low, found.ci_high, found.n, ""


def _plain(values: FloatArray | Ratio) -> float | None:
    """The value without an interval, None where there is none."""
    above, below = (
        (values.above.sum(), values.below.sum()) if isinstance(values, Ratio) else (values.sum(), len(values))
    )
    return float(above / below) if below > 0 and np.isfinite(above) else None


def warmth(taken: npt.NDArray[Any], described: BoolArray) -> npt.NDArray[np.str_]:
    """[n] ``"hot"`` for users or items with events in training, ``"warm"`` for those with features only, else ``"cold"``.

    Args:
        taken: [n] events of each in training.
        described: [n] whether anything else is known of each.

    Examples:
        >>> warmth(np.array([3, 0, 0]), np.array([False, True, False])).tolist()
        ['hot', 'warm', 'cold']
    """
    return np.where(np.asarray(taken) > 0, "hot", np.where(described, "warm", "cold"))


@dataclass(frozen=True)
class PairedTest:
    """Whether one model is better than another on the same requests.

    Args:
        difference: mean of ``first - second`` with its interval.
        p_value: chance of a difference as large, either way, if the models were exchangeable; never 0.
        permutations: drawn.
    """

    difference: Estimate
    p_value: float
    permutations: int


def paired_test(
    first: FloatArray | Ratio, second: FloatArray | Ratio, *, seed: int, permutations: int = 9_999
) -> PairedTest:
    """Permutation test on the same requests ranked by two models.

    If the models are alike, each request's two values might as well be exchanged: the sign of each difference is drawn
    anew. ``p = (1 + draws at least as far from 0) / (1 + draws)``, the one for what was seen; without it p could be 0, and
    the test would not hold its level (Phipson and Smyth 2010, *Permutation P-values Should Never Be Zero*). Equal
    differences share one binomial draw of signs, and those that stand alone take a bit each: the same distribution, and
    much less work.

    Args:
        first: [B] values of the one model; or a ratio, and then below the line both must have the same.
        second: [B] values of the other on the same requests.
        seed: of the draws.
        permutations: how many, at least 1.

    Raises:
        EvaluationError: lengths differ, fewer than two requests, values not finite, or ratios over different sums.

    Examples:
        >>> good, bad = np.array([1.0] * 12), np.array([0.0] * 12)
        >>> found = paired_test(good, bad, seed=0)
        >>> found.difference.value, found.p_value < 0.01
        (1.0, True)
    """
    if permutations < 1:
        raise EvaluationError(f"paired test: {permutations} permutations; draw at least 1.")
    above, scale = _differences(first, second)
    mean = mean_estimate(above / scale, "difference")
    size, group = np.unique(np.abs(above[above != 0]), return_counts=True)
    reach = abs(float(above.sum())) * (1 - 1e-12)
    rng = np.random.default_rng(seed)
    far, step = 0, max(1, _CHUNK // max(1, len(size)))
    for start in range(0, permutations, step):
        draws = min(step, permutations - start)
        total = _signed_sums(size[group == 1], draws, rng)
        many = group > 1
        turned = rng.binomial(group[many], 0.5, size=(draws, int(many.sum())))
        total += (2 * turned - group[many]) @ size[many]
        far += int(np.count_nonzero(np.abs(total) >= reach))
    return PairedTest(mean, (1 + far) / (1 + permutations), permutations)


def _signed_sums(size: FloatArray, draws: int, rng: np.random.Generator) -> FloatArray:
    """[draws] sums of ``size`` [m], each time with all signs drawn anew."""
    bits = np.frombuffer(rng.bytes(draws * ((len(size) + 7) // 8)), dtype=np.uint8).reshape(draws, -1)
    plus = np.unpackbits(bits, axis=1, count=len(size)).astype(np.float64)
    sums: FloatArray = 2 * (plus @ size) - size.sum()
    return sums


def _differences(first: FloatArray | Ratio, second: FloatArray | Ratio) -> tuple[FloatArray, float]:
    """[B] differences, and what their mean is to be divided by."""
    if isinstance(first, Ratio) and isinstance(second, Ratio):
        if not np.array_equal(first.below, second.below):
            raise EvaluationError(
                "paired test: the two ratios are over different sums. Judge both on the same requests."
            )
        return _differences(first.above, second.above)[0], float(first.below.mean())
    if isinstance(first, Ratio) or isinstance(second, Ratio) or len(first) != len(second):
        raise EvaluationError("paired test: pass two metrics of one kind, on the same requests in the same order.")
    return np.asarray(first - second, dtype=np.float64), 1.0
