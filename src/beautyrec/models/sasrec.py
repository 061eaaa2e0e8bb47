"""SASRec: what comes next, by self-attention over a user's history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beautyrec.data.interactions import Interactions
from beautyrec.errors import ConfigError, FitError, MissingExtraError
from beautyrec.models.base import Known
from beautyrec.models.checks import require_bound, require_events, require_finite
from beautyrec.models.recommenders import FactorRecommender
from beautyrec.types import Progress


@dataclass(frozen=True)
class SASRec:
    """A causal transformer whose state after a user's last item is multiplied with the items' embeddings.

    Trained to tell each next item from drawn ones (sampled softmax with the correction for how often an item is drawn:
    Jean et al., ACL 2015). Training stops on the NDCG@10 of the last training event of some users, which is left out of
    the loss; no event outside ``train`` is used. Kang and McAuley, *Self-Attentive Sequential Recommendation*
    (ICDM 2018).
    """

    width: int = 64
    """Dimensions of items and states."""
    inner: int = 128
    """Dimensions within the feed-forward of a layer."""
    blocks: int = 1
    """Layers."""
    heads: int = 2
    """Attention heads; they divide the width."""
    max_len: int = 30
    """Items of a history that are looked at, the last ones."""
    dropout: float = 0.4
    """Share of values dropped in training."""
    negatives: int = 1024
    """Items drawn for each batch to be told from the next one."""
    negatives_popularity: float = 0.0
    """Share of them drawn by popularity; the others are drawn evenly."""
    batch_events: int = 512
    """Events in a batch of histories of like length."""
    epochs: int = 12
    """Passes at most."""
    learning_rate: float = 3e-3
    """Step of AdamW; falls to a tenth over the epochs."""
    weight_decay: float = 0.0
    """Pull of the weights towards 0."""
    patience: int = 4
    """Epochs without a better validation after which training stops."""
    threads: int = 1
    """Threads of torch. The result depends on it, not on the machine's cores; more pay only where the cores are idle."""
    validation_users: int = 2000
    """Users, at most a tenth of them, whose last event validates and is left out of the loss."""

    def __post_init__(self) -> None:
        for key in (
            "width",
            "inner",
            "blocks",
            "heads",
            "max_len",
            "negatives",
            "batch_events",
            "epochs",
            "patience",
            "threads",
        ):
            require_bound("sasrec", key, getattr(self, key), 1)
        require_bound("sasrec", "dropout", self.dropout, 0, 0.99)
        require_bound("sasrec", "negatives_popularity", self.negatives_popularity, 0, 1)
        require_bound("sasrec", "learning_rate", self.learning_rate, 1e-9)
        require_bound("sasrec", "weight_decay", self.weight_decay, 0)
        require_bound("sasrec", "validation_users", self.validation_users, 0)
        if self.width % self.heads:
            raise ConfigError(f"sasrec: width is {self.width}, which {self.heads} heads do not divide.")

    def fit(self, train: Interactions, *, seed: int = 0, on_progress: Progress | None = None) -> FactorRecommender:
        """Train the network and keep the last state of every user.

        Raises:
            FitError: ``train`` has fewer than two events, nobody has two, or the loss is not finite.
            MissingExtraError: ``torch`` is not installed.
        """
        require_events(train, "sasrec")
        if np.diff(train.indptr).max() < 2:
            raise FitError("sasrec: nobody in the log has two interactions, so there is no next item to learn from.")
        try:
            from beautyrec.models.nn.fit_sasrec import fit_sasrec
        except ModuleNotFoundError as error:
            raise MissingExtraError(str(error.name), "train") from None
        user_factors, item_factors = fit_sasrec(self, train, seed, on_progress)
        require_finite("sasrec", user_factors, item_factors)
        return FactorRecommender(Known.of(train), user_factors, item_factors)
