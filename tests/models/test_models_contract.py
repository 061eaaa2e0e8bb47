"""Every family keeps the contract."""

from __future__ import annotations

import pytest

from beautyrec.models.als import ALS
from beautyrec.models.bpr import BPR
from beautyrec.models.ease import EASE
from beautyrec.models.item_knn import ItemKNN
from beautyrec.models.item_order import ItemOrder
from beautyrec.models.lightfm import LightFM
from beautyrec.models.logistic_mf import LogisticMF
from beautyrec.models.losses import SampledSoftmax
from beautyrec.models.popularity import Popularity
from beautyrec.models.sasrec import SASRec
from beautyrec.models.slim import SLIM, LocalEASE
from beautyrec.models.weighting import BM25, TfIdf
from beautyrec.testing.fold_in import FoldInContract
from beautyrec.testing.models import RecommenderContract, small_log


class TestPopularity(FoldInContract):
    learner = Popularity()


class TestPopularityInAWindow(FoldInContract):
    learner = Popularity(window_days=4, half_life_days=2)

    def _fallback_scores(self):
        return self.model.item_score


class TestItemOrder(FoldInContract):
    learner = ItemOrder((*small_log().items.ids[::-3], "elsewhere"), (*(float(7 * n % 14) for n in range(14)), 99.0))

    def _fallback_scores(self):
        return self.model.item_score


class TestItemKNN(FoldInContract):
    learner = ItemKNN(neighbours=10)


class TestItemKNNWithBM25(FoldInContract):
    learner = ItemKNN(neighbours=10, weighting=BM25(), decay=1.0)


class TestItemKNNWithTfIdf(FoldInContract):
    learner = ItemKNN(weighting=TfIdf(), shrinkage=0.0)


class TestEASE(FoldInContract):
    learner = EASE(regularization=5.0, neighbours=30)


class TestLocalEASE(FoldInContract):
    learner = LocalEASE(regularization=5.0, neighbours=6)


class TestSLIM(FoldInContract):
    learner = SLIM(l1=0.05, l2=2.0)


class TestALS(FoldInContract):
    learner = ALS(factors=6, iterations=3)
    least_overlap = 0.9  # items took their last step after the users, by three steps of conjugate gradients


class TestLogisticMF(RecommenderContract):
    learner = LogisticMF(factors=6, iterations=10, negatives=5)


class TestBPR(RecommenderContract):
    learner = BPR(factors=6, iterations=20)


class TestLightFM(RecommenderContract):
    learner = LightFM(factors=6, epochs=3)

    @pytest.fixture(autouse=True)
    def _needs_lightfm(self):
        pytest.importorskip("lightfm", reason="rectools-lightfm is not installed: pip install 'beautyrec[hybrid]'")


class TestSASRec(RecommenderContract):
    learner = SASRec(width=16, inner=16, max_len=6, epochs=3, loss=SampledSoftmax(16), batch_events=64)
