"""Two towers: users and items as points on a sphere, both made of what is known of items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from beautyrec.data.interactions import Interactions
from beautyrec.errors import MissingExtraError
from beautyrec.models.base import Known
from beautyrec.models.checkpoint import Checkpoint
from beautyrec.models.checks import require_bound, require_finite, require_next_items
from beautyrec.models.featured import Tower, TowerRecommender
from beautyrec.models.item_features import ItemFeatures
from beautyrec.models.losses import InBatchSoftmax
from beautyrec.types import Progress

if TYPE_CHECKING:
    from beautyrec.models.nn.two_tower import TwoTowerNetwork


@dataclass(frozen=True)
class TwoTower:
    """A tower for users and one for items; the score is the cosine of what they give.

    An item's input ``x_i`` is the sum of a vector of its own and those of its values: category, brand, group of price,
    words of the title. A user's is the mean of the inputs of what was taken, weighted by recency. Each tower gives
    ``x + relu(x W + b) V``, of length 1. So an item that nobody has taken has a vector by its values, and a user
    who comes later has one by a history. Each step of each history is told from the other steps of the batch, with
    the correction of the loss for how often items are among them. Yi et al., *Sampling-Bias-Corrected Neural Modeling for
    Large Corpus Item Recommendations* (RecSys 2019).

    Training stops on the NDCG@10 of the last training event of some users, which is left out of the loss; no event
    outside ``train`` is used.

    Examples:
        >>> TwoTower(width=32).loss.negatives
        1024
    """

    width: int = 64
    """Dimensions of items and users."""
    hidden: int = 64
    """Dimensions within a tower."""
    max_len: int = 30
    """Items of a history that are looked at, the last ones."""
    decay: float = 0.7
    """Weight of an item of the history relative to the next one."""
    item_features: tuple[str, ...] = ("category", "brand", "price")
    """Columns of the item table whose values have vectors; those that the table lacks are left out. Fractional numbers,
    such as prices, are cut into groups."""
    text_features: tuple[str, ...] = ("category_path", "title")
    """Columns of text, each of whose words is a value; likewise."""
    feature_buckets: int = 20
    """Groups of like size that fractional numbers are cut into."""
    least_items: int = 2
    """Items taken in training that must share a value or a word for it to count."""
    own_dropout: float = 0.2
    """Chance in training that an item's own vector is left out and its values have to do."""
    dropout: float = 0.3
    """Share of a history's inputs dropped in training."""
    loss: InBatchSoftmax = InBatchSoftmax()  # noqa: RUF009 - frozen
    """What is minimised."""
    batch_events: int = 1024
    """Events in a batch of histories of like length."""
    epochs: int = 10
    """Passes at most."""
    learning_rate: float = 3e-3
    """Step of AdamW; falls to a tenth over the epochs."""
    weight_decay: float = 0.0
    """Pull of the weights towards 0."""
    patience: int = 3
    """Epochs without a better validation after which training stops; the weights that validated best are kept."""
    threads: int = 1
    """Threads of torch. The result depends on it, not on the machine's cores."""
    validation_users: int = 2000
    """Users, at most a tenth of them, whose last event validates and is left out of the loss."""

    def __post_init__(self) -> None:
        counts = ("width", "hidden", "max_len", "feature_buckets", "least_items", "batch_events", "epochs", "patience")
        for key in (*counts, "threads"):
            require_bound("two_tower", key, getattr(self, key), 1)
        require_bound("two_tower", "decay", self.decay, 1e-6, 1)
        for key in ("own_dropout", "dropout"):
            require_bound("two_tower", key, getattr(self, key), 0, 0.99)
        require_bound("two_tower", "learning_rate", self.learning_rate, 1e-9)
        require_bound("two_tower", "weight_decay", self.weight_decay, 0)
        require_bound("two_tower", "validation_users", self.validation_users, 0)

    def fit(
        self,
        train: Interactions,
        *,
        seed: int = 0,
        on_progress: Progress | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> TowerRecommender:
        """Train the towers and keep what they give.

        Args:
            train: histories, and the item table.
            seed: the same one gives the same recommender, on the processor to the bit.
            on_progress: called after each epoch.
            checkpoint: where the training is kept, and goes on from after a kill; None keeps nothing.

        Raises:
            FitError: ``train`` has fewer than two events, nobody has two, or a loss is not finite.
            MissingExtraError: ``torch`` is not installed.
            ConfigError: the checkpoint is of another fit.
            ArtifactError: it is damaged.
        """
        require_next_items(train, "two_tower")
        try:
            from beautyrec.models.nn.fit_sequences import Fit, fit_network
            from beautyrec.models.nn.two_tower import ItemFacts, ItemTower, TwoTowerNetwork
        except ModuleNotFoundError as error:
            raise MissingExtraError(str(error.name), "train") from None
        features = self._features(train)
        facts = ItemFacts.of(train, features)

        def build() -> TwoTowerNetwork:
            items = ItemTower(facts, len(features), self.width, hidden=self.hidden, own_dropout=self.own_dropout)
            return TwoTowerNetwork(items, hidden=self.hidden, decay=self.decay, dropout=self.dropout)

        fit = Fit(seed, on_progress, checkpoint)
        network, users, items = fit_network(self, train, build, (facts.value, facts.share.view(np.int32)), fit)
        require_finite("two_tower", users, items)
        inputs = network.read_inputs()
        return TowerRecommender(
            Known.of(train),
            users,
            items,
            features=features,
            item_inputs=inputs.items,
            value_inputs=inputs.values,
            item_tower=Tower(*network.item_tower.tower.weights()),
            user_tower=Tower(*network.tower.weights()),
            decay=self.decay,
            max_len=self.max_len,
        )

    def _features(self, train: Interactions) -> ItemFeatures:
        """The values that items taken in ``train`` share."""
        return ItemFeatures.of(
            train.item_table,
            np.bincount(train.item_ix, minlength=len(train.items)) > 0,
            columns=self.item_features,
            words=self.text_features,
            buckets=self.feature_buckets,
            least_items=self.least_items,
        )
