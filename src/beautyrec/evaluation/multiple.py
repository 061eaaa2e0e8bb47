"""Several tests at once: p-values that hold for all of them together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from beautyrec.errors import EvaluationError
from beautyrec.types import FloatArray


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """[m] p-values for all tests together: if those below 0.05 are called, one false call or more has a chance below 5 %.

    The smallest is multiplied by m, the next one by m - 1, and so on, and none falls below one before it. It needs nothing
    of how the tests depend on each other. Holm, *A Simple Sequentially Rejective Multiple Test Procedure* (Scandinavian
    Journal of Statistics 1979).

    Args:
        p_values: [m] in [0, 1].

    Raises:
        EvaluationError: a value is outside [0, 1] or NaN.

    Examples:
        >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    wrong = ~((p >= 0) & (p <= 1))
    if p.ndim != 1 or wrong.any():
        raise EvaluationError(f"holm: {int(wrong.sum())} of {p.size} p-values are not in [0, 1]; give an array [m].")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return adjusted
