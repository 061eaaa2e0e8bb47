"""What products would do in a room that is only planned: used to say what a line-up is truly worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from beautyrec.data import schema
from beautyrec.data.times import microseconds
from beautyrec.errors import ConfigError
from beautyrec.simulate.config import SIMULATED
from beautyrec.simulate.live import DAY_US, HOUR_US, Catalogue
from beautyrec.simulate.month import Stage
from beautyrec.simulate.response import Places, Response, lay_grounds
from beautyrec.simulate.rooms import Schedule
from beautyrec.types import IntArray

_VIEWERS = 2000


@dataclass(frozen=True)
class RoomPlan:
    """A room that might be held.

    Args:
        scene: name of its scene.
        starts_at: when; its day sets trends (after the last day: those of the last day), its hour the hour effect.
        discount: fraction taken off list prices; the middle of the scene's where it is None.
    """

    scene: str
    starts_at: pd.Timestamp
    discount: float | None = None


def expected_demand(
    response: Response, catalogue: Catalogue, stage: Stage, plan: RoomPlan, items: pd.Index | None = None
) -> pd.DataFrame:
    """True demand per impression, averaged over up to 2,000 of the viewers who came to rooms of the scene in the month.

    A product is taken at a middling position (the mean attention of a slate), the host as nobody in particular.

    Args:
        response: how viewers respond.
        catalogue: the products.
        stage: the month's rooms and viewers.
        plan: the room.
        items: ids of products on air; all of them where it is None.

    Returns:
        One row a product: ``item_id``, ``price`` in the room, ``click`` and ``order`` (expected number per impression),
        ``revenue`` and ``margin`` per impression, ``label``.

    Raises:
        ConfigError: there is no such scene.
        UnknownIdError: a product is not on air in this world.
    """
    names = [scene.name for scene in response.config.scenes]
    if plan.scene not in names:
        raise ConfigError(f"room plan: there is no scene '{plan.scene}'; there are {', '.join(names)}.")
    scene = np.array([names.index(plan.scene)])
    live = np.arange(len(catalogue.live)) if items is None else catalogue.live.indices(items)
    kind = response.config.scenes[int(scene[0])]
    discount = (kind.discount_low + kind.discount_high) / 2 if plan.discount is None else plan.discount
    price = np.maximum(np.round(catalogue.price * (1 - discount), 2), 0.01)
    start = microseconds(plan.starts_at)
    day = np.array([(start - stage.depot.start) // DAY_US])
    grounds = lay_grounds(response.effects, catalogue, price[None], scene, np.array([-1]), day)
    who = _viewers(stage.schedule, int(scene[0]))
    places = Places(who, np.zeros_like(who), np.full(len(who), start % DAY_US // HOUR_US))
    click, order = response.chances(places, grounds, np.broadcast_to(live, (len(who), len(live))))
    seen = float(response.attention.mean())
    orders = (click * order).mean(axis=0) * seen
    return pd.DataFrame(
        {
            schema.ITEM_ID: catalogue.live.ids_at(live),
            schema.PRICE: price[live],
            schema.CLICK: click.mean(axis=0) * seen,
            schema.ORDER: orders,
            schema.REVENUE: orders * price[live],
            "margin": orders * (price - catalogue.cost)[live],
            "label": SIMULATED,
        }
    )


def _viewers(schedule: Schedule, scene: int) -> IntArray:
    """At most 2,000 visits of the scene, evenly over the month; of all rooms where it was never held."""
    rooms = np.flatnonzero(schedule.scene == scene)
    rooms = rooms if len(rooms) else np.arange(len(schedule))
    visits = np.concatenate([schedule.audience[room] for room in rooms])
    at = np.linspace(0, len(visits) - 1, min(len(visits), _VIEWERS)).astype(np.int64)
    return visits[at]
