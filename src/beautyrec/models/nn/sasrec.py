"""SASRec's network: causal self-attention over the items of a history."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from beautyrec.models.nn.items import ItemEmbedding
from beautyrec.models.nn.sequence_network import GAPS, Histories, SequenceNetwork, gap_kind


@dataclass(frozen=True)
class SASRecShape:
    """Sizes of the network."""

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
    time_since_previous: bool = False
    """Whether each item comes with the gap of time before it."""
    time_between: bool = False
    """Whether attention depends on the time between two items."""


class CausalAttention(nn.Module):
    """Each place attends to itself and to what came before, with a learned bias for every distance."""

    def __init__(self, shape: SASRecShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.dropout = shape.dropout
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)
        self.distance_bias = nn.Parameter(torch.zeros(shape.heads, shape.max_len))
        self.time_bias = nn.Parameter(torch.zeros(shape.heads, GAPS)) if shape.time_between else None

    def forward(self, x: Tensor, second: Tensor) -> Tensor:
        """[b, T, d], [b, T] -> [b, T, d]."""
        b, t, d = x.shape
        qkv = self.qkv(x).view(b, t, 3, self.heads, d // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [b, h, T, d/h]
        place = torch.arange(t, device=x.device)
        distance = place[:, None] - place[None, :]  # [T, T], of the attending from the attended
        bias = self.distance_bias[:, distance.clamp(min=0)].unsqueeze(0)  # [1, h, T, T]
        if self.time_bias is not None:
            gap = gap_kind(second[:, :, None] - second[:, None, :])  # [b, T, T]
            bias = bias + self.time_bias[:, gap].transpose(0, 1)  # [b, h, T, T]
        bias = bias.masked_fill(distance < 0, float("-inf")).to(q.dtype)
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout)
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

    def forward(self, x: Tensor, second: Tensor) -> Tensor:
        """[b, T, d], [b, T] -> [b, T, d]."""
        x = x + self.dropout(self.attention(self.attention_norm(x), second))
        out: Tensor = x + self.dropout(self.feed_forward(self.forward_norm(x)))
        return out


class SASRecNetwork(SequenceNetwork):
    """A causal transformer.

    Kang and McAuley, *Self-Attentive Sequential Recommendation* (ICDM 2018), with norms before each layer and learned
    biases of distance in place of embeddings of absolute positions. Biases of the time between two items, if wanted, are
    after Li, Wang and McAuley, *Time Interval Aware Self-Attention* (WSDM 2020), in doublings and for each head.
    """

    def __init__(self, items: ItemEmbedding, shape: SASRecShape) -> None:
        super().__init__(items, shape.dropout, time_since_previous=shape.time_since_previous)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.blocks))
        self.norm = nn.LayerNorm(shape.width)

    def forward(self, histories: Histories) -> Tensor:
        """States [b, T, d] after each item."""
        x = self.inputs(histories)
        for block in self.blocks:
            x = block(x, histories.second)
        states: Tensor = self.norm(x)
        return states
