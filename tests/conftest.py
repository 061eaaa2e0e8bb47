from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.locate import ENVIRONMENT_VARIABLE
from beautyrec.data.log import EventLog
from beautyrec.engine import Engine, SparkEngine

TOP = Path(__file__).parents[1]
BENCHMARKS = "test_benchmarks.py"
SMALL_SPARK = {
    "spark.master": "local[2]",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",  # compiling a query costs more than running it on so few rows
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one file run in one worker, for they share fixtures; benchmarks, which are long, go first and one by one."""
    items.sort(key=lambda item: item.path.name != BENCHMARKS)
    for item in items:
        if item.path.name != BENCHMARKS:
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(TOP))))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data; tests that need it are skipped where there is none."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    folder = Path(named) if named else TOP.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            f"needs the public research data: {ENVIRONMENT_VARIABLE} or ../shared/data ('{folder}' is not there)"
        )
    return folder


@pytest.fixture(scope="session")
def spark_engine() -> Iterator[SparkEngine]:
    """A local Spark; tests that need it are skipped where there is no PySpark or no Java."""
    pytest.importorskip("pyspark", reason="needs PySpark: `make test-spark` installs it")
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        pytest.skip("needs Java 17 or 21: neither JAVA_HOME is set nor is 'java' on the PATH")
    engine = Engine.spark(settings=SMALL_SPARK)
    yield engine
    engine.session.stop()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20260301)


@pytest.fixture(scope="session")
def tiny_frames() -> dict[str, pd.DataFrame]:
    """The tables of ``tiny_log``, to be changed in copies only."""
    rng = np.random.default_rng(7)
    items, rooms = _items(), _rooms()
    shelves = _shelves(items, rooms)
    impressions = _impressions(shelves, rng)
    events = _with_outcomes(impressions, items, rng)
    users = pd.DataFrame({"user_id": np.arange(100, 108)})
    return {"events": events, "items": items, "users": users, "rooms": rooms, "shelves": shelves}


@pytest.fixture(scope="session")
def tiny_log(tiny_frames: dict[str, pd.DataFrame]) -> EventLog:
    """A small log: 12 items, 8 users, 2 rooms with shelves of 8 and 6, 60 requests of 3 positions, clicks and orders.

    Propensities are those of draws without replacement by ``draw_probability``, which is what chose.
    """
    return EventLog.from_frames(**tiny_frames)


def _items() -> pd.DataFrame:
    n = 12
    return pd.DataFrame(
        {
            "item_id": [f"item-{place:02d}" for place in range(n)],
            "title": [f"Product {place}" for place in range(n)],
            "brand": np.array(["Aster", "Birch", "Clove", None])[np.arange(n) % 4],
            "category": np.array(["Nails", "Face", "Hair"])[np.arange(n) % 3],
            "category_path": np.array(["Beauty|Nails", "Beauty|Face", "Beauty|Hair"])[np.arange(n) % 3],
            "price": 4.0 + np.arange(n),
            "cost": 2.0 + np.arange(n) / 2,
            "launched_at": pd.Timestamp("2026-01-01", tz="UTC"),
        }
    )


def _rooms() -> pd.DataFrame:
    starts = pd.to_datetime(["2026-03-01 20:00", "2026-03-02 20:00"], utc=True)
    return pd.DataFrame(
        {
            "room_id": ["room-a", "room-b"],
            "scene": ["evening", "flash sale"],
            "host": ["Mei", "Lin"],
            "starts_at": starts,
            "ends_at": starts + pd.Timedelta("2h"),
        }
    )


def _shelves(items: pd.DataFrame, rooms: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for room, chosen in zip(rooms["room_id"], (slice(0, 8), slice(6, 12)), strict=True):
        shelf = items.loc[:, ["item_id", "price"]].iloc[chosen].assign(room_id=room, stock=20)
        weight = np.arange(len(shelf), 0, -1.0)
        parts.append(shelf.assign(draw_probability=weight / weight.sum()))
    return pd.concat(parts, ignore_index=True)


def _impressions(shelves: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for request in range(60):
        room = ("room-a", "room-b")[request // 30]
        shelf = shelves[shelves["room_id"] == room]
        chance = shelf["draw_probability"].to_numpy()
        shown = rng.choice(len(shelf), size=3, replace=False, p=chance)
        above = np.concatenate([[0.0], np.cumsum(chance[shown])[:-1]])
        propensity = chance[shown] / (1 - above)
        start = pd.Timestamp("2026-03-01 20:00", tz="UTC") + pd.Timedelta(days=request // 30, minutes=request % 30)
        rows.append(
            pd.DataFrame(
                {
                    "event": "impression",
                    "ts": start,
                    "user_id": 100 + request % 8,
                    "item_id": shelf["item_id"].to_numpy()[shown],
                    "request_id": request,
                    "room_id": room,
                    "position": [1, 2, 3],
                    "propensity": propensity,
                    "slate_propensity": propensity.prod(),
                    "policy": "legacy",
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


def _with_outcomes(impressions: pd.DataFrame, items: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    keep = ["event", "ts", "user_id", "item_id", "request_id", "room_id"]
    clicks = impressions.loc[rng.random(len(impressions)) < 0.3, keep].assign(event="click")
    clicks["ts"] += pd.Timedelta("20s")
    orders = clicks[rng.random(len(clicks)) < 0.4].assign(event="order", quantity=1)
    orders["ts"] += pd.Timedelta("60s")
    orders["price"] = items.set_index("item_id")["price"].reindex(orders["item_id"]).to_numpy()
    events = pd.concat([impressions, clicks, orders]).sort_values("ts", kind="stable", ignore_index=True)
    return events.assign(event_id=np.arange(len(events)))
