"""Import of a shop's CSV file: how long beside DuckDB's own way from CSV to Parquet.

Ten million made-up events in one CSV file, in the order in which they arrived: up to an hour after they happened; one row in
a thousand cannot be taken. Ours maps the columns, reads times in a zone, checks every row, keeps the bad ones with their
lines, sorts by time and writes one folder a day. DuckDB's ``COPY`` infers the types and writes the rows as they come. Both
use zstd, the same memory limit and all cores, and take turns; medians are compared.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from beautyrec.data.mapping import LogMapping
from beautyrec.data.reading import import_log
from benchmarks import _harness

ROWS, QUICK_ROWS = 10_000_000, 300_000
RUNS, QUICK_RUNS = 3, 1
MEMORY = "2GB"
SHARE_OF_SPEED = 1 / 3
QUICK_SLACK = 4
"""The quick form guards against a slip, on whatever else the machine is doing; only the full form tells the speed."""
MEMORY_BOUND_GIB = 4.0
MAPPING = LogMapping(
    {
        "event": "action",
        "ts": "happened",
        "user_id": "viewer",
        "item_id": "sku",
        "request_id": "page",
        "position": "slot",
        "price": "price",
    },
    event_names={"impression": ("show",), "click": ("tap",), "cart": ("add",), "order": ("pay",)},
    integer_ids=("user_id", "item_id", "request_id"),
)


def make(path: Path, rows: int, seed: int) -> None:
    """A CSV file of ``rows`` events over thirty days."""
    import duckdb

    step = 30 * 86_400_000 / rows
    duckdb.connect(config={"memory_limit": MEMORY}).execute(
        f"""
        COPY (SELECT 100000 + hash(i, {seed}) % 500000 AS viewer,
            hash(i, {seed} + 1) % 20000 AS sku,
            CASE WHEN hash(i, {seed} + 2) % 1000 = 0 THEN 'oops'
                 ELSE ['show', 'show', 'show', 'show', 'show', 'show', 'show', 'tap', 'add', 'pay']
                      [(1 + hash(i, {seed} + 3) % 10)::INT] END AS action,
            strftime(TIMESTAMP '2026-03-01' + to_milliseconds((i * {step} + hash(i, {seed} + 4) % 3600000)::BIGINT),
                     '%Y-%m-%d %H:%M:%S.%g') AS happened,
            i // 6 AS page, 1 + i % 6 AS slot, (hash(i, {seed} + 5) % 50000) / 100 AS price
        FROM range({rows}) t(i)) TO '{path}' (HEADER)
        """  # noqa: S608
    )


def bare(source: Path, to: Path) -> float:
    """Seconds of DuckDB alone, in a process of its own."""
    code = (
        "import duckdb, sys, time; c = duckdb.connect(config={'memory_limit': sys.argv[3]}); "
        "c.execute('SET enable_progress_bar = false'); s = time.perf_counter(); "
        "c.execute(f\"COPY (FROM read_csv('{sys.argv[1]}')) TO '{sys.argv[2]}' (FORMAT parquet, COMPRESSION zstd)\"); "
        "print(time.perf_counter() - s)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(source), str(to), MEMORY], capture_output=True, text=True, check=True
    )
    return float(done.stdout.splitlines()[-1])


def ours(source: Path, to: Path) -> tuple[float, Any]:
    """Seconds of the import, and what it brought."""
    start = time.perf_counter()
    imported = import_log([MAPPING], [source], to, memory_limit=MEMORY)[0]
    return time.perf_counter() - start, imported


def lines_are_right(source: Path, rejected: Path) -> bool:
    """Whether the line of each rejected row is one of those that ``grep`` finds, and all are there."""
    found = subprocess.run(["grep", "-n", "oops", str(source)], capture_output=True, text=True, check=True).stdout
    lines = [int(line.split(":", 1)[0]) for line in found.splitlines()]
    return bool(pd.read_csv(rejected)["line"].tolist() == lines)


def measure(seed: int, quick: bool) -> _harness.Measured:
    rows, runs = (QUICK_ROWS, QUICK_RUNS) if quick else (ROWS, RUNS)
    alone, imports = [], []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        source = folder / "events.csv"
        make(source, rows, seed)
        size = source.stat().st_size
        for run in range(runs):
            alone.append(bare(source, folder / "bare.parquet"))
            seconds, imported = ours(source, folder / "log")
            imports.append(seconds)
            _harness.progress(run + 1, runs)
        right = lines_are_right(source, folder / "log" / "rejected" / "events.csv")
    share = median(alone) / median(imports)
    # the kernel counts in KiB
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    checks = [
        _harness.at_least(
            "import's share of the speed of DuckDB's CSV to Parquet",
            share,
            "of DuckDB's speed",
            SHARE_OF_SPEED / (QUICK_SLACK if quick else 1),
        ),
        _harness.at_most("memory of the import", memory, "GiB", MEMORY_BOUND_GIB),
        _harness.at_least("rows kept, rejected and ignored, of those read", accounted(imported), "of rows", 1.0),
        _harness.at_least("rejected rows have the lines that grep finds", right, "yes is 1", 1.0),
    ]
    notes = {
        "rows": rows,
        "csv_mib": round(size / 2**20, 1),
        "rejected": imported.rejected,
        "duckdb_seconds": [round(seconds, 2) for seconds in alone],
        "import_seconds": [round(seconds, 2) for seconds in imports],
        "rows_a_second": round(rows / median(imports)),
    }
    return checks, notes


def accounted(imported: Any) -> float:
    """Share of the rows read of which it is known what came of them."""
    return float((imported.kept + imported.rejected + sum(imported.ignored.values())) / imported.read)


if __name__ == "__main__":
    _harness.main("import_speed", measure)
