"""A second-stage re-ranker over the blends of Amazon Beauty, on the second-last event.

``python experiments/beauty-leave-last-out/reranker.py FOLDER "fast blend" "best blend"`` fits each blend of ``beauty.toml`` without
the last two events of a user, trains re-rankers over it, and writes what each finds on the second-last event into
``reranker.json``. The last event is not read. Fitted parts are kept in FOLDER, so that a second run costs seconds. Run with
``OMP_NUM_THREADS=1``.
"""

from __future__ import annotations

import hashlib
import sys
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beautyrec.data.interactions import Interactions
from beautyrec.data.locate import find_data
from beautyrec.data.sources.amazon_beauty import read_amazon_beauty
from beautyrec.data.splits import Split, leave_last_out
from beautyrec.models.base import Learner, Recommender
from beautyrec.models.catalogue import learner
from beautyrec.serving.artifact import ModelCard, read_artifact, write_artifact
from beautyrec.types import Progress

HERE = Path(__file__).parent
SPEC = HERE / "beauty.toml"


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


def main(folder: Path, names: list[str]) -> None:
    """Fit the parts on both sides."""
    spec = tomllib.loads(SPEC.read_text())
    split = second_last()
    inner = leave_last_out(split.train)
    for name in names:
        for part in parts_of(spec, name, folder):
            for train in (inner.train, split.train):
                part.fit(train, seed=0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
