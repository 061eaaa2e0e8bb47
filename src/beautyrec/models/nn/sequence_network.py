"""What sequential networks share: histories come in as vectors of items and gaps of time, states come out."""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from beautyrec.models.nn.items import ItemEmbedding

GAPS = 32
"""Kinds of gaps of time: doublings of a second, 2^30 s (34 years) and more in one, and the last for *unknown*."""


class Histories(NamedTuple):
    """Histories padded at their end."""

    item: Tensor
    """[b, T] indices of items, I where there is none."""
    second: Tensor
    """[b, T] when each was taken, in whole seconds; anything where there is none."""


def gap_kind(seconds: Tensor) -> Tensor:
    """The kind of each gap, ``floor(log2(1 + seconds))``; gaps below 0 are of kind 0.

    Examples:
        >>> gap_kind(torch.tensor([-5, 0, 1, 3, 86400, 2**40])).tolist()
        [0, 0, 1, 2, 16, 30]
    """
    doublings = torch.log2(1 + seconds.clamp(min=0).to(torch.float64)).floor().to(torch.int64)
    return doublings.clamp(max=GAPS - 2)


def since_previous(second: Tensor) -> Tensor:
    """[b, T] kind of the gap since the event before; *unknown* for the first.

    Examples:
        >>> since_previous(torch.tensor([[100, 100, 103]])).tolist()
        [[31, 0, 2]]
    """
    first = torch.full_like(second[:, :1], GAPS - 1)
    return torch.cat([first, gap_kind(second[:, 1:] - second[:, :-1])], dim=1)


class SequenceNetwork(nn.Module):
    """From histories to states; a state times an item's vector is that item's score.

    Histories are padded at their end and states look back only, so no state of a real item sees the padding.
    """

    def __init__(self, items: ItemEmbedding, dropout: float, *, time_since_previous: bool = False) -> None:
        super().__init__()
        self.items = items
        self.dropout = nn.Dropout(dropout)
        self.gaps = nn.Embedding(GAPS, items.width) if time_since_previous else None

    def inputs(self, histories: Histories) -> Tensor:
        """[b, T, d] what the layers read: the items' vectors, with that of the gap before each if it is wanted."""
        x = self.items(histories.item)
        if self.gaps is not None:
            x = x + self.gaps(since_previous(histories.second))
        dropped: Tensor = self.dropout(x * self.items.width**0.5)
        return dropped

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights from ``generator``: normal with deviation 0.02; biases and norms stay as torch made them."""
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1 and "bias" not in name:
                nn.init.normal_(parameter, std=0.02, generator=generator)
        self.items.initialise()

    @abstractmethod
    def forward(self, histories: Histories) -> Tensor:
        """States [b, T, d] after each item."""
