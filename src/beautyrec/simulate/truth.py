"""What a policy is truly worth in the simulated world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from beautyrec import plackett_luce
from beautyrec.data.slates import Slates
from beautyrec.errors import EvaluationError, PolicyError
from beautyrec.simulate.config import SIMULATED
from beautyrec.simulate.live import DAY_US, HOUR_US, Catalogue
from beautyrec.simulate.response import Grounds, Places, Response
from beautyrec.simulate.rooms import Schedule
from beautyrec.types import FloatArray, IntArray

METRICS = (
    "ctr",
    "cvr",
    "ctcvr",
    "room_conversion",
    "orders_per_viewer",
    "revenue_per_viewer",
    "revenue_per_impression",
    "margin_per_viewer",
)
"""The metrics of a `Truth`."""

_CHUNK = 4096
_SUMS = ("impressions", "clicks", "orders", "buyers", "revenue", "margin", "requests")
_RATIOS = {
    "ctr": ("clicks", "impressions"),
    "cvr": ("orders", "clicks"),
    "ctcvr": ("orders", "impressions"),
    "room_conversion": ("buyers", "requests"),
    "orders_per_viewer": ("orders", "requests"),
    "revenue_per_viewer": ("revenue", "requests"),
    "revenue_per_impression": ("revenue", "impressions"),
    "margin_per_viewer": ("margin", "requests"),
}


@dataclass(frozen=True)
class Expected:
    """An expectation and the standard error of its Monte-Carlo part; 0 where it is exact."""

    value: float
    standard_error: float


@dataclass(frozen=True)
class Truth:
    """True expectations of a policy over given requests of a simulated world.

    Args:
        ctr: clicks per impression.
        cvr: orders per click.
        ctcvr: orders per impression.
        room_conversion: share of viewers of a room who order anything in it.
        orders_per_viewer: orders per request.
        revenue_per_viewer: in the catalogue's currency.
        revenue_per_impression: likewise, for each item shown.
        margin_per_viewer: revenue less the cost of what was ordered.
        requests: number of requests it is the mean over.
        slates: slates drawn for each request; 1 and no error where they were given.
        label: what it is a truth of: always ``"simulated"``.
    """

    ctr: Expected
    cvr: Expected
    ctcvr: Expected
    room_conversion: Expected
    orders_per_viewer: Expected
    revenue_per_viewer: Expected
    revenue_per_impression: Expected
    margin_per_viewer: Expected
    requests: int
    slates: int
    label: str = SIMULATED

    def __getitem__(self, metric: str) -> Expected:
        """The metric of that name, one of `METRICS`."""
        if metric not in METRICS:
            raise EvaluationError(f"truth: there is no metric '{metric}'; there are {', '.join(METRICS)}.")
        expected: Expected = getattr(self, metric)
        return expected

    def to_frame(self) -> pd.DataFrame:
        """One row a metric: ``metric``, ``value``, ``standard_error``, ``label``."""
        rows = [(name, self[name].value, self[name].standard_error, self.label) for name in METRICS]
        return pd.DataFrame(rows, columns=["metric", "value", "standard_error", "label"])

    def lift(self, base: Truth) -> pd.DataFrame:
        """One row a metric: ``metric``, ``lift`` (value / value of ``base`` - 1), ``standard_error``, ``label``.

        The standard error takes the two as independent draws (delta method).
        """
        rows = []
        for name in METRICS:
            own, other = self[name], base[name]
            ratio = own.value / other.value
            error = np.hypot(own.standard_error / own.value, other.standard_error / other.value) * abs(ratio)
            rows.append((name, ratio - 1, float(error), self.label))
        return pd.DataFrame(rows, columns=["metric", "lift", "standard_error", "label"])


@dataclass(frozen=True, eq=False)
class Requests:
    """B requests of a log found again in their world: viewers, rooms, and the products on each shelf.

    Args:
        response: how viewers respond.
        grounds: of all rooms of the world.
        cost: [L] of the products.
        places: B viewers, rooms of the world, hours.
        shelf_row: [B] row of ``shelf``.
        shelf: [R, C] products on the shelves as logged, -1 is padding.
    """

    response: Response
    grounds: Grounds
    cost: FloatArray
    places: Places
    shelf_row: IntArray
    shelf: IntArray

    @classmethod
    def of(
        cls, slates: Slates, response: Response, grounds: Grounds, catalogue: Catalogue, schedule: Schedule
    ) -> Requests:
        """The requests of ``slates``.

        Raises:
            UnknownIdError: a viewer, room or product on a shelf is not of this world.
        """
        item_ix = slates.shelves.item_ix
        on_shelf = slates.shelves.items.ids[np.unique(item_ix[item_ix >= 0])]
        catalogue.live.indices(on_shelf)
        index = np.append(catalogue.live.indices_or_missing(slates.shelves.items.ids), -1)
        places = Places(
            user_ix=response.viewers.users.indices(slates.user_id),
            row=schedule.rooms.indices(slates.shelves.rooms.ids)[slates.room_ix],
            hour=slates.ts % DAY_US // HOUR_US,
        )
        return cls(response, grounds, catalogue.cost, places, slates.room_ix, index[item_ix])

    def __len__(self) -> int:
        return len(self.shelf_row)

    def chunks(self) -> Iterator[slice]:
        """Slices of at most 4,096 requests."""
        yield from (slice(start, min(start + _CHUNK, len(self))) for start in range(0, len(self), _CHUNK))

    def values(self, rows: slice) -> FloatArray:
        """[b, C, 4] for each product of the shelf: chance of a click at the top, order given the click, price, cost."""
        live, places = self.shelf[self.shelf_row[rows]], self.places.at(rows)
        click, order = self.response.chances(places, self.grounds, live)
        return np.stack([click, order, self.grounds.price[places.row[:, None], live], self.cost[live]], axis=2)


def truth_of_policy(requests: Requests, draw: FloatArray, rng: np.random.Generator, n_slates: int) -> Truth:
    """The truth of the Plackett-Luce policy with first-draw chances ``draw`` [B, C]; see `World.truth`."""
    if n_slates < 2:
        raise EvaluationError(f"truth: n_slates is {n_slates}; at least 2 are needed to know the Monte-Carlo error.")
    width = requests.shelf.shape[1]
    if draw.shape != (len(requests), width):
        raise PolicyError(
            f"truth: draw probabilities have shape {draw.shape}, not {(len(requests), width)}: [requests, shelf]."
        )
    outside = (draw > 0) & (requests.shelf[requests.shelf_row] < 0)
    if outside.any():
        raise PolicyError(
            f"truth: {int(outside.any(axis=1).sum())} requests draw what is not on their shelf. Set padding to 0."
        )
    k = requests.response.config.slate_size

    def drawn(rows: slice) -> Iterator[IntArray]:
        for _ in range(n_slates):
            yield plackett_luce.sample(draw[rows], k, rng)

    return _mean_over(requests, drawn, n_slates)


def truth_of_slates(requests: Requests, shown: IntArray) -> Truth:
    """The truth of showing just these slates [B, K], columns of the shelf; exact."""
    if shown.ndim != 2 or shown.shape[0] != len(requests) or shown.shape[1] > requests.response.config.slate_size:
        raise PolicyError(
            f"truth: slates have shape {shown.shape}; expected {len(requests)} requests and at most "
            f"{requests.response.config.slate_size} positions."
        )
    return _mean_over(requests, lambda rows: iter([shown[rows]]), 1)


def _mean_over(requests: Requests, slates: Callable[[slice], Iterator[IntArray]], n_slates: int) -> Truth:
    """The truth from the slates of each chunk of requests, drawn ``n_slates`` times over.

    With ``y`` [S, B, 7] the expected sums given each slate, the estimate is a ratio of sums over requests of the mean
    over slates; the covariance of those sums is that within requests, over S, and goes through the ratio by the delta
    method.
    """
    if len(requests) == 0:
        raise EvaluationError("truth: there is not one request to take the mean over. Choose a longer window.")
    total, covariance = np.zeros(len(_SUMS)), np.zeros((len(_SUMS), len(_SUMS)))
    for rows in requests.chunks():
        values = requests.values(rows)
        drawn = np.stack([_outcomes(values, shown, requests.response.attention) for shown in slates(rows)])
        mean = drawn.mean(axis=0)
        total += mean.sum(axis=0)
        if n_slates > 1:
            away = (drawn - mean).reshape(-1, len(_SUMS))
            covariance += away.T @ away / (n_slates * (n_slates - 1))
    metrics: dict[str, Any] = {name: _ratio(total, covariance, *_RATIOS[name]) for name in METRICS}
    return Truth(**metrics, requests=len(requests), slates=n_slates)


def _outcomes(values: FloatArray, shown: IntArray, attention: FloatArray) -> FloatArray:
    """[b, 7] expected sums of `_SUMS` for slates ``shown`` [b, K], exact given the slate."""
    there = shown >= 0
    at = np.take_along_axis(values, np.maximum(shown, 0)[:, :, None], axis=1)
    click = at[:, :, 0] * attention[: shown.shape[1]] * there
    order = click * at[:, :, 1]
    price, cost = at[:, :, 2], at[:, :, 3]
    sums = [there, click, order]
    rest = [
        1 - np.prod(1 - order, axis=1),
        (order * price).sum(axis=1),
        (order * (price - cost)).sum(axis=1),
        np.ones(len(shown)),
    ]
    return np.stack([*(each.sum(axis=1) for each in sums), *rest], axis=1)


def _ratio(total: FloatArray, covariance: FloatArray, numerator: str, denominator: str) -> Expected:
    """The ratio of two sums and its standard error."""
    n, d = _SUMS.index(numerator), _SUMS.index(denominator)
    ratio = total[n] / total[d]
    slope = np.zeros(len(total))
    slope[n], slope[d] = 1 / total[d], -ratio / total[d]
    return Expected(float(ratio), float(np.sqrt(np.maximum(slope @ covariance @ slope, 0.0))))
