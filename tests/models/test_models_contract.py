"""Every family keeps the contract."""

from __future__ import annotations

import pytest

from beautyrec.models.als import ALS
from beautyrec.models.bpr import BPR
from beautyrec.models.item_knn import BM25, ItemKNN
from beautyrec.models.lightfm import LightFM
from beautyrec.models.losses import SampledSoftmax
from beautyrec.models.popularity import Popularity
from beautyrec.models.sasrec import SASRec
from beautyrec.testing.models import RecommenderContract


class TestPopularity(RecommenderContract):
    learner = Popularity()


class TestPopularityInAWindow(RecommenderContract):
    learner = Popularity(window_days=4, half_life_days=2)

    def _fallback_scores(self):
        return self.model.item_score


class TestItemKNN(RecommenderContract):
    learner = ItemKNN(neighbours=10)


class TestItemKNNWithBM25(RecommenderContract):
    learner = ItemKNN(neighbours=10, bm25=BM25(), decay=1.0)


class TestALS(RecommenderContract):
    learner = ALS(factors=6, iterations=3)


class TestBPR(RecommenderContract):
    learner = BPR(factors=6, iterations=20)


class TestLightFM(RecommenderContract):
    learner = LightFM(factors=6, epochs=3)

    @pytest.fixture(autouse=True)
    def _needs_lightfm(self):
        pytest.importorskip("lightfm", reason="rectools-lightfm is not installed: pip install 'beautyrec[hybrid]'")


class TestSASRec(RecommenderContract):
    learner = SASRec(width=16, inner=16, max_len=6, epochs=3, loss=SampledSoftmax(16), batch_events=64)
