"""Sixty leaks planted in sixty clean simulated logs: all are found, and nothing is reported where none was planted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.evaluation.leaks import COPY, FUTURE, ID, OVERLAP, SEPARATES, Columns, find_leaks
from beautyrec.features.context import Hour
from beautyrec.features.feature_set import FeatureSet
from beautyrec.features.items import ItemHeat, PriceInCategory
from beautyrec.features.users import UserRecency
from beautyrec.simulate.world import World
from benchmarks._harness import Measured, at_least, at_most, main, progress

FULL, QUICK = 60, 15
BUILDERS = FeatureSet((ItemHeat(), PriceInCategory(), UserRecency(), Hour(8)))

Planted = tuple[pd.DataFrame, pd.DataFrame, Columns]
Plant = Callable[[pd.DataFrame, pd.DataFrame, Columns, np.random.Generator], Planted]


def clean(seed: int) -> Planted:
    """Train and test rows of one simulated month, cut at the start of a room."""
    log = World.tiny(seed=seed).log()
    rows = log.impressions()
    starts = log.engine.frame(log.rooms).set_index("room_id")["starts_at"]
    rows["as_of"] = rows["room_id"].map(starts)
    rows = pd.concat([rows, BUILDERS.compute(log, rows)], axis=1)
    last_event = rows["user_recency"].fillna(1000.0) * pd.Timedelta(days=1)
    rows["last_seen_at"] = rows["as_of"] - last_event.clip(lower=pd.Timedelta(microseconds=1))
    cut = starts.sort_values().iloc[len(starts) * 3 // 4]
    columns = Columns(
        "clicked",
        (*BUILDERS.names, "position"),
        ids=("event_id", "request_id", "user_id", "item_id", "room_id"),
        row=("event_id",),
        as_of="as_of",
        times=("last_seen_at",),
    )
    before = rows["as_of"] < cut
    return rows[before].reset_index(drop=True), rows[~before].reset_index(drop=True), columns


def feature(make: Callable[[np.ndarray, np.random.Generator], Any]) -> Plant:
    """A feature made of the label."""

    def plant(train: pd.DataFrame, test: pd.DataFrame, columns: Columns, rng: np.random.Generator) -> Planted:
        more = replace(columns, features=(*columns.features, "planted"))
        return train.assign(planted=make(train["clicked"].to_numpy(bool), rng)), test, more

    return plant


def identity(make: Callable[[np.ndarray, np.random.Generator], Any]) -> Plant:
    """An id written by the label."""

    def plant(train: pd.DataFrame, test: pd.DataFrame, columns: Columns, rng: np.random.Generator) -> Planted:
        more = replace(columns, ids=(*columns.ids, "planted"))
        return train.assign(planted=make(train["clicked"].to_numpy(bool), rng)), test, more

    return plant


def late(share: float) -> Plant:
    """A time of which some, at least one, lie at or after the moment of their row."""

    def plant(train: pd.DataFrame, test: pd.DataFrame, columns: Columns, rng: np.random.Generator) -> Planted:
        count = max(1, round(share * len(train)))
        rows = rng.choice(len(train), count, replace=False)
        ahead = np.full(len(train), -3600.0)
        ahead[rows] = np.where(rng.random(count) < 0.5, 0, rng.exponential(600, count))
        at = train["as_of"] + pd.to_timedelta(ahead, unit="s")
        test = test.assign(planted=test["as_of"] - pd.Timedelta(hours=1))
        return train.assign(planted=at), test, replace(columns, times=(*columns.times, "planted"))

    return plant


def again(count: int) -> Plant:
    """Rows of train that stand in test as well."""

    def plant(train: pd.DataFrame, test: pd.DataFrame, columns: Columns, rng: np.random.Generator) -> Planted:
        twice = train.iloc[rng.choice(len(train), count, replace=False)].assign(as_of=test["as_of"].max())
        return train, pd.concat([test, twice], ignore_index=True), columns

    return plant


def early(count: int) -> Plant:
    """Test rows, under ids of their own, from the time of train."""

    def plant(train: pd.DataFrame, test: pd.DataFrame, columns: Columns, rng: np.random.Generator) -> Planted:
        moved = rng.choice(len(test), count, replace=False)
        as_of = test["as_of"].copy()
        as_of.iloc[moved] = train["as_of"].iloc[rng.choice(len(train), count)]
        return train, test.assign(as_of=as_of), columns

    return plant


def mostly(y: np.ndarray, rng: np.random.Generator, kept: float) -> np.ndarray:
    """The label, with a share of the rows put wrong."""
    return np.where(rng.random(len(y)) < kept, y, ~y)


PLANTS: list[tuple[str, Plant]] = [
    (SEPARATES, feature(lambda y, rng: y + rng.normal(0, 0.3, len(y)))),
    (COPY, feature(lambda y, rng: np.where(y, np.nan, rng.normal(size=len(y))))),
    (
        SEPARATES,
        feature(
            lambda y, rng: np.where(
                y, rng.normal(0, 0.01, len(y)), rng.choice([-1, 1], len(y)) + rng.normal(0, 0.2, len(y))
            )
        ),
    ),
    (
        SEPARATES,
        feature(lambda y, rng: np.where(y, "seen " + pd.Series(rng.integers(0, 3, len(y))).astype(str), "not")),
    ),
    (COPY, feature(lambda y, _: y.astype(int))),
    (COPY, feature(lambda y, _: np.where(y, "no", "yes"))),
    (COPY, feature(lambda y, rng: np.where(mostly(y, rng, 0.9995), 17.5, np.nan))),
    (FUTURE, late(0.0)),
    (FUTURE, late(0.01)),
    (FUTURE, late(1.0)),
    (ID, identity(lambda y, rng: 2 * rng.integers(0, 10**6, len(y)) + y)),
    (ID, identity(lambda y, rng: np.argsort(np.argsort(~y + rng.random(len(y)) / 2)))),
    (
        ID,
        identity(
            lambda y, rng: (
                np.where(y, "ck-", "im-") + pd.Series(rng.integers(0, 10**6, len(y))).astype(str).to_numpy(str)
            )
        ),
    ),
    (OVERLAP, again(3)),
    (OVERLAP, early(2)),
]


def measure(seed: int, quick: bool) -> Measured:
    logs = QUICK if quick else FULL
    found, reported, missed = 0, 0, []
    for number in range(logs):
        kind, plant = PLANTS[number % len(PLANTS)]
        rows = clean(seed * 1000 + number)
        rng = np.random.default_rng([seed, number])
        train, test, columns = rows
        reported += len(find_leaks(train, columns, rng, test=test))
        train, test, columns = plant(*rows, rng)
        leaks = find_leaks(train, columns, rng, test=test)
        seen = [leak for leak in leaks if leak.kind == kind and (kind == OVERLAP or leak.column == "planted")]
        found += bool(seen)
        missed += [] if seen else [f"{number}: {kind}"]
        progress(number + 1, logs)
    checks = [
        at_least("planted leaks found", found / logs, "share", 1.0),
        at_most("leaks reported in clean logs", reported, "leaks", 0),
    ]
    return checks, {"logs": logs, "kinds_of_planting": len(PLANTS), "missed": missed}


if __name__ == "__main__":
    main("leaks", measure)
