from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.errors import ArtifactError
from beautyrec.models.item_features import MOST_VALUES, ItemFeatures
from beautyrec.models.state import ModelState

TABLE = pd.DataFrame(
    {
        "brand": ["x", "y", None, "x", "z"],
        "price": [1.0, 2.0, np.nan, 30.0, 4.0],
        "title": ["Rose balm, rose", "BALM", None, "", "Tea"],
    }
)
TAKEN = np.array([True, True, True, True, False])


def shared(features, table):
    """[rows, rows] how many known values two items share."""
    found = features.values(table)
    has = np.zeros((len(table), max(1, len(features))), dtype=int)
    has[found.row, found.value] = 1
    return has @ has.T


def test_items_share_what_their_columns_share():
    features = ItemFeatures.of(TABLE, TAKEN, columns=("brand",), words=("title",))
    assert len(features) == 4  # x, y, rose, balm; z and tea are of an item that nobody took
    expected = [[3, 1, 0, 1, 0], [1, 2, 0, 0, 0], [0, 0, 0, 0, 0], [1, 0, 0, 1, 0], [0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(shared(features, TABLE), expected)


def test_shares_are_one_over_the_root_of_the_values_of_a_column():
    features = ItemFeatures.of(TABLE, TAKEN, columns=("brand",), words=("title",))
    found = features.values(TABLE)
    np.testing.assert_allclose(np.sort(found.share[found.row == 0]), [0.5**0.5, 0.5**0.5, 1])
    vectors = np.eye(len(features), dtype=np.float32)
    np.testing.assert_allclose((found.summed(vectors, len(TABLE)) ** 2).sum(axis=1), [2, 2, 0, 1, 0], rtol=1e-6)


def test_values_of_too_few_items_are_left_out():
    features = ItemFeatures.of(TABLE, TAKEN, columns=("brand",), words=("title",), least_items=2)
    assert features.items.tolist() == [2, 2]  # x, and balm


def test_numbers_are_cut_at_the_quantiles_of_what_was_taken():
    price = np.arange(100.0)
    features = ItemFeatures.of(pd.DataFrame({"price": price}), price < 80, columns=("price",), buckets=4)
    np.testing.assert_allclose(features.edges["price"], np.quantile(price[:80], [0.25, 0.5, 0.75]))
    found = features.values(pd.DataFrame({"price": [5.0, 18.0, 25.0, 1e9, np.nan]}))
    assert found.row.tolist() == [0, 1, 2, 3]
    assert found.value[0] == found.value[1] != found.value[2]


def test_a_whole_number_is_the_same_value_in_a_column_with_gaps():
    features = ItemFeatures.of(pd.DataFrame({"shade": [1, 2, 1]}), np.ones(3, bool), columns=("shade",))
    found = features.values(pd.DataFrame({"shade": [2.0, np.nan, 1.0]}))
    assert found.row.tolist() == [0, 2]


def test_an_item_of_many_words_has_the_first():
    text = pd.DataFrame({"title": [" ".join(f"w{n}" for n in range(100)), "w99"]})
    features = ItemFeatures.of(text, np.ones(2, bool), words=("title",))
    assert np.bincount(features.values(text).row).tolist() == [MOST_VALUES, 1]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(["a", "b", "c d", "ü", "", None]), min_size=1, max_size=12), st.randoms())
def test_what_is_known_of_an_item_does_not_depend_on_the_others(texts, random):
    table = pd.DataFrame({"title": pd.Series(texts, dtype=object)})
    features = ItemFeatures.of(table, np.ones(len(table), bool), words=("title",))
    whole = features.values(table)
    row = random.randrange(len(table))
    alone = features.values(table.iloc[[row]])
    assert sorted(alone.value) == sorted(whole.value[whole.row == row])


def test_they_are_rebuilt_from_a_state():
    features = ItemFeatures.of(TABLE, TAKEN, columns=("brand", "price"), words=("title",), buckets=2)
    again = ItemFeatures.from_state(ModelState("two_tower", features.arrays(), features.meta()))
    np.testing.assert_array_equal(shared(again, TABLE), shared(features, TABLE))
    with pytest.raises(ArtifactError, match="'columns' and 'words'"):
        ItemFeatures.from_state(ModelState("two_tower", features.arrays(), {}))


def test_without_a_table_nothing_is_known():
    features = ItemFeatures.of(None, np.ones(3, bool), columns=("brand",))
    assert len(features) == 0
    assert len(features.values(TABLE).row) == len(features.values(None).row) == 0
