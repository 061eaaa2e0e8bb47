"""From a log to the states of users and the embeddings of items: batches, loss and validation of SASRec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from beautyrec.data.interactions import Interactions
from beautyrec.models.known import spans
from beautyrec.models.nn.sasrec import SASRecNetwork, SASRecShape
from beautyrec.models.sequences import Negatives, Pieces, batches_of_like_length, cut
from beautyrec.models.training import TrainingPlan, deterministic, train
from beautyrec.types import Float32Array, IntArray, Progress

if TYPE_CHECKING:
    from beautyrec.models.sasrec import SASRec


class Batch(NamedTuple):
    """Histories, what came next, and items to tell it from.

    Args:
        history: [b, T] items, I where there is none.
        target: [P] the next item at the P places that have one, row by row.
        weight: [P] how much each counts.
        negative: [N] items drawn.
        log_draws: [N] logarithm of how often each is expected among the N drawn.
    """

    history: Tensor
    target: Tensor
    weight: Tensor
    negative: Tensor
    log_draws: Tensor


def fit_sasrec(
    config: SASRec, log: Interactions, seed: int, on_progress: Progress | None
) -> tuple[Float32Array, Float32Array]:
    """Factors of users [U, d] and of items [I, d]; users without a history get zeros."""
    shape = SASRecShape(
        len(log.items), config.width, config.inner, config.blocks, config.heads, config.max_len, config.dropout
    )
    held = _held_out(log, config.validation_users, np.random.default_rng([seed, 0]))
    with deterministic(seed, config.threads):
        network = SASRecNetwork(shape)
        network.initialise(torch.Generator().manual_seed(seed))
        source = _Batches(config, log, held, seed)
        plan = TrainingPlan(config.epochs, config.learning_rate, config.weight_decay, config.patience)
        train(
            network,
            source.epoch,
            lambda batch: sampled_softmax(network, batch),
            plan,
            validate=(lambda: _ndcg(network, log, held, config.max_len)) if len(held) else None,
            on_progress=on_progress,
        )
        network.eval()
        users = _last_states(network, log.item_ix, log.indptr[:-1], log.indptr[1:], config.max_len)
    items = network.embedding.weight[:-1].detach().numpy()
    return users, np.ascontiguousarray(items)


def sampled_softmax(network: SASRecNetwork, batch: Batch) -> Tensor:
    """Weighted mean of ``ln(e^s + sum_n e^(s_n - ln(expected draws of n))) - s``, s the score of the next item.

    The correction makes the sum an unbiased estimate of that over all items; a drawn item that is the next one is
    left out.
    """
    states = network(batch.history)  # [b, T, d]
    states = states[batch.history < network.embedding.num_embeddings - 1]  # [P, d]
    positive = (states * network.embedding(batch.target)).sum(dim=-1)  # [P]
    negative = states @ network.embedding(batch.negative).T - batch.log_draws  # [P, N]
    negative = negative.masked_fill(batch.target[:, None] == batch.negative[None, :], float("-inf"))
    each = torch.logsumexp(torch.cat([positive[:, None], negative], dim=1), dim=1) - positive  # [P]
    loss: Tensor = (each * batch.weight).sum() / batch.weight.sum()
    return loss


class _Batches:
    """The batches of every epoch; they depend on the seed and the epoch only."""

    def __init__(self, config: SASRec, log: Interactions, held: IntArray, seed: int) -> None:
        end = log.indptr[1:].copy()
        end[held] -= 1
        self.pieces = cut(log.indptr[:-1], end, config.max_len)
        self.config, self.log, self.seed = config, log, seed
        popularity = np.bincount(log.item_ix, minlength=len(log.items)).astype(np.float32)
        self.negatives = Negatives.mixed(popularity, config.negatives_popularity)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of ``epoch``."""
        rng = np.random.default_rng([self.seed, 1, epoch])
        for which in batches_of_like_length(self.pieces.length, self.config.batch_events, rng):
            piece = self.pieces.take(which)
            history = Pieces(piece.start, piece.length - 1)
            _, event = spans(history.start, history.length)
            drawn = self.negatives.draw(self.config.negatives, rng)
            log_draws = np.log(self.config.negatives * self.negatives.chance[drawn])
            yield Batch(
                torch.from_numpy(history.padded(self.log.item_ix, len(self.log.items))),
                torch.from_numpy(self.log.item_ix[event + 1]),
                torch.from_numpy(self.log.weight[event + 1]),
                torch.from_numpy(drawn),
                torch.from_numpy(log_draws.astype(np.float32)),
            )


def _held_out(log: Interactions, at_most: int, rng: np.random.Generator) -> IntArray:
    """Users whose last event validates: at most a tenth, and only those who have three events or more."""
    able = np.flatnonzero(np.diff(log.indptr) >= 3)
    return np.sort(rng.permutation(able)[: min(at_most, len(able) // 10)])


@torch.no_grad()
def _last_states(
    network: SASRecNetwork, item_ix: IntArray, start: IntArray, end: IntArray, max_len: int
) -> Float32Array:
    """[U, d] the state after each user's last event before ``end``; zeros where there is none."""
    padding = network.embedding.num_embeddings - 1
    states = np.zeros((len(start), network.embedding.embedding_dim), dtype=np.float32)
    some = np.flatnonzero(end > start)
    begin = np.maximum(start[some], end[some] - max_len)
    pieces = Pieces(begin, end[some] - begin)
    for which in batches_of_like_length(pieces.length, 8192, None):
        piece = pieces.take(which)
        history = torch.from_numpy(piece.padded(item_ix, padding))
        states[some[which]] = network(history)[torch.arange(len(which)), torch.from_numpy(piece.length - 1)].numpy()
    return states


def _ndcg(network: SASRecNetwork, log: Interactions, held: IntArray, max_len: int) -> float:
    """NDCG@10 of the last event of the users ``held``, all items ranked but those of their history."""
    start, end = log.indptr[held], log.indptr[held + 1] - 1
    states = torch.from_numpy(_last_states(network, log.item_ix, start, end, max_len))
    scores = states @ network.embedding.weight[:-1].T  # [B, I]
    target = torch.from_numpy(log.item_ix[end])
    of_target = scores.gather(1, target[:, None])
    row, event = spans(start, end - start)
    scores[torch.from_numpy(row), torch.from_numpy(log.item_ix[event])] = float("-inf")
    above = (scores > of_target).sum(dim=1)
    gain = torch.where(above < 10, 1 / torch.log2(above + 2.0), 0.0)
    return float(gain.mean())
