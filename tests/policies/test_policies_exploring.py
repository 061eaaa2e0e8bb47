from __future__ import annotations

import numpy as np
import pytest

from beautyrec.errors import PolicyError
from beautyrec.policies.exploring import Exploring
from beautyrec.policies.softmax import Softmax
from beautyrec.testing.policies import PolicyContract

SCORES = np.array([[1.0, 0.5, -np.inf, 2.0], [0.0, 3.0, 1.0, 2.0]])


class TestExploring(PolicyContract):
    policy = Exploring(Softmax(temperature=0.3), 0.1)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_chances_are_a_mixture(share: float) -> None:
    even = np.array([[1 / 3, 1 / 3, 0, 1 / 3], [0.25] * 4])
    expected = (1 - share) * Softmax(0.5).probabilities(SCORES) + share * even
    np.testing.assert_allclose(Exploring(Softmax(0.5), share).probabilities(SCORES), expected)


def test_a_share_outside_of_its_bounds_is_refused() -> None:
    with pytest.raises(PolicyError, match=r"share is 1\.5"):
        Exploring(Softmax(), 1.5)
