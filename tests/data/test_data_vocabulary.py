from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beautyrec.data.vocabulary import Vocabulary
from beautyrec.errors import UnknownIdError

ids = st.lists(st.integers(-5, 10**12), min_size=1) | st.lists(st.text(min_size=1, max_size=4), min_size=1)


@settings(max_examples=40, deadline=None)
@given(ids)
def test_ids_there_and_back(some):
    vocabulary = Vocabulary.from_ids(some)
    assert vocabulary.ids.tolist() == sorted(set(some))
    assert vocabulary.ids_at(vocabulary.indices(some)).tolist() == some


@settings(max_examples=40, deadline=None)
@given(ids, ids)
def test_unknown_is_minus_one(known, asked):
    vocabulary = Vocabulary.from_ids(known)
    place = {value: at for at, value in enumerate(sorted(set(known)))}
    assert vocabulary.indices_or_missing(asked).tolist() == [place.get(value, -1) for value in asked]


def test_unknown_ids_are_counted_and_named():
    with pytest.raises(UnknownIdError, match=r"3 of 4 ids .* 2 string ids, for instance \['x', 'y'\]"):
        Vocabulary.from_ids(["b", "a"]).indices(["x", "a", "y", "x"])


def test_kinds_and_shapes():
    assert Vocabulary.from_ids(np.array([3, 1], np.int32)).kind == "integer"
    assert Vocabulary.from_ids(pd.Series(["x"])).kind == "string"
    assert Vocabulary.from_ids([5, 6]).ids_at([[0, 1], [1, 1]]).tolist() == [[5, 6], [6, 6]]
