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
    placed = in_order(product, kind, slot_kind, worth)
    if apart(placed, codes, distance):
        return placed
    value = np.where(kind[:, None] == slot_kind[None, :], 0.0, -np.inf)
    return moved_apart(product, value, codes, distance, seconds=5.0)


def moved_apart(
    product: IntArray, value: FloatArray, codes: IntArray, distance: int, *, seconds: float
) -> IntArray | None:
    """[T] the product of each slot, of most value, with products of the same code ``distance`` slots apart.

    Args:
        product: [T] products, all of which are placed.
        value: [T, T] of each product in each slot; -inf where it may not stand.
        codes: [N] of all products; -1 is never held apart.
        distance: slots from one to the next.
        seconds: when to stop.

    Returns:
        None where there is no such order, or none was found in time.
    """
    from scipy.sparse import csr_array, vstack

    slots = len(product)
    at, slot = np.nonzero(np.isfinite(value))
    n = len(at)
    each, ones = np.arange(n), np.ones(n)
    key, column = windows_of(codes[product][at], slot, distance, slots)
    rows, row = np.unique(key, return_inverse=True)
    matrix = vstack(
        [
            csr_array((ones, (at, each)), shape=(slots, n)),
            csr_array((ones, (slot, each)), shape=(slots, n)),
            csr_array((np.ones(len(row)), (row, column)), shape=(len(rows), n)),
        ],
        format="csr",
    )
    low = np.concatenate([np.ones(2 * slots), np.zeros(len(rows))])
    result = mixed_integer(-value[at, slot], matrix, low, np.ones(len(low)), gap=1e-4, seconds=seconds)
    if result.x is None:
        return None
    placed, taken = np.empty_like(product), result.x > 0.5
    placed[slot[taken]] = product[at[taken]]
    return placed


def windows_of(code: IntArray, slot: IntArray, distance: int, slots: int) -> tuple[IntArray, IntArray]:
    """For each variable of a product in a slot, the windows of ``distance`` slots that hold it.

    Args:
        code: [n] of the variables' products; those of -1 are in no window.
        slot: [n] from 0.
        distance: length of the windows.
        slots: of the room.

    Returns:
        A number for each pair of code and window, and the variable in it, entry by entry.
    """
    there = np.flatnonzero(code >= 0)
    first = slot[there, None] - np.arange(distance)
    inside = (first >= 0) & (first <= max(slots - distance, 0))
    key = (code[there, None] * slots + first)[inside]
    return key, np.broadcast_to(there[:, None], first.shape)[inside]
