"""The month as it happened: room by room the shelf, the slates, the clicks and the orders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from beautyrec import plackett_luce
from beautyrec.simulate.live import DAY_US, HOUR_US
from beautyrec.simulate.response import Grounds, Places, Response
from beautyrec.simulate.rooms import Schedule
from beautyrec.simulate.shelves import Depot, Filling
from beautyrec.types import BoolArray, FloatArray, IntArray

SECOND_US = 1_000_000
"""Microseconds of a second."""

_SHELF = {"shelf": -1, "draw": 0, "stock": 0}  # fields by room, and what pads them


@dataclass(frozen=True, eq=False)
class Month:
    """R rooms, N requests in the order of time, K positions, C products on the widest shelf.

    Args:
        shelf: [R, C] products on each shelf, -1 is padding.
        draw: [R, C] the legacy policy's first-draw chances, 0 at padding.
        stock: [R, C] units at the start of the room, 0 at padding.
        places: the requests' viewers, rooms and hours.
        ts: [N] when each was made, microseconds UTC.
        shown: [N, K] column on the room's shelf, -1 where the slate is shorter.
        live: [N, K] the product there, -1 likewise.
        propensity: [N, K] chance of the product given those above it.
        slate_propensity: [N] chance of the slate.
        clicked: [N, K].
        ordered: [N, K].
        click_at: [N, K] when a click would come, microseconds UTC.
        order_at: [N, K] when an order would come.
    """

    shelf: IntArray
    draw: FloatArray
    stock: IntArray
    places: Places
    ts: IntArray
    shown: IntArray
    live: IntArray
    propensity: FloatArray
    slate_propensity: FloatArray
    clicked: BoolArray
    ordered: BoolArray
    click_at: IntArray
    order_at: IntArray


@dataclass(frozen=True, eq=False)
class Stage:
    """All that a month hangs on apart from the two intercepts of the response.

    Args:
        schedule: rooms, prices, audiences.
        grounds: what the rooms say of the products.
        filling: what shelves are filled by.
        depot: deliveries.
        seed: of the slates, clicks and orders.
        attempt: likewise; see `beautyrec.simulate.calibrate.settle`.
    """

    schedule: Schedule
    grounds: Grounds
    filling: Filling
    depot: Depot
    seed: int
    attempt: int = 0


def play(stage: Stage, response: Response, on_day: Callable[[int], None] | None = None) -> Month:
    """The month under these intercepts.

    Each room has its own stream of random numbers, so that two passes with nearly the same intercepts differ in
    nearly nothing.

    Args:
        stage: the month's rooms, prices, audiences, keys and deliveries.
        response: how viewers respond.
        on_day: called with the number of days done.
    """
    days = stage.schedule.day
    played: list[Month] = []
    sold, sold_at = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    for room in range(len(stage.schedule)):
        done = _play_room(stage, response, room, stage.depot.stock(int(stage.schedule.start[room]), sold, sold_at))
        sold = np.concatenate([sold, done.live[done.ordered]])
        sold_at = np.concatenate([sold_at, done.order_at[done.ordered]])
        played.append(done)
        if on_day is not None and (room + 1 == len(days) or days[room + 1] > days[room]):
            on_day(int(days[room]) + 1)
    return _join(played)


def _play_room(stage: Stage, response: Response, room: int, stock: IntArray) -> Month:
    """One room as a month of its own: its shelf, then all its viewers at once."""
    rng = np.random.default_rng([stage.seed, 21, room, stage.attempt])
    depot, schedule = stage.depot, stage.schedule
    day = (int(schedule.start[room]) - depot.start) / DAY_US
    size = int(schedule.size[room])
    candidates = stage.filling.candidates(room, size, day)
    columns = stage.filling.on_shelf(candidates, size, stock)
    shelf = candidates[columns]
    draw = stage.filling.legacy(room, shelf)
    user_ix, ts = schedule.audience[room], schedule.entry[room]
    places = Places(user_ix, np.full(len(user_ix), room), ts % DAY_US // HOUR_US)
    shown = _slates(len(user_ix), columns, draw, len(candidates), response.config.slate_size, rng)
    live = np.where(shown >= 0, shelf[shown], -1)
    click, order = response.chances(places, stage.grounds, live)
    chance = rng.random((2, *shown.shape))
    clicked = chance[0] < click * response.attention
    click_at = ts[:, None] + _delay(2, 25, shown.shape, rng)
    order_at = click_at + _delay(20, 150, shown.shape, rng)
    propensity = plackett_luce.conditional(np.broadcast_to(draw, (len(user_ix), len(draw))), shown)
    return Month(
        shelf=shelf[None],
        draw=draw[None],
        stock=stock[None, shelf],
        places=places,
        ts=ts,
        shown=shown,
        live=live,
        propensity=propensity,
        slate_propensity=np.prod(np.where(shown >= 0, propensity, 1.0), axis=1),
        clicked=clicked,
        ordered=clicked & (chance[1] < order),
        click_at=click_at,
        order_at=order_at,
    )


def _slates(
    requests: int, columns: IntArray, draw: FloatArray, candidates: int, k: int, rng: np.random.Generator
) -> IntArray:
    """[requests, k] columns of the shelf, drawn over all candidates, of which there are as many in every pass."""
    chances = np.zeros(candidates)
    chances[columns] = draw
    drawn = plackett_luce.sample(np.broadcast_to(chances, (requests, candidates)), k, rng)
    place = np.full(candidates + 1, -1, dtype=np.int64)
    place[columns] = np.arange(len(columns))
    return place[drawn]


def _delay(least: float, usual: float, shape: tuple[int, ...], rng: np.random.Generator) -> IntArray:
    """Microseconds: at least ``least`` seconds, and log-normal around ``usual`` beyond."""
    return ((least + usual * rng.lognormal(0, 0.7, shape)) * SECOND_US).astype(np.int64)


def _join(played: list[Month]) -> Month:
    """All requests in the order of time, shelves padded to the widest."""
    wide = max(room.shelf.shape[1] for room in played)
    order = np.argsort(np.concatenate([room.ts for room in played]), kind="stable")
    parts = {}
    for name in (field.name for field in fields(Month) if field.name != "places"):
        rows = [getattr(room, name) for room in played]
        if name in _SHELF:
            filler = _SHELF[name]
            parts[name] = np.concatenate(
                [np.pad(r, ((0, 0), (0, wide - r.shape[1])), constant_values=filler) for r in rows]
            )
        else:
            parts[name] = np.concatenate(rows)[order]
    return Month(places=Places.join([room.places for room in played]).at(order), **parts)
