from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from beautyrec.board.config import AlertConfig
from beautyrec.board.limits import WATCHED, Watched, control_chart, control_charts, limit, running_mean
from beautyrec.errors import EvaluationError

RATE = Watched("cvr", "orders", "clicks")
CONFIG = AlertConfig()


def daily(
    rng: np.random.Generator, days: int = 100, scenes: int = 5, noise: float = 0.05, clicks: int = 4000
) -> pd.DataFrame:
    """Orders of clicks at 10 %, with weekdays and days that differ."""
    week = np.array([1, 1, 1, 0.9, 1.1, 1.3, 1.2])[np.arange(days) % 7]
    rate = 0.1 * week[:, None] * np.exp(noise * rng.normal(size=(days, scenes)))
    table = pd.DataFrame({"day": np.repeat(pd.date_range("2026-01-05", periods=days), scenes)})
    table["scene"] = np.tile([f"scene {i}" for i in range(scenes)], days)
    table["clicks"] = clicks
    return table.assign(orders=rng.binomial(clicks, rate).ravel())


def test_the_limit_is_students_at_the_chance_split_over_charts_and_days() -> None:
    assert limit(CONFIG, 20) == pytest.approx(stats.t(49).isf(0.5 / 600 / 2))
    assert limit(CONFIG, 40) > limit(CONFIG, 20)


def test_the_running_mean_is_the_sum_with_its_weights() -> None:
    z = np.array([[1.0], [np.nan], [3.0], [-2.0]])
    found = running_mean(z, 0.4).ravel()
    weights = np.array([0.4 * 0.36, 0.4 * 0.6, 0.4])
    assert found[3] == pytest.approx(weights @ [1, 3, -2] / np.sqrt((weights**2).sum()))
    assert np.isnan(found[1])


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.15])
def test_scores_are_standard_whatever_the_spread_of_days(rng: np.random.Generator, noise: float) -> None:
    chart = control_chart(daily(rng, 300, 5, noise), RATE, CONFIG, 3.0).dropna()
    assert len(chart) == (300 - 14) * 5
    assert chart.score.std() == pytest.approx(1, abs=0.12)
    assert abs(chart.score.mean()) < 0.15


def test_it_knows_the_weekday(rng: np.random.Generator) -> None:
    chart = control_chart(daily(rng, 70, 4, 0.0, 200_000), RATE, CONFIG, 3.0)
    last = chart[(chart.scene == "scene 1")].tail(7)
    assert last.expected.to_numpy() == pytest.approx(0.1 * np.array([1, 1, 1, 0.9, 1.1, 1.3, 1.2]), rel=0.02)
    assert ((chart.low <= chart.expected) & (chart.expected <= chart.high))[chart.expected.notna()].all()


def test_a_drop_is_one_alarm_where_it_is_and_none_elsewhere(rng: np.random.Generator) -> None:
    table = daily(rng, 60, 5, 0.02)
    hit = (table.scene == "scene 2") & (table.day >= "2026-02-20")
    table.loc[hit, "orders"] = (table.orders[hit] * 0.7).astype(int)
    chart = control_chart(table, RATE, CONFIG, 4.5)
    began = chart[chart.began]
    assert began[["scene", "alarm"]].to_numpy().tolist()[0] == ["scene 2", -1]
    assert began.day.iloc[0] <= pd.Timestamp("2026-02-21")
    assert set(began.scene) == {"scene 2"}


def test_days_before_do_not_know_what_comes(rng: np.random.Generator) -> None:
    table = daily(rng, 60)
    first = control_chart(table[table.day < "2026-02-20"], RATE, CONFIG, 3.0)
    second = control_chart(table, RATE, CONFIG, 3.0)
    pd.testing.assert_frame_equal(first, second[second.day < "2026-02-20"].reset_index(drop=True))


def test_scenes_that_are_seldom_on_air_and_rates_of_nothing_do_no_harm(rng: np.random.Generator) -> None:
    table = daily(rng, 60)
    table = table[(table.scene != "scene 0") | (table.day.dt.day_of_week == 2)]
    table.loc[table.scene == "scene 1", "orders"] = 0
    with np.errstate(all="raise"):
        chart = control_chart(table, RATE, CONFIG, 3.5)
    assert not chart[chart.scene == "scene 1"].alarm.any()
    assert chart[chart.scene == "scene 0"].score.notna().sum() >= 4


def test_a_day_twice_is_refused(rng: np.random.Generator) -> None:
    table = daily(rng, 20)
    with pytest.raises(EvaluationError, match="1 days twice"):
        control_chart(pd.concat([table, table.head(1)]), RATE, CONFIG, 3.0)


def test_false_alarms_are_no_more_than_stated(rng: np.random.Generator) -> None:
    months, found = 12, 0
    for _ in range(months):
        table = daily(rng, 58).assign(rooms=2)
        table["viewers"] = rng.poisson(20000 * np.exp(0.1 * rng.normal(size=len(table))))
        table["impressions"], table["viewers_who_bought"] = table.viewers * 10, rng.binomial(table.viewers, 0.02)
        charts = control_charts(table, CONFIG)
        found += int(charts[charts.day >= "2026-02-02"].began.sum())
        assert set(charts.kpi) == {each.name for each in WATCHED}
    assert found <= stats.poisson(0.5 * months).isf(0.001)
