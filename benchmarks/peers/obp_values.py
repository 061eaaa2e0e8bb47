"""Values of Open Bandit Pipeline's estimators on logs written by ``benchmarks.ope_accuracy``; runs in its environment.

``python obp_values.py FOLDER RUNS`` prints one JSON list, an object a run. The grid of its tuned estimators is that of its
published examples.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from obp.ope import (
    DirectMethod,
    DoublyRobust,
    DoublyRobustWithShrinkageTuning,
    InverseProbabilityWeighting,
    OffPolicyEvaluation,
    SelfNormalizedDoublyRobust,
    SelfNormalizedInverseProbabilityWeighting,
    SwitchDoublyRobustTuning,
)

GRID = [10, 50, 100, 500, 1000, 5000, 10000, np.inf]


def estimators() -> dict:
    """Fresh ones: the tuned keep what they chose on the first log they saw."""
    return {
        "dm": DirectMethod(),
        "ips": InverseProbabilityWeighting(),
        "snips": SelfNormalizedInverseProbabilityWeighting(),
        "dr": DoublyRobust(),
        "sndr": SelfNormalizedDoublyRobust(),
        "switch_dr": SwitchDoublyRobustTuning(lambdas=GRID),
        "shrunk_dr": DoublyRobustWithShrinkageTuning(lambdas=GRID),
    }


def values(log) -> dict[str, float]:
    action, logging = log["action"], log["logging"]
    n, actions = logging.shape
    feedback = {
        "n_rounds": n,
        "n_actions": actions,
        "context": np.zeros((n, 1)),
        "action": action,
        "reward": log["reward"],
        "position": None,
        "pscore": logging[np.arange(n), action],
    }
    named = estimators()
    ope = OffPolicyEvaluation(bandit_feedback=feedback, ope_estimators=list(named.values()))
    found = ope.estimate_policy_values(log["target"][:, :, None], log["expected"][:, :, None])
    return {name: float(found[each.estimator_name]) for name, each in named.items()}


if __name__ == "__main__":
    folder, runs = Path(sys.argv[1]), int(sys.argv[2])
    print(json.dumps([values(np.load(folder / f"{number}.npz")) for number in range(runs)]))
