"""Values and intervals of Open Bandit Pipeline's estimators on one log, timed; runs in its environment.

``python obp_speed.py ARRAYS.npz REPLICATES`` reads a line from its input for each run that is wanted and answers with one JSON
object: seconds of values and of intervals, and both. It ends with its input.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version

import numpy as np
from obp.ope import (
    DirectMethod,
    DoublyRobust,
    InverseProbabilityWeighting,
    OffPolicyEvaluation,
    SelfNormalizedInverseProbabilityWeighting,
)

NAMES = {"ipw": "ips", "snipw": "snips", "dm": "dm", "dr": "dr"}


def main() -> None:
    arrays = dict(np.load(sys.argv[1]))
    replicates = int(sys.argv[2])
    n, actions = arrays["target"].shape
    feedback = {
        "n_rounds": n,
        "n_actions": actions,
        "context": np.zeros((n, 1)),
        "action": arrays["action"],
        "reward": arrays["reward"],
        "position": None,
        "pscore": arrays["propensity"],
    }
    target, expected = arrays["target"][:, :, None], arrays["expected"][:, :, None]
    print(json.dumps({"obp": version("obp"), "numpy": version("numpy")}), flush=True)
    for seed, _ in enumerate(sys.stdin):
        start = time.perf_counter()
        estimators = [
            InverseProbabilityWeighting(),
            SelfNormalizedInverseProbabilityWeighting(),
            DirectMethod(),
            DoublyRobust(),
        ]
        ope = OffPolicyEvaluation(bandit_feedback=feedback, ope_estimators=estimators)
        values = ope.estimate_policy_values(target, expected)
        valued = time.perf_counter()
        ends = ope.estimate_intervals(target, expected, n_bootstrap_samples=replicates, random_state=seed)
        done = time.perf_counter()
        found = {
            "values_seconds": valued - start,
            "intervals_seconds": done - valued,
            "values": {NAMES[name]: float(value) for name, value in values.items()},
            "widths": {
                NAMES[name]: float(each["95.0% CI (upper)"] - each["95.0% CI (lower)"]) for name, each in ends.items()
            },
        }
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
