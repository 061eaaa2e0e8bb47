"""What a log promised beside what a test delivered, and whether the two can be the same lift."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.estimate import Verdict

OFFLINE: Final = "promised offline"
ONLINE: Final = "delivered online"
_ENDS: Final = ["estimate", "ci_low", "ci_high"]


def promised_and_delivered(promised: pd.DataFrame, delivered: pd.DataFrame) -> pd.DataFrame:
    """The two lifts of each metric one above the other, and the interval of their ratio.

    Both are lifts over the same control, one read from a log, one from a randomised test, so they are independent. The
    interval of the difference of ``log(1 + lift)`` is made of the interval of each as it stands (Zou and Donner 2008,
    *Construction of Confidence Intervals about Effect Measures*): ``d - sqrt((p - p_low)^2 + (o_high - o)^2)`` and
    likewise above. Where 0 is in it, the test does not contradict the promise; that is not proof that they are equal.

    Args:
        promised: rows of `lift_table`, one a metric: choose the estimator first.
        delivered: rows of `ReadOut.table()`, one a metric, named as the off-policy metrics.

    Returns:
        For each metric that both have, a row ``promised offline`` and a row ``delivered online`` (``side``), with ``metric,
        estimator, estimate, ci_low, ci_high, verdict, reasons``; and on both rows ``ratio`` ((1 + delivered) / (1 + promised)
        - 1), ``ratio_low``, ``ratio_high`` and ``agrees``. These are missing where one of the two is refused.

    Raises:
        EvaluationError: a metric stands twice on one side, or no metric is on both.

    Examples:
        >>> row = {"metric": "ctr", "estimator": "dr", "estimate": 0.1, "ci_low": 0.0, "ci_high": 0.2, "verdict": "trust"}
        >>> test = {**row, "estimator": "a/b test", "estimate": 0.08, "reasons": ""}
        >>> found = promised_and_delivered(pd.DataFrame([{**row, "reasons": ""}]), pd.DataFrame([test]))
        >>> found["side"].tolist(), found["agrees"].tolist()
        (['promised offline', 'delivered online'], [True, True])
    """
    for side, frame in ((OFFLINE, promised), (ONLINE, delivered)):
        twice = frame["metric"][frame["metric"].duplicated()].unique().tolist()
        if twice:
            raise EvaluationError(f"{side}: {twice} stand more than once. Keep one estimator and one policy.")
    shared = [metric for metric in promised["metric"] if metric in set(delivered["metric"])]
    if not shared:
        raise EvaluationError(
            f"promised are {promised['metric'].tolist()}, delivered {delivered['metric'].tolist()}: no metric is on both "
            f"sides. Name the measures of the test as the metrics of the log."
        )
    columns = ["estimator", *_ENDS, "verdict", "reasons"]
    pair = [frame.set_index("metric").loc[shared, columns] for frame in (promised, delivered)]
    ratio = _ratio(*pair)
    sides = [part.assign(side=side).join(ratio) for side, part in zip((OFFLINE, ONLINE), pair, strict=True)]
    rows = pd.concat(sides).reset_index().sort_values("metric", key=lambda name: name.map(shared.index), kind="stable")
    found = rows[["side", "metric", *columns, *ratio]].reset_index(drop=True)
    return found.astype(dict.fromkeys((*_ENDS, "ratio", "ratio_low", "ratio_high"), "Float64"))


def _ratio(promised: pd.DataFrame, delivered: pd.DataFrame) -> pd.DataFrame:
    """By metric how much more was delivered than promised, with its interval; missing where one of the two is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = [
            np.log1p(side[_ENDS].astype("Float64").to_numpy(np.float64, na_value=np.nan))
            for side in (promised, delivered)
        ]
    (p, p_low, p_high), (d, d_low, d_high) = (part.T for part in logs)
    finite = pd.Series(np.isfinite(np.concatenate(logs, axis=1)).all(axis=1), promised.index)
    told = finite & (promised["verdict"] != Verdict.REFUSE) & (delivered["verdict"] != Verdict.REFUSE)
    low, high = d - p - np.hypot(d - d_low, p_high - p), d - p + np.hypot(d_high - d, p - p_low)
    ratio = pd.DataFrame(
        {"ratio": np.expm1(d - p), "ratio_low": np.expm1(low), "ratio_high": np.expm1(high)}, promised.index
    )
    agrees = pd.Series((low <= 0) & (high >= 0), promised.index, dtype="boolean")
    return ratio.where(told).assign(agrees=agrees.where(told))
