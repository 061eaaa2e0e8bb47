from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from beautyrec.board import cube as cubes
from beautyrec.board.cube import OUTSIDE, UNKNOWN, Cube, refreshed
from beautyrec.board.kpis import KPIS, Filter, kpi_table, product_table
from beautyrec.errors import ConfigError, SchemaError, SourceError

START = pd.Timestamp("2026-01-01", tz="UTC")
OFFSET = 8.0


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    """A log with all that may stand in one: no room, an unknown room, no price, no cost, returns, expectations."""
    rng = np.random.default_rng(5)
    rooms = pd.DataFrame({"room_id": np.arange(20), "host": "h", "scene": rng.choice(["chat", "sale"], 20)})
    rooms["starts_at"] = START + pd.to_timedelta(np.arange(20) * 3, "D") + pd.Timedelta(hours=15)
    rooms["ends_at"] = rooms.starts_at + pd.Timedelta(hours=2)  # past the shop's midnight, which is 16:00 UTC
    rooms["traffic_cost"] = np.where(rng.random(20) < 0.7, 50.0, np.nan)
    n = 6000
    room = rng.integers(0, 22, n)  # 20 is outside, 21 not in the table
    kinds = ["impression", "click", "order", "cart", "return", "view"]
    events = pd.DataFrame(
        {"event_id": np.arange(n), "event": rng.choice(kinds, n, p=[0.5, 0.2, 0.15, 0.05, 0.05, 0.05])}
    )
    at = np.where(room < 20, room * 3 + 15 / 24, rng.integers(0, 60, n))
    events["ts"] = START + pd.to_timedelta(at * 24 + rng.random(n) * 2, "h")
    events["user_id"], events["item_id"] = rng.integers(0, 150, n), rng.integers(0, 12, n)
    events["room_id"] = pd.array(room, "Int64")
    events.loc[room == 20, "room_id"] = pd.NA
    events["price"] = np.where(rng.random(n) < 0.7, rng.integers(5, 50, n), np.nan)
    events["quantity"] = pd.array(rng.integers(1, 4, n), "Int64")
    price, cost = np.arange(12) + 10.0, np.arange(12) + 4.0
    price[:2], cost[1:4] = np.nan, np.nan
    items = pd.DataFrame({"item_id": np.arange(12), "price": price, "cost": cost, "title": "t"})
    shelves = pd.DataFrame(
        {"room_id": 3, "item_id": np.arange(12), "price": 7.0, "stock": 5, "draw_probability": 1 / 12}
    )
    expected = pd.DataFrame({"room_id": 3, "item_id": np.arange(6), "orders": 2.0, "sales": 30.0})
    return {"events": events, "items": items, "rooms": rooms, "shelves": shelves, "predictions": expected}


@pytest.fixture(scope="module")
def cube(frames: dict[str, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory) -> Cube:
    folder = write(frames, tmp_path_factory.mktemp("board") / "log")
    return refreshed(folder, utc_offset_hours=OFFSET)


def write(frames: dict[str, pd.DataFrame], folder: Path) -> Path:
    folder.mkdir()
    for name, frame in frames.items():
        if name == "events":  # two files of a folder
            (folder / "events.parquet" / "day=1").mkdir(parents=True)
            frame[:3000].to_parquet(folder / "events.parquet" / "day=1" / "part-0.parquet")
            frame[3000:].to_parquet(folder / "events.parquet" / "part-1.parquet")
        else:
            frame.to_parquet(folder / f"{name}.parquet")
    return folder


def oracle(frames: dict[str, pd.DataFrame], scene: str) -> dict[str, float]:
    """The KPIs of one scene by pandas, row by row."""
    events, rooms = frames["events"].copy(), frames["rooms"]
    events["day"] = (events.ts + pd.Timedelta(hours=OFFSET)).dt.floor("D")
    events = events.merge(rooms[["room_id", "scene", "starts_at", "traffic_cost"]], "left", "room_id")
    starts = (events.starts_at + pd.Timedelta(hours=OFFSET)).dt.floor("D")
    first = events.groupby("room_id").day.transform("min")
    events["at"] = starts.fillna(first).where(events.room_id.notna(), events.day)
    events["scene"] = events.scene.fillna(UNKNOWN).where(events.room_id.notna(), OUTSIDE)
    events["key"] = events.room_id.astype(str).where(events.room_id.notna(), "d" + events.day.astype(str))
    events = events.merge(frames["items"].rename(columns={"price": "list"}), "left", "item_id")
    shelf = frames["shelves"][["room_id", "item_id", "price"]].rename(columns={"price": "shelf"})
    events = events.merge(shelf, "left", ["room_id", "item_id"])
    is_order = events.event == "order"
    events["paid"] = (events.price.fillna(events.shelf).fillna(events.list).fillna(0) * events.quantity).where(
        is_order, 0
    )
    new = events[is_order].sort_values("ts").drop_duplicates("user_id")
    last = events["at"].max()
    mine = events[events.scene == scene]

    def share_again(kinds: list[str]) -> float:
        every = events[events.event.isin(kinds)][["user_id", "at"]].drop_duplicates()
        met = mine[mine.event.isin(kinds) & (mine["at"] + pd.Timedelta(days=30) <= last)]
        met = met[["user_id", "at", "key"]].drop_duplicates()
        days = every.groupby("user_id")["at"].apply(set)
        came = [any(0 < (d - at).days <= 30 for d in days[u]) for u, at in zip(met.user_id, met["at"], strict=True)]
        return float(np.mean(came)) if came else np.nan

    count = mine.event.value_counts().reindex(["impression", "click", "order", "return"], fill_value=0)
    seen = mine[mine.event.isin(["impression", "view"])][["key", "user_id"]].drop_duplicates()
    bought = mine[mine.event == "order"][["key", "user_id"]].drop_duplicates()
    touched = mine[mine.event == "cart"][["key", "user_id"]].drop_duplicates()
    known = mine[mine.cost.notna()]
    margin = known.paid.sum() - (known.quantity * known.cost)[known.event == "order"].sum()
    paid_for = rooms[(rooms.scene == scene) & rooms.traffic_cost.notna()]
    with_cost = mine[mine.traffic_cost.notna()]
    known_there = with_cost[with_cost.cost.notna()]
    margin_there = (
        known_there.paid.sum() - (known_there.quantity * known_there.cost)[known_there.event == "order"].sum()
    )
    spent = paid_for.traffic_cost.sum()
    newcomers = new[(new.scene == scene) & new.traffic_cost.notna()]
    pairs = mine.groupby(["room_id", "item_id"]).paid.sum().reset_index().merge(frames["predictions"])
    return {
        "viewers": len(seen),
        "impressions": count["impression"],
        "clicks": count["click"],
        "orders": count["order"],
        "ctr": count["click"] / count["impression"],
        "cvr": count["order"] / count["click"],
        "ctcvr": count["order"] / count["impression"],
        "room_conversion": len(seen.merge(bought)) / len(seen),
        "gmv": mine.paid.sum(),
        "margin": margin,
        "margin_rate": margin / known.paid.sum(),
        "cost_known": known.paid.sum() / mine.paid.sum(),
        "roi": (margin_there - spent) / spent if spent else np.nan,
        "cost_per_new_customer": spent / len(newcomers) if len(newcomers) else np.nan,
        "repurchase_30": share_again(["order"]),
        "retention_30": share_again(["impression", "view"]),
        "interaction_rate": len(seen.merge(touched)) / len(seen),
        "return_rate": count["return"] / count["order"],
        "deviation": abs(pairs.sales - pairs.paid).sum() / pairs.paid.sum() if len(pairs) else np.nan,
    }


@pytest.mark.parametrize("scene", ["chat", "sale", UNKNOWN, OUTSIDE])
def test_every_kpi_is_that_of_pandas(cube: Cube, frames: dict[str, pd.DataFrame], scene: str) -> None:
    found = kpi_table(cube, where=Filter(scenes=(scene,))).iloc[0]
    wanted = oracle(frames, scene)
    assert set(wanted) == set(KPIS)
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, nan_ok=True), name


def test_groups_and_filters_agree(cube: Cube, frames: dict[str, pd.DataFrame]) -> None:
    by_day = kpi_table(cube, ("day", "scene"), names=["orders", "gmv"])
    assert by_day.orders.sum() == (frames["events"].event == "order").sum()
    week = Filter(start=date(2026, 1, 5), end=date(2026, 1, 11))
    days = by_day.day.dt.date
    inside = by_day[(days >= date(2026, 1, 5)) & (days <= date(2026, 1, 11))]
    assert kpi_table(cube, where=week).orders[0] == inside.orders.sum()
    one = Filter(rooms=("3",))
    products = product_table(cube, one)
    assert products.gmv.sum() == pytest.approx(kpi_table(cube, where=one).gmv[0])
    assert products.gmv.is_monotonic_decreasing
    assert products.expected_orders.sum() == 12


def test_competitors_stand_beside_products_as_they_were_known_on_the_last_day(
    frames: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    """Item 4 is told of twice, item 5 too long ago, item 6 after the last day; the shelf of room 3 asks 7."""
    at = START + pd.to_timedelta([10.0, 30.0, 0.0, 59.0, 31.0 - 9 / 24], "D")
    told = pd.DataFrame({"item_id": [4, 4, 5, 6, 7], "available_at": at})
    told = told.assign(price=[9.0, 8.0, 5.0, 5.0, 14.0], rank=[3.0, 2.0, 1.0, 1.0, np.nan])
    known = refreshed(write(frames | {"competitors": told}, tmp_path / "log"), utc_offset_hours=OFFSET)
    table = product_table(known, Filter(end=date(2026, 2, 1), rooms=("3",))).set_index("item_id")
    names = ["price", "competitor_price", "price_gap", "competitor_rank"]
    assert table.loc["4", names].tolist() == pytest.approx([7.0, 8.0, -0.125, 2.0])
    assert table.loc["7", names].tolist() == pytest.approx([7.0, 14.0, -0.5, np.nan], nan_ok=True)
    assert table.loc[["5", "6"], names[1:]].isna().all(axis=None)
    early = product_table(known, Filter(end=date(2026, 1, 29), rooms=("3",))).set_index("item_id")
    assert early.competitor_price.dropna().to_dict() == {"4": 9.0, "5": 5.0}
    assert product_table(known, Filter(rooms=("3",))).set_index("item_id").competitor_price["6"] == 5.0


def test_without_a_third_party_nothing_is_told_of_competitors(cube: Cube) -> None:
    assert product_table(cube)[["competitor_price", "price_gap", "competitor_rank"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"price": None}, "give a column price or rank of the competitor, or both"),
        ({"available_at": None}, "columns .'available_at'. are missing"),
        ({"price": -1.0}, "values below 0: {'price': 2}"),
        ({"item_id": [4, 4], "price": [1.0, 2.0]}, "'item_id', 'available_at'"),
    ],
)
def test_what_is_wrong_with_competitors_is_named(
    frames: dict[str, pd.DataFrame], tmp_path: Path, change: dict[str, object], said: str
) -> None:
    told = pd.DataFrame({"item_id": [4, 5], "available_at": START, "price": 9.0})
    told = told.drop(columns=[name for name, value in change.items() if value is None])
    told = told.assign(**{name: value for name, value in change.items() if value is not None})
    with pytest.raises(SchemaError, match=said):
        refreshed(write(frames | {"competitors": told}, tmp_path / "log"))


def test_a_day_with_no_rooms_is_no_row_and_a_rate_of_nothing_is_a_gap(cube: Cube) -> None:
    none = kpi_table(cube, where=Filter(scenes=("no such scene",)))
    assert none.isna().all(axis=None)
    assert kpi_table(cube, ("day",), Filter(scenes=("no such scene",))).empty


def test_unknown_names_are_named(cube: Cube) -> None:
    with pytest.raises(ConfigError, match="unknown KPIs crt; known are viewers"):
        kpi_table(cube, names=["crt"])
    with pytest.raises(ConfigError, match="cannot group by month"):
        kpi_table(cube, ["month"])


def test_the_cube_is_made_anew_when_a_file_lands_and_only_then(
    frames: dict[str, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(frames, tmp_path / "log")
    before = refreshed(folder)
    written = before.rooms.stat().st_mtime_ns
    assert refreshed(folder) == before
    assert before.rooms.stat().st_mtime_ns == written
    late = frames["events"].tail(10).assign(event="order")
    late.to_parquet(folder / "events.parquet" / "part-2.parquet")
    after = refreshed(folder)
    assert after.events == before.events + 10
    orders = kpi_table(after, names=["orders"]).orders[0]
    os.utime(folder / "items.parquet", ns=(1, 1))

    def breaks(*_: object) -> tuple[int, int]:
        raise SourceError("half way")

    monkeypatch.setattr(cubes, "_count", breaks)
    with pytest.raises(SourceError, match="half way"):
        refreshed(folder)
    assert kpi_table(after, names=["orders"]).orders[0] == orders  # the old one is still whole


def test_what_is_wrong_with_a_log_is_said(frames: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="A log is a folder with"):
        refreshed(tmp_path / "nothing")
    folder = write({**frames, "items": frames["items"].drop(columns="item_id")}, tmp_path / "log")
    with pytest.raises(SchemaError, match=r"items\.parquet: table items: column item_id missing"):
        refreshed(folder)
    (folder / "items.parquet").write_text("not Parquet")
    with pytest.raises(SourceError, match=r"items\.parquet"):
        refreshed(folder)
    empty = write({**frames, "events": frames["events"][:0]}, tmp_path / "empty")
    with pytest.raises(SourceError, match="has no events"):
        refreshed(empty)
    with pytest.raises(ConfigError, match="utc_offset_hours is 30"):
        refreshed(folder, utc_offset_hours=30)
