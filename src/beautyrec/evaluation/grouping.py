"""How coarse the groups of actions may be: chosen from the log, for `MIPS` and `OffCEM`.

Fine groups keep weights uneven, coarse ones mix actions that are not alike. Between an action of its own each (no bias, the
most variance) and one group for all (no weights, hence the logging policy's own value) lies a grouping that errs least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from beautyrec.errors import EvaluationError, MissingExtraError
from beautyrec.evaluation.bandit_log import BanditLog
from beautyrec.evaluation.evidence import Outcomes
from beautyrec.evaluation.moments import Moments, cluster_sums
from beautyrec.evaluation.off_policy.base import per_row
from beautyrec.evaluation.off_policy.choice import Rule, slope
from beautyrec.evaluation.off_policy.modelled import OffCEM
from beautyrec.evaluation.off_policy.weighted import MIPS
from beautyrec.types import FloatArray, IntArray


def choose_group(
    log: BanditLog,
    target: FloatArray,
    groups: Sequence[IntArray],
    *,
    expected: Outcomes | None = None,
    outcome: str = "clicked",
    rule: Rule = slope,
) -> BanditLog:
    """The log with that of several groupings which it speaks for.

    Every action a group of its own is a candidate too, and the unbiased one: `MIPS` is then `IPS`, and `OffCEM` is `DR`.
    SLOPE (Su, Srinath and Krishnamurthy 2020) takes the narrowest interval before the first that no longer fits all wider
    ones. What is chosen is a setting of the estimator; the interval around its value takes it as given.

    Args:
        log: with chances [n, A]; a ``group`` that it has is not read.
        target: [n, A] chances of the target policy.
        groups: each [A], group of each action; in any order, as the rule goes by width.
        expected: a model's expected outcomes as for `BanditLog.evidence`; the groups are then chosen for `OffCEM`, else
            for `MIPS`.
        outcome: what is to be valued.
        rule: `slope` or `least_error`.

    Raises:
        EvaluationError: no grouping, or one of another length, or chances of the shown action only.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> action = rng.integers(20, size=2000)
        >>> clicked = (rng.random(2000) < np.where(action < 10, 0.6, 0.2)).astype(float)  # the first ten are alike
        >>> log = BanditLog(action, Outcomes(clicked), np.full((2000, 20), 0.05))
        >>> target = np.tile(np.where(np.arange(20) < 2, 0.45, 0.1 / 18), (2000, 1))
        >>> halves, all_alike = np.arange(20) // 10, np.zeros(20, dtype=int)
        >>> np.unique(choose_group(log, target, [halves, all_alike]).group).tolist()
        [0, 1]
    """
    if not groups:
        raise EvaluationError(
            "there is no grouping to choose from. Pass at least one array [A], the group of each action."
        )
    estimator = MIPS() if expected is None else OffCEM()
    candidates = [np.arange(target.shape[1]), *groups]
    logs = [replace(log, group=np.asarray(group)) for group in candidates]
    evidences = [each.evidence(target, expected) for each in logs]
    rows = np.stack([per_row(estimator, evidence, outcome) for evidence in evidences], axis=1)
    return logs[rule(Moments.of(cluster_sums(rows, evidences[0].cluster)), 1)]


def nested_groups(features: FloatArray, counts: Sequence[int]) -> list[IntArray]:
    """Groupings of actions by their features, each a merging of the finer ones (Ward's hierarchical clustering).

    Args:
        features: [A, d] what tells actions apart: item factors, or text vectors.
        counts: how many groups each grouping has at most, 1 to A.

    Returns:
        One array [A] for each of ``counts``.

    Raises:
        EvaluationError: a count is out of its bounds, or features are not finite [A, d].
        MissingExtraError: SciPy is not installed.

    Examples:
        >>> [np.unique(group).size for group in nested_groups(np.array([[0.0], [0.1], [5.0], [5.1], [9.0]]), [3, 2])]
        [3, 2]
    """
    try:
        from scipy.cluster.hierarchy import fcluster, ward
    except ImportError:
        raise MissingExtraError("scipy", "train") from None
    if features.ndim != 2 or len(features) < 2 or not np.isfinite(features).all():
        raise EvaluationError(f"features must be finite numbers [A, d], A at least 2; got shape {features.shape}.")
    wrong = [count for count in counts if not 1 <= count <= len(features)]
    if wrong:
        raise EvaluationError(f"{wrong[0]} groups of {len(features)} actions; choose 1 to {len(features)}.")
    tree = ward(features)
    return [np.asarray(fcluster(tree, count, criterion="maxclust"), dtype=np.int64) - 1 for count in counts]
