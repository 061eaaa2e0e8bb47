"""The month's rooms: when, of what kind, with whom, at what prices, and who comes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from beautyrec.data.vocabulary import Vocabulary
from beautyrec.simulate.config import Scene, WorldConfig
from beautyrec.simulate.live import DAY_US, HOUR_US, Catalogue
from beautyrec.simulate.viewers import Viewers
from beautyrec.types import FloatArray, IntArray

_HOURS = np.arange(10, 23)
_HOUR_WEIGHT = np.array([2, 2, 3, 3, 3, 3, 3, 4, 5, 7, 8, 7, 4], dtype=np.float64)  # evenings, when people are at home
_MINUTES = np.array([60, 90, 120])


@dataclass(frozen=True, eq=False)
class Schedule:
    """R rooms in order of their start.

    Args:
        rooms: ids 1..R.
        scene: [R] index of the scene.
        host: [R] index of the host.
        day: [R] day of the month, 0-based.
        start: [R] start, microseconds UTC.
        end: [R] end.
        size: [R] products wanted on the shelf.
        price: [R, L] price of each product in each room, on its shelf or not.
        audience: R arrays of the viewers' user indices, in order of entering.
        entry: R arrays of when they entered, microseconds UTC, ascending.
    """

    rooms: Vocabulary
    scene: IntArray
    host: IntArray
    day: IntArray
    start: IntArray
    end: IntArray
    size: IntArray
    price: FloatArray
    audience: tuple[IntArray, ...]
    entry: tuple[IntArray, ...]

    def __len__(self) -> int:
        return len(self.rooms)


def draw_schedule(
    catalogue: Catalogue, viewers: Viewers, config: WorldConfig, start_us: int, rng: np.random.Generator
) -> Schedule:
    """The month's rooms.

    Viewers come to a room without replacement, in proportion to their activity and their liking of the scene.
    """
    count = config.days * config.rooms_per_day
    share = np.array([scene.share for scene in config.scenes])
    scene = rng.choice(len(config.scenes), size=count, p=share / share.sum())
    hour = rng.choice(_HOURS, size=count, p=_HOUR_WEIGHT / _HOUR_WEIGHT.sum())
    begins = np.repeat(np.arange(config.days), config.rooms_per_day) * DAY_US + hour * HOUR_US
    begins = begins + rng.integers(4, size=count) * (HOUR_US // 4)
    order = np.argsort(begins, kind="stable")
    scene, hour, start = scene[order], hour[order], start_us + begins[order]
    end = start + rng.choice(_MINUTES, size=count) * (HOUR_US // 60)
    audience = _audiences(scene, hour, viewers, config, rng)
    entry = _entries(start, end, audience, rng)
    return Schedule(
        rooms=Vocabulary.from_ids(np.arange(1, count + 1)),
        scene=scene,
        host=rng.integers(config.hosts, size=count),
        day=(start - start_us) // DAY_US,
        start=start,
        end=end,
        size=_sizes(scene, config, rng),
        price=_prices(scene, catalogue, config, rng),
        audience=audience,
        entry=entry,
    )


def with_audience(schedule: Schedule, viewers: Viewers, config: WorldConfig, rng: np.random.Generator) -> Schedule:
    """The same rooms with these viewers in them, drawn as those of `draw_schedule` are."""
    hour = schedule.start % DAY_US // HOUR_US
    audience = _audiences(schedule.scene, hour, viewers, config, rng)
    return replace(schedule, audience=audience, entry=_entries(schedule.start, schedule.end, audience, rng))


def discounts(scene: Scene, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Fractions taken off the price in a room of this scene."""
    return np.asarray(rng.uniform(scene.discount_low, scene.discount_high, shape))


def _sizes(scene: IntArray, config: WorldConfig, rng: np.random.Generator) -> IntArray:
    """[R] products wanted on each shelf."""
    low = np.array([s.shelf_low for s in config.scenes])[scene]
    high = np.array([s.shelf_high for s in config.scenes])[scene]
    place = low + (high - low) * rng.random(len(scene))
    size: IntArray = np.rint(config.shelf_min + place * (config.shelf_max - config.shelf_min)).astype(np.int64)
    return size


def _prices(scene: IntArray, catalogue: Catalogue, config: WorldConfig, rng: np.random.Generator) -> FloatArray:
    """[R, L] list price less the room's discount, at least a cent."""
    price = np.empty((len(scene), len(catalogue.price)))
    for index, kind in enumerate(config.scenes):
        at = scene == index
        price[at] = catalogue.price * (1 - discounts(kind, (int(at.sum()), len(catalogue.price)), rng))
    return np.asarray(np.maximum(np.round(price, 2), 0.01))


def _entries(
    start: IntArray, end: IntArray, audience: tuple[IntArray, ...], rng: np.random.Generator
) -> tuple[IntArray, ...]:
    """When each viewer of each room enters it, evenly over its time."""
    return tuple(np.sort(rng.integers(start[room], end[room], size=len(who))) for room, who in enumerate(audience))


def _audiences(
    scene: IntArray, hour: IntArray, viewers: Viewers, config: WorldConfig, rng: np.random.Generator
) -> tuple[IntArray, ...]:
    """Who enters each room; more come in the evening and to the larger scenes."""
    size = (
        np.array([s.audience for s in config.scenes])[scene]
        * (_HOUR_WEIGHT / _HOUR_WEIGHT.mean())[hour - _HOURS[0]] ** 0.5
    )
    expected = config.days * config.viewers_per_day * size / size.sum()
    wanted = np.clip(rng.poisson(expected), 1, len(viewers.users))
    people = []
    for room in range(len(scene)):
        key = viewers.log_activity + viewers.scene_preference[:, scene[room]] + rng.gumbel(size=len(viewers.users))
        who = np.argpartition(-key, wanted[room] - 1)[: wanted[room]]
        people.append(rng.permutation(np.sort(who)))
    return tuple(people)
