"""What the simulated world is like: every number of it, with the reason for its value."""

from __future__ import annotations

from dataclasses import dataclass

from beautyrec.errors import ConfigError

SIMULATED = "simulated"
"""The word that stands beside everything this package made up."""

LEGACY = "legacy"
"""Name of the policy that fills the simulated log."""


@dataclass(frozen=True)
class Scene:
    """One kind of live room: how its shelf is filled and what is taken off the price.

    A product is put on a shelf without replacement, in proportion to ``exp(popularity_power * log(1 + purchases) +
    new_boost * exp(-age / 60 days) + 3 * [its brand is featured] + price_tilt * log(price / median of its category))``.

    Args:
        name: its name.
        share: how often rooms are of this kind; shares are relative to each other.
        shelf_low: least products on the shelf: 0 is ``shelf_min`` of the world, 1 is ``shelf_max``.
        shelf_high: most products, likewise.
        discount_low: least fraction taken off the price.
        discount_high: largest fraction taken off; each (room, product) draws its own, evenly between the two.
        audience: viewers of such a room relative to others.
        popularity_power: how much purchases of the past count for a place on the shelf.
        new_boost: how much being new counts.
        brands: how many brands are featured; 0 for none.
        price_tilt: above 0 for dear products of each category, below 0 for cheap ones.
    """

    name: str
    share: float = 1.0
    shelf_low: float = 0.0
    shelf_high: float = 1.0
    discount_low: float = 0.0
    discount_high: float = 0.1
    audience: float = 1.0
    popularity_power: float = 0.5
    new_boost: float = 0.0
    brands: int = 0
    price_tilt: float = 0.0


SCENES = (
    Scene("evening_chat", share=0.34, shelf_low=0.3, shelf_high=1.0, audience=1.2),
    Scene("new_arrivals", share=0.22, shelf_high=0.6, popularity_power=0.2, new_boost=2.5, audience=0.9),
    Scene(
        "flash_sale", share=0.2, shelf_low=0.5, discount_low=0.15, discount_high=0.4, popularity_power=0.7, audience=1.3
    ),
    Scene("brand_day", share=0.14, shelf_high=0.7, discount_low=0.05, discount_high=0.2, brands=6),
    Scene("member_night", share=0.1, shelf_high=0.5, discount_low=0.1, discount_high=0.2, price_tilt=0.7, audience=0.6),
)
"""Five kinds of rooms that beauty shops hold; their shares, sizes and discounts are assumptions."""


@dataclass(frozen=True)
class WorldConfig:
    """All settings of a simulated world; the defaults are a shop with 1 % clicks and 2 % conversion, seen for a month.

    Spreads are standard deviations on the logit scale. Those of the click sum to a standard deviation of about 1
    (variance 0.26 appeal + 0.25 taste + 0.06 own whims + 0.09 price + 0.04 scene + 0.01 host + 0.04 trend + 0.02 hour
    + 0.25 viewer): the best tenth of what is shown is then clicked six times as often as the middle. They are
    assumptions, set before any model was run and not by looking at a model's result.

    Raises:
        ConfigError: a value is out of its bounds, or values do not go together.

    Examples:
        >>> WorldConfig(shelf_min=5)
        Traceback (most recent call last):
            ...
        beautyrec.errors.ConfigError: world: shelf_min is 5 but must be at least slate_size (10). Raise it.
    """

    days: int = 30
    """Days of live rooms, from the day after the last purchase: a month."""
    rooms_per_day: int = 10
    """Rooms a day; a shop with a few hosts holds one room an hour from noon to midnight."""
    viewers_per_day: float = 3000.0
    """Expected viewers a day, all rooms together. A viewer enters a room once and is one request."""
    live_items: int = 1000
    """Products that go on air in the month; ten shelves of 60 to 120 a day show each about once a day."""
    live_power: float = 0.5
    """A product goes on air in proportion to its purchases to this power: heads, and the middle of the tail as well."""
    launches: int = 60
    """New products among them that join during the month: about two a working day."""
    shelf_min: int = 60
    """Fewest products on a room's shelf."""
    shelf_max: int = 120
    """Most products on a room's shelf."""
    slate_size: int = 10
    """Products that a viewer is shown: one screen of the product bag."""
    hosts: int = 6
    """Hosts; few enough that each is seen in every scene."""

    click_rate: float = 0.010
    """Expected clicks per impression of the legacy policy: what a shop has before it ranks."""
    room_conversion: float = 0.020
    """Expected share of viewers who order anything, under the legacy policy: what a shop has before it ranks."""
    attention_power: float = 0.5
    """A viewer examines position k with chance ``k ** -attention_power``: 1 at the top and 0.32 at position 10;
    flatter than the 1 / k often taken for web search, as a screen of products is looked over, not read down."""

    appeal_spread: float = 0.5
    """How much products differ for everybody: picture, offer, brand."""
    popularity_link: float = 0.4
    """Correlation of a product's appeal with the log of its purchases. Below 1, as purchases are partly exposure;
    above 0, or else ranking by popularity would be ranking by chance."""
    taste_spread: float = 0.5
    """How much the match of a viewer's taste with a product counts: as much as the product's own appeal."""
    whim_spread: float = 0.25
    """A viewer's like or dislike of a category that no purchase shows: half of taste, so taste is never known fully."""
    price_slope: float = 0.25
    """Click logit lost per unit of log(price / median price of the category): a third off gives +0.1."""
    price_spread: float = 0.3
    """How much viewers differ in that; a viewer who bought dear things is less put off, or even drawn."""
    scene_spread: float = 0.2
    """How much a category fits a scene."""
    host_spread: float = 0.1
    """How much hosts differ."""
    trend_spread: float = 0.2
    """How much a product comes and goes from day to day."""
    trend_memory: float = 0.85
    """Correlation of a product's trend from one day to the next: half gone in about four days."""
    novelty: float = 0.3
    """Click logit of a product on the day it is launched..."""
    novelty_days: float = 7.0
    """...and the days after which 1/e of it is left."""
    hour_spread: float = 0.15
    """How much the hour counts; highest at 21 h."""
    viewer_spread: float = 0.5
    """How much viewers differ in clicking at all. No ranking gains by it, but it ties a viewer's impressions
    together, which intervals must respect."""

    quality_spread: float = 0.5
    """Order logit given a click: how much products differ for everybody."""
    quality_link: float = 0.3
    """Correlation of a product's quality with its appeal: what is clicked sells somewhat better."""
    order_taste: float = 0.3
    """Order logit per standard deviation of taste; less than for the click, which taste has already sorted."""
    order_price_slope: float = 0.6
    """Order logit lost per unit of log(price / median price): more than for the click, as orders cost money."""
    order_price_spread: float = 0.3
    """How much viewers differ in that."""
    order_scene_spread: float = 0.15
    """How much a category sells in a scene, given the click."""
    buyer_spread: float = 0.4
    """How much viewers differ in ordering at all."""

    temperature: float = 1.0
    """Of the legacy policy's softmax over standardised log purchases: the best twentieth of a shelf is drawn first
    some seventy times as often as the worst, yet every product is seen: about a quarter of the shelf counts as its
    effective size (1 / sum of squared chances)."""
    legacy_noise: float = 0.5
    """Standard deviation of what the legacy policy adds to each (room, product): a merchandiser's hand."""
    exploration: float = 0.05
    """Part of the first draws that is even over the shelf, so that every product has a chance."""

    stock_median: float = 5.0
    """Units of a middling product after a delivery; popular products have more, with the root of their purchases."""
    stock_spread: float = 0.6
    """Spread of the log of that."""
    stock_reserve: int = 2
    """Fewest units with which a product goes on a shelf; what a room orders beyond its stock waits for the next
    delivery (clicks and orders of a room do not hang on each other)."""
    restock_days: int = 7
    """Days between deliveries of a product: a week, in which the best sellers run out."""
    margin_low: float = 0.25
    """Least margin of a brand at list price..."""
    margin_high: float = 0.60
    """...and largest; brands lie evenly between the two."""

    activity_spread: float = 0.7
    """Spread of the log of how often a shopper comes, beyond the root of the number of purchases."""
    scene_preference: float = 0.5
    """Spread of the log of how much likelier a shopper enters one scene than another."""
    scenes: tuple[Scene, ...] = SCENES
    """The kinds of rooms."""

    def __post_init__(self) -> None:
        """Checks the values against each other."""
        for name in ("days", "rooms_per_day", "live_items", "slate_size", "hosts", "restock_days"):
            _check(name, getattr(self, name), 1, None, "1")
        for name in (field for field in self.__dataclass_fields__ if field.endswith(("_spread", "_slope", "_days"))):
            _check(name, getattr(self, name), 0, None, "0")
        for name in ("click_rate", "room_conversion", "temperature", "viewers_per_day", "novelty_days", "stock_median"):
            _check(name, getattr(self, name), 1e-9, None, "a number above 0")
        for name in ("click_rate", "room_conversion", "popularity_link", "quality_link", "trend_memory", "exploration"):
            _check(name, getattr(self, name), 0, 1, "0")
        _check("shelf_min", self.shelf_min, self.slate_size, None, f"slate_size ({self.slate_size})")
        _check("shelf_max", self.shelf_max, self.shelf_min, None, f"shelf_min ({self.shelf_min})")
        _check("launches", self.launches, 0, self.live_items - self.shelf_max, "0")
        _check("margin_high", self.margin_high, self.margin_low, 1, f"margin_low ({self.margin_low})")
        if not self.scenes:
            raise ConfigError("world: scenes is empty. Name at least one.")

    @classmethod
    def tiny(cls) -> WorldConfig:
        """A world for tests and for coverage over many seeds: some 3,000 requests, clicks 8 %, conversion 6 %.

        Stock is ample, so that one pass over the month settles its rates.
        """
        return cls(
            days=6,
            rooms_per_day=4,
            viewers_per_day=500,
            live_items=50,
            launches=4,
            shelf_min=15,
            shelf_max=20,
            slate_size=4,
            hosts=2,
            click_rate=0.08,
            room_conversion=0.06,
            stock_median=500.0,
            scenes=SCENES[:3],
        )


def _check(name: str, value: float, low: float, high: float | None, least: str) -> None:
    """Raises `ConfigError` where ``value`` is out of ``low``..``high``."""
    if not value >= low:
        raise ConfigError(f"world: {name} is {value} but must be at least {least}. Raise it.")
    if high is not None and value > high:
        raise ConfigError(f"world: {name} is {value} but must be at most {high}. Lower it.")
