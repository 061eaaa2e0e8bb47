"""Every funnel learner keeps the contract."""

from __future__ import annotations

import pytest
from threadpoolctl import threadpool_limits

from beautyrec.models.calibration import Beta, Isotonic, PerScene, Platt
from beautyrec.models.funnel import Boosting, Funnel
from beautyrec.models.funnel_heads import ESMM, PLE, ClicksOnly, MMoE
from beautyrec.models.funnel_network import FunnelNetwork
from beautyrec.testing.funnels import FunnelContract

SMALL = {
    "deep": (16,),
    "rank": 4,
    "embedding": 2,
    "buckets": 16,
    "dropout": 0.0,
    "epochs": 15,
    "patience": 15,
    "batch": 256,
    "learning_rate": 0.02,
}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1):
        yield


class TestTrees(FunnelContract):
    learner = Funnel(Boosting(trees=30, rows_a_leaf=50), Boosting(20, 4, 0.2, 5.0, 30), negatives_a_click=2.0)


class TestTreesCalibratedByScene(FunnelContract):
    learner = Funnel(
        Boosting(trees=30, rows_a_leaf=50),
        Boosting(20, 4, 0.2, 5.0, 30),
        negatives_a_click=2.0,
        click_calibration=PerScene(Isotonic()),
        order_calibration=PerScene(Beta()),
    )


class TestESMM(FunnelContract):
    learner = FunnelNetwork(ESMM(tower=8), categories=("brand",), negatives_a_click=2.0, **SMALL)


class TestClicksOnly(FunnelContract):
    learner = FunnelNetwork(ClicksOnly(tower=8), **SMALL)


class TestMMoE(FunnelContract):
    learner = FunnelNetwork(MMoE(experts=2, expert=8, tower=4), order_calibration=PerScene(Platt()), **SMALL)


class TestPLE(FunnelContract):
    learner = FunnelNetwork(PLE(expert=8, tower=4), categories=("brand", "scene"), click_calibration=Beta(), **SMALL)
