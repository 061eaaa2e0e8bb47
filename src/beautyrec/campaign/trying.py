"""One trial of the tuning month, from its task to its result, whatever comes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from beautyrec.campaign.calendar import Calendar
from beautyrec.campaign.judging import Judge, Judged
from beautyrec.campaign.month_spec import OBJECTIVES, GateConfig, MonthSpec, PruningConfig
from beautyrec.campaign.month_trial import COMPLETE, FAILED, PRUNED, Result, Task, Trial
from beautyrec.campaign.rungs import Curve, Rungs
from beautyrec.campaign.slots import Slots, me
from beautyrec.errors import BeautyrecError, MissingExtraError, StateError

Earlier = Callable[[], Sequence[Curve]]
"""Gives the curves that a network's epochs are held against."""


class _GivenUp(Exception):  # noqa: N818  (it is no error: a trial ends by it)
    """The trial is worse than the best one."""


@dataclass
class _Course:
    """The days and epochs of a trial as they come, and whether it shall go on."""

    task: Task
    pruning: PruningConfig
    on_beat: Callable[[], None]
    earlier: Earlier
    rungs: Rungs
    days: list[Mapping[str, float]] = field(default_factory=list)

    def __call__(self, numbers: Mapping[str, float]) -> None:
        self.days.append(dict(numbers))
        self.on_beat()
        pairs = [
            (float(day["estimate"]), float(self.task.best[str(int(day["day"]))]))
            for day in self.days
            if "estimate" in day and str(int(day["day"])) in self.task.best
        ]
        if self.pruning.p_value <= 0 or len(pairs) < self.pruning.least_days:
            return
        chance = worse(np.subtract(*np.array(pairs).T))
        if chance < self.pruning.p_value:
            raise _GivenUp(
                f"given up after {len(self.days)} days: worse than the best one, p = {chance:.3f} on {len(pairs)} days"
            )

    def on_epoch(self, epoch: int, epochs: int, value: float) -> None:
        """An epoch of the first fit."""
        self.on_beat()
        if epoch == 1:
            self.rungs.begin(epochs, self.earlier())
        if self.rungs.worse(epoch, value):
            raise _GivenUp(
                f"given up after {epoch} of {epochs} epochs of its first fit, which validates at {value:.4g}"
            )


def worse(differences: Sequence[float] | Any) -> float:
    """The p-value of a one-sided Wilcoxon signed-rank test that differences lie below zero; 1 where all are zero.

    Wilcoxon, *Individual Comparisons by Ranking Methods* (Biometrics Bulletin 1945).

    Examples:
        >>> worse([-0.1, -0.2, -0.3, -0.4])
        0.0625
    """
    try:
        from scipy.stats import wilcoxon
    except ImportError:
        raise MissingExtraError("scipy", "train") from None
    differences = np.asarray(differences, dtype=np.float64)
    return float(wilcoxon(differences, alternative="less").pvalue) if differences.any() else 1.0


def attempt(
    task: Task, judge: Judge, spec: MonthSpec, calendar: Calendar, on_beat: Callable[[], None], earlier: Earlier = tuple
) -> Result:
    """The result of a task; what a model raises is its reason.

    Args:
        task: what to try.
        judge: what values it.
        spec: of the month.
        calendar: of the month.
        on_beat: called after each day, and after each epoch of the first fit.
        earlier: asked for once, where the model is a network: the curves of the family's trials before this batch.

    Raises:
        StateError: the state of the campaign cannot be written; of the trial nothing is known.
    """
    start, pruning = time.perf_counter(), spec.pruning
    rungs = Rungs(task.family, pruning.epoch_factor, pruning.least_epochs)
    course = _Course(task, pruning, on_beat, earlier, rungs)
    on_epoch = course.on_epoch if pruning.epoch_factor else None
    try:
        days = calendar.window(task.day, spec.aim.window_days)
        result = result_of(judge.judge(task.candidate, days, task.day, spec.metric, course, on_epoch=on_epoch), spec)
    except StateError:  # the place of trials, not the trial, has failed
        raise
    except _GivenUp as word:
        seen = [day["estimate"] for day in course.days if "estimate" in day]
        values = {spec.aim.objectives[0]: float(np.mean(seen))} if seen else {}
        result = Result(PRUNED, values, days=tuple(course.days), reason=str(word))
    except BeautyrecError as error:
        result = Result(FAILED, days=tuple(course.days), reason=str(error))
    except Exception as error:  # noqa: BLE001  whatever a model raises, the month goes on and the reason is kept
        result = Result(FAILED, days=tuple(course.days), reason=f"{type(error).__name__}: {error}")
    took, ended = time.perf_counter() - start, time.time_ns() // 1_000_000
    return replace(result, epochs=tuple(rungs.curve), seconds=took, ended_ms=ended, worker=me())


def work_once(slots: Slots, judge: Judge, spec: MonthSpec, calendar: Calendar) -> bool:
    """Claim a task, do it and keep its result; false where none waits."""
    claimed = slots.claim(me())
    if claimed is None:
        return False
    trial_id, task = claimed
    try:
        result = attempt(
            task, judge, spec, calendar, lambda: slots.beat(trial_id), lambda: _curves(slots.trials(), task)
        )
    except BaseException:
        with suppress(StateError):  # then it is taken back when the campaign is run again
            slots.lose(trial_id)
        raise
    slots.end(trial_id, result)
    return True


def _curves(trials: Sequence[Trial], task: Task) -> list[Curve]:
    """Of the family's trials before the batch of ``task``, all of which are over."""
    before = [one for one in trials if one.number < task.since and one.task.family == task.family]
    return [one.result.epochs for one in before if one.result is not None and one.result.epochs]


def result_of(judged: Judged, spec: MonthSpec) -> Result:
    """What is kept of a candidate that was judged to the end."""
    end = "ci_low" if spec.aim.bound == "lower" else "estimate"
    lifts = {name: judged.lift(OBJECTIVES[name]) for name in spec.aim.objectives}
    first = lifts[spec.aim.objectives[0]]
    told = judged.table[judged.table["estimate"].notna()]
    metrics = {
        **{f"{row['metric']}_lift": float(row["estimate"]) for row in told.to_dict("records")},
        **{name: float(first[name]) for name in ("estimate", "ci_low", "ci_high", "target", "logging")},
        **judged.metrics,
    }
    return Result(
        COMPLETE,
        values={name: float(lift[end]) for name, lift in lifts.items()},
        metrics=metrics,
        days=judged.days,
        verdict=str(first["verdict"]),
        reason=str(first["reasons"]),
        barred=tuple(barred(str(first["verdict"]), metrics, spec.gate)),
    )


def barred(verdict: str, metrics: Mapping[str, float], gate: GateConfig) -> list[str]:
    """What keeps a candidate from being promoted, whatever its lift.

    Examples:
        >>> barred("caution", {"calibration": -0.3, "coverage": 0.5}, GateConfig())
        ['predicted clicks are -30.0% off, more than 15.0%']
    """
    found = []
    if verdict == "refuse":
        found.append("the verdict is refuse")
    if abs(metrics.get("calibration", 0.0)) > gate.calibration:
        found.append(f"predicted clicks are {metrics['calibration']:+.1%} off, more than {gate.calibration:.1%}")
    if metrics.get("coverage", 1.0) < gate.coverage:
        found.append(f"coverage is {metrics['coverage']:.1%}, less than {gate.coverage:.1%}")
    if gate.ms_per_request is not None and metrics.get("ms_per_request", 0.0) > gate.ms_per_request:
        found.append(f"a request takes {metrics['ms_per_request']:.2f} ms, more than {gate.ms_per_request:g}")
    return found
