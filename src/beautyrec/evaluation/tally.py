"""Sums of a part of a log that merge with ``+`` into those of the whole, in a memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import SlateEvidence
from beautyrec.evaluation.moments import Grouping, Moments
from beautyrec.evaluation.off_policy import Estimator
from beautyrec.evaluation.overlap import Overlap
from beautyrec.evaluation.totals import Ledger, row_columns
from beautyrec.evaluation.weight_sums import WeightSums
from beautyrec.types import FloatArray, IntArray

HashArray = npt.NDArray[np.uint64]
_KEPT = 2**18


def hashes(ids: npt.NDArray[Any]) -> HashArray:
    """[n] a number between 0 and 2**64 for each id, the same for the same id in every process.

    Args:
        ids: [n] whole numbers of any width, or texts; none missing.

    Examples:
        >>> bool((hashes(np.array([7, 8])) == hashes(np.array([7, 8], dtype=np.int32))).all())
        True
    """
    ids = ids.astype(np.int64) if ids.dtype.kind == "i" else ids
    return np.asarray(pd.util.hash_array(ids), dtype=np.uint64)


@dataclass(frozen=True, eq=False)
class DistinctIds:
    """How many different ids there are, from the smallest of their hashes.

    Exact up to 262,144 of them. Beyond, the k smallest hashes tell how densely all lie: ``(k - 1) / (k-th smallest)``, with a
    relative error of ``1 / sqrt(k)``, 0.2 % (Bar-Yossef, Jayram, Kumar, Sivakumar and Trevisan 2002, "Counting distinct
    elements in a data stream").

    Args:
        smallest: different hashes in rising order, at most k.
        kept: k.

    Examples:
        >>> left, right = DistinctIds.of(hashes(np.array([1, 2, 2]))), DistinctIds.of(hashes(np.array([2, 3])))
        >>> (left + right).count
        3
    """

    smallest: HashArray
    kept: int = _KEPT

    @classmethod
    def of(cls, hashed: HashArray, kept: int = _KEPT) -> DistinctIds:
        """From the hashes [n] of ids."""
        ordered = np.sort(hashed)  # numpy's unique would hash the hashes, and take ten times as long
        fresh = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
        return cls(ordered[fresh][:kept], kept)

    def __add__(self, other: DistinctIds) -> DistinctIds:
        """Of both together."""
        return DistinctIds.of(np.concatenate([self.smallest, other.smallest]), min(self.kept, other.kept))

    @property
    def count(self) -> int:
        """How many there are."""
        if len(self.smallest) < self.kept:
            return len(self.smallest)
        return round((self.kept - 1) / (float(self.smallest[-1]) / 2.0**64))


@dataclass(frozen=True, eq=False)
class Tally:
    """What lifts are made from, summed over a part of a log; two parts merge with ``+``.

    Clusters are dealt to buckets by a hash of their id, so that a cluster whose rows lie in several parts still comes together.

    Args:
        sums: for each estimator the columns of its `Ledger`, each [buckets].
        weight: [buckets] sum of the weights.
        impressions: [buckets] that were shown.
        weights: over all impressions.
        ids: of the clusters.
    """

    sums: Mapping[str, Mapping[str, FloatArray]]
    weight: FloatArray
    impressions: FloatArray
    weights: WeightSums
    ids: DistinctIds

    @classmethod
    def of(
        cls, evidence: SlateEvidence, hashed: HashArray, estimators: Sequence[Estimator], buckets: int, keep: int
    ) -> Tally:
        """The tally of a part.

        Args:
            evidence: its rows.
            hashed: [B] hash of each row's cluster.
            estimators: that value a row from that row alone.
            buckets: how many.
            keep: how many of the heaviest weights to know.
        """
        bucket: IntArray = (hashed % np.uint64(buckets)).astype(np.int64)
        grouping = Grouping(bucket, buckets)
        sums = {}
        for estimator in estimators:
            columns = row_columns(evidence, estimator)
            sums[estimator.name] = dict(zip(columns, grouping.sums(list(columns.values())).T, strict=True))
        shown = evidence.shown.sum(axis=1, dtype=np.float64)
        weight, impressions = grouping.sums([(evidence.weight * evidence.shown).sum(axis=1), shown]).T
        return cls(sums, weight, impressions, WeightSums.of(evidence, keep), DistinctIds.of(hashed))

    def __add__(self, other: Tally) -> Tally:
        """The tally of both parts; a column that one of them lacks counts 0 there.

        Raises:
            EvaluationError: the parts have other estimators or another number of buckets.
        """
        if self.sums.keys() != other.sums.keys() or self.weight.shape != other.weight.shape:
            raise EvaluationError(
                f"parts with estimators {sorted(self.sums)} and {sorted(other.sums)}, {len(self.weight)} and "
                f"{len(other.weight)} buckets cannot be merged."
            )
        return Tally(
            {name: _added(columns, other.sums[name]) for name, columns in self.sums.items()},
            self.weight + other.weight,
            self.impressions + other.impressions,
            self.weights + other.weights,
            self.ids + other.ids,
        )

    @property
    def clusters(self) -> int:
        """How many clusters there are; see `DistinctIds`."""
        return max(self.ids.count, int(np.count_nonzero(self.impressions)))

    def ledgers(self) -> list[tuple[str, Ledger]]:
        """The name and the ledger of each estimator, one row a bucket that holds anything."""
        hit = self.impressions > 0
        return [
            (name, Ledger(tuple(columns), np.stack([column[hit] for column in columns.values()]).T, self.clusters))
            for name, columns in self.sums.items()
        ]

    def overlap(self) -> Overlap:
        """Of the whole log; standard errors are those between buckets."""
        hit = self.impressions > 0
        by_bucket = Moments.of(np.stack([self.weight[hit], self.impressions[hit]]).T)
        return Overlap.of_sums(self.weights, by_bucket, self.clusters)


def _added(columns: Mapping[str, FloatArray], more: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    total = dict(columns)
    for name, column in more.items():
        total[name] = total[name] + column if name in total else column
    return total
