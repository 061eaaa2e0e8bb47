"""What every funnel model must satisfy; a test class inherits it and says in ``learner`` what is fitted."""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

import copy
from collections.abc import Hashable
from functools import cache
from typing import cast

import numpy as np
import pandas as pd
import pytest

from beautyrec.errors import FitError, SchemaError
from beautyrec.models.funnel_base import FunnelLearner, FunnelModel
from beautyrec.models.state import ModelState

FEATURES = ("heat", "price", "scene")
N_ROWS = 4000


def small_impressions(n: int = N_ROWS, seed: int = 0) -> pd.DataFrame:
    """Impressions of three scenes with gaps in a feature; ``true_ctr`` and ``true_cvr`` are their chances."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame({"heat": rng.normal(size=n), "price": rng.normal(size=n), "scene": rng.integers(0, 3, n)})
    rows["brand"] = np.array(["Aster", "Birch", None], dtype=object)[rng.integers(0, 3, n)]
    rows["true_ctr"] = 1 / (1 + np.exp(1.5 - rows["heat"]))
    rows["true_cvr"] = 1 / (1 + np.exp(0.5 + rows["price"]))
    rows["clicked"] = rng.random(n) < rows["true_ctr"]
    rows["ordered"] = rows["clicked"] & (rng.random(n) < rows["true_cvr"])
    rows["ts"] = pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(np.arange(n), unit="min")
    return rows.assign(price=rows["price"].where(rng.random(n) > 0.1))


@cache
def _fitted(learner: Hashable) -> FunnelModel:
    return cast("FunnelLearner", learner).fit(small_impressions(), features=FEATURES, seed=3)


class FunnelContract:
    """The contract of learners and models of click and order."""

    learner: FunnelLearner

    @property
    def model(self) -> FunnelModel:
        """The learner fitted on small impressions."""
        return _fitted(cast("Hashable", self.learner))

    def test_fit_gives_a_new_model_and_leaves_learner_and_rows_as_they_were(self) -> None:
        before, rows = copy.deepcopy(self.learner), small_impressions()
        first = self.learner.fit(rows, features=FEATURES, seed=3)
        assert self.learner == before
        pd.testing.assert_frame_equal(rows, small_impressions())
        assert first is not self.model
        pd.testing.assert_frame_equal(first.predict(rows), self.model.predict(rows), check_exact=True)

    def test_another_seed_gives_another_model(self) -> None:
        rows = small_impressions()
        other = self.learner.fit(rows, features=FEATURES, seed=4)
        assert not other.predict(rows).equals(self.model.predict(rows))

    def test_predictions_are_chances_that_know_the_truth(self) -> None:
        rows = small_impressions(seed=9).set_index(np.arange(N_ROWS) * 2)
        found = self.model.predict(rows)
        assert list(found) == ["ctr", "cvr", "ctcvr"]
        assert found.index.equals(rows.index)
        assert ((found > 0) & (found < 1)).all(axis=None)
        np.testing.assert_array_equal(found["ctcvr"], found["ctr"] * found["cvr"])
        assert np.corrcoef(found["ctr"], rows["true_ctr"])[0, 1] > 0.85
        priced = rows["price"].notna()
        assert np.corrcoef(found["cvr"][priced], rows["true_cvr"][priced])[0, 1] > 0.65
        assert abs(float(found["ctr"].mean() / rows["true_ctr"].mean()) - 1) < 0.15

    def test_rows_are_predicted_alone_as_together(self) -> None:
        rows = small_impressions().iloc[:40]
        together = self.model.predict(rows)
        alone = pd.concat([self.model.predict(rows.iloc[[row]]) for row in range(len(rows))])
        pd.testing.assert_frame_equal(alone, together, rtol=1e-5)
        assert len(self.model.predict(rows.iloc[:0])) == 0

    def test_state_gives_the_same_model(self) -> None:
        state, rows = self.model.state(), small_impressions(seed=2)
        stored = {name: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape) for name, a in state.arrays.items()}
        again = type(self.model).from_state(ModelState(state.kind, stored, dict(state.meta)))
        pd.testing.assert_frame_equal(again.predict(rows), self.model.predict(rows), check_exact=True)

    def test_gaps_and_extremes_give_numbers(self) -> None:
        rows = small_impressions().iloc[:4].copy()
        rows["heat"] = [np.nan, 1e30, -1e30, 0.0]
        rows["scene"] = [np.nan, 99.0, -1.0, 0.0]
        assert np.isfinite(self.model.predict(rows).to_numpy()).all()

    def test_missing_columns_are_named(self) -> None:
        rows = small_impressions()
        with pytest.raises(SchemaError, match="price"):
            self.model.predict(rows.drop(columns="price"))
        with pytest.raises(FitError, match="price"):
            self.learner.fit(rows.drop(columns="price"), features=FEATURES)
        with pytest.raises(SchemaError, match="ordered"):
            self.learner.fit(rows.drop(columns="ordered"), features=FEATURES)

    def test_rows_that_teach_nothing_are_refused(self) -> None:
        rows = small_impressions()
        spoilt = {
            "0 rows": rows.iloc[:0],
            "nothing to learn clicks from": rows.assign(clicked=False, ordered=False),
            "nothing to learn orders from": rows.assign(ordered=rows["clicked"]),
            "in 3 of": rows.assign(ts=rows["ts"].where(rows.index > 2)),
            "'heat' is infinite": rows.assign(heat=rows["heat"].where(rows.index > 1, np.inf)),
            "'maturity' is outside of 0..1 in 4000": rows.assign(maturity=1.5),
        }
        for message, frame in spoilt.items():
            with pytest.raises(FitError, match=message):
                self.learner.fit(frame, features=FEATURES)

    def test_orders_that_are_yet_to_come_are_allowed_for(self) -> None:
        """Every second order of the later two thirds has not come yet, and the rows say so."""
        rows = small_impressions()
        young = np.arange(len(rows)) >= len(rows) // 3
        late = young & rows["ordered"].to_numpy()
        seen = rows.assign(ordered=rows["ordered"] & ~(late & (np.cumsum(late) % 2 == 0)))
        naive = self.learner.fit(seen, features=FEATURES).predict(rows)["cvr"]
        told = self.learner.fit(seen.assign(maturity=np.where(young, 0.5, 1.0)), features=FEATURES).predict(rows)["cvr"]
        truth = float(rows["true_cvr"][rows["clicked"]].mean())
        assert naive[rows["clicked"]].mean() < 0.75 * truth
        assert abs(told[rows["clicked"]].mean() / truth - 1) < 0.12
