"""GRU4Rec's network: gated recurrent units over the items of a history."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from beautyrec.models.nn.items import ItemEmbedding
from beautyrec.models.nn.sequence_network import Histories, SequenceNetwork


@dataclass(frozen=True)
class GRU4RecShape:
    """Sizes of the network."""

    width: int = 64
    """d, dimensions of items and states."""
    hidden: int = 128
    """Dimensions of the recurrent state."""
    layers: int = 1
    """Recurrent layers."""
    dropout: float = 0.4
    """Share of values dropped in training."""
    time_since_previous: bool = False
    """Whether each item comes with the gap of time before it."""


class GRU4RecNetwork(SequenceNetwork):
    """Gated recurrent units whose state is brought to the width of the items.

    Hidasi et al., *Session-based Recommendations with Recurrent Neural Networks* (ICLR 2016); one set of vectors for
    items that come in and that are ranked, as in Hidasi and Karatzoglou (CIKM 2018), section 4.4.
    """

    def __init__(self, items: ItemEmbedding, shape: GRU4RecShape) -> None:
        super().__init__(items, shape.dropout, time_since_previous=shape.time_since_previous)
        between = shape.dropout if shape.layers > 1 else 0.0
        self.recurrent = nn.GRU(shape.width, shape.hidden, shape.layers, batch_first=True, dropout=between)
        self.out = nn.Linear(shape.hidden, shape.width)
        self.norm = nn.LayerNorm(shape.width)

    def initialise(self, generator: torch.Generator) -> None:
        """As every sequential network; recurrent matrices orthogonal, those of the inputs by Glorot's rule."""
        super().initialise(generator)
        for name, parameter in self.recurrent.named_parameters():
            if "weight_hh" in name:
                for gate in parameter.data.chunk(3):
                    nn.init.orthogonal_(gate, generator=generator)
            elif "weight" in name:
                nn.init.xavier_uniform_(parameter, generator=generator)
            else:
                nn.init.zeros_(parameter)

    def forward(self, histories: Histories) -> Tensor:
        """States [b, T, d] after each item."""
        hidden, _ = self.recurrent(self.inputs(histories))
        states: Tensor = self.norm(self.out(self.dropout(hidden)))
        return states
