from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.errors import ConfigError, EvaluationError, SchemaError
from beautyrec.models.item_order import ItemOrder, smoothed_ctr
from beautyrec.testing.models import small_log


def shown(counts):
    """One row an impression from (item, impressions, clicks)."""
    rows = [(item, place < clicks) for item, n, clicks in counts for place in range(n)]
    return pd.DataFrame(rows, columns=["item_id", "clicked"])


def test_items_come_in_the_order_of_their_scores_then_by_popularity():
    scores = pd.DataFrame({"item_id": ["i007", "nothing", "i030"], "score": [-2e6, 5.0, 1e6]})
    model = ItemOrder.of(scores).fit(small_log())
    top, values = model.top_k(np.array([-1]), 40)
    assert top[0, :2].tolist() == [30, 7]
    assert values[0, :2].tolist() == [1e6, -2e6]
    rest = model.popularity[top[0, 2:]]
    assert (np.diff(rest) <= 0).all()
    assert (values[0, 2:] < -2e6).all()
    assert np.unique(values[0, 2:]).size == np.unique(rest).size  # nothing lost in 32 bits


def test_a_frame_keeps_integer_and_string_ids():
    assert ItemOrder.of(pd.DataFrame({"item_id": [3, 4], "score": [1, 2]})) == ItemOrder((3, 4), (1.0, 2.0))
    assert ItemOrder.of(pd.DataFrame({"item_id": ["b", "a"], "score": [1.0, 2.0]})).item_ids == ("b", "a")


@pytest.mark.parametrize(
    ("ids", "scores", "message"),
    [
        ((), (), "0 items and 0 scores"),
        ((1, 2), (1.0,), "2 items and 1 scores"),
        ((1, 2, 1), (1.0, 2.0, 3.0), "of 3 items 1 come again and 0 have"),
        ((1, 2), (1.0, np.nan), "0 come again and 1 have"),
    ],
)
def test_an_order_that_is_none_is_refused(ids, scores, message):
    with pytest.raises(ConfigError, match=message):
        ItemOrder(ids, scores)


@pytest.mark.parametrize(
    ("make", "columns"), [(ItemOrder.of, ["score"]), (ItemOrder.of, ["item_id"]), (smoothed_ctr, ["item_id"])]
)
def test_missing_columns_are_named(make, columns):
    with pytest.raises(SchemaError, match=r"columns .* are missing"):
        make(pd.DataFrame({column: [1] for column in columns}))


def test_no_impressions_are_an_error():
    with pytest.raises(EvaluationError, match="no impressions"):
        smoothed_ctr(shown([]))


def test_the_smoothed_rate_is_its_formula():
    counts = [("a", 50, 20), ("b", 40, 2), ("c", 10, 1)]
    n, clicks = np.array([50, 40, 10]), np.array([20, 2, 1])
    mean = 23 / 100
    variance = ((n * (clicks / n - mean) ** 2).sum() - 2 * mean * (1 - mean)) / (100 - (n**2).sum() / 100 - 2)
    strength = mean * (1 - mean) / variance - 1
    found = smoothed_ctr(shown(counts))
    np.testing.assert_allclose(found["score"], (clicks + strength * mean) / (n + strength))
    assert found[["item_id", "impressions", "clicks"]].to_numpy().tolist() == [list(row) for row in counts]


def test_the_prior_of_many_items_is_found_again():
    """Rates drawn from Beta(2, 18): with impressions without end the score of n and c is (c + 2) / (n + 20)."""
    rng = np.random.default_rng(0)
    n = rng.integers(5, 60, 4_000)
    clicks = rng.binomial(n, rng.beta(2, 18, len(n)))
    found = smoothed_ctr(shown(zip(range(len(n)), n, clicks, strict=True)))
    np.testing.assert_allclose(found["score"], (clicks + 2) / (n + 20), atol=0.01)


@pytest.mark.parametrize(
    "counts",
    [
        [("a", 10, 2), ("b", 20, 4)],  # alike
        [("a", 1, 1), ("b", 1, 0), ("c", 1, 0)],  # shown once each: nothing tells chance from difference
        [("a", 5, 0), ("b", 7, 0)],
        [("a", 5, 5)],
    ],
)
def test_items_that_do_not_differ_for_sure_get_the_mean(counts):
    frame = shown(counts)
    np.testing.assert_allclose(smoothed_ctr(frame)["score"], frame["clicked"].mean())


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30)), min_size=1, max_size=12))
def test_a_smoothed_rate_lies_between_the_rate_and_the_mean(pairs):
    frame = shown([(item, n, min(n, c)) for item, (n, c) in enumerate(pairs)])
    found = smoothed_ctr(frame)
    rate, mean = found["clicks"] / found["impressions"], frame["clicked"].mean()
    low, high = np.minimum(rate, mean), np.maximum(rate, mean)
    assert ((found["score"] >= low - 1e-12) & (found["score"] <= high + 1e-12)).all()
