"""Boosted trees as plain arrays, evaluated with numpy alone.

The trees are grown elsewhere (scikit-learn's histogram gradient boosting); here they are only stored and evaluated, so
that a process that scores needs no training library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from beautyrec.errors import ArtifactError, ConfigError
from beautyrec.types import BoolArray, FloatArray, IntArray

MAX_LEAVES = 16
"""Leaves a tree may have: one bit each in a 16-bit mask, four trees to a 64-bit word."""

CHUNK_ROWS = 8192
"""Rows evaluated at a time, so that their codes and masks stay in the processor's cache."""

LARGEST = np.finfo(np.float64).max
"""The threshold of a node that only parts what is missing from what is there, for which others write infinity."""

_LEAF_OF_BIT = np.zeros(2**MAX_LEAVES, dtype=np.intp)
_LEAF_OF_BIT[2 ** np.arange(MAX_LEAVES)] = np.arange(MAX_LEAVES)

Masks = npt.NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class TreeEnsemble:
    """A sum of binary trees, ``baseline + sum over trees of the value of the leaf a row falls into``.

    Nodes of all T trees stand one after the other, N in all. A row goes left where ``x[feature] <= threshold``, or
    where ``x[feature]`` is NaN and ``missing_left`` is true.

    Evaluation does not walk the trees. A node tested false rules out the leaves on one of its sides, so the leaf of a
    row is the one bit left after a logical *and* of one mask a node. The masks of all nodes of a tree that test one
    feature depend only on between which thresholds the value lies, so they are looked up, for four trees at once.
    Source: Lucchese et al. (2015), "QuickScorer: a fast algorithm to rank documents with additive ensembles of
    regression trees", SIGIR.

    Args:
        start: [T + 1] where each tree's nodes begin; its first node is the root.
        feature: [N] which feature a node tests, -1 for a leaf.
        threshold: [N] what it is compared with; 0 for a leaf.
        left: [N] the node to go to, counted from the start of the tree; 0 for a leaf.
        right: [N] likewise.
        missing_left: [N] whether NaN goes left.
        value: [N] what a leaf adds.
        baseline: [1] what every row starts with.

    Raises:
        ArtifactError: arrays that do not belong together, or a tree of more than 16 leaves.

    Examples:
        One tree: 1.0 where the first feature is at most 0.5, else 3.0; all on top of 10.

        >>> tree = TreeEnsemble(start=np.array([0, 3]), feature=np.array([0, -1, -1]), threshold=np.array([0.5, 0, 0]),
        ...                     left=np.array([1, 0, 0]), right=np.array([2, 0, 0]),
        ...                     missing_left=np.array([True, False, False]), value=np.array([0.0, 1.0, 3.0]),
        ...                     baseline=np.array([10.0]))
        >>> tree.raw([np.array([0.5, 0.6, np.nan])]).tolist()
        [11.0, 13.0, 11.0]
    """

    start: IntArray
    feature: IntArray
    threshold: FloatArray
    left: IntArray
    right: IntArray
    missing_left: BoolArray
    value: FloatArray
    baseline: FloatArray

    def __post_init__(self) -> None:
        sizes = {len(getattr(self, field.name)) for field in fields(self) if field.name not in ("start", "baseline")}
        if len(self.baseline) != 1 or len(sizes) != 1 or self.start[0] != 0 or {int(self.start[-1])} != sizes:
            raise ArtifactError(f"trees: arrays of {sorted(sizes)} nodes for trees that end at {int(self.start[-1])}.")
        leaves = np.add.reduceat(self.feature < 0, self.start[:-1]) if len(self) else np.zeros(0)
        if len(self) and leaves.max() > MAX_LEAVES:
            raise ArtifactError(f"trees: a tree has {int(leaves.max())} leaves; at most {MAX_LEAVES} can be evaluated.")

    def __len__(self) -> int:
        return len(self.start) - 1

    @classmethod
    def from_sklearn(cls, model: Any) -> TreeEnsemble:
        """The trees of a fitted ``HistGradientBoostingRegressor``, or classifier of two classes, without categories."""
        trees = [predictors[0].nodes for predictors in model._predictors]
        nodes = np.concatenate(trees)
        leaf = nodes["is_leaf"].astype(bool)
        return cls(
            start=np.concatenate([[0], np.cumsum([len(tree) for tree in trees])]).astype(np.int64),
            feature=np.where(leaf, -1, nodes["feature_idx"]).astype(np.int64),
            threshold=np.where(leaf, 0.0, np.minimum(nodes["num_threshold"], LARGEST)).astype(np.float64),
            left=np.where(leaf, 0, nodes["left"]).astype(np.int64),
            right=np.where(leaf, 0, nodes["right"]).astype(np.int64),
            missing_left=(nodes["missing_go_to_left"] != 0) & ~leaf,
            value=np.where(leaf, nodes["value"], 0.0).astype(np.float64),
            baseline=np.asarray(model._baseline_prediction, dtype=np.float64).ravel(),
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], prefix: str = "") -> TreeEnsemble:
        """The ensemble whose :meth:`arrays` these are.

        Raises:
            ArtifactError: an array is missing, or they do not belong together.
        """
        names = [field.name for field in fields(cls)]
        missing = [prefix + name for name in names if prefix + name not in arrays]
        if missing:
            raise ArtifactError(f"trees: arrays {missing} are missing; there are {sorted(arrays)}.")
        return cls(**{name: arrays[prefix + name] for name in names})

    def arrays(self, prefix: str = "") -> dict[str, npt.NDArray[Any]]:
        """Its arrays by name, each name behind ``prefix``."""
        return {prefix + field.name: getattr(self, field.name) for field in fields(self)}

    def shifted(self, by: float) -> TreeEnsemble:
        """The same trees on a baseline ``by`` higher."""
        return replace(self, baseline=self.baseline + by)

    def raw(self, columns: Sequence[FloatArray]) -> FloatArray:
        """[n] the sum for each row, in the unit of the leaves (log odds for a classifier).

        Args:
            columns: one array [n] a feature, in the order of the training; NaN is a missing value.

        Raises:
            ConfigError: fewer columns than the trees test.
        """
        needed = int(self.feature.max(initial=-1)) + 1
        if len(columns) < needed:
            raise ConfigError(f"trees: they test {needed} features and got {len(columns)} columns.")
        n = len(columns[0]) if len(columns) else 0
        total = np.full(n, self.baseline[0])
        for begin in range(0, n, CHUNK_ROWS):
            rows = slice(begin, begin + CHUNK_ROWS)
            self._program.add(total[rows], [column[rows] for column in columns])
        return total

    @cached_property
    def _program(self) -> _Program:
        return _compile(self)


@dataclass(frozen=True, eq=False)
class _Program:
    """What evaluation looks things up in.

    Args:
        thresholds: the sorted thresholds of each feature tested, by feature.
        words: for each four trees, by feature tested: [codes] the mask left for each code of the feature.
        leaves: [words] a mask of the leaves that these four trees have.
        values: [T, 16] what each leaf adds.
    """

    thresholds: Mapping[int, FloatArray]
    words: Sequence[Mapping[int, Masks]]
    leaves: Masks
    values: FloatArray

    def add(self, total: FloatArray, columns: Sequence[FloatArray]) -> None:
        """Add the value of every tree to ``total`` [n], in the order of the trees."""
        codes = {f: _codes(columns[f], thresholds) for f, thresholds in self.thresholds.items()}
        word, found = np.empty((2, len(total)), dtype="<u8")
        for number, tables in enumerate(self.words):
            word.fill(self.leaves[number])
            for f, table in tables.items():
                word &= np.take(table, codes[f], out=found, mode="clip")
            bits = word.view("<u2").reshape(len(total), -1)
            trees = self.values[4 * number : 4 * number + 4]
            for place, value in enumerate(trees):
                total += value[_LEAF_OF_BIT[bits[:, place]]]


def _codes(column: FloatArray, thresholds: FloatArray) -> npt.NDArray[np.intp]:
    """[n] how many thresholds lie below each value; one more than all of them for NaN."""
    codes = np.searchsorted(thresholds, column)
    return np.where(np.isnan(column), len(thresholds) + 1, codes)


def _compile(trees: TreeEnsemble) -> _Program:
    tested = np.unique(trees.feature[trees.feature >= 0])
    thresholds = {int(f): np.unique(trees.threshold[trees.feature == f]) for f in tested}
    values = np.zeros((len(trees), MAX_LEAVES))
    words: list[dict[int, Masks]] = [{} for _ in range(-(-len(trees) // 4))]
    leaves = np.zeros(len(words), dtype=np.uint64)
    for tree in range(len(trees)):
        spans = _leaf_spans(trees, tree)
        shift, word = np.uint64(MAX_LEAVES * (tree % 4)), words[tree // 4]
        leaves[tree // 4] |= _bits(0, max(high for _, _, high in spans.values())) << shift
        for node, (low, middle, high) in spans.items():
            f = int(trees.feature[node])
            if f < 0:
                values[tree, low] = trees.value[node]
                continue
            goes_left = np.arange(len(thresholds[f]) + 2) <= np.searchsorted(thresholds[f], trees.threshold[node])
            goes_left[-1] = trees.missing_left[node]
            ruled_out = np.where(goes_left, _bits(middle, high), _bits(low, middle))
            table = word.setdefault(f, np.full(len(goes_left), np.iinfo(np.uint64).max, dtype="<u8"))
            table &= ~(ruled_out << shift)
    return _Program(thresholds, words, leaves, values)


def _bits(low: int, high: int) -> np.uint64:
    """A mask of the leaves ``low`` to ``high - 1``."""
    return np.uint64((1 << high) - (1 << low))


def _leaf_spans(trees: TreeEnsemble, tree: int) -> dict[int, tuple[int, int, int]]:
    """For each node of a tree: its first leaf, the first leaf on its right, and the first leaf past it.

    Leaves are counted from left to right; a leaf's span is (itself, itself, itself + 1).
    """
    root, count = int(trees.start[tree]), 0
    spans: dict[int, tuple[int, int, int]] = {}
    waiting: list[tuple[int, int]] = [(root, 0)]  # (node, visits so far)
    while waiting:
        node, visits = waiting.pop()
        if trees.feature[node] < 0:
            spans[node] = (count, count, count + 1)
            count += 1
        elif visits == 0:
            spans[node] = (count, count, count)
            waiting += [(node, 1), (root + int(trees.left[node]), 0)]
        elif visits == 1:
            spans[node] = (spans[node][0], count, count)
            waiting += [(node, 2), (root + int(trees.right[node]), 0)]
        else:
            spans[node] = (spans[node][0], spans[node][1], count)
    return spans
