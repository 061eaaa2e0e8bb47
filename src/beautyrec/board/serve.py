"""`beautyrec board`: the page, served on this machine."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from beautyrec.board.config import read_board_config
from beautyrec.board.cube import refreshed
from beautyrec.errors import ConfigError, MissingExtraError


def command(log: Path, config: Path | None, cache: Path | None, port: int) -> list[str]:
    """The command that serves the page on localhost, without a browser and without telling anyone."""
    options = {
        "--server.port": str(port),
        "--server.address": "localhost",
        "--server.headless": "true",
        "--server.fileWatcherType": "none",
        "--browser.gatherUsageStats": "false",
        "--client.toolbarMode": "minimal",
        "--theme.base": "light",
        "--theme.primaryColor": "#9d174d",
    }
    app = Path(__file__).with_name("app.py")
    given = [str(log), str(config or ""), str(cache or "")]
    return [
        sys.executable,
        "-m",
        "beautyrec.board.serve",
        "run",
        str(app),
        *(f"{k}={v}" for k, v in options.items()),
        "--",
        *given,
    ]


def serve(log: Path, config: Path | None = None, cache: Path | None = None, port: int = 8501) -> None:
    """Serves the board of a log until it is stopped; the log is counted first, so that what is wrong is said at once.

    Raises:
        MissingExtraError: streamlit is not installed.
        BeautyrecError: the log or the TOML is wrong, or the port is taken.
    """
    if find_spec("streamlit") is None:
        raise MissingExtraError("streamlit", "board")
    refreshed(log, cache, utc_offset_hours=read_board_config(config).utc_offset_hours)
    try:
        done = subprocess.run(command(log, config, cache, port), check=False)  # noqa: S603 (our own interpreter)
    except KeyboardInterrupt:
        return
    if done.returncode > 0:
        raise ConfigError(
            f"board: streamlit ended with code {done.returncode}; is port {port} free? --port names another."
        )


def _serve_ready() -> None:
    """Streamlit's own command, after what the page imports: who opens it first does not wait for that."""
    for name in ("beautyrec.board.app", "ibis.backends.duckdb", "plotly.graph_objects", "scipy.special"):
        import_module(name)
    sys.exit(import_module("streamlit.web.cli").main())


if __name__ == "__main__":
    _serve_ready()
