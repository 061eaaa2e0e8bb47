"""What every retrieval model must satisfy that other users can join after the fit; a test class inherits it.

::

    class TestALS(FoldInContract):
        learner = ALS(factors=8)
        least_overlap = 0.9
"""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

import copy
from typing import ClassVar, cast

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.interactions import Interactions
from beautyrec.errors import UnknownIdError
from beautyrec.models.base import Recommender
from beautyrec.models.fold_in import FoldsIn
from beautyrec.models.recommenders import recommender_from_state
from beautyrec.testing.models import N_ITEMS, N_USERS, RecommenderContract, small_log


class FoldInContract(RecommenderContract):
    """The promises of :class:`beautyrec.models.fold_in.FoldsIn`, for models that other users can join after the fit."""

    least_overlap: ClassVar[float] = 1.0
    """Share of the lists of fitted users, five long, that folding in their own history has to give again."""

    @property
    def folding(self) -> FoldsIn:
        """The model."""
        assert isinstance(self.model, FoldsIn)
        return self.model

    def _joined(self, history: Interactions) -> Recommender:
        """The model after ``history`` was folded in."""
        return cast("Recommender", self.folding.fold_in(history))

    def test_folding_in_what_was_fitted_gives_the_lists_of_the_fit(self) -> None:
        top, _ = self.model.top_k(self.warm, 5)
        again, _ = self._joined(small_log()).top_k(self.warm, 5)
        same = np.mean([len(np.intersect1d(a, b)) / 5 for a, b in zip(top, again, strict=True)])
        assert same >= self.least_overlap

    def test_folding_in_leaves_the_model_as_it_was(self) -> None:
        before = copy.deepcopy(dict(self.model.state().arrays))
        self._joined(small_log().where(np.arange(len(small_log())) % 2 == 0))
        for name, array in self.model.state().arrays.items():
            np.testing.assert_array_equal(array, before[name])

    def test_new_users_get_what_fitted_ones_with_their_history_get(self) -> None:
        log = small_log()
        kept = np.flatnonzero(log.user_ix >= N_USERS - 12)[::-1]  # backwards in time: the order comes from the times
        frame = pd.DataFrame(
            {
                "user_id": [f"new{u}" for u in log.user_ix[kept]],
                "item_id": log.items.ids_at(log.item_ix[kept]),
                "ts": pd.to_datetime(log.ts[kept], unit="us", utc=True),
            }
        )
        joined = self._joined(Interactions.from_frame(frame, items=self.model.items))
        everyone = self._joined(log)
        for user in (N_USERS - 12, N_USERS - 2):
            got = joined.recommend([f"new{user}"], 4)
            expected = everyone.recommend(everyone.users.ids[[user]], 4)
            assert got["item_id"].tolist() == expected["item_id"].tolist()
            np.testing.assert_allclose(got["score"], expected["score"], rtol=1e-4)
        with pytest.raises(UnknownIdError, match="1 of 1 ids"):
            joined.recommend(["u001"], 4)  # the users of the fit are those of the model that was left as it was

    def test_a_user_who_joins_without_a_history_gets_what_an_unknown_one_gets(self) -> None:
        joined = self._joined(small_log().where(small_log().user_ix != 3))
        np.testing.assert_array_equal(joined.scores(np.array([3]))[0], self._fallback_scores())

    def test_a_model_that_users_joined_is_rebuilt_from_its_state(self) -> None:
        joined = self._joined(small_log().where(small_log().user_ix != 3))
        again = recommender_from_state(joined.state())
        everyone = np.arange(-1, N_USERS)
        np.testing.assert_array_equal(again.scores(everyone), joined.scores(everyone))
        assert isinstance(again, FoldsIn)
        twice = cast("Recommender", again.fold_in(small_log()))
        np.testing.assert_array_equal(twice.scores(everyone), self._joined(small_log()).scores(everyone))

    def test_items_of_another_vocabulary_are_refused(self) -> None:
        frame = pd.DataFrame({"user_id": ["a"], "item_id": ["else"], "ts": [pd.Timestamp("2026-03-01", tz="UTC")]})
        with pytest.raises(UnknownIdError, match=rf"1 items of the history.*{N_ITEMS} of the model.*1 are unknown"):
            self._joined(Interactions.from_frame(frame))
