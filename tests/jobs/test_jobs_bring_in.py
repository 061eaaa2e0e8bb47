from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from beautyrec.cli import main
from beautyrec.errors import ConfigError
from beautyrec.jobs.bring_in import bring_in, look_at

MAPPING = """
[columns]
event = "act"
ts = "t"
user_id = "u"
item_id = "i"
"""
ROWS = "act,t,u,i\nimpression,2026-03-01 10:00:00,u1,a\nclick,2026-03-01 10:00:05,u1,a\njump,2026-03-01 10:00:05,u1,a\n"


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "events.csv").write_text(ROWS)
    (tmp_path / "shop.toml").write_text(MAPPING)
    return tmp_path


def page():
    return Console(file=io.StringIO(), width=140)


def test_an_import_says_what_came_and_what_is_still_wanted(shop):
    console = page()
    bring_in([shop / "shop.toml"], [shop / "events.csv"], shop / "log", max_rejected=0.5, memory="1GB", console=console)
    text = console.file.getvalue()
    assert "Asia/Shanghai (not given)" in text
    assert "rejected: 1 rows: event ... is not a known event" in text
    assert "a log needs items too" in text


def test_files_are_described_by_a_mapping_without_a_log_being_written(shop):
    console = page()
    look_at(shop / "events.csv", [shop / "shop.toml"], as_json=False, memory="1GB", console=console)
    text = console.file.getvalue()
    assert "2 events" in text
    assert "100.00 %" in text
    assert sorted(path.name for path in shop.iterdir()) == ["events.csv", "shop.toml"]


def test_only_events_are_described(shop):
    (shop / "shop.toml").write_text('table = "items"\n[columns]\nitem_id = "i"\n')
    with pytest.raises(ConfigError, match="no mapping is of events"):
        look_at(shop / "events.csv", [shop / "shop.toml"], as_json=True, memory="1GB", console=page())


def test_the_verbs_of_the_command_line(shop, capsys):
    mapping, out = ["--mapping", str(shop / "shop.toml")], str(shop / "log")
    with pytest.raises(SystemExit) as ended:
        main(["data", "import", str(shop / "events.csv"), *mapping, "--out", out])
    assert ended.value.code == 2
    assert "1 of 3 rows do not pass" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["data", "import", str(shop / "events.csv"), *mapping, "--out", out, "--max-rejected", "0.5"])
    assert ended.value.code == 0
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["data", "describe", out, "--json"])
    assert ended.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert found["events"] == {"impression": 1, "click": 1}
    assert found["clocks"]["in_future"] == 0
