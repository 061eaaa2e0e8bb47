"""What the sequential learners share: settings, and the way from a log to a recommender."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from beautyrec.data.interactions import Interactions
from beautyrec.errors import MissingExtraError
from beautyrec.models.base import Known
from beautyrec.models.checkpoint import Checkpoint
from beautyrec.models.checks import require_bound, require_finite, require_next_items
from beautyrec.models.losses import NextItemLoss, SampledSoftmax
from beautyrec.models.recommenders import FactorRecommender
from beautyrec.types import Progress

if TYPE_CHECKING:
    from beautyrec.models.nn.items import ItemEmbedding
    from beautyrec.models.nn.sequence_network import SequenceNetwork


@dataclass(frozen=True)
class SequenceLearner(ABC):
    """A network that reads a history and whose state after its last item is multiplied with the items' vectors.

    Trained at every place of every history to tell the next item from others. Training stops on the NDCG@10 of the last
    training event of some users, which is left out of the loss; no event outside ``train`` is used.
    """

    width: int = 64
    """Dimensions of items and states."""
    max_len: int = 30
    """Items of a history that are looked at, the last ones."""
    dropout: float = 0.4
    """Share of values dropped in training."""
    loss: NextItemLoss = SampledSoftmax()  # noqa: RUF009 - frozen
    """What is minimised: :class:`~beautyrec.models.losses.SampledSoftmax`,
    :class:`~beautyrec.models.losses.FullSoftmax` or :class:`~beautyrec.models.losses.GBCE`."""
    item_features: tuple[str, ...] = ("category", "brand", "price")
    """Columns of the item table whose values have vectors of their own, added to those of their items; those that the
    table lacks are left out. Fractional numbers, such as prices, are cut into groups; other values stand for
    themselves."""
    feature_buckets: int = 20
    """Groups of like size that fractional numbers are cut into."""
    time_since_previous: bool = False
    """Whether each item comes with the time since the one before it, in doublings of a second."""
    batch_events: int = 512
    """Events in a batch of histories of like length."""
    epochs: int = 12
    """Passes at most."""
    learning_rate: float = 3e-3
    """Step of AdamW; falls to a tenth over the epochs."""
    weight_decay: float = 0.0
    """Pull of the weights towards 0."""
    patience: int = 8
    """Epochs without a better validation after which training stops; the weights that validated best are kept. Much of
    what is gained comes with the small steps of the last epochs, so few are too soon."""
    threads: int = 1
    """Threads of torch. The result depends on it, not on the machine's cores; more pay only where the cores are idle."""
    validation_users: int = 2000
    """Users, at most a tenth of them, whose last event validates and is left out of the loss."""

    name: ClassVar[str]
    """What errors call it."""

    def __post_init__(self) -> None:
        counts = ("width", "max_len", "feature_buckets", "batch_events", "epochs", "patience", "threads")
        for key in counts:
            require_bound(self.name, key, getattr(self, key), 1)
        require_bound(self.name, "dropout", self.dropout, 0, 0.99)
        require_bound(self.name, "learning_rate", self.learning_rate, 1e-9)
        require_bound(self.name, "weight_decay", self.weight_decay, 0)
        require_bound(self.name, "validation_users", self.validation_users, 0)

    @abstractmethod
    def network(self, items: ItemEmbedding) -> SequenceNetwork:
        """The network over ``items``; its weights are drawn afterwards."""

    def fit(
        self,
        train: Interactions,
        *,
        seed: int = 0,
        on_progress: Progress | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> FactorRecommender:
        """Train the network and keep the last state of every user.

        Args:
            train: histories.
            seed: the same one gives the same recommender, on the processor to the bit.
            on_progress: called after each epoch.
            checkpoint: where the training is kept, and goes on from after a kill; None keeps nothing.

        Raises:
            FitError: ``train`` has fewer than two events, nobody has two, or a loss is not finite.
            MissingExtraError: ``torch`` is not installed.
            ConfigError: the checkpoint is of another fit.
            ArtifactError: it is damaged.
        """
        require_next_items(train, self.name)
        try:
            from beautyrec.models.nn.fit_sequences import fit_sequences
        except ModuleNotFoundError as error:
            raise MissingExtraError(str(error.name), "train") from None
        user_factors, item_factors = fit_sequences(self, train, seed, on_progress, checkpoint)
        require_finite(self.name, user_factors, item_factors)
        return FactorRecommender(Known.of(train), user_factors, item_factors)
