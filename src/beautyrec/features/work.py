"""What several builders need, found once for all of them and brought to their keys; then one pass over the keys.

What follows from the place of a product on a shelf and the moment is found for each such place of the keys, features included,
and reaches these by one join. What is asked of viewers, and of viewers with products that have a past, is found for each of
them. All this lies in tables of the engine that are far smaller than the keys; the keys stream past them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Final

from beautyrec.data.log import EventLog
from beautyrec.data.schema import ITEM_ID
from beautyrec.engine import Engine
from beautyrec.features.amounts import Amount
from beautyrec.features.builder import AS_OF, MOMENT, Asked, Looked
from beautyrec.features.clock import Clock
from beautyrec.features.history import History, added_up, known
from beautyrec.features.plan import MOMENT_HERE, Plan
from beautyrec.features.traits import By, described, here, is_trait, name_of
from beautyrec.types import Progress

_FEATURE: Final = "_of_{}"
"""Name of a feature where it is brought to keys."""


@dataclass(frozen=True, eq=False)
class Lookup:
    """Columns to be brought to keys.

    Args:
        table: Ibis table with the columns ``by`` and ``columns``.
        by: the columns of the key, ``as_of`` among them where the values hang on it.
        columns: what is brought, under names that nothing else has.
    """

    table: Any
    by: tuple[By, ...]
    columns: tuple[str, ...]


@contextmanager
def with_features(
    plan: Plan, log: EventLog, keys: Any, on_progress: Progress | None = None
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Some keys, and the features as columns of the same Ibis table. Tables made on the way are dropped at the end.

    Args:
        plan: the builders and their needs.
        log: what happened.
        keys: Ibis table with the key columns of the builders and ``as_of``, and any others.
        on_progress: called after each part of the work: once for each entity that is asked of, and at the end.
    """
    with ExitStack() as stack:
        parts = len(plan.asked) + 1
        keys = keys.mutate(**{MOMENT_HERE: log.engine.microseconds(keys[AS_OF])})
        work = _Work(plan, log, keys, stack, lambda done: on_progress(done, parts) if on_progress else None)
        wide = _brought(work.keys, work.lookups())
        features = {name: wide[_FEATURE.format(name)] for name in work.on_shelf}
        features |= plan.values(wide, [builder for builder in plan.builders if not plan.of_shelf(builder)])
        yield wide, {feature.name: features[feature.name] for builder in plan.builders for feature in builder.features}
        work.on_part(parts)


@dataclass(frozen=True, eq=False)
class _Work:
    """The tables of a plan, as they are made."""

    plan: Plan
    log: EventLog
    keys: Any
    stack: ExitStack
    on_part: Callable[[int], None]

    def keep(self, expression: Any) -> Any:
        """The rows of an expression as a table, until the end."""
        return _kept(self.log.engine, expression, self.stack)

    @property
    def on_shelf(self) -> list[str]:
        """The features that are found on the shelf."""
        of_shelf = filter(self.plan.of_shelf, self.plan.builders)
        return [feature.name for builder in of_shelf for feature in builder.features]

    @cached_property
    def shelf(self) -> Any:
        """The distinct places on shelves and moments of the keys, with what the catalogue says of the products."""
        places = self.keys.select(*self.plan.shelf, AS_OF, MOMENT_HERE).distinct()
        return self.keep(described(places, self.log.items, self.plan.traits))

    @cached_property
    def history(self) -> History:
        """The events, numbered for the moments of the keys."""
        windows = {0} | {each.days for of_by in self.plan.asked.values() for each in of_by if each.days is not None}
        clock = Clock.of(self.log.engine, self._seen(()), windows)
        self.stack.callback(clock.drop, self.log.engine)
        return History(self.log, clock)

    def lookups(self) -> list[Lookup]:
        """All that is to be brought to the keys; what follows from their place on the shelf as one."""
        every = self._tables()
        for number, lookup in enumerate(chain(self._of_products(), self._of_others()), 1):
            every.append(lookup)
            self.on_part(number)
        if not self.plan.shelf:
            return every
        of_shelf = [lookup for lookup in every if self.plan.on_shelf(lookup.by)]
        table = _brought(self.shelf, of_shelf)
        features = self.plan.values(table, filter(self.plan.of_shelf, self.plan.builders))
        rest = [builder for builder in self.plan.builders if not self.plan.of_shelf(builder)]
        brought = [name for name in self.plan.names_of(rest) if name in table.columns]
        features = {_FEATURE.format(name): value for name, value in features.items()}
        table = self.keep(table.select(*self.plan.shelf, AS_OF, *brought, **features))
        whole = Lookup(table, (*self.plan.shelf, AS_OF), (*brought, *features))
        return [whole, *(lookup for lookup in every if lookup not in of_shelf)]

    def _seen(self, by: Sequence[By]) -> Any:
        """Some columns of the keys, with their moments; rows may repeat."""
        if self.plan.on_shelf(by):
            return _columns(self.shelf, by)
        own = [name_of(each) for each in by if not is_trait(each)] + [ITEM_ID] * any(map(is_trait, by))
        seen = described(self.keys.select(*dict.fromkeys(own), AS_OF, MOMENT_HERE), self.log.items, by)
        return _columns(seen, by)

    def _of_products(self) -> Iterator[Lookup]:
        """What is asked of products and of what the catalogue says of them: events are added up by product, once."""
        asked = {by: of_by for by, of_by in self.plan.asked.items() if self._of_product(by)}
        if not asked:
            return
        amounts = _amounts(each for of_by in asked.values() for each in of_by)
        steps = self.history.steps(amounts, (ITEM_ID,))
        steps = self.keep(steps) if len(asked) > 1 else steps
        for by, of_by in asked.items():
            wanted = {each.amount: amounts[each.amount] for each in of_by}
            of_entity = added_up(described(steps, self.log.items, by), by, wanted) if by != (ITEM_ID,) else steps
            yield self._known(by, of_by, of_entity, self._seen(by).distinct(), amounts)

    def _of_product(self, by: Sequence[By]) -> bool:
        return ITEM_ID in self.plan.shelf and all(each == ITEM_ID or is_trait(each) for each in by)

    def _of_others(self) -> Iterator[Lookup]:
        """What is asked of anything else: of pairs, such as a viewer with a product, only those that have a past."""
        for by, of_by in self.plan.asked.items():
            if self._of_product(by):
                continue
            amounts, keys = _amounts(of_by), self._seen(by)
            with ExitStack() as meanwhile:
                if len(by) > 1:
                    keys = _kept(self.log.engine, self.history.with_a_past(keys, by, amounts), meanwhile)
                    steps = self.history.steps_with_keys(amounts, by, keys)
                else:
                    keys, steps = keys.distinct(), self.history.steps(amounts, by)
                lookup = self._known(by, of_by, steps, keys, amounts)
            yield lookup

    def _known(
        self, by: tuple[By, ...], asked: Mapping[Asked, str], steps: Any, keys: Any, amounts: Mapping[Amount, str]
    ) -> Lookup:
        table = self.keep(known(self.history.clock, steps, keys, [name_of(each) for each in by], asked, amounts))
        return Lookup(table, (*by, AS_OF), tuple(asked.values()))

    def _tables(self) -> list[Lookup]:
        """What is looked up in other tables."""
        lookups = []
        for need, columns in self.plan.tables:
            renamed = {new: old for old, new in columns.items()}
            if isinstance(need, Looked):
                lookups.append(Lookup(need.table.select(*need.by, **renamed), need.by, tuple(renamed)))
            else:
                made = need.make(self._seen(need.by).distinct())
                made = self.keep(made.select(*need.by, AS_OF, **renamed))
                lookups.append(Lookup(made, (*need.by, AS_OF), tuple(renamed)))
        return lookups


def _kept(engine: Engine, expression: Any, stack: ExitStack) -> Any:
    """The rows of an expression as a table, until a stack ends."""
    table = engine.keep(expression)
    stack.callback(engine.drop, table)
    return table


def _columns(table: Any, by: Sequence[By]) -> Any:
    """``by, as_of, moment`` of a table to which moments and traits were brought."""
    columns = {name_of(each): table[here(each)] for each in by}
    return table.select(**columns, **{AS_OF: table[AS_OF], MOMENT: table[MOMENT_HERE]})


def _amounts(asked: Iterable[Asked]) -> dict[Amount, str]:
    """Names of the columns of amounts."""
    return {amount: f"a{number}" for number, amount in enumerate(dict.fromkeys(each.amount for each in asked))}


def _brought(table: Any, lookups: Sequence[Lookup]) -> Any:
    """A table with the columns of lookups; a gap in a key, or in what the catalogue says, is like any other gap."""
    names = list(table.columns)
    for number, lookup in enumerate(lookups):
        keys = {name_of(by): f"_k{number}_{name_of(by)}" for by in lookup.by}
        right = lookup.table.select(*lookup.columns, **{new: lookup.table[name] for name, new in keys.items()})
        agree = []
        for by in lookup.by:
            left, other = table[here(by)], right[keys[name_of(by)]]
            agree.append(left == other if by == AS_OF else left.identical_to(other))
        table = table.left_join(right, agree)
        names += lookup.columns
    return table.select(*names)
