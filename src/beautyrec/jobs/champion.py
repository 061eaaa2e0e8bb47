"""The champion: refitted on the whole month, written as an artifact, registered, and read back without what trains."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.campaign.registry import choose_champion, register_champion
from beautyrec.campaign.study import StudyResult, trial_seed
from beautyrec.campaign.tracking import MlflowTracker
from beautyrec.data import schema
from beautyrec.errors import ArtifactError
from beautyrec.jobs.config import JobConfig
from beautyrec.jobs.lift import Knowledge
from beautyrec.jobs.shop import Shop
from beautyrec.jobs.sweep import METRIC, WalkForward
from beautyrec.models.funnel_base import FunnelLearner
from beautyrec.serving.artifact import write_artifact
from beautyrec.serving.manifest import ModelCard

SAMPLE = 2000
"""Rows that are scored in this process and in a bare one, to compare."""

READ_BACK = """
import sys
import pandas as pd
from beautyrec.serving import Scorer
scores = Scorer.load(sys.argv[1]).score(pd.read_parquet(sys.argv[2]), on_unknown="fallback")
scores.to_parquet(sys.argv[3])
trained = sorted({"torch", "mlflow", "optuna", "sklearn", "implicit", "lightfm", "duckdb"} & set(sys.modules))
sys.exit(f"loaded {trained}" if trained else 0)
"""
"""A program that needs the base install only."""


def crown(
    shop: Shop, walk: WalkForward, result: StudyResult, tracker: MlflowTracker, config: JobConfig, folder: Path
) -> dict[str, Any]:
    """The champion of a study, or why there is none.

    What the trial promised was read from the log of the last days; what is true is asked of the simulated world for the same
    requests. The model that is written knows the whole month.

    Raises:
        ArtifactError: the artifact does not give the scores of the model that was written.
    """
    choice = choose_champion(result.trials)
    if choice.trial is None:
        return {"promoted": False, "reason": choice.reason}
    trial = choice.trial
    chances = walk.chances(str(trial["family"]), trial["params"], trial_seed(config.seed, int(trial["number"])))
    truth = shop.world.truth(walk.stage.held.slates, chances, rng=np.random.default_rng(config.seed))
    legacy = walk.stage.legacy
    promised = {name: float(trial["metrics"][name]) for name in ("estimate", "ci_low", "ci_high")}
    difference, version = _write(shop, trial, config, folder, tracker)
    return {
        "promoted": True,
        "reason": choice.reason,
        "trial": int(trial["number"]),
        "family": str(trial["family"]),
        "params": dict(trial["params"]),
        "metric": METRIC,
        **promised,
        "verdict": str(trial["verdict"]),
        "true": truth[METRIC].value / legacy[METRIC].value - 1,
        "true_ctr": truth["ctr"].value,
        "true_room_conversion": truth["room_conversion"].value,
        "legacy_ctr": legacy["ctr"].value,
        "legacy_room_conversion": legacy["room_conversion"].value,
        "alias": "champion",
        "version": version,
        "artifact": "champion",
        "largest_difference": difference,
    }


def _write(
    shop: Shop, trial: pd.Series[Any], config: JobConfig, folder: Path, tracker: MlflowTracker
) -> tuple[float, int]:
    """The artifact in ``folder``, its version in the registry, and the largest difference of scores read back."""
    end = shop.day(config.world.days)
    knowledge = Knowledge.at(shop, end, config.lift)
    family, params = str(trial["family"]), dict(trial["params"])
    learner = config.sweep.families[family].learner(family, params)
    card = ModelCard(
        family=family,
        params=params,
        seed=config.seed,
        features=shop.features.fingerprint if isinstance(learner, FunnelLearner) else "",
        trained_until=end.isoformat(),
        metrics={name: float(trial["metrics"][name]) for name in ("estimate", "ci_low", "ci_high")},
        labels={"rooms": shop.world.label},
    )
    place = folder / "champion"
    rng = np.random.default_rng(config.seed)
    if isinstance(learner, FunnelLearner):
        model = learner.fit(knowledge.rows, features=knowledge.features, seed=config.seed)
        sample = knowledge.rows[list(knowledge.features)].sample(SAMPLE, random_state=rng)
        expected = model.predict(sample)
        write_artifact(place, model.state(), card)
    else:
        recommender = learner.fit(knowledge.interactions, seed=config.seed)
        pairs = knowledge.rows[[schema.USER_ID, schema.ITEM_ID]].sample(SAMPLE, random_state=rng)
        sample = pairs[recommender.items.indices_or_missing(pairs[schema.ITEM_ID]) >= 0]
        users = recommender.users.indices_or_missing(sample[schema.USER_ID])
        items = recommender.items.indices(sample[schema.ITEM_ID])
        expected = pd.DataFrame({"score": recommender.scores_at(users, items[:, None])[:, 0]}, index=sample.index)
        write_artifact(place, recommender.state(), card)
    difference = _largest_difference(place, sample, expected)
    version = register_champion(tracker.uri, place, str(trial["run_id"]), tags={"family": family, **card.metrics})
    return difference, version.version


def _largest_difference(place: Path, sample: pd.DataFrame, expected: pd.DataFrame) -> float:
    """Scores of ``sample`` by a fresh process with the base install's modules, against those of the fitted model."""
    with tempfile.TemporaryDirectory() as scratch:
        rows, out = Path(scratch) / "rows.parquet", Path(scratch) / "scores.parquet"
        sample.reset_index(drop=True).to_parquet(rows)
        command = [sys.executable, "-c", READ_BACK, str(place), str(rows), str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own program)
        if done.returncode:
            raise ArtifactError(f"'{place}' cannot be read back by a bare process: {done.stderr.strip()[-400:]}")
        scores = pd.read_parquet(out)
    difference = float(np.abs(scores.to_numpy() - expected.to_numpy()).max())
    if difference > 1e-6:
        raise ArtifactError(f"'{place}' gives other scores than the model that was written, by {difference:.2e}.")
    return difference
