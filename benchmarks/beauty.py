"""Every model on the real Amazon Beauty: how well it ranks all 12,101 items, in how many seconds, in how much memory.

``--protocol leave-last-out`` asks for each user's last event; ``--protocol global-time`` for what was taken in the last 60
days by who was trained on what came before; ``both`` is the default. Items a user took before are left out. The settings
are those of ``experiments/beauty-leave-last-out/beauty.toml``, chosen by searches on the second-last event alone, and that event
**is** in the final fit of every row (weights of blends are chosen by it, with parts fitted without it, before the last fit).
A row has one seed; its 95 % intervals are over users and do not hold the spread over seeds.

A model that is both a row and a part of a blend is fitted once: the seconds of a blend are its own and those of the parts it
took over. Memory is the highest that the whole process held while the row was made, libraries and data included.

The kept result holds both protocols: a run of one leaves the other's as it was, and ``--model NAME`` (it may be given more than
once) makes the rows of those models or blends alone and leaves the others. A row says which commit made it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.campaign.ranking_study import rank_models
from beautyrec.data.interactions import Interactions
from beautyrec.data.locate import find_data
from beautyrec.data.sources.amazon_beauty import read_amazon_beauty
from beautyrec.data.splits import Split, leave_last_out, split_at
from beautyrec.errors import SourceError
from beautyrec.models.base import Learner, Recommender
from beautyrec.models.blend import Blend
from beautyrec.models.catalogue import learner
from beautyrec.models.reranker import Reranker
from beautyrec.models.sasrec import SASRec
from beautyrec.settings import read_toml
from beautyrec.types import Progress
from benchmarks import _harness
from benchmarks._harness import Check, at_least, at_most

FOLDER = "amazon-beauty-2014"
SPEC = _harness.ROOT / "experiments" / "beauty-leave-last-out" / "beauty.toml"
LAST_OUT, BY_TIME = "leave-last-out", "global-time"
IN_THE_FIT = {LAST_OUT: "in the final fit of every row; the last event in none", BY_TIME: "not held out"}
WINDOWED = ("popularity, 30 days", "popularity, 90 days")

WANTED = {
    "ItemKNN": (0.075, 0.046),
    "EASE, order forgotten": (0.078, 0.043),
    "EASE": (0.089, 0.053),
    "ALS": (0.065, 0.034),
    "SASRec": (0.092, 0.053),
    "best blend": (0.110, 0.066),
}
"""Recall@10 and NDCG@10 on the last event."""
SASREC_SECONDS, OTHER_SECONDS = 1800.0, 600.0
"""Of the processor, all threads together: what a machine with nothing else to do takes at most, whatever else this one does."""

QUICK_USERS = 8000
QUICK_WANTED = {"ItemKNN": (0.05, 0.03), "SLIM": (0.055, 0.033), "SASRec": (0.03, 0.015), "blend": (0.055, 0.033)}
"""The quick form: some users, two epochs, no inverse of the whole catalogue."""
SECONDS = ("fit_seconds", "rank_seconds")


@dataclass(frozen=True)
class Once:
    """A learner that is fitted once on ``train`` and remembers the model; on another log it is fitted as ever."""

    learner: Learner
    train: Interactions = field(compare=False)
    store: dict[tuple[str, int], tuple[Recommender, float]] = field(compare=False, repr=False)
    reused: list[float] = field(compare=False, repr=False, default_factory=list)
    """Seconds of the fits that were taken over."""

    def fit(self, train: Interactions, *, seed: int = 0, on_progress: Progress | None = None) -> Recommender:
        """Fit, or take over."""
        if train is not self.train:
            return self.learner.fit(train, seed=seed, on_progress=on_progress)
        key = (repr(self.learner), seed)
        if key in self.store:
            model, seconds = self.store[key]
            self.reused.append(seconds)
            return model
        start = time.perf_counter()
        model = self.learner.fit(train, seed=seed, on_progress=on_progress)
        self.store[key] = (model, time.perf_counter() - start)
        return model


def read(folder: Path | None) -> Interactions:
    if folder is None or not (folder / FOLDER).is_dir():
        raise SourceError(f"the data folder has no '{FOLDER}': name it with BEAUTYREC_DATA; see data/README.md.")
    return read_amazon_beauty(folder / FOLDER).interactions()


def split_of(protocol: str, log: Interactions, last_days: int) -> Split:
    if protocol == LAST_OUT:
        return leave_last_out(log)
    return split_at(log, pd.Timestamp(int(log.ts.max()), unit="us", tz="UTC") - pd.Timedelta(days=last_days))


def learners_of(spec: Mapping[str, Any], split: Split) -> dict[str, Learner]:
    """The models by name, in the order of the spec; blends and second stages take over parts that are rows themselves."""
    store: dict[tuple[str, int], tuple[Recommender, float]] = {}
    found: dict[str, Learner] = {
        row["name"]: Once(learner(row["family"], row.get("params")), split.train, store) for row in spec["model"]
    }
    blends = {row["name"]: blend_of(row, found) for row in spec["blend"]}
    return found | blends | {row["name"]: Reranker(blend_of(row, found)) for row in spec["reranked"]}


def blend_of(row: Mapping[str, Any], found: Mapping[str, Learner]) -> Blend:
    """The blend of a row of the spec."""
    return Blend(tuple(found[name] for name in row["parts"]))


def rows_of(
    learners: Mapping[str, Learner], split: Split, protocol: str, k: int, seed: int
) -> Iterator[dict[str, Any]]:
    """The row of each model, as soon as it is there."""
    for place, (name, model) in enumerate(learners.items()):
        _harness.progress(place, len(learners))
        blend = model.first if isinstance(model, Reranker) else model
        parts = [part for part in getattr(blend, "parts", ()) if isinstance(part, Once)]
        for part in parts:
            part.reused.clear()
        reset_peak()
        processor = time.process_time()
        row = rank_models({name: model}, split, protocol=protocol, k=k, seed=seed).iloc[0]
        reused = sum(sum(part.reused) for part in parts)
        names = ("recall", "recall_ci_low", "recall_ci_high", "ndcg", "ndcg_ci_low", "ndcg_ci_high", "coverage")
        yield {
            "model": name,
            **{key: round(float(row[key]), 5) for key in names},
            "fit_seconds": round(float(row["fit_seconds"]) + reused, 2),
            "rank_seconds": round(float(row["rank_seconds"]), 2),
            "seconds_in_this_run": round(float(row["fit_seconds"] + row["rank_seconds"]), 2),
            "processor_seconds_in_this_run": round(time.process_time() - processor, 1),
            "peak_mib": peak_mib(),
            "users": int(row["users"]),
            "cold_users": int(row["cold_users"]),
            "note": str(row["note"]),
            "commit": _harness.commit(),
        }


def reset_peak() -> None:
    """Let the kernel count the peak memory of this process anew, where it can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_mib() -> float | None:
    """The most memory held since the last reset, MiB; None where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("VmHWM")), None)


def beside_wanted(rows: Mapping[str, Mapping[str, Any]], wanted: Mapping[str, tuple[float, float]]) -> list[Check]:
    """The rows against recall and NDCG wanted of them."""
    checks = []
    for name, (recall, ndcg) in wanted.items():
        checks.append(at_least(f"{LAST_OUT}: {name}", rows[name]["recall"], "recall@10", recall))
        checks.append(at_least(f"{LAST_OUT}: {name}", rows[name]["ndcg"], "NDCG@10", ndcg))
    return checks


def last_out_checks(rows: Mapping[str, Mapping[str, Any]]) -> list[Check]:
    """What is wanted of leave-last-out."""
    checks = beside_wanted(rows, WANTED)
    gain = rows["LightFM"]["recall"] - rows["LightFM, ids alone"]["recall"]
    checks.append(at_least(f"{LAST_OUT}: LightFM, features above ids alone by", gain, "recall@10", 0.0))
    sasrec = rows["SASRec"]["processor_seconds_in_this_run"]
    others = sum(row["processor_seconds_in_this_run"] for row in rows.values()) - sasrec
    checks.append(at_most(f"{LAST_OUT}: SASRec, fit and ranking", sasrec, "processor s", SASREC_SECONDS))
    checks.append(at_most(f"{LAST_OUT}: everything else together", others, "processor s", OTHER_SECONDS))
    return checks


def by_time_checks(rows: Mapping[str, Mapping[str, Any]]) -> list[Check]:
    """Every model against the better of the windows of popularity, recall and NDCG."""
    checks = []
    for name, row in rows.items():
        for key, unit in (("recall", "recall@10"), ("ndcg", "NDCG@10")):
            bound = max(rows[window][key] for window in WINDOWED)
            if not name.startswith("popularity"):
                checks.append(at_least(f"{BY_TIME}: {name}, against windowed popularity", row[key], unit, bound))
    return checks


def not_worth(checks: Sequence[Check]) -> list[str]:
    """The models that windowed popularity beats: not worth their cost there."""
    return sorted({check.name.split(": ")[1].split(", against")[0] for check in checks if not check.holds})


def full(protocol: str, log: Interactions, seed: int, only: Sequence[str] = ()) -> dict[str, Any]:
    """The rows of one protocol, all models or ``only`` some beside the kept ones, and how they were made."""
    spec = read_toml(SPEC)
    split = split_of(protocol, log, spec["last_days"])
    learners = learners_of(spec, split)
    wanted = {name: learners[name] for name in only or learners}
    made = {row["model"]: row for row in rows_of(wanted, split, protocol, spec["k"], seed)}
    earlier = {row["model"]: row for row in kept(protocol).get("rows", ())} if only else {}
    rows = [(earlier | made)[name] for name in learners if name in earlier | made]
    notes = {
        "rows": rows,
        "second_last_event": IN_THE_FIT[protocol],
        "seed": seed,
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "intervals": "95 %, over users; the spread over seeds is not in them",
    }
    return notes | ({"not_worth_their_cost": not_worth(checks_of(protocol, rows))} if protocol == BY_TIME else {})


def quick(log: Interactions, seed: int) -> _harness.Measured:
    """Fewer users and models on the last event."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(log.users))[:QUICK_USERS])
    split = leave_last_out(log.where(np.isin(log.user_ix, chosen)))
    knn, slim = (learner(row["family"], row["params"]) for row in named(read_toml(SPEC), "ItemKNN", "SLIM"))
    learners: dict[str, Learner] = {
        "popularity": learner("popularity"),
        "ItemKNN": knn,
        "SLIM": slim,
        "SASRec": SASRec(epochs=2),
        "blend": Blend((slim, knn)),
    }
    rows = {row["model"]: row for row in rows_of(learners, split, LAST_OUT, 10, seed)}
    checks = beside_wanted(rows, QUICK_WANTED)
    checks += [
        at_least(f"{LAST_OUT}: {name}, against popularity", row["ndcg"], "NDCG@10", rows["popularity"]["ndcg"])
        for name, row in rows.items()
        if name != "popularity"
    ]
    return checks, {LAST_OUT: {"rows": list(rows.values())}}


def names_of(spec: Mapping[str, Any]) -> list[str]:
    """The rows of the spec, in their order."""
    return [row["name"] for row in (*spec["model"], *spec["blend"], *spec["reranked"])]


def named(spec: Mapping[str, Any], *names: str) -> list[Mapping[str, Any]]:
    """The rows of the spec with these names, in their order."""
    rows = {row["name"]: row for row in spec["model"]}
    return [rows[name] for name in names]


def checks_of(protocol: str, listed: Sequence[Mapping[str, Any]]) -> list[Check]:
    """What is wanted of the rows of a protocol."""
    rows = {row["model"]: row for row in listed}
    return last_out_checks(rows) if protocol == LAST_OUT else by_time_checks(rows)


def kept(protocol: str) -> dict[str, Any]:
    """What the last full run of a protocol left."""
    path = _harness.RESULTS / "beauty.json"
    found: dict[str, Any] = json.loads(path.read_text())["notes"].get(protocol, {}) if path.exists() else {}
    return found


def measure(
    seed: int, is_quick: bool, protocols: Sequence[str] = (LAST_OUT, BY_TIME), only: Sequence[str] = ()
) -> _harness.Measured:
    log = read(find_data())
    if is_quick:
        return quick(log, seed)
    notes = {protocol: full(protocol, log, seed, only) for protocol in protocols}
    others = {protocol: kept(protocol) for protocol in (LAST_OUT, BY_TIME) if protocol not in protocols}
    notes |= {protocol: found for protocol, found in others.items() if found}
    return [check for protocol, found in notes.items() for check in checks_of(protocol, found["rows"])], notes


def main(argv: Sequence[str] | None = None) -> None:
    """``--protocol`` and ``--model`` are read here, the rest by the harness."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beauty", add_help=False)
    parser.add_argument("--protocol", choices=(LAST_OUT, BY_TIME, "both"), default="both")
    parser.add_argument("--model", action="append", default=[], choices=names_of(read_toml(SPEC)))
    given, rest = parser.parse_known_args(argv)
    protocols = (LAST_OUT, BY_TIME) if given.protocol == "both" else (given.protocol,)
    _harness.main("beauty", partial(measure, protocols=protocols, only=given.model), rest)


if __name__ == "__main__":
    main()
