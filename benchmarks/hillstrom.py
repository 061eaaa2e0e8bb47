"""Is the lift that is read from a log the lift that an experiment finds? On real customers, letters and purchases.

What the truth is decides what such a comparison is worth, so there are two:

*randomised*. The customers are dealt anew for every split: one half to learn a policy on; a quarter as the log, from which
the policy is valued with the known chances of 1/3; and a quarter that the log never sees. There the policy draws its letter
for every customer, and the truth is read from those whose letter of the experiment happens to be the one drawn: they lived
under the policy, and no weight is involved. This truth is a mean of a third of a quarter and has an error of its own, larger
than the log's. So the question is whether 0 lies in the interval of the *difference* of the two log lifts, which is made
of the interval of each as it stands (Zou and Donner 2008, "Construction of confidence intervals about effect measures"):
``d - sqrt((log - log_low)^2 + (truth_high - truth)^2)`` and likewise above.

*known*. A table says what each customer would have done after each letter: what was seen for the letter sent, and for the
others what a customer who is alike in all eight covariates, and got that letter, did. All outcomes are real, only their
pairing is made up. The value of any policy is then a plain mean over the 64,000, without error, and customers drawn from
them at random (with replacement) are a log of a logging policy of our choice: one that prefers the letter that fits what
was bought before, with chances from 0.15 to 0.6, so that weights matter. The truth must lie in the log's own interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from beautyrec.data.locate import find_data
from beautyrec.data.sources.hillstrom import ARMS, COVARIATES, PROPENSITY, HillstromLog, features, read_hillstrom
from beautyrec.errors import SourceError
from beautyrec.evaluation.evidence import Outcomes, SlateEvidence
from beautyrec.evaluation.intervals import Jackknife
from beautyrec.evaluation.lift import lift_table
from beautyrec.evaluation.metrics import CTCVR, CTR, REVENUE_PER_VIEWER
from beautyrec.evaluation.reward_model import ItemPositionRates
from beautyrec.policies.base import Policy
from beautyrec.policies.greedy import Greedy
from beautyrec.policies.softmax import Softmax
from beautyrec.types import FloatArray, IntArray
from benchmarks import _harness
from benchmarks.ope_coverage import lower_bound

SPLITS, QUICK_SPLITS = 200, 24
KNOWN_SPLITS = 1000
WANTED = 0.93
METRICS = {"visit": CTR, "conversion": CTCVR, "spend": REVENUE_PER_VIEWER}
FOLDER = "hillstrom-2008"


@dataclass(frozen=True, eq=False)
class Sample:
    """n customers: covariates [n, d], chances of the letters [n, 3], the letter [n], outcomes [n, 3]."""

    x: FloatArray
    chance: FloatArray
    arm: IntArray
    outcome: FloatArray

    def rows(self, at: IntArray) -> Sample:
        return Sample(self.x[at], self.chance[at], self.arm[at], self.outcome[at])


def whole(log: HillstromLog) -> Sample:
    outcome = np.stack([log.visit, log.conversion, log.spend], axis=1)
    return Sample(features(log.customers), np.full((len(log), len(ARMS)), PROPENSITY), log.arm, outcome)


def learn(part: Sample, outcome: int, ridge: float = 10.0) -> FloatArray:
    """[d, 3] a linear model of one outcome for each letter."""
    coefficients = []
    for arm in range(len(ARMS)):
        x, y = part.x[part.arm == arm], part.outcome[part.arm == arm, outcome]
        coefficients.append(np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y))
    return np.stack(coefficients, axis=1)


def recipe(number: int) -> tuple[int, Policy]:
    """What a split's policy wants, and how it chooses: all six pairs in turn."""
    return number % 3, (Greedy(), Softmax(temperature=0.7))[number // 3 % 2]


def read_lift(log: Sample, chance: FloatArray, seed: int) -> pd.DataFrame:
    """The table of lifts of a policy with these chances [n, 3], from the log alone."""
    rows = np.arange(len(log.arm))
    shown = log.arm[:, None]
    outcomes = Outcomes(*(log.outcome[:, column, None] for column in range(3)))
    model = ItemPositionRates(seed=seed).fit(shown, outcomes, rows, len(ARMS))
    appeal = model.appeal(np.tile(np.arange(len(ARMS)), (len(rows), 1)))
    under_target = model.at_positions(np.einsum("nc,ncv->nv", chance, appeal)[:, None, :])
    evidence = SlateEvidence.of(
        target=chance[rows, log.arm][:, None],
        logging=log.chance[rows, log.arm][:, None],
        outcomes=outcomes,
        cluster=rows,
        expected=(model.logged(shown), under_target),
    )
    table = lift_table(evidence, metrics=list(METRICS.values()))
    names = {metric.name: name for name, metric in METRICS.items()}
    return table.assign(outcome=table["metric"].map(names))


def randomised_lift(part: Sample, drawn: IntArray) -> dict[str, tuple[float, float, float]]:
    """For each outcome the log of 1 + lift, with its interval, of those whose letter is the one drawn [n] for them."""
    match = (part.arm == drawn).astype(np.float64)
    found = {}
    for column, name in enumerate(METRICS):
        y = part.outcome[:, column]
        rows = np.stack([match * y, match, y], axis=1)
        knife = Jackknife.of(rows, lambda means: np.log(means[0] / means[1] / means[2]))
        found[name] = (knife.value, *knife.interval())
    return found


def agree(log: tuple[float, float, float], truth: tuple[float, float, float]) -> bool:
    """Whether 0 is in the interval of the difference of two log lifts, each (value, low, high)."""
    apart = log[0] - truth[0]
    low = apart - np.hypot(log[0] - log[1], truth[2] - truth[0])
    return bool(low <= 0 <= apart + np.hypot(log[2] - log[0], truth[0] - truth[1]))


def randomised_split(population: Sample, number: int, seed: int) -> pd.DataFrame:
    """One split of the first kind: the table of lifts, with the truth and whether they agree."""
    rng = np.random.default_rng([seed, 1, number])
    order = rng.permutation(len(population.arm))
    half, quarter = len(order) // 2, len(order) // 4
    learning, log, held = (population.rows(p) for p in np.split(order, [half, half + quarter]))
    wanted, policy = recipe(number)
    model = learn(learning, wanted)
    table = read_lift(log, policy.probabilities(log.x @ model), number)
    drawn = policy.choose(held.x @ model, 1, rng).items[:, 0]
    truth = randomised_lift(held, drawn)
    logs = np.log1p(table[["estimate", "ci_low", "ci_high"]].to_numpy(np.float64))
    names = table["outcome"]
    covers = [agree(tuple(row), truth[name]) for row, name in zip(logs, names, strict=True)]
    return table.assign(true=[np.expm1(truth[name][0]) for name in names], covers=covers, design="randomised")


def complete_outcomes(customers: pd.DataFrame, population: Sample) -> FloatArray:
    """[n, 3 letters, 3 outcomes] what each would have done: what was seen, else what the most alike one did."""
    keys = [customers[name].to_numpy() for name in ("history", "recency", "history_segment")]
    keys += [customers[name].to_numpy() for name in COVARIATES if name not in ("history", "recency", "history_segment")]
    place = np.empty(len(customers), dtype=np.int64)
    place[np.lexsort([pd.factorize(key, sort=True)[0] for key in keys])] = np.arange(len(customers))
    table = np.empty((len(customers), len(ARMS), population.outcome.shape[1]))
    for arm in range(len(ARMS)):
        donors = np.flatnonzero(population.arm == arm)
        donors = donors[np.argsort(place[donors])]
        above = np.searchsorted(place[donors], place).clip(0, len(donors) - 1)
        below = (above - 1).clip(0)
        nearer = np.abs(place[donors[below]] - place) < np.abs(place[donors[above]] - place)
        table[:, arm] = population.outcome[donors[np.where(nearer, below, above)]]
    return table


def fitting_letters(x: FloatArray) -> FloatArray:
    """[n, 3] a logging policy: the letter that fits what was bought before is the likeliest."""
    mens, womens = x[:, 3] > 0, x[:, 4] > 0
    chance = np.full((len(x), 3), [0.25, 0.25, 0.5])
    chance[mens & womens] = [0.4, 0.4, 0.2]
    chance[mens & ~womens] = [0.6, 0.15, 0.25]
    chance[~mens & womens] = [0.15, 0.6, 0.25]
    return chance


def draw(population: Sample, table: FloatArray, chance: FloatArray, rng: np.random.Generator) -> Sample:
    """As many customers as a half of the experiment, drawn from all, with letters drawn by ``chance`` [n, 3]."""
    at = rng.integers(len(table), size=len(table) // 2)
    arm = (rng.random(len(at))[:, None] > np.cumsum(chance[at], axis=1)).sum(axis=1).clip(0, 2)
    return Sample(population.x[at], chance[at], arm, table[at, arm])


def known_split(population: Sample, table: FloatArray, number: int, seed: int) -> pd.DataFrame:
    """One split of the second kind."""
    rng = np.random.default_rng([seed, 2, number])
    wanted, policy = recipe(number)
    logging = fitting_letters(population.x)
    model = learn(draw(population, table, population.chance, rng), wanted)
    log = draw(population, table, logging, rng)
    lifts = read_lift(log, policy.probabilities(log.x @ model), number)
    target = policy.probabilities(population.x @ model)
    value, base = (np.einsum("nc,ncv->v", chance, table) for chance in (target, logging))
    true = lifts["outcome"].map(dict(zip(METRICS, value / base - 1, strict=True)))
    covers = (lifts["ci_low"] <= true) & (true <= lifts["ci_high"])
    return lifts.assign(true=true, covers=covers.fillna(False).astype(bool), design="known")


def measure(seed: int, quick: bool) -> _harness.Measured:
    data = find_data()
    if data is None or not (data / FOLDER).is_dir():
        raise SourceError(f"the data folder '{FOLDER}' is not there. Name the folder above it in BEAUTYREC_DATA.")
    log = read_hillstrom(data / FOLDER)
    population = whole(log)
    table = complete_outcomes(log.customers, population)
    counts = {"randomised": QUICK_SPLITS if quick else SPLITS, "known": QUICK_SPLITS if quick else KNOWN_SPLITS}
    parts, total = [], sum(counts.values())
    for number in range(total):
        if number < counts["randomised"]:
            parts.append(randomised_split(population, number, seed))
        else:
            parts.append(known_split(population, table, number - counts["randomised"], seed))
        _harness.progress(number + 1, total)
    found = pd.concat(parts, ignore_index=True)
    checks = []
    for (design, outcome, estimator), part in found.groupby(["design", "outcome", "estimator"], sort=False):
        bound = lower_bound(counts[design]) if quick else WANTED
        name = f"coverage of the lift in {outcome}, {estimator}, {design} truth"
        checks.append(_harness.at_least(name, part["covers"].mean(), f"share of {counts[design]} splits", bound))
    return checks, {"customers": len(log), "lifts": notes(found)}


def notes(found: pd.DataFrame) -> list[dict[str, Any]]:
    """Errors, widths and verdicts behind each coverage."""
    rows = []
    for (design, outcome, estimator), part in found.groupby(["design", "outcome", "estimator"], sort=False):
        rows.append(
            {
                "truth": design,
                "outcome": outcome,
                "estimator": estimator,
                **_harness.beside_truth(part),
                "verdicts": {str(verdict): int(count) for verdict, count in part["verdict"].value_counts().items()},
            }
        )
    return rows


if __name__ == "__main__":
    _harness.main("hillstrom", measure)
