"""What several builders make of what is known: days between moments, rates and shares drawn towards those of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beautyrec.data.schema import CATEGORY, CLICK, ITEM_ID, ORDER
from beautyrec.features.amounts import Sum
from beautyrec.features.builder import MICROSECONDS_A_DAY, MOMENT, Asked
from beautyrec.features.traits import By

TAKEN = Sum((CLICK, ORDER))
"""Clicks and orders: what a viewer has taken to."""


def window_of(days: int) -> str:
    """The length of a window, in words."""
    return "1 day" if days == 1 else f"{days} days"


def days_since(time: Any, known: Mapping[str, Any]) -> Any:
    """Days of 24 hours from a time in microseconds to the moment of the key."""
    return (known[MOMENT] - time) / float(MICROSECONDS_A_DAY)


def asked_of_rate(successes: Sum, trials: Sum, days: int) -> dict[str, Asked]:
    """What :func:`smoothed_rate` needs: both counts, of the shop, of the category and of the product."""
    levels: dict[str, tuple[By, ...]] = {"all": (), "category": (CATEGORY,), "item": (ITEM_ID,)}
    counts = {"successes": successes, "trials": trials}
    return {f"{name}_{of}": Asked(counts[name], by, days) for of, by in levels.items() for name in counts}


def smoothed_rate(known: Mapping[str, Any], strengths: tuple[float, float]) -> Any:
    """Successes a trial of the product, drawn to its category, drawn to the shop.

    Args:
        known: what :func:`asked_of_rate` asks.
        strengths: trials that the category's rate is worth for a product, and the shop's for a category.
    """
    import ibis

    rate = None
    for of, strength in {"all": 0.0, "category": strengths[1], "item": strengths[0]}.items():
        successes = known[f"successes_{of}"]
        trials = ibis.greatest(known[f"trials_{of}"], successes)
        prior = 0.0 if rate is None else strength * rate
        rate = (successes + prior) / (trials + strength).nullif(0)
    return rate


def asked_of_share(by: str, attribute: By) -> dict[str, Asked]:
    """What :func:`smoothed_share` needs: what was taken by all, by an entity, of an attribute, and both."""
    columns: dict[str, tuple[By, ...]] = {"all": (), "theirs": (by,), "of_it": (attribute,), "of_both": (by, attribute)}
    return {name: Asked(TAKEN, each) for name, each in columns.items()}


def smoothed_share(known: Mapping[str, Any], attribute: Any, strength: float) -> Any:
    """Of what an entity took, the part that went to the key's attribute: ``(k + s q) / (n + s)``.

    ``q`` is the attribute's share of what all took.

    Args:
        known: what :func:`asked_of_share` asks.
        attribute: the attribute of the key; where there is none there is no share.
        strength: events that everybody's share is worth.
    """
    import ibis

    everybody = known["of_it"] / known["all"].nullif(0)
    share = (known["of_both"] + strength * everybody) / (known["theirs"] + strength)
    return ibis.ifelse(attribute.isnull(), ibis.null("float64"), share)
