"""The trials of a campaign in an Optuna storage that any number of processes share: planned, claimed, ended.

One process plans; any claims. A trial counts once its result is kept. A worker that dies leaves its trial claimed; it is
closed and planned again under its number, so that numbers stay complete and none counts twice.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from beautyrec.campaign.journal import quiet
from beautyrec.campaign.month_trial import COMPLETE, FAILED, Result, Task, Trial, result_from, task_from
from beautyrec.campaign.samplers import optuna
from beautyrec.campaign.space import Choice, Family, Int, Range
from beautyrec.campaign.trial_storage import open_storage, shown
from beautyrec.errors import BeautyrecError, ConfigError

TASK, RESULT, WORKER, ALIVE, LOST = "task", "result", "worker", "alive", "lost"


def me() -> str:
    """This process, as ``host:pid:when it began``."""
    return f"{socket.gethostname()}:{os.getpid()}:{_began(os.getpid())}"


def may_live(worker: str) -> bool | None:
    """Whether a worker's process is there; None where it runs on another machine and cannot be seen."""
    host, pid, began = worker.rsplit(":", 2)
    if host != socket.gethostname():
        return None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _began(int(pid)) == began


@dataclass(frozen=True, eq=False)
class Slots:
    """The trials of one campaign.

    Args:
        study: of Optuna.
        families: with the whole space of each.
        objectives: what each trial gives a value of.
    """

    study: Any
    families: Mapping[str, Family]
    objectives: tuple[str, ...]

    @classmethod
    def open(cls, storage: str | Path, name: str, families: Mapping[str, Family], objectives: Sequence[str]) -> Slots:
        """Those in a journal file, or behind the address of a database; made where they are absent.

        Args:
            storage: the path of a journal file, or an address such as ``postgresql://user@host/database``.
            name: of the campaign in the storage.
            families: by name.
            objectives: by name.

        Raises:
            ConfigError: the storage cannot be used.
            StateError: the journal cannot be written.
            MissingExtraError: it is a PostgreSQL database and psycopg is not installed.
        """
        module = optuna()
        with quiet(module):
            try:
                study = module.create_study(
                    storage=open_storage(storage),
                    study_name=name,
                    directions=["maximize"] * len(objectives),
                    load_if_exists=True,
                )
            except BeautyrecError:
                raise
            except Exception as error:  # noqa: BLE001  whatever a driver raises
                reason = str(error).split("\n", 1)[0]
                raise ConfigError(
                    f"month: '{shown(storage)}' cannot be used as the storage of trials: {reason}."
                ) from None
        return cls(study, families, tuple(objectives))

    def trials(self) -> list[Trial]:
        """All that were planned, by number."""
        found = [
            Trial(
                task_from(trial.user_attrs[TASK]),
                result_from(trial.user_attrs[RESULT]) if RESULT in trial.user_attrs else None,
            )
            for trial in self._all()
        ]
        return sorted(found, key=lambda trial: trial.number)

    def plan(self, tasks: Sequence[Task]) -> None:
        """Put tasks up to be claimed; those whose number is there already are left as they are. Only one process plans."""
        there = {trial.user_attrs[TASK]["number"] for trial in self._all()}
        for task in tasks:
            if task.number not in there:
                self._put(task)
                there.add(task.number)

    def claim(self, worker: str) -> tuple[int, Task] | None:
        """A task that no other worker has, with the id to end it by; None where none waits."""
        module = optuna()
        waiting = self.study.get_trials(deepcopy=False, states=(module.trial.TrialState.WAITING,))
        for trial in sorted(waiting, key=lambda one: int(one.user_attrs[TASK]["number"])):
            try:
                mine = self._storage.set_trial_state_values(trial._trial_id, module.trial.TrialState.RUNNING)
            except RuntimeError:  # another worker has ended it meanwhile
                continue
            if mine:
                self._storage.set_trial_user_attr(trial._trial_id, WORKER, worker)
                self.beat(trial._trial_id)
                return trial._trial_id, task_from(trial.user_attrs[TASK])
        return None

    def beat(self, trial_id: int) -> None:
        """Say that the trial is being worked on."""
        self._storage.set_trial_user_attr(trial_id, ALIVE, time.time())

    def end(self, trial_id: int, result: Result) -> bool:
        """Keep a result and end the trial; false where it was taken from its worker meanwhile, and nothing is kept."""
        try:
            self._storage.set_trial_user_attr(trial_id, RESULT, asdict(result))
            self._close(trial_id, result)
        except RuntimeError:
            return False
        return True

    def lose(self, trial_id: int) -> None:
        """Give a claimed trial up, as if its worker had died."""
        self._storage.set_trial_user_attr(trial_id, LOST, True)
        self._storage.set_trial_state_values(trial_id, optuna().trial.TrialState.FAIL)

    def reap(self, patience: float, retries: int, idle: str = "") -> list[int]:
        """Take the trials of dead workers from them, and put them up again; the numbers of these trials.

        Args:
            patience: seconds without a sign of life after which a worker that cannot be seen is taken for dead.
            retries: how often a trial is put up again; then it counts as failed.
            idle: a worker that is at no trial, whatever it has claimed before.
        """
        lost = []
        for trial in self.study.get_trials(deepcopy=False, states=(optuna().trial.TrialState.RUNNING,)):
            marks = trial.user_attrs
            if RESULT in marks:
                if marks[WORKER] == idle or may_live(marks[WORKER]) is False:
                    self._close(trial._trial_id, result_from(marks[RESULT]))
                continue
            if marks.get(WORKER) != (idle or None) and _alive(trial, patience):
                continue
            task = task_from(marks[TASK])
            times = sum(other.user_attrs[TASK]["number"] == task.number for other in self._all(lost=True))
            if times > retries:
                reason = f"its worker died {times} times, the last one was {marks.get(WORKER, 'unknown')}"
                self.end(trial._trial_id, Result(FAILED, reason=reason, ended_ms=time.time_ns() // 1_000_000))
                continue
            lost.append(task.number)
            self.lose(trial._trial_id)
        self.plan([task_from(marks[TASK]) for marks in self._orphans()])
        return lost

    @property
    def _storage(self) -> Any:
        return self.study._storage

    def _orphans(self) -> list[dict[str, Any]]:
        """Marks of lost trials whose number no other trial has."""
        held = {trial.user_attrs[TASK]["number"] for trial in self._all()}
        lost = (trial.user_attrs for trial in self._all(lost=True) if LOST in trial.user_attrs)
        return [marks for marks in lost if marks[TASK]["number"] not in held]

    def _all(self, *, lost: bool = False) -> Iterator[Any]:
        return (
            trial
            for trial in self.study.get_trials(deepcopy=False)
            if TASK in trial.user_attrs and (lost or LOST not in trial.user_attrs)
        )

    def _put(self, task: Task) -> None:
        module = optuna()
        family = self.families[task.family]
        names = module.distributions.CategoricalDistribution(list(self.families))
        trial = module.trial.create_trial(
            state=module.trial.TrialState.WAITING,
            params={"family": task.family, **{f"{task.family}.{key}": value for key, value in task.params.items()}},
            distributions={"family": names, **distributions(task.family, family.space, task.params)},
            user_attrs={TASK: asdict(task)},
        )
        self.study.add_trial(trial)

    def _close(self, trial_id: int, result: Result) -> None:
        state = optuna().trial.TrialState
        if result.state == COMPLETE:
            values = [float(result.values[name]) for name in self.objectives]
            self._storage.set_trial_state_values(trial_id, state.COMPLETE, values)
        else:
            self._storage.set_trial_state_values(trial_id, state.FAIL if result.state == FAILED else state.PRUNED)


def distributions(family: str, space: Mapping[str, Range], keys: Iterable[str]) -> dict[str, Any]:
    """The ranges of ``keys`` as Optuna has them, as ``family.key``."""
    module = optuna().distributions

    def of(values: Any) -> Any:
        if isinstance(values, Choice):
            return module.CategoricalDistribution(list(values.options))
        kind = module.IntDistribution if isinstance(values, Int) else module.FloatDistribution
        return kind(values.low, values.high, log=values.log)

    return {f"{family}.{key}": of(space[key]) for key in keys}


def _alive(trial: Any, patience: float) -> bool:
    marks = trial.user_attrs
    if WORKER not in marks:  # killed between its two writes, or just about to make the second
        began = trial.datetime_start
        return began is not None and time.time() - began.timestamp() < 5
    living = may_live(marks[WORKER])
    return time.time() - float(marks.get(ALIVE, 0.0)) < patience if living is None else living


def _began(pid: int) -> str:
    """When a process began, in ticks since the machine did; empty where it is dead or the system does not tell."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else rest[18]
