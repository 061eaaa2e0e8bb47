"""Names for the arrays that travel between the rooms.

Shapes are written in docstrings with these letters: ``n`` rows, ``B`` requests, ``C`` candidates on a shelf,
``K`` positions shown, ``U`` users, ``I`` items, ``d`` dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
"""Values, probabilities, weights: 64-bit floats."""

Float32Array = npt.NDArray[np.float32]
"""Model parameters and scores: 32-bit floats."""

IntArray = npt.NDArray[np.int64]
"""Indices and counts: 64-bit integers; an index of -1 says *unknown*."""

BoolArray = npt.NDArray[np.bool_]
"""Masks."""

Progress = Callable[[int, int], None]
"""Called as ``progress(done, total)`` by long work; the caller draws the bar."""


@runtime_checkable
class EpochProgress(Protocol):
    """A `Progress` that wants to know how good a network is as well. What it raises ends the training."""

    def __call__(self, done: int, total: int) -> None:
        """As a `Progress`."""

    def validated(self, epoch: int, epochs: int, value: float) -> None:
        """After each epoch that was validated.

        Args:
            epoch: from 1.
            epochs: at most.
            value: the validation metric; larger is better.
        """
