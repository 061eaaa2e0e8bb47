"""SASRec's network: causal self-attention over the items of a history."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


@dataclass(frozen=True)
class SASRecShape:
    """Sizes of the network."""

    n_items: int
    """I, items; index I is the padding."""
    width: int = 64
    """d, dimensions of items and states."""
    inner: int = 128
    """Dimensions within the feed-forward."""
    blocks: int = 2
    """Layers of attention and feed-forward."""
    heads: int = 2
    """h, attention heads; divides the width."""
    max_len: int = 50
    """T, the longest history."""
    dropout: float = 0.2
    """Share of values dropped in training."""


class CausalAttention(nn.Module):
    """Each place attends to itself and to what came before, with a learned bias for every distance."""

    def __init__(self, shape: SASRecShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.dropout = shape.dropout
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)
        self.distance_bias = nn.Parameter(torch.zeros(shape.heads, shape.max_len))

    def forward(self, x: Tensor) -> Tensor:
        """[b, T, d] -> [b, T, d]."""
        b, t, d = x.shape
        qkv = self.qkv(x).view(b, t, 3, self.heads, d // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [b, h, T, d/h]
        place = torch.arange(t, device=x.device)
        distance = place[:, None] - place[None, :]  # [T, T], of the attending from the attended
        bias = self.distance_bias[:, distance.clamp(min=0)]  # [h, T, T]
        bias = bias.masked_fill(distance < 0, float("-inf"))
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.unsqueeze(0), dropout_p=dropout)
        out: Tensor = self.out(y.transpose(1, 2).reshape(b, t, d))
        return out


class Block(nn.Module):
    """Attention and feed-forward, each on normed input and added to what came in."""

    def __init__(self, shape: SASRecShape) -> None:
        super().__init__()
        d = shape.width
        self.attention_norm, self.forward_norm = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention = CausalAttention(shape)
        self.feed_forward = nn.Sequential(nn.Linear(d, shape.inner), nn.ReLU(), nn.Linear(shape.inner, d))
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[b, T, d] -> [b, T, d]."""
        x = x + self.dropout(self.attention(self.attention_norm(x)))
        out: Tensor = x + self.dropout(self.feed_forward(self.forward_norm(x)))
        return out


class SASRecNetwork(nn.Module):
    """From histories to states; a state times an item's embedding is that item's score.

    Histories are padded at their end: attention looks back only, so no state of a real item sees the padding.
    Kang and McAuley, *Self-Attentive Sequential Recommendation* (ICDM 2018), with norms before each layer and learned
    biases of distance in place of embeddings of absolute positions.
    """

    def __init__(self, shape: SASRecShape) -> None:
        super().__init__()
        self.embedding = nn.Embedding(shape.n_items + 1, shape.width, padding_idx=shape.n_items)
        self.dropout = nn.Dropout(shape.dropout)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.blocks))
        self.norm = nn.LayerNorm(shape.width)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights from ``generator``: normal with deviation 0.02, biases 0, norms 1."""
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1 and "bias" not in name:
                nn.init.normal_(parameter, std=0.02, generator=generator)
        with torch.no_grad():
            self.embedding.weight[-1] = 0

    def forward(self, history: Tensor) -> Tensor:
        """States [b, T, d] after each item of ``history`` [b, T], indices of items with I as padding."""
        x = self.dropout(self.embedding(history) * self.embedding.embedding_dim**0.5)
        for block in self.blocks:
            x = block(x)
        states: Tensor = self.norm(x)
        return states
