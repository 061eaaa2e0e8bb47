from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from beautyrec.campaign.ranking_study import METRICS, RankingTask, rank_each, rank_models
from beautyrec.campaign.segments import ByItem, ByUser
from beautyrec.data.interactions import Interactions
from beautyrec.data.splits import Split, leave_last_out
from beautyrec.errors import EvaluationError
from beautyrec.evaluation.ranking_table import ranking_table
from beautyrec.models.item_knn import ItemKNN
from beautyrec.models.lightfm import LightFM
from beautyrec.models.popularity import Popularity
from beautyrec.testing.models import small_log


def log_of(rows):
    """Interactions of (user, item) rows, a day apart."""
    frame = pd.DataFrame(rows, columns=["user_id", "item_id"])
    frame["ts"] = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.arange(len(frame)), unit="D")
    return Interactions.from_frame(frame)


def test_numbers_by_hand():
    """Train: a by three, b by two, c and e by one; z is known to the test side only.

    User 1 has a, b and took c: first of c, e, z. User 2 has a, c and took b, z: b is first, z is missed after e.
    User 3 has a, b, e and took b again: nothing new, left out. User 4 is new and took b: second after a.
    """
    rows = [(1, "a"), (1, "b"), (2, "a"), (2, "c"), (3, "a"), (3, "b"), (3, "e")]
    later = [(1, "c"), (2, "b"), (2, "z"), (3, "b"), (4, "b")]
    log = log_of(rows + later)
    first = log.ts < np.sort(log.ts)[len(rows)]
    split = Split(log.where(first), log.where(~first))
    row = rank_models({"popular": Popularity()}, split, protocol="by hand", k=2).iloc[0]
    recalls = np.array([1, 0.5, 1])
    second = 1 / np.log2(3)
    ndcgs = np.array([1, 1 / (1 + second), second])
    assert (row["model"], row["protocol"], row["k"], row["users"], row["cold_users"]) == ("popular", "by hand", 2, 3, 1)
    assert row["recall"] == pytest.approx(recalls.mean())
    assert row["ndcg"] == pytest.approx(ndcgs.mean())
    half = 1.959963984540054 * recalls.std(ddof=1) / np.sqrt(3)
    assert row["recall_ci_high"] - row["recall"] == pytest.approx(half)
    assert row["ndcg"] - row["ndcg_ci_low"] == pytest.approx(1.959963984540054 * ndcgs.std(ddof=1) / np.sqrt(3))
    assert row["coverage"] == 4 / 5  # user 1 gets c and e, user 2 b and e, user 4 a and b
    assert row["fit_seconds"] > 0
    assert row["rank_seconds"] > 0
    assert row["note"] == ""


def test_every_metric_stands_with_its_interval_and_is_that_of_the_evaluation():
    split = leave_last_out(small_log())
    row = rank_models({"knn": ItemKNN()}, split, protocol="last", k=5).iloc[0]
    task = RankingTask.of(split)
    ranked = next(rank_each({"knn": ItemKNN()}, task, k=5))
    expected = ranking_table(task.values(ranked.lists)).set_index("metric")
    assert set(METRICS) == {*expected.index, "coverage"}
    for metric, values in expected.iterrows():
        assert row[metric] == pytest.approx(values["value"])
        assert (row[f"{metric}_ci_low"], row[f"{metric}_ci_high"]) == pytest.approx(
            (values["ci_low"], values["ci_high"])
        )
    assert "coverage_ci_low" not in row


def test_in_a_segment_of_users_only_they_count():
    split = leave_last_out(small_log())
    task = RankingTask.of(split)
    users = split.train.users.ids
    tier = pd.Series(np.array(["gold", "new", None], dtype=object)[np.arange(len(users)) % 3], users, name="tier")
    table = rank_models({"popular": Popularity()}, split, protocol="last", k=5, segment=ByUser(tier)).set_index(
        "segment"
    )
    assert table.index.tolist() == ["all", "gold", "new", "unknown"]
    assert table["users"].tolist()[1:] == [int(np.sum(task.user_ix % 3 == place)) for place in range(3)]
    weighted = (table["users"] * table["recall"]).iloc[1:].sum() / table["users"].iloc[0]
    assert weighted == pytest.approx(table["recall"].iloc[0])


def test_in_a_segment_of_items_only_they_are_relevant():
    """User 1 took c and d after a; the popular list of two is b, c. Of c all is found, of d nothing."""
    rows = [(1, "a"), (2, "b"), (2, "c"), (3, "b"), (3, "c"), (4, "b"), (2, "d")]
    later = [(1, "c"), (1, "d"), (4, "c")]
    log = log_of(rows + later)
    first = log.ts < np.sort(log.ts)[len(rows)]
    kind = pd.Series({"a": "x", "b": "x", "c": "cream", "d": "drops"}, name="kind")
    split = Split(log.where(first), log.where(~first))
    table = rank_models({"popular": Popularity()}, split, protocol="by hand", k=2, segment=ByItem(kind)).set_index(
        "segment"
    )
    assert table["recall"].to_dict() == pytest.approx({"all": 0.75, "cream": 1.0, "drops": 0.0})
    assert table["users"].to_dict() == {"all": 2, "cream": 2, "drops": 1}
    assert np.isnan(table.loc["drops", "recall_ci_low"])
    assert "two or more" in table.loc["drops", "note"]
    assert np.isnan(table.loc["all", "diversity"]), "the items have no categories"


def test_a_row_a_model_in_their_order_and_a_note_where_a_library_is_absent(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "lightfm", None)
    begun = []
    learners = {"knn": ItemKNN(), "hybrid": LightFM(), "popular": Popularity()}
    table = rank_models(learners, leave_last_out(small_log()), protocol="last", on_model=begun.append)
    assert table["model"].tolist() == begun == ["knn", "hybrid", "popular"]
    assert "pip install 'beautyrec[hybrid]'" in table.loc[1, "note"]
    numbers = table.drop(columns=["model", "protocol", "segment", "note"])
    assert numbers.loc[1].isna().sum() == len(numbers.columns) - 3  # k, users and cold users stand there
    assert not numbers.loc[[0, 2]].isna().any(axis=None)


def test_progress_of_a_fit_reaches_the_caller():
    calls = []
    rank_models(
        {"popular": Popularity()},
        leave_last_out(small_log()),
        protocol="last",
        on_model=lambda name: lambda done, total: calls.append((name, done, total)),
    )
    assert calls == [("popular", 1, 1)]


def test_a_test_side_with_nothing_new_is_an_error():
    log = small_log()
    with pytest.raises(EvaluationError, match="nobody took an item in test"):
        rank_models({"popular": Popularity()}, Split(log, replace(log)), protocol="leak")
