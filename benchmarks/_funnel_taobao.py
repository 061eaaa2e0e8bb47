"""The funnel benchmark's part on real behaviour on Taobao."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from beautyrec.data.schema import CLICKED, ORDERED, USER_ID
from beautyrec.evaluation.grouped_auc import grouped_auc
from beautyrec.evaluation.prediction import funnel_quality
from beautyrec.models.funnel import Boosting, Funnel
from beautyrec.models.funnel_base import CTCVR, CTR, FunnelLearner
from beautyrec.models.funnel_heads import ESMM, PLE, ClicksOnly, MMoE
from beautyrec.models.funnel_network import FunnelNetwork
from benchmarks import _harness
from benchmarks._funnel_measures import bootstrap_auc, known_auc
from benchmarks._funnel_rows import Task, fitted, size

TREES = "trees"


def learners() -> Mapping[str, FunnelLearner]:
    """Smaller than those of the month: there are 150 orders to learn from."""
    plain: dict[str, Any] = {"negatives_a_click": 20.0, "calibration_share": 1 / 3}
    network = FunnelNetwork(batch=512, **plain)
    heads = {head.name: replace(network, head=head) for head in (ESMM(), MMoE(), PLE(levels=1), ClicksOnly())}
    return {TREES: Funnel(Boosting(60, rows_a_leaf=100), Boosting(30, 4, 0.06, 20.0, 40), **plain), **heads}


def on_taobao(task: Task, seed: int, quick: bool) -> tuple[dict[str, Any], list[_harness.Check]]:
    """Trees and networks on real behaviour."""
    chosen = learners()
    if quick:
        chosen = {name: chosen[name] for name in (TREES, "esmm")}
    clicked, ordered = (task.test[name].to_numpy() for name in (CLICKED, ORDERED))
    users = task.test[USER_ID].to_numpy()
    found, rows = {}, []
    for name, learner in chosen.items():
        found[name], seconds = fitted(learner, task, seed)
        predicted = found[name]
        quality = funnel_quality(predicted, clicked, ordered)
        row: dict[str, Any] = {"model": name, "seconds": round(seconds, 1)}
        for chance in quality.index:
            for key in ("auc", "log_loss", "relative_calibration_error"):
                row[f"{chance}_{key}"] = round(float(quality.loc[chance, key]), 5)
        row["ctcvr_gauc_by_viewer"] = round(grouped_auc(predicted[CTCVR].to_numpy(), ordered, users).value, 5)
        row["ctr_gauc_by_viewer"] = round(grouped_auc(predicted[CTR].to_numpy(), clicked, users).value, 5)
        if name != TREES:
            of_trees, rng = found[TREES][CTCVR].to_numpy(), np.random.default_rng([seed, 8])
            gain = bootstrap_auc(predicted[CTCVR].to_numpy(), of_trees, ordered, users, rng, 20 if quick else 100)
            row["ctcvr_auc_above_trees"] = [round(float(value), 5) for value in gain]
            row["beats_trees"] = gain[1] > 0
        rows.append(row)
    best = max(row["ctcvr_on_impressions_auc"] for row in rows)
    views = task.test["views"].to_numpy(np.float64)
    by_views = known_auc(views, ordered.astype(np.float64), np.ones(len(views)))
    name = "Taobao, buys in the next day: AUC of the best model above that of the number of views"
    checks = [_harness.at_least(name, best - by_views, "AUC", 0.0)]
    return {**size(task), "auc_of_the_number_of_views": round(by_views, 5), "models": rows}, checks
