"""What an evaluation says: a value with its interval, a lift, and whether to believe it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Whether a log can tell.

    ``TRUST``: the interval may be acted on. ``CAUTION``: it may be read, with the reasons beside it. ``REFUSE``: the log
    cannot tell; whatever number comes out is not to be shown as a headline.
    """

    TRUST = "trust"
    CAUTION = "caution"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Estimate:
    """A value and the interval that covers the true one.

    Args:
        value: the point estimate.
        ci_low: lower end of the interval.
        ci_high: upper end.
        n: how many independent units it rests on (clusters).
        unit: what the value counts, such as ``"relative"`` or ``"clicks per impression"``.
        method: how value and interval were made.
    """

    value: float
    ci_low: float
    ci_high: float
    n: int
    unit: str
    method: str


@dataclass(frozen=True)
class Lift:
    """The relative change of a metric from the logging to the target policy, ``target / logging - 1``.

    Args:
        metric: name of the metric.
        estimator: name of the estimator.
        estimate: the lift with its interval; None where it cannot be computed, and then the verdict is REFUSE.
        target: estimated value of the metric under the target policy; None where it cannot be computed.
        logging: its value in the log; None where it cannot be computed.
        effective_n: how many impressions drawn from the target policy itself would tell as much.
        verdict: whether the log can tell.
        reasons: why, in words; empty for TRUST.
    """

    metric: str
    estimator: str
    estimate: Estimate | None
    target: float | None
    logging: float | None
    effective_n: float
    verdict: Verdict
    reasons: tuple[str, ...]
