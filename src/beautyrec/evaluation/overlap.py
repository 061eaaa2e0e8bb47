"""Whether a log can tell about a policy: overlap of the two, and the verdict that follows from it.

Thresholds live in `Thresholds`, with the reason for each. They were set before any model's lift was looked at, from what
makes the error of a weighted mean large or its interval untrue, and are checked by ``benchmarks/ope_coverage.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.estimate import Verdict
from beautyrec.evaluation.evidence import SlateEvidence
from beautyrec.evaluation.moments import Moments
from beautyrec.evaluation.weight_sums import WeightSums, kish
from beautyrec.types import FloatArray

Finding = tuple[Verdict, str]


@dataclass(frozen=True)
class Thresholds:
    """Where trust ends. Each pair is (caution, refuse)."""

    effective_n: tuple[float, float] = (1000.0, 100.0)
    """Effective impressions at least: the weights alone give a relative error of 1 / sqrt of it, 3 % and 10 %."""
    effective_share: tuple[float, float] = (0.05, 0.005)
    """Of the impressions shown at least: below 5 % nineteen of twenty are there for nothing and the rest decide; below
    0.5 % the weights that matter most have probably not been seen at all, and no interval knows of them."""
    effective_events: tuple[float, float] = (30.0, 8.0)
    """Effective clicks or orders at least: their relative error is about 1 / sqrt of it, 18 % and 35 %. Below 8 the interval
    is wider than any lift that a shop could hope for."""
    largest_share: tuple[float, float] = (0.05, 0.2)
    """Of all weight, on one impression at most: without it the estimate would be another."""
    top_share: float = 0.5
    """Of all weight, on the heaviest 1 % of the impressions at most; caution above."""
    mean_weight_z: tuple[float, float] = (3.0, 5.0)
    """Standard errors that the mean weight may be off 1: weights average 1 if propensities are right and nothing that the
    target shows was impossible before. By chance 3 happens once in 370 logs, 5 never."""
    mean_weight_off: tuple[float, float] = (0.2, 0.5)
    """How far the mean weight may be from 1 in any case: a log whose weights are off by half does not show this policy,
    even where a huge standard error would allow for it."""
    clusters: tuple[int, int] = (50, 10)
    """Users (or rooms, if intervals are by room) at least: standard errors come from their differences."""
    disagreement: float = 0.5
    """Difference of two estimators at most, in half-widths of the wider interval: both see the same clicks, so they should be
    much closer to each other than to the truth."""


THRESHOLDS = Thresholds()


@dataclass(frozen=True)
class Overlap:
    """How well a log covers a target policy.

    Args:
        impressions: shown.
        clusters: users, as a rule.
        mean_weight: 1 in expectation.
        mean_weight_z: how many standard errors it is off, by cluster.
        effective_n: ``(sum w)^2 / sum w^2`` (Kish 1965): impressions of the target policy's own that would tell as much.
        largest_weight: the largest.
        largest_share: of all weight.
        top_share: of all weight on the heaviest 1 % of the impressions.
        events: how often each outcome happened in the log.
        effective_events: ``(sum w y)^2 / sum (w y)^2`` for each outcome.

    Examples:
        >>> from beautyrec.evaluation.evidence import impressions
        >>> log = impressions(target=np.array([.5, .5]), logging=np.array([.5, .5]), clicked=np.array([1, 0]))
        >>> Overlap.of(log).effective_n
        2.0
    """

    impressions: int
    clusters: int
    mean_weight: float
    mean_weight_z: float
    effective_n: float
    largest_weight: float
    largest_share: float
    top_share: float
    events: Mapping[str, int]
    effective_events: Mapping[str, float]

    @classmethod
    def of(cls, evidence: SlateEvidence, weight: FloatArray | None = None) -> Overlap:
        """The overlap that the weights of a log show.

        Args:
            evidence: the log.
            weight: [B, K] the weights of an estimator that does not use those of the evidence; None for these. Such weights
                may be shared along a slate, so `effective_n` then counts what is independent: it is ``n / (1 + n v)`` with
                v the variance of the sum of weights between clusters over its square. For weights that are
                independent of each other this is Kish's.
        """
        own = weight is not None
        evidence = evidence if weight is None else replace(evidence, weight=weight)
        row_weight = (evidence.weight * evidence.shown).sum(axis=1)
        sums = evidence.grouping.sums([row_weight, evidence.shown.sum(axis=1, dtype=np.float64)])
        found = cls.of_sums(WeightSums.of(evidence), Moments.of(sums), len(sums))
        return replace(found, effective_n=_between_clusters(sums)) if own else found

    @classmethod
    def of_sums(cls, sums: WeightSums, by_cluster: Moments, clusters: int) -> Overlap:
        """The overlap from sums that were made already, of parts of a log perhaps.

        Args:
            sums: over all impressions, with the heaviest 1 % of the weights.
            by_cluster: moments of the weight and of the impressions, over clusters or parts that hold whole ones.
            clusters: how many there are.

        Raises:
            EvaluationError: nothing was shown.
        """
        if sums.impressions == 0:
            raise EvaluationError("nothing was shown in this log: there is not one impression to weight.")
        mean = by_cluster.value(lambda means: means[0] / means[1])
        error = by_cluster.variance(lambda means: means[0] / means[1]) ** 0.5
        return cls(
            impressions=sums.impressions,
            clusters=clusters,
            mean_weight=mean,
            mean_weight_z=(mean - 1) / error if error > 0 else 0.0,
            effective_n=kish(sums.total, sums.squares),
            largest_weight=sums.largest,
            largest_share=sums.share(sums.largest),
            top_share=sums.share(float(sums.heaviest.sum())),
            events=sums.events,
            effective_events={name: kish(*parts) for name, parts in sums.weighted.items()},
        )

    def findings(self, event: str, limits: Thresholds = THRESHOLDS) -> list[Finding]:
        """What speaks against trusting a metric that moves with ``event`` (``"clicked"``, ``"ordered"``).

        Args:
            event: the outcome that limits the metric.
            limits: where trust ends.
        """
        return [*self._of_weights(limits), *self._of_counts(event, limits)]

    def _of_weights(self, limits: Thresholds) -> Iterator[Finding]:
        share = self.effective_n / self.impressions
        yield from _at_least(
            self.effective_n,
            limits.effective_n,
            f"the log is worth {self.effective_n:,.3g} impressions of the target policy's own",
        )
        yield from _at_least(
            share, limits.effective_share, f"only {share:.2%} of the {self.impressions:,} impressions count effectively"
        )
        yield from _at_most(
            self.largest_share,
            limits.largest_share,
            f"one impression of weight {self.largest_weight:,.0f} carries {self.largest_share:.0%} of all weight",
        )
        off = f"weights average {self.mean_weight:.3g} where 1 is expected"
        yield from _at_most(
            abs(self.mean_weight_z), limits.mean_weight_z, f"{off}, {abs(self.mean_weight_z):.1f} standard errors off"
        )
        yield from _at_most(abs(self.mean_weight - 1), limits.mean_weight_off, off)
        if self.top_share > limits.top_share:
            yield Verdict.CAUTION, f"the heaviest 1 % of the impressions carry {self.top_share:.0%} of all weight"

    def _of_counts(self, event: str, limits: Thresholds) -> Iterator[Finding]:
        noun = {"clicked": "clicks", "ordered": "orders"}.get(event, event)
        count, effective = self.events[event], self.effective_events[event]
        if count == 0:
            yield Verdict.REFUSE, f"there are no {noun} in the log"
        else:
            yield from _at_least(
                effective, limits.effective_events, f"the log's {count:,} {noun} count as {effective:.1f} effectively"
            )
        yield from _at_least(self.clusters, limits.clusters, f"there are only {self.clusters} independent clusters")


def judge(findings: list[Finding]) -> tuple[Verdict, tuple[str, ...]]:
    """The worst of the findings as a verdict, and all of them in words, worst first.

    Examples:
        >>> judge([])
        (<Verdict.TRUST: 'trust'>, ())
    """
    order = (Verdict.REFUSE, Verdict.CAUTION, Verdict.TRUST)
    ranked = sorted(findings, key=lambda finding: order.index(finding[0]))
    return (ranked[0][0] if ranked else Verdict.TRUST), tuple(dict.fromkeys(reason for _, reason in ranked))


def _at_least(value: float, limits: tuple[float, float], reason: str) -> Iterator[Finding]:
    caution, refuse = limits
    if value < caution:
        yield (Verdict.REFUSE, reason) if value < refuse else (Verdict.CAUTION, reason)


def _at_most(value: float, limits: tuple[float, float], reason: str) -> Iterator[Finding]:
    yield from _at_least(-value, (-limits[0], -limits[1]), reason)


def _between_clusters(sums: FloatArray) -> float:
    """Impressions over the design effect of weights that clusters share, from their sums [G, 2] of weight and impressions."""
    weight, shown = sums.T
    if weight.sum() == 0:
        return 0.0
    n = float(shown.sum())
    away = weight - shown * (weight.sum() / n)
    return n / (1 + n * float((away**2).sum()) / float(weight.sum()) ** 2)
