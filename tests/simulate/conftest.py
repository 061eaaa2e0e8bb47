from __future__ import annotations

from dataclasses import replace

import pytest

from beautyrec.data.log import EventLog
from beautyrec.simulate.config import WorldConfig
from beautyrec.simulate.world import World


@pytest.fixture(scope="session")
def world() -> World:
    return World.tiny(seed=3)


@pytest.fixture(scope="session")
def scarce() -> World:
    """A world whose products run out."""
    return World.tiny(seed=4, config=replace(WorldConfig.tiny(), stock_median=5.0, days=12, launches=8))


@pytest.fixture(scope="session")
def scarce_log(scarce: World) -> EventLog:
    return scarce.log()
