"""The sequential models on Amazon Beauty: the search on the second-last event, and one reading on the last.

``python experiments/beauty-leave-last-out/sequential.py STAGE NAME...`` fits the named settings and adds their rows to
``sequential.json`` beside this file. Stages: ``validate`` (trained without the last two events of a user, judged on the
second-last), ``test`` (trained without the last, judged on it), ``time`` (trained before the last 60 days, judged on
them), ``epochs`` (as ``test``, after 1, 2, ... epochs). Run with ``OMP_NUM_THREADS=1``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

from beautyrec.campaign.ranking_study import rank_models
from beautyrec.data.interactions import Interactions
from beautyrec.data.sources.amazon_beauty import read_amazon_beauty
from beautyrec.data.splits import Split, leave_last_out, split_at
from beautyrec.models.base import Learner
from beautyrec.models.gru4rec import GRU4Rec
from beautyrec.models.losses import GBCE, SampledSoftmax
from beautyrec.models.popularity import Popularity
from beautyrec.models.sasrec import SASRec

SEED = 20261122
LAST_DAYS = 60
ROWS = Path(__file__).with_suffix(".json")

SETTINGS: dict[str, Learner] = {
    "sasrec, ids alone": SASRec(item_features=()),
    "sasrec, ids alone, time": SASRec(item_features=(), time_since_previous=True, time_between=True),
    "sasrec": SASRec(),
    "sasrec, 2048 drawn, patience 4": SASRec(loss=SampledSoftmax(negatives=2048), patience=4),
    "sasrec, 2048 drawn": SASRec(loss=SampledSoftmax(negatives=2048)),
    "sasrec, gBCE": SASRec(loss=GBCE()),
    "gru4rec, ids alone": GRU4Rec(item_features=()),
    "gru4rec": GRU4Rec(),
    "popularity, 30 days": Popularity(window_days=30),
    "popularity, 90 days": Popularity(window_days=90),
}
"""What is compared; see ``sequential.md``."""


def read() -> Interactions:
    """The purchases, from BEAUTYREC_DATA or beside the project."""
    folder = Path(os.environ.get("BEAUTYREC_DATA", "../shared/data")) / "amazon-beauty-2014"
    return read_amazon_beauty(folder).interactions()


def split_for(stage: str, log: Interactions) -> Split:
    """What is trained on and what is judged at a stage."""
    if stage == "time":
        return split_at(log, pd.Timestamp(int(log.ts.max()), unit="us", tz="UTC") - pd.Timedelta(days=LAST_DAYS))
    last = leave_last_out(log)
    return leave_last_out(last.train) if stage == "validate" else last


def row(stage: str, name: str, learner: Learner, split: Split) -> dict[str, Any]:
    """The row of one fit."""
    epochs: list[int] = []
    started = time.process_time()
    frame = rank_models(
        {name: learner}, split, protocol=stage, seed=SEED, on_model=lambda _: lambda done, _: epochs.append(done)
    )
    found = frame.iloc[0].to_dict()
    numbers = {key: round(value, 5) if isinstance(value, float) else value for key, value in found.items()}
    more = {"processor_seconds": round(time.process_time() - started, 1), "epochs": len(epochs) - 1, "seed": SEED}
    return numbers | more | {"settings": repr(learner)}


def main(stage: str, names: list[str]) -> None:
    """Fit ``names`` one after the other; each row is kept as soon as it is there."""
    split = split_for(stage, read())
    for given in names:
        name = f"sasrec, {given} epochs" if stage == "epochs" else given
        learner = SASRec(epochs=int(given)) if stage == "epochs" else SETTINGS[given]
        new = row(stage, name, learner, split)
        rows = json.loads(ROWS.read_text()) if ROWS.exists() else []
        rows = [old for old in rows if (old["protocol"], old["model"]) != (stage, name)] + [new]
        ROWS.write_text(json.dumps(rows, indent=1) + "\n")
        short = ("model", "recall", "ndcg", "fit_seconds", "processor_seconds", "epochs")
        sys.stdout.write(f"{json.dumps({key: new[key] for key in short})}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
