from __future__ import annotations

import gzip

import pandas as pd
import pytest

from beautyrec.data.sources.kuailive import read_kuailive
from beautyrec.errors import SchemaError, SourceError

MS = 1_746_374_400_000
FILES = {
    "streamer": "streamer_id,gender,age,country,onehot_feat0\n70,M,24-30,China,1\n71,F,18-23,China,0\n",
    "room": f"""p_date,live_id,streamer_id,live_type,start_timestamp,end_timestamp,live_content_category,live_name_id
20250504,900,70,1,{MS - 1000},{MS + 500},shop,0
20250505,900,70,1,{MS + 500},{MS + 9000},shop,0
20250505,901,71,1,{MS},{MS + 9000},,0
""",
    "user": "user_id,age,gender,country,onehot_feat0\n5,18-23,M,China,0\n6,24-30,F,China,1\n",
    "click": f"user_id,live_id,streamer_id,timestamp,watch_live_time\n5,900,70,{MS + 22},2852\n",
    "negative": f"user_id,live_id,streamer_id,timestamp\n5,901,71,{MS + 3}\n6,900,70,{MS + 40}\n",
    "like": f"user_id,live_id,streamer_id,timestamp\n5,900,70,{MS + 30}\n",
    "gift": f"user_id,live_id,streamer_id,timestamp,gift_price\n5,900,70,{MS + 35},2\n",
    "comment": f"user_id,live_id,streamer_id,timestamp\n5,900,70,{MS + 31}\n",
}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return tmp_path


def test_what_users_did_in_order_of_time(folder):
    source = read_kuailive(folder)
    events = source.events.to_pandas()
    assert events["event"].tolist() == ["impression", "impression", "click", "favourite", "order", "impression"]
    assert events["user_id"].tolist() == [5, 5, 5, 5, 5, 6]
    assert events["item_id"].tolist() == [71, 70, 70, 70, 70, 70]
    assert events["room_id"].tolist() == [901, 900, 900, 900, 900, 900]
    assert events["price"].fillna(-1).tolist() == [-1, -1, -1, -1, 2, -1]
    assert events["ts"].iloc[0] == pd.Timestamp(MS + 3, unit="ms", tz="UTC")
    assert source.rejected.num_rows == 0


def test_a_click_and_a_gift_go_to_the_impression_of_the_room_that_was_entered(folder):
    log = read_kuailive(folder).log()
    shown = log.impressions()
    assert shown["clicked"].tolist() == [False, True, False]
    assert shown["revenue"].tolist() == [0, 2, 0]
    assert shown["scene"].tolist() == ["unknown", "shop", "shop"]
    assert log.describe()["ctr"] == 1 / 3


def test_rooms_users_and_streamers(folder):
    source = read_kuailive(folder)
    rooms = source.rooms.to_pandas()
    assert rooms["room_id"].tolist() == [900, 901]
    assert rooms["host"].tolist() == ["70", "71"]
    assert rooms["starts_at"].iloc[0] == pd.Timestamp(MS - 1000, unit="ms", tz="UTC")
    assert rooms["ends_at"].iloc[0] == pd.Timestamp(MS + 9000, unit="ms", tz="UTC")
    assert source.users.to_pydict()["age"] == ["18-23", "24-30"]
    assert source.items.to_pydict()["item_id"] == [70, 71]
    assert source.items.to_pydict()["gender"] == ["M", "F"]


def test_comments_and_watch_time_are_kept_beside(folder):
    beside = read_kuailive(folder).beside
    assert beside["comment"].to_pydict()["ts"] == [pd.Timestamp(MS + 31, unit="ms", tz="UTC")]
    assert beside["watch"].to_pydict()["watch_live_time"] == [2852]


def test_clicks_alone_show_nothing_and_gz_does_as_well(folder):
    for name in ("negative", "like", "gift", "comment"):
        (folder / f"{name}.csv").unlink()
    (folder / "click.csv").unlink()
    with gzip.open(folder / "click.csv.gz", "wt") as file:
        file.write(FILES["click"])
    source = read_kuailive(folder)
    assert source.events.to_pydict()["event"] == ["click"]
    assert set(source.beside) == {"watch"}


@pytest.mark.parametrize(
    ("file", "line", "why"),
    [
        ("click", f"5,900,,{MS},1", "no streamer_id"),
        ("click", f"5,900,70,{MS},long", "watch_live_time is not a whole number"),
        ("like", f"5,900,70,{MS // 1000}", "timestamp is not milliseconds of 1990 to 2100"),
        ("gift", f"5,900,70,{MS},-2", "gift_price below 0"),
        ("negative", f"5,900,70,{MS * 1000}", "timestamp is not milliseconds of 1990 to 2100"),
        ("room", f"20250505,902,70,1,{MS},{MS - 1},shop,0", "end before start"),
        ("user", "x,18-23,M,China,0", "user_id is not a whole number"),
    ],
)
def test_a_damaged_row_is_named_with_its_line(folder, file, line, why):
    path = folder / f"{file}.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, line, ""]))
    rejected = [
        (row["file"], row["line"], row["reason"])
        for row in read_kuailive(folder, max_rejected=0.5).rejected.to_pylist()
    ]
    assert rejected == [(str(path), len(lines) + 1, why)]


def test_absent_empty_and_cut_files(folder):
    (folder / "room.csv").unlink()
    with pytest.raises(SourceError, match=r"room\.csv' is not there"):
        read_kuailive(folder)
    (folder / "room.csv").write_text("live_id,streamer_id\n1,2\n")
    with pytest.raises(
        SchemaError, match=r"columns \['start_timestamp', 'end_timestamp', 'live_content_category'\] are missing"
    ):
        read_kuailive(folder)
    (folder / "click.csv").write_text("")
    with pytest.raises(SourceError, match=r"click\.csv' is empty"):
        read_kuailive(folder)
    (folder / "click.csv").unlink()
    with pytest.raises(SourceError, match=r"holds no 'click\.csv'"):
        read_kuailive(folder)
