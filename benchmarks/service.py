"""The example service under load on loopback, through ten new champions: requests a second, p99, and no error.

``examples/service.py`` in one uvicorn process with one thread of BLAS, lists of 50 over 12,101 items (64 dimensions, made up).
The client is ``wrk`` with a thread and 8 connections where it is installed (Debian: ``apt-get install wrk``), else two processes
of Python with as many connections. Client and service share the machine, so the rate is one of both.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from beautyrec.serving import ModelCard, write_artifact
from benchmarks import _harness
from benchmarks.scorer_agreement import model

USERS, K, CONNECTIONS, SWAPS, QUICK_SWAPS = 2_000, 50, 8, 10, 3
SECONDS, QUICK_SECONDS = 22.0, 6.0
RATE, P99_MS = 300.0, 100.0
QUICK_SLACK = 20
"""The quick form guards against a slip, on whatever else the machine is doing; only the full form tells the speed."""
LUA = """
counter = 0
request = function()
  counter = counter + 1
  return wrk.format("GET", string.format("/recommend/u%05d?k={k}", (counter * 7919) % {users}))
end
done = function(summary, latency, requests)
  local bad = summary.errors
  io.write(string.format("REQUESTS %d SECONDS %f P50 %f P99 %f ERRORS %d\\n", summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, bad.connect + bad.read + bad.write + bad.status + bad.timeout))
end
"""
Load = dict[str, float]
"""``requests``, ``seconds``, ``p50``, ``p99`` (milliseconds) and ``errors`` of a client."""


def measure(seed: int, quick: bool) -> _harness.Measured:
    slack, seconds = (QUICK_SLACK, QUICK_SECONDS) if quick else (1, SECONDS)
    client = with_wrk if shutil.which("wrk") else with_python
    champions = [model(np.random.default_rng([seed, number]), USERS).state() for number in range(2)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_artifact(folder / "champion", champions[0], ModelCard("champion 0"))
        with service(folder / "champion") as port:
            steady = client(port, folder, seconds / 3)
            through, swaps = while_swapping(port, folder, champions, seconds, client)
    rates = {"steady": steady["requests"] / steady["seconds"], "swapping": through["requests"] / through["seconds"]}
    checks = [
        _harness.at_least("requests a second", rates["steady"], "a second", RATE / slack),
        _harness.at_most("p99", steady["p99"], "ms", P99_MS * slack),
        _harness.at_least(
            "new champions that answered while clients asked", swaps, "times", QUICK_SWAPS if quick else SWAPS
        ),
        _harness.at_most("errors, all requests", steady["errors"] + through["errors"], "requests", 0),
        _harness.at_least("requests while champions changed", through["requests"], "requests", 100),
    ]
    rounded = {
        name: {key: round(value, 2) for key, value in load.items()}
        for name, load in (("steady", steady), ("swapping", through))
    }
    notes = {"client": client.__name__.removeprefix("with_"), "connections": CONNECTIONS, **rounded}
    return checks, notes | {"requests_a_second": {name: round(rate, 1) for name, rate in rates.items()}}


@contextmanager
def service(champion: Path) -> Iterator[int]:
    """The port of the example, in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"BEAUTYREC_MODEL": str(champion), "BEAUTYREC_WATCH_SECONDS": "0.1", "OMP_NUM_THREADS": "1"}
    options = ["--app-dir", "examples", "--port", str(port), "--log-level", "warning", "--no-access-log"]
    command = [sys.executable, "-m", "uvicorn", "service:app", *options]
    with subprocess.Popen(command, cwd=_harness.ROOT, env=os.environ | settings) as process:
        try:
            end = time.monotonic() + 60
            while process.poll() is None and not listens(port):
                if time.monotonic() > end:
                    raise RuntimeError("the service did not start within 60 s")
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()
            process.wait(20)


def listens(port: int) -> bool:
    with socket.socket() as place:
        return place.connect_ex(("127.0.0.1", port)) == 0


def while_swapping(port: int, folder: Path, champions: list[Any], seconds: float, client: Any) -> tuple[Load, int]:
    """What the client saw, and how many champions answered, one after the other, before it was done."""
    over, seen = threading.Event(), [0]

    def swap() -> None:
        for number in range(1, SWAPS + 1):
            write_artifact(folder / "champion", champions[number % 2], ModelCard(f"champion {number}"))
            while family(port) != f"champion {number}":
                if over.wait(0.02):
                    return
            seen[0] += not over.is_set()
            over.wait(seconds / (2 * SWAPS))

    thread = threading.Thread(target=swap)
    thread.start()
    load = client(port, folder, seconds)
    over.set()
    thread.join()
    return load, seen[0]


def family(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/health")
    said: str = json.loads(connection.getresponse().read())["family"]
    connection.close()
    return said


def with_wrk(port: int, folder: Path, seconds: float) -> Load:
    script = folder / "ask.lua"
    script.write_text(LUA.replace("{k}", str(K)).replace("{users}", str(USERS)))
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--timeout", "10s", "-s", str(script)]
    done = subprocess.run(["wrk", *options, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True)
    line = re.search(r"REQUESTS.*", done.stdout)
    if line is None:
        raise RuntimeError(f"wrk said something else: {done.stdout[-500:]}{done.stderr[-500:]}")
    words = line.group().split()
    return {name.lower(): float(value) for name, value in zip(words[::2], words[1::2], strict=True)}


def with_python(port: int, folder: Path, seconds: float) -> Load:  # noqa: ARG001 (as with_wrk)
    """Two processes, each with half of the connections on threads."""
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        parts = [part for job in [pool.submit(ask, port, seconds, n) for n in range(2)] for part in job.result()]
    times = np.array([took for took in parts if took >= 0]) * 1e3
    p50, p99 = np.percentile(times, [50, 99]).tolist()
    return {"requests": len(parts), "seconds": seconds, "p50": p50, "p99": p99, "errors": len(parts) - len(times)}


def ask(port: int, seconds: float, number: int) -> list[float]:
    """Seconds of each answer; -1 for an error."""
    found: list[float] = []

    def one(place: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        at, end = place * 211, time.monotonic() + seconds
        while time.monotonic() < end:
            at, start = (at + 7919) % USERS, time.perf_counter()
            try:
                connection.request("GET", f"/recommend/u{at:05d}?k={K}")
                response = connection.getresponse()
                response.read()
                found.append(time.perf_counter() - start if response.status == 200 else -1.0)
            except (OSError, http.client.HTTPException):
                found.append(-1.0)
                connection.close()

    half = CONNECTIONS // 2
    threads = [threading.Thread(target=one, args=(number * half + n,)) for n in range(half)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


if __name__ == "__main__":
    _harness.main("service", measure)
