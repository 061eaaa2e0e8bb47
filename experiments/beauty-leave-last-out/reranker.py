"""A second-stage re-ranker over the blends of Amazon Beauty, on the second-last event.

``python experiments/beauty-leave-last-out/reranker.py FOLDER "fast blend" "best blend"`` fits each blend of ``beauty.toml``
without the last two events of a user, lets second stages learn from the third-last, and writes what each finds on the
second-last event into ``reranker.json``. The last event is not looked at. Fitted parts are kept in FOLDER, so that a second
run costs seconds. Run with ``OMP_NUM_THREADS=1``.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from beautyrec.data.interactions import Interactions
from beautyrec.data.locate import find_data
from beautyrec.data.sources.amazon_beauty import read_amazon_beauty
from beautyrec.data.splits import Split, leave_last_out
from beautyrec.models.base import Learner, Recommender
from beautyrec.models.blend import Blend, new_to_their_users
from beautyrec.models.catalogue import learner
from beautyrec.models.reranked import Purchases, Stage, look
from beautyrec.models.reranker import Choices, SecondStage, learn
from beautyrec.serving.artifact import ModelCard, read_artifact, write_artifact
from beautyrec.types import FloatArray, IntArray, Progress

HERE = Path(__file__).parent
SPEC, ROWS = HERE / "beauty.toml", HERE / "reranker.json"


@dataclass(frozen=True)
class Kept:
    """A learner whose fits are kept as artifacts and read again."""

    learner: Learner
    folder: Path

    def fit(self, train: Interactions, *, seed: int = 0, on_progress: Progress | None = None) -> Recommender:
        """Fit, or read what the same fit left."""
        of = hashlib.sha256(f"{self.learner!r} {seed} ".encode())
        for array in (train.user_ix, train.item_ix, train.ts):
            of.update(array.tobytes())
        place = self.folder / of.hexdigest()[:16]
        if not place.exists():
            started = time.process_time()
            model = self.learner.fit(train, seed=seed, on_progress=on_progress)
            seconds = round(time.process_time() - started, 1)
            write_artifact(place, model.state(), ModelCard(type(self.learner).__name__, metrics={"seconds": seconds}))
            sys.stdout.write(f"{self.learner!r:.60} on {len(train):,} events: {seconds} s of the processor\n")
            sys.stdout.flush()
        found: Recommender = read_artifact(place).model
        return found


def parts_of(spec: Mapping[str, Any], name: str, folder: Path) -> tuple[Learner, ...]:
    """The parts of a blend of the spec."""
    rows = {row["name"]: learner(row["family"], row.get("params")) for row in spec["model"]}
    blend = next(row for row in spec["blend"] if row["name"] == name)
    return tuple(Kept(rows[part], folder) for part in blend["parts"])


def second_last() -> Split:
    """What came before the second-last event of each user, and that event."""
    folder = find_data()
    if folder is None:
        raise SystemExit("There is no data folder: name it with BEAUTYREC_DATA; see data/README.md.")
    log = read_amazon_beauty(folder / "amazon-beauty-2014").interactions()
    return leave_last_out(leave_last_out(log).train)


def looked(blend: Recommender, purchases: Purchases, user_ix: IntArray, n: int) -> Stage:
    """The candidates of users with their features, a few users at a time."""
    parts = [look(blend, purchases, user_ix[begin : begin + 64], n) for begin in range(0, len(user_ix), 64)]
    columns = [np.concatenate(column) for column in zip(*(part.columns for part in parts), strict=True)]
    blended = np.concatenate([part.blended for part in parts])
    return Stage(np.concatenate([part.items for part in parts]), np.empty(0), columns, blended)


def judged(score: FloatArray, items: IntArray, taken: IntArray) -> tuple[FloatArray, FloatArray]:
    """[n] hit within ten and NDCG@10 of each user, from the scores of candidates; equals in the order they stand in."""
    ordered = np.take_along_axis(items, np.argsort(-score.reshape(items.shape), axis=1, kind="stable")[:, :10], axis=1)
    found = ordered == taken[:, None]
    return found.any(axis=1).astype(float), (found / np.log2(np.arange(10) + 2)).sum(axis=1)


def rows_of(name: str, spec: Mapping[str, Any], folder: Path, split: Split) -> Iterator[dict[str, Any]]:
    """What a blend finds, and each variant of a second stage over it."""
    blend, stage = Blend(parts_of(spec, name, folder)), SecondStage()
    held = blend.without_last(split.train, seed=spec["seed"])
    choices = Choices.of(held, stage, spec["seed"])
    model = replace(blend, weights=held.model.weights).fit(split.train, seed=spec["seed"])
    fresh = new_to_their_users(split.train, split.test)
    users, taken = split.test.user_ix[fresh], split.test.item_ix[fresh]
    started = time.process_time()
    found = looked(model, Purchases.of(split.train, stage.groups), users, stage.candidates)
    reach = float((found.items == taken[:, None]).any(axis=1).mean())
    first = judged(found.blended, found.items, taken)
    facts = {"candidates": stage.candidates, "reach": round(reach, 4), "learnt_from": len(choices.start)}
    seconds = round(time.process_time() - started, 1)
    yield {"blend": name, "second_stage": "none", **measured(first, first), **facts, "look_seconds": seconds}
    for label, use in variants(len(model.parts)).items():
        started = time.process_time()
        slope, trees = learn(choices._replace(features=choices.features[:, use]), stage, spec["seed"])
        seconds = round(time.process_time() - started, 1)
        score = slope * found.blended + trees.raw([found.columns[column] for column in use])
        mine = judged(score, found.items, taken)
        yield {"blend": name, "second_stage": label, **measured(mine, first), "learn_seconds": seconds}


def variants(n_parts: int) -> dict[str, list[int]]:
    """Which features trees see."""
    scores, sold = list(range(2 + n_parts)), list(range(2 + n_parts, 5 + n_parts))
    price, groups = list(range(5 + n_parts, 7 + n_parts)), list(range(7 + n_parts, 13 + n_parts))
    everything = [*scores, *sold, *price, *groups]
    return {
        "all features: the default": everything,
        "scores and ranks alone": scores,
        "and how the item sold": [*scores, *sold],
        "and what the user took of its category and brand": [*scores, *groups],
    }


def measured(mine: tuple[FloatArray, FloatArray], first: tuple[FloatArray, FloatArray]) -> dict[str, Any]:
    """Means over users, and the difference of NDCG to that of the blend with half of its 95 % interval."""
    difference = mine[1] - first[1]
    return {
        "recall": round(float(mine[0].mean()), 5),
        "ndcg": round(float(mine[1].mean()), 5),
        "ndcg_difference": round(float(difference.mean()), 5),
        "half_interval": round(float(1.96 * difference.std() / np.sqrt(len(difference))), 5),
        "users": len(difference),
    }


def main(folder: Path, names: list[str]) -> None:
    """Measure; each row is kept as soon as it is there."""
    spec = tomllib.loads(SPEC.read_text())
    split = second_last()
    for name in names:
        rows = json.loads(ROWS.read_text()) if ROWS.exists() else []
        rows = [row for row in rows if row["blend"] != name]
        for row in rows_of(name, spec, folder, split):
            rows.append(row)
            ROWS.write_text(json.dumps(rows, indent=1) + "\n")
            sys.stdout.write(f"{json.dumps(row)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
