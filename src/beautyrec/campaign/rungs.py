"""Networks that learn badly are given up by their epochs, as Optuna's Hyperband does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from beautyrec.campaign.journal import quiet
from beautyrec.campaign.samplers import optuna

Curve = Sequence[float]
"""Validations of a network, one an epoch."""

OnEpoch = Callable[[int, int, float], None]
"""Called with epoch (from 1), epochs at most and validation; may raise to end the trial."""


@dataclass
class Epochs:
    """Hears of a training, and keeps its curve; of a model that is trained in several goes, that of the first.

    Args:
        on_epoch: is told of each epoch of it.

    Examples:
        >>> epochs = Epochs()
        >>> for go in ([0.1, 0.2], [0.7, 0.8, 0.9]):
        ...     for epoch, value in enumerate(go, 1):
        ...         epochs.validated(epoch, 5, value)
        >>> epochs.curve, epochs.most
        ([0.1, 0.2], 5)
    """

    on_epoch: OnEpoch | None = None
    curve: list[float] = field(default_factory=list)
    most: int = 0
    goes: int = field(default=0, init=False)

    def __call__(self, done: int, total: int) -> None:
        """How far it is; not asked for."""

    def validated(self, epoch: int, epochs: int, value: float) -> None:
        """See `beautyrec.types.EpochProgress`."""
        self.goes += epoch == 1
        if self.goes > 1:
            return
        self.most = epochs
        self.curve.append(value)
        if self.on_epoch is not None:
            self.on_epoch(epoch, epochs, value)


@dataclass
class Rungs:
    """Optuna's Hyperband over the validations of one family's trials.

    It is replayed in memory from the curves of the trials before the batch, so that what it says of a trial hangs on these and
    on the trial's own curve: not on which process asks, or on what else is under way.

    Args:
        family: its name; with the number of trials before, it draws the bracket of a trial.
        factor: of so many trials that come to a rung, one goes on.
        least: epochs to the first rung.

    Source:
        Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar, "Hyperband: a novel bandit-based approach to hyperparameter
        optimization", Journal of Machine Learning Research 2018.

    Examples:
        >>> rungs = Rungs("sasrec", 3, 1)
        >>> rungs.begin(1, [[0.3], [0.2]])
        >>> rungs.worse(1, 0.1), rungs.curve
        (True, [0.1])
    """

    family: str
    factor: int
    least: int
    curve: list[float] = field(default_factory=list)
    _trial: Any = field(default=None, init=False, repr=False)

    def begin(self, epochs: int, earlier: Sequence[Curve]) -> None:
        """Set the rungs of a training of so many epochs at most, and replay what came before.

        Args:
            epochs: at most.
            earlier: curves, in the order of their trials.
        """
        module = optuna()
        pruner = module.pruners.HyperbandPruner(
            min_resource=min(self.least, epochs), max_resource=epochs, reduction_factor=self.factor
        )
        with quiet(module):
            study = module.create_study(direction="maximize", study_name=self.family, pruner=pruner)
        for curve in earlier:
            trial = study.ask()
            any(_worse(trial, epoch, value) for epoch, value in enumerate(curve, 1))
            study._storage.set_trial_state_values(trial._trial_id, module.trial.TrialState.PRUNED)
        self._trial = study.ask()

    def worse(self, epoch: int, value: float) -> bool:
        """Take note of an epoch; whether the trial is to be given up after it."""
        self.curve.append(value)
        return _worse(self._trial, epoch, value)


def _worse(trial: Any, epoch: int, value: float) -> bool:
    trial.report(value, epoch)
    return bool(trial.should_prune())
