"""The search that led to the hyperparameters of linear.toml's families, and one reading of the last event.

``python experiments/beauty-leave-last-out/linear.py search ease als`` looks at the second-last event of each user only and
writes what it saw into linear.json; ``... read`` fits the best of each family with that event and ranks the last one.
"""

from __future__ import annotations

import json
import os
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from beautyrec.campaign.ranking_study import rank_models
from beautyrec.data.log import EventLog
from beautyrec.data.sources.amazon_beauty import read_amazon_beauty
from beautyrec.data.splits import Split, leave_last_out
from beautyrec.models.base import Learner
from beautyrec.models.catalogue import learner

HERE = Path(__file__).parent
SPEC, FOUND = HERE / "linear.toml", HERE / "linear.json"
SHOWN = ("recall", "recall_ci_low", "recall_ci_high", "ndcg", "ndcg_ci_low", "ndcg_ci_high", "coverage")
Params = dict[str, Any]


def log() -> EventLog:
    """The real log."""
    data = Path(os.environ.get("BEAUTYREC_DATA", HERE.parents[2] / "shared" / "data"))
    return read_amazon_beauty(data / "amazon-beauty-2014")


def row(model: Learner, name: str, split: Split, spec: Params) -> dict[str, float]:
    """Quality and seconds of one model on one split; the seconds of the processor hold on a busy machine too."""
    started = time.process_time()
    table = rank_models({name: model}, split, protocol="leave-last-out", k=spec["k"], seed=spec["seed"])
    found = table.iloc[0]
    quality = {key: round(float(found[key]), 5) for key in SHOWN}
    seconds = {key: round(float(found[key]), 2) for key in ("fit_seconds", "rank_seconds")}
    return quality | seconds | {"cpu_seconds": round(time.process_time() - started, 2)}


def family(name: str, spec: Params) -> str:
    """Which family the section ``name`` is about: its own name, or what it says."""
    return str(spec[name].get("family", name))


def search(name: str, split: Split, spec: Params, seen: list[dict[str, Any]]) -> Iterator[None]:
    """One key after the other, each value tried with the best of the keys before; what was ``seen`` is not tried again.

    ``seen`` grows by one row before each stop, and is whole at the end.
    """
    keys = {key: values for key, values in spec[name].items() if key not in ("family", "fixed")}
    best: dict[str, Any] = {"params": spec[name].get("fixed", {}), "ndcg": -1.0}
    for key, value in [(None, None), *((key, value) for key, values in keys.items() for value in values)]:
        params = best["params"] | ({} if key is None else {key: value})
        found = next((old for old in seen if old["params"] == params), None)
        if found is None:
            found = {"params": params, **row(learner(family(name, spec), params), name, split, spec)}
            seen.append(found)
            yield
        best = max(best, found, key=lambda one: one["ndcg"])


def main(arguments: list[str]) -> None:
    """Search or read; what was found before stays."""
    spec = tomllib.loads(SPEC.read_text())
    found: dict[str, Any] = json.loads(FOUND.read_text()) if FOUND.exists() else {}
    outer = leave_last_out(log().interactions())
    inner = leave_last_out(outer.train)
    for name in arguments[1:] or [key for key in spec if isinstance(spec[key], dict)]:
        mine = found.setdefault(name, {"search": []})
        if arguments[0] == "search":
            for _ in search(name, inner, spec, mine["search"]):
                FOUND.write_text(json.dumps(found, indent=1) + "\n")
            mine["params"] = max(mine["search"], key=lambda one: one["ndcg"])["params"]
        elif arguments[0] == "read":
            mine["last_event"] = row(learner(family(name, spec), mine["params"]), name, outer, spec)
        FOUND.write_text(json.dumps(found, indent=1) + "\n")
        print(name, json.dumps(mine["search"][-1] if arguments[0] == "search" else mine["last_event"]))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
