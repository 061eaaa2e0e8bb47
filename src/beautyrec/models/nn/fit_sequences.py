"""From a log to the states of users and the vectors of items: batches and validation of the sequential networks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from beautyrec.data.interactions import Interactions
from beautyrec.models.checkpoint import Checkpoint
from beautyrec.models.compute import Compute
from beautyrec.models.known import spans
from beautyrec.models.losses import Drawn, NextItemLoss
from beautyrec.models.nn.items import ItemEmbedding
from beautyrec.models.nn.sequence_network import Histories, SequenceNetwork
from beautyrec.models.sequences import Negatives, Pieces, batches_of_like_length, cut, item_codes
from beautyrec.models.training import TrainingPlan, deterministic, train
from beautyrec.types import Float32Array, IntArray, Progress

if TYPE_CHECKING:
    from beautyrec.models.sequence_learner import SequenceLearner

VALIDATION_SCORES = 2**25
"""Scores held at one time while validating: 128 MB."""


class Batch(NamedTuple):
    """Histories, what came next, and items to tell it from."""

    histories: Histories
    """b of them, T long."""
    target: Tensor
    """[P] the next item at the P places that have one, row by row."""
    weight: Tensor
    """[P] how much each counts."""
    drawn: Drawn
    """N items."""


def fit_sequences(
    learner: SequenceLearner,
    log: Interactions,
    seed: int,
    on_progress: Progress | None,
    checkpoint: Checkpoint | None,
) -> tuple[Float32Array, Float32Array]:
    """Factors of users [U, d] and of items [I, d]; users without a history get zeros."""
    codes = item_codes(log, learner.item_features, learner.feature_buckets)
    held = _held_out(log, learner.validation_users, np.random.default_rng([seed, 0]))
    events = _Events.of(log)
    with deterministic(seed, learner.threads):
        network = learner.network(ItemEmbedding(len(log.items), learner.width, codes))
        network.initialise(torch.Generator().manual_seed(seed))
        source = _Batches(learner, log, events, held, seed)
        train(
            network,
            source.epoch,
            lambda batch: batch_loss(network, learner.loss, batch),
            TrainingPlan(
                epochs=learner.epochs,
                learning_rate=learner.learning_rate,
                weight_decay=learner.weight_decay,
                patience=learner.patience,
                compute=Compute.present(),
            ),
            validate=(lambda: _ndcg(network, log, events, held, learner.max_len)) if len(held) else None,
            on_progress=on_progress,
            checkpoint=checkpoint and checkpoint.of(_description(learner, log, codes, seed)),
        )
        with torch.no_grad():
            users = last_states(network, events, log.indptr[:-1], log.indptr[1:], learner.max_len)
            items = network.items.all().detach().numpy()
    return users, np.ascontiguousarray(items)


def batch_loss(network: SequenceNetwork, loss: NextItemLoss, batch: Batch) -> Tensor:
    """Weighted mean of the loss at the places that have a next item."""
    states = network(batch.histories)  # [b, T, d]
    states = states[batch.histories.item < network.items.n_items]  # [P, d]
    each = loss.each(states, network.items, batch.target, batch.drawn)  # [P]
    mean: Tensor = (each * batch.weight).sum() / batch.weight.sum()
    return mean


class _Events(NamedTuple):
    """What of each event of a log is read."""

    item: IntArray
    """[n] indices of items."""
    second: IntArray
    """[n] when, in whole seconds."""
    padding: int
    """I."""

    @classmethod
    def of(cls, log: Interactions) -> _Events:
        return cls(log.item_ix, log.ts // 1_000_000, len(log.items))

    def histories(self, pieces: Pieces) -> Histories:
        item, second = pieces.padded(self.item, self.padding), pieces.padded(self.second, 0)
        return Histories(torch.from_numpy(item), torch.from_numpy(second))


class _Batches:
    """The batches of every epoch; they depend on the seed and the epoch only."""

    def __init__(self, learner: SequenceLearner, log: Interactions, events: _Events, held: IntArray, seed: int) -> None:
        end = log.indptr[1:].copy()
        end[held] -= 1
        self.pieces = cut(log.indptr[:-1], end, learner.max_len)
        self.learner, self.log, self.events, self.seed = learner, log, events, seed
        popularity = np.bincount(log.item_ix, minlength=len(log.items)).astype(np.float32)
        self.negatives = Negatives.mixed(popularity, learner.loss.by_popularity)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of ``epoch``."""
        rng = np.random.default_rng([self.seed, 1, epoch])
        n = self.learner.loss.negatives
        for which in batches_of_like_length(self.pieces.length, self.learner.batch_events, rng):
            piece = self.pieces.take(which)
            history = Pieces(piece.start, piece.length - 1)
            _, event = spans(history.start, history.length)
            drawn = self.negatives.draw(n, rng)
            log_draws = np.log(n * self.negatives.chance[drawn]).astype(np.float32)
            yield Batch(
                self.events.histories(history),
                torch.from_numpy(self.log.item_ix[event + 1]),
                torch.from_numpy(self.log.weight[event + 1]),
                Drawn(torch.from_numpy(drawn), torch.from_numpy(log_draws)),
            )


def _held_out(log: Interactions, at_most: int, rng: np.random.Generator) -> IntArray:
    """Users whose last event validates: at most a tenth, and only those who have three events or more."""
    able = np.flatnonzero(np.diff(log.indptr) >= 3)
    return np.sort(rng.permutation(able)[: min(at_most, len(able) // 10)])


def _description(learner: SequenceLearner, log: Interactions, codes: Sequence[IntArray], seed: int) -> dict[str, str]:
    """What a checkpoint has to be of."""
    digest = hashlib.sha256()
    for array in (log.indptr, log.item_ix, log.ts, log.weight, *codes):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(str(len(log.items)).encode())
    return {"learner": repr(learner), "seed": str(seed), "log": digest.hexdigest()[:16], "torch": torch.__version__}


def last_states(
    network: SequenceNetwork, events: _Events, start: IntArray, end: IntArray, max_len: int
) -> Float32Array:
    """[U, d] the state after each user's last event before ``end``; zeros where there is none."""
    device = network.items.own.weight.device
    states = np.zeros((len(start), network.items.width), dtype=np.float32)
    some = np.flatnonzero(end > start)
    begin = np.maximum(start[some], end[some] - max_len)
    pieces = Pieces(begin, end[some] - begin)
    for which in batches_of_like_length(pieces.length, 8192, None):
        piece = pieces.take(which)
        histories = events.histories(piece)
        found = network(Histories(histories.item.to(device), histories.second.to(device)))  # [b, T, d]
        states[some[which]] = found[torch.arange(len(which)), torch.from_numpy(piece.length - 1)].cpu().numpy()
    return states


def _ndcg(network: SequenceNetwork, log: Interactions, events: _Events, held: IntArray, max_len: int) -> float:
    """NDCG@10 of the last event of the users ``held``, all items ranked but those of their history."""
    items = network.items.all().cpu()
    gain = 0.0
    size = max(1, VALIDATION_SCORES // len(items))
    for users in (held[first : first + size] for first in range(0, len(held), size)):
        start, end = log.indptr[users], log.indptr[users + 1] - 1
        states = torch.from_numpy(last_states(network, events, start, end, max_len))
        scores = states @ items.T  # [b, I]
        of_target = scores.gather(1, torch.from_numpy(log.item_ix[end])[:, None])
        row, event = spans(start, end - start)
        scores[torch.from_numpy(row), torch.from_numpy(log.item_ix[event])] = float("-inf")
        above = (scores > of_target).sum(dim=1)
        gain += float(torch.where(above < 10, 1 / torch.log2(above + 2.0), 0.0).sum(dtype=torch.float64))
    return gain / len(held)
