"""Users who come after a fit: lists for them from what they took, without another fit. Needs only numpy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, Self, runtime_checkable

import numpy as np

from beautyrec.data.interactions import Interactions
from beautyrec.errors import UnknownIdError
from beautyrec.models.known import History, Known, spans
from beautyrec.types import Float32Array, FloatArray, IntArray

CHUNK_FLOATS = 2**21
"""Numbers held at one time while solving, 16 MB, whatever the number of users."""


@runtime_checkable
class FoldsIn(Protocol):
    """A recommender that other users can join: those who came after the fit, or whose history has grown.

    Examples:
        >>> import pandas as pd
        >>> from beautyrec.models.item_knn import ItemKNN
        >>> day = pd.Timestamp("2026-01-01", tz="UTC")
        >>> log = pd.DataFrame({"user_id": [1, 1, 2, 2], "item_id": ["a", "b", "a", "b"], "ts": day})
        >>> model = ItemKNN().fit(Interactions.from_frame(log))
        >>> new = pd.DataFrame({"user_id": [7], "item_id": ["b"], "ts": day})
        >>> model.fold_in(Interactions.from_frame(new, items=model.items)).recommend([7], 1)["item_id"].tolist()
        ['a']
    """

    def fold_in(self, history: Interactions) -> Self:
        """A recommender of the same items for the users of ``history``, who need not have been there in training.

        Args:
            history: all that these users took; made with the items of the model, ``items=model.items``.

        Returns:
            A new recommender whose users and what they have seen are those of ``history``; items and popularity are as
            fitted.

        Raises:
            UnknownIdError: the items of ``history`` are not those of the model, in their order.
        """
        ...


def newly_known(fitted: Known, history: Interactions) -> Known:
    """What is known once the users of ``history`` stand in place of those of the fit.

    Raises:
        UnknownIdError: the items of ``history`` are not those of the fit, in their order.
    """
    if history.items is not fitted.items and not history.items.ids.equals(fitted.items.ids):
        strange = history.items.ids.difference(fitted.items.ids)
        raise UnknownIdError(
            f"fold_in: the {len(history.items)} items of the history are not the {len(fitted.items)} of the model, in "
            f"their order; {len(strange)} are unknown to it, for instance {strange[:3].tolist()}. Make the history with "
            "Interactions.from_frame(frame, items=model.items)."
        )
    return Known(history.users, fitted.items, History(history.indptr, history.item_ix), fitted.popularity)


def gram(item_factors: Float32Array) -> FloatArray:
    """[d, d] ``Y'Y`` of factors [I, d]: what a solution for a user needs of all items; the same for all users."""
    items = item_factors.astype(np.float64)
    product: FloatArray = items.T @ items
    return product


def least_squares_users(
    seen: History,
    confidence: Float32Array,
    item_factors: Float32Array,
    regularization: float,
    gram_of_items: FloatArray | None = None,
) -> Float32Array:
    """The factors of users that are optimal for those of the items.

    ``x_u = (Y'Y + Y'(C_u - 1) Y + regularization)^-1 Y' C_u p_u`` with ``p_ui`` 1 where u took i and the confidence
    ``c_ui`` the sum of ``confidence`` over the entries of u and i there, 1 elsewhere. Hu, Koren and Volinsky,
    *Collaborative Filtering for Implicit Feedback Datasets* (ICDM 2008), eq. 4.

    Args:
        seen: what each user took.
        confidence: [n] of each entry of ``seen``, above 0.
        item_factors: [I, d].
        regularization: pull of the factors towards 0.
        gram_of_items: :func:`gram` of ``item_factors``, where it is known already.

    Returns:
        [U, d] the factors; 0 for users who took nothing.
    """
    n_items, width = item_factors.shape
    of_all = (gram(item_factors) if gram_of_items is None else gram_of_items) + regularization * np.eye(width)
    starts, item_ix, total = _merged(seen, confidence, n_items)
    counts = np.diff(starts)
    users = np.zeros((len(counts), width), dtype=np.float32)
    for chunk in _alike(counts, width):
        longest = int(counts[chunk].max())
        row, entry = spans(starts[chunk], counts[chunk])
        place = entry - starts[chunk][row]
        taken = np.zeros((len(chunk), longest, width))
        taken[row, place] = item_factors[item_ix[entry]]
        extra = np.zeros((len(chunk), longest))
        extra[row, place] = total[entry] - 1
        left = of_all + np.matmul(taken.transpose(0, 2, 1) * extra[:, None, :], taken)
        right = np.einsum("bl,bld->bd", extra + 1, taken)  # padding has no factors
        users[chunk] = np.linalg.solve(left, right[:, :, None])[:, :, 0]
    return users


def _merged(seen: History, confidence: Float32Array, n_items: int) -> tuple[IntArray, IntArray, FloatArray]:
    """The entries with those of one user and item added up: where each user's begin, [U + 1], items, and sums."""
    n_users = len(seen.indptr) - 1
    user = np.repeat(np.arange(n_users), np.diff(seen.indptr))
    key, entry = np.unique(user * n_items + seen.item_ix, return_inverse=True)
    starts: IntArray = np.searchsorted(key, np.arange(n_users + 1) * n_items).astype(np.int64)
    total: FloatArray = np.bincount(entry, weights=confidence, minlength=len(key)).astype(np.float64)
    return starts, key % n_items, total


def _alike(counts: IntArray, width: int) -> Iterator[IntArray]:
    """The users with a history in chunks of about as long ones, none above ``CHUNK_FLOATS`` unless it is one user."""
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    start = 0
    while start < len(order):
        size = max(1, CHUNK_FLOATS // (width * max(width, int(counts[order[start]]))))
        yield order[start : start + size]
        start += size
