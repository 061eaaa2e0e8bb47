from __future__ import annotations

import numpy as np
import pytest

from beautyrec.errors import EvaluationError
from beautyrec.evaluation import list_quality, ranking, ranking_values
from beautyrec.evaluation.list_quality import Ratio
from beautyrec.evaluation.ranking_values import ItemFacts


@pytest.fixture
def task(rng):
    lists = rng.permuted(np.tile(np.arange(40), (90, 1)), axis=1)[:, :6]
    lists[::7, 4:] = -1
    indptr = np.append(0, np.cumsum(rng.integers(1, 5, 90)))
    return (
        lists,
        indptr,
        rng.integers(0, 40, indptr[-1]),
        ItemFacts(rng.integers(0, 9, 40) * 1.0, rng.integers(-1, 5, 40)),
    )


@pytest.mark.parametrize("threads", ["1", "3"])
def test_blocks_and_threads_give_what_one_call_gives(task, monkeypatch, threads):
    lists, indptr, relevant, items = task
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    whole = ranking_values.ranking_values(*task)
    monkeypatch.setattr(ranking_values, "BLOCK", 6 * 11)
    values = ranking_values.ranking_values(*task)
    assert list(values) == list(whole)
    assert len(values) == 10
    for name, value in values.items():
        np.testing.assert_array_equal(value, whole[name])
    found = ranking.hits(lists, indptr, relevant)
    np.testing.assert_array_equal(values["ndcg"], ranking.ndcg(found))
    np.testing.assert_array_equal(values["diversity"], list_quality.diversity(lists, items.group))
    weight = list_quality.popularity_weight(items.counts)
    assert isinstance(values["debiased_recall"], Ratio)
    expected = list_quality.debiased_recall(found, lists, indptr, relevant, weight)
    np.testing.assert_array_equal(values["debiased_recall"].below, expected.below)


def test_errors_count_over_all_requests(task, monkeypatch):
    lists, indptr, relevant, items = task
    monkeypatch.setattr(ranking_values, "BLOCK", 6 * 11)
    lists[[3, 80], 1] = lists[[3, 80], 0]
    with pytest.raises(EvaluationError, match="2 of 90 lists name an item twice, the first is list 3"):
        ranking_values.ranking_values(lists, indptr, relevant, items)
    with pytest.raises(EvaluationError, match="90 lists and 89 sets"):
        ranking_values.ranking_values(lists, indptr[:-1], relevant, items)


def test_without_groups_there_is_no_diversity(task):
    lists, indptr, relevant, items = task
    assert "diversity" not in ranking_values.ranking_values(lists, indptr, relevant, ItemFacts(items.counts))
