"""Lift of a target policy over the logging policy from one log, with its interval and its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.estimate import Estimate, Lift, Verdict
from beautyrec.evaluation.evidence import SlateEvidence
from beautyrec.evaluation.intervals import LEAVE_ONE_OUT, Interval, check_confidence
from beautyrec.evaluation.metrics import METRICS, Metric
from beautyrec.evaluation.off_policy import DR, SNIPS, Estimator, OwnWeights
from beautyrec.evaluation.overlap import THRESHOLDS, Finding, Overlap, Thresholds, judge
from beautyrec.evaluation.totals import Ledger

COLUMNS = (
    "metric",
    "estimator",
    "target",
    "logging",
    "estimate",
    "ci_low",
    "ci_high",
    "n",
    "clusters",
    "effective_n",
    "verdict",
    "reasons",
)


@dataclass(frozen=True)
class Rules:
    """How intervals and verdicts are made.

    Args:
        interval: of the ratio of the two policies.
        confidence: chance of the intervals to cover, between 0 and 1.
        limits: where trust ends.

    Raises:
        EvaluationError: confidence is not between 0 and 1.
    """

    interval: Interval = LEAVE_ONE_OUT
    confidence: float = 0.95
    limits: Thresholds = THRESHOLDS

    def __post_init__(self) -> None:
        check_confidence(self.confidence)


def allowed(metrics: Sequence[Metric] | None, outcomes: Sequence[str]) -> list[Metric]:
    """The metrics, or all that these outcomes allow if None.

    Raises:
        EvaluationError: a metric needs an outcome that is not there.
    """
    have = set(outcomes)
    if metrics is None:
        return [metric for metric in METRICS if have.issuperset(metric.needs)]
    for metric in metrics:
        if not have.issuperset(metric.needs):
            raise EvaluationError(f"metric '{metric.name}' needs {list(metric.needs)}; the log has {sorted(have)}.")
    return list(metrics)


def lifts(
    evidence: SlateEvidence,
    *,
    estimators: Sequence[Estimator] | None = None,
    metrics: Sequence[Metric] | None = None,
    confidence: float = 0.95,
    limits: Thresholds = THRESHOLDS,
    interval: Interval = LEAVE_ONE_OUT,
) -> list[Lift]:
    """The lift of each metric by each estimator.

    Lift is ``target / logging - 1``, both from the same log, so that what moves both drops out. Its interval is that of the
    ratio, less 1; there are several ways to it (`beautyrec.evaluation.intervals`).

    Args:
        evidence: the log, weighted towards the target policy.
        estimators: SNIPS, and DR where the evidence has a model of the outcomes, if None.
        metrics: all that the log's outcomes allow, if None.
        confidence: chance of the intervals to cover, between 0 and 1.
        limits: where trust ends.
        interval: how intervals are made; from leave-one-cluster-out values if not given.

    Raises:
        EvaluationError: a metric needs an outcome that the log does not have, or DR has no model.

    Examples:
        >>> from beautyrec.evaluation.evidence import impressions
        >>> rng = np.random.default_rng(0)
        >>> good = rng.random(4000) < 0.5  # half of the impressions showed the better item
        >>> log = impressions(target=np.where(good, 0.8, 0.2), logging=np.full(4000, 0.5),
        ...                   clicked=rng.random(4000) < np.where(good, 0.2, 0.1))
        >>> lift = lifts(log)[0]
        >>> str(lift.verdict), lift.estimate.ci_low < 0.18 / 0.15 - 1 < lift.estimate.ci_high
        ('trust', True)
    """
    rules = Rules(interval, confidence, limits)
    metrics = allowed(metrics, evidence.outcomes.names)
    if estimators is None:
        estimators = (SNIPS(),) if evidence.expected_logged is None else (SNIPS(), DR())
    ledgers = [(estimator.name, Ledger.of(evidence, estimator)) for estimator in estimators]
    return lifts_of(ledgers, _overlaps(evidence, estimators), metrics, rules, _estimated(evidence))


def lifts_of(
    ledgers: Sequence[tuple[str, Ledger]],
    overlaps: Sequence[Overlap],
    metrics: Sequence[Metric],
    rules: Rules,
    known: Sequence[Finding] = (),
) -> list[Lift]:
    """The lifts of sums that were made already, by metric and then by estimator.

    Args:
        ledgers: the name and the sums of each estimator.
        overlaps: what the weights of each estimator show of the log that its sums were made from.
        metrics: to value.
        rules: how intervals and verdicts are made.
        known: what else speaks against trust.
    """
    result = []
    for metric in metrics:
        estimates = {name: _estimate(ledger, metric, rules.confidence, rules.interval) for name, ledger in ledgers}
        shared = [*_disagreement(list(estimates.values()), rules.limits), *known]
        for (name, ledger), overlap in zip(ledgers, overlaps, strict=True):
            findings = [*overlap.findings(metric.events, rules.limits), *shared]
            result.append(_lift(metric, name, ledger, estimates[name], findings, overlap))
    return result


def lift_table(
    evidence: SlateEvidence,
    *,
    estimators: Sequence[Estimator] | None = None,
    metrics: Sequence[Metric] | None = None,
    confidence: float = 0.95,
    limits: Thresholds = THRESHOLDS,
    interval: Interval = LEAVE_ONE_OUT,
) -> pd.DataFrame:
    """`lifts` as a frame: one row a metric and estimator.

    Columns: ``metric``, ``estimator``, ``target`` and ``logging`` (values of the metric), ``estimate`` (the lift),
    ``ci_low``, ``ci_high``, ``n`` (impressions), ``clusters`` (users, as a rule), ``effective_n``, ``verdict``, and ``reasons``
    in one text.
    Numbers that cannot be computed are ``<NA>``; their verdict is *refuse* and the reason is given.

    Args:
        evidence: as for `lifts`, and so all others.
        estimators: likewise.
        metrics: likewise.
        confidence: likewise.
        limits: likewise.
        interval: likewise.

    Raises:
        EvaluationError: as `lifts`.
    """
    found = lifts(
        evidence, estimators=estimators, metrics=metrics, confidence=confidence, limits=limits, interval=interval
    )
    n, clusters = int(evidence.shown.sum()), evidence.grouping.count
    rows = [_row(lift, n, clusters) for lift in found]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = ("target", "logging", "estimate", "ci_low", "ci_high", "effective_n")
    return frame.astype(dict.fromkeys(numbers, "Float64"))


def _row(lift: Lift, n: int, clusters: int) -> tuple[object, ...]:
    value = lift.estimate
    numbers = (None, None, None) if value is None else (value.value, value.ci_low, value.ci_high)
    head = (lift.metric, lift.estimator, lift.target, lift.logging)
    return (*head, *numbers, n, clusters, lift.effective_n, str(lift.verdict), "; ".join(lift.reasons))


def _overlaps(evidence: SlateEvidence, estimators: Sequence[Estimator]) -> list[Overlap]:
    """The overlap that each estimator's own weights show."""
    usual = Overlap.of(evidence)
    own = (each.weights(evidence) if isinstance(each, OwnWeights) else None for each in estimators)
    return [usual if weight is None else Overlap.of(evidence, weight) for weight in own]


def _estimate(ledger: Ledger, metric: Metric, confidence: float, interval: Interval) -> Estimate | Finding:
    """The lift with its interval, or why there is none."""
    target, logging = ledger.values(metric)
    try:
        ends = interval.ratio(ledger, target, logging, confidence)
    except EvaluationError as error:
        return Verdict.REFUSE, str(error)
    return Estimate(ends.value - 1, max(ends.low - 1, -1.0), ends.high - 1, ledger.clusters, "relative", ends.method)


def _disagreement(estimates: Sequence[Estimate | Finding], limits: Thresholds) -> list[Finding]:
    there = [estimate for estimate in estimates if isinstance(estimate, Estimate)]
    if len(there) < 2:
        return []
    apart = max(e.value for e in there) - min(e.value for e in there)
    half_width = max((e.ci_high - e.ci_low) / 2 for e in there)
    if apart <= limits.disagreement * half_width:
        return []
    return [(Verdict.CAUTION, f"the estimators differ by {apart:.1%}, for intervals of half-width {half_width:.1%}")]


def _estimated(evidence: SlateEvidence) -> list[Finding]:
    if not evidence.estimated:
        return []
    return [
        (Verdict.CAUTION, "propensities are estimated: whatever else the logging policy looked at is not corrected")
    ]


def _lift(
    metric: Metric, name: str, ledger: Ledger, estimate: Estimate | Finding, findings: list[Finding], overlap: Overlap
) -> Lift:
    why = [] if isinstance(estimate, Estimate) else [estimate]
    verdict, reasons = judge([*findings, *why])
    return Lift(
        metric=metric.name,
        estimator=name,
        estimate=estimate if isinstance(estimate, Estimate) else None,
        target=_level(ledger, metric, target=True),
        logging=_level(ledger, metric, target=False),
        effective_n=overlap.effective_n,
        verdict=verdict,
        reasons=reasons,
    )


def _level(ledger: Ledger, metric: Metric, *, target: bool) -> float | None:
    """The metric itself under one of the policies, None where it is not defined."""
    value = ledger.values(metric)[0 if target else 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        level = float(value(ledger.moments.mean))
    return level if np.isfinite(level) else None
