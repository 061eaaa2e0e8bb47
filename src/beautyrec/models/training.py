"""The one training loop of the torch models."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from beautyrec.errors import FitError
from beautyrec.types import Progress

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


@contextmanager
def deterministic(seed: int, threads: int = 1) -> Iterator[None]:
    """Within it torch draws from ``seed`` and takes only algorithms that repeat; all is put back after it.

    Args:
        seed: of torch's own generator.
        threads: that torch works with; sums are split among them, so another number gives another rounding. Small
            networks gain little from more, and lose tenfold where other work holds the cores.
    """
    settings: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), settings.fill_uninitialized_memory
    threads_before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(True)
        settings.fill_uninitialized_memory = False  # a tenth of the time; nothing here reads memory it did not write
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0])
            settings.fill_uninitialized_memory = before[1]
            torch.set_num_threads(threads_before)


def train(
    network: nn.Module,
    batches: Callable[[int], Iterable[Batch]],
    loss: Callable[[Batch], Tensor],
    plan: TrainingPlan,
    *,
    validate: Callable[[], float] | None = None,
    on_progress: Progress | None = None,
) -> TrainingRecord:
    """Train ``network`` in place; it ends with the weights of the epoch that validated best, or of the last one.

    Args:
        network: what is trained.
        batches: the batches of an epoch, by its number from 0.
        loss: scalar loss of the network on a batch.
        plan: steps and stopping.
        validate: a metric of the network, larger is better; called after each epoch, in evaluation mode.
        on_progress: called after each epoch.

    Raises:
        FitError: a loss is NaN or infinite; says in which epoch and step.
    """
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=True
    )
    losses: list[float] = []
    validations: list[float] = []
    best_epoch, best_weights = -1, network.state_dict()
    step = 0
    for epoch in range(plan.epochs):
        network.train()
        mean, step = _run_epoch(network, batches(epoch), loss, optimiser, plan, epoch, step)
        losses.append(mean)
        network.eval()
        if validate is not None:
            with torch.no_grad():
                validations.append(validate())
        if validate is None or validations[-1] > max(validations[:-1], default=-torch.inf):
            best_epoch = epoch
            best_weights = copy.deepcopy(network.state_dict()) if validate else best_weights
        if on_progress:
            on_progress(epoch + 1, plan.epochs)
        if epoch - best_epoch >= plan.patience:
            break
    if validate is not None:
        network.load_state_dict(best_weights)
    if on_progress:
        on_progress(plan.epochs, plan.epochs)
    return TrainingRecord(tuple(losses), tuple(validations), best_epoch)


def _run_epoch(
    network: nn.Module,
    batches: Iterable[Batch],
    loss: Callable[[Batch], Tensor],
    optimiser: torch.optim.Optimizer,
    plan: TrainingPlan,
    epoch: int,
    first_step: int,
) -> tuple[float, int]:
    """One pass; the mean loss of its steps, and the number of steps taken since the beginning."""
    losses: list[float] = []
    for step, batch in enumerate(batches, start=first_step):
        value = loss(batch)
        losses.append(float(value.detach()))
        if not math.isfinite(losses[-1]):
            raise FitError(
                f"training: the loss is {losses[-1]} in epoch {epoch + 1}, step {len(losses)}. "
                "Lower the learning rate or look for extreme values in the input."
            )
        for group in optimiser.param_groups:
            group["lr"] = plan.rate(epoch, step)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        nn.utils.clip_grad_norm_(network.parameters(), plan.clip_norm)
        optimiser.step()
    return sum(losses) / max(1, len(losses)), first_step + len(losses)
