"""What all benchmarks share: arguments, the object they print, and the machine they ran on."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.errors import SourceError

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class Check:
    """One measured value beside what was wanted of it; `target` says so in words, such as ``>= 0.93``."""

    name: str
    value: float
    unit: str
    target: str
    holds: bool


def at_least(name: str, value: float, unit: str, bound: float) -> Check:
    return Check(name, round(float(value), 6), unit, f">= {bound:g}", bool(value >= bound))


def at_most(name: str, value: float, unit: str, bound: float) -> Check:
    return Check(name, round(float(value), 6), unit, f"<= {bound:g}", bool(value <= bound))


@dataclass(frozen=True)
class Result:
    """What one benchmark prints."""

    name: str
    commit: str
    seed: int
    machine: dict[str, Any]
    seconds: float
    quick: bool
    checks: list[Check] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)


def commit() -> str:
    """The commit that was measured, with ``+`` where the tree differs from it; ``unknown`` without git."""
    git = ["git", "-C", str(ROOT)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def machine() -> dict[str, Any]:
    """Processor, cores this process may use, memory in GiB, Python, platform."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


Measured = tuple[Sequence[Check], dict[str, Any]]
"""Checks, and notes of any kind that belong to them; see :data:`LEFT_OUT`."""

LEFT_OUT = "left_out"
"""The note of a run that could measure a part only, on a machine without what the rest needs: what it lacked, in words."""


def main(name: str, measure: Callable[[int, bool], Measured], argv: Sequence[str] | None = None) -> None:
    """Runs ``measure(seed, quick)`` and prints the object, or a table of it.

    A full run also writes ``benchmarks/results/NAME.json``, unless it left out a part that the result there has measured. The
    exit code is 0 whatever the checks show, and 1 where it could not run, as when data that it needs are not there.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="less data, under 60 seconds, nothing kept")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    start = time.perf_counter()
    try:
        checks, notes = measure(given.seed, given.quick)
    except SourceError as error:
        print(f"{name} could not run: {error}", file=sys.stderr)
        sys.exit(1)
    seconds = round(time.perf_counter() - start, 1)
    result = Result(name, commit(), given.seed, machine(), seconds, given.quick, list(checks), notes)
    text = json.dumps(asdict(result), indent=1, allow_nan=False)
    if not given.quick and not keep(name, text):
        print(f"{RESULTS / f'{name}.json'} stays: it has what was left out here, {notes[LEFT_OUT]}", file=sys.stderr)
    print(text if given.json else pretty(result))


def keep(name: str, text: str) -> bool:
    """Writes the last full result, under a temporary name first; not one with a part left out over one without."""
    RESULTS.mkdir(exist_ok=True)
    place, temporary = RESULTS / f"{name}.json", RESULTS / f".{name}.json"
    whole = LEFT_OUT not in json.loads(text)["notes"]
    if not whole and place.exists() and LEFT_OUT not in json.loads(place.read_text())["notes"]:
        return False
    temporary.write_text(text + "\n")
    temporary.replace(place)
    return True


def pretty(result: Result) -> str:
    """A table of the checks for people."""
    wide = max((len(check.name) for check in result.checks), default=4)
    head = (
        f"{result.name} at {result.commit}, seed {result.seed}, {result.seconds} s{', quick' if result.quick else ''}"
    )
    rows = [
        f"{'ok  ' if check.holds else 'MISS'} {check.name:<{wide}} {check.value:>10.4g} {check.unit} (wanted {check.target})"
        for check in result.checks
    ]
    return "\n".join([head, *rows])


def progress(done: int, total: int) -> None:
    """A counter on the terminal; nothing where the output is a file."""
    if sys.stderr.isatty():
        print(f"\r{done}/{total}", end="" if done < total else "\n", file=sys.stderr, flush=True)


def beside_truth(part: pd.DataFrame) -> dict[str, float]:
    """How far estimates are from the truth and how wide their intervals are; ``estimate, ci_low, ci_high, true``."""
    apart = (part["estimate"] - part["true"]).astype(float)
    return {
        "mean_true_lift": round(float(part["true"].mean()), 4),
        "mean_error": round(float(apart.mean()), 4),
        "root_mean_square_error": round(float(np.sqrt((apart**2).mean())), 4),
        "mean_half_width": round(float(((part["ci_high"] - part["ci_low"]) / 2).mean()), 4),
        "truth_above_interval": round(float((part["true"] > part["ci_high"]).mean()), 4),
        "truth_below_interval": round(float((part["true"] < part["ci_low"]).mean()), 4),
    }
