"""Do the 95 % intervals of off-policy lift cover the true lift, and does the verdict keep out what they would not?

Each seed builds a small simulated world. A log is played before one crowd of viewers, and a target policy is valued from it.
The lift that an interval has to cover is that for *viewers like these* in the same rooms: the ratio of expectations over what
viewers are drawn from, known from a crowd ten times as large that is not in the log. Rooms, shelves and prices are held: lift in
other rooms is another question, which clustering by viewer does not answer.

A policy is one function of room, product and viewer, so it is the same one before every crowd. Near policies differ from seed to
seed: what they rank by (orders, clicks, or no more than the logging policy does), how much a hand of their own counts, how
closely they follow both. Every fifth log is also asked about a far policy, which shows what the log hardly has.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, sqrt
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.campaign.policy_lift import HeldRooms
from beautyrec.data.slates import Slates
from beautyrec.jobs.side_by_side import side_by_side
from beautyrec.policies.softmax import Softmax
from beautyrec.simulate.oracle import Goal
from beautyrec.simulate.world import World
from beautyrec.types import FloatArray
from benchmarks import _harness

WORLDS, QUICK_WORLDS = 1000, 40
LEAST, MOST, WRONG = 0.93, 0.97, 0.025
QUICK_MISS = 0.001  # of each of the ten checks of coverage, so that all hold 99 times in 100
FAR_EVERY = 5
CROWD = 10
TRUTH_DRAWS = 4
BLOCK = 5


@dataclass(frozen=True, eq=False)
class Target:
    """A policy: its scores are ``liking`` (of the world's truth, or of the logging policy) and a hand of its own.

    Args:
        goal: what it knows the true worth of; None for a policy that knows no more than the logging one.
        follows: times the log of that worth, or of the logging policy's chance.
        hand: [R, I] added for each room and product.
        temperature: of the softmax.
    """

    goal: Goal | None
    follows: float
    hand: FloatArray
    temperature: float

    def chances(self, world: World, slates: Slates) -> FloatArray:
        """[B, C] first-draw chances on the shelves of ``slates``, requests of ``world``."""
        draw = slates.shelves.draw_probability[slates.room_ix]
        worth = draw if self.goal is None else world.oracle(slates, self.goal, temperature=1.0)
        scores = np.log(worth, out=np.full(worth.shape, -np.inf), where=worth > 0)
        there = np.isfinite(scores)
        item_ix = slates.shelves.item_ix[slates.room_ix]
        scores[there] = self.follows * scores[there] + self.hand[slates.room_ix[:, None], item_ix][there]
        return Softmax(temperature=self.temperature).probabilities(scores)


def near(world: World, rng: np.random.Generator) -> Target:
    """A policy moderately different from the logging one."""
    goal = (Goal.ORDER, Goal.CLICK, None)[rng.integers(3)]
    return Target(goal, 1.0, rng.uniform(0.3, 1.0) * _hand(world, rng), rng.uniform(0.6, 1.5))


def far(world: World, rng: np.random.Generator) -> Target:
    """A policy that shows what the logging one shows least, and little else."""
    return Target(None, -1.0, rng.uniform(0.3, 1.0) * _hand(world, rng), rng.uniform(0.2, 1.0))


def _hand(world: World, rng: np.random.Generator) -> FloatArray:
    return rng.standard_normal((len(world.stage.schedule), len(world.catalogue.items)))


def one_world(seed: int) -> pd.DataFrame:
    """The lifts from one world's log, one row a policy, metric and estimator, with the true ones beside."""
    rng = np.random.default_rng(seed)
    world = World.tiny(seed)
    crowd, others = world.with_viewers(1), world.with_viewers(2, times=CROWD)
    slates, requests = crowd.slates(), others.slates()
    held = HeldRooms.of(slates, seed=seed)
    legacy = others.legacy_truth(requests, rng=rng, n_slates=TRUTH_DRAWS)
    tables = []
    for kind in (near, far) if seed % FAR_EVERY == 0 else (near,):
        target = kind(world, rng)
        truth = others.truth(requests, target.chances(others, requests), rng=rng, n_slates=TRUTH_DRAWS)
        true = truth.lift(legacy).set_index("metric")["lift"]
        table = held.lift(target.chances(crowd, slates))
        tables.append(table.assign(seed=seed, policy=kind.__name__, true=table["metric"].map(true)))
    return pd.concat(tables, ignore_index=True)


def some_worlds(first: int, count: int) -> pd.DataFrame:
    """`one_world` of ``count`` seeds from ``first`` on; what one process does at a time."""
    return pd.concat([one_world(seed) for seed in range(first, first + count)], ignore_index=True)


def all_worlds(first: int, count: int) -> pd.DataFrame:
    """The same on all cores, with whether each interval covers and whether it has the wrong sign."""
    work = [(some_worlds, (first + done, min(BLOCK, count - done))) for done in range(0, count, BLOCK)]
    parts = side_by_side(work, _harness.machine()["cores"], _harness.progress)
    table = pd.concat(parts, ignore_index=True)
    low, high, true = (table[name].astype(float) for name in ("ci_low", "ci_high", "true"))
    table["covers"] = (low <= true) & (true <= high)
    table["wrong"] = ((low > 0) & (true < 0)) | ((high < 0) & (true > 0))
    return table


def lower_bound(count: int, miss: float = 0.01) -> float:
    """The share of ``count`` that an interval of coverage `LEAST` falls below with chance ``miss``: the bound of a short run."""
    below, covered = 0.0, 0
    while True:
        below += comb(count, covered) * LEAST**covered * (1 - LEAST) ** (count - covered)
        if below > miss:
            return covered / count
        covered += 1


def measure(seed: int, quick: bool) -> _harness.Measured:
    worlds = QUICK_WORLDS if quick else WORLDS
    table = all_worlds(WORLDS * seed, worlds)
    trusted = table[table["verdict"] == "trust"]
    checks = []
    for (metric, estimator), part in trusted.groupby(["metric", "estimator"], sort=False):
        name, unit = f"coverage of {metric} lift where trusted, {estimator}", f"share of {len(part)} lifts"
        coverage = part["covers"].mean()
        checks.append(_harness.at_least(name, coverage, unit, lower_bound(len(part), QUICK_MISS) if quick else LEAST))
        if not quick:
            checks.append(_harness.at_most(name, coverage, unit, MOST))
    for metric, part in trusted.groupby("metric", sort=False):
        name = f"trusted {metric} lifts whose interval has the wrong sign"
        checks.append(_harness.at_most(name, part["wrong"].mean(), f"share of {len(part)} lifts", WRONG))
    refused = (table["verdict"] == "refuse").sum()
    checks.append(_harness.at_least("lifts refused", refused, f"of {len(table)} lifts", 1))
    return checks, notes(table, worlds)


def notes(table: pd.DataFrame, worlds: int) -> dict[str, Any]:
    """Verdicts, and for each metric and estimator how far from the truth and how wide."""
    shape = ["policy", "metric", "estimator"]
    return {
        "worlds": f"{worlds} simulated (World.tiny), seeds from {table['seed'].min()}",
        "estimand": "lift for viewers like those of the log, in the same rooms",
        "verdicts": {str(kind): _counts(part) for kind, part in table.groupby("policy", sort=False)},
        "lifts": [
            dict(zip(shape, key, strict=True)) | _account(part) for key, part in table.groupby(shape, sort=False)
        ],
    }


def _account(part: pd.DataFrame) -> dict[str, Any]:
    trusted = part[part["verdict"] == "trust"]
    account: dict[str, Any] = {"verdicts": _counts(part)}
    if trusted.empty:
        return account
    coverage = float(trusted["covers"].mean())
    return account | {
        "coverage_where_trusted": round(coverage, 4),
        "standard_error_of_coverage": round(sqrt(coverage * (1 - coverage) / len(trusted)), 4),
        "where_trusted": _harness.beside_truth(trusted),
    }


def _counts(part: pd.DataFrame) -> dict[str, int]:
    return {verdict: int((part["verdict"] == verdict).sum()) for verdict in ("trust", "caution", "refuse")}


if __name__ == "__main__":
    _harness.main("ope_coverage", measure)
