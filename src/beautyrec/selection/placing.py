"""From products in kinds of slots to products in slots, at a distance from others of their kind."""

from __future__ import annotations

import numpy as np

from beautyrec.selection.limits import mixed_integer
from beautyrec.types import FloatArray, IntArray


def in_order(product: IntArray, kind: IntArray, slot_kind: IntArray, worth: FloatArray) -> IntArray:
    """[T] the product of each slot: within a kind of slot the most valuable first.

    Args:
        product: [T] products chosen.
        kind: [T] the kind of slot of each.
        slot_kind: [T] the kind of each slot, in running order.
        worth: [T] of the products.
    """
    placed = np.empty_like(product)
    placed[np.argsort(slot_kind, kind="stable")] = product[np.lexsort((product, -worth, kind))]
    return placed


def apart(placed: IntArray, codes: IntArray, distance: int) -> bool:
    """Whether products of the same code stand at least ``distance`` slots apart; code -1 is never held apart.

    Args:
        placed: [T] the product of each slot.
        codes: [N] of the products.
        distance: slots from one to the next; 1 asks for nothing.
    """
    code = codes[placed]
    return not any(
        ((code[lag:] == code[:-lag]) & (code[lag:] >= 0)).any() for lag in range(1, min(distance, len(code)))
    )


def held_apart(
    product: IntArray, kind: IntArray, slot_kind: IntArray, worth: FloatArray, codes: IntArray, distance: int
) -> IntArray | None:
    """As :func:`in_order`, products of the same code ``distance`` slots apart; None where that cannot be."""
    from scipy.sparse import csr_array, vstack

    placed = in_order(product, kind, slot_kind, worth)
    if apart(placed, codes, distance):
        return placed
    slots = len(product)
    at, slot = np.nonzero(kind[:, None] == slot_kind[None, :])
    n = len(at)
    each, ones = np.arange(n), np.ones(n)
    code = codes[product][at]
    there = np.flatnonzero(code >= 0)
    first = slot[there, None] - np.arange(distance)
    inside = (first >= 0) & (first <= max(slots - distance, 0))
    rows, row = np.unique((code[there, None] * slots + first)[inside], return_inverse=True)
    column = np.broadcast_to(there[:, None], first.shape)[inside]
    matrix = vstack(
        [
            csr_array((ones, (at, each)), shape=(slots, n)),
            csr_array((ones, (slot, each)), shape=(slots, n)),
            csr_array((np.ones(len(row)), (row, column)), shape=(len(rows), n)),
        ],
        format="csr",
    )
    low = np.concatenate([np.ones(2 * slots), np.zeros(len(rows))])
    early = worth / max(float(np.abs(worth).max(initial=0.0)), 1e-12)
    result = mixed_integer(early[at] * slot / slots, matrix, low, np.ones(len(low)), gap=0.05, seconds=5.0)
    if result.x is None:
        return None
    placed = np.empty_like(product)
    taken = result.x > 0.5
    placed[slot[taken]] = product[at[taken]]
    return placed
