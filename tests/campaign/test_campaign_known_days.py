from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from beautyrec.campaign.calendar import Calendar, CalendarConfig
from beautyrec.campaign.known_days import KnownDays
from beautyrec.campaign.month_state import first_day
from beautyrec.data.log import EventLog
from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.world import World

DAYS = 4


@pytest.fixture(scope="module")
def log() -> EventLog:
    return World.tiny(3, replace(WorldConfig.tiny(), days=DAYS, viewers_per_day=60)).log()


def of(log: EventLog, start: pd.Timestamp) -> KnownDays:
    config = CalendarConfig(days=DAYS, rounds=1, confirm_days=1, warm_up_days=1)
    return KnownDays(log, Calendar(config, start), {"order": 1.0})


def test_features_of_days_computed_at_once_are_those_of_each_day_alone(log: EventLog) -> None:
    start = first_day(log)
    ahead = of(log, start)
    assert ahead._over >= DAYS - 1
    for day in range(1, DAYS - 1):
        alone = of(log.before(start + pd.Timedelta(days=day + 1)), start)
        slates = alone.held(range(day, day + 1), day).slates
        mine, theirs = (each.shelf(slates, day) for each in (ahead, alone))
        np.testing.assert_array_equal(mine.there, theirs.there)
        pd.testing.assert_frame_equal(mine.rows.reset_index(drop=True), theirs.rows.reset_index(drop=True))
        pd.testing.assert_frame_equal(
            ahead.rows_of(day).reset_index(drop=True), alone.rows_of(day).reset_index(drop=True)
        )
        pd.testing.assert_frame_equal(
            ahead.rows_before(day + 1).reset_index(drop=True), alone.rows_before(day + 1).reset_index(drop=True)
        )
    assert ahead._rows_end >= DAYS - 1


def test_the_order_of_rows_does_not_hang_on_when_they_were_asked_for(log: EventLog) -> None:
    start = first_day(log)
    at_once, by_days = of(log, start), of(log, start)
    by_days._over = 0  # nothing ahead
    for day in range(1, DAYS + 1):
        by_days.rows_before(day)
    assert at_once.rows_before(DAYS)["event_id"].tolist() == by_days.rows_before(DAYS)["event_id"].tolist()
