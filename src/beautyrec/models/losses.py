"""What sequential networks are trained by: how well they tell the next item from others.

With ``s`` the score of the next item at a place, a loss is the mean over places, weighted by the log's weights, of the
values that :meth:`each` gives. The objects are settings; torch is imported when they are used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple, TypeAlias

from pydantic import Discriminator

from beautyrec.models.checks import require_bound

if TYPE_CHECKING:
    from torch import Tensor

    from beautyrec.models.nn.items import ItemEmbedding
    from beautyrec.models.nn.two_tower import ItemTower

_STRICT: Mapping[str, str] = {"extra": "forbid"}  # so that a slip in a key of a TOML table is an error


class Drawn(NamedTuple):
    """Items drawn for a batch, to be told from the next ones."""

    item: Tensor
    """[N] indices, drawn with replacement."""
    log_draws: Tensor
    """[N] logarithm of how often each is expected among the N."""


@dataclass(frozen=True)
class SampledSoftmax:
    """``ln(e^s + sum_n e^(s_n - ln(expected draws of n))) - s`` over the drawn items n other than the next one.

    The correction makes the sum over the draws an unbiased estimate of that over all items. Jean et al., *On Using Very
    Large Target Vocabulary for Neural Machine Translation* (ACL 2015). Cost: one product of the batch's states with
    the drawn items.
    """

    negatives: int = 1024
    """Items drawn for each batch."""
    by_popularity: float = 0.0
    """Share of them drawn by popularity; the others are drawn evenly."""
    kind: Literal["sampled_softmax"] = "sampled_softmax"
    """Its name in TOML."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = _STRICT

    def __post_init__(self) -> None:
        require_bound(self.kind, "negatives", self.negatives, 1)
        require_bound(self.kind, "by_popularity", self.by_popularity, 0, 1)

    def each(self, states: Tensor, items: ItemEmbedding, target: Tensor, drawn: Drawn) -> Tensor:
        """[P] the value at each place, from ``states`` [P, d] and the next items ``target`` [P]."""
        import torch

        positive, negative = _scores(states, items, target, drawn)
        negative = negative - drawn.log_draws
        negative = negative.masked_fill(target[:, None] == drawn.item[None, :], float("-inf"))
        return torch.logsumexp(torch.cat([positive[:, None], negative], dim=1), dim=1) - positive


@dataclass(frozen=True)
class FullSoftmax:
    """``ln(sum_i e^(s_i)) - s`` over all items: the cross-entropy itself.

    Cost: a product with the whole catalogue at every step, and memory of places times items.
    """

    kind: Literal["full_softmax"] = "full_softmax"
    """Its name in TOML."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = _STRICT

    @property
    def negatives(self) -> int:
        """None are drawn."""
        return 0

    @property
    def by_popularity(self) -> float:
        """None are drawn."""
        return 0.0

    def each(self, states: Tensor, items: ItemEmbedding, target: Tensor, drawn: Drawn) -> Tensor:  # noqa: ARG002
        """[P] the value at each place, from ``states`` [P, d] and the next items ``target`` [P]."""
        from torch.nn import functional

        return functional.cross_entropy((states @ items.all().T).float(), target, reduction="none")


@dataclass(frozen=True)
class GBCE:
    """``-(b ln p + sum_n ln(1 - p_n)) / (N + 1)`` with ``p = sigmoid(s + ln(b / N))``, ``b = t (a - 1) + 1``, a = N / (I - 1).

    Plain binary cross-entropy (t = 0) believes too much in the next item where few others are drawn; the power b makes
    up for the share a that is. With t = 1 probabilities are as with all items drawn. Petrov and Macdonald, *gSASRec:
    Reducing Overconfidence in Sequential Recommendation Trained with Negative Sampling* (RecSys 2023), eq. 12. Two
    things differ: there every place has draws of its own, here the places of a batch share theirs, which costs one
    product; and the scores are shifted, which ranks alike and starts where the two sums pull equally (the prior of Lin
    et al., *Focal Loss for Dense Object Detection*, ICCV 2017): without it the first epochs go by in pushing all scores
    down.
    """

    negatives: int = 256
    """N, items drawn evenly for each batch."""
    calibration: float = 0.75
    """t, from 0 to 1."""
    kind: Literal["gbce"] = "gbce"
    """Its name in TOML."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = _STRICT

    def __post_init__(self) -> None:
        require_bound(self.kind, "negatives", self.negatives, 1)
        require_bound(self.kind, "calibration", self.calibration, 0, 1)

    @property
    def by_popularity(self) -> float:
        """All are drawn evenly."""
        return 0.0

    def power(self, n_items: int) -> float:
        """b, for a catalogue of ``n_items``.

        Examples:
            >>> GBCE(negatives=25, calibration=1.0).power(101), GBCE(negatives=25, calibration=0.0).power(101)
            (0.25, 1.0)
        """
        share = min(1.0, self.negatives / max(1, n_items - 1))
        return self.calibration * (share - 1) + 1

    def each(self, states: Tensor, items: ItemEmbedding, target: Tensor, drawn: Drawn) -> Tensor:
        """[P] the value at each place, from ``states`` [P, d] and the next items ``target`` [P]."""
        from torch.nn.functional import softplus

        positive, negative = _scores(states, items, target, drawn)
        power = self.power(items.n_items)
        shift = math.log(max(power, 1e-6) / self.negatives)
        others = softplus(negative + shift).masked_fill(target[:, None] == drawn.item[None, :], 0.0).sum(dim=1)
        each: Tensor = (power * softplus(-positive - shift) + others) / (self.negatives + 1)
        return each


@dataclass(frozen=True)
class InBatchSoftmax:
    """``ln(e^s + sum_n e^(s_n - ln(expected n))) - s`` over the next items of the other places of the batch, and some drawn.

    ``s`` is a score over the temperature. Item n is expected ``P q_n + N / I`` times among the P places and the N
    items drawn evenly of I, with q_n its share of the training events: without the correction by its logarithm what is
    popular would be pushed down for being met often. Yi et al., *Sampling-Bias-Corrected Neural Modeling for Large Corpus
    Item Recommendations* (RecSys 2019), who take q from a stream, where here it is counted, and correct the next item's
    own score too; here it is not, for it was not drawn: so the sum is an unbiased estimate of that over all items (Jean et
    al., ACL 2015). The items drawn evenly are after Yang et al., *Mixed Negative Sampling* (WWW companion 2020): batches
    alone seldom show what few take. Items that nobody took count for nothing: that they are new says nothing against them.
    """

    negatives: int = 1024
    """N, items drawn evenly for each batch, besides those that are there."""
    temperature: float = 0.07
    """What scores are divided by: cosines lie too close to each other."""
    kind: Literal["in_batch_softmax"] = "in_batch_softmax"
    """Its name in TOML."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = _STRICT

    def __post_init__(self) -> None:
        require_bound(self.kind, "negatives", self.negatives, 0)
        require_bound(self.kind, "temperature", self.temperature, 1e-3)

    @property
    def by_popularity(self) -> float:
        """Those of the batch are; the drawn ones are even."""
        return 0.0

    def each(self, states: Tensor, items: ItemTower, target: Tensor, drawn: Drawn) -> Tensor:
        """[P] the value at each place, from ``states`` [P, d] and the next items ``target`` [P]."""
        import torch

        there = torch.cat([target, drawn.item])  # [P + N]
        vectors, states = items(there), states / self.temperature
        positive = (states * vectors[: len(target)]).sum(dim=1).float()
        expected = len(target) * items.frequency[there] + len(drawn.item) / items.n_items
        others = torch.addmm(-expected.log().to(states.dtype), states, vectors.T).float()  # [P, P + N]
        apart = (target[:, None] == there[None, :]) | (items.frequency[there] == 0)
        others = others.masked_fill(apart, float("-inf"))
        each: Tensor = torch.logaddexp(positive, torch.logsumexp(others, dim=1)) - positive
        return each


NextItemLoss: TypeAlias = Annotated[SampledSoftmax | FullSoftmax | GBCE, Discriminator("kind")]
"""The losses; in TOML a table whose ``kind`` says which."""


def _scores(states: Tensor, items: ItemEmbedding, target: Tensor, drawn: Drawn) -> tuple[Tensor, Tensor]:
    """Scores [P] of the next items and [P, N] of the drawn ones, in 32 bits."""
    return (states * items(target)).sum(dim=-1).float(), (states @ items(drawn.item).T).float()
