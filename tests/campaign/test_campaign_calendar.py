from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beautyrec.campaign.calendar import Calendar, CalendarConfig
from beautyrec.errors import ConfigError

START = pd.Timestamp("2026-11-01", tz="UTC")


@given(st.integers(5, 60), st.integers(1, 6), st.integers(1, 9), st.integers(1, 4))
def test_every_day_lies_in_one_round_or_in_the_confirmation(days: int, rounds: int, confirm: int, warm: int) -> None:
    try:
        config = CalendarConfig(days, rounds, confirm, warm)
    except ConfigError:
        return
    calendar = Calendar(config, START)
    covered = [day for part in calendar.rounds for day in range(part.first, part.last + 1)]
    assert covered + list(calendar.confirmation) == list(range(days))
    sizes = [part.last - part.first + 1 for part in calendar.rounds]
    assert max(sizes) - min(sizes) <= 1
    assert all(len(calendar.judged(part)) > 0 for part in calendar.rounds), "every review has days to judge on"


def test_a_window_never_reaches_into_the_warm_up() -> None:
    calendar = Calendar(CalendarConfig(), START)
    assert calendar.window(4, 6) == range(3, 5)
    assert calendar.window(20, 6) == range(15, 21)


def test_a_month_without_a_day_to_judge_on_is_refused() -> None:
    with pytest.raises(ConfigError, match="no day is left to judge on"):
        CalendarConfig(days=10, rounds=4, confirm_days=5, warm_up_days=3)


def test_a_day_outside_of_the_month_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"2026-12-01.*outside of the month, which is 2026-11-01 to 2026-11-30"):
        Calendar(CalendarConfig(), START).day_of("2026-12-01T00:00Z")
