"""Which estimator of slates errs how much, where its assumption holds and where it does not?

Two kinds of viewers in the same small simulated worlds. *position-based*: as the world is, a click depends on the item and the
attention of its position. *cascade*: outcomes of the same slates are drawn anew, and the better what stands above, the
less a viewer still clicks. Targets differ from seed to seed as in `benchmarks.ope_coverage`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.campaign.policy_lift import HeldRooms
from beautyrec.data.slates import Slates
from beautyrec.evaluation.lift import lift_table
from beautyrec.evaluation.metrics import CTR, ROOM_CONVERSION
from beautyrec.evaluation.off_policy import (
    DR,
    PBM,
    RIPS,
    SNIPS,
    SNPBM,
    SNRIPS,
    CascadeDR,
    Estimator,
    JointIPS,
    SNJointIPS,
)
from beautyrec.plackett_luce import sample
from beautyrec.simulate.world import World
from beautyrec.types import FloatArray, IntArray
from benchmarks import _harness
from benchmarks.ope_coverage import LEAST, lower_bound, near

SEEDS, QUICK_SEEDS = 100, 12
TRUTH_DRAWS = 16  # of 3,000 slates each: an error of the true lift of about 0.003
SATED = 4.0  # by how many times its chance of a click an item takes interest from those below
ANY = (RIPS(), SNRIPS(), CascadeDR(), JointIPS(), SNJointIPS())
HOLDS: dict[str, tuple[Estimator, ...]] = {
    "position-based": (SNIPS(), DR(), PBM(), SNPBM(), *ANY),
    "cascade": ANY,
}


def cascade(click: FloatArray) -> FloatArray:
    """[B, K] chances of viewers who read from the top, from those of the position-based kind."""
    interest = np.cumprod(1 - np.minimum(SATED * click, 0.9), axis=1)
    return click * np.concatenate([np.ones((len(click), 1)), interest[:, :-1]], axis=1)


def shelf_values(world: World, slates: Slates) -> tuple[FloatArray, FloatArray]:
    """[B, C] chances of a click at full attention, and of an order given it, of everything on each shelf."""
    shape, wide = (len(slates), slates.shelves.item_ix.shape[1]), slates.shown.shape[1]
    click, order = np.zeros(shape), np.zeros(shape)
    there = slates.shelves.item_ix[slates.room_ix] >= 0
    for first in range(0, shape[1], wide):
        columns = slice(first, min(first + wide, shape[1]))
        asked = np.where(there[:, columns], np.arange(columns.start, columns.stop), -1)
        seen, order[:, columns] = world.chances(slates, asked)
        click[:, columns] = seen / world.response.attention[: asked.shape[1]]
    return click, order


@dataclass(frozen=True, eq=False)
class Viewers:
    """What viewers of one kind do with any slates: chances of a click, and of an order given it."""

    kind: str
    attention: FloatArray
    click: FloatArray
    order: FloatArray

    def of(self, shown: IntArray) -> tuple[FloatArray, FloatArray]:
        """[B, K] both, 0 where nothing is shown."""
        column = np.maximum(shown, 0)
        click, order = (np.take_along_axis(each, column, axis=1) for each in (self.click, self.order))
        click = click * self.attention[: shown.shape[1]] * (shown >= 0)
        return (cascade(click) if self.kind == "cascade" else click), order

    def truth(self, draws: FloatArray, positions: int, rng: np.random.Generator) -> FloatArray:
        """[2] click-through and conversion of a policy, over slates drawn from it."""
        total = np.zeros(3)
        for _ in range(TRUTH_DRAWS):
            shown = sample(draws, positions, rng)
            click, order = self.of(shown)
            total += click.sum(), (shown >= 0).sum(), (1 - (1 - click * order).prod(axis=1)).mean()
        return np.array([total[0] / total[1], total[2] / TRUTH_DRAWS])

    def redrawn(self, slates: Slates, rng: np.random.Generator) -> Slates:
        """The slates with outcomes of these viewers; as they are for the world's own kind."""
        if self.kind == "position-based":
            return slates
        click, order = self.of(slates.shown)
        clicked = rng.random(click.shape) < click
        ordered = clicked & (rng.random(click.shape) < order)
        return replace(slates, clicked=clicked, ordered=ordered, revenue=ordered.astype(np.float64))


def one_seed(seed: int) -> pd.DataFrame:
    """The lifts of one world by all estimators for both kinds of viewers, with the true ones beside."""
    rng = np.random.default_rng(seed)
    world = World.tiny(seed)
    slates = world.slates()
    draws = near(world, rng).chances(world, slates)
    policies = draws, slates.shelves.draw_probability[slates.room_ix]
    click, order = shelf_values(world, slates)
    tables = []
    for kind in HOLDS:
        viewers = Viewers(kind, world.response.attention, click, order)
        target, logging = (viewers.truth(each, slates.shown.shape[1], rng) for each in policies)
        true = dict(zip((CTR.name, ROOM_CONVERSION.name), target / logging - 1, strict=True))
        held = HeldRooms.of(viewers.redrawn(slates, rng), seed=seed)
        evidence = held.evidence(draws, for_slates=True)
        table = lift_table(evidence, estimators=HOLDS["position-based"], metrics=[CTR, ROOM_CONVERSION])
        tables.append(table.assign(seed=seed, kind=kind, true=table["metric"].map(true)))
    return pd.concat(tables, ignore_index=True)


def measure(seed: int, quick: bool) -> _harness.Measured:
    seeds = QUICK_SEEDS if quick else SEEDS
    tables = []
    for number in range(seeds):
        tables.append(one_seed(1000 * seed + number))
        _harness.progress(number + 1, seeds)
    table = pd.concat(tables, ignore_index=True)
    table["covers"] = ((table["ci_low"] <= table["true"]) & (table["true"] <= table["ci_high"])).fillna(False)
    table["cell"] = table["kind"] + " viewers, " + table["metric"] + " lift, " + table["estimator"]
    holds = {(kind, each.name) for kind, estimators in HOLDS.items() for each in estimators}
    right = table[[pair in holds for pair in zip(table["kind"], table["estimator"], strict=True)]]
    bound = lower_bound(seeds) if quick else LEAST
    checks = [
        _harness.at_least(f"coverage, {cell}", covers.mean(), f"share of {seeds} worlds", bound)
        for cell, covers in right.groupby("cell", sort=False)["covers"]
    ]
    return [*checks, *comparisons(table, quick)], notes(table)


def comparisons(table: pd.DataFrame, quick: bool) -> list[_harness.Check]:
    """Errors of one estimator over those of another; a short run tells only those that are far apart."""
    error = (table["estimate"] - table["true"]).astype(float)
    cells = [table["kind"], table["metric"], table["estimator"]]
    size, bias = (error**2).groupby(cells).mean() ** 0.5, error.groupby(cells).mean().abs()
    far = [("cascade", "ctr", "sn_rips", "sn_joint_ips")]
    close = [
        ("position-based", "ctr", "sn_pbm", "snips"),
        ("position-based", "room_conversion", "sn_pbm", "snips"),
        ("cascade", "ctr", "cascade_dr", "rips"),
    ]
    checks = [
        _harness.at_most(
            f"root mean square error of {metric} lift, {kind} viewers, {own} / {other}",
            size[kind, metric, own] / size[kind, metric, other],
            "ratio",
            1.0,
        )
        for kind, metric, own, other in (far if quick else [*far, *close])
    ]
    if quick:
        return checks
    ratio = bias["cascade", "ctr", "sn_rips"] / bias["cascade", "ctr", "snips"]
    return [*checks, _harness.at_most("mean error of ctr lift, cascade viewers, sn_rips / snips", ratio, "ratio", 0.5)]


def notes(table: pd.DataFrame) -> dict[str, Any]:
    """For each kind of viewers, metric and estimator how far from the truth, how wide, and what the verdicts let pass."""
    rows = []
    for (kind, metric, estimator), part in table.groupby(["kind", "metric", "estimator"], sort=False):
        there = part[part["estimate"].notna()]
        passed = part[part["verdict"] != "refuse"]
        rows.append(
            {
                "viewers": kind,
                "metric": metric,
                "estimator": estimator,
                **_harness.beside_truth(there),
                "median_half_width": round(float(((there["ci_high"] - there["ci_low"]) / 2).median()), 4),
                "coverage": round(float(part["covers"].mean()), 4),
                "not_refused": len(passed),
                "coverage_where_not_refused": round(float(passed["covers"].mean()), 4) if len(passed) else None,
                "mean_effective_n": round(float(part["effective_n"].mean()), 1),
                "not_computed": len(part) - len(there),
            }
        )
    return {"worlds": "simulated (World.tiny)", "lifts": rows}


if __name__ == "__main__":
    _harness.main("ope_slates", measure)
