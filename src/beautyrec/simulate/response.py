"""How viewers respond to what they are shown: the truth of the world.

For viewer u, product i, room r and hour h, the product at position k of the slate is clicked with chance

    attention_k * sigmoid(a + appeal_i + taste_spread * taste_ui + whim_u,category(i) + slope_u * price_ir
                            + scene_fit_r,category(i) + host_r + trend_i,day + novelty_i,day + hour_h + viewer_u)

and, once clicked, ordered with chance

    sigmoid(b + quality_i + order_taste * taste_ui + order_slope_u * price_ir
              + order_scene_fit_r,category(i) + buyer_u),

where ``price_ir`` is the log of the room's price over the median list price of the category, within -1.5..1.5.

What this assumes, and an estimator may therefore rely on or be tested against: a position is examined or not whatever
stands elsewhere (the position-based model: Craswell et al. 2008, "An Experimental Comparison of Click Position-Bias
Models"); given the slate, positions are independent of each other, and requests of each other; an order needs a click
in the same request; quantity is 1, so revenue is the room's price. Attention and relevance do not change with what a
viewer saw before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.live import Catalogue, relative_price
from beautyrec.simulate.tastes import CLIP
from beautyrec.simulate.viewers import Viewers
from beautyrec.types import FloatArray, IntArray

_PEAK_HOUR = 21


@dataclass(frozen=True, eq=False)
class Effects:
    """What is true of products, scenes, hosts and days, on the logit scale.

    Args:
        appeal: [L] click.
        quality: [L] order.
        trend: [days, L] click.
        novelty: [days, L] click.
        scene_fit: [S, G] click, by scene and category.
        order_scene_fit: [S, G] order.
        host: [hosts + 1] click; the last, index -1, is nobody in particular: 0.
        hour: [24] click.
    """

    appeal: FloatArray
    quality: FloatArray
    trend: FloatArray
    novelty: FloatArray
    scene_fit: FloatArray
    order_scene_fit: FloatArray
    host: FloatArray
    hour: FloatArray


def draw_effects(catalogue: Catalogue, config: WorldConfig, rng: np.random.Generator) -> Effects:
    """All effects, independent normals but for the links stated in `WorldConfig`."""
    n, shape = len(catalogue.live), (len(config.scenes), catalogue.categories)
    appeal = _linked(catalogue.popularity, config.popularity_link, rng)
    age = np.arange(config.days)[:, None] - np.floor(catalogue.launch_day)
    fresh = (age >= 0) & (catalogue.launch_day >= 0)
    return Effects(
        appeal=config.appeal_spread * appeal,
        quality=config.quality_spread * _linked(appeal, config.quality_link, rng),
        trend=_trend(n, config, rng),
        novelty=np.where(fresh, config.novelty * np.exp(-np.maximum(age, 0) / config.novelty_days), 0.0),
        scene_fit=config.scene_spread * rng.standard_normal(shape),
        order_scene_fit=config.order_scene_spread * rng.standard_normal(shape),
        host=np.append(config.host_spread * rng.standard_normal(config.hosts), 0.0),
        hour=config.hour_spread * np.sqrt(2) * np.cos(2 * np.pi * (np.arange(24) - _PEAK_HOUR) / 24),
    )


def _linked(standard: FloatArray, link: float, rng: np.random.Generator) -> FloatArray:
    """[L] standard normals whose correlation with ``standard`` is ``link``."""
    return np.asarray(link * standard + np.sqrt(1 - link**2) * rng.standard_normal(len(standard)))


def _trend(products: int, config: WorldConfig, rng: np.random.Generator) -> FloatArray:
    """[days, L] a stationary autoregression of order 1 for each product."""
    shocks = rng.standard_normal((config.days, products))
    trend = np.empty_like(shocks)
    trend[0] = shocks[0]
    for day in range(1, config.days):
        trend[day] = config.trend_memory * trend[day - 1] + np.sqrt(1 - config.trend_memory**2) * shocks[day]
    return np.asarray(config.trend_spread * trend)


@dataclass(frozen=True, eq=False)
class Places:
    """B viewers and the rooms they are in; what a response is asked for.

    Args:
        user_ix: [B] of the viewers.
        row: [B] row of the `Grounds`.
        hour: [B] hour of the day, UTC.
    """

    user_ix: IntArray
    row: IntArray
    hour: IntArray

    def __len__(self) -> int:
        return len(self.user_ix)

    def at(self, rows: slice | IntArray) -> Places:
        """Those of ``rows``."""
        return Places(self.user_ix[rows], self.row[rows], self.hour[rows])

    @classmethod
    def join(cls, parts: Sequence[Places]) -> Places:
        """All of ``parts``, one after another."""
        user_ix, row, hour = zip(*((part.user_ix, part.row, part.hour) for part in parts), strict=True)
        return cls(np.concatenate(user_ix), np.concatenate(row), np.concatenate(hour))


@dataclass(frozen=True, eq=False)
class Grounds:
    """What a room says about each product, whoever looks: one row a room.

    Args:
        click: [R, L] click logit.
        order: [R, L] order logit.
        price: [R, L] price.
        relative: [R, L] log(price / median of the category), within -1.5..1.5.
    """

    click: FloatArray
    order: FloatArray
    price: FloatArray
    relative: FloatArray


def lay_grounds(
    effects: Effects, catalogue: Catalogue, price: FloatArray, scene: IntArray, host: IntArray, day: IntArray
) -> Grounds:
    """The grounds of R rooms with these prices [R, L], scenes, hosts and days [R]; a day after the last is the last."""
    today = np.clip(day, 0, len(effects.trend) - 1)
    fit, order_fit = effects.scene_fit[scene], effects.order_scene_fit[scene]
    return Grounds(
        click=effects.appeal
        + effects.trend[today]
        + effects.novelty[today]
        + fit[:, catalogue.category]
        + effects.host[host, None],
        order=effects.quality + order_fit[:, catalogue.category],
        price=price,
        relative=relative_price(price, catalogue.median[catalogue.rows]),
    )


@dataclass(frozen=True, eq=False)
class Response:
    """The two chances, for any viewers, rooms and products.

    Args:
        config: settings.
        viewers: what is true of viewers.
        effects: what is true of products, scenes, hosts, days and hours.
        category: [L] category codes of the products.
        click_intercept: ``a`` of the formula above.
        order_intercept: ``b``.
    """

    config: WorldConfig
    viewers: Viewers
    effects: Effects
    category: IntArray
    click_intercept: float = 0.0
    order_intercept: float = 0.0

    @property
    def attention(self) -> FloatArray:
        """[K] chance that a position is examined; 1 at the top."""
        return np.asarray(np.arange(1.0, self.config.slate_size + 1) ** -self.config.attention_power)

    def taste(self, user_ix: IntArray, live: IntArray) -> FloatArray:
        """[B, K] taste of each viewer for products ``live`` [B, K], in standard deviations, held within -3..3."""
        users, items = self.viewers.taste.users[user_ix], self.viewers.taste.items
        if live.shape[1] * 4 < len(items):
            taste = np.einsum("bd,bkd->bk", users, items[live])
        else:
            taste = np.take_along_axis(users @ items.T, np.maximum(live, 0), axis=1)
        return np.asarray(np.clip(taste, -CLIP, CLIP), dtype=np.float64)

    def logits(self, places: Places, grounds: Grounds, live: IntArray) -> tuple[FloatArray, FloatArray]:
        """[B, K] logits of a click at the top and of an order after it, without a and b.

        Args:
            places: B viewers and rooms.
            grounds: of those rooms.
            live: [B, K] products; -1 is padding, where the logits are those of the last product and mean nothing.
        """
        who, at = places.user_ix, (places.row[:, None], live)
        taste, relative = self.taste(who, live), grounds.relative[at]
        own = (self.viewers.click[who] + self.effects.hour[places.hour])[:, None]
        whim = self.viewers.whim[who[:, None], self.category[live]]
        slope, order_slope = self.viewers.price_click[who, None], self.viewers.price_order[who, None]
        click = own + grounds.click[at] + self.config.taste_spread * taste + whim + slope * relative
        order = (
            self.viewers.order[who, None] + grounds.order[at] + self.config.order_taste * taste + order_slope * relative
        )
        return click, order

    def chances(self, places: Places, grounds: Grounds, live: IntArray) -> tuple[FloatArray, FloatArray]:
        """[B, K] chance of a click at the top, and of an order given a click; 0 where ``live`` is -1."""
        click, order = self.logits(places, grounds, live)
        there = live >= 0
        return sigmoid(click + self.click_intercept) * there, sigmoid(order + self.order_intercept) * there


def sigmoid(logit: FloatArray) -> FloatArray:
    """``1 / (1 + exp(-logit))``.

    Examples:
        >>> float(sigmoid(np.array(0.0)))
        0.5
    """
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))
