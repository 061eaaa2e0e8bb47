"""What the benchmark of Beauty counts: fits that are taken over, and the models that windowed popularity beats."""

from __future__ import annotations

import numpy as np

from beautyrec.data.splits import leave_last_out
from beautyrec.models.als import ALS
from beautyrec.models.blend import Blend
from beautyrec.models.item_knn import ItemKNN
from beautyrec.models.popularity import Popularity
from beautyrec.testing.models import small_log
from benchmarks import beauty


def test_a_blend_takes_over_the_fits_of_rows_and_is_the_same_model():
    log = small_log()
    learners = (ItemKNN(neighbours=10), ALS(factors=6, iterations=3))
    store = {}
    once = tuple(beauty.Once(learner, log, store) for learner in learners)
    for learner in once:
        learner.fit(log, seed=0)
    blend = Blend(once).fit(log, seed=0)
    assert [len(learner.reused) for learner in once] == [1, 1]
    assert blend.parts == tuple(store[repr(learner), 0][0] for learner in learners)
    users = np.arange(20)
    np.testing.assert_array_equal(blend.scores(users), Blend(learners).fit(log, seed=0).scores(users))


def test_rows_hold_quality_seconds_and_memory():
    split = leave_last_out(small_log())
    learners = {"popularity": Popularity(), "blend": Blend((Popularity(), ItemKNN(neighbours=10)), weights=(1.0, 1.0))}
    rows = list(beauty.rows_of(learners, split, beauty.LAST_OUT, 10, 0))
    assert [row["model"] for row in rows] == ["popularity", "blend"]
    for row in rows:
        assert row["recall_ci_low"] <= row["recall"] <= row["recall_ci_high"]
        assert row["fit_seconds"] >= 0
        assert row["peak_mib"] is None or row["peak_mib"] > 50


def test_a_model_below_the_better_window_is_marked():
    quality = {"popularity, 30 days": 0.01, "popularity, 90 days": 0.03, "good": 0.04, "weak": 0.02}
    checks = beauty.by_time_checks({name: {"recall": value, "ndcg": value} for name, value in quality.items()})
    assert [check.holds for check in checks] == [True, True, False, False]
    assert beauty.not_worth(checks) == ["weak"]
