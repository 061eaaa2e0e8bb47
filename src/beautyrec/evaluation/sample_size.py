"""How large an A/B test must be, and what it can find; by tea-tasting (the extra ``experiments``).

By the normal distribution: a test that is worth planning has users enough for it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.measure import Measure, check_columns, check_shares, load_tea_tasting


def users_needed(
    before: pd.DataFrame, measure: Measure, lift: float, *, power: float = 0.8, alpha: float = 0.05, share: float = 0.5
) -> int:
    """How many users a test needs, both variants together, to find a lift.

    Args:
        before: one row a user as they are without the test, with the columns of the measure.
        measure: what is to be found.
        lift: how large, relative; 0.05 is 5 %.
        power: chance to find it, between 0 and 1.
        alpha: chance to find a lift where there is none, either way.
        share: of the users that get the treatment.

    Raises:
        MissingExtraError: tea-tasting is not installed.
        EvaluationError: a column is missing or not finite, a share is out of range, or the lift is 0.
    """
    check_columns(before, measure.columns)
    check_shares(power=power, alpha=alpha, share=share)
    if lift == 0 or not np.isfinite(lift):
        raise EvaluationError(f"lift is {lift}; no test is large enough to find it.")
    settings = {"power": power, "alpha": alpha, "ratio": share / (1 - share), "rel_effect_size": lift, "use_t": False}
    metric = measure.tea(load_tea_tasting(), **settings)
    return int(np.ceil(metric.solve_power(before[list(measure.columns)], "n_obs")[0].n_obs))


def smallest_lift(
    before: pd.DataFrame, measure: Measure, users: int, *, power: float = 0.8, alpha: float = 0.05, share: float = 0.5
) -> float:
    """The smallest relative lift that a test of so many ``users``, both variants together, finds with this power.

    Args:
        before: as for `users_needed`, and so all others.
        measure: likewise.
        users: in both variants together, at least 4.
        power: likewise.
        alpha: likewise.
        share: likewise.

    Raises:
        MissingExtraError: tea-tasting is not installed.
        EvaluationError: as `users_needed`, or fewer than 4 users.
    """
    check_columns(before, measure.columns)
    check_shares(power=power, alpha=alpha, share=share)
    if users < 4:
        raise EvaluationError(f"a test of {users} users finds nothing; plan at least 4.")
    metric = measure.tea(
        load_tea_tasting(), power=power, alpha=alpha, ratio=share / (1 - share), n_obs=users, use_t=False
    )
    return float(metric.solve_power(before[list(measure.columns)], "rel_effect_size")[0].rel_effect_size)
