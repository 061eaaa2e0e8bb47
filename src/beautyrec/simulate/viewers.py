"""The shoppers as viewers of live rooms: what each likes, what each minds paying, how often each comes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from beautyrec.data.vocabulary import Vocabulary
from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.live import Catalogue, relative_price, standardise
from beautyrec.simulate.tastes import Bought, Tastes, on_unit_spread, shrunk_means
from beautyrec.types import Float32Array, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Viewers:
    """What is true of U shoppers.

    Args:
        users: their ids.
        taste: scaled tastes, [U, d] and [L, d]; the product has standard deviation 1.
        whim: [U, G] liking of each category on air that nothing else shows, click logit.
        click: [U] how readily a viewer clicks at all, click logit.
        order: [U] how readily a viewer orders, order logit.
        price_click: [U] click logit per unit of log relative price; mostly below 0.
        price_order: [U] likewise for the order.
        log_activity: [U] log of how often a viewer comes.
        scene_preference: [U, S] added to that for each scene.
    """

    users: Vocabulary
    taste: Tastes
    whim: Float32Array
    click: FloatArray
    order: FloatArray
    price_click: FloatArray
    price_order: FloatArray
    log_activity: FloatArray
    scene_preference: FloatArray


def draw_viewers(
    users: Vocabulary,
    bought: Bought,
    tastes: Tastes,
    catalogue: Catalogue,
    config: WorldConfig,
    rng: np.random.Generator,
) -> Viewers:
    """The viewers, from their purchases and, for what purchases can't show, from chance.

    A viewer's price slope is the world's plus a spread times a standard score: the shrunk mean (three purchases count
    for the average shopper) of log(price / category median) over what they bought. Who comes is in proportion to the
    root of the number of purchases, times a log-normal factor.
    """
    n, scenes = len(users), len(config.scenes)
    relative = relative_price(catalogue.list_price, catalogue.median)[bought.row]
    spending = standardise(shrunk_means(relative[:, None], bought, 3.0)[:, 0])
    count = np.maximum(np.bincount(bought.user_ix, minlength=n), 1)
    return Viewers(
        users=users,
        taste=on_unit_spread(tastes, catalogue.rows),
        whim=rng.standard_normal((n, catalogue.categories), dtype=np.float32) * np.float32(config.whim_spread),
        click=config.viewer_spread * rng.standard_normal(n),
        order=config.buyer_spread * rng.standard_normal(n),
        price_click=-config.price_slope + config.price_spread * spending,
        price_order=-config.order_price_slope + config.order_price_spread * spending,
        log_activity=0.5 * np.log(count) + config.activity_spread * rng.standard_normal(n),
        scene_preference=config.scene_preference * rng.standard_normal((n, scenes)),
    )


def other_viewers(
    viewers: Viewers, users: Vocabulary, like: IntArray, config: WorldConfig, rng: np.random.Generator
) -> Viewers:
    """Others of the same kind: what purchases show is that of the shopper each is like, the rest is drawn anew.

    Taste, price slopes and how often they come are the shopper's; whims, readiness to click and to order, and liking of
    scenes are their own.

    Args:
        viewers: U viewers of a world.
        users: ids of the V others.
        like: [V] index of a viewer of the world.
        config: settings.
        rng: source of randomness.
    """
    n, categories = len(users), viewers.whim.shape[1]
    return replace(
        viewers,
        users=users,
        taste=Tastes(viewers.taste.users[like], viewers.taste.items),
        whim=rng.standard_normal((n, categories), dtype=np.float32) * np.float32(config.whim_spread),
        click=config.viewer_spread * rng.standard_normal(n),
        order=config.buyer_spread * rng.standard_normal(n),
        price_click=viewers.price_click[like],
        price_order=viewers.price_order[like],
        log_activity=viewers.log_activity[like],
        scene_preference=config.scene_preference * rng.standard_normal((n, len(config.scenes))),
    )
