from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.interactions import Interactions
from beautyrec.errors import ConfigError
from beautyrec.models.catalogue import learner
from beautyrec.models.item_knn import ItemKNN
from beautyrec.models.weighting import BM25, TfIdf

LOG = Interactions.from_frame(
    pd.DataFrame(
        {
            "user_id": [1, 1, 2],
            "item_id": ["a", "b", "a"],
            "ts": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"], utc=True),
            "weight": [2.0, 1.0, 1.0],
        }
    )
)


def test_bm25_of_one_entry_is_its_formula():
    k1, b = 1.5, 0.5
    weighted = BM25(k1, b)(LOG.matrix()).toarray()
    idf = np.log(1 + (2 - 2 + 0.5) / (2 + 0.5))  # user 1 has both of two items
    expected = idf * 2.0 * (k1 + 1) / (2.0 + k1 * (1 - b + b * 3.0 / 2.0))  # item a weighs 3, items weigh 2 on average
    np.testing.assert_allclose(weighted[0, 0], expected, rtol=1e-6)


def test_tf_idf_is_its_formula_and_counts_a_user_of_many_items_less():
    weighted = TfIdf()(LOG.matrix()).toarray()
    both, one = 1 + np.log(3 / 3), 1 + np.log(3 / 2)
    np.testing.assert_allclose(weighted, [[2 * both, both], [one, 0]], rtol=1e-6)


@pytest.mark.parametrize("weighting", [BM25(), TfIdf()])
def test_weights_are_32_bit_and_leave_the_matrix_as_it_was(weighting):
    matrix = LOG.matrix()
    before = matrix.toarray()
    assert weighting(matrix).dtype == np.float32
    np.testing.assert_array_equal(matrix.toarray(), before)


def test_a_table_of_settings_names_the_weights_by_their_kind():
    assert learner("item_knn", {"weighting": {"kind": "bm25", "k1": 2}}) == ItemKNN(weighting=BM25(k1=2.0))
    assert learner("item_knn", {"weighting": {"kind": "tf_idf"}}) == ItemKNN(weighting=TfIdf())


@pytest.mark.parametrize(
    "table", [{"kind": "bm52"}, {"kind": "bm25", "k2": 1.0}, {"kind": "tf_idf", "k1": 1.0}, {"kind": "bm25", "b": 2.0}]
)
def test_wrong_weights_are_refused(table):
    with pytest.raises(ConfigError, match="model 'item_knn'"):
        learner("item_knn", {"weighting": table})
