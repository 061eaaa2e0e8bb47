"""Features of what buyers say of a product, and of how new it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from beautyrec.data.log import EventLog
from beautyrec.data.schema import AVAILABLE_AT, IMPRESSION, ITEM_ID, LAUNCHED_AT, RATING, TS
from beautyrec.errors import ConfigError
from beautyrec.features.builder import AS_OF, ROW, Feature
from beautyrec.features.counts import PARTS, counted, days_between, parts, window_of
from beautyrec.features.history import ALL, Past, attach, first_before


@dataclass(frozen=True)
class ItemRating:
    """The mean rating of a product, how many there are, and how old the last one is.

    ``item_rating = (sum of its ratings + s m) / (n + s)``, with ``m`` the mean of all ratings known: any event that
    states a rating counts. Ratings are taken to four decimals.

    Args:
        strength: ratings that the mean of all is worth.
    """

    strength: float = 5.0
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not self.strength > 0:
            raise ConfigError(f"ItemRating: strength is {self.strength}; give a number above 0.")

    @property
    def entity(self) -> tuple[str, ...]:
        """The product."""
        return (ITEM_ID,)

    @property
    def features(self) -> tuple[Feature, ...]:
        """A mean, a count, a duration."""
        past = "all the past"
        return (
            Feature("item_rating", "the shop's scale of ratings", past, "nobody has rated anything yet"),
            Feature("item_ratings", "ratings", past),
            Feature("item_rating_age", "days", past, "nobody has rated the product yet"),
        )

    def expr(self, log: EventLog, keys: Any) -> Any:
        """Mean, count and age of the ratings by product."""
        import ibis

        rated = log.events.filter(log.events[RATING].notnull())
        rated = rated.select(ITEM_ID, AVAILABLE_AT, TS, stars=parts(rated[RATING]), n=ibis.literal(1, "int64"))
        past = Past.of(rated, keys, {"known": ALL})
        everybody = past.known((), ["stars", "n"]).rename(all_stars="stars_known", all_n="n_known")
        known = attach(attach(keys, everybody, ()), past.known([ITEM_ID], ["stars", "n", TS]), [ITEM_ID])
        mean = known["all_stars"] / known["all_n"].nullif(0)
        return known.select(
            ROW,
            item_rating=(known["stars_known"] + self.strength * mean) / (known["n_known"] + self.strength) / PARTS,
            item_ratings=known["n_known"].cast("float64"),
            item_rating_age=days_between(known[f"{TS}_known"], known[AS_OF]),
        )


@dataclass(frozen=True)
class ItemAge:
    """Days since a product was launched, and since anything first happened to it.

    ``item_age = (as_of - launched_at) / 1 day``, from the catalogue; ``item_days_seen`` is the same from the earliest
    of the events known.
    """

    version: ClassVar[int] = 1

    @property
    def entity(self) -> tuple[str, ...]:
        """The product."""
        return (ITEM_ID,)

    @property
    def features(self) -> tuple[Feature, ...]:
        """Two durations."""
        return (
            Feature("item_age", "days", "the catalogue", "no date of launch, or one after the moment"),
            Feature("item_days_seen", "days", "all the past", "the product has no event yet"),
        )

    def expr(self, log: EventLog, keys: Any) -> Any:
        """Days since two moments by product."""
        import ibis

        known = attach(keys, first_before(log.events, keys, [ITEM_ID]), [ITEM_ID])
        known = known.left_join(log.items.select(ITEM_ID, LAUNCHED_AT), ITEM_ID, rname="list_{name}")
        launched = known[LAUNCHED_AT]
        age = ibis.ifelse(launched <= known[AS_OF], days_between(launched, known[AS_OF]), ibis.null("float64"))
        return known.select(ROW, item_age=age, item_days_seen=days_between(known[TS], known[AS_OF]))


@dataclass(frozen=True)
class ItemRarity:
    """How seldom a product was shown: the surprise of seeing it.

    ``item_rarity = log2((1 + impressions of all) / (1 + impressions of it))``, known in the window: 0 bits where it is
    all that was shown (after Vargas & Castells 2011, self-information as novelty).

    Args:
        days: length of the window.
    """

    days: int = 30
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.days < 1:
            raise ConfigError(f"ItemRarity: days is {self.days}; give at least 1 day.")

    @property
    def entity(self) -> tuple[str, ...]:
        """The product."""
        return (ITEM_ID,)

    @property
    def features(self) -> tuple[Feature, ...]:
        """One surprise."""
        return (Feature("item_rarity", "bits", window_of(self.days)),)

    def expr(self, log: EventLog, keys: Any) -> Any:
        """Log ratio of two counts by product."""
        past = Past.of(counted(log, {"shown": [IMPRESSION]}), keys, {"known": self.days})
        known = attach(keys, past.known((), ["shown"]).rename(shown_all="shown_known"), ())
        known = attach(known, past.known([ITEM_ID], ["shown"]), [ITEM_ID])
        ratio = (1.0 + known["shown_all"]) / (1 + known["shown_known"])
        return known.select(ROW, item_rarity=ratio.log2())
