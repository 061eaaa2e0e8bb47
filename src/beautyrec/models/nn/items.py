"""The vectors of items: each item's own, and those of what is known of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from beautyrec.types import IntArray


class ItemEmbedding(nn.Module):
    """``v_i = e_i + sum_f e_f[value of feature f of i]``: read by the network, and multiplied with its states."""

    def __init__(self, n_items: int, width: int, codes: Sequence[IntArray] = ()) -> None:
        """Vectors of ``width`` for the items 0 .. I - 1, and zeros for I, the padding.

        Args:
            n_items: I.
            width: d.
            codes: for each feature [I] the value of every item from 1, 0 where it has none.
        """
        super().__init__()
        self.n_items, self.width = n_items, width
        self.own = nn.Embedding(n_items + 1, width, padding_idx=n_items)
        self.features = nn.ModuleList(nn.Embedding(int(code.max()) + 1, width, padding_idx=0) for code in codes)
        padded = torch.zeros(len(codes), n_items + 1, dtype=torch.int64)
        for row, code in zip(padded, codes, strict=True):
            row[:-1] = torch.from_numpy(code)
        self.codes: Tensor
        self.register_buffer("codes", padded, persistent=False)

    def initialise(self) -> None:
        """Zeros for the padding and for features that an item has no value of."""
        with torch.no_grad():
            self.own.weight[-1] = 0
            for embedding in self.features:
                nn.init.zeros_(embedding.get_parameter("weight")[0])

    def forward(self, item_ix: Tensor) -> Tensor:
        """[..., d] the vectors of ``item_ix`` [...]."""
        vectors: Tensor = self.own(item_ix)
        for embedding, code in zip(self.features, self.codes, strict=True):
            vectors = vectors + embedding(code[item_ix])
        return vectors

    def all(self) -> Tensor:
        """[I, d] the vectors of all items."""
        vectors = self.own.weight[:-1]
        for embedding, code in zip(self.features, self.codes, strict=True):
            vectors = vectors + embedding(code[:-1])
        return vectors
