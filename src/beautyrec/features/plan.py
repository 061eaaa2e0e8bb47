"""What several builders need of a log, each need once, and what they make of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from beautyrec.data.log import EventLog
from beautyrec.data.schema import ITEM_ID, ROOM_ID
from beautyrec.engine import Engine
from beautyrec.errors import ConfigError
from beautyrec.features.builder import AS_OF, MOMENT, Asked, FeatureBuilder, Looked, LookedBack, Need
from beautyrec.features.keys import key_columns
from beautyrec.features.traits import By, here, is_trait

MOMENT_HERE: Final = f"_{MOMENT}"
"""Name of the moment where it is brought to keys: none of their own columns, which may have any name."""


@dataclass(frozen=True, eq=False)
class Plan:
    """The needs of builders, each once, under a name of its own.

    Args:
        builders: in the order of their features.
        needs: what each builder needs, by the builder's name for it.
        names: the name here of each need; equal ones share it.
    """

    builders: tuple[FeatureBuilder, ...]
    needs: tuple[Mapping[str, Need], ...]
    names: Mapping[Any, str]

    @classmethod
    def of(cls, builders: Sequence[FeatureBuilder], log: EventLog) -> Plan:
        """What builders need of a log."""
        needs = tuple(builder.needs(log) for builder in builders)
        each = dict.fromkeys(_identity(need) for of_one in needs for need in of_one.values())
        return cls(tuple(builders), needs, {need: f"_n{number}" for number, need in enumerate(each)})

    @property
    def shelf(self) -> tuple[str, ...]:
        """The key columns that place a product on a shelf: many keys share them and a moment."""
        entity = key_columns(by for builder in self.builders for by in builder.entity)
        return tuple(name for name in (ITEM_ID, ROOM_ID) if name in entity)

    def on_shelf(self, by: Iterable[By]) -> bool:
        """Whether something follows from the place on the shelf and the moment."""
        return bool(self.shelf) and all(each in (*self.shelf, AS_OF) or is_trait(each) for each in by)

    def of_shelf(self, builder: FeatureBuilder) -> bool:
        """Whether all values of a builder follow from them."""
        needs = self.needs[self.builders.index(builder)]
        return self.on_shelf([*builder.entity, *(by for need in needs.values() for by in need.by)])

    @property
    def traits(self) -> tuple[By, ...]:
        """What the catalogue must say of the products of the keys."""
        wanted: list[By] = [by for builder in self.builders for by in builder.entity]
        wanted += [by for of_one in self.needs for need in of_one.values() for by in need.by]
        return tuple(dict.fromkeys(by for by in wanted if is_trait(by)))

    @property
    def asked(self) -> dict[tuple[By, ...], dict[Asked, str]]:
        """What is asked, by its columns, with its names."""
        asked: dict[tuple[By, ...], dict[Asked, str]] = {}
        for need, name in self.names.items():
            if isinstance(need, Asked):
                asked.setdefault(need.by, {})[need] = name
        return asked

    @property
    def tables(self) -> list[tuple[Looked | LookedBack, dict[str, str]]]:
        """What is looked up, each table once, with the names here of its columns."""
        tables: dict[Any, tuple[Looked | LookedBack, dict[str, str]]] = {}
        for need in (need for of_one in self.needs for need in of_one.values()):
            if not isinstance(need, Asked):
                identity = _identity(need)
                tables.setdefault(identity[:-1], (need, {}))[1][need.column] = self.names[identity]
        return list(tables.values())

    def names_of(self, builders: Iterable[FeatureBuilder]) -> list[str]:
        """The names here of what some builders need, and of the traits that they see."""
        needs = [need for builder in builders for need in self.needs[self.builders.index(builder)].values()]
        traits = [by for need in needs for by in need.by] + [by for builder in builders for by in builder.entity]
        names = [self.names[_identity(need)] for need in needs] + [here(by) for by in traits if is_trait(by)]
        return list(dict.fromkeys(names))

    def values(self, wide: Any, builders: Iterable[FeatureBuilder]) -> dict[str, Any]:
        """The features of some builders, as columns of a table that has the key columns and what they need."""
        features = {}
        for builder in builders:
            columns = {name: wide[here(name)] for name in builder.entity}
            columns |= {AS_OF: wide[AS_OF], MOMENT: wide[MOMENT_HERE]}
            needs = self.needs[self.builders.index(builder)]
            values = builder.values(columns | {name: self._column(wide, need) for name, need in needs.items()})
            features.update({feature.name: values[feature.name].cast("float64") for feature in builder.features})
        return features

    def _column(self, wide: Any, need: Need) -> Any:
        column = wide[self.names[_identity(need)]]
        nothing = need.amount.nothing if isinstance(need, Asked) else None
        return column if nothing is None else column.fill_null(nothing)


def refuse_doubled(plan: Plan, engine: Engine) -> None:
    """Whether each key is at most once in each table that keys are looked up in.

    Raises:
        ConfigError: some are there twice.
    """
    tables = [need for need, _ in plan.tables if isinstance(need, Looked)]
    for need in tables:
        rows = need.table.group_by(*need.by).aggregate(rows=need.table.count())
        rows = rows.filter(rows["rows"] > 1)
        twice = engine.arrow(rows.aggregate(n=rows.count()))["n"][0].as_py()
        if twice:
            raise ConfigError(
                f"features: '{need.column}' is looked up by {', '.join(need.by)} in a table that has {twice} of them more "
                "than once. Give the builder a table with one row each."
            )


def _identity(need: Need) -> Any:
    """What equal needs share, the column last."""
    if isinstance(need, Asked):
        return need
    return (need.table.op() if isinstance(need, Looked) else need.make, need.by, need.column)
