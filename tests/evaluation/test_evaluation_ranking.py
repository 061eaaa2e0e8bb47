from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.ranking import (
    average_precision,
    coverage,
    hit_rate,
    hits,
    mean_estimate,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)


def by_loops(ranked, relevant, k):
    """Every metric of one request, a place at a time."""
    relevant = set(relevant)
    gain, ideal, found, first, precisions = 0.0, 0.0, 0, 0.0, 0.0
    for rank, item in enumerate(ranked, start=1):
        if item in relevant:
            gain += 1 / math.log2(rank + 1)
            found += 1
            precisions += found / rank
            first = first or 1 / rank
    for rank in range(1, min(k, len(relevant)) + 1):
        ideal += 1 / math.log2(rank + 1)
    return found / len(relevant), found / k, float(found > 0), gain / ideal, first, precisions / len(relevant)


@st.composite
def requests(draw):
    """Lists [B, k] with padding at their ends, and a set of relevant items each."""
    k, n_items = draw(st.integers(1, 6)), draw(st.integers(1, 9))
    catalogue = st.integers(0, n_items - 1)
    ranked = draw(st.lists(st.lists(catalogue, max_size=k, unique=True), min_size=1, max_size=6))
    relevant = [draw(st.lists(catalogue, min_size=1, max_size=12)) for _ in ranked]
    return k, ranked, relevant


@settings(deadline=None)
@given(requests())
def test_every_metric_equals_its_loop(case):
    k, ranked, relevant = case
    lists = np.array([row + [-1] * (k - len(row)) for row in ranked])
    indptr = np.cumsum([0] + [len(row) for row in relevant])
    found = hits(lists, indptr, np.array([item for row in relevant for item in row]))
    metrics = (recall, precision, hit_rate, ndcg, reciprocal_rank, average_precision)
    values = np.stack([metric(found) for metric in metrics], axis=1)
    np.testing.assert_allclose(values, [by_loops(a, b, k) for a, b in zip(ranked, relevant, strict=True)], rtol=1e-12)


def test_values_by_hand():
    """Relevant {1, 4, 7, 9, 11}; hits at ranks 2 and 3 of 4."""
    found = hits(np.array([[0, 4, 9, 2]]), np.array([0, 5]), np.array([1, 4, 7, 9, 11]))
    log3, log5 = math.log2(3), math.log2(5)
    assert recall(found)[0] == pytest.approx(2 / 5)
    assert precision(found)[0] == pytest.approx(2 / 4)
    assert hit_rate(found)[0] == 1
    assert reciprocal_rank(found)[0] == pytest.approx(1 / 2)
    assert ndcg(found)[0] == pytest.approx((1 / log3 + 1 / 2) / (1 + 1 / log3 + 1 / 2 + 1 / log5))


def test_a_perfect_list_has_ndcg_one_whatever_the_number_of_relevant_items():
    for n in (1, 3, 8):
        found = hits(np.arange(5)[None, :], np.array([0, n]), np.arange(n))
        assert ndcg(found)[0] == pytest.approx(1)


def test_coverage_counts_items_not_padding():
    assert coverage(np.array([[1, -1], [1, 3]]), 8) == 2 / 8
    assert coverage(np.full((2, 3), -1), 8) == 0


@pytest.mark.parametrize(
    ("lists", "indptr", "relevant", "message"),
    [
        ([[1, 2]], [0, 1, 2], [1, 2], "1 lists and 2 sets"),
        (np.empty((0, 3), dtype=np.int64), [0], [], "0 lists and 0 sets"),
        ([[1, 2], [3, 4]], [0, 0, 1], [1], "1 of 2 requests have no relevant item"),
        ([[1, 2], [3, 3], [-1, -1]], [0, 1, 2, 3], [1, 1, 1], "1 of 3 lists name an item twice, the first is list 1"),
    ],
)
def test_what_cannot_be_judged_is_named(lists, indptr, relevant, message):
    with pytest.raises(EvaluationError, match=message):
        hits(np.asarray(lists), np.array(indptr), np.array(relevant, dtype=np.int64))


def test_the_interval_of_a_mean_is_its_formula():
    values = np.array([0.0, 0.5, 1.0, 0.25])
    estimate = mean_estimate(values, "recall@4")
    half = 1.959963984540054 * values.std(ddof=1) / 2
    assert (estimate.value, estimate.n, estimate.unit) == (values.mean(), 4, "recall@4")
    assert estimate.ci_low == pytest.approx(values.mean() - half)
    assert estimate.ci_high == pytest.approx(values.mean() + half)


def test_the_interval_covers_the_true_mean():
    """Recall of one relevant item at 8 %, as on the real purchases: 95 % of 2,000 intervals hold it, give or take 1.5."""
    rng = np.random.default_rng(0)
    estimates = [mean_estimate((rng.random(3_000) < 0.08).astype(float), "recall@10") for _ in range(2_000)]
    covered = np.mean([e.ci_low <= 0.08 <= e.ci_high for e in estimates])
    assert 0.935 <= covered <= 0.965


@pytest.mark.parametrize("values", [[0.5], [], [0.1, np.nan]])
def test_an_interval_needs_two_numbers(values):
    with pytest.raises(EvaluationError, match="an interval needs two or more"):
        mean_estimate(np.array(values, dtype=float), "recall@10")


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 12), n_items=st.integers(2, 12))
def test_agrees_with_scikit_learn(seed, k, n_items):
    """NDCG at k, and average precision of lists that rank all items, where the two definitions are one."""
    rng = np.random.default_rng(seed)
    k = min(k, n_items)
    scores = rng.permuted(np.tile(np.arange(n_items, dtype=float), (5, 1)), axis=1)
    wanted = rng.random((5, n_items)) < 0.4
    wanted[:, 0] |= ~wanted.any(axis=1)
    order = np.argsort(-scores, axis=1)
    request, item = np.nonzero(wanted)
    indptr = np.searchsorted(request, np.arange(6))
    at_k, full = (hits(order[:, :n], indptr, item) for n in (k, n_items))
    for row in range(5):
        one = ndcg_score(wanted[[row]], scores[[row]], k=k)
        assert ndcg(at_k)[row] == pytest.approx(one, abs=1e-9)
        assert average_precision(full)[row] == pytest.approx(
            average_precision_score(wanted[row], scores[row]), abs=1e-9
        )


def test_many_relevant_items_are_looked_up_in_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    lists = rng.permuted(np.tile(np.arange(30), (40, 1)), axis=1)[:, :8]
    relevant = [rng.choice(30, size=rng.integers(1, 9), replace=False) for _ in lists]
    indptr = np.cumsum([0] + [len(row) for row in relevant])
    whole = hits(lists, indptr, np.concatenate(relevant))
    monkeypatch.setattr("beautyrec.evaluation.ranking._BLOCK", 20)
    np.testing.assert_array_equal(hits(lists, indptr, np.concatenate(relevant)).at, whole.at)
    assert whole.at.tolist() == [[i in set(r.tolist()) for i in row] for row, r in zip(lists, relevant, strict=True)]
