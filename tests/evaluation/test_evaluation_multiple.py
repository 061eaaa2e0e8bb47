from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.multiple import holm


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
def test_it_is_the_closed_test_of_bonferroni(p):
    """A hypothesis falls when Bonferroni rejects every set that it is in; Holm is the short cut to that."""
    everyone = range(len(p))
    sets = [set(part) for size in range(1, len(p) + 1) for part in combinations(everyone, size)]
    expected = [max(min(1.0, len(s) * min(p[j] for j in s)) for s in sets if i in s) for i in everyone]
    np.testing.assert_allclose(holm(p), expected)


def test_nothing_is_nothing():
    assert holm([]).tolist() == []


@pytest.mark.parametrize("p", [[0.5, np.nan], [1.2], [[0.1]]])
def test_what_is_no_p_value_is_an_error(p):
    with pytest.raises(EvaluationError, match="holm"):
        holm(p)
