from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from beautyrec.board.alerts import Alert, find_alerts
from beautyrec.board.config import AlertConfig, read_board_config
from beautyrec.board.cube import Cube, refreshed
from beautyrec.board.sinks import tell, to_file, to_terminal, to_webhook
from beautyrec.cli import main
from beautyrec.errors import ConfigError, SourceError

CONFIG = AlertConfig()
DAYS = 36


def shop(folder: Path, rng: np.random.Generator, *, drop: float = 0.0, lost: str = "", expect: float = 1.0) -> Path:
    """A room a day of each of two scenes, 36 days; the CVR of `sale` drops on the last one, or its orders are not there."""
    folder.mkdir()
    rooms = pd.DataFrame({"day": np.repeat(np.arange(DAYS), 2), "scene": ["chat", "sale"] * DAYS, "host": "h"})
    rooms["room_id"] = [f"r{number:03}" for number in range(len(rooms))]
    rooms["starts_at"] = pd.Timestamp("2026-01-05 12:00", tz="UTC") + pd.to_timedelta(rooms.day, "D")
    rooms["ends_at"] = rooms.starts_at + pd.Timedelta(hours=1)
    if lost == "room":
        rooms = rooms[:-1]
    if lost == "day":
        rooms = rooms[rooms.day != DAYS - 2]
    parts = []
    for number, room in enumerate(rooms.itertuples()):
        worst = room.day == DAYS - 1 and room.scene == "sale"
        clicks = 2000
        orders = rng.binomial(clicks, 0.2 * (1 - drop * worst)) * (not (worst and lost == "orders"))
        for kind, count in (("impression", 200), ("click", clicks), ("order", orders)):
            part = pd.DataFrame({"event": [kind] * count, "item_id": ["a", "b"] * (count // 2) + ["a"] * (count % 2)})
            parts.append(
                part.assign(ts=room.starts_at, room_id=room.room_id, user_id=number * 10_000 + np.arange(count))
            )
    events = pd.concat(parts, ignore_index=True).assign(price=5.0, quantity=1)
    if lost == "price":
        events.loc[events.room_id == rooms.room_id.iloc[-1], "price"] = np.nan
    events.assign(event_id=np.arange(len(events))).to_parquet(folder / "events.parquet")
    pd.DataFrame({"item_id": ["a", "b"], "title": ["Balm", "Serum"], "cost": 2.0}).to_parquet(folder / "items.parquet")
    rooms.drop(columns="day").to_parquet(folder / "rooms.parquet")
    stock = pd.DataFrame({"room_id": rooms.room_id.iloc[-1], "item_id": ["a", "b"], "stock": [150, 100_000]})
    stock.to_parquet(folder / "shelves.parquet")
    both = pd.DataFrame({"item_id": ["a", "b"]})
    expected = rooms[["room_id"]].merge(both, "cross").assign(orders=200 * expect, sales=1000 * expect)
    expected.to_parquet(folder / "predictions.parquet")
    return folder


def kinds(cube: Cube, config: AlertConfig = CONFIG, now: pd.Timestamp | None = None) -> list[tuple[str, str, str]]:
    return [(alert.kind, alert.scene, alert.subject) for alert in find_alerts(cube, config, now)]


def test_a_shop_as_ever_has_no_news_but_of_stock(tmp_path: Path, rng: np.random.Generator) -> None:
    cube = refreshed(shop(tmp_path / "log", rng))
    assert kinds(cube) == [("stock", "", "a")]
    now = pd.Timestamp("2026-02-12", tz="UTC")
    assert kinds(cube, now=now)[0] == ("missing", "", "events")
    assert kinds(cube, now=pd.Timestamp("2026-02-10", tz="UTC")) == [("stock", "", "a")]


def test_a_drop_is_told_with_its_size(tmp_path: Path, rng: np.random.Generator) -> None:
    cube = refreshed(shop(tmp_path / "log", rng, drop=0.5))
    change = [alert for alert in find_alerts(cube, CONFIG) if alert.kind == "change"]
    found = [(alert.scene, alert.subject) for alert in change]
    assert found == [("sale", "cvr, below"), ("sale", "room_conversion, below")]
    assert change[0].day == date(2026, 2, 9)
    assert "CVR of sale is below its limits: 9" in change[0].message or "10." in change[0].message
    assert kinds(cube, AlertConfig(least_days=28, look_back_days=1))[0][0] == "change"


def test_what_is_missing_is_told(tmp_path: Path, rng: np.random.Generator) -> None:
    assert ("missing", "sale", "orders") in kinds(refreshed(shop(tmp_path / "orders", rng, lost="orders")))
    assert ("missing", "sale", "rooms") in kinds(refreshed(shop(tmp_path / "room", rng, lost="room")))
    assert [each for each in kinds(refreshed(shop(tmp_path / "day", rng, lost="day"))) if each[0] == "missing"] == [
        ("missing", "", "rooms")
    ]
    priced = find_alerts(refreshed(shop(tmp_path / "price", rng, lost="price")), CONFIG)
    assert [alert.subject for alert in priced if alert.kind == "missing"] == ["price"]


def test_a_model_that_expects_too_much_is_told_and_one_within_the_tolerance_is_not(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    drifted = kinds(refreshed(shop(tmp_path / "a", rng, expect=1.25)))
    assert [each for each in drifted if each[0] == "calibration"] == [
        ("calibration", "chat", "orders"),
        ("calibration", "sale", "orders"),
    ]
    assert not [each for each in kinds(refreshed(shop(tmp_path / "b", rng, expect=1.05))) if each[0] == "calibration"]


ALERTS = [Alert(f"x:{n}", "change", date(2026, 1, n + 1), "sale", "cvr", f"CVR [fell] {n}") for n in range(3)]


def test_each_sink_gets_each_alert_once_and_one_that_failed_gets_it_later(tmp_path: Path) -> None:
    state, out = tmp_path / "state.json", tmp_path / "out" / "alerts.jsonl"

    def broken(_: object) -> None:
        raise OSError("no route")

    with pytest.raises(SourceError, match=r"1 of 2 sinks: hook: no route \(2 alerts wait"):
        tell(ALERTS[:2], {"file": to_file(out), "hook": broken}, state)
    got: list[Alert] = []
    assert tell(ALERTS, {"file": to_file(out), "hook": got.extend}, state) == {"file": 1, "hook": 3}
    assert tell(ALERTS, {"file": to_file(out), "hook": got.extend}, state) == {"file": 0, "hook": 0}
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == ["x:0", "x:1", "x:2"]
    assert got == ALERTS
    state.write_text("{")
    with pytest.raises(SourceError, match="Remove it"):
        tell(ALERTS, {"file": to_file(out)}, state)


@pytest.fixture
def hook() -> Iterator[tuple[str, list[dict[str, object]]]]:
    """A web server that keeps what it is sent."""
    got: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/x", got
    server.shutdown()
    server.server_close()


def test_a_webhook_gets_text_and_alerts(hook: tuple[str, list[dict[str, object]]]) -> None:
    url, got = hook
    to_webhook(url)(ALERTS[:2])
    assert got[0]["text"] == "CVR [fell] 0\nCVR [fell] 1"
    assert got[0]["alerts"] == [alert.as_dict() for alert in ALERTS[:2]]
    for wrong in ("file:///etc/passwd", "chat"):
        with pytest.raises(ConfigError, match="not an address of http"):
            to_webhook(wrong)


def test_the_terminal_shows_brackets_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    to_terminal(Console(width=200))(ALERTS[:1])
    assert "2026-01-01  change  CVR [fell] 0" in capsys.readouterr().out


def test_the_command_tells_once(tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = shop(tmp_path / "log", rng), tmp_path / "alerts.jsonl"
    for _ in range(2):
        main_once(["alerts", str(folder), "--once", "--file", str(out)])
    told = capsys.readouterr().out
    assert told.count("sells") == 1
    assert [json.loads(line)["kind"] for line in out.read_text().splitlines()] == [
        "missing",
        "stock",
    ]  # it is of January


def main_once(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0


def test_settings_say_what_is_wrong(tmp_path: Path) -> None:
    config = read_board_config()
    assert config.targets(date(2026, 3, 1), "flash_sale")["cvr"] == 0.15
    assert config.targets(date(2026, 3, 1), "chat")["cvr"] == 0.12
    assert config.targets(date(2027, 3, 1)) == {}
    place = tmp_path / "board.toml"
    for text, words in (
        ("[alerts]\nwindow = 3", "unknown key 'alerts.window'"),
        ("[alerts]\nnewest_day = 0.0", "newest_day is 0.0"),
        ("[alerts]\nleast_days = 3", "at least 8"),
        ("[phases.x]\nstart = '2026-02-01'\nend = '2026-01-01'", "before it starts"),
        ("[phases.x]\nstart = '2026-02-01'\nend = '2026-03-01'\ntargets = { crt = 1.0 }", "unknown KPIs crt"),
    ):
        place.write_text(text)
        with pytest.raises(ConfigError, match=words):
            read_board_config(place)
