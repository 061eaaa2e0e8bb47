"""The storage of a study: an Optuna journal file, with what it takes to survive a kill at any instant."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beautyrec.campaign.samplers import optuna
from beautyrec.campaign.space import Scalar
from beautyrec.campaign.trial import TrialRecord
from beautyrec.errors import ConfigError
from beautyrec.files import held_alone

RECORD, STUDY_ID, FINGERPRINT = "record", "study_id", "fingerprint"
_JOURNAL_START = b'{"op_code":'


@dataclass(frozen=True, eq=False)
class Journal:
    """The trials of one study in a journal file, used by one process at a time.

    A trial counts once it has its record. One that was cut off before has none: it is closed and done again. One that
    was cut off between its record and its end is ended as the record says.

    Args:
        study: the Optuna study.
    """

    study: Any

    @classmethod
    @contextmanager
    def open(cls, path: Path, name: str, fingerprint: str) -> Iterator[Journal]:
        """The study ``name`` in the file ``path``, made or resumed, for as long as the block lasts.

        Args:
            path: of the journal file. ``path`` + ``.owner`` is locked beside it.
            name: of the study.
            fingerprint: JSON of what must be the same for a study to be resumed.

        Raises:
            ConfigError: another process has it open, the fingerprint is another, or the file is not a journal.
        """
        module = optuna()
        path.parent.mkdir(parents=True, exist_ok=True)
        busy = f"'{path}': another process is running a study in this storage. Wait for it, or name another storage."
        with held_alone(path.with_name(path.name + ".owner"), busy), quiet(module):
            _mend(path)
            path.with_name(path.name + ".lock").unlink(missing_ok=True)  # of a killed process: nobody else writes now
            try:
                backend = module.storages.journal.JournalFileBackend(
                    str(path), lock_obj=module.storages.journal.JournalFileOpenLock(str(path))
                )
                storage = module.storages.JournalStorage(backend)
                study = module.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
            except (ValueError, KeyError, TypeError, OSError) as error:
                raise ConfigError(
                    f"study '{name}': '{path}' cannot be used as its storage: {error}. Name another file."
                ) from None
            journal = cls(study)
            journal._claim(path, fingerprint)
            journal._recover()
            yield journal

    @property
    def study_id(self) -> str:
        """What tells this study from any other, of the same name too."""
        return str(self.study.user_attrs[STUDY_ID])

    def records(self) -> tuple[TrialRecord, ...]:
        """What is kept of every trial that counts, by number."""
        kept = [trial.user_attrs[RECORD] for trial in self.study.get_trials(deepcopy=False) if _counts(trial)]
        return tuple(sorted(map(TrialRecord.from_json, kept), key=lambda record: record.number))

    def ask(self, sampler: Any, fixed: Mapping[str, Scalar] | None) -> Any:
        """A new Optuna trial; its parameters are ``fixed``, or from ``sampler`` where that is None."""
        states = (optuna().trial.TrialState.WAITING,)
        if fixed is not None and not self.study.get_trials(deepcopy=False, states=states):
            self.study.enqueue_trial(dict(fixed))
        self.study.sampler = sampler
        return self.study.ask()

    def tell(self, trial: Any, record: TrialRecord) -> None:
        """Keep the record of a trial and end it."""
        trial.set_user_attr(RECORD, record.to_json())
        self._end(trial.number, record)

    def forget(self, trial: Any) -> None:
        """Close a trial that shall not count."""
        self._end(trial.number, None)

    def _end(self, number: int, record: TrialRecord | None) -> None:
        if record is None or record.value is None:
            self.study.tell(number, state=optuna().trial.TrialState.FAIL)
        else:
            self.study.tell(number, record.value)

    def _recover(self) -> None:
        """End what an earlier process left running."""
        states = (optuna().trial.TrialState.RUNNING,)
        for trial in self.study.get_trials(deepcopy=False, states=states):
            entry = trial.user_attrs.get(RECORD)
            self._end(trial.number, None if entry is None else TrialRecord.from_json(entry))

    def _claim(self, path: Path, fingerprint: str) -> None:
        """Give a new study its marks; check those of an old one."""
        attributes = self.study.user_attrs
        if FINGERPRINT not in attributes:
            self.study.set_user_attr(STUDY_ID, uuid.uuid4().hex)
            self.study.set_user_attr(FINGERPRINT, fingerprint)
            return
        old, new = json.loads(attributes[FINGERPRINT]), json.loads(fingerprint)
        apart = [key for key in new if old.get(key) != new[key]]
        if apart:
            raise ConfigError(
                f"study '{self.study.study_name}': '{path}' holds {len(self.records())} trials of it with another "
                f"{' and '.join(apart)}. Resume it as it was, or name another study or storage."
            )


def _counts(trial: Any) -> bool:
    return RECORD in trial.user_attrs


def _mend(path: Path) -> None:
    """Cut off a last line that a killed process did not finish; touch no file that is not a journal."""
    if not path.exists():
        return
    with path.open("rb+") as handle:
        content = handle.read()
        if not (content or _JOURNAL_START).startswith(_JOURNAL_START):
            raise ConfigError(f"'{path}' is there and is not a study's journal. Name another file as the storage.")
        handle.truncate(content.rfind(b"\n") + 1)


@contextmanager
def quiet(module: Any) -> Iterator[None]:
    """Let Optuna say only what is wrong, and put its verbosity back afterwards."""
    before = module.logging.get_verbosity()
    module.logging.set_verbosity(module.logging.ERROR)
    try:
        yield
    finally:
        module.logging.set_verbosity(before)
