"""Do chances of click and order mean what they say, and which model gives the best ones?

*The simulated month.* The true chance of a click and of an order given a click is known for every impression, so AUC, log loss
and calibration error are what they would be on endless draws: no sampling of outcomes is in them. pCTR is judged on all
impressions. pCVR is judged on clicks (each impression counts with its true chance of a click, so that it is the rate of orders
among clicks) and, where said, on all impressions alike. Days 5 to 22 train; of their rows the last third calibrates and, for
networks, chooses the epoch; days 23 to 29 test. Hyperparameters, and the calibration by one line for all scenes, were chosen
on a month of another seed, where a shift for each scene made its scenes worse: what a few rooms showed did not last.

*Taobao.* Real views, carts and orders: will a viewer who met an item in the last three days come back to it in the next day
(``ctr``), and buy it then (``ctcvr``)? By viewers drawn again, the AUC has an interval.

A network is worth keeping only where it beats the trees.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student
from threadpoolctl import threadpool_limits

from beautyrec.data.locate import find_data
from beautyrec.data.schema import CLICKED, ORDERED, TS, USER_ID
from beautyrec.evaluation.grouped_auc import grouped_auc
from beautyrec.evaluation.prediction import funnel_quality
from beautyrec.models.funnel import Boosting, Funnel
from beautyrec.models.funnel_base import CTCVR, CTR, CVR, FunnelLearner, FunnelModel
from beautyrec.models.funnel_delay import ORDER_KNOWN_AT, matured_rows
from beautyrec.models.funnel_heads import ESMM, PLE, ClicksOnly, MMoE
from beautyrec.models.funnel_network import FunnelNetwork
from benchmarks import _harness
from benchmarks._funnel_measures import (
    bootstrap_auc,
    known_auc,
    known_calibration_error,
    known_log_loss,
)
from benchmarks._funnel_rows import TRUE_CTR, TRUE_CVR, Task, simulated_month, taobao

VIEWERS, QUICK_VIEWERS = 14_000.0, 1_000.0
SEEDS, QUICK_SEEDS = 3, 1
CALIBRATED, QUICK_CALIBRATED = 0.05, 0.35
TREES = "trees"
SHARE = 1 / 3
DELAY_DAYS, WINDOW_DAYS = 2.0, 7


def learners() -> dict[str, FunnelLearner]:
    network = FunnelNetwork(calibration_share=SHARE, categories=("scene",), negatives_a_click=10.0)
    heads = {head.name: replace(network, head=head) for head in (ESMM(), MMoE(), PLE(levels=1), ClicksOnly())}
    trees = Funnel(Boosting(250, 8, 0.05, 20.0, 500), Boosting(60, 4, 0.06, 20.0, 100), calibration_share=SHARE)
    return {TREES: trees, **heads}


def measure(seed: int, quick: bool) -> tuple[list[_harness.Check], dict[str, Any]]:
    with threadpool_limits(1):
        month = simulated_month(seed, QUICK_VIEWERS if quick else VIEWERS, 400 if quick else 1000)
        rows, checks, models = on_month(month, seed, quick)
        checks += esmm_against_clicks_only(month, seed, quick, models)
        checks += delayed_orders(month, seed, quick)
        notes: dict[str, Any] = {"simulated_month": rows, "month": size(month)}
        folder = find_data()
        if folder is not None and (folder / "taobao-userbehavior-sample").is_dir():
            notes["taobao"], more = on_taobao(taobao(folder), seed, quick)
            checks += more
        else:
            notes["taobao"] = (
                "left out: the folder taobao-userbehavior-sample was not found (BEAUTYREC_DATA, ../shared/data)"
            )
    return checks, notes


def size(task: Task) -> dict[str, int]:
    parts = {"train": task.train, "test": task.test}
    return {
        f"{name}_{what}": int(n)
        for name, rows in parts.items()
        for what, n in (("impressions", len(rows)), ("clicks", rows[CLICKED].sum()), ("orders", rows[ORDERED].sum()))
    }


def fitted(learner: FunnelLearner, task: Task, seed: int) -> tuple[FunnelModel, pd.DataFrame, float]:
    start = time.perf_counter()
    model = learner.fit(task.train, features=task.features, seed=seed)
    return model, model.predict(task.test), time.perf_counter() - start


def on_month(month: Task, seed: int, quick: bool) -> tuple[list[dict[str, Any]], list[_harness.Check], dict[str, Any]]:
    """The table of all models, the checks of calibration for the trees, and what each predicts."""
    chosen = learners()
    if quick:
        chosen = {name: chosen[name] for name in (TREES, "esmm", "clicks_only")}
    found, rows = {}, []
    for name, learner in chosen.items():
        _, predicted, seconds = fitted(learner, month, seed)
        found[name] = predicted
        rows.append({"model": name, "seconds": round(seconds, 1), **known_quality(month, predicted)})
    trees = rows[0]
    for row in rows:
        better = (
            row["ctr_log_loss"] < trees["ctr_log_loss"]
            and row["cvr_log_loss_on_clicks"] < trees["cvr_log_loss_on_clicks"]
        )
        row["beats_trees"] = bool(better)
    bound = QUICK_CALIBRATED if quick else CALIBRATED
    checks = []
    for scene in (None, *range(len(month.scenes))):
        where = "overall" if scene is None else month.scenes[scene]
        for chance, value in calibration(month, found[TREES], scene).items():
            name = f"simulated month, trees: calibration error of p{chance.upper()}, {where}"
            checks.append(_harness.at_most(name, value, "of the base rate", bound))
    return rows, checks, found


def calibration(month: Task, predicted: pd.DataFrame, scene: int | None = None) -> dict[str, float]:
    """Calibration error of pCTR on impressions and of pCVR on clicks, as shares of their base rates."""
    here = np.ones(len(month.test), dtype=bool) if scene is None else (month.test["scene"] == scene).to_numpy()
    ctr, cvr = (month.test[name].to_numpy()[here] for name in (TRUE_CTR, TRUE_CVR))
    p = predicted[here]
    return {
        CTR: known_calibration_error(p[CTR].to_numpy(), ctr, np.ones(len(ctr))),
        CVR: known_calibration_error(p[CVR].to_numpy(), cvr, ctr),
    }


def known_quality(month: Task, predicted: pd.DataFrame) -> dict[str, Any]:
    """One row of the table."""
    ctr, cvr = (month.test[name].to_numpy() for name in (TRUE_CTR, TRUE_CVR))
    p, q, even = predicted[CTR].to_numpy(), predicted[CVR].to_numpy(), np.ones(len(ctr))
    seen = funnel_quality(predicted, month.test[CLICKED].to_numpy(), month.test[ORDERED].to_numpy())
    errors = [calibration(month, predicted, scene) for scene in (None, *range(len(month.scenes)))]
    found: dict[str, Any] = {
        "ctr_auc": known_auc(p, ctr, even),
        "ctr_gauc_by_room": grouped_auc(p, month.test[CLICKED].to_numpy(), month.test["room_id"].to_numpy()).value,
        "ctr_log_loss": known_log_loss(p, ctr, even),
        "cvr_auc_on_clicks": known_auc(q, cvr, ctr),
        "cvr_log_loss_on_clicks": known_log_loss(q, cvr, ctr),
        "cvr_auc_on_impressions": known_auc(q, cvr, even),
        "cvr_log_loss_on_impressions": known_log_loss(q, cvr, even),
        "ctcvr_auc": known_auc(p * q, ctr * cvr, even),
        "ctr_calibration_error": errors[0][CTR],
        "cvr_calibration_error": errors[0][CVR],
        "ctr_calibration_error_worst_scene": max(error[CTR] for error in errors[1:]),
        "cvr_calibration_error_worst_scene": max(error[CVR] for error in errors[1:]),
    }
    for chance, row in seen.iterrows():
        found |= {f"drawn_{chance}_auc": row["auc"], f"drawn_{chance}_calibration": row["relative_calibration_error"]}
    return {name: round(float(value), 5) for name, value in found.items()}


def esmm_against_clicks_only(
    month: Task, seed: int, quick: bool, models: Mapping[str, pd.DataFrame]
) -> list[_harness.Check]:
    """How much better ESMM's CVR is over all impressions, by AUC and by log loss, with intervals over seeds of both."""
    cvr, even = month.test[TRUE_CVR].to_numpy(), np.ones(len(month.test))
    apart = []
    for number in range(QUICK_SEEDS if quick else SEEDS):
        scores = []
        for name in ("esmm", "clicks_only"):
            predicted = models[name] if number == 0 else fitted(learners()[name], month, seed + number)[1]
            p = predicted[CVR].to_numpy()
            scores.append((known_auc(p, cvr, even), -known_log_loss(p, cvr, even)))
        apart.append(np.subtract(*scores))
    mean, checks = np.mean(apart, axis=0), []
    for measure, gain, each in zip(("AUC", "log loss"), mean, np.transpose(apart), strict=True):
        name = f"simulated month: ESMM's CVR better than that of clicks only over all impressions, {measure}"
        if quick:
            checks.append(_harness.at_least(name, gain, f"{measure}, one seed", -0.1))
            continue
        half = float(student.ppf(0.975, len(each) - 1) * np.std(each, ddof=1) / np.sqrt(len(each)))
        unit = f"{measure}, mean of {len(each)} seeds {gain:+.5f}"
        checks.append(_harness.at_least(f"{name}, lower end of the 95 % interval", gain - half, unit, 0.0))
    return checks


def delayed_orders(month: Task, seed: int, quick: bool) -> list[_harness.Check]:
    """Orders of the month made known after two days on average; trees that know of it and trees that do not."""
    late = np.random.default_rng([seed, 7]).exponential(DELAY_DAYS, len(month.train))
    known_at = (month.train[TS] + pd.to_timedelta(late, unit="D")).where(month.train[ORDERED])
    as_of = month.train[TS].max()
    rows = matured_rows(month.train.assign(**{ORDER_KNOWN_AT: known_at}), as_of, f"{WINDOW_DAYS}D")
    in_window = 1 - np.exp(-WINDOW_DAYS / DELAY_DAYS)  # an order counts only within the window
    ctr, cvr = (month.test[name].to_numpy() for name in (TRUE_CTR, TRUE_CVR))
    truth = np.average(cvr, weights=ctr) * in_window
    learner, level = learners()[TREES], []
    for frame in (rows.drop(columns="maturity"), rows):
        predicted = learner.fit(frame, features=month.features, seed=seed).predict(month.test)
        level.append(np.average(predicted[CVR], weights=ctr) / truth - 1)
    room = 0.3 if quick else CALIBRATED
    return [
        _harness.at_most("orders two days late: bias of mean pCVR, not allowed for", level[0], "of the truth", -0.1),
        _harness.at_most("orders two days late: size of the bias, allowed for", abs(level[1]), "of the truth", room),
    ]


def taobao_learners() -> dict[str, FunnelLearner]:
    """Smaller than those of the month: there are 150 orders to learn from."""
    plain: dict[str, Any] = {"negatives_a_click": 20.0, "calibration_share": SHARE}
    network = FunnelNetwork(batch=512, **plain)
    heads = {head.name: replace(network, head=head) for head in (ESMM(), MMoE(), PLE(levels=1), ClicksOnly())}
    return {TREES: Funnel(Boosting(60, rows_a_leaf=100), Boosting(30, 4, 0.06, 20.0, 40), **plain), **heads}


def on_taobao(task: Task, seed: int, quick: bool) -> tuple[dict[str, Any], list[_harness.Check]]:
    """Trees and networks on real behaviour."""
    chosen = taobao_learners()
    if quick:
        chosen = {name: chosen[name] for name in (TREES, "esmm")}
    clicked, ordered = (task.test[name].to_numpy() for name in (CLICKED, ORDERED))
    users = task.test[USER_ID].to_numpy()
    found, rows = {}, []
    for name, learner in chosen.items():
        _, predicted, seconds = fitted(learner, task, seed)
        found[name] = predicted
        quality = funnel_quality(predicted, clicked, ordered)
        row: dict[str, Any] = {"model": name, "seconds": round(seconds, 1)}
        for chance in quality.index:
            for key in ("auc", "log_loss", "relative_calibration_error"):
                row[f"{chance}_{key}"] = round(float(quality.loc[chance, key]), 5)
        row["ctcvr_gauc_by_viewer"] = round(grouped_auc(predicted[CTCVR].to_numpy(), ordered, users).value, 5)
        row["ctr_gauc_by_viewer"] = round(grouped_auc(predicted[CTR].to_numpy(), clicked, users).value, 5)
        of_trees = found[TREES][CTCVR].to_numpy()
        if name != TREES:
            rng = np.random.default_rng([seed, 8])
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


if __name__ == "__main__":
    _harness.main("funnel", measure)
