"""The value of a policy itself, not beside the logging policy: clicks, orders or money per impression."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.estimate import Estimate
from beautyrec.evaluation.evidence import SlateEvidence
from beautyrec.evaluation.intervals import LEAVE_ONE_OUT, Interval, check_confidence
from beautyrec.evaluation.moments import Columns
from beautyrec.evaluation.off_policy import Estimator
from beautyrec.evaluation.totals import total, value_columns

_UNITS = {"clicked": "clicks per impression", "ordered": "orders per impression", "revenue": "money per impression"}


def policy_values(
    evidence: SlateEvidence,
    estimators: Sequence[Estimator],
    *,
    outcome: str = "clicked",
    interval: Interval = LEAVE_ONE_OUT,
    confidence: float = 0.95,
) -> dict[str, Estimate]:
    """The mean outcome of an impression under the target policy, by each estimator.

    ``(sum plain + sum weighted / mean divisor) / impressions``. Its interval is that of a ratio of sums over clusters, so
    the divisor of a self-normalised estimator varies along with what it divides. There is no verdict here: look at
    `Overlap` before the value is used.

    Args:
        evidence: the log, weighted towards the target policy.
        estimators: any.
        outcome: ``"clicked"``, ``"ordered"`` or ``"revenue"``.
        interval: how intervals are made.
        confidence: chance of the intervals to cover, between 0 and 1.

    Raises:
        EvaluationError: the outcome is not in the log, an estimator lacks its model, or no interval can be made.

    Examples:
        >>> from beautyrec.evaluation.evidence import impressions
        >>> from beautyrec.evaluation.off_policy import IPS, SNIPS
        >>> log = impressions(target=np.array([.5, .2, .3]), logging=np.array([.25, .4, .3]), clicked=np.array([1, 0, 1]))
        >>> values = policy_values(log, (IPS(), SNIPS()))
        >>> round(values["ips"].value, 3), round(values["snips"].value, 3)
        (1.0, 0.857)
    """
    check_confidence(confidence)
    return {each.name: _value(evidence, each, outcome, interval, confidence) for each in estimators}


def _value(
    evidence: SlateEvidence, estimator: Estimator, outcome: str, interval: Interval, confidence: float
) -> Estimate:
    values = estimator.per_position(evidence, outcome)
    rows = {
        "impressions": evidence.shown.sum(axis=1, dtype=np.float64),
        **value_columns(values, outcome, evidence.shown),
    }
    columns = Columns(tuple(rows), evidence.grouping.sums(list(rows.values())))

    try:
        ends = interval.ratio(
            columns,
            lambda means: total(columns.named(means), outcome),
            lambda means: columns.named(means)["impressions"],
            confidence,
        )
    except EvaluationError as error:
        raise EvaluationError(f"{estimator.name}: {error}") from None
    return Estimate(*ends[:3], columns.clusters, _UNITS[outcome], ends.method)
