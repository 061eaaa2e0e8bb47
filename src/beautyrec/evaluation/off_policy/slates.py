"""Estimators for slates whose items may matter to each other, or whose positions differ in attention alone.

Which one is right depends on what the outcome of an impression depends on, given the viewer:

================================  ==========================  =========================================
its item and its position         `IPS`, `SNIPS`, `DR`        weight: chance of the item at its position
attention of the position x item  `PBM`, `SNPBM`              weight: attention that the item gets
its item and those above          `RIPS`, `SNRIPS`,           weight: chance of the items down to it
                                  `CascadeDR`
the whole slate                   `JointIPS`, `SNJointIPS`    weight: chance of the slate
================================  ==========================  =========================================

Each line after the second assumes less than the one before it, and pays in noise: weights are products of as many ratios
as the assumption leaves open. `IPS` and `SNIPS` with the marginal weights of `SlateEvidence` *are* the independent forms of
the literature, and have no second name here.

**Viewers who buy.** The estimators of cascades and whole slates value "the viewer orders anything" themselves: as the sum
over positions of *the first order is here*, which depends on no more of the slate than what stands down to it, if what
happens down to a position depends on the items down to it. So the weight is the one at the first order (`RIPS`) or the
slate's (`JointIPS`: the weight times whether anything was ordered). The others value it by a product over positions
(`beautyrec.evaluation.totals`), right to second order in the conversion.

A row of several slates (`SlateEvidence.by_viewer`) has weights that start anew with each slate; for viewers who buy they run
through the row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import Exposure, SlateEvidence
from beautyrec.evaluation.off_policy.base import PositionValues, expected
from beautyrec.types import FloatArray


@dataclass(frozen=True)
class JointIPS:
    """Inverse propensity weighting of whole slates, ``W y`` with W the ratio of the slate's chances.

    The standard estimator; it assumes nothing of the viewer (Swaminathan, Krishnamurthy, Agarwal, Dudik, Langford, Jose and
    Zitouni 2017, "Off-policy evaluation for slate recommendation", as the baseline). Its variance grows exponentially with
    the length of the slate.
    """

    name: ClassVar[str] = "joint_ips"

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``W y`` for each impression."""
        return _plainly(self.weights(evidence) * evidence.outcomes.of(outcome))

    def buyers(self, evidence: SlateEvidence) -> PositionValues:
        """``W`` at the first order of a row."""
        return _plainly(_slate(evidence, self.name, whole_row=True) * _first_order(evidence))

    def weights(self, evidence: SlateEvidence) -> FloatArray:
        """[B, K] the slate's weight at each of its impressions."""
        return _slate(evidence, self.name)


@dataclass(frozen=True)
class SNJointIPS:
    """Self-normalised inverse propensity weighting of whole slates, ``sum W y / sum W``; bias of order 1/n."""

    name: ClassVar[str] = "sn_joint_ips"

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``W y`` for each impression, to be divided by the mean weight."""
        weight = self.weights(evidence)
        return _plainly(weight * evidence.outcomes.of(outcome))._replace(divisor=weight)

    def buyers(self, evidence: SlateEvidence) -> PositionValues:
        """``W`` at the first order of a row, to be divided by the mean weight."""
        weight = _slate(evidence, self.name, whole_row=True)
        return _plainly(weight * _first_order(evidence))._replace(divisor=weight)

    def weights(self, evidence: SlateEvidence) -> FloatArray:
        """[B, K] the slate's weight at each of its impressions."""
        return _slate(evidence, self.name)


@dataclass(frozen=True)
class RIPS:
    """Reward-interaction inverse propensity weighting, ``W_k y_k`` with ``W_k = c_1 c_2 ... c_k``.

    ``c`` are the ratios of the chances of an item given those above it. Unbiased if an outcome depends on its item and those
    above, not on those below: a viewer reads from the top (McInerney, Brost, Chandar, Mehrotra and Carterette 2020,
    "Counterfactual evaluation of slate recommendations with sequential reward interactions").
    """

    name: ClassVar[str] = "rips"

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``W_k y_k`` for each impression."""
        return _plainly(self.weights(evidence) * evidence.outcomes.of(outcome))

    def buyers(self, evidence: SlateEvidence) -> PositionValues:
        """``W_k`` at the first order of a row."""
        return _plainly(_down_to(evidence, self.name, whole_row=True) * _first_order(evidence))

    def weights(self, evidence: SlateEvidence) -> FloatArray:
        """[B, K] ``W_k``."""
        return _down_to(evidence, self.name)


@dataclass(frozen=True)
class SNRIPS:
    """Self-normalised `RIPS`: each position is divided by the mean weight of that position, ``sum W_k y_k / sum W_k``.

    Weights of lower positions are products of more ratios, so a divisor for all would be ruled by the lowest. Bias of order 1/n.
    """

    name: ClassVar[str] = "sn_rips"

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``W_k y_k`` for each impression, to be divided by the mean weight at its position."""
        weight = self.weights(evidence)
        return _plainly(weight * evidence.outcomes.of(outcome))._replace(divisor=weight, group=evidence.positions)

    def buyers(self, evidence: SlateEvidence) -> PositionValues:
        """``W_k`` at the first order of a row, to be divided likewise."""
        weight = _down_to(evidence, self.name, whole_row=True)
        return _plainly(weight * _first_order(evidence))._replace(divisor=weight, group=evidence.positions)

    def weights(self, evidence: SlateEvidence) -> FloatArray:
        """[B, K] ``W_k``."""
        return _down_to(evidence, self.name)


@dataclass(frozen=True)
class CascadeDR:
    """Doubly robust for viewers who read from the top, ``E_target[q_k] + W_k (y_k - q_k)``.

    Kiyohara, Saito, Matsuhiro, Narita, Shimizu and Yamamoto 2022 ("Doubly robust off-policy evaluation for ranking policies
    under the cascade behavior model") correct position by position what follows: with ``Q_j`` the value of the outcome at k
    once the items down to j are known,

        sum over j <= k of (W_{j-1} E_target[Q_j | items above j] - W_j Q_j) + W_k y_k.

    Their ``Q_j`` are regressions, each fitted on the next. Here the model is of one impression, ``q_k``, and what follows
    is averaged over the target policy, which is known: ``Q_j = E_target[q_k | items down to j]``. Then each term's mean is the
    term before, the sum telescopes, and what is left is the formula above (Jiang and Li 2016, "Doubly robust off-policy
    value evaluation for reinforcement learning", with known transitions). So it needs only what `DR` needs, and
    `ItemPositionRates` serves both. A model that also looks at the items above may be given, with its mean over the target's
    slates as `expected_target`.

    Unbiased under the assumption of `RIPS`, for any model that did not see the outcome; without noise where the model is
    perfect and outcomes certain. Viewers who buy: the model of *the first order is here* is ``q_k`` times the product over the
    positions above of ``1 - E_target[q]``.
    """

    name: ClassVar[str] = "cascade_dr"

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``E_target[q_k]`` and ``W_k (y_k - q_k)`` for each impression."""
        logged, under_target = expected(evidence, outcome, "CascadeDR")
        return PositionValues(under_target, self.weights(evidence) * (evidence.outcomes.of(outcome) - logged))

    def buyers(self, evidence: SlateEvidence) -> PositionValues:
        """The same for *the first order of the row is here*."""
        logged, under_target = expected(evidence, "ordered", "CascadeDR")
        left = np.cumprod(1 - under_target, axis=1)
        left = np.concatenate([np.ones((len(left), 1)), left[:, :-1]], axis=1)
        weight = _down_to(evidence, self.name, whole_row=True)
        return PositionValues(left * under_target, weight * (_first_order(evidence) - left * logged))

    def weights(self, evidence: SlateEvidence) -> FloatArray:
        """[B, K] ``W_k``."""
        return _down_to(evidence, self.name)


@dataclass(frozen=True)
class PBM:
    """Position-based weighting, ``v y``: v is the attention that the shown item gets under the target over that under the log.

    Unbiased for totals over a slate if positions differ in attention alone, ``e_k r_i`` (Li et al. 2018, "Offline evaluation of
    ranking policies with click models", section on the position-based model). An item weighs the same wherever it
    stood, so its weights are the least uneven of all here. Values of single positions are not those of the target.
    Attention is estimated (`beautyrec.evaluation.examination`); intervals take it as known.
    """

    name: ClassVar[str] = "pbm"

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``v y`` for each impression."""
        return _plainly(_exposure(evidence, self.name).weight * evidence.outcomes.of(outcome) * evidence.shown)

    def weights(self, evidence: SlateEvidence) -> FloatArray:
        """[B, K] ``e_k v``, with the mean attention 1: these average 1."""
        return _attended(evidence, self.name)


@dataclass(frozen=True)
class SNPBM:
    """Self-normalised `PBM`, ``sum v y / sum e v`` times the mean attention: ``e v`` averages as ``e`` does.

    Bias of order 1/n.
    """

    name: ClassVar[str] = "sn_pbm"

    def per_position(self, evidence: SlateEvidence, outcome: str) -> PositionValues:
        """``v y`` for each impression, to be divided by the mean of ``e v``."""
        divisor = self.weights(evidence)
        return PBM().per_position(evidence, outcome)._replace(divisor=divisor)

    def weights(self, evidence: SlateEvidence) -> FloatArray:
        """[B, K] ``e_k v``, with the mean attention 1."""
        return _attended(evidence, self.name)


def _plainly(weighted: FloatArray) -> PositionValues:
    return PositionValues(np.zeros_like(weighted), weighted)


def _down_to(evidence: SlateEvidence, who: str, *, whole_row: bool = False) -> FloatArray:
    """[B, K] product of the conditional weights of a slate, or of the row, down to each position; 0 where nothing was shown."""
    if evidence.conditional_weight is None:
        raise EvaluationError(
            f"{who} needs the chances of items given those above: call `with_conditional` on the evidence, or leave {who} out."
        )
    ratio = np.where(evidence.shown, evidence.conditional_weight, 1.0)
    begins = evidence.positions <= 1
    product, running = np.empty_like(ratio), np.ones(len(ratio))
    for k in range(ratio.shape[1]):
        running = ratio[:, k] * (running if whole_row else np.where(begins[:, k], 1.0, running))
        product[:, k] = running
    return product * evidence.shown


def _slate(evidence: SlateEvidence, who: str, *, whole_row: bool = False) -> FloatArray:
    """[B, K] product of the conditional weights of the whole slate, or the whole row, at each of its impressions."""
    product = _down_to(evidence, who, whole_row=whole_row)
    running, goes_on = np.zeros(len(product)), np.zeros(len(product), dtype=np.bool_)
    for k in range(product.shape[1] - 1, -1, -1):
        shown = evidence.shown[:, k]
        running = np.where(shown & ~goes_on, product[:, k], running)
        product[:, k] = running * shown
        goes_on = np.where(shown, whole_row | (evidence.positions[:, k] > 1), goes_on)
    return product


def _first_order(evidence: SlateEvidence) -> FloatArray:
    """[B, K] 1 at the first order of each row."""
    ordered = (evidence.outcomes.of("ordered") > 0) & evidence.shown
    first: FloatArray = (ordered & (np.cumsum(ordered, axis=1) == 1)).astype(np.float64)
    return first


def _exposure(evidence: SlateEvidence, who: str) -> Exposure:
    if evidence.exposure is None:
        raise EvaluationError(
            f"{who} needs attention: pass `exposure` to the evidence (beautyrec.evaluation.examination), or leave {who} out."
        )
    return evidence.exposure


def _attended(evidence: SlateEvidence, who: str) -> FloatArray:
    """[B, K] weight times attention, the latter 1 on average over what was shown."""
    attention, weight = _exposure(evidence, who)
    mean = float(attention[evidence.shown].mean())
    if not mean > 0:
        raise EvaluationError(f"{who}: attention is 0 at all positions; some must be looked at.")
    return weight * attention * evidence.shown / mean
