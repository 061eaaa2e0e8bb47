"""What a real A/B test delivered, in the same words as what a log had promised.

Means and ratios, their intervals (delta method), CUPED, the check of the sample ratio and the correction for several metrics
are tea-tasting's (the extra ``experiments``); here they become the `Lift` of the off-policy estimators,
with the same verdicts, so that *promised offline* and *delivered online* stand in one table. A test that is looked at
every day needs `beautyrec.evaluation.always_valid` instead;
how many users it takes is in `beautyrec.evaluation.sample_size`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.estimate import Estimate, Lift, Verdict
from beautyrec.evaluation.lift import COLUMNS
from beautyrec.evaluation.measure import Measure, check_columns, check_shares, load_tea_tasting
from beautyrec.evaluation.overlap import THRESHOLDS, Finding, Thresholds, judge

MISMATCH = 0.001
"""Below this p-value the shares of the variants are not those that were set up: something lost users of one of them, and
those who are lost are never like those who stay. One sound test in a thousand is stopped for nothing."""


@dataclass(frozen=True)
class ReadOut:
    """What a test delivered.

    Args:
        lifts: one for each measure, in their order.
        p_values: [m] of no difference, each by itself; 1 where there is no lift.
        adjusted: [m] the same for all measures together: if those below 0.05 are called, one false call or more
            happens in at most 5 % of tests (Holm 1979).
        control: users of the control.
        treatment: users of the treatment.
        mismatch_p_value: of the shares of users that were set up.
    """

    lifts: tuple[Lift, ...]
    p_values: tuple[float, ...]
    adjusted: tuple[float, ...]
    control: int
    treatment: int
    mismatch_p_value: float

    def table(self) -> pd.DataFrame:
        """One row a measure, with the columns of `beautyrec.evaluation.lift.lift_table`, ``p_value`` and ``p_adjusted``."""
        users = self.control + self.treatment
        rows = [
            (*_cells(lift, users), p, q) for lift, p, q in zip(self.lifts, self.p_values, self.adjusted, strict=True)
        ]
        frame = pd.DataFrame(rows, columns=[*COLUMNS, "p_value", "p_adjusted"])
        numbers = ("target", "logging", "estimate", "ci_low", "ci_high", "effective_n")
        return frame.astype(dict.fromkeys(numbers, "Float64"))


def read_out(
    users: pd.DataFrame,
    measures: Sequence[Measure],
    *,
    control: str,
    variant: str = "variant",
    share: float = 0.5,
    confidence: float = 0.95,
    limits: Thresholds = THRESHOLDS,
) -> ReadOut:
    """Lift of the treatment over the control for each measure.

    The unit that was randomised is the row: sums of each user over the whole test. Intervals are of the ratio of the
    two variants, on the log scale, by the delta method.

    Args:
        users: one row a user, with the column ``variant`` and those of the measures. It is not changed.
        measures: what to read, at least one.
        control: the value of ``variant`` of the control; the other one is the treatment.
        variant: name of the column that tells which.
        share: of the users that was to get the treatment, between 0 and 1.
        confidence: chance of an interval to cover, between 0 and 1.
        limits: where trust ends: users, and users with an event, in the smaller variant.

    Raises:
        MissingExtraError: tea-tasting is not installed.
        EvaluationError: a column is missing or not finite, there are not two variants, or names repeat.
    """
    treatment = _check(users, measures, control=control, variant=variant, share=share, confidence=confidence)
    tea_tasting = load_tea_tasting()
    data = users[[variant, *dict.fromkeys(name for measure in measures for name in measure.columns)]]
    metrics = {measure.name: measure.tea(tea_tasting, confidence_level=confidence, use_t=True) for measure in measures}
    ratio = tea_tasting.SampleRatio(share / (1 - share))
    with np.errstate(divide="ignore", invalid="ignore"):
        result = tea_tasting.Experiment({**metrics, "sample ratio": ratio}, variant=variant).analyze(
            data, control=control
        )
    size = result["sample ratio"]
    general = [*_of_users(int(size.control), int(size.treatment), limits), *_of_shares(size, share)]
    lifts, p_values = [], []
    for measure in measures:
        found = result[measure.name]
        there = [_events(users, measure, users[variant] == name) for name in (control, treatment)]
        lifts.append(_lift(measure, found, confidence, (size, min(there)), [*general, *_of_events(min(there), limits)]))
        p_values.append(float(found.pvalue) if lifts[-1].estimate is not None and np.isfinite(found.pvalue) else 1.0)
    adjusted = _holm(tea_tasting, p_values)
    sizes = (int(size.control), int(size.treatment))
    return ReadOut(tuple(lifts), tuple(p_values), adjusted, *sizes, float(size.pvalue))


def _lift(measure: Measure, found: Any, confidence: float, sizes: tuple[Any, float], findings: list[Finding]) -> Lift:
    """The lift of one measure from tea-tasting's result, the sizes of the variants, and users with an event."""
    users, ends = sizes[0], (found.rel_effect_size, found.rel_effect_size_ci_lower, found.rel_effect_size_ci_upper)
    estimate = None
    if np.isfinite(ends).all() and sizes[1] > 0:
        method = f"randomised test, delta method of the log ratio, {confidence:.0%}"
        value, low, high = (float(end) for end in ends)
        estimate = Estimate(value, low, high, int(users.control + users.treatment), "relative", method)
    else:
        findings = [*findings, (Verdict.REFUSE, f"'{measure.numerator}' never happened in one of the variants")]
    verdict, reasons = judge(findings)
    target, logging = (float(level) if np.isfinite(level) else None for level in (found.treatment, found.control))
    return Lift(measure.name, measure.estimator, estimate, target, logging, float(users.treatment), verdict, reasons)


def _of_users(control: int, treatment: int, limits: Thresholds) -> list[Finding]:
    caution, refuse = limits.clusters
    fewest = min(control, treatment)
    if fewest >= caution:
        return []
    return [(Verdict.REFUSE if fewest < refuse else Verdict.CAUTION, f"one variant has only {fewest} users")]


def _of_shares(size: Any, share: float) -> list[Finding]:
    if size.pvalue >= MISMATCH:
        return []
    seen = size.treatment / (size.treatment + size.control)
    reason = (
        f"{seen:.2%} of the users got the treatment where {share:.2%} were to (p = {size.pvalue:.1g}): users are lost"
    )
    return [(Verdict.REFUSE, reason)]


def _of_events(fewest: float, limits: Thresholds) -> list[Finding]:
    caution, refuse = limits.effective_events
    if fewest >= caution:
        return []
    return [
        (
            Verdict.REFUSE if fewest < refuse else Verdict.CAUTION,
            f"one variant has only {fewest:.0f} users with an event",
        )
    ]


def _events(users: pd.DataFrame, measure: Measure, rows: pd.Series[bool]) -> float:
    return float((users.loc[rows, measure.numerator] != 0).sum())


def _holm(tea_tasting: ModuleType, p_values: Sequence[float]) -> tuple[float, ...]:
    """p-values for all measures together, by tea-tasting."""
    result_type = tea_tasting.experiment.ExperimentResult
    tests = result_type({str(place): {"pvalue": p} for place, p in enumerate(p_values)})
    found = tea_tasting.adjust_fwer(tests, arbitrary_dependence=True, method="bonferroni")
    by_place = {row["metric"]: row["pvalue_adj"] for row in found.to_dicts()}
    return tuple(float(by_place[str(place)]) for place in range(len(p_values)))


def _cells(lift: Lift, users: int) -> tuple[object, ...]:
    value = lift.estimate
    numbers = (None, None, None) if value is None else (value.value, value.ci_low, value.ci_high)
    head = (lift.metric, lift.estimator, lift.target, lift.logging)
    return (*head, *numbers, users, users, lift.effective_n, str(lift.verdict), "; ".join(lift.reasons))


def _check(
    users: pd.DataFrame, measures: Sequence[Measure], *, control: str, variant: str, share: float, confidence: float
) -> Any:
    """The name of the treatment, after what must hold has been checked."""
    names = [measure.name for measure in measures]
    if not names or len(set(names)) < len(names) or "sample ratio" in names:
        raise EvaluationError(f"measures are named {names}; name at least one, each once, none 'sample ratio'.")
    check_shares(share=share, confidence=confidence)
    if variant not in users.columns:
        raise EvaluationError(f"column '{variant}' is missing; there are {list(users.columns)}.")
    for measure in measures:
        check_columns(users, measure.columns)
    variants = list(pd.unique(users[variant]))
    others = [name for name in variants if name != control]
    if len(variants) != 2 or len(others) != 1 or pd.isna(others[0]):
        raise EvaluationError(f"column '{variant}' holds {variants[:5]}; there must be '{control}' and one other.")
    return others[0]
