"""What several builders count: events by name, amounts of money, rates drawn towards those of the category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from beautyrec.data.log import EventLog
from beautyrec.data.schema import AVAILABLE_AT, CATEGORY, EVENT, ITEM_ID, ROOM_ID, TS
from beautyrec.features.builder import AS_OF, SECONDS_A_DAY
from beautyrec.features.history import Past, attach, latest_before

PARTS: Final = 10_000
"""Amounts are added up in whole ten-thousandths: a sum of integers is the same in any order."""


def window_of(days: int) -> str:
    """The length of a window, in words."""
    return "1 day" if days == 1 else f"{days} days"


def counted(
    log: EventLog, counts: Mapping[str, Sequence[str]], keep: Sequence[str] = (ITEM_ID,), *, rooms: bool = False
) -> Any:
    """Events with a 0/1 column for each group of event names; those of live rooms alone if ``rooms``."""
    names = sorted({name for group in counts.values() for name in group})
    events = log.events.filter(log.events[EVENT].isin(names))
    if rooms:
        events = events.filter(events[ROOM_ID].notnull())
    flags = {column: events[EVENT].isin(list(group)).cast("int64") for column, group in counts.items()}
    return events.select(*keep, AVAILABLE_AT, **flags)


def parts(amount: Any) -> Any:
    """An amount in whole ten-thousandths, 0 where it has a gap."""
    return (amount * PARTS).round().cast("int64").fill_null(0)


def days_since(log: EventLog, keys: Any, by: Sequence[str], names: Sequence[str] = ()) -> Any:
    """``keys`` with ``since``: days since the last event of these names, of any where there are none, by entity."""
    events = log.events.filter(log.events[EVENT].isin(list(names))) if names else log.events
    known = attach(keys, latest_before(events, keys, by), by)
    return known.mutate(since=days_between(known[TS], known[AS_OF])).drop(TS)


def days_between(earlier: Any, later: Any) -> Any:
    """Days of 24 hours from one moment to another."""
    return later.delta(earlier, unit="microsecond") / (SECONDS_A_DAY * 1e6)


def smoothed_rate(log: EventLog, events: Any, keys: Any, days: int, strengths: tuple[float, float]) -> Any:
    """``keys`` with ``rate``: successes a trial of the product, drawn to its category, drawn to the shop.

    Args:
        log: the catalogue, which says the category.
        events: Ibis table with ``item_id, available_at`` and the 0/1 columns ``successes`` and ``trials``.
        keys: Ibis table with ``item_id, category, as_of``.
        days: length of the window.
        strengths: trials that the category's rate is worth for a product, and the shop's for a category.
    """
    import ibis

    past, rated = Past.of(events, keys, {"known": days}), keys
    steps = past.steps.left_join(log.items.select(ITEM_ID, CATEGORY), ITEM_ID).drop(f"{ITEM_ID}_right")
    in_category = replace(past, steps=steps)
    for of, by, strength in (
        (past, (), 0.0),
        (in_category, (CATEGORY,), strengths[1]),
        (past, (ITEM_ID,), strengths[0]),
    ):
        rated = attach(rated, of.known(by, ["successes", "trials"]), by)
        successes = rated["successes_known"]
        trials = ibis.greatest(rated["trials_known"], successes)
        prior = strength * rated["rate"] if strength else 0.0
        rate = (successes + prior) / (trials + strength).nullif(0)
        rated = rated.mutate(rate=rate).drop("successes_known", "trials_known")
    return rated


def smoothed_share(events: Any, keys: Any, by: str, attribute: str, strength: float) -> Any:
    """``keys`` with ``share``: of what an entity did, the part that went to the key's ``attribute``, smoothed.

    ``(k + s q) / (n + s)``, where ``q`` is the attribute's share of what all did.

    Args:
        events: Ibis table with ``by``, ``attribute``, ``available_at``.
        keys: Ibis table with ``by``, ``attribute``, ``as_of``.
        by: the column that names the entity.
        attribute: the column whose value in the key is asked for.
        strength: events that everybody's share is worth.
    """
    import ibis

    events = events.mutate(n=ibis.literal(1, "int64"))
    past, done = Past.of(events, keys, {"known": None}), keys
    for name, columns in {"all": (), "theirs": (by,), "of_it": (attribute,), "of_both": (by, attribute)}.items():
        done = attach(done, past.known(columns, ["n"]), columns).rename({name: "n_known"})
    everybody = done["of_it"] / done["all"].nullif(0)
    share = (done["of_both"] + strength * everybody) / (done["theirs"] + strength)
    return done.mutate(share=ibis.ifelse(done[attribute].isnull(), ibis.null("float64"), share))
