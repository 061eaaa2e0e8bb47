"""Policies that know the truth: what is reachable, and how much of it needs to know who looks."""

from __future__ import annotations

from enum import Enum

import numpy as np

from beautyrec.simulate.truth import Requests
from beautyrec.types import FloatArray, IntArray


class Goal(Enum):
    """What a shown product is worth, at the top of a slate."""

    CLICK = "clicks"
    ORDER = "orders"
    REVENUE = "revenue"
    MARGIN = "margin"


class Knowledge(Enum):
    """What an oracle knows."""

    VIEWER = "viewer"
    """Everything: who looks, in which room, at which hour."""
    ROOM = "room"
    """The room, its day and prices, and who its viewers are on the whole, but not who looks."""
    PRODUCT = "product"
    """How a product does over the month on the whole; the same in every room."""


def worth(requests: Requests, rows: slice, goal: Goal) -> FloatArray:
    """[b, C] what each product of the shelf is worth to the viewers of ``rows``; 0 at padding."""
    values = requests.values(rows)
    click, order, price, cost = (values[:, :, column] for column in range(4))
    if goal is Goal.CLICK:
        return click
    if goal is Goal.ORDER:
        return click * order
    return click * order * (price if goal is Goal.REVENUE else price - cost)


def all_worth(requests: Requests, goal: Goal, knowledge: Knowledge) -> FloatArray:
    """[B, C] what each product of the shelf is worth as far as ``knowledge`` goes; -inf at padding."""
    table = np.concatenate([worth(requests, rows, goal) for rows in requests.chunks()])
    if knowledge is not Knowledge.VIEWER:
        table = _averaged(table, requests, by_room=knowledge is Knowledge.ROOM)
    table[requests.shelf[requests.shelf_row] < 0] = -np.inf
    return table


def _averaged(table: FloatArray, requests: Requests, *, by_room: bool) -> FloatArray:
    """[B, C] the mean over the viewers of a room, or over all viewers who had the product on the shelf."""
    rooms, width = requests.shelf.shape
    count = np.bincount(requests.shelf_row, minlength=rooms).astype(np.float64)
    order = np.argsort(requests.shelf_row, kind="stable")
    starts = np.concatenate([[0], np.cumsum(count)[:-1]]).astype(np.int64)
    seen = count > 0
    total = np.zeros((rooms, width))
    total[seen] = np.add.reduceat(table[order], starts[seen], axis=0)
    if not by_room:
        live = np.maximum(requests.shelf, 0).ravel()
        weight = np.where(requests.shelf >= 0, count[:, None], 0.0)
        products = np.bincount(live, weights=(total * (weight > 0)).ravel(), minlength=len(requests.cost))
        times = np.bincount(live, weights=weight.ravel(), minlength=len(requests.cost))
        return np.asarray((products / np.maximum(times, 1))[np.maximum(requests.shelf, 0)][requests.shelf_row])
    return np.asarray((total / np.maximum(count, 1)[:, None])[requests.shelf_row])


def soft(worths: FloatArray, temperature: float) -> FloatArray:
    """[B, C] chances in proportion to ``worth ** (1 / temperature)``.

    What is worth less than 1e-6 of the best, or costs more than it brings, counts as 1e-6 of it.

    Examples:
        >>> soft(np.array([[4.0, 1.0, -np.inf]]), 0.5).round(4).tolist()
        [[0.9412, 0.0588, 0.0]]
    """
    best = worths.max(axis=1, keepdims=True)
    relative = np.where(best > 0, worths / np.where(best > 0, best, 1.0), 1.0)
    power = np.where(np.isneginf(worths), 0.0, np.maximum(relative, 1e-6) ** (1 / temperature))
    return np.asarray(power / power.sum(axis=1, keepdims=True))


def best(worths: FloatArray, k: int) -> IntArray:
    """[B, k] columns of the largest worths, best first; -1 where the shelf has fewer than ``k``."""
    order = np.argsort(-worths, axis=1, kind="stable")[:, :k]
    return np.where(np.isneginf(np.take_along_axis(worths, order, axis=1)), -1, order)
