"""GRU4Rec: what comes next, by gated recurrent units over a user's history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from beautyrec.models.checks import require_bound
from beautyrec.models.sequence_learner import SequenceLearner

if TYPE_CHECKING:
    from beautyrec.models.nn.items import ItemEmbedding
    from beautyrec.models.nn.sequence_network import SequenceNetwork


@dataclass(frozen=True)
class GRU4Rec(SequenceLearner):
    """A recurrent network whose state after a user's last item is multiplied with the items' vectors.

    Hidasi et al., *Session-based Recommendations with Recurrent Neural Networks* (ICLR 2016), with a user's history as
    the session and the losses of the sequential learners; settings that all of them have are those of
    :class:`~beautyrec.models.sequence_learner.SequenceLearner`.

    Examples:
        >>> GRU4Rec(hidden=64).layers
        1
    """

    hidden: int = 128
    """Dimensions of the recurrent state."""
    layers: int = 1
    """Recurrent layers."""

    name: ClassVar[str] = "gru4rec"

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("hidden", "layers"):
            require_bound(self.name, key, getattr(self, key), 1)

    def network(self, items: ItemEmbedding) -> SequenceNetwork:
        """The recurrent network over ``items``."""
        from beautyrec.models.nn.gru4rec import GRU4RecNetwork, GRU4RecShape

        shape = GRU4RecShape(
            width=self.width,
            hidden=self.hidden,
            layers=self.layers,
            dropout=self.dropout,
            time_since_previous=self.time_since_previous,
        )
        return GRU4RecNetwork(items, shape)
