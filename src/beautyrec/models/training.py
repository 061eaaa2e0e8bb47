"""The one training loop of the torch models."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from beautyrec.errors import FitError
from beautyrec.models.checkpoint import Checkpoint
from beautyrec.models.compute import Compute, deterministic
from beautyrec.types import EpochProgress, Progress

__all__ = ["TrainingPlan", "TrainingRecord", "deterministic", "train"]

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class TrainingPlan:
    """How a network is trained."""

    epochs: int
    """Passes at most."""
    learning_rate: float
    """Step of AdamW after the warm-up."""
    weight_decay: float = 0.0
    """Pull of the weights towards 0 at each step, relative to the step."""
    patience: int = 5
    """Epochs without a better validation after which training stops."""
    warm_up: int = 100
    """Steps over which the learning rate rises to its value."""
    last_rate: float = 0.1
    """Share of the learning rate in the last epoch; it falls by the same amount from epoch to epoch."""
    clip_norm: float = 5.0
    """Longest gradient taken; longer ones are shortened to it."""
    compute: Compute = Compute()  # noqa: RUF009 - frozen
    """Device and precision: the processor; ``Compute.present()`` for CUDA where it is."""

    def rate(self, epoch: int, step: int) -> float:
        """The learning rate of a step: rises over the warm-up, then falls from epoch to epoch.

        Args:
            epoch: from 0.
            step: steps taken before it, over all epochs.

        Examples:
            >>> plan = TrainingPlan(epochs=3, learning_rate=1.0, warm_up=2)
            >>> [round(plan.rate(epoch, step), 2) for epoch, step in [(0, 0), (0, 1), (1, 9), (2, 18)]]
            [0.5, 1.0, 0.55, 0.1]
        """
        fallen = (1 - self.last_rate) * epoch / max(1, self.epochs - 1)
        return self.learning_rate * min(1.0, (step + 1) / self.warm_up) * (1 - fallen)


@dataclass(frozen=True)
class TrainingRecord:
    """What happened.

    Args:
        losses: mean loss of each epoch.
        validations: the validation metric after each epoch; empty where there is none.
        best_epoch: the epoch, from 0, whose weights the network has now.
    """

    losses: tuple[float, ...]
    validations: tuple[float, ...]
    best_epoch: int


def train(
    network: nn.Module,
    batches: Callable[[int], Iterable[Batch]],
    loss: Callable[[Batch], Tensor],
    plan: TrainingPlan,
    *,
    validate: Callable[[], float] | None = None,
    on_progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> TrainingRecord:
    """Train ``network`` in place; it ends on the processor with the weights that validated best, or with the last ones.

    Args:
        network: what is trained; on the device of ``plan.compute`` while it is.
        batches: the batches of an epoch, by its number from 0. They may depend on nothing else, for a checkpoint to be
            of use; tensors in them are moved to the device.
        loss: scalar loss of the network on a batch.
        plan: steps, stopping, device.
        validate: a metric of the network, larger is better; called after each epoch, in evaluation mode.
        on_progress: called after each epoch; an `EpochProgress` is told of each validation before, and may end the
            training by what it raises.
        checkpoint: where the training is kept, and goes on from if it is there already; None keeps nothing.

    Raises:
        FitError: a loss, a gradient or a validation is NaN or infinite; says in which epoch and step.
        ArtifactError: the checkpoint is damaged.
        ConfigError: it is of another training.
    """
    run = _Training(network, plan, checkpoint)
    run.resume()
    while not run.finished:
        run.train_epoch(batches(run.epoch), loss)
        run.end_epoch(validate)
        if validate is not None and isinstance(on_progress, EpochProgress):
            on_progress.validated(run.epoch, plan.epochs, run.validations[-1])
        if on_progress:
            on_progress(run.epoch, plan.epochs)
    run.close()
    if on_progress:
        on_progress(plan.epochs, plan.epochs)
    return TrainingRecord(tuple(run.losses), tuple(run.validations), run.best_epoch)


class _Training:
    """A training under way: all that a checkpoint holds."""

    def __init__(self, network: nn.Module, plan: TrainingPlan, checkpoint: Checkpoint | None) -> None:
        self.network = network.to(plan.compute.device)
        self.plan, self.checkpoint, self.kept_at = plan, checkpoint, time.monotonic()
        self.optimiser = torch.optim.AdamW(
            network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=True
        )
        self.scaler = plan.compute.scaler()
        self.epoch, self.steps, self.steps_of_epoch, self.loss_of_epoch = 0, 0, 0, 0.0
        self.losses: list[float] = []
        self.validations: list[float] = []
        self.best_epoch = -1
        self.best_weights: dict[str, Tensor] = {}

    @property
    def finished(self) -> bool:
        """All epochs are done, or too many went by without a better validation."""
        stale = bool(self.validations) and self.epoch - 1 - self.best_epoch >= self.plan.patience
        return self.epoch >= self.plan.epochs or stale

    def train_epoch(self, batches: Iterable[Batch], loss: Callable[[Batch], Tensor]) -> None:
        """What is left of the epoch under way."""
        self.network.train()
        for batch in islice(batches, self.steps_of_epoch, None):
            self._step(batch, loss)
            self.steps += 1
            self.steps_of_epoch += 1
            if self.checkpoint and time.monotonic() - self.kept_at >= self.checkpoint.every:
                self.keep()
        self.network.eval()

    def _step(self, batch: Batch, loss: Callable[[Batch], Tensor]) -> None:
        compute = self.plan.compute
        with compute.autocast():
            value = loss(compute.moved(batch))
        self.loss_of_epoch += self._finite("loss", float(value.detach()))
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.rate(self.epoch, self.steps)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(self.scaler.scale(value))
        self.scaler.unscale_(self.optimiser)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.plan.clip_norm)
        if not self.scaler.is_enabled():  # it leaves out steps whose gradient is not finite, and scales less
            self._finite("gradient's norm", float(norm))
        self.scaler.step(self.optimiser)
        self.scaler.update()

    def _finite(self, what: str, value: float) -> float:
        if not math.isfinite(value):
            raise FitError(
                f"training: the {what} is {value} in epoch {self.epoch + 1}, step {self.steps_of_epoch + 1}. "
                "Lower the learning rate or look for extreme values in the input."
            )
        return value

    def end_epoch(self, validate: Callable[[], float] | None) -> None:
        """Count the epoch, validate, and take note of the weights if they are the best."""
        self.losses.append(self.loss_of_epoch / max(1, self.steps_of_epoch))
        if validate is not None:
            with torch.no_grad():
                self.validations.append(self._finite("validation", float(validate())))
        if validate is None or self.validations[-1] > max(self.validations[:-1], default=-math.inf):
            self.best_epoch = self.epoch
            self.best_weights = copy.deepcopy(self.network.state_dict()) if validate else {}
        self.epoch, self.steps_of_epoch, self.loss_of_epoch = self.epoch + 1, 0, 0.0

    def close(self) -> None:
        """Keep the end, take the best weights, and bring the network back to the processor."""
        if self.checkpoint:
            self.keep()
        if self.best_weights:
            self.network.load_state_dict(self.best_weights)
        self.network.eval().cpu()

    def keep(self) -> None:
        """Write the checkpoint."""
        if self.checkpoint is None:
            return
        tensors = {f"network/{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"best/{name}": tensor for name, tensor in self.best_weights.items()}
        for place, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{place}/{name}": tensor for name, tensor in state.items()}
        tensors["generator/cpu"] = torch.get_rng_state()
        if self.plan.compute.device.type == "cuda":
            tensors["generator/cuda"] = torch.cuda.get_rng_state(self.plan.compute.device)
        self.checkpoint.write(tensors, {name: getattr(self, name) for name in _COUNTS} | {"scaler": self._scale()})
        self.kept_at = time.monotonic()

    def _scale(self) -> dict[str, Any]:
        state: dict[str, Any] = self.scaler.state_dict()
        return state

    def resume(self) -> None:
        """Take over what the checkpoint holds, if there is one."""
        found = self.checkpoint.read() if self.checkpoint else None
        if found is None:
            return
        tensors, facts = found
        self.network.load_state_dict(_under("network", tensors))
        self.best_weights = {n: t.to(self.plan.compute.device) for n, t in _under("best", tensors).items()}
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("optimiser", tensors).items():
            place, _, key = name.partition("/")
            state.setdefault(int(place), {})[key] = tensor
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": state})
        if facts["scaler"]:
            self.scaler.load_state_dict(facts["scaler"])
        torch.set_rng_state(tensors["generator/cpu"])
        if self.plan.compute.device.type == "cuda" and "generator/cuda" in tensors:
            torch.cuda.set_rng_state(tensors["generator/cuda"], self.plan.compute.device)
        for name in _COUNTS:
            setattr(self, name, facts[name])


_COUNTS = ("epoch", "steps", "steps_of_epoch", "loss_of_epoch", "losses", "validations", "best_epoch")


def _under(folder: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those whose names begin with ``folder/``, without it."""
    return {name[len(folder) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(f"{folder}/")}
