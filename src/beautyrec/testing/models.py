"""What every retrieval model must satisfy; a test class inherits it and says in ``learner`` what is fitted.

::

    class TestALS(RecommenderContract):
        learner = ALS(factors=8)
"""

# ruff: noqa: D102 - the names of the tests say it

from __future__ import annotations

import copy
import tracemalloc
from collections.abc import Hashable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from beautyrec.data.interactions import Interactions
from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import ArtifactError, ConfigError, FitError, UnknownIdError
from beautyrec.models.base import Learner, ModelState, OnUnknown, Recommender
from beautyrec.models.recommenders import recommender_from_state
from beautyrec.serving.artifact import read_artifact, write_artifact
from beautyrec.serving.manifest import ModelCard
from beautyrec.types import Float32Array, IntArray

N_USERS, N_ITEMS = 60, 40
"""Sizes of the small log, cold user and item included."""

TOLERANCE = 1e-5
"""How far scores of one user alone may lie from those among others: matrix products add in another order."""


@cache
def small_log(ids: str = "string") -> Interactions:
    """Four groups of users who buy within their group; the last user and the last item have no event."""
    rng = np.random.default_rng(7)
    counts = rng.integers(3, 9, N_USERS - 1)
    user = np.repeat(np.arange(N_USERS - 1), counts)
    item = (user % 4) * 10 + rng.integers(0, 9 + (user % 4 < 3), len(user))
    start = pd.Timestamp("2026-03-01", tz="UTC")
    name_user, name_item = (int, int) if ids == "integer" else ("u{:03d}".format, "i{:03d}".format)
    frame = pd.DataFrame(
        {
            "user_id": [name_user(u) for u in user],
            "item_id": [name_item(i) for i in item],
            "ts": start + pd.to_timedelta(rng.permutation(len(user)), unit="h"),
        }
    )
    users = Vocabulary.from_ids([name_user(u) for u in range(N_USERS)])
    items = Vocabulary.from_ids([name_item(i) for i in range(N_ITEMS)])
    table = pd.DataFrame({"item_id": items.ids, "category": np.arange(N_ITEMS) // 10, "brand": np.arange(N_ITEMS) % 7})
    table["brand"] = table["brand"].where(table["brand"] > 0)
    return Interactions.from_frame(frame, users=users, items=items, item_table=table)


@cache
def _fitted(learner: Hashable, ids: str) -> Recommender:
    return cast("Learner", learner).fit(small_log(ids), seed=0)


def _seen_by_numpy() -> npt.NDArray[Any]:
    """The state of numpy's global generator, which no fit may move."""
    state: Any = np.random.get_state()  # noqa: NPY002 - this is what is looked at
    return np.array(state[1])


class RecommenderContract:
    """The promises of :class:`beautyrec.models.base.Learner` and :class:`beautyrec.models.base.Recommender`."""

    learner: ClassVar[Learner]
    """The learner, small enough to be fitted in a second."""

    @property
    def model(self) -> Recommender:
        """The learner fitted on the small log."""
        return _fitted(cast("Hashable", self.learner), "string")

    @property
    def warm(self) -> IntArray:
        """Users with a history."""
        return np.arange(N_USERS - 1)

    def test_fit_leaves_learner_and_log_as_they_were(self) -> None:
        learner, log = copy.deepcopy(self.learner), copy.deepcopy(small_log())
        self.learner.fit(small_log(), seed=1)
        assert self.learner == learner
        for name in ("user_ix", "item_ix", "ts", "weight"):
            np.testing.assert_array_equal(getattr(small_log(), name), getattr(log, name))
        assert log.item_table is not None
        pd.testing.assert_frame_equal(log.item_table, cast("pd.DataFrame", small_log().item_table))

    def test_two_fits_with_one_seed_agree(self) -> None:
        again = self.learner.fit(small_log(), seed=0)
        everyone = np.arange(N_USERS)
        np.testing.assert_array_equal(again.scores(everyone), self.model.scores(everyone))

    def test_fit_leaves_the_global_random_state_alone(self) -> None:
        state = _seen_by_numpy()
        self.learner.fit(small_log(), seed=3)
        np.testing.assert_array_equal(_seen_by_numpy(), state)

    def test_progress_reaches_its_total(self) -> None:
        calls: list[tuple[int, int]] = []
        self.learner.fit(small_log(), seed=0, on_progress=lambda done, total: calls.append((done, total)))
        done, total = np.array(calls).T
        assert done[-1] == total[-1]
        assert (np.diff(done) >= 0).all()
        assert len(set(total)) == 1

    @pytest.mark.parametrize("events", [0, 1])
    def test_a_log_too_short_says_so(self, events: int) -> None:
        first = np.arange(len(small_log())) < events
        with pytest.raises(FitError, match=f"cannot be fitted on {events} interactions"):
            self.learner.fit(small_log().where(first))

    def test_users_with_one_event_each_are_fitted_or_the_reason_is_said(self) -> None:
        first = np.append(True, np.diff(small_log().user_ix) > 0)
        try:
            model = self.learner.fit(small_log().where(first))
        except FitError as error:
            assert "two interactions" in str(error)  # noqa: PT017 - one of two promised ends
            return
        assert np.isfinite(model.scores(np.arange(-1, N_USERS))).all()

    def test_a_log_whose_items_nothing_is_known_of_is_fitted(self) -> None:
        model = self.learner.fit(replace(small_log(), item_table=None))
        assert np.isfinite(model.scores(np.arange(-1, N_USERS))).all()

    @pytest.mark.parametrize("weight", [0.0, np.nan])
    def test_weights_that_cannot_be_are_counted(self, weight: float) -> None:
        wrong = small_log().weight.copy()
        wrong[[4, 9]] = weight
        with pytest.raises(FitError, match=f"2 of {len(wrong)} interactions have a weight"):
            self.learner.fit(replace(small_log(), weight=wrong))

    def test_scores_have_their_shape_and_are_numbers(self) -> None:
        scores = self.model.scores(np.array([5, 0, N_USERS - 1, -1]))
        assert scores.shape == (4, N_ITEMS)
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()

    def test_one_user_at_a_time_equals_all_at_once(self) -> None:
        everyone = np.arange(-1, N_USERS)
        together = self.model.scores(everyone)
        alone = np.concatenate([self.model.scores(everyone[[u]]) for u in range(len(everyone))])
        np.testing.assert_allclose(alone, together, rtol=TOLERANCE, atol=TOLERANCE)

    def test_lists_of_one_user_at_a_time_equal_those_of_all_at_once(self) -> None:
        everyone = np.append(np.arange(-1, N_USERS), [5, -1, 5])  # some of them asked for again
        _, together = self.model.top_k(everyone, 6)
        alone = np.concatenate([self.model.top_k(everyone[[u]], 6)[1] for u in range(len(everyone))])
        np.testing.assert_allclose(alone, together, rtol=TOLERANCE, atol=TOLERANCE)

    def test_recommending_leaves_the_model_as_it_was(self) -> None:
        before = copy.deepcopy(dict(self.model.state().arrays))
        self.model.recommend(self.model.users.ids, N_ITEMS + 1, candidates=self.model.items.ids[::2])
        self.model.scores(np.arange(-1, N_USERS))[:] = np.nan
        self.model.scores_at(np.array([0, -1]), np.array([[1, 2], [3, -1]]))
        for name, array in self.model.state().arrays.items():
            np.testing.assert_array_equal(array, before[name])

    def test_top_k_is_a_stable_sort_of_the_scores(self) -> None:
        everyone = np.arange(-1, N_USERS)
        scores = self.model.scores(everyone)
        top, values = self.model.top_k(everyone, 7, exclude_seen=False)
        expected = np.argsort(-scores, axis=1, kind="stable")[:, :7]
        np.testing.assert_allclose(values, np.take_along_axis(scores, expected, axis=1), rtol=TOLERANCE)
        np.testing.assert_array_equal(top, expected)

    def test_seen_items_are_left_out_and_all_others_are_there(self) -> None:
        top, values = self.model.top_k(self.warm, N_ITEMS + 5)
        log = small_log()
        for user in self.warm:
            seen = set(log.item_ix[log.indptr[user] : log.indptr[user + 1]].tolist())
            found = top[user][top[user] >= 0]
            assert set(found.tolist()) == set(range(N_ITEMS)) - seen
            assert len(found) == N_ITEMS - len(seen)
            assert (values[user, len(found) :] == -np.inf).all()

    def test_only_candidates_are_recommended_in_their_order(self) -> None:
        allowed = np.array([31, 2, 17, 2, 9])
        top, _ = self.model.top_k(self.warm, 10, candidates=allowed)
        full, _ = self.model.top_k(self.warm, N_ITEMS)
        for user in self.warm:
            expected = [item for item in full[user].tolist() if item in {31, 2, 17, 9}]
            assert top[user][top[user] >= 0].tolist() == expected

    def test_no_candidates_give_nothing(self) -> None:
        top, values = self.model.top_k(self.warm, 3, candidates=np.array([], dtype=np.int64))
        assert (top == -1).all()
        assert (values == -np.inf).all()

    def test_scores_at_are_the_scores_of_those_items(self) -> None:
        users = np.array([3, 8, -1, N_USERS - 1])
        shelf = np.array([[5, 1, -1], [39, -1, -1], [0, 12, 7], [4, 4, 4]])
        expected = np.where(
            shelf < 0, -np.inf, np.take_along_axis(self.model.scores(users), np.maximum(shelf, 0), axis=1)
        )
        np.testing.assert_allclose(self.model.scores_at(users, shelf), expected, rtol=TOLERANCE, atol=TOLERANCE)

    @pytest.mark.parametrize("ids", ["string", "integer"])
    def test_external_ids_in_external_ids_out(self, ids: str) -> None:
        model = _fitted(cast("Hashable", self.learner), ids)
        users = model.users.ids[[4, 1]]
        frame = model.recommend(users, 3, candidates=model.items.ids[[0, 3, 11, 12, 25, 26, 30]])
        assert list(frame) == ["user_id", "item_id", "score", "rank"]
        assert frame["user_id"].unique().tolist() == users.tolist()
        assert set(frame["item_id"]) <= set(model.items.ids[[0, 3, 11, 12, 25, 26, 30]])
        top, values = model.top_k(np.array([4, 1]), 3, candidates=np.array([0, 3, 11, 12, 25, 26, 30]))
        assert frame["item_id"].tolist() == model.items.ids_at(top).ravel().tolist()
        assert frame["rank"].tolist() == [1, 2, 3, 1, 2, 3]
        np.testing.assert_array_equal(frame["score"].to_numpy(), values.ravel())

    def test_unknown_users_raise_fall_back_or_are_skipped(self) -> None:
        users = ["u002", "nobody", "u001"]
        with pytest.raises(UnknownIdError, match="1 of 3 ids"):
            self.model.recommend(users, 2)
        assert self.model.recommend(users, 2, on_unknown="skip")["user_id"].unique().tolist() == ["u002", "u001"]
        frame = self.model.recommend(users, 2, on_unknown="fallback")
        assert frame["user_id"].unique().tolist() == users
        popular = np.argsort(-self._fallback_scores(), kind="stable")[:2]
        got = frame.loc[frame["user_id"] == "nobody", "item_id"].tolist()
        assert got == self.model.items.ids_at(popular).tolist()
        with pytest.raises(ConfigError, match="on_unknown"):
            self.model.recommend(users, 2, on_unknown=cast("OnUnknown", "ignore"))

    def test_unknown_candidates_raise_come_last_or_are_left_out(self) -> None:
        allowed = [self.model.items.ids[3], "new", self.model.items.ids[7], "newer", "new"]
        users = ["u002", "nobody", "u001"]
        with pytest.raises(UnknownIdError, match="3 of 5 ids"):
            self.model.recommend(users[:1], 2, candidates=allowed)
        known = self.model.recommend(users, 9, candidates=allowed[::2][:2], exclude_seen=False, on_unknown="fallback")
        skipped = self.model.recommend(users, 9, candidates=allowed, exclude_seen=False, on_unknown="skip")
        pd.testing.assert_frame_equal(skipped, known[known["user_id"] != "nobody"].reset_index(drop=True))
        for k in (1, 3, 9):
            frame = self.model.recommend(users, k, candidates=allowed, exclude_seen=False, on_unknown="fallback")
            assert list(frame) == list(known)
            for user in users:
                mine, expected = frame[frame["user_id"] == user], known[known["user_id"] == user]
                items = [*expected["item_id"], "new", "newer"][:k]
                assert mine["item_id"].tolist() == items
                assert mine["rank"].tolist() == list(range(1, len(items) + 1))
                assert mine["score"].iloc[2:].tolist() == [-np.inf] * max(0, len(items) - 2)
            assert frame["user_id"].unique().tolist() == users

    def _fallback_scores(self) -> Any:
        """[I] what a user nobody has seen is ranked by."""
        return self.model.popularity

    def test_a_user_without_a_history_gets_what_an_unknown_one_gets(self) -> None:
        scores = self.model.scores(np.array([N_USERS - 1, -1]))
        np.testing.assert_array_equal(scores[0], self._fallback_scores())
        np.testing.assert_array_equal(scores[1], self._fallback_scores())

    def test_unknown_candidates_and_a_k_below_one_are_errors(self) -> None:
        with pytest.raises(UnknownIdError, match="1 of 2 ids"):
            self.model.recommend(["u001"], 2, candidates=["i001", "nothing"])
        with pytest.raises(ConfigError, match="k is 0"):
            self.model.recommend(["u001"], 0)

    @pytest.mark.parametrize("ids", ["string", "integer"])
    def test_state_rebuilds_the_same_recommender(self, ids: str) -> None:
        model = _fitted(cast("Hashable", self.learner), ids)
        state = model.state()
        assert state.kind == model.kind
        assert all(array.dtype.kind in "iufb" for array in state.arrays.values())
        stored = {name: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape) for name, a in state.arrays.items()}
        again = recommender_from_state(ModelState(state.kind, stored, dict(state.meta)))
        everyone = np.arange(-1, N_USERS)
        np.testing.assert_array_equal(again.scores(everyone), model.scores(everyone))
        pd.testing.assert_frame_equal(again.recommend(model.users.ids, 5), model.recommend(model.users.ids, 5))

    def test_an_artifact_gives_the_same_scores_and_holds_no_nan(self, tmp_path: Path) -> None:
        state, everyone = self.model.state(), np.arange(-1, N_USERS)
        write_artifact(tmp_path / "model", state, ModelCard("contract"))
        again = read_artifact(tmp_path / "model").model
        np.testing.assert_array_equal(again.scores(everyone), self.model.scores(everyone))
        name = next(name for name, array in sorted(state.arrays.items()) if array.dtype.kind == "f" and array.size)
        broken = state.arrays[name].copy()
        broken.flat[0] = np.nan
        with pytest.raises(ArtifactError, match=f"1 of {broken.size} values of '{name}' are not finite"):
            write_artifact(tmp_path / "wrong", replace(state, arrays={**state.arrays, name: broken}), ModelCard("x"))

    def test_a_score_that_is_no_number_is_an_error(self) -> None:
        class Lost(type(self.model)):  # type: ignore[misc]  # the class of the model is known at run time only
            def scores(
                self, user_ix: IntArray, columns: IntArray | None = None, room: Float32Array | None = None
            ) -> Float32Array:
                block: Float32Array = super().scores(user_ix, columns, room)
                block[0, -1] = np.nan
                return block

        with pytest.raises(FitError, match="hold NaN"):
            Lost.from_state(self.model.state()).top_k(self.warm, 3, exclude_seen=False)

    def test_memory_does_not_grow_with_users_times_items(self) -> None:
        blocks: list[int] = []

        class Watched(type(self.model)):  # type: ignore[misc]  # the class of the model is known at run time only
            def scores(
                self, user_ix: IntArray, columns: IntArray | None = None, room: Float32Array | None = None
            ) -> Float32Array:
                block: Float32Array = super().scores(user_ix, columns, room)
                blocks.append(block.size)
                return block

        watched, limit = Watched.from_state(self.model.state()), self.model.chunk_scores
        many = np.tile(self.warm, 1 + 2 * limit // (len(self.warm) * N_ITEMS))
        top, _ = watched.top_k(many, 1)
        assert max(blocks) <= limit < len(many) * N_ITEMS
        np.testing.assert_array_equal(top[: len(self.warm)], top[-len(self.warm) :])

    def test_peak_memory_grows_by_lists_and_not_by_scores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = type(self.model).from_state(self.model.state())
        monkeypatch.setattr(type(model), "chunk_scores", 64 * N_ITEMS)
        model.top_k(self.warm, 1)
        peaks = []
        for n in (1024, 8192):
            users = np.resize(self.warm, n)
            tracemalloc.start()
            model.top_k(users, 1)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[1] - peaks[0] < (8192 - 1024) * N_ITEMS * 4 / 2
