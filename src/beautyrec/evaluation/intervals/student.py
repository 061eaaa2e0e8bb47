"""Quantiles of Student's t with any degrees of freedom, without a statistics package."""

from __future__ import annotations

from math import atan, exp, lgamma, pi, sqrt, tan

import numpy as np


def student_quantile(probability: float, degrees: float) -> float:
    """Quantile of Student's t, for a ``probability`` of at least one half.

    With ``t = sqrt(degrees) tan(angle)`` the density becomes a power of the cosine; its integral (32 Gauss–Legendre nodes)
    is brought to ``probability`` by bisection over the angle.

    Args:
        probability: at least 0.5, below 1.
        degrees: degrees of freedom, above 0, not necessarily whole.

    Examples:
        >>> round(student_quantile(0.975, 10), 3)
        2.228
    """
    nodes, weights = np.polynomial.legendre.leggauss(32)
    constant = exp(lgamma((degrees + 1) / 2) - lgamma(degrees / 2)) / sqrt(pi)
    low, high = 0.0, min(pi / 2, atan(40 / sqrt(degrees))) if degrees > 30 else pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        angles = middle * (nodes + 1) / 2
        below = 0.5 + constant * middle / 2 * float(weights @ np.cos(angles) ** (degrees - 1))
        low, high = (middle, high) if below < probability else (low, middle)
    return sqrt(degrees) * tan((low + high) / 2)
