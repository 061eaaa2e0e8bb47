"""Names for the arrays that travel between the rooms.

Shapes are written in docstrings with these letters: ``n`` rows, ``B`` requests, ``C`` candidates on a shelf,
``K`` positions shown, ``U`` users, ``I`` items, ``d`` dimensions.
"""

from __future__ import annotations

from collections.abc import Callable

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
