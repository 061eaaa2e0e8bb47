"""The board on ten million events: how long it takes to count them, to compute a page, and to open it in a browser.

A made-up log (`_shop.py`) of 120 days, ten rooms a day, is counted into the board's cube, by all cores. Then the numbers of a
page are computed as the page does it. Where streamlit, playwright and Debian's chromium are there, ``beautyrec board``'s own
command is started on a free port and the page is opened in headless Chromium: from the request to the last table drawn, at 1280
and 390 pixels wide; a scene is chosen and the tile of viewers must show that scene's; the drop planted in the last two days must
stand among the alerts. Without a browser this half is left out and the notes say why. The first opening after the start, which
imports all libraries, is in the notes.

``BEAUTYREC_SCREENSHOTS=FOLDER`` keeps what was seen.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from beautyrec.board.alerts import find_alerts
from beautyrec.board.config import read_board_config
from beautyrec.board.cube import Cube, refreshed
from beautyrec.board.kpis import Filter, kpi_table, shown
from beautyrec.board.serve import command
from beautyrec.board.views import TILES
from benchmarks import _harness
from benchmarks._shop import write_shop

EVENTS, QUICK_EVENTS = 10_000_000, 300_000
OPENINGS, QUICK_OPENINGS = 5, 1
SECONDS, QUICK_SECONDS = 3.0, 30.0
"""The quick form guards against a slip, on whatever else the machine is doing."""
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
WIDTHS = {1280: 900, 390: 844}
SCENE = "flash_sale"
LAST = "Products of all these rooms"


def missing() -> str:
    """Why there is no browser half; empty if there can be one."""
    packages = [name for name in ("streamlit", "playwright") if find_spec(name) is None]
    if packages:
        return f"{' and '.join(packages)} {'is' if len(packages) == 1 else 'are'} not installed"
    return "" if CHROMIUM.exists() else f"there is no {CHROMIUM}"


@contextmanager
def served(log: Path) -> Iterator[str]:
    """The address of a board of the log, as `beautyrec board` serves it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        command(log, None, None, port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            for _ in range(300):
                try:
                    urlopen(f"http://localhost:{port}/_stcore/health", timeout=1).close()
                    break
                except (URLError, OSError):
                    time.sleep(0.2)
            yield f"http://localhost:{port}"
        finally:
            server.terminate()


def opened(page: Any, address: str) -> float:
    """Seconds from the request until the last table stands and nothing runs any more."""
    start = time.perf_counter()
    page.goto(address)
    page.get_by_text(LAST).wait_for(timeout=120_000)
    page.locator(".js-plotly-plot .main-svg").nth(1).wait_for(timeout=120_000)
    page.locator('[data-testid="stDataFrame"]').nth(2).wait_for(timeout=120_000)
    return time.perf_counter() - start


def browse(cube: Cube, log: Path, openings: int) -> tuple[dict[str, Any], dict[int, list[float]]]:
    """What was seen, and seconds of each opening by width."""
    from playwright.sync_api import sync_playwright

    seen: dict[str, Any] = {}
    seconds: dict[int, list[float]] = {width: [] for width in WIDTHS}
    kept = os.environ.get("BEAUTYREC_SCREENSHOTS")
    with served(log) as address, sync_playwright() as play, tempfile.TemporaryDirectory() as profile:
        browser = play.chromium.launch_persistent_context(profile, executable_path=str(CHROMIUM), args=list(FLAGS))
        page = browser.new_page()
        seen["first_opening_seconds"] = round(opened(page, address), 2)
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            seconds[width] = [opened(page, address) for _ in range(openings)]
            if kept:
                page.wait_for_timeout(1500)
                _keep(page, Path(kept) / f"board-{width}.png", width)
        page.set_viewport_size({"width": 1280, "height": 900})
        opened(page, address)
        seen["alert"] = page.get_by_text(f"CVR of {SCENE} is below its limits").count() > 0
        seen["filter"] = _filtered(page, cube)
        browser.close()
    return seen, seconds


def _keep(page: Any, place: Path, width: int) -> None:
    """The whole page: it scrolls inside itself, so the window is made as tall as it is."""
    tall = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": width, "height": tall})
    page.wait_for_timeout(1500)
    place.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(place))


def _filtered(page: Any, cube: Cube) -> bool:
    """Choose one scene: the tile of viewers is that scene's, over the 30 days that the page shows."""
    wanted = shown(float(kpi_table(cube, (), thirty_days(cube, SCENE), ("viewers",))["viewers"][0]), "count")
    page.locator('[data-testid="stSidebar"] [data-testid="stMultiSelect"]').first.click()
    page.get_by_role("option", name=SCENE).click()
    tile = page.locator(".tile", has_text="Viewers").locator("b")
    for _ in range(60):
        if tile.inner_text() == wanted:
            return True
        page.wait_for_timeout(250)
    return False


def thirty_days(cube: Cube, scene: str) -> Filter:
    days = kpi_table(cube, ("day",), names=("viewers",))["day"].dt.date
    last = days.max()
    return Filter(sorted(days)[-30], last, (scene,))


def computed(cube: Cube) -> float:
    """Seconds for all numbers of a page."""
    start = time.perf_counter()
    config = read_board_config()
    find_alerts(cube, config.alerts)
    for by in ((), (), ("day", "scene"), ("scene",), ("day", "room_id", "scene", "host")):
        kpi_table(cube, by, names=TILES)
    return time.perf_counter() - start


def measure(seed: int, quick: bool) -> _harness.Measured:
    bound = QUICK_SECONDS if quick else SECONDS
    with tempfile.TemporaryDirectory() as folder:
        log = write_shop(Path(folder) / "shop", QUICK_EVENTS if quick else EVENTS, seed)
        cube = refreshed(log)
        config = read_board_config()
        found = [alert for alert in find_alerts(cube, config.alerts) if alert.kind == "change" and alert.scene == SCENE]
        laps = median(computed(cube) for _ in range(3))
        checks = [_harness.at_most("all numbers of a page", laps, "seconds", bound)]
        if not quick:  # a small shop cannot tell it
            checks.append(_harness.at_least("alerts of the drop in one scene", len(found), "alerts", 1))
        notes: dict[str, Any] = {"events": cube.events, "seconds_to_count_all_events": cube.seconds}
        why = missing()
        if why:
            return checks, notes | {_harness.LEFT_OUT: f"the browser, as {why}"}
        seen, seconds = browse(cube, log, QUICK_OPENINGS if quick else OPENINGS)
    for width, laps_there in seconds.items():
        checks.append(_harness.at_most(f"page opens, {width} pixels wide", median(laps_there), "seconds", bound))
    checks.append(_harness.at_least("choosing a scene shows its numbers", float(seen["filter"]), "yes", 1))
    if not quick:
        checks.append(_harness.at_least("the alert stands on the page", float(seen["alert"]), "yes", 1))
    return checks, notes | seen


if __name__ == "__main__":
    _harness.main("board", measure)
