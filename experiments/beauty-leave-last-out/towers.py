"""LightFM and the two towers on Amazon Beauty: the search on the second-last event, and one reading on the last.

``python experiments/beauty-leave-last-out/towers.py STAGE NAME...`` fits the named settings and adds their rows to
``towers.json`` beside this file. Stages: ``validate`` (fitted without the last two events of a user, judged on the
second-last) and ``test`` (fitted without the last, judged on it). Run with ``OMP_NUM_THREADS=1``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from beautyrec.campaign.ranking_study import rank_models
from beautyrec.data.interactions import Interactions
from beautyrec.data.sources.amazon_beauty import read_amazon_beauty
from beautyrec.data.splits import Split, leave_last_out
from beautyrec.models.base import Learner
from beautyrec.models.lightfm import LightFM
from beautyrec.models.two_tower import TwoTower

SEED = 20261122
ROWS = Path(__file__).with_suffix(".json")

SETTINGS: dict[str, Learner] = {
    "two_tower": TwoTower(),
    "two_tower, values of three items and more": TwoTower(least_items=3),
    "lightfm, no features": LightFM(factors=64, epochs=20, item_features=()),
    "lightfm": LightFM(factors=64, epochs=20),
    "lightfm, weight 5": LightFM(factors=64, epochs=20, feature_weight=5.0),
    "lightfm, words, weight 5": LightFM(
        factors=64, epochs=20, text_features=("category_path", "title"), least_items=3, feature_weight=5.0
    ),
}
"""What is compared; see ``towers.md``."""


def read() -> Interactions:
    """The purchases, from BEAUTYREC_DATA or beside the project."""
    folder = Path(os.environ.get("BEAUTYREC_DATA", "../shared/data")) / "amazon-beauty-2014"
    return read_amazon_beauty(folder).interactions()


def split_for(stage: str, log: Interactions) -> Split:
    """What is fitted on and what is judged at a stage."""
    last = leave_last_out(log)
    return leave_last_out(last.train) if stage == "validate" else last


def row(stage: str, name: str, split: Split) -> dict[str, Any]:
    """The row of one fit."""
    epochs: list[int] = []
    started = time.process_time()
    frame = rank_models(
        {name: SETTINGS[name]}, split, protocol=stage, seed=SEED, on_model=lambda _: lambda done, _: epochs.append(done)
    )
    found = frame.iloc[0].to_dict()
    numbers = {key: round(value, 5) if isinstance(value, float) else value for key, value in found.items()}
    more = {"processor_seconds": round(time.process_time() - started, 1), "epochs": len(epochs), "seed": SEED}
    return numbers | more | {"settings": repr(SETTINGS[name])}


def main(stage: str, names: list[str]) -> None:
    """Fit ``names`` one after the other; each row is kept as soon as it is there."""
    split = split_for(stage, read())
    for name in names:
        new = row(stage, name, split)
        rows = json.loads(ROWS.read_text()) if ROWS.exists() else []
        rows = [old for old in rows if (old["protocol"], old["model"]) != (stage, name)] + [new]
        ROWS.write_text(json.dumps(rows, indent=1) + "\n")
        short = ("model", "recall", "ndcg", "fit_seconds", "processor_seconds", "epochs")
        sys.stdout.write(f"{json.dumps({key: new[key] for key in short})}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
