"""Evidence: what it accepts, what it says of the rest, and merging requests of one viewer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.evidence import Control, Exposure, Outcomes, SlateEvidence, impressions
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


def full():
    """Evidence with everything that it can carry, every array another."""
    rng = np.random.default_rng(1)
    drawn = iter(rng.uniform(0.1, 0.9, size=(20, 6, 2)))
    return SlateEvidence(
        next(drawn),
        Outcomes(next(drawn), next(drawn), next(drawn)),
        rng.random((6, 2)) < 0.8,
        np.arange(6),
        Outcomes(next(drawn), next(drawn), next(drawn)),
        Outcomes(next(drawn), next(drawn), next(drawn)),
        group_weight=next(drawn),
        controls=(Control(next(drawn), next(drawn)), Control(next(drawn), next(drawn))),
        estimated=True,
        conditional_weight=next(drawn),
        exposure=Exposure(next(drawn), next(drawn)),
        slate_position=np.tile([1, 2], (6, 1)),
    )


def arrays(evidence):
    """Every array of impressions by name."""
    found = {name: getattr(evidence, name) for name in ("weight", "shown", "group_weight", "conditional_weight")}
    found["slate_position"] = evidence.slate_position
    for name in ("outcomes", "expected_logged", "expected_target"):
        found |= {f"{name}.{each}": getattr(evidence, name).of(each) for each in ("clicked", "ordered", "revenue")}
    found |= {f"exposure.{name}": values for name, values in evidence.exposure._asdict().items()}
    for number, control in enumerate(evidence.controls):
        found |= {f"controls[{number}].{name}": values for name, values in control._asdict().items()}
    return found


def test_rows_that_are_kept_keep_all_that_they_carry():
    keep = np.array([True, False, True, True, False, False])
    kept = full().where(keep)
    before, after = arrays(full()), arrays(kept)
    assert before.keys() == after.keys()
    assert len(before) == 20
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values[keep], err_msg=name)
    assert kept.cluster.tolist() == [0, 2, 3]
    assert kept.estimated
    few = impressions(target=np.array([0.5, 0.5]), logging=np.array([0.5, 0.5]), clicked=np.array([0, 1]))
    assert few.where(np.array([False, True])).conditional_weight is None


def test_merged_requests_carry_all_that_single_ones_do():
    merged = full().by_viewer(np.array([3, 3, 1, 1, 2, 2]))
    before, after = arrays(full()), arrays(merged)
    for name, values in before.items():
        expected = np.stack([values[[2, 3]].ravel(), values[[4, 5]].ravel(), values[[0, 1]].ravel()])
        np.testing.assert_array_equal(after[name], expected, err_msg=name)
    assert merged.estimated


def test_positions_within_slates_survive_merging_twice():
    evidence = SlateEvidence.of(**GOOD)
    assert evidence.positions.tolist() == [[1, 2]] * 4
    once = evidence.by_viewer(np.array([0, 0, 1, 2]))
    assert once.positions.tolist() == [[1, 2, 1, 2], [1, 2, 0, 0], [1, 2, 0, 0]]
    assert once.by_viewer(np.zeros(3)).positions.tolist() == [[1, 2, 1, 2, 1, 2, 0, 0, 1, 2, 0, 0]]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"conditional_weight": np.ones((4, 3))}, r"conditional_weight has shape \(4, 3\)"),
        ({"conditional_weight": np.full((4, 2), -1.0)}, "conditional_weight: 8 of 8 values"),
        (
            {"conditional_weight": np.array([[1, 1], [1, np.nan], [1, 1], [1, 1]])},
            "conditional_weight: 1 of 8.*row 1, position 2",
        ),
        ({"exposure": Exposure(np.ones((4, 2)), np.ones((4, 1)))}, r"exposure.weight has shape \(4, 1\)"),
        ({"exposure": Exposure(np.full((4, 2), np.nan), np.ones((4, 2)))}, "exposure.attention: 8 of 8"),
        ({"exposure": Exposure(np.ones((4, 2)), np.full((4, 2), -0.5))}, "exposure.weight: 8 of 8"),
        ({"slate_position": np.ones((4, 1), dtype=int)}, r"slate_position has shape \(4, 1\)"),
    ],
)
def test_weights_of_slates_that_cannot_be_are_named(changed, says):
    with pytest.raises(EvaluationError, match=says):
        replace(SlateEvidence.of(**GOOD), **changed)


@pytest.mark.parametrize(
    ("target", "logging", "says"),
    [
        (np.full((4, 2), 0.5), np.full((4, 2), 0.0), "logging: 8 of 8 chances"),
        (np.full((4, 2), 1.5), np.full((4, 2), 0.5), "target: 8 of 8 chances"),
        (np.full((4, 2), np.nan), np.full((4, 2), 0.5), "target: 8 of 8 chances"),
        (np.full((4, 3), 0.5), np.full((4, 3), 0.5), "differ in shape"),
    ],
)
def test_conditional_chances_are_checked(target, logging, says):
    with pytest.raises(EvaluationError, match=says):
        SlateEvidence.of(**GOOD).with_conditional(target=target, logging=logging)
