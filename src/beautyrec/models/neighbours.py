"""The items most alike: by the users they share, in bounded memory, for whatever model starts from neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from beautyrec.types import Float32Array, IntArray, Progress

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PRODUCT_NONZEROS = 8_000_000
"""Products of two entries taken at one time, which bounds the memory of a fit."""


def nearest_items(
    matrix: csr_matrix, neighbours: int, shrinkage: float = 0.0, on_progress: Progress | None = None
) -> csr_matrix:
    """The items most similar to each item: ``x_i . x_j / (|x_i| |x_j| + shrinkage)`` over the columns x of ``matrix``.

    Only pairs of items that share a user are looked at, blocks of items at a time.

    Args:
        matrix: [U, I] weights of users and items, above 0.
        neighbours: how many to keep for each item; among equals those with the lower index.
        shrinkage: pulls similarities that rest on few users towards 0.
        on_progress: told after each block.

    Returns:
        [I, I] row j has the similarities of the items nearest to j, j itself left out.

    Examples:
        >>> from scipy.sparse import csr_matrix
        >>> matrix = csr_matrix(np.array([[1, 1, 0], [1, 1, 1], [0, 0, 1]], dtype=np.float32))
        >>> nearest_items(matrix, 1).toarray().round(2).tolist()
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.5, 0.0, 0.0]]
    """
    from scipy.sparse import csr_matrix

    by_item = matrix.T.tocsr()
    norm = np.sqrt(np.asarray(by_item.multiply(by_item).sum(axis=1)).ravel())
    blocks = list(item_blocks(matrix, by_item))
    rows, columns, values = [], [], []
    for done, block in enumerate(blocks, start=1):
        product = by_item[block] @ matrix  # [block, I] items j of this block against all items i
        product.sort_indices()
        target = np.repeat(np.arange(block.start, block.stop), np.diff(product.indptr))
        kept = target != product.indices
        target, source = target[kept], product.indices[kept]
        value = product.data[kept] / (norm[target] * norm[source] + np.float32(shrinkage))
        best = _largest(target, value, neighbours)
        rows.append(target[best])
        columns.append(source[best])
        values.append(value[best])
        if on_progress:
            on_progress(done, len(blocks))
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return csr_matrix(entries, shape=(matrix.shape[1],) * 2)


def item_blocks(matrix: csr_matrix, by_item: csr_matrix) -> Iterator[slice]:
    """Consecutive items whose products with all others number at most ``PRODUCT_NONZEROS``, at least one a block."""
    cost = np.asarray(by_item.astype(bool) @ np.diff(matrix.indptr)).ravel().astype(np.int64)
    block_of = np.cumsum(cost) // PRODUCT_NONZEROS
    starts = np.flatnonzero(np.diff(block_of, prepend=-1))
    return (slice(int(a), int(b)) for a, b in zip(starts, [*starts[1:], len(cost)], strict=True))


def _largest(group: IntArray, value: Float32Array, k: int) -> IntArray:
    """The places of the ``k`` largest values of each group, ascending; among equals the first.

    Groups are in order and values above 0. One sort of whole numbers, the group in the upper half and the bits of the
    value in the lower, finds the least value that each group keeps.
    """
    size = np.bincount(group)
    crowded = size[group] > k
    keep = ~crowded
    key = (group[crowded].astype(np.int64) << 32) | (0x7FFFFFFF - value[crowded].view(np.int32))  # falls as values rise
    many = size[size > k]
    first = np.cumsum(many) - many
    limit = np.repeat(np.sort(key)[first + k - 1], many)
    above, equal = key < limit, key == limit
    missing = k - np.add.reduceat(above, first, dtype=np.int64) if len(many) else many
    before = np.cumsum(equal) - equal
    keep[crowded] = above | (equal & (before - np.repeat(before[first], many) < np.repeat(missing, many)))
    return np.flatnonzero(keep)
