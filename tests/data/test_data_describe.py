from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.describe import FUNNEL, describe
from beautyrec.data.log import EventLog
from beautyrec.errors import SourceError

NOW = "2026-04-01T00:00Z"


def write(folder, events, **others):
    events = pd.DataFrame(events)
    events["ts"] = pd.to_datetime(events["ts"], utc=True, format="ISO8601")
    if "event_id" not in events:
        events.insert(0, "event_id", np.arange(len(events)))
    (folder / "events.parquet").mkdir(parents=True)
    events.to_parquet(folder / "events.parquet" / "part-0.parquet")
    for name, table in others.items():
        pd.DataFrame(table).to_parquet(folder / f"{name}.parquet")
    return folder


def event(name="impression", ts="2026-03-01T10:00:00Z", user="u", item="a", **more):
    return {"event": name, "ts": ts, "user_id": user, "item_id": item} | more


def test_counts_and_funnel_are_those_of_pandas(tmp_path, rng):
    n = 4000
    frame = pd.DataFrame(
        {
            "event": rng.choice(["impression", "click", "cart", "order", "return"], n, p=[0.6, 0.2, 0.1, 0.05, 0.05]),
            "ts": pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 20 * 86400, n), unit="s"),
            "user_id": rng.integers(0, 60, n),
            "item_id": rng.integers(0, 30, n),
            "price": np.where(rng.random(n) < 0.3, np.nan, rng.integers(1, 90, n)),
        }
    )
    found = describe(write(tmp_path / "log", frame, items={"item_id": range(25)}), now=NOW, threads=1)
    assert found.rows == n
    assert found.events == frame["event"].value_counts().to_dict()
    assert found.tables == {"events": n, "items": 25}
    before = None
    for step, name in zip(found.funnel, FUNNEL, strict=True):
        part = frame[frame["event"] == name]
        assert (step.event, step.events, step.users) == (name, len(part), part["user_id"].nunique())
        assert step.pairs == len(part[["user_id", "item_id"]].drop_duplicates())
        assert step.of_last == (None if before is None else len(part) / before)
        before = len(part)
    facts = {column.name: column for column in found.columns}
    assert facts["price"].filled == frame["price"].notna().mean()
    assert (facts["price"].low, facts["price"].high) == (str(frame["price"].min()), str(frame["price"].max()))
    assert facts["user_id"].distinct == frame["user_id"].nunique()
    gaps = frame["ts"].sort_values().diff().dt.total_seconds()
    assert found.longest_silence_s == gaps.max()
    assert found.unknown_items == 5
    assert found.duplicates == frame.duplicated().sum()


def test_days_without_events(tmp_path):
    rows = [event(ts=f"2026-03-0{day}T10:00:00Z") for day in (1, 2, 5)]
    folder = write(tmp_path / "log", rows)
    assert describe(folder, now=NOW).days_without_events == ["2026-03-03", "2026-03-04"]
    assert describe(folder, now=NOW, days="2D").days_without_events == []
    assert describe(folder, now=NOW).silence_from.startswith("2026-03-02 10:00:00")


def test_duplicates_and_repeated_ids(tmp_path):
    rows = [event(event_id=1), event(event_id=2), event(event_id=2, item="b"), event(event_id=3, item="c")]
    found = describe(write(tmp_path / "log", rows), now=NOW)
    assert (found.duplicates, found.repeated_ids) == (1, 1)
    assert found.unknown_items is None


def test_clock_problems(tmp_path):
    known = pd.to_datetime(["2026-03-01T10:00Z", "2026-03-01T12:00Z", "2026-03-01T09:00Z", None, None], utc=True)
    rows = [
        event(),
        event(),
        event(),
        event(ts="2027-01-01T00:00:00Z"),
        event(ts="1970-01-01T00:00:01Z"),
    ]
    frame = pd.DataFrame(rows).assign(available_at=known)
    clocks = describe(write(tmp_path / "log", frame), now=NOW).clocks
    assert (clocks.in_future, clocks.too_early, clocks.at_midnight) == (1, 1, 1)
    assert (clocks.known_before, clocks.late, clocks.greatest_delay_s) == (1, 1, 7200.0)


def test_touches_before_or_without_their_impression(tmp_path):
    rows = [
        event(request_id=1),
        event("click", "2026-03-01T10:00:01Z", request_id=1),
        event("cart", "2026-03-01T09:59:59Z", request_id=1),
        event("order", "2026-03-01T10:00:01Z", request_id=1, item="other"),
        event("order", "2026-03-01T10:00:01Z", request_id=None),
    ]
    clocks = describe(write(tmp_path / "log", rows), now=NOW).clocks
    assert (clocks.before_impression, clocks.without_impression) == (1, 1)


def test_a_log_that_the_package_wrote_and_json(tmp_path):
    frame = pd.DataFrame([event(), event("click", "2026-03-01T10:00:01Z")]).assign(event_id=[0, 1])
    frame["ts"] = pd.to_datetime(frame["ts"])
    EventLog.from_frames(frame, pd.DataFrame({"item_id": ["a"]})).write(tmp_path / "log")
    found = describe(tmp_path / "log", now=NOW)
    assert found.tables == {"events": 2, "items": 1, "users": 1, "rooms": 0, "shelves": 0}
    assert json.loads(json.dumps(found.as_dict()))["clocks"]["in_future"] == 0


def test_what_is_no_log(tmp_path):
    with pytest.raises(SourceError, match=r"has no events\.parquet"):
        describe(tmp_path, now=NOW)
    (tmp_path / "events.parquet").write_text("PAR1")
    with pytest.raises(SourceError, match="cannot be read as a log"):
        describe(tmp_path, now=NOW)
    (tmp_path / "events.parquet").unlink()
    pd.DataFrame({"event_id": [1]}).to_parquet(tmp_path / "events.parquet")
    with pytest.raises(SourceError, match=r"no columns \['event', 'ts', 'user_id', 'item_id'\]"):
        describe(tmp_path, now=NOW)
    pd.DataFrame(columns=["event_id", "event", "ts", "user_id", "item_id"]).to_parquet(tmp_path / "events.parquet")
    with pytest.raises(SourceError, match=r"events"):
        describe(tmp_path, now=NOW)
