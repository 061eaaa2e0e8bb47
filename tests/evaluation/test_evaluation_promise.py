from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.promise import promised_and_delivered


def lift(metric, value, low, high, verdict="trust", estimator="dr"):
    cells = {"estimate": value, "ci_low": low, "ci_high": high, "verdict": verdict, "reasons": "why"}
    return pd.DataFrame([{"metric": metric, "estimator": estimator, **cells}])


def test_the_interval_of_symmetric_ones_is_the_usual_one():
    """With log lifts p ± 1.96 s and d ± 1.96 t the interval of d - p is ± 1.96 sqrt(s^2 + t^2)."""
    p, s, d, t, z = 0.10, 0.03, 0.02, 0.04, 1.959963984540054
    sides = [lift("ctr", *np.expm1([value, value - z * e, value + z * e])) for value, e in ((p, s), (d, t))]
    found = promised_and_delivered(*sides).iloc[0]
    half = z * np.hypot(s, t)
    assert np.log1p([found["ratio"], found["ratio_low"], found["ratio_high"]]) == pytest.approx(
        [d - p, d - p - half, d - p + half]
    )
    assert bool(found["agrees"])


def test_a_promise_that_was_broken():
    found = promised_and_delivered(lift("ctr", 0.5, 0.4, 0.6), lift("ctr", 0.0, -0.1, 0.1, estimator="a/b test"))
    assert found["agrees"].tolist() == [False, False]
    assert found["estimator"].tolist() == ["dr", "a/b test"]


def test_it_covers_where_both_have_the_same_lift(rng):
    z, sides = 1.959963984540054, []
    for error in (0.05, 0.02):
        logs = 0.1 + error * rng.normal(size=(300, 1)) + z * error * np.array([0, -1, 1])
        sides.append(pd.concat([lift(f"metric {at}", *np.expm1(row)) for at, row in enumerate(logs)]))
    assert 0.91 <= promised_and_delivered(*sides)["agrees"].mean() <= 0.985


def test_a_refused_side_cannot_be_compared():
    found = promised_and_delivered(lift("ctr", 3.0, 1.0, 9.0, "refuse"), lift("ctr", 0.1, 0.0, 0.2))
    assert found["agrees"].isna().all()
    assert found["ratio"].isna().all()


def test_only_shared_metrics_and_one_row_each():
    both = pd.concat([lift("ctr", 0.1, 0.0, 0.2), lift("cvr", 0.1, 0.0, 0.2)])
    assert promised_and_delivered(both, lift("cvr", 0.2, 0.1, 0.3))["metric"].tolist() == ["cvr", "cvr"]
    with pytest.raises(EvaluationError, match=r"promised offline: \['ctr'\] stand more than once"):
        promised_and_delivered(pd.concat([both, both.iloc[:1]]), both)
    with pytest.raises(EvaluationError, match="no metric is on both"):
        promised_and_delivered(lift("ctr", 0.1, 0.0, 0.2), lift("clicks", 0.1, 0.0, 0.2))
