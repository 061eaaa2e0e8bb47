"""SASRec: what comes next, by self-attention over a user's history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from beautyrec.errors import ConfigError
from beautyrec.models.checks import require_bound
from beautyrec.models.sequence_learner import SequenceLearner

if TYPE_CHECKING:
    from beautyrec.models.nn.items import ItemEmbedding
    from beautyrec.models.nn.sequence_network import SequenceNetwork


@dataclass(frozen=True)
class SASRec(SequenceLearner):
    """A causal transformer whose state after a user's last item is multiplied with the items' vectors.

    Kang and McAuley, *Self-Attentive Sequential Recommendation* (ICDM 2018); settings that every sequential learner has
    are those of :class:`~beautyrec.models.sequence_learner.SequenceLearner`.

    Examples:
        >>> SASRec(epochs=6).loss
        SampledSoftmax(negatives=1024, by_popularity=0.0, kind='sampled_softmax')
    """

    inner: int = 128
    """Dimensions within the feed-forward of a layer."""
    blocks: int = 1
    """Layers."""
    heads: int = 2
    """Attention heads; they divide the width."""
    time_between: bool = False
    """Whether attention depends on the time between two items, in doublings of a second."""

    name: ClassVar[str] = "sasrec"

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("inner", "blocks", "heads"):
            require_bound(self.name, key, getattr(self, key), 1)
        if self.width % self.heads:
            raise ConfigError(f"sasrec: width is {self.width}, which {self.heads} heads do not divide.")

    def network(self, items: ItemEmbedding) -> SequenceNetwork:
        """The transformer over ``items``."""
        from beautyrec.models.nn.sasrec import SASRecNetwork, SASRecShape

        shape = SASRecShape(
            width=self.width,
            inner=self.inner,
            blocks=self.blocks,
            heads=self.heads,
            max_len=self.max_len,
            dropout=self.dropout,
            time_since_previous=self.time_since_previous,
            time_between=self.time_between,
        )
        return SASRecNetwork(items, shape)
