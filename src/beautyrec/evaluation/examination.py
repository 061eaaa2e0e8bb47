"""How attention falls down a slate, learnt from a log whose propensities are known, and the exposure that follows.

In the position-based model a click needs a look at the position and an item worth a click: the chance of a click on item i
shown to viewer b at position k is ``e_k r_bi`` (Craswell, Zoeter, Taylor and Ramsey 2008, "An experimental comparison of
click position-bias models"). The click rates of the positions alone do not show ``e``, since better items stand higher. But
a policy that draws puts the same item of the same viewer now here, now there, with known chances. With ``P_bil`` the
chance that item i stands at position l, weights ``h_bi / P_bik``, ``h_bi = 1 / sum_l 1 / P_bil``, make what is seen at every
position the same mixture of viewers and items, so the weighted click rates are proportional to ``e`` whatever ``r``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from beautyrec import plackett_luce
from beautyrec.data.slates import Slates
from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import Exposure
from beautyrec.evaluation.folds import check_folds, deal
from beautyrec.types import FloatArray


@dataclass(frozen=True)
class ExaminationCurve:
    """Settings of the learner of the curve, cross-fitted over clusters.

    Sources: Agarwal, Zaitsev, Wang, Li, Najork and Joachims 2019 ("Estimating position bias without intrusive
    interventions"), for the idea to harvest interventions from what policies did anyway; Li and Li 2019 ("Propensity score
    weighting for causal inference with multiple treatments") for the weights, which are at most 1.

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

    def fit(self, clicked: FloatArray, marginals: FloatArray, cluster: npt.NDArray[Any]) -> FloatArray:
        """[B, K] attention of each position relative to the mean over positions, from the rows of other clusters.

        Args:
            clicked: [B, K] 0 or 1.
            marginals: [B, K, K] chance of each shown item to stand at each position under the logging policy
                (`beautyrec.plackett_luce.marginals_at_all_positions`); 0 for padding.
            cluster: [B] the user, as a rule.

        Raises:
            EvaluationError: shapes that do not fit, fewer clusters than folds, or a fold in which no slate fills all positions.
        """
        positions = clicked.shape[1]
        if marginals.shape != (*clicked.shape, positions):
            raise EvaluationError(f"marginals have shape {marginals.shape}; expected {(*clicked.shape, positions)}.")
        weight = overlap_weight(marginals)
        fold = deal(cluster, self.folds, self.seed)
        return np.stack([_curve(clicked[fold != part], weight[fold != part]) for part in range(self.folds)])[fold]


def attention_of(slates: Slates, *, requests: int, rng: np.random.Generator) -> FloatArray:
    """[K] attention of each position relative to their mean, learnt from a log's slates and smoothed to a power of the position.

    Args:
        slates: requests whose shelves have the logging policy's chances.
        requests: at most so many are looked at, drawn at random.
        rng: source of randomness.

    Raises:
        EvaluationError: there are no clicks or too few users to learn from, or the chances are not logged.
    """
    if not len(slates):
        raise EvaluationError(
            "attention cannot be learnt: there are 0 slates. Give the log's requests, or the attention."
        )
    some = slates.where(np.sort(rng.choice(len(slates), min(requests, len(slates)), replace=False)))
    draw = some.shelves.draw_probability[some.room_ix]
    if not np.isfinite(draw).all() or not some.clicked.any():
        raise EvaluationError(
            f"attention cannot be learnt: {int((~np.isfinite(draw)).any(axis=1).sum())} of {len(draw)} slates lack the chances "
            f"by which they were drawn, {int(some.clicked.sum())} clicks. Log draw_probability, or give the attention."
        )
    marginals = plackett_luce.marginals_at_all_positions(draw, some.shown)
    curve = ExaminationCurve().fit(some.clicked.astype(np.float64), marginals, some.user_id).mean(axis=0)
    place = np.log(np.arange(1, len(curve) + 1))
    smooth = np.exp(np.polyval(np.polyfit(place, np.log(curve), 1), place)) if len(curve) > 1 else curve
    return np.asarray(smooth / smooth.mean())


def overlap_weight(marginals: FloatArray) -> FloatArray:
    """[B, K] the weight under which what is seen at every position is the same mixture; 0 for items of short slates.

    ``(1 / P_ik) / sum_l (1 / P_il)``, between 0 and 1. An item that cannot stand at some position tells nothing.

    Args:
        marginals: [B, K, K] as in `ExaminationCurve.fit`.

    Examples:
        >>> overlap_weight(np.array([[[0.2, 0.1], [0.3, 0.3]]])).round(3).tolist()
        [[0.333, 0.5]]
    """
    everywhere = (marginals > 0).all(axis=2)
    inverse = np.divide(1.0, marginals, out=np.zeros_like(marginals), where=marginals > 0)
    share: FloatArray = np.diagonal(inverse, axis1=1, axis2=2) / np.maximum(inverse.sum(axis=2), 1e-300)
    return np.where(everywhere, share, 0.0)


def exposure(attention: FloatArray, target: FloatArray, logging: FloatArray) -> Exposure:
    """What the position-based estimators read: attention, and how much more the shown items would get under the target.

    The weight of item i is ``sum_l e_l P_target(i at l) / sum_l e_l P_logging(i at l)`` (Li, Abbasi-Yadkori, Kveton,
    Muthukrishnan, Vinay and Wen 2018, "Offline evaluation of ranking policies with click models").

    Args:
        attention: [B, K] ``e`` of each position.
        target: [B, K, K] chance of each shown item to stand at each position under the target policy.
        logging: [B, K, K] the same under the logging policy; 0 for padding.

    Raises:
        EvaluationError: shapes that do not fit, or an item that was shown and could get no attention.

    Examples:
        >>> chance = np.array([[[0.5, 0.5], [0.5, 0.5]]])
        >>> exposure(np.array([[1.5, 0.5]]), chance * [[[0.4, 1.6], [1.6, 0.4]]], chance).weight.round(3).tolist()
        [[0.7, 1.3]]
    """
    shape = (*attention.shape, attention.shape[1])
    if target.shape != shape or logging.shape != shape:
        raise EvaluationError(f"target {target.shape} and logging {logging.shape} must have shape {shape}.")
    wanted, logged = (np.einsum("bl,bjl->bj", attention, chances) for chances in (target, logging))
    shown = logging.any(axis=2)
    lost = shown & ~(logged > 0)
    if lost.any():
        row, column = np.argwhere(lost)[0]
        raise EvaluationError(
            f"{int(lost.sum())} of {int(shown.sum())} shown items get no attention under the logging policy, the first in row "
            f"{row}, position {column + 1}. Attention must be above 0 where items stand."
        )
    return Exposure(attention, np.divide(wanted, logged, out=np.zeros_like(wanted), where=shown))


def _curve(clicked: FloatArray, weight: FloatArray) -> FloatArray:
    """[K] weighted click rates of the positions over their mean; one impression at the overall rate is added to each."""
    total = weight.sum(axis=0)
    if not (total > 0).all():
        raise EvaluationError(
            f"attention cannot be learnt: no item seen at position {int((total <= 0).argmax()) + 1} could stand at all "
            f"{len(total)} positions. Leave out positions that no slate reaches."
        )
    clicks = (weight * clicked).sum(axis=0)
    overall = clicks.sum() / total.sum()
    if overall == 0:
        return np.ones(len(total))
    rate = (clicks + overall) / (total + 1)
    curve: FloatArray = rate / rate.mean()
    return curve
