"""Features of a table of keys within the engine, from table to file: no frame of all rows is ever in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from beautyrec.data.log import EventLog
from beautyrec.data.schema import BRAND, CATEGORY, ITEM_ID
from beautyrec.engine import Engine
from beautyrec.errors import ConfigError, SchemaError
from beautyrec.features.builder import AS_OF, ROW, FeatureBuilder
from beautyrec.features.keys import key_columns, kind_of
from beautyrec.types import Progress

_OF_THE_ITEM = (CATEGORY, BRAND)


def write_features(
    builders: Sequence[FeatureBuilder], log: EventLog, keys: Any, path: Path, on_progress: Progress | None
) -> None:
    """The work of :meth:`beautyrec.features.feature_set.FeatureSet.write`."""
    check_keys(builders, log, keys)
    names = [feature.name for builder in builders for feature in builder.features]
    with ExitStack() as stack:
        wide = keys
        done = 0
        for entity, group in _groups(builders).items():
            distinct = stack.enter_context(kept(log.engine, _entities(log, keys, entity, group)))
            features = distinct
            for builder in group:
                wanted = distinct.select(ROW, *builder.entity, AS_OF)
                built = stack.enter_context(kept(log.engine, builder.expr(log, wanted)))
                _check_rows(builder, log.engine, built, distinct)
                features = features.inner_join(built, ROW)
                done += 1
                if on_progress:
                    on_progress(done, len(builders))
            of_group = [feature.name for builder in group for feature in builder.features]
            wide = _joined(log, wide, features, entity, of_group)
        kept_keys = [name for name in keys.columns if name not in names]
        wide = wide.select(*kept_keys, **{name: wide[f"of_{name}"] for name in names})
        log.engine.write(wide, path)


def check_keys(builders: Sequence[FeatureBuilder], log: EventLog, keys: Any) -> None:
    """Whether a table has the keys of some builders, and in the log's types.

    Raises:
        SchemaError: a column is missing or of another type.
    """
    for name in key_columns(name for builder in builders for name in builder.entity):
        if name not in keys.columns:
            raise SchemaError(f"feature keys: column '{name}' is missing; the table has {list(keys.columns)}. Add it.")
        found, wanted = keys[name].type().to_pyarrow(), kind_of(name, log)
        if found != wanted:
            raise SchemaError(f"feature keys: '{name}' is {found}, the log has {wanted}: cast it.")


def _check_rows(builder: FeatureBuilder, engine: Engine, built: Any, keys: Any) -> None:
    """Whether a builder gave a row a key.

    Raises:
        ConfigError: it gave more or fewer.
    """
    rows, n = (engine.frame(table.aggregate(n=table.count()))["n"].iloc[0] for table in (built, keys))
    if rows != n:
        raise ConfigError(f"{type(builder).__name__} gave {rows} rows for {n} keys; a builder gives one row a key.")


def _groups(builders: Sequence[FeatureBuilder]) -> dict[tuple[str, ...], list[FeatureBuilder]]:
    """The builders by the key columns that tell their rows apart; a product tells its category and its brand.

    So a viewer and a category are taken with the viewers and products, where other builders want those.
    """
    plain = {builder.entity for builder in builders if not {CATEGORY, BRAND} & set(builder.entity)}
    groups: dict[tuple[str, ...], list[FeatureBuilder]] = {}
    for builder in builders:
        entity = builder.entity
        if ITEM_ID in entity:
            entity = tuple(name for name in entity if name not in _OF_THE_ITEM)
        elif (of_item := key_columns(entity)[:-1]) in plain:
            entity = of_item
        groups.setdefault(entity, []).append(builder)
    return groups


def _entities(log: EventLog, keys: Any, entity: tuple[str, ...], group: Sequence[FeatureBuilder]) -> Any:
    """The distinct entities and moments of the keys, numbered, with what the builders want of the product."""
    import ibis

    wanted = {name for builder in group for name in builder.entity if name not in entity}
    found = _described(log, keys, set(entity)).select(*entity, AS_OF).distinct()
    return _described(log, found, wanted).mutate(**{ROW: ibis.row_number()})


def _described(log: EventLog, table: Any, wanted: set[str]) -> Any:
    """``table`` with those of category and brand that are wanted, from the catalogue."""
    columns = [name for name in _OF_THE_ITEM if name in wanted]
    if not columns:
        return table
    table = table.drop(*(name for name in columns if name in table.columns))
    return table.left_join(log.items.select(ITEM_ID, *columns), ITEM_ID, rname="list_{name}").drop(f"list_{ITEM_ID}")


def _joined(log: EventLog, wide: Any, features: Any, entity: tuple[str, ...], names: Sequence[str]) -> Any:
    """``wide`` with some features of its entities and moments, each as ``of_NAME``; a null in a key matches a null."""
    columns = [*entity, AS_OF]
    right = features.select(
        **{f"key_{name}": features[name] for name in columns},
        **{f"of_{name}": features[name].cast("float64") for name in names},
    )
    left = _described(log, wide, {name for name in entity if name not in wide.columns})
    return left.left_join(right, [left[name].identical_to(right[f"key_{name}"]) for name in columns]).drop(
        *(f"key_{name}" for name in columns)
    )


@contextmanager
def kept(engine: Engine, expression: Any) -> Iterator[Any]:
    """The rows of an Ibis expression as a table of the engine, dropped afterwards."""
    table = engine.keep(expression)
    try:
        yield table
    finally:
        engine.drop(table)
