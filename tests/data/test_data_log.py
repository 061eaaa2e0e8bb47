from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from beautyrec.data.log import EventLog
from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import DataError, SchemaError, SourceError


def test_impressions_bring_the_log_together(tiny_log, tiny_frames):
    events = tiny_frames["events"]
    found = tiny_log.impressions()
    shown = events[events["event"] == "impression"].reset_index(drop=True)
    for column in ("event_id", "request_id", "room_id", "user_id", "item_id", "position", "propensity", "policy"):
        assert found[column].tolist() == shown[column].tolist(), column
    assert found["scene"].tolist() == shown["room_id"].map({"room-a": "evening", "room-b": "flash sale"}).tolist()
    assert found["host"].tolist() == shown["room_id"].map({"room-a": "Mei", "room-b": "Lin"}).tolist()
    assert int(found["clicked"].sum()) == int((events["event"] == "click").sum()) > 20
    orders = events[events["event"] == "order"]
    assert int(found["ordered"].sum()) == len(orders) > 5
    assert found["revenue"].sum() == pytest.approx(orders["price"].sum())
    assert found["clicked"].dtype == found["ordered"].dtype == bool
    assert not found.loc[~found["ordered"], "revenue"].any()


def test_tables_that_are_not_given(tiny_frames):
    log = EventLog.from_frames(tiny_frames["events"], tiny_frames["items"])
    assert log.engine.frame(log.users)["user_id"].tolist() == list(range(100, 108))
    assert log.engine.frame(log.rooms).empty
    found = log.impressions()
    assert len(found) == 180
    assert found["scene"].isna().all()


def test_wrong_table_says_which(tiny_frames):
    frames = tiny_frames | {"rooms": tiny_frames["rooms"].drop(columns="host")}
    with pytest.raises(SchemaError, match="frame: table rooms: column 'host' missing"):
        EventLog.from_frames(**frames)
    frames = tiny_frames | {"users": tiny_frames["users"].astype(str)}
    with pytest.raises(SchemaError, match="column 'user_id': holds int64 in events, string in users"):
        EventLog.from_frames(**frames)


def test_write_and_read_give_the_same_log(tiny_log, tmp_path):
    for _ in range(2):  # the second replaces the first
        tiny_log.write(tmp_path / "log")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log"]
    again = EventLog.read(tmp_path / "log")
    for name in ("events", "items", "users", "rooms", "shelves"):
        pd.testing.assert_frame_equal(
            again.engine.frame(getattr(again, name)), tiny_log.engine.frame(getattr(tiny_log, name))
        )
    assert pq.ParquetFile(tmp_path / "log" / "events.parquet").metadata.row_group(0).column(0).compression == "ZSTD"


def test_a_table_may_be_a_folder_of_files(tiny_log, tmp_path):
    tiny_log.write(tmp_path)
    events = pq.read_table(tmp_path / "events.parquet")
    (tmp_path / "events.parquet").unlink()
    (tmp_path / "events.parquet").mkdir()
    for place, part in enumerate((events.slice(0, 100), events.slice(100))):
        pq.write_table(part, tmp_path / "events.parquet" / f"{place}.parquet")
    pd.testing.assert_frame_equal(EventLog.read(tmp_path).impressions(), tiny_log.impressions())


def test_read_says_what_is_absent_or_damaged(tiny_log, tmp_path):
    with pytest.raises(SourceError, match=r"absent/events\.parquet' is not there"):
        EventLog.read(tmp_path / "absent")
    tiny_log.write(tmp_path / "log")
    (tmp_path / "log" / "items.parquet").write_text("not Parquet")
    with pytest.raises(SourceError, match=r"items\.parquet' cannot be read as Parquet"):
        EventLog.read(tmp_path / "log")
    (tmp_path / "log" / "items.parquet").unlink()
    with pytest.raises(SourceError, match=r"items\.parquet' is not there"):
        EventLog.read(tmp_path / "log")


def test_read_names_the_file_of_a_bad_row(tiny_frames, tmp_path):
    tiny_frames["items"].assign(price=-1.0).to_parquet(tmp_path / "items.parquet")
    tiny_frames["events"].to_parquet(tmp_path / "events.parquet")
    with pytest.raises(SchemaError, match=r"items\.parquet: table items, column 'price': 12 of 12 rows are below 0"):
        EventLog.read(tmp_path)


def test_write_leaves_folders_of_other_things_alone(tiny_log, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(SourceError, match=r"holds other things than a log: 1 of them, the first 'thesis\.tex'"):
        tiny_log.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_before_goes_by_what_was_known_and_between_by_what_happened(tiny_frames):
    events = tiny_frames["events"]
    known = events["ts"] + pd.Timedelta("6h")
    log = EventLog.from_frames(events.assign(available_at=known), tiny_frames["items"])
    cutoff, end = pd.Timestamp("2026-03-02T02:10Z"), pd.Timestamp("2026-03-02T20:05Z")

    def ids(part):
        return part.engine.frame(part.events)["event_id"].tolist()

    assert ids(log.before(cutoff)) == events.loc[known < cutoff, "event_id"].tolist()
    inside = (events["ts"] >= known[4]) & (events["ts"] < end)
    assert ids(log.between(known[4], end)) == events.loc[inside, "event_id"].tolist()
    assert 0 < len(ids(log.before(cutoff))) < len(events)
    assert len(ids(log.before("2026-03-02T02:10Z").between("2026-03-01T00:00Z", cutoff))) == (known < cutoff).sum()


@pytest.mark.parametrize("when", ["2026-03-01", pd.NaT, "yesterday evening", pd.Timestamp("2026-03-01")])
def test_moments_need_a_zone(tiny_log, when):
    with pytest.raises(DataError, match="time"):
        tiny_log.before(when)


def test_interactions_of_orders_and_clicks(tiny_log, tiny_frames):
    events = tiny_frames["events"]
    found = tiny_log.interactions()
    counts = events["event"].value_counts()
    assert len(found) == counts["order"] + counts["click"]
    assert found.weight.sum() == pytest.approx(counts["order"] + 0.3 * counts["click"], rel=1e-6)
    assert found.items.ids.tolist() == tiny_frames["items"]["item_id"].tolist()
    assert found.item_table is not None
    assert found.item_table["price"].tolist() == tiny_frames["items"]["price"].tolist()
    assert (np.diff(found.user_ix) >= 0).all()
    same = found.user_ix[1:] == found.user_ix[:-1]
    assert (np.diff(found.ts)[same] >= 0).all()


def test_interactions_with_given_vocabularies_leave_others_out(tiny_log, tiny_frames):
    users, items = Vocabulary.from_ids([100, 103, 999]), Vocabulary.from_ids(["item-00", "item-07"])
    found = tiny_log.interactions({"order": 1.0, "click": 1.0}, users=users, items=items)
    events = tiny_frames["events"]
    kept = events[
        events["event"].isin(["order", "click"]) & events["user_id"].isin(users.ids) & events["item_id"].isin(items.ids)
    ]
    assert len(found) == len(kept) > 0
    assert sorted(found.users.ids_at(found.user_ix)) == sorted(kept["user_id"])
    assert len(found.items) == 2


def test_bad_weights(tiny_log):
    with pytest.raises(SchemaError, match="unknown events \\['orders'\\]; known are impression, click"):
        tiny_log.interactions({"orders": 1.0})
    with pytest.raises(DataError, match=r"'click': 0\.0"):
        tiny_log.interactions({"order": 1.0, "click": 0.0})


def test_catalogue_has_items_that_only_events_know(tiny_frames):
    log = EventLog.from_frames(tiny_frames["events"], tiny_frames["items"].iloc[1:3])
    seen = set(tiny_frames["events"]["item_id"]) | {"item-01", "item-02"}
    assert log.catalogue().ids.tolist() == sorted(seen)


def test_describe(tiny_log, tiny_frames):
    events = tiny_frames["events"]
    found = tiny_log.describe()
    assert found["events"] == events["event"].value_counts().to_dict()
    assert (found["users"], found["items"], found["rooms"]) == (8, 12, 2)
    assert (found["start"], found["end"]) == (events["ts"].min(), events["ts"].max())
    assert found["ctr"] == found["events"]["click"] / 180
    viewers = events[events["event"] == "impression"].groupby(["room_id", "user_id"]).ngroups
    buyers = events[events["event"] == "order"].groupby(["room_id", "user_id"]).ngroups
    assert found["room_conversion"] == buyers / viewers
    assert 0 < buyers < viewers
    nothing = tiny_log.before("2000-01-01T00:00Z").describe()
    assert nothing["events"] == {}
    assert nothing["ctr"] is nothing["room_conversion"] is None
