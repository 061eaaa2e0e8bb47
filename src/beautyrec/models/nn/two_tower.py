"""The two towers as a network: what items are made of, and what a user makes of those taken."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from beautyrec.data.interactions import Interactions
from beautyrec.models.item_features import ItemFeatures
from beautyrec.models.nn.items import ItemEmbedding
from beautyrec.models.nn.sequence_network import Histories, SequenceNetwork
from beautyrec.types import Float32Array, IntArray


class ItemFacts(NamedTuple):
    """What is known of the items of a log, padded for a network."""

    value: IntArray
    """[I, M] numbers of the values of each item, F where there is none."""
    share: Float32Array
    """[I, M] what each counts, 0 where there is none."""
    events: IntArray
    """[I] how often each was taken."""

    @classmethod
    def of(cls, log: Interactions, features: ItemFeatures) -> ItemFacts:
        """Of the items of ``log``."""
        found, n_items = features.values(log.item_table), len(log.items)
        count = np.bincount(found.row, minlength=n_items)
        column = np.arange(len(found.row)) - (np.cumsum(count) - count)[found.row]
        shape = (n_items, max(1, int(count.max(initial=0))))
        value, share = np.full(shape, len(features), dtype=np.int64), np.zeros(shape, dtype=np.float32)
        value[found.row, column], share[found.row, column] = found.value, found.share
        return cls(value, share, np.bincount(log.item_ix, minlength=n_items))


class Inputs(NamedTuple):
    """What goes into the towers."""

    items: Float32Array
    """[I, d] of the items of the fit."""
    values: Float32Array
    """[F, d] what each value adds."""


class ResidualTower(nn.Module):
    """``x + relu(x W + b) V``, of length 1."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.inner, self.out = nn.Linear(width, hidden), nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[..., d] -> [..., d]."""
        return F.normalize(x + self.out(torch.relu(self.inner(x))), dim=-1)

    def weights(self) -> tuple[npt.NDArray[np.float32], ...]:
        """[d, h], [h] and [h, d], for numpy."""
        found = (self.inner.weight.T, self.inner.bias, self.out.weight.T)
        return tuple(np.ascontiguousarray(tensor.detach().cpu().numpy()) for tensor in found)


class ItemTower(ItemEmbedding):
    """An item's input is its own vector and those of its values; its vector is what the tower makes of it.

    In training the own vector is left out at random, so that values alone have to do: as they must for items that
    nobody has taken, which never have one. Volkovs, Yu and Poutanen, *DropoutNet* (NeurIPS 2017).
    """

    def __init__(self, facts: ItemFacts, n_values: int, width: int, *, hidden: int, own_dropout: float) -> None:
        n_items = len(facts.value)
        super().__init__(n_items, width)
        self.own_dropout, self.n_values = own_dropout, n_values
        self.values = nn.EmbeddingBag(n_values + 1, width, mode="sum", padding_idx=n_values)
        self.tower = ResidualTower(width, hidden)
        none = np.full((1, facts.value.shape[1]), n_values)
        self.value: Tensor
        self.share: Tensor
        self.taken: Tensor
        self.known: Tensor
        self.frequency: Tensor
        self.register_buffer("value", torch.from_numpy(np.concatenate([facts.value, none])), persistent=False)
        share = np.concatenate([facts.share, np.zeros_like(facts.share[:1])])
        self.register_buffer("share", torch.from_numpy(share), persistent=False)
        taken = torch.from_numpy(np.append(facts.events > 0, False).astype(np.float32))
        self.register_buffer("taken", taken, persistent=False)
        known = torch.maximum(taken, self.share.sum(dim=1).clamp(max=1).ceil())
        self.register_buffer("known", known, persistent=False)
        frequency = torch.from_numpy((facts.events / facts.events.sum()).astype(np.float32))
        self.register_buffer("frequency", frequency, persistent=False)

    def initialise(self) -> None:
        """Zeros for the padding."""
        super().initialise()
        with torch.no_grad():
            self.values.weight[-1] = 0

    def inputs(self, item_ix: Tensor) -> Tensor:
        """[..., d] what goes into the towers, for ``item_ix`` [...]; zeros for the padding."""
        ix = item_ix.reshape(-1)
        of_values = self.values(self.value[ix], per_sample_weights=self.share[ix])
        keep = self.taken[ix]
        if self.training and self.own_dropout:
            keep = keep * (torch.rand(len(ix), device=keep.device) >= self.own_dropout)
        found: Tensor = self.own(ix) * keep[:, None] + of_values
        return found.view(*item_ix.shape, -1)

    def forward(self, item_ix: Tensor) -> Tensor:
        """[..., d] the vectors of ``item_ix`` [...]; zeros for items of which nothing is known."""
        vectors: Tensor = self.tower(self.inputs(item_ix)) * self.known[item_ix].unsqueeze(-1)
        return vectors

    def all(self) -> Tensor:
        """[I, d] the vectors of all items."""
        vectors: Tensor = self(torch.arange(self.n_items, device=self.own.weight.device))
        return vectors


class TwoTowerNetwork(SequenceNetwork):
    """The users' tower over the mean of the inputs of what was taken, weighted by recency."""

    def __init__(self, items: ItemTower, *, hidden: int, decay: float, dropout: float) -> None:
        super().__init__(items, dropout)
        self.tower = ResidualTower(items.width, hidden)
        self.item_tower, self.decay = items, decay

    def forward(self, histories: Histories) -> Tensor:
        """States [b, T, d] after each item."""
        x = self.dropout(self.item_tower.inputs(histories.item))
        place = torch.arange(x.shape[1], device=x.device)
        back = place[:, None] - place[None, :]  # [T, T] steps from the looking place to the one looked at
        weight = torch.where(back >= 0, self.decay ** back.clamp(min=0).to(x.dtype), 0.0)
        states: Tensor = self.tower((weight / weight.sum(dim=1, keepdim=True)) @ x)
        return states

    def read_inputs(self) -> Inputs:
        """The inputs after the training."""
        with torch.no_grad():
            items = self.item_tower.inputs(torch.arange(self.item_tower.n_items))
        values = self.item_tower.values.weight[:-1].detach().numpy()
        return Inputs(items.numpy(), np.ascontiguousarray(values))
