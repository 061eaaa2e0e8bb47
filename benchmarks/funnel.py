"""Do chances of click and order mean what they say, and which model gives the best ones?

*The simulated month.* The true chance of a click and of an order given a click is known for every impression, so AUC, log loss
and calibration error are what they would be on endless draws: no sampling of outcomes is in them, and a model that knew the
world would have a calibration error of 0. (From the outcomes of the week it would not: ``notes.calibration`` has both, and
the estimate with that noise taken out.) pCTR is judged on all impressions. pCVR is judged on clicks (each impression counts
with its true chance of a click, so that it is the rate of orders among clicks) and, where said, on all impressions alike.
Days 5 to 22 train; of their rows the last third calibrates and, for networks, chooses the epoch; days 23 to 29 test.
Hyperparameters and calibrations (an isotonic curve for the click; for the order of the trees a line with a shift for each scene,
drawn towards none) were chosen on months of other seeds.

*ESMM against clicks only* is judged in eight shops that share no viewer, so that the interval holds what another
sample to learn from would have changed; one fit on the whole month would not show it.

*Taobao.* Real views, carts and orders: will a viewer who met an item in the last three days come back to it in the next day
(``ctr``), and buy it then (``ctcvr``)? By viewers drawn again, the AUC has an interval.

A network is worth keeping only where it beats the trees.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from beautyrec.data.locate import find_data
from beautyrec.data.schema import CLICKED, ORDERED, TS, USER_ID
from beautyrec.evaluation.grouped_auc import grouped_auc
from beautyrec.evaluation.prediction import calibration_error, funnel_quality
from beautyrec.models.calibration import Isotonic, PerScene
from beautyrec.models.funnel import Boosting, Funnel
from beautyrec.models.funnel_base import CTCVR, CTR, CVR, FunnelLearner
from beautyrec.models.funnel_delay import ORDER_KNOWN_AT, matured_rows
from beautyrec.models.funnel_heads import ESMM, PLE, ClicksOnly, MMoE
from beautyrec.models.funnel_network import FunnelNetwork
from beautyrec.types import FloatArray
from benchmarks import _harness
from benchmarks._funnel_measures import (
    debiased_calibration_error,
    known_auc,
    known_calibration_error,
    known_log_loss,
    lower_end,
)
from benchmarks._funnel_rows import TRUE_CTR, TRUE_CVR, Task, fitted, simulated_month, size, taobao
from benchmarks._funnel_taobao import TREES, on_taobao

FULL_MONTH, QUICK_MONTH = (20_000.0, 1000, 40), (1_000.0, 400, 10)  # viewers a day, products, rooms a day
MONTH = 41  # the seed of the month; months 0 to 10, 40 and 101 were looked at while choices were made
SHOPS = 8
CALIBRATED, QUICK_CALIBRATED = 0.05, 0.35
SHARE = 1 / 3
WORLD = "the world's chances"
DELAY_DAYS, WINDOW_DAYS = 2.0, 7


def learners() -> dict[str, FunnelLearner]:
    """Trees, and networks that differ in the head, and in what each way to learn the order did best with."""
    network = FunnelNetwork(
        calibration_share=SHARE, categories=("scene",), negatives_a_click=10.0, click_calibration=Isotonic()
    )
    heads = {head.name: replace(network, head=head, order_weight=5.0) for head in (ESMM(), MMoE(), PLE(levels=1))}
    heads["clicks_only"] = replace(network, head=ClicksOnly(), learning_rate=1e-3)
    trees = Funnel(
        Boosting(250, 8, 0.05, 20.0, 500),
        Boosting(120, 4, 0.06, 20.0, 100),
        calibration_share=SHARE,
        click_calibration=Isotonic(),
        order_calibration=PerScene(),
    )
    return {TREES: trees, **heads}


def measure(seed: int, quick: bool) -> tuple[list[_harness.Check], dict[str, Any]]:
    with threadpool_limits(1):
        month = simulated_month(MONTH + seed, *(QUICK_MONTH if quick else FULL_MONTH))
        rows, checks, models = on_month(month, seed, quick)
        shops, more = esmm_against_clicks_only(month, seed, quick)
        checks += more + delayed_orders(month, seed, quick)
        notes: dict[str, Any] = {
            "simulated_month": rows,
            "calibration": calibration_table(month, models[TREES]),
            "esmm_against_clicks_only": shops,
            "month": size(month),
        }
        folder = find_data()
        if folder is not None and (folder / "taobao-userbehavior-sample").is_dir():
            notes["taobao"], more = on_taobao(taobao(folder), seed, quick)
            checks += more
        else:
            notes[_harness.LEFT_OUT] = "Taobao: no folder taobao-userbehavior-sample (BEAUTYREC_DATA, ../shared/data)"
    return checks, notes


def on_month(month: Task, seed: int, quick: bool) -> tuple[list[dict[str, Any]], list[_harness.Check], dict[str, Any]]:
    """The table of all models, the checks of calibration for the trees, and what each predicts."""
    chosen = learners()
    if quick:
        chosen = {name: chosen[name] for name in (TREES, "esmm", "clicks_only")}
    found, rows = {}, []
    for name, learner in chosen.items():
        found[name], seconds = fitted(learner, month, seed)
        rows.append({"model": name, "seconds": round(seconds, 1), **known_quality(month, found[name])})
    rows.append({"model": WORLD, "seconds": 0.0, **known_quality(month, truth_of(month))})
    trees = rows[0]
    for row in rows[:-1]:
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


def calibration_table(month: Task, of_trees: pd.DataFrame) -> list[dict[str, Any]]:
    """Calibration errors by place: against the known chances, and as outcomes alone would have shown them."""
    found = []
    for scene in (None, *range(len(month.scenes))):
        here = np.ones(len(month.test), dtype=bool) if scene is None else (month.test["scene"] == scene).to_numpy()
        clicked, ordered = (month.test[name].to_numpy()[here] for name in (CLICKED, ORDERED))
        spaces = {CTR: (np.ones(len(clicked), dtype=bool), clicked), CVR: (clicked, ordered)}
        for chance, (kept, happened) in spaces.items():
            row: dict[str, Any] = {"place": "overall" if scene is None else month.scenes[scene], "chance": chance}
            row["positives"] = int(happened[kept].sum())
            for name, predicted in ((TREES, of_trees), (WORLD, truth_of(month))):
                p, y = predicted[chance].to_numpy()[here][kept], happened[kept]
                row[name] = round(calibration(month, predicted, scene)[chance], 5)
                row[f"{name}_from_outcomes"] = round(calibration_error(p, y, relative=True), 5)
                row[f"{name}_from_outcomes_noise_taken_out"] = round(debiased_calibration_error(p, y), 5)
            found.append(row)
    return found


def truth_of(month: Task) -> pd.DataFrame:
    """What a model would predict that knows the world."""
    ctr, cvr = (month.test[name].to_numpy() for name in (TRUE_CTR, TRUE_CVR))
    return pd.DataFrame({CTR: ctr, CVR: cvr, CTCVR: ctr * cvr})


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


def esmm_against_clicks_only(month: Task, seed: int, quick: bool) -> tuple[dict[str, Any], list[_harness.Check]]:
    """How much better ESMM's CVR is over all impressions of the test week, day by day, in shops that share no viewer.

    Each shop is the viewers of the month that fall to it; each fit has a seed of its own. Every third impression judges.
    """
    shops = 1 if quick else SHOPS
    shop = pd.factorize(month.train[USER_ID])[0] % shops
    month = replace(month, test=month.test.iloc[::3].reset_index(drop=True))
    day = month.test[TS].dt.floor("D").to_numpy()
    places = [np.flatnonzero(day == one) for one in np.unique(day)]
    truth, scores = month.test[TRUE_CVR].to_numpy(), []
    for number in range(shops):
        mine = replace(month, train=month.train[shop == number].reset_index(drop=True))
        pair = [fitted(learners()[name], mine, seed + number)[0][CVR].to_numpy() for name in ("esmm", "clicks_only")]
        scores.append([[_on_all(p[at], truth[at]) for at in places] for p in pair])
    found = np.array(scores)  # [shops, 2 models, days, 3 measures]
    notes: dict[str, Any] = {"shops": shops, "clicks_a_shop": int(month.train[CLICKED].sum() / shops)}
    for number, model in enumerate(("esmm", "clicks_only")):
        means = found[:, number].mean(axis=(0, 1)).round(5).tolist()
        notes[model] = dict(zip(("auc", "log_loss", "bias_of_the_mean"), means, strict=True))
    checks = []
    for place, measure in enumerate(("auc", "log_loss")):
        apart = (found[:, 0, :, place] - found[:, 1, :, place]) * (1 if measure == "auc" else -1)
        mean = float(apart.mean())
        notes[f"{measure}_better_by_shop"] = np.round(apart.mean(axis=1), 5).tolist()
        name = f"simulated month: ESMM's CVR better than that of clicks only over all impressions, {measure}"
        if quick:
            checks.append(_harness.at_least(name, mean, f"{measure}, one shop", -0.1))
            continue
        unit = f"{measure}, mean {mean:+.5f}"
        checks.append(_harness.at_least(f"{name}, lower end of the 95 % interval", lower_end(apart), unit, 0.0))
    return notes, checks


def _on_all(p: FloatArray, truth: FloatArray) -> tuple[float, float, float]:
    """AUC, log loss and bias of the mean (as a share of it) of chances of an order, over all impressions alike."""
    even = np.ones(len(p))
    return known_auc(p, truth, even), known_log_loss(p, truth, even), float(p.mean() / truth.mean() - 1)


def delayed_orders(month: Task, seed: int, quick: bool) -> list[_harness.Check]:
    """Orders of the month made known after two days on average; trees that know of it and trees that do not."""
    late = np.random.default_rng([seed, 7]).exponential(DELAY_DAYS, len(month.train))
    known_at = (month.train[TS] + pd.to_timedelta(late, unit="D")).where(month.train[ORDERED])
    as_of = month.train[TS].max()
    rows = matured_rows(month.train.assign(**{ORDER_KNOWN_AT: known_at}), as_of, f"{WINDOW_DAYS}D")
    in_window = 1 - np.exp(-WINDOW_DAYS / DELAY_DAYS)  # an order counts only within the window
    ctr, cvr = (month.test[name].to_numpy() for name in (TRUE_CTR, TRUE_CVR))
    truth = np.average(cvr, weights=ctr) * in_window
    learner = Funnel(Boosting(10), Boosting(60, 4, 0.06, 20.0, 100), calibration_share=SHARE)  # only pCVR is looked at
    level = []
    for frame in (rows.drop(columns="maturity"), rows):
        predicted = learner.fit(frame, features=month.features, seed=seed).predict(month.test)
        level.append(np.average(predicted[CVR], weights=ctr) / truth - 1)
    room = 0.3 if quick else CALIBRATED
    return [
        _harness.at_most("orders two days late: bias of mean pCVR, not allowed for", level[0], "of the truth", -0.1),
        _harness.at_most("orders two days late: size of the bias, allowed for", abs(level[1]), "of the truth", room),
    ]


if __name__ == "__main__":
    _harness.main("funnel", measure)
