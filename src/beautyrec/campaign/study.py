"""A study: trials of several families of models, one after another, that can be stopped at any time and resumed.

What a trial tries is a function of the seed, its number and the outcomes of the trials before it, and of nothing else.
So the same seed gives the same trials, whether the study ran through or was stopped and resumed.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.campaign.journal import Journal
from beautyrec.campaign.samplers import TPE, Sampler
from beautyrec.campaign.space import Family, Scalar
from beautyrec.campaign.tracking import NoTracker, StudyRun, Tracker
from beautyrec.campaign.trial import Objective, Outcome, TrialLog, TrialRecord
from beautyrec.errors import BeautyrecError, ConfigError, EvaluationError
from beautyrec.types import Progress

COLUMNS = ("number", "family", "params", "value", "state", "verdict", "seconds", "metrics", "reason", "run_id")
"""The columns of :attr:`StudyResult.trials`."""


@dataclass(frozen=True)
class StudyConfig:
    """What a study is, besides its families and its objective.

    Args:
        name: of the study in its storage and in the tracking.
        trials: how many trials there shall be in all, complete and failed, over all runs of the study.
        seed: from which everything random is derived.
        storage: the file that keeps the trials; it is made if it is absent, and read to resume if it is there.
        sampler: how trials are chosen once the defaults of each family were tried.
        tags: what its trials depend on besides, for instance the fingerprint of the data and the protocol. They are
            noted in the tracking, and a study is resumed only where they are the same.
    """

    name: str
    trials: int
    seed: int
    storage: Path
    sampler: Sampler = field(default_factory=TPE)
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("study: the name is empty; give it one, for instance 'demo'.")
        if self.trials < 1:
            raise ConfigError(f"study '{self.name}': trials is {self.trials}; it has to be at least 1.")
        if self.seed < 0:
            raise ConfigError(f"study '{self.name}': seed is {self.seed}; it has to be at least 0.")


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a study found.

    Args:
        trials: one row a trial, by number: ``number``, ``family``, ``params`` (a dict), ``value`` (NaN where it
            failed), ``state`` (``complete`` or ``failed``), ``verdict``, ``seconds``, ``metrics`` (a dict),
            ``reason`` (why it failed, else why its verdict is what it is), ``run_id`` (in the tracking, else empty).
        records: the same with the days, as they are kept.
        run_id: of the study in the tracking, else empty.
        resumed: how many of the trials were there before.
    """

    trials: pd.DataFrame
    records: tuple[TrialRecord, ...]
    run_id: str
    resumed: int

    @property
    def best(self) -> pd.Series | None:
        """The row of the highest value, of the first of them among equals; None where every trial failed."""
        value = self.trials["value"].to_numpy(np.float64)
        return self.trials.iloc[int(np.nanargmax(value))] if np.isfinite(value).any() else None


def trial_seed(seed: int, number: int) -> int:
    """The seed of a trial: 32 bits that depend on both arguments.

    Examples:
        >>> trial_seed(0, 1) == trial_seed(0, 1), trial_seed(0, 1) == trial_seed(0, 2)
        (True, False)
    """
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def run_study(
    config: StudyConfig,
    families: Sequence[Family],
    objective: Objective,
    tracker: Tracker | None = None,
    on_progress: Progress | None = None,
) -> StudyResult:
    """Run trials until the study has ``config.trials`` of them; a study that has them already runs none.

    The defaults of each family come first, in the order of ``families``; then ``config.sampler`` chooses. A trial that
    raises is kept with its reason and counts as one; its parameters are not learnt from. An interrupt (Ctrl-C) leaves
    the trial it hits out, as if it had not begun, and is raised again; a killed process leaves the same.

    Args:
        config: name, budget, seed, storage, sampler.
        families: what may be tried.
        objective: called as ``objective(family, params, trial)``; gives the value to maximise.
        tracker: where to note the trials besides the storage; nowhere if it is None.
        on_progress: called with the trials done and wanted, at the start and after each.

    Raises:
        ConfigError: no family, two of one name, a storage that holds this study with another seed, space, sampler or
            tags, or a storage that another process is using.
        MissingExtraError: ``optuna`` is not installed.
    """
    _check_families(families)
    with Journal.open(config.storage, config.name, _fingerprint(config, families)) as journal:
        before = journal.records()
        run = (tracker or NoTracker()).open_study(journal.study_id, config.name, _tags(config))
        for record in before:
            run.end_trial(record)
        try:
            _run_trials(config, families, objective, _Books(journal, run, on_progress or _silent))
        except BaseException:
            run.close({}, "KILLED")
            raise
        records = journal.records()
        result = StudyResult(_frame(records, run), records, run.run_id, len(before))
        run.close(_summary(result), "FINISHED")
        return result


@dataclass(frozen=True)
class _Books:
    """Where trials are noted: in the storage, in the tracking, and before the user's eyes."""

    journal: Journal
    run: StudyRun
    on_progress: Progress


def _run_trials(config: StudyConfig, families: Sequence[Family], objective: Objective, books: _Books) -> None:
    by_name = {family.name: family for family in families}
    books.on_progress(min(len(books.journal.records()), config.trials), config.trials)
    for number in range(len(books.journal.records()), config.trials):
        log = TrialLog(number, trial_seed(config.seed, number))
        fixed = _defaults(families[number]) if number < len(families) else None
        trial = books.journal.ask(config.sampler.build(log.seed), fixed)
        family = by_name[trial.suggest_categorical("family", list(by_name))]
        params = family.suggest(trial)
        books.run.start_trial(number, family.name, params)
        try:
            record = _try(objective, family.name, params, log)
        except BaseException:
            books.journal.forget(trial)
            raise
        books.journal.tell(trial, record)
        books.run.end_trial(record)
        books.on_progress(number + 1, config.trials)


def _try(objective: Objective, family: str, params: dict[str, Scalar], log: TrialLog) -> TrialRecord:
    """The record of one call of the objective, whatever it raises."""
    start = time.perf_counter()
    record = TrialRecord(log.number, family, params, value=None)
    try:
        record = _record(record, objective(family, dict(params), log), log)
    except BeautyrecError as error:
        record = replace(record, reason=str(error), per_day=tuple(log.days))
    except Exception as error:  # noqa: BLE001  whatever a model raises, the study goes on and the reason is kept
        record = replace(record, reason=f"{type(error).__name__}: {error}", per_day=tuple(log.days))
    return replace(record, seconds=time.perf_counter() - start, ended_ms=time.time_ns() // 1_000_000)


def _record(record: TrialRecord, outcome: Outcome, log: TrialLog) -> TrialRecord:
    """``record`` with what the objective found, as plain numbers and words."""
    if not math.isfinite(outcome.value):
        raise EvaluationError(f"the value of the trial is {outcome.value}: nothing that could be compared.")
    days = [*log.days, *outcome.per_day]
    return replace(
        record,
        value=float(outcome.value),
        metrics={key: float(value) for key, value in outcome.metrics.items()},
        per_day=tuple({key: float(value) for key, value in day.items()} for day in days),
        verdict=str(outcome.verdict),
        reasons=tuple(map(str, outcome.reasons)),
    )


def _frame(records: Sequence[TrialRecord], run: StudyRun) -> pd.DataFrame:
    rows = [
        {
            "number": record.number,
            "family": record.family,
            "params": dict(record.params),
            "value": math.nan if record.value is None else record.value,
            "state": record.state,
            "verdict": record.verdict,
            "seconds": record.seconds,
            "metrics": dict(record.metrics),
            "reason": record.reason or "; ".join(record.reasons),
            "run_id": run.trial_run_id(record.number),
        }
        for record in records
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _summary(result: StudyResult) -> dict[str, float]:
    """What is noted of the whole study."""
    failed = int((result.trials["state"] == "failed").sum())
    best = {} if result.best is None else {"best_value": float(result.best["value"])}
    return {"trials": len(result.trials), "failed": failed, **best}


def _defaults(family: Family) -> dict[str, Scalar]:
    return {"family": family.name, **{f"{family.name}.{key}": value for key, value in family.defaults.items()}}


def _fingerprint(config: StudyConfig, families: Sequence[Family]) -> str:
    """What must stay the same for trials to be of one study."""
    spaces: dict[str, Any] = {
        family.name: {key: [repr(values), family.defaults[key]] for key, values in family.space.items()}
        for family in families
    }
    plain = {"seed": config.seed, "sampler": repr(config.sampler), "families": spaces, "tags": dict(config.tags)}
    return json.dumps(plain)


def _tags(config: StudyConfig) -> dict[str, str]:
    return {"seed": str(config.seed), "sampler": repr(config.sampler), **config.tags}


def _check_families(families: Sequence[Family]) -> None:
    names = [family.name for family in families]
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"study: the families are {names}; there has to be at least one, and none twice.")


def _silent(_done: int, _total: int) -> None:
    """Progress that nobody watches."""
