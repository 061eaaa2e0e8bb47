"""Intervals of ratios of cluster sums: four ways, one protocol.

=====================  ===============================================================
`LeaveOneOut`          the default: jackknife of the log ratio, Student's t by the kurtosis of the influences
`Delta`                from mergeable moments alone; narrow where events are few
`PoissonBootstrap`     resampled clusters; seeded; also for very many clusters
`EmpiricalBernstein`   covers at least as often as asked if weights are bounded as stated; wide
=====================  ===============================================================
"""

from __future__ import annotations

from beautyrec.evaluation.intervals.base import Ends, Interval, check_confidence
from beautyrec.evaluation.intervals.bernstein import EmpiricalBernstein, bernstein_half_width
from beautyrec.evaluation.intervals.bootstrap import PoissonBootstrap
from beautyrec.evaluation.intervals.delta import Delta
from beautyrec.evaluation.intervals.jackknife import Jackknife, LeaveOneOut
from beautyrec.evaluation.intervals.student import student_quantile

LEAVE_ONE_OUT = LeaveOneOut()

__all__ = [
    "LEAVE_ONE_OUT",
    "Delta",
    "EmpiricalBernstein",
    "Ends",
    "Interval",
    "Jackknife",
    "LeaveOneOut",
    "PoissonBootstrap",
    "bernstein_half_width",
    "check_confidence",
    "student_quantile",
]
