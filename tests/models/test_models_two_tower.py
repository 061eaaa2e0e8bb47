from __future__ import annotations

import pytest

from beautyrec.models.losses import InBatchSoftmax
from beautyrec.models.two_tower import TwoTower
from beautyrec.testing.fold_in import FoldInContract

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'beautyrec[train]'")

SMALL = TwoTower(width=16, hidden=8, epochs=3, batch_events=64, least_items=1, loss=InBatchSoftmax(16))


class TestTwoTower(FoldInContract):
    learner = SMALL
