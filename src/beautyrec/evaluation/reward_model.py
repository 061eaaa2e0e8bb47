"""A plain model of outcomes, an item's rate times the attention of its position, cross-fitted over users.

It needs nothing but the log, so doubly robust values can always be had. Rates are shrunk by empirical Bayes: the counts
of item i are Poisson with mean ``rate_i * exposure_i``, the rates of all items Gamma with mean m and shape a; then the
expected rate is ``(count_i + a) / (exposure_i + a / m)`` (Robbins 1956; Efron 2010, "Large-Scale Inference").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from beautyrec.evaluation.evidence import Outcomes
from beautyrec.evaluation.folds import check_folds, check_unseen, deal
from beautyrec.types import BoolArray, FloatArray, IntArray

_ROUNDS = 5  # of alternating rates and attention; the change after three is below the noise of any log


@dataclass(frozen=True, eq=False)
class RewardModel:
    """Expected outcomes of an item at a position, from folds that leave out the users they are used for.

    Args:
        fold: [B] the fold of each request; its numbers come from all other folds.
        rate: [F, I, 3] clicks, orders and revenue of an examined impression of each item.
        attention: [F, K] how much a position gets relative to the average one.
        fitted_on: the clusters that each of the F sets of numbers comes from, for `check`.
    """

    fold: IntArray
    rate: FloatArray
    attention: FloatArray
    fitted_on: tuple[npt.NDArray[Any], ...] = ()

    def check(self, cluster: npt.NDArray[Any]) -> None:
        """Raises where rows are not valued by numbers from other clusters alone.

        Args:
            cluster: [B] of the rows that it is used for.

        Raises:
            EvaluationError: as `beautyrec.evaluation.folds.check_unseen`.
        """
        check_unseen(cluster, self.fold, self.fitted_on)

    def logged(self, item_ix: IntArray) -> Outcomes:
        """[B, K] expected outcomes of the items [B, K] that were shown; 0 where the index is -1."""
        rate = np.where(item_ix[:, :, None] >= 0, self.rate[self.fold[:, None], np.maximum(item_ix, 0)], 0.0)
        return self.at_positions(rate)

    def appeal(self, item_ix: IntArray) -> FloatArray:
        """[B, C, 3] rates of the items [B, C] on each request's shelf, before attention; 0 where the index is -1."""
        return np.where(item_ix[:, :, None] >= 0, self.rate[self.fold[:, None], np.maximum(item_ix, 0)], 0.0)

    def at_positions(self, rate: FloatArray) -> Outcomes:
        """[B, K] expected outcomes from the mean rates [B, K, 3] of what stands at each position."""
        expected = rate * self.attention[self.fold][:, :, None]
        return Outcomes(expected[..., 0], expected[..., 1], expected[..., 2])


@dataclass(frozen=True)
class ItemPositionRates:
    """Settings of the model.

    Args:
        folds: parts that the clusters are dealt to, at least 2.
        seed: of the dealing.

    Raises:
        EvaluationError: fewer than two folds.
    """

    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        check_folds(self.folds)

    def fit(self, item_ix: IntArray, outcomes: Outcomes, cluster: npt.NDArray[Any], n_items: int) -> RewardModel:
        """Fits one set of rates a fold, on the clusters outside it.

        Args:
            item_ix: [B, K] index of each shown item in the catalogue, -1 where the slate is shorter.
            outcomes: what came of each impression, [B, K]; outcomes that are missing get rates of 0.
            cluster: [B] the user, as a rule.
            n_items: I, size of the catalogue.

        Raises:
            EvaluationError: fewer clusters than folds.
        """
        fold = deal(cluster, self.folds, self.seed)
        tables = [_rates(item_ix[fold != f], _rows(outcomes, fold != f), n_items) for f in range(self.folds)]
        fitted_on = tuple(np.unique(np.asarray(cluster)[fold != f]) for f in range(self.folds))
        rate, attention = (np.stack(part) for part in zip(*tables, strict=True))
        return RewardModel(fold, rate, attention, fitted_on)


def _rows(outcomes: Outcomes, keep: BoolArray) -> FloatArray:
    """[n, K, 3] clicks, orders, revenue of the rows kept; 0 where the log does not have them."""
    names = outcomes.names
    zero = np.zeros((int(keep.sum()), outcomes.clicked.shape[1]))
    parts = [outcomes.of(name)[keep] if name in names else zero for name in ("clicked", "ordered", "revenue")]
    return np.stack(parts, axis=2)


def _rates(item_ix: IntArray, outcomes: FloatArray, n_items: int) -> tuple[FloatArray, FloatArray]:
    """[I, 3] rates and [K] attention from one part of the log."""
    row, position = np.nonzero(item_ix >= 0)
    positions = item_ix.shape[1]
    item = item_ix[row, position]
    shown = np.bincount(item * positions + position, minlength=n_items * positions).reshape(n_items, positions)
    clicked, ordered, revenue = outcomes[row, position].T
    clicks, orders, money = (_per_item(item, part, n_items) for part in (clicked, ordered, revenue))
    by_position = np.bincount(position, weights=clicked, minlength=positions)
    attention = np.ones(positions)
    for _ in range(_ROUNDS):
        click_rate = shrunk(clicks, shown @ attention)
        fresh = (by_position + 1) / (click_rate @ shown + 1 / max(click_rate.mean(), 1e-12))
        attention = fresh / fresh.mean()
    per_click = shrunk(orders, clicks)
    per_order = (money + _ratio(money.sum(), orders.sum())) / (orders + 1)
    order_rate = click_rate * per_click
    return np.stack([click_rate, order_rate, order_rate * per_order], axis=1), attention


def shrunk(count: FloatArray, exposure: FloatArray) -> FloatArray:
    """[I] empirical-Bayes rates from counts and exposures, each [I]; items never exposed get the overall rate.

    The shape of the Gamma prior is found by moments: what the counts vary beyond Poisson, held between 0.5 and 1e6.

    Examples:
        >>> shrunk(np.array([0.0, 4.0]), np.array([0.0, 100.0])).round(3).tolist()
        [0.04, 0.04]
    """
    overall = _ratio(count.sum(), exposure.sum())
    if overall == 0:
        return np.zeros_like(count)
    expected = overall * exposure
    extra = ((count - expected) ** 2 - expected).sum()
    squares = (expected**2).sum()
    shape = float(np.clip(squares / extra, 0.5, 1e6)) if extra > 0 else 1e6
    return (count + shape) / (exposure + shape / overall)


def _per_item(item: IntArray, part: FloatArray, n_items: int) -> FloatArray:
    return np.bincount(item, weights=part, minlength=n_items).astype(np.float64)


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below > 0 else 0.0
