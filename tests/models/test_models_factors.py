from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import FitError
from beautyrec.models import factors
from beautyrec.models.factors import FactorRecommender
from beautyrec.models.known import History, Known


def model(seed: int, users: int, items: int, *, bias: bool) -> FactorRecommender:
    """Whole numbers as factors: sums are exact, many scores are equal; some users have no history."""
    rng = np.random.default_rng(seed)
    indptr = np.concatenate([[0], np.cumsum(rng.integers(0, 5, users))]).astype(np.int64)
    ids = (Vocabulary(pd.Index(np.arange(n))) for n in (users, items))
    known = Known(*ids, History(indptr, rng.integers(0, items, indptr[-1])), rng.random(items, dtype=np.float32))
    parts = (rng.integers(-2, 3, (n, 3)).astype(np.float32) for n in (users, items))
    return FactorRecommender(known, *parts, rng.integers(0, 2, items).astype(np.float32) if bias else None)


@given(
    seed=st.integers(0, 99), span=st.integers(2, 60), k=st.integers(1, 40), bias=st.booleans(), exclude=st.booleans()
)
def test_the_best_of_parts_of_a_catalogue_are_the_best_of_all(seed, span, k, bias, exclude):
    recommender = model(seed, 20, 50, bias=bias)
    user_ix = np.append(np.random.default_rng(seed).integers(0, 20, 15), -1)
    whole = recommender.top_k(user_ix, k, exclude_seen=exclude)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(factors, "SPAN", span)
        parts = recommender.top_k(user_ix, k, exclude_seen=exclude)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)


def test_parts_are_taken_where_there_are_many_items_and_users(monkeypatch):
    recommender, asked = model(0, 20, 50, bias=False), []
    monkeypatch.setattr(factors, "SPAN", 10)
    true = FactorRecommender._best_of_spans
    monkeypatch.setattr(
        FactorRecommender,
        "_best_of_spans",
        lambda self, users, *rest: asked.append(len(users)) or true(self, users, *rest),
    )
    recommender.top_k(np.arange(20), 3)
    recommender.top_k(np.arange(factors.SEVERAL - 1), 3)
    recommender.top_k(np.arange(20), 3, candidates=np.arange(40))
    assert asked == [20]


def test_what_is_not_a_number_is_an_error_in_parts_too(monkeypatch):
    monkeypatch.setattr(factors, "SPAN", 10)
    recommender = model(1, 20, 50, bias=False)
    recommender.item_factors[33, 0] = np.nan
    with pytest.raises(FitError, match="hold NaN"):
        recommender.top_k(np.arange(20), 3)
