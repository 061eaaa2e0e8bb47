from __future__ import annotations

import socket
from pathlib import Path

import pytest

from beautyrec.board import serve
from beautyrec.errors import ConfigError, MissingExtraError, SourceError
from benchmarks._shop import write_shop


def test_the_command_serves_this_machine_alone_and_tells_nobody() -> None:
    words = serve.command(Path("my log"), None, Path("cache"), 1234)
    assert words[words.index("--") + 1 :] == ["my log", "", "cache"]
    for option in ("--server.address=localhost", "--server.port=1234", "--browser.gatherUsageStats=false"):
        assert option in words


def test_without_streamlit_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(serve, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"beautyrec\[board\]"):
        serve.serve(tmp_path)


def test_a_wrong_log_is_said_before_anything_is_served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(serve, "find_spec", lambda _: True)
    with pytest.raises(SourceError, match="A log is a folder with"):
        serve.serve(tmp_path)


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    pytest.importorskip("streamlit", reason="needs the extra board")
    log = write_shop(tmp_path / "log", 20_000, 0)
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="is port"):
            serve.serve(log, port=taken.getsockname()[1])
