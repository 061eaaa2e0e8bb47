"""Orders that come late: what a click that has no order *yet* is worth as an example.

Labels are read at one moment. A click of yesterday without an order may still bring one, so the latest rows look worse than
they are, and a model that takes them at their word says too little. What is needed is the *maturity* of each row: the
chance that an order that will come at all has come by then. :class:`DelayCurve` reads it off the waits that were seen;
:func:`matured_rows` adds it to rows as a column, and every funnel model takes that column into account:

- networks through the likelihood, as in Chapelle (2014), "Modeling delayed feedback in display advertising", KDD, with the
  observed delays in place of his exponential: an order is seen with chance ``ctr * cvr * maturity``;
- trees and calibrations, which know rows and weights only, through the step that finds the same maximum (Dempster, Laird and
  Rubin 1977): a click without an order counts as one with ``q = p (1 - m) / (1 - p m)`` and as one without with ``1 - q``.

It is assumed that how late an order comes does not hang on the features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from beautyrec.data.schema import CLICKED, ORDERED, TS
from beautyrec.data.times import Length, Moment, length, utc
from beautyrec.errors import FitError, SchemaError
from beautyrec.models.calibrated import Calibration
from beautyrec.models.calibration import Method
from beautyrec.types import BoolArray, FloatArray, IntArray

MATURITY: Final = "maturity"
"""Column of rows: the chance that an order that will come has come by the time the labels were read."""

ORDER_KNOWN_AT: Final = "order_known_at"
"""Column of rows: when the first order of the impression became known; no value where none has."""

_LEAST: Final = 1e-6
_ROUNDS: Final = 12


@dataclass(frozen=True, eq=False)
class DelayCurve:
    """What share of the orders that come within a window has come after a wait.

    Args:
        wait: [k] seconds, rising.
        arrived: [k] share that has come after each, rising to 1 at the window.
        window: seconds within which an order counts.

    Examples:
        Of two clicks that were waited for to the end, one brought an order after 60 s.

        >>> curve = DelayCurve.fit(np.array([60.0, np.nan, np.nan]), np.array([900.0, 900.0, 30.0]), 600.0)
        >>> curve.maturity(np.array([30.0, 60.0, 1e9])).tolist()
        [0.0, 1.0, 1.0]
    """

    wait: FloatArray
    arrived: FloatArray
    window: float

    @classmethod
    def fit(cls, delay: FloatArray, age: FloatArray, window: float) -> DelayCurve:
        """The curve of Kaplan and Meier (1958): a click that has not been waited for long enough is left open, not lost.

        With ``S`` their estimate that no order has come after a wait, ``arrived = (1 - S(wait)) / (1 - S(window))``.

        Args:
            delay: [n] seconds from each click to its order, NaN where none has come.
            age: [n] seconds from each click to the moment the labels were read.
            window: seconds within which an order counts.

        Raises:
            FitError: no click is as old as the window, no order has come within it, or a time is below 0.
        """
        came = delay <= np.minimum(age, window)
        time = np.where(came, delay, np.minimum(age, window))
        oldest = float(age.max(initial=0.0))
        if oldest < window or not came.any() or (time < 0).any():
            raise FitError(
                f"delays: {len(age)} clicks, the oldest {oldest:g} s old, {int(came.sum())} orders within the window of "
                f"{window:g} s, {int((time < 0).sum())} times below 0. Wait longer, or take a shorter window."
            )
        wait, orders = np.unique(time[came], return_counts=True)
        at_risk = len(time) - np.searchsorted(np.sort(time), wait, side="left")
        none_yet = np.cumprod(1 - orders / at_risk)
        return cls(wait, (1 - none_yet) / (1 - none_yet[-1]), float(window))

    def maturity(self, age: FloatArray) -> FloatArray:
        """[n] the share that has come after each age in seconds; 1 from the window on."""
        place = np.searchsorted(self.wait, age, side="right")
        share = np.concatenate([[0.0], self.arrived])[place]
        return np.where(age >= self.window, 1.0, share)


def matured_rows(rows: pd.DataFrame, as_of: Moment, window: Length) -> pd.DataFrame:
    """Rows with the labels that were known at a moment, and what is to be thought of them.

    Args:
        rows: impressions with ``ts``, ``clicked`` and ``order_known_at``
            (:func:`beautyrec.data.attribution.order_known_at`); later knowledge in it is not used.
        as_of: when labels are read; impressions from then on are left out.
        window: how long after its impression an order counts.

    Returns:
        The rows before ``as_of`` with ``ordered`` as known then, and ``maturity``.

    Raises:
        SchemaError: a column is missing.
        FitError: nothing is as old as the window, or no order has come.
    """
    absent = [name for name in (TS, CLICKED, ORDER_KNOWN_AT) if name not in rows]
    if absent:
        raise SchemaError(f"matured_rows: columns {absent} are missing; the frame has {list(rows)}. Add them.")
    moment, seconds = utc(as_of), length(window).total_seconds()
    kept = rows[rows[TS] < moment]
    age = (moment - kept[TS]).dt.total_seconds().to_numpy()
    delay = (kept[ORDER_KNOWN_AT] - kept[TS]).dt.total_seconds().to_numpy()
    clicked = kept[CLICKED].to_numpy(dtype=bool)
    curve = DelayCurve.fit(delay[clicked], age[clicked], seconds)
    ordered = clicked & (delay < np.minimum(age, np.nextafter(seconds, np.inf)))
    return kept.assign(**{ORDERED: ordered, MATURITY: curve.maturity(age)})


class Completed(NamedTuple):
    """Examples in place of rows that still wait.

    Args:
        row: [k] the row each stands for.
        label: [k] with an order or without.
        weight: [k] how much it counts; those of one row sum to 1.
    """

    row: IntArray
    label: BoolArray
    weight: FloatArray


def completed(ordered: BoolArray, maturity: FloatArray, chance: FloatArray) -> Completed:
    """Each row that may still bring an order as two: with one and without, by how likely each is.

    Rows that nothing is known of (maturity 0) are left out.

    Args:
        ordered: [n] whether an order has come.
        maturity: [n] chance that it would have come by now.
        chance: [n] of an order at all.

    Examples:
        >>> row, label, weight = completed(np.array([True, False]), np.array([0.5, 0.5]), np.array([0.5, 0.5]))
        >>> row.tolist(), label.tolist(), weight.round(3).tolist()
        ([0, 1, 1], [True, False, True], [1.0, 0.667, 0.333])
    """
    rows = np.flatnonzero(ordered | (maturity > _LEAST))
    seen, m, p = ordered[rows], maturity[rows], chance[rows]
    later = np.where(seen, 0.0, p * (1 - m) / np.maximum(1 - p * m, _LEAST))
    open_ = later > 0
    return Completed(
        np.concatenate([rows, rows[open_]]),
        np.concatenate([seen, np.ones(int(open_.sum()), dtype=bool)]),
        np.concatenate([1 - later, later[open_]]),
    )


def first_chance(ordered: BoolArray, maturity: FloatArray) -> FloatArray:
    """[n] the chance of an order where all rows have the same: ``sum ordered / sum maturity``."""
    total = float(maturity.sum())
    return np.full(len(ordered), min(1.0, float(ordered.sum()) / total) if total > 0 else 0.0)


def calibrate_matured(
    method: Method,
    log_odds: FloatArray,
    ordered: BoolArray,
    maturity: FloatArray,
    group: FloatArray | None = None,
) -> Calibration:
    """A calibration of the chance that an order comes at all, from rows of which some still wait.

    Args:
        method: how to calibrate.
        log_odds: [n] of the model.
        ordered: [n] whether an order has come.
        maturity: [n] chance that it would have come by now.
        group: [n] for a method that needs one.
    """
    if (maturity >= 1).all():
        return method.fit(log_odds, ordered, None, group)
    chance = first_chance(ordered, maturity)
    for _ in range(_ROUNDS):
        row, label, weight = completed(ordered, maturity, chance)
        of: npt.NDArray[np.float64] | None = None if group is None else group[row]
        line = method.fit(log_odds[row], label, weight, of)
        chance = line.probability(log_odds, group)
    return line
