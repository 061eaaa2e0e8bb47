"""Slate estimators against slow loops, on rows of several slates of different length."""

from __future__ import annotations

import numpy as np
import pytest

from beautyrec.evaluation.evidence import Exposure, Outcomes, SlateEvidence
from beautyrec.evaluation.off_policy import (
    PBM,
    RIPS,
    SNPBM,
    SNRIPS,
    CascadeDR,
    JointIPS,
    SNJointIPS,
    per_row,
)
from beautyrec.evaluation.totals import Ledger


def random_rows(seed=3, n=60):
    """Rows of up to two slates of up to three impressions, of arbitrary weights."""
    rng = np.random.default_rng(seed)
    shown = np.zeros((n, 6), dtype=bool)
    for row, lengths in enumerate(rng.integers(0, 4, size=(n, 2))):
        shown[row, : max(lengths[0], 1)] = True
        shown[row, 3 : 3 + lengths[1]] = True
    drawn = [rng.uniform(0.2, 2, size=(n, 6)) for _ in range(4)]
    ordered = (rng.random((n, 6)) < 0.4) * shown
    model = [Outcomes(*[rng.random((n, 6))] * 2) for _ in range(2)]
    return SlateEvidence(
        drawn[0] * shown,
        Outcomes(ordered.astype(float), ordered.astype(float)),
        shown,
        np.arange(n),
        *model,
        conditional_weight=drawn[1],
        exposure=Exposure(drawn[2], drawn[3] * shown),
        slate_position=np.tile([1, 2, 3, 1, 2, 3], (n, 1)),
    )


def slow_weights(evidence, whole_row):
    """Down to each position and of the whole slate, impression by impression."""
    down, whole = np.zeros(evidence.weight.shape), np.zeros(evidence.weight.shape)
    for row in range(len(down)):
        for part in [range(6)] if whole_row else [range(3), range(3, 6)]:
            there = [k for k in part if evidence.shown[row, k]]
            product = 1.0
            for k in there:
                product *= evidence.conditional_weight[row, k]
                down[row, k] = product
            whole[row, there] = product
    return down, whole


def test_estimators_agree_with_loops_over_impressions():
    evidence = random_rows()
    y, shown = evidence.outcomes.clicked, evidence.shown
    down, whole = slow_weights(evidence, whole_row=False)
    row_down, row_whole = slow_weights(evidence, whole_row=True)
    q, mean = evidence.expected_logged.clicked, evidence.expected_target.clicked
    pairs = {
        RIPS(): (down * y).sum(),
        JointIPS(): (whole * y).sum(),
        SNJointIPS(): (whole * y).sum() / whole.sum() * shown.sum(),
        SNRIPS(): sum(
            (down * y)[:, [k, k + 3]].sum() / down[:, [k, k + 3]].sum() * shown[:, [k, k + 3]].sum() for k in range(3)
        ),
        CascadeDR(): ((mean + down * (y - q)) * shown).sum(),
        PBM(): (evidence.exposure.weight * y).sum(),
        SNPBM(): (evidence.exposure.weight * y).sum()
        / (evidence.exposure.weight * evidence.exposure.attention * shown).sum()
        * (evidence.exposure.attention * shown).sum(),
    }
    for estimator, value in pairs.items():
        assert per_row(estimator, evidence, "clicked").sum() == pytest.approx(value, rel=1e-12)
        ledger = Ledger.of(evidence, estimator)
        assert ledger.target(ledger.sums.sum(axis=0)).clicked == pytest.approx(value, rel=1e-12)
    buyers, joint = 0.0, 0.0
    for row in range(len(y)):
        orders = [k for k in range(6) if y[row, k]]
        if orders:
            buyers += row_down[row, orders[0]]
            joint += row_whole[row, orders[0]]
    assert RIPS().buyers(evidence).weighted.sum() == pytest.approx(buyers, rel=1e-12)
    assert JointIPS().buyers(evidence).weighted.sum() == pytest.approx(joint, rel=1e-12)
    assert SNJointIPS().buyers(evidence).divisor.sum() == pytest.approx(row_whole.sum(), rel=1e-12)


def test_rows_of_estimates_spread_as_the_jackknife_of_a_grouped_ratio_does():
    evidence = random_rows(n=400)
    rows = per_row(SNRIPS(), evidence, "clicked")
    ledger = Ledger.of(evidence, SNRIPS())
    total = ledger.sums.sum(axis=0)
    left_out = np.array([ledger.target(total - row).clicked for row in ledger.sums])
    spread = np.sqrt(((left_out - left_out.mean()) ** 2).sum())
    assert np.sqrt(((rows - rows.mean()) ** 2).sum()) == pytest.approx(spread, rel=0.05)
