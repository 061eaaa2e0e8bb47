"""DCN-v2: a network that crosses features with each other at every layer, by matrices of low rank.

Wang et al. (2021), "DCN V2: improved deep & cross network and practical lessons for web-scale learning to rank systems",
WWW. The deep layers stand on the cross layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from beautyrec.models.funnel_heads import Head


@dataclass(frozen=True)
class TrunkShape:
    """Sizes of a trunk."""

    numbers: int
    """Numbers of a row."""
    codes: int
    """Codes of all categories together."""
    categories: int
    """Categories of a row."""
    embedding: int
    """Dimensions of a category."""
    cross_layers: int
    """Layers that cross."""
    rank: int
    """Of their matrices."""
    deep: tuple[int, ...]
    """Widths of the layers on top."""
    dropout: float
    """Share of values dropped in training, after each deep layer."""

    @property
    def inputs(self) -> int:
        """d, dimensions that go in."""
        return self.numbers + self.categories * self.embedding


class Cross(nn.Module):
    """``x' = x0 * (U V x + b) + x``, U [d, r], V [r, d], ``*`` by element."""

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, rank, bias=False)
        self.up = nn.Linear(rank, width)

    def forward(self, x0: Tensor, x: Tensor) -> Tensor:
        """[b, d], [b, d] -> [b, d]."""
        out: Tensor = x0 * self.up(self.down(x)) + x
        return out


class Trunk(nn.Module):
    """Numbers and codes of rows -> their state, as wide as the last deep layer."""

    def __init__(self, shape: TrunkShape) -> None:
        super().__init__()
        self.embedding = nn.Embedding(max(1, shape.codes), shape.embedding)
        nn.init.normal_(self.embedding.weight, std=0.01)
        self.cross = nn.ModuleList(Cross(shape.inputs, shape.rank) for _ in range(shape.cross_layers))
        widths = [shape.inputs, *shape.deep]
        self.deep = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """[b, numbers], [b, categories] -> [b, width]."""
        x0 = torch.cat([numbers, self.embedding(codes).flatten(1)], dim=1)
        x = x0
        for cross in self.cross:
            x = cross(x0, x)
        for deep in self.deep:
            x = self.dropout(torch.relu(deep(x)))
        return x


class FunnelNet(nn.Module):
    """Trunks with a head."""

    def __init__(self, shape: TrunkShape, head: Head) -> None:
        super().__init__()
        self.trunks = nn.ModuleList(Trunk(shape) for _ in range(head.trunks))
        self.head = head.network(shape.deep[-1])

    def forward(self, numbers: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """[b, numbers], [b, categories] -> log odds [b] of a click and of an order."""
        click, order = self.head([trunk(numbers, codes) for trunk in self.trunks])
        return click, order
