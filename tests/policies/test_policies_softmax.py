"""The softmax policy: the contract, and what standardising means."""

from __future__ import annotations

import numpy as np
import pytest

from beautyrec.errors import PolicyError
from beautyrec.policies.softmax import Softmax
from beautyrec.testing.policies import PolicyContract


class TestSoftmax(PolicyContract):
    policy = Softmax(temperature=0.8)


class TestColdSoftmax(PolicyContract):
    policy = Softmax(temperature=0.3)


def test_chances_are_the_softmax_of_standardised_scores():
    scores = np.array([[1.0, 2.0, 4.0, -np.inf]])
    z = (scores[0, :3] - scores[0, :3].mean()) / scores[0, :3].std()
    expected = np.exp(z / 0.5) / np.exp(z / 0.5).sum()
    np.testing.assert_allclose(Softmax(0.5).probabilities(scores)[0, :3], expected, rtol=1e-12)


def test_scale_and_shift_of_the_scores_do_not_matter():
    scores = np.random.default_rng(0).normal(size=(4, 9))
    np.testing.assert_allclose(
        Softmax(0.4).probabilities(scores), Softmax(0.4).probabilities(1e-6 * scores + 3), rtol=1e-6
    )


def test_equal_scores_give_equal_chances_also_with_rounding():
    scores = np.array([[0.1 + 0.2, 0.3, 0.3]])
    np.testing.assert_allclose(Softmax(0.1).probabilities(scores), 1 / 3, rtol=1e-12)


def test_a_request_of_large_scores_does_not_flatten_another_of_small_ones():
    scores = np.array([[1e9, 2e9, 3e9], [1e-9, 2e-9, 3e-9]])
    chance = Softmax(0.5).probabilities(scores)
    np.testing.assert_allclose(chance[0], chance[1], rtol=1e-9)


@pytest.mark.parametrize("temperature", [0, -1, np.nan, np.inf])
def test_a_temperature_that_is_none_raises(temperature):
    with pytest.raises(PolicyError, match="temperature"):
        Softmax(temperature)
