from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from beautyrec.campaign.month_frames import front_frame, importance_frame
from beautyrec.campaign.space import Family, Float

FAMILY = Family("any", {"strong": Float(0, 1), "idle": Float(0, 1)}, {"strong": 0.5, "idle": 0.5})


def frame(first: np.ndarray, second: np.ndarray, seconds: np.ndarray) -> pd.DataFrame:
    values = [{"a": float(one), "b": float(other)} for one, other in zip(first, second, strict=True)]
    head = {"number": range(len(first)), "family": "any", "state": "complete", "seconds": seconds}
    return pd.DataFrame(head).assign(values=values, value=first, barred=[()] * len(first))


@pytest.mark.parametrize("names", [["a"], ["a", "b"]])
def test_the_front_is_what_no_other_trial_beats(names: list[str]) -> None:
    rng = np.random.default_rng(0)
    first, second, seconds = (rng.integers(0, 12, 60) / 10 for _ in range(3))
    found = front_frame(frame(first, second, seconds), names)
    good = second if len(names) > 1 else -seconds
    beaten = [
        any(a >= first[i] and b >= good[i] and (a > first[i] or b > good[i]) for a, b in zip(first, good, strict=True))
        for i in range(60)
    ]
    pairs = {(first[i], good[i]) for i in range(60) if not beaten[i]}
    on = found[found["front"]]
    assert {(first[i], good[i]) for i in on["number"]} == pairs
    assert len(on) == len(pairs), "of equals one stands for all"


def test_barred_and_unfinished_trials_are_not_on_the_front() -> None:
    trials = frame(np.array([1.0, 2.0, 3.0]), np.zeros(3), np.ones(3))
    trials["barred"] = [(), (), ("it is slow",)]
    trials.loc[1, "state"] = "pruned"
    assert front_frame(trials, ["a"])["number"].tolist() == [0]


def test_a_parameter_that_does_all_has_all_the_importance() -> None:
    rng = np.random.default_rng(1)
    strong, idle = rng.random(60), rng.random(60)
    trials = frame(strong**2, idle, idle)
    trials["params"] = [{"strong": float(s), "idle": float(i)} for s, i in zip(strong, idle, strict=True)]
    found = importance_frame(trials, {"any": FAMILY}, 0).set_index("parameter")["importance"]
    assert found["strong"] > 0.95
    assert found.sum() == pytest.approx(1)
    assert importance_frame(trials[:9], {"any": FAMILY}, 0).empty
    assert importance_frame(trials.assign(value=1.0), {"any": FAMILY}, 0).empty
