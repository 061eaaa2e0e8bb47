from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.list_quality import (
    debiased_recall,
    diversity,
    novelty,
    popularity,
    popularity_bias,
    popularity_weight,
    spread,
)
from beautyrec.evaluation.ranking import hits, recall


@st.composite
def worlds(draw):
    """Lists with padding at their ends, relevant items, and a count, a group and a vector for each item."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_items, k, b = draw(st.integers(1, 9)), draw(st.integers(1, 6)), draw(st.integers(1, 5))
    ranked = [rng.permutation(n_items)[: rng.integers(0, min(k, n_items) + 1)].tolist() for _ in range(b)]
    relevant = [rng.integers(0, n_items, rng.integers(1, 5)).tolist() for _ in range(b)]
    counts = rng.integers(0, 4, n_items).astype(float)
    return ranked, relevant, counts, rng.integers(-1, 3, n_items), rng.normal(size=(n_items, 3)), k


def as_array(ranked, k):
    return np.array([row + [-1] * (k - len(row)) for row in ranked])


def share_below(item, counts):
    return sum((other < counts[item]) + 0.5 * (other == counts[item]) for other in counts) / len(counts)


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0


@settings(deadline=None)
@given(worlds())
def test_every_value_equals_its_loop(world):
    ranked, relevant, counts, group, vectors, k = world
    lists = as_array(ranked, k)
    indptr, relevant_ix = np.cumsum([0] + [len(row) for row in relevant]), np.concatenate(relevant)
    bits = [mean(-math.log2((counts[i] + 1) / (counts.sum() + len(counts))) for i in row) for row in ranked]
    np.testing.assert_allclose(novelty(lists, counts), bits, atol=1e-12)
    listed = [mean(share_below(i, counts) for i in row) for row in ranked]
    taken = [mean(share_below(i, counts) for i in row) for row in relevant]
    np.testing.assert_allclose(popularity(lists, counts), listed, atol=1e-12)
    np.testing.assert_allclose(
        popularity_bias(lists, indptr, relevant_ix, counts), np.subtract(listed, taken), atol=1e-12
    )
    apart = [mean(group[i] != group[j] or group[i] < 0 for i, j in itertools.combinations(row, 2)) for row in ranked]
    np.testing.assert_allclose(diversity(lists, group), apart, atol=1e-12)
    unit = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    angles = [mean(1 - unit[i] @ unit[j] for i, j in itertools.combinations(row, 2)) for row in ranked]
    np.testing.assert_allclose(spread(lists, vectors), angles, atol=1e-9)
    weight = popularity_weight(counts, 0.7)
    above, below = debiased_recall(hits(lists, indptr, relevant_ix), lists, indptr, relevant_ix, weight)
    sets = [set(row) for row in relevant]
    np.testing.assert_allclose(
        above, [sum(weight[i] for i in r & set(row)) for r, row in zip(sets, ranked, strict=True)]
    )
    np.testing.assert_allclose(below, [sum(weight[i] for i in r) for r in sets])


def test_without_weights_the_debiased_recall_of_one_relevant_item_each_is_the_recall():
    rng = np.random.default_rng(0)
    lists = rng.permuted(np.tile(np.arange(20), (50, 1)), axis=1)[:, :5]
    indptr, relevant = np.arange(51), rng.integers(0, 20, 50)
    found = hits(lists, indptr, relevant)
    above, below = debiased_recall(found, lists, indptr, relevant, popularity_weight(rng.random(20), 0.0))
    assert above.sum() / below.sum() == pytest.approx(recall(found).mean())


def test_debiased_recall_undoes_what_exposure_did():
    """Items are equally liked; the popular half is noticed nine times as often and the model only finds that half."""
    rng = np.random.default_rng(1)
    noticed = np.repeat([0.9, 0.1], 10)
    relevant = rng.choice(20, size=20_000, p=noticed / noticed.sum())
    lists = np.tile(np.arange(10), (len(relevant), 1))
    indptr = np.arange(len(relevant) + 1)
    found = hits(lists, indptr, relevant)
    above, below = debiased_recall(found, lists, indptr, relevant, 1 / noticed)
    assert recall(found).mean() == pytest.approx(0.9, abs=0.01)
    assert above.sum() / below.sum() == pytest.approx(0.5, abs=0.02)


def test_what_cannot_be_judged_is_named():
    lists, counts = np.array([[0, 3]]), np.array([1.0, 2.0])
    with pytest.raises(EvaluationError, match="name item 3; there are counts for 2"):
        novelty(lists, counts)
    with pytest.raises(EvaluationError, match="1 of 2 counts are negative"):
        popularity(lists, np.array([1.0, -2.0]))
    with pytest.raises(EvaluationError, match="1 of 2 vectors have length 0"):
        spread(lists, np.array([[1.0], [0.0]]))
    found = hits(np.array([[0]]), np.array([0, 1]), np.array([0]))
    with pytest.raises(
        EvaluationError, match=r"1 of 2 weights are not above 0 and finite, the first is 0\.0 at item 1"
    ):
        debiased_recall(found, np.array([[0]]), np.array([0, 1]), np.array([0]), np.array([1.0, 0.0]))
