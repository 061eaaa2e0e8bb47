"""From impressions to the parameters of a funnel network: batches, losses, validation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from beautyrec.models.funnel_base import Examples
from beautyrec.models.funnel_inputs import Inputs
from beautyrec.models.nn.dcn import FunnelNet, TrunkShape
from beautyrec.models.training import TrainingPlan, deterministic, train
from beautyrec.types import Float32Array, Progress

if TYPE_CHECKING:
    from beautyrec.models.funnel_network import FunnelNetwork

_LEAST = 1e-6


class Batch(NamedTuple):
    """Impressions, b of them.

    Args:
        numbers: [b, numbers].
        codes: [b, categories].
        clicked: [b] 0 or 1.
        ordered: [b] 0 or 1.
        maturity: [b] chance that an order would have come by now.
        weight: [b] impressions that each stands for.
    """

    numbers: Tensor
    codes: Tensor
    clicked: Tensor
    ordered: Tensor
    maturity: Tensor
    weight: Tensor

    def at(self, rows: Tensor) -> Batch:
        """Those of ``rows``."""
        return Batch(*(values[rows] for values in self))


@dataclass(frozen=True, eq=False)
class Sampled:
    """Impressions of which those without a click are a share.

    Args:
        rows: the impressions.
        share: of those without a click that are among them.
    """

    rows: Examples
    share: float

    def tensors(self, inputs: Inputs) -> Batch:
        """All of them as one batch; each one without a click stands for ``1 / share``."""
        rows = self.rows
        weight = np.where(rows.clicked, 1.0, 1.0 / self.share)
        labels = (rows.clicked, rows.ordered, np.maximum(rows.maturity, _LEAST), weight)
        numbers, codes = inputs.numbers(rows.columns), inputs.codes(rows.frame)
        floats = (torch.from_numpy(np.asarray(label, dtype=np.float32)) for label in labels)
        return Batch(torch.from_numpy(numbers), torch.from_numpy(codes), *floats)


def fit_network(
    config: FunnelNetwork, inputs: Inputs, early: Sampled, late: Sampled, seed: int, on_progress: Progress | None
) -> dict[str, Float32Array]:
    """The parameters of the epoch that did best on the late rows, by their names in torch."""
    rows, held = early.tensors(inputs), late.tensors(inputs)
    categories = len(inputs.categories)
    codes = categories * (inputs.buckets + 1)
    shape = TrunkShape(
        inputs.width, codes, categories, config.embedding, config.cross_layers, config.rank, config.deep, config.dropout
    )
    with deterministic(seed, config.threads):
        network = FunnelNet(shape, config.head)
        network.head.start_at(*_base_log_odds(rows))
        for weights in _goals(config):
            on_clicks = weights[0] == 0
            learnt, judged = (_clicked(part) if on_clicks else part for part in (rows, held))
            size = max(64, config.batch * len(learnt.clicked) // len(rows.clicked))
            objective = Objective(network, weights, clicks_only=on_clicks)
            train(
                network,
                lambda epoch, learnt=learnt, size=size: _batches(learnt, size, np.random.default_rng([seed, 1, epoch])),  # type: ignore[misc]
                objective,
                TrainingPlan(config.epochs, config.learning_rate, config.weight_decay, config.patience),
                validate=lambda judged=judged, objective=objective: -objective.over(judged),  # type: ignore[misc]
                on_progress=on_progress,
            )
        return {name: value.detach().numpy().copy() for name, value in network.state_dict().items()}


@dataclass(frozen=True, eq=False)
class Objective:
    """What a network is trained for.

    Args:
        network: the network.
        weights: what the losses of the click and of the order count.
        clicks_only: whether the order is learnt on clicks alone.
    """

    network: FunnelNet
    weights: tuple[float, float]
    clicks_only: bool

    def __call__(self, batch: Batch) -> Tensor:
        """The mean loss over the impressions that the batch stands for."""
        click, order = self.network(batch.numbers, batch.codes)
        of_click, of_order = task_losses(click, order, batch, clicks_only=self.clicks_only)
        mixed = self.weights[0] * of_click + self.weights[1] * of_order if self.weights[0] else of_order
        loss: Tensor = (mixed * batch.weight).sum() / batch.weight.sum()
        return loss

    @torch.no_grad()
    def over(self, held: Batch) -> float:
        """The mean loss over many impressions, in pieces."""
        total = 0.0
        for rows in torch.split(torch.arange(len(held.clicked)), 65_536):
            piece = held.at(rows)
            total += float(self(piece)) * float(piece.weight.sum())
        return total / float(held.weight.sum())


def _goals(config: FunnelNetwork) -> tuple[tuple[float, float], ...]:
    """Weights of the two losses: together, or one task after the other."""
    return ((1.0, 0.0), (0.0, 1.0)) if config.head.clicks_only else ((1.0, config.order_weight),)


def _clicked(rows: Batch) -> Batch:
    return rows.at(torch.nonzero(rows.clicked)[:, 0])


def task_losses(click: Tensor, order: Tensor, batch: Batch, *, clicks_only: bool) -> tuple[Tensor, Tensor]:
    """Losses [b] of the click and of the order.

    The click has the cross-entropy. With ``m`` the maturity, the order has that of *clicked and order seen* with the
    chance ``ctr * cvr * m`` over all impressions, ``ctr`` held fixed in it so that it moves the order alone. Where it is
    learnt on clicks only, it has that of *order seen* with the chance ``cvr * m`` on those, and 0 elsewhere.
    """
    of_click = F.binary_cross_entropy_with_logits(click, batch.clicked, reduction="none")
    log_p = F.logsigmoid(order) + torch.log(batch.maturity)
    log_p = log_p if clicks_only else log_p + F.logsigmoid(click.detach())
    none_seen = torch.log1p(-torch.exp(log_p).clamp(max=1 - _LEAST))
    of_order = -(batch.ordered * log_p + (1 - batch.ordered) * none_seen)
    return of_click, of_order * batch.clicked if clicks_only else of_order


def _batches(rows: Batch, size: int, rng: np.random.Generator) -> Iterator[Batch]:
    order = torch.from_numpy(rng.permutation(len(rows.clicked)))
    return (rows.at(which) for which in torch.split(order, size))


def _base_log_odds(rows: Batch) -> tuple[float, float]:
    """Log odds of the base rates of click and of order after a click."""
    clicks = float(rows.clicked.sum())
    click = clicks / float(rows.weight.sum())
    order = float(rows.ordered.sum()) / max(_LEAST, float((rows.clicked * rows.maturity).sum()))
    rates = np.clip([click, order], 1e-4, 0.9)
    first, second = np.log(rates / (1 - rates)).tolist()
    return first, second
