"""Features of what buyers say of a product, and of how new it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from beautyrec.data.log import EventLog
from beautyrec.data.schema import IMPRESSION, ITEM_ID, LAUNCHED_AT, RATING
from beautyrec.errors import ConfigError
from beautyrec.features.amounts import PARTS, First, Last, Sum, rated, stars
from beautyrec.features.builder import MOMENT, Asked, Feature, Looked, Need
from beautyrec.features.counts import days_since, window_of


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

    def needs(self, log: EventLog) -> Mapping[str, Need]:  # noqa: ARG002
        """Ratings of the product and of all."""
        given, count, item = Sum(value=stars), Sum(value=rated), (ITEM_ID,)
        of_all = {"all_stars": Asked(given, ()), "all_n": Asked(count, ())}
        last = Asked(Last(having=RATING), item)
        return {**of_all, "stars": Asked(given, item), "n": Asked(count, item), "last": last}

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """Mean, count and age."""
        mean = known["all_stars"] / known["all_n"].nullif(0)
        return {
            "item_rating": (known["stars"] + self.strength * mean) / (known["n"] + self.strength) / PARTS,
            "item_ratings": known["n"],
            "item_rating_age": days_since(known["last"], known),
        }


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

    def needs(self, log: EventLog) -> Mapping[str, Need]:
        """The launch, and the first event of the product."""
        launches = log.items.select(ITEM_ID, launched=log.engine.microseconds(log.items[LAUNCHED_AT]))
        return {"launched": Looked(launches, (ITEM_ID,), "launched"), "first": Asked(First(), (ITEM_ID,))}

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """Days since both."""
        import ibis

        launched = known["launched"]
        age = ibis.ifelse(launched <= known[MOMENT], days_since(launched, known), ibis.null("float64"))
        return {"item_age": age, "item_days_seen": days_since(known["first"], known)}


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

    def needs(self, log: EventLog) -> Mapping[str, Need]:  # noqa: ARG002
        """Impressions of the product and of all."""
        shown = Sum((IMPRESSION,))
        return {"all": Asked(shown, (), self.days), "shown": Asked(shown, (ITEM_ID,), self.days)}

    def values(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        """Log ratio of two counts."""
        return {"item_rarity": ((1.0 + known["all"]) / (1 + known["shown"])).log2()}
