"""The e-mail benchmark: its two truths, and one split of each on made-up customers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.sources.hillstrom import COVARIATES, HillstromLog
from benchmarks import hillstrom


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(0)
    n = 6_000
    customers = pd.DataFrame(
        {
            "recency": rng.integers(1, 13, n),
            "history_segment": "1) $0 - $100",
            "history": rng.gamma(2, 100, n).round(2),
            "mens": rng.integers(0, 2, n),
            "womens": rng.integers(0, 2, n),
            "zip_code": rng.choice(["Urban", "Rural"], n),
            "newbie": rng.integers(0, 2, n),
            "channel": rng.choice(["Web", "Phone"], n),
        }
    )[list(COVARIATES)]
    arm = rng.integers(0, 3, n)
    visit = (rng.random(n) < 0.2 + 0.1 * (arm == 0) * customers["mens"]).astype(float)
    conversion = visit * (rng.random(n) < 0.3)
    return HillstromLog(customers, arm, visit, conversion, conversion * rng.gamma(2, 20, n))


def test_everyone_keeps_what_was_seen_and_others_come_from_the_letter_in_question(log):
    population = hillstrom.whole(log)
    table = hillstrom.complete_outcomes(log.customers, population)
    rows = np.arange(len(log))
    np.testing.assert_array_equal(table[rows, log.arm], population.outcome)
    for arm in range(3):
        assert np.isin(table[:, arm, 2], population.outcome[log.arm == arm, 2]).all()
        assert table[:, arm, 0].mean() == pytest.approx(log.visit[log.arm == arm].mean(), abs=0.03)


def test_drawn_letters_follow_their_chances(log):
    population = hillstrom.whole(log)
    table = hillstrom.complete_outcomes(log.customers, population)
    chance = hillstrom.fitting_letters(population.x)
    np.testing.assert_allclose(chance.sum(axis=1), 1)
    drawn = hillstrom.draw(population, table, chance, np.random.default_rng(1))
    np.testing.assert_allclose(np.bincount(drawn.arm) / len(drawn.arm), drawn.chance.mean(axis=0), atol=0.03)
    assert len(drawn.arm) == len(log) // 2


def test_two_lifts_agree_when_the_interval_of_their_difference_holds_zero():
    assert hillstrom.agree((0.5, 0.2, 0.8), (0.1, -0.2, 0.4))  # 0.4 apart, half-width sqrt(2) * 0.3
    assert not hillstrom.agree((0.5, 0.3, 0.7), (0.1, -0.1, 0.3))  # half-width sqrt(2) * 0.2


@pytest.mark.parametrize("number", [0, 3])
def test_one_split_of_each_kind(log, number):
    population = hillstrom.whole(log)
    table = hillstrom.complete_outcomes(log.customers, population)
    for split in (
        hillstrom.randomised_split(population, number, 0),
        hillstrom.known_split(population, table, number, 0),
    ):
        assert list(split["outcome"]) == ["visit"] * 2 + ["conversion"] * 2 + ["spend"] * 2
        assert split["true"].between(-0.9, 3).all()
        assert split["covers"].dtype == bool
