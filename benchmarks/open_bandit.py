"""Is the published value of Bernoulli Thompson sampling on the Open Bandit log found again, and the hopeless question refused?

The value is inverse propensity weighting (IPW: the mean of weight times click, weights not normalised) of the log of the
random policy, campaign *all*, small version: 0.004553 clicks an impression, 1.198126 of what the log has. The chances of the
target are Monte Carlo: 100,000 times, rates of 80 items are drawn from the beliefs that the policy started from, and the three
largest are shown. Published figures come from numpy's legacy generator with seed 12345; with it the same numbers are drawn
here. The present generator draws others, so its value is compared within the Monte Carlo error of the two: the third digit of
the published value is already chance.

Two more are beside it: the value with the chances that the policy logged itself, which needs no prior, and what the log of
that policy for women's fashion says of the random policy: nothing, as it hardly shows most of the items.
"""

from __future__ import annotations

from math import hypot, sqrt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from beautyrec.data.locate import find_data
from beautyrec.data.sources.fetch_open_bandit import fetch_open_bandit
from beautyrec.data.sources.open_bandit import (
    PRIOR,
    BetaPrior,
    OpenBanditLog,
    action_probabilities,
    read_open_bandit,
    read_prior,
)
from beautyrec.errors import SourceError
from beautyrec.jobs.open_bandit import bandit_lift, find_open_bandit
from beautyrec.policies.bernoulli_ts import BernoulliTS
from beautyrec.types import FloatArray
from benchmarks import _harness

VALUE, RATIO = 0.004553, 1.198126
HALF_A_DIGIT = 5e-7
PUBLISHED_SEED, PUBLISHED_DRAWS = 12345, 100_000
OWN_DRAWS = 1_000_000
PARTS = 10
DATA = _harness.ROOT / "data"


class MonteCarlo(NamedTuple):
    """Chances of a policy, and the value that follows from them, with the standard error of its drawing."""

    chances: FloatArray
    value: float
    error: float


def logs() -> Path:
    """The folder of the six logs.

    Raises:
        SourceError: they are not there and cannot be fetched.
    """
    try:
        return find_open_bandit(find_data(), DATA)
    except SourceError as error:
        raise SourceError(f"the data folder has no Open Bandit logs: {error}") from None


def publishers_prior(folder: Path) -> BetaPrior:
    """That of campaign *all*, from ``folder`` or, where it is not there, from the publisher's wheel.

    Raises:
        SourceError: it cannot be fetched.
    """
    return read_prior(folder if (folder / PRIOR).is_file() else fetch_open_bandit(DATA), "all")


def ipw(log: OpenBanditLog, chances: FloatArray) -> float:
    """Mean over impressions of weight times click."""
    return float((chances[log.item_id, log.position - 1] / log.propensity * log.click).mean())


def drawn(
    policy: BernoulliTS, log: OpenBanditLog, draws: int, rng: np.random.Generator | np.random.RandomState
) -> MonteCarlo:
    """The mean of ten runs one after another, each of a tenth of the draws: the same numbers as one run."""
    runs = [policy.action_distribution(log.n_positions, draws // PARTS, rng=rng) for _ in range(PARTS)]
    values = [ipw(log, run) for run in runs]
    chances = np.mean(runs, axis=0)
    return MonteCarlo(chances, ipw(log, chances), float(np.std(values, ddof=1)) / sqrt(PARTS))


def thompson(log: OpenBanditLog, prior: BetaPrior, seed: int, draws: int) -> _harness.Measured:
    """Checks and notes of the published value."""
    policy, rate, unit = BernoulliTS(*prior), float(log.click.mean()), "clicks an impression"
    legacy = np.random.RandomState(PUBLISHED_SEED)
    found = drawn(policy, log, PUBLISHED_DRAWS, legacy)
    own = drawn(policy, log, draws, np.random.default_rng([seed, PUBLISHED_SEED]))
    apart = abs(own.value - found.value) / hypot(own.error, found.error)
    checks = [
        _rounded("IPW value of Bernoulli Thompson sampling on random-all", found.value, unit, VALUE),
        _rounded("the same over the logging policy's", found.value / rate, "ratio", RATIO),
        _harness.at_most("distance of the present generator's value", apart, "Monte Carlo errors", 3),
    ]
    told = {
        "legacy_generator": _account(found, PUBLISHED_DRAWS, rate),
        "present_generator": _account(own, draws, rate),
        "lift": _rows(bandit_lift(log, found.chances)),
    }
    return checks, told


def beside(folder: Path, log: OpenBanditLog) -> _harness.Measured:
    """The value from logged chances, and the question that has to be refused."""
    logged = ipw(log, action_probabilities(read_open_bandit(folder, "bts", "all")))
    women = read_open_bandit(folder, "bts", "women")
    lifts = bandit_lift(women, np.full((women.n_items, women.n_positions), 1 / women.n_items))
    refused = int((lifts["verdict"] == "refuse").sum())
    apart = "relative distance of the IPW value with the chances that the policy logged"
    checks = [
        _harness.at_most(apart, abs(logged / VALUE - 1), f"of {VALUE}", 0.01),
        _harness.at_least("bts-women asked for random: refused", refused, f"of {len(lifts)} lifts", len(lifts)),
    ]
    return checks, {"ipw_with_logged_chances": round(logged, 7), "bts_women_for_random": _rows(lifts)}


def measure(seed: int, quick: bool) -> _harness.Measured:
    folder = logs()
    log = read_open_bandit(folder, "random", "all")
    checks, notes = beside(folder, log)
    try:
        prior = publishers_prior(folder)
    except SourceError as error:
        return checks, {**notes, _harness.LEFT_OUT: f"the published value, as its prior is not there: {error}"}
    published, told = thompson(log, prior, seed, PUBLISHED_DRAWS if quick else OWN_DRAWS)
    return [*published, *checks], {"bernoulli_thompson_sampling": told, **notes}


def _rounded(name: str, value: float, unit: str, wanted: float) -> _harness.Check:
    """Holds where ``value`` is ``wanted`` in all six digits that were published."""
    return _harness.Check(name, round(value, 6), unit, f"= {wanted}", abs(value - wanted) < HALF_A_DIGIT)


def _rows(lifts: pd.DataFrame) -> list[dict[str, Any]]:
    columns = ["estimator", "estimate", "ci_low", "ci_high", "effective_n", "verdict", "reasons"]
    table = lifts[columns].astype(object)
    rows: list[dict[str, Any]] = table.where(table.notna(), None).to_dict("records")
    return rows


def _account(found: MonteCarlo, draws: int, rate: float) -> dict[str, float]:
    return {
        "draws": draws,
        "ipw": round(found.value, 9),
        "ratio": round(found.value / rate, 6),
        "monte_carlo_error": round(found.error, 9),
    }


if __name__ == "__main__":
    _harness.main("open_bandit", measure)
