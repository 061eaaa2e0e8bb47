"""Do the 95 % intervals of off-policy lift cover the true lift?

Each seed builds a small simulated world, takes its log and a target policy that knows part of the truth, and compares the
lift estimated from the log with the world's own. Targets differ from seed to seed: what they rank by (clicks or orders), how
much noise is in it, how closely they follow it.
"""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.campaign.policy_lift import HeldRooms
from beautyrec.data.slates import Slates
from beautyrec.policies.softmax import Softmax
from beautyrec.simulate.oracle import Goal
from beautyrec.simulate.world import World
from beautyrec.types import FloatArray
from benchmarks import _harness

SEEDS, QUICK_SEEDS = 200, 40
WANTED = 0.93
TRUTH_DRAWS = 64


def target_policy(world: World, slates: Slates, rng: np.random.Generator) -> FloatArray:
    """[B, C] first-draw chances of a policy moderately different from the logging one."""
    goal = Goal.ORDER if rng.random() < 0.5 else Goal.CLICK
    worth = world.oracle(slates, goal, temperature=1.0)
    scores = np.log(worth, out=np.full(worth.shape, -np.inf), where=worth > 0)
    scores += rng.uniform(0.3, 1.0) * rng.standard_normal(scores.shape)
    return Softmax(temperature=rng.uniform(0.6, 1.5)).probabilities(scores)


def one_seed(seed: int) -> pd.DataFrame:
    """The table of lifts of one world with the true ones beside."""
    rng = np.random.default_rng(seed)
    world = World.tiny(seed)
    slates = world.slates()
    chances = target_policy(world, slates, rng)
    truth = world.truth(slates, chances, rng=rng, n_slates=TRUTH_DRAWS)
    true = truth.lift(world.legacy_truth(slates, rng=rng, n_slates=TRUTH_DRAWS)).set_index("metric")["lift"]
    table = HeldRooms.of(slates, seed=seed).lift(chances)
    return table.assign(seed=seed, true=table["metric"].map(true))


def lower_bound(seeds: int) -> float:
    """The share that an interval of coverage WANTED falls below once in 100 times: the bound of a short run."""
    below, covered = 0.0, 0
    while True:
        below += comb(seeds, covered) * WANTED**covered * (1 - WANTED) ** (seeds - covered)
        if below > 0.01:
            return covered / seeds
        covered += 1


def measure(seed: int, quick: bool) -> _harness.Measured:
    seeds = QUICK_SEEDS if quick else SEEDS
    tables = []
    for number in range(seeds):
        tables.append(one_seed(1000 * seed + number))
        _harness.progress(number + 1, seeds)
    table = pd.concat(tables, ignore_index=True)
    table["covers"] = (table["ci_low"] <= table["true"]) & (table["true"] <= table["ci_high"])
    bound = lower_bound(seeds) if quick else WANTED
    checks = [
        _harness.at_least(f"coverage of {metric} lift, {estimator}", covers.mean(), f"share of {seeds} worlds", bound)
        for (metric, estimator), covers in table.groupby(["metric", "estimator"], sort=False)["covers"]
    ]
    trusted = table[table["verdict"] == "trust"]
    wrong = (trusted["ci_low"] > 0) & (trusted["true"] < 0) | (trusted["ci_high"] < 0) & (trusted["true"] > 0)
    checks.append(_harness.at_most("trusted lifts whose interval has the wrong sign", wrong.mean(), "share", 0.025))
    return checks, notes(table)


def notes(table: pd.DataFrame) -> dict[str, Any]:
    """Verdicts, and for each metric and estimator how far from the truth and how wide."""
    rows = []
    for (metric, estimator), part in table.groupby(["metric", "estimator"], sort=False):
        rows.append(
            {
                "metric": metric,
                "estimator": estimator,
                **_harness.beside_truth(part),
                "coverage_where_trusted": _coverage(part[part["verdict"] == "trust"]),
                "verdicts": {str(verdict): int(count) for verdict, count in part["verdict"].value_counts().items()},
            }
        )
    return {"worlds": "simulated (World.tiny)", "lifts": rows}


def _coverage(part: pd.DataFrame) -> float | None:
    return round(float(part["covers"].mean()), 4) if len(part) else None


if __name__ == "__main__":
    _harness.main("ope_coverage", measure)
