"""Evidence: what it accepts, what it says of the rest, and merging requests of one viewer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import Outcomes, SlateEvidence, impressions
from beautyrec.evaluation.lift import lift_table

GOOD = {
    "target": np.full((4, 2), 0.25),
    "logging": np.full((4, 2), 0.5),
    "outcomes": Outcomes(np.array([[1.0, 0], [0, 0], [0, 1], [0, 0]])),
    "cluster": np.arange(4),
}


def spoilt(name, value, row=2, column=1):
    array = GOOD[name].copy()
    array[row, column] = value
    return {**GOOD, name: array}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (spoilt("logging", 0.0), r"logging: 1 of 8 chances are outside \(0, 1\].*row 2, position 2"),
        (spoilt("logging", -0.5), "logging: 1 of 8"),
        (spoilt("logging", 1.5), "logging: 1 of 8"),
        (spoilt("logging", np.nan), "logging: 1 of 8"),
        (spoilt("target", 1.2), r"target: 1 of 8 chances are outside \[0, 1\]"),
        (spoilt("target", np.nan), "target: 1 of 8"),
        ({**GOOD, "target": np.ones((4, 3))}, "differ in shape"),
        ({**GOOD, "cluster": np.arange(3)}, r"cluster has shape \(3,\)"),
        ({**GOOD, "outcomes": Outcomes(np.ones((3, 2)))}, r"clicked has shape \(3, 2\)"),
        ({**GOOD, "outcomes": Outcomes(np.full((4, 2), 2.0))}, r"clicked: 8 of 8 values .* outside \[0, 1\]"),
        ({**GOOD, "outcomes": Outcomes(np.ones((4, 2)), np.ones((4, 2)), np.full((4, 2), -1.0))}, "revenue: 8 of 8"),
        (
            {**GOOD, "expected": (Outcomes(np.full((4, 2), np.nan)), Outcomes(np.ones((4, 2))))},
            "expected_logged.clicked",
        ),
    ],
)
def test_bad_input_is_named_counted_and_placed(arguments, says):
    with pytest.raises(EvaluationError, match=says):
        SlateEvidence.of(**arguments)


def test_chances_at_padding_are_not_read():
    shown = np.ones((4, 2), dtype=bool)
    shown[1, 1] = False
    arguments = {**GOOD, "logging": GOOD["logging"].copy(), "shown": shown}
    arguments["logging"][1, 1] = 0.0
    assert SlateEvidence.of(**arguments).weight[1, 1] == 0


def test_no_rows_and_half_a_model_raise():
    with pytest.raises(EvaluationError, match="B above 0"):
        SlateEvidence.of(
            target=np.empty((0, 2)), logging=np.empty((0, 2)), outcomes=Outcomes(np.empty((0, 2))), cluster=[]
        )
    with pytest.raises(EvaluationError, match="both or none"):
        replace(SlateEvidence.of(**GOOD), expected_logged=Outcomes(np.ones((4, 2))))


def test_a_missing_outcome_is_named():
    with pytest.raises(EvaluationError, match="'ordered' is not in the log"):
        GOOD["outcomes"].of("ordered")


def test_requests_of_one_viewer_stand_side_by_side():
    rng = np.random.default_rng(0)
    ordered = (rng.random((300, 2)) < 0.3).astype(float)
    viewer = rng.integers(0, 120, size=300)
    evidence = SlateEvidence.of(
        target=rng.uniform(0.1, 0.5, (300, 2)),
        logging=np.full((300, 2), 0.3),
        outcomes=Outcomes(ordered, ordered, ordered * 5),
        cluster=viewer,
    )
    merged = evidence.by_viewer(viewer)
    before, after = (lift_table(part).set_index(["metric", "estimator"]) for part in (evidence, merged))
    for metric in ("ctr", "cvr", "ctcvr"):
        np.testing.assert_allclose(
            after.loc[metric, ["target", "estimate", "ci_low"]].astype(float),
            before.loc[metric, ["target", "estimate", "ci_low"]].astype(float),
        )
    buyers = np.array([ordered[viewer == v].any() for v in np.unique(viewer)])
    assert after.loc["room_conversion", "logging"].iloc[0] == pytest.approx(buyers.mean())


def test_a_log_of_impressions_is_a_slate_of_one():
    log = impressions(
        target=np.array([0.2, 0.4]),
        logging=np.array([0.4, 0.4]),
        clicked=np.array([True, False]),
        cluster=np.array([1, 1]),
    )
    assert log.weight.tolist() == [[0.5], [1.0]]
    assert log.outcomes.clicked.tolist() == [[1.0], [0.0]]
