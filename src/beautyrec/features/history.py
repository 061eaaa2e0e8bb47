"""What was known before a moment, added up, for many entities and moments at once.

Events and keys are laid into one stream, ordered in time within each entity, and added up from its start; a key takes
the sum that stands where it lies. A window is the difference of two such places. Keys come before events of the same
moment, so that a tie is never seen. Sorting is all the cost, n log n: no join of events with keys, nothing but unions
and window functions, which every engine behind Ibis has.

Before that, events between which no key can tell (see :mod:`beautyrec.features.clock`) are added up, and of viewers with
products only those are taken of which some key has a past: what is sorted is small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from beautyrec.data.log import EventLog
from beautyrec.data.schema import AVAILABLE_AT, EVENT, ITEM_ID, TS
from beautyrec.features.amounts import Amount
from beautyrec.features.builder import AS_OF, MOMENT, Asked
from beautyrec.features.clock import AT, CODE, DAYS, Clock
from beautyrec.features.traits import By, described, here, is_trait, name_of

_KEY: Final = "key"
"""Column of a stream: whether a row is of a key."""


@dataclass(frozen=True, eq=False)
class History:
    """The events of a log, for the keys of one clock.

    Args:
        log: the events and the catalogue.
        clock: numbers events and keys.
    """

    log: EventLog
    clock: Clock

    def events(self, amounts: Mapping[Amount, str], by: Sequence[By]) -> Any:
        """The events that count in some amounts: ``by``, ``at`` and the amounts under their names."""
        events = self.log.events
        if all(amount.names for amount in amounts):
            events = events.filter(events[EVENT].isin(sorted({name for each in amounts for name in each.names})))
        times = {name: self.log.engine.microseconds(events[name]) for name in (AVAILABLE_AT, TS)}
        events = events.mutate(**times)
        own = [each for each in by if not is_trait(each)] + [ITEM_ID] * any(map(is_trait, by))
        values = {name: amount.of(events) for amount, name in amounts.items()}
        events = events.select(*dict.fromkeys(own), **{AT: events[AVAILABLE_AT]}, **values)
        return described(events, self.log.items, by)

    def steps(self, amounts: Mapping[Amount, str], by: Sequence[By]) -> Any:
        """The amounts by entity and number of the clock."""
        return added_up(self.clock.events(self.events(amounts, by)), by, amounts)

    def steps_with_keys(self, amounts: Mapping[Amount, str], by: Sequence[By], marks: Any) -> Any:
        """As :meth:`steps`, of the entities of some keys alone."""
        events = self.events(amounts, by)
        events = events.semi_join(marks, same(events, marks, by))
        return added_up(self.clock.events(events), by, amounts)

    def with_a_past(self, keys: Any, by: Sequence[By], amounts: Mapping[Amount, str]) -> Any:
        """The distinct ``by, as_of, moment`` of keys before which an event of their entity was known."""
        events = self.events(amounts, by)
        if not any(map(is_trait, by)):
            return keys.semi_join(events, [*same(events, keys, by), keys[MOMENT] > events[AT]]).distinct()
        # many events of a viewer share what the catalogue says: the first of them is enough
        first = events.group_by(*(here(each) for each in by)).aggregate(first=events[AT].min())
        joined = keys.inner_join(first, [*same(first, keys, by), keys[MOMENT] > first["first"]])
        return joined.select(*keys.columns).distinct()


def same(events: Any, keys: Any, by: Sequence[By]) -> list[Any]:
    """That events and keys agree in some columns; what the catalogue does not say of two products is the same."""
    return [events[here(each)].identical_to(keys[name_of(each)]) for each in by]


def added_up(steps: Any, by: Sequence[By], amounts: Mapping[Amount, str]) -> Any:
    """Steps with one row for each entity and number."""
    entity = {name_of(each): steps[here(each)] for each in by}
    return steps.group_by(**entity, **{CODE: steps[CODE]}).aggregate(
        **{name: amount.total(steps[name]) for amount, name in amounts.items()}
    )


def known(
    clock: Clock, steps: Any, keys: Any, by: Sequence[str], asked: Mapping[Asked, str], amounts: Mapping[Amount, str]
) -> Any:
    """What is asked of the past of some keys.

    Args:
        clock: numbered the steps.
        steps: Ibis table of the amounts by entity and number.
        keys: Ibis table of the distinct ``by, as_of, moment``.
        by: the columns that name an entity; none for all events.
        asked: names of the columns.
        amounts: names of the columns of the steps.

    Returns:
        ``by``, ``as_of`` and the columns asked for, null where nothing was known.
    """
    windows = {each.days or 0 for each in asked} | {0}
    marks = clock.keys(keys.select(*by, AS_OF, MOMENT), windows).select(*by, AS_OF, DAYS, CODE)
    totals = {amounts[each.amount]: each.amount for each in asked}
    running = running_totals(steps, marks, by, CODE, {name: amount.total for name, amount in totals.items()})
    if windows == {0}:
        return running.select(*by, AS_OF, **{name: running[amounts[each.amount]] for each, name in asked.items()})
    values = {}
    for each, name in asked.items():
        total = running[amounts[each.amount]]
        value = total.max(where=running[DAYS] == 0)
        values[name] = value if each.days is None else value - total.max(where=running[DAYS] == each.days).fill_null(0)
    return running.group_by(*by, AS_OF).aggregate(**values)


def running_totals(
    steps: Any, marks: Any, by: Sequence[str], at: str, totals: Mapping[str, Callable[[Any], Any]]
) -> Any:
    """Marks, with totals over all steps of their entity that lie before them.

    Args:
        steps: Ibis table with the columns ``by``, ``at`` and those to be added up.
        marks: Ibis table with the columns ``by``, ``at`` and any others.
        by: the columns that name an entity.
        at: the column that orders both.
        totals: gives one value of several, for each column of the steps that is wanted.

    Returns:
        ``marks`` with these columns.
    """
    import ibis

    others = [name for name in marks.columns if name not in (*by, at)]
    nothing = {name: ibis.null(steps[name].type()) for name in totals}
    of_marks = marks.select(*by, at, *others, **nothing, **{_KEY: ibis.literal(True)})
    no_key = {name: ibis.null(marks[name].type()) for name in others}
    of_steps = steps.select(*by, at, *totals, **no_key, **{_KEY: ibis.literal(False)})
    stream = of_marks.union(of_steps.select(*of_marks.columns))
    order = [stream[at], ~stream[_KEY]]
    before = ibis.window(group_by=[stream[name] for name in by], order_by=order, preceding=None, following=0)
    running = stream.mutate(**{name: total(stream[name]).over(before) for name, total in totals.items()})
    return running.filter(running[_KEY]).drop(_KEY)
