from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beautyrec.data.interactions import Interactions
from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import SchemaError, UnknownIdError

FRAME = pd.DataFrame(
    {
        "user_id": ["u2", "u1", "u2", "u1", "u1"],
        "item_id": [30, 10, 20, 20, 10],
        "ts": pd.to_datetime(["2026-01-02", "2026-01-03", "2026-01-02", "2026-01-01", "2026-01-03"], utc=True),
        "weight": [1.0, 0.5, 0.25, 2.0, 4.0],
    }
)


def test_sorted_by_user_and_time_with_ties_in_their_order():
    before = FRAME.copy(deep=True)
    found = Interactions.from_frame(FRAME)
    assert found.users.ids_at(found.user_ix).tolist() == ["u1", "u1", "u1", "u2", "u2"]
    assert found.items.ids_at(found.item_ix).tolist() == [20, 10, 10, 30, 20]
    assert found.weight.tolist() == [2.0, 0.5, 4.0, 1.0, 0.25]
    assert found.indptr.tolist() == [0, 3, 5]
    assert found.ts[0] == pd.Timestamp("2026-01-01", tz="UTC").value // 1000
    pd.testing.assert_frame_equal(FRAME, before)


def test_matrix_sums_weights():
    matrix = Interactions.from_frame(FRAME).matrix()
    assert matrix.toarray().tolist() == [[4.5, 2.0, 0.0], [0.0, 0.25, 1.0]]
    assert matrix.dtype == np.float32


def test_weight_is_one_where_there_is_none():
    assert Interactions.from_frame(FRAME.drop(columns="weight")).weight.tolist() == [1.0] * 5


def test_where_keeps_vocabularies_and_starts():
    found = Interactions.from_frame(FRAME)
    some = found.where(found.user_ix == 1)
    assert some.indptr.tolist() == [0, 0, 2]
    assert some.users is found.users


def test_given_vocabularies_and_item_table():
    items = Vocabulary.from_ids([10, 20, 30, 40])
    table = pd.DataFrame({"item_id": [40, 10], "brand": ["d", "a"]})
    found = Interactions.from_frame(FRAME, items=items, item_table=table)
    assert found.item_table is not None
    assert found.item_table["item_id"].tolist() == [10, 20, 30, 40]
    assert found.item_table["brand"].fillna("").tolist() == ["a", "", "", "d"]
    with pytest.raises(UnknownIdError, match=r"2 of 5 ids .* vocabulary of 2 integer ids, for instance \[20\]"):
        Interactions.from_frame(FRAME, items=Vocabulary.from_ids([10, 30]))


def test_missing_column():
    with pytest.raises(SchemaError, match="column 'ts' is missing"):
        Interactions.from_frame(FRAME.drop(columns="ts"))


def test_no_rows():
    found = Interactions.from_frame(FRAME.iloc[:0])
    assert len(found) == 0
    assert found.indptr.tolist() == [0]
