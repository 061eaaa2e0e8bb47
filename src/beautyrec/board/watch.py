"""`beautyrec alerts`: look at a log, tell what is news; once, or again and again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.console import Console

from beautyrec.board.alerts import find_alerts
from beautyrec.board.config import read_board_config
from beautyrec.board.cube import cache_of, refreshed
from beautyrec.board.sinks import Sink, tell, to_file, to_terminal, to_webhook
from beautyrec.errors import SourceError


@dataclass(frozen=True)
class Places:
    """Where things lie and go.

    Args:
        log: folder of the log.
        config: TOML of the board; the packaged one if None.
        cache: folder of the counts; a hidden one beside the log if None.
        file: alerts are added to it; none if None.
        webhook: alerts are posted to it; none if None.
        state: what was told; ``.NAME.alerts.json`` beside the log if None.
    """

    log: Path
    config: Path | None = None
    cache: Path | None = None
    file: Path | None = None
    webhook: str | None = None
    state: Path | None = None

    def sinks(self, console: Console) -> dict[str, Sink]:
        """Those that are named, and the terminal."""
        sinks = {"terminal": to_terminal(console)}
        if self.file is not None:
            sinks[f"file {self.file.resolve()}"] = to_file(self.file)
        if self.webhook is not None:
            sinks[f"webhook {self.webhook}"] = to_webhook(self.webhook)
        return sinks


def watch(places: Places, console: Console, minutes: float | None = None) -> None:
    """Tells each alert of a log once to each sink.

    Args:
        places: where things lie and go.
        console: the terminal.
        minutes: between two looks; one look only if None.

    Raises:
        SourceError: the log cannot be read, or a sink not be reached; when looking again and again this is printed.
        ConfigError: the TOML or the webhook's address is wrong.
    """
    sinks = places.sinks(console)
    if minutes is None:
        look(places, sinks)
        return
    while True:
        try:
            look(places, sinks)
        except SourceError as error:
            console.print(f"error: {error}", markup=False)
        time.sleep(60 * minutes)


def look(places: Places, sinks: dict[str, Sink]) -> dict[str, int]:
    """One look; how many alerts each sink got."""
    config = read_board_config(places.config)
    cube = refreshed(places.log, places.cache, utc_offset_hours=config.utc_offset_hours)
    found = find_alerts(cube, config.alerts, pd.Timestamp.now("UTC"))
    cache = cache_of(places.log)
    return tell(found, sinks, places.state or cache.with_name(f"{cache.stem}.alerts.json"))
