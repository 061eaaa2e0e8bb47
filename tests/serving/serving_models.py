"""Small models of every kind, made of random numbers: nothing is trained here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from beautyrec.data.interactions import Interactions
from beautyrec.models.calibrated import LogisticCalibration
from beautyrec.models.fold_in import least_squares_users
from beautyrec.models.funnel import TreeFunnelModel
from beautyrec.models.funnel_heads import ESMM
from beautyrec.models.funnel_inputs import Inputs
from beautyrec.models.funnel_network import NetworkFunnelModel
from beautyrec.models.known import Known, recency_weight
from beautyrec.models.recommenders import (
    FactorRecommender,
    ItemScoreRecommender,
    ItemSimilarityRecommender,
    LeastSquaresRecommender,
)
from beautyrec.models.trees import TreeEnsemble
from beautyrec.serving import ModelCard, Scorer, write_artifact

N_USERS, N_ITEMS = 40, 60


def known(ids: str) -> Known:
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, N_USERS, 300), rng.integers(0, N_ITEMS, 300)
    users[:N_USERS], items[:N_ITEMS] = np.arange(N_USERS), np.arange(N_ITEMS)
    frame = pd.DataFrame({"user_id": users * 7, "item_id": items})
    if ids == "string":
        frame = pd.DataFrame({"user_id": [f"ü{u:03d}" for u in users], "item_id": [f"品{i}" for i in items]})
    frame["ts"] = pd.date_range("2026-01-01", periods=300, freq="h", tz="UTC")
    return Known.of(Interactions.from_frame(frame))


def factors(ids: str = "integer") -> FactorRecommender:
    rng = np.random.default_rng(1)
    users, items = rng.normal(size=(2, N_ITEMS, 8)).astype(np.float32)
    return FactorRecommender(known(ids), users[:N_USERS], items, rng.normal(size=N_ITEMS).astype(np.float32))


def similarity(ids: str = "integer") -> ItemSimilarityRecommender:
    rng, past = np.random.default_rng(2), known(ids)
    counts = rng.integers(0, 6, N_ITEMS)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    neighbours = np.concatenate([rng.choice(N_ITEMS, count, replace=False) for count in counts]).astype(np.int64)
    weights = [rng.random(size).astype(np.float32) for size in (len(past.seen.item_ix), len(neighbours))]
    return ItemSimilarityRecommender(past, weights[0], indptr, neighbours, weights[1])


def item_scores(ids: str = "integer") -> ItemScoreRecommender:
    return ItemScoreRecommender(known(ids), np.random.default_rng(3).random(N_ITEMS).astype(np.float32))


def trees(seed: int, count: int = 5) -> TreeEnsemble:
    """Each tree: the root tests feature 0 or 1, its left child the other, three leaves."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 2, count)
    feature = np.stack([first, 1 - first, *np.full((3, count), -1)], axis=1).ravel()
    return TreeEnsemble(
        start=np.arange(count + 1) * 5,
        feature=feature,
        threshold=np.where(feature >= 0, rng.normal(size=len(feature)), 0.0),
        left=np.tile([1, 2, 0, 0, 0], count),
        right=np.tile([4, 3, 0, 0, 0], count),
        missing_left=(feature >= 0) & (rng.random(len(feature)) < 0.5),
        value=np.where(feature < 0, rng.normal(size=len(feature)), 0.0),
        baseline=np.array([-1.0]),
    )


def funnel() -> TreeFunnelModel:
    lines = LogisticCalibration(0.9, 0.1), LogisticCalibration(1.1, -0.2)
    return TreeFunnelModel(("heat", "price"), *lines, trees(4), trees(5, 3))


def feature_rows() -> pd.DataFrame:
    rng = np.random.default_rng(6)
    rows = pd.DataFrame({"price": rng.normal(size=50), "heat": rng.normal(size=50)}, index=np.arange(50) * 3)
    return rows.mask(rng.random(rows.shape) < 0.1)


MODELS = {"factors": factors, "item_similarity": similarity, "item_scores": item_scores}


def least_squares(ids: str = "integer") -> LeastSquaresRecommender:
    """Users who are the least squares solution for their history, as a fit leaves them."""
    past, items = known(ids), np.random.default_rng(7).normal(size=(N_ITEMS, 8)).astype(np.float32)
    users = least_squares_users(past.seen, 3 * recency_weight(past.seen, 0.9), items, 0.1)
    return LeastSquaresRecommender(past, users, items, regularization=0.1, alpha=3.0, decay=0.9)


def network() -> NetworkFunnelModel:
    """DCN-v2 with two towers and a category, made of random numbers."""
    rng, head = np.random.default_rng(8), ESMM(tower=6)
    inputs = Inputs.fit([rng.normal(size=500), rng.random(500)], ("brand",), buckets=16)
    width = inputs.width + 3
    shapes = {
        "trunks.0.embedding.weight": (17, 3),
        "trunks.0.cross.0.down.weight": (4, width),
        "trunks.0.cross.0.up.weight": (width, 4),
        "trunks.0.cross.0.up.bias": (width,),
        "trunks.0.deep.0.weight": (8, width),
        "trunks.0.deep.0.bias": (8,),
    }
    for task in ("click", "order"):
        shapes |= {f"head.towers.{task}.0.weight": (6, 8), f"head.towers.{task}.0.bias": (6,)}
        shapes |= {f"head.towers.{task}.2.weight": (1, 6), f"head.towers.{task}.2.bias": (1,)}
    weights = {name: rng.normal(size=shape, scale=0.3).astype(np.float32) for name, shape in shapes.items()}
    return NetworkFunnelModel(
        ("heat", "price"), LogisticCalibration(0.9, -1.0), LogisticCalibration(1.1, -0.2), inputs, head, weights
    )


def stored(folder: Path, model) -> Scorer:
    write_artifact(folder, model.state(), ModelCard("test", params={"d": 8}, metrics={"recall@10": 0.25}))
    return Scorer.load(folder)
