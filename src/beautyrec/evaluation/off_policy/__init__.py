"""Off-policy estimators: what each impression is worth under a policy that did not show it.

Each is one small frozen class with a pure ``per_position``. Sums, ratios, intervals and lift are made from these
values elsewhere, once for all estimators.

=====================  ===============================================================
`weighted`             `IPS`, `SNIPS`, `ClippedIPS`, `Replay`, `MIPS`: weights alone
`modelled`             `DM`, `DR`, `SNDR`, `SwitchDR`, `ShrunkDR`, `SubGaussianDR`, `OffCEM`: with a model of the outcomes
`regressed`            `RegressedDR`: the model recalibrated by the log
`slates`               `JointIPS`, `RIPS`, `CascadeDR`, `PBM` and their self-normalised forms: for items that matter to each other
`choice`               `Chosen`: hyperparameters, or the estimator itself, chosen from the log
=====================  ===============================================================

For slates all but those of `slates` use the *independent* form: the weight of an impression is the chance of its item at
its position under the target policy over that under the logging policy, both marginal over whatever stands above (the
item-position model of Li et al. 2018, "Offline evaluation of ranking policies with click models"). It is unbiased if the
outcome of an impression depends on the viewer, the item and the position, and not on the other items of the slate. The
ratio of *conditional* propensities alone would not be: once the items above differ, it does not compare the same thing;
their products down the slate do (`slates`). For logs of single items (`beautyrec.evaluation.bandit_log`) there is one
position, and nothing to assume.
"""

from __future__ import annotations

from beautyrec.evaluation.off_policy.base import Estimator, OwnWeights, PositionValues, ValuesBuyers, per_row
from beautyrec.evaluation.off_policy.choice import (
    AUTOMATIC,
    CLIPPED_IPS,
    SHRUNK_DR,
    SUB_GAUSSIAN_DR,
    SWITCH_DR,
    Chosen,
    least_error,
    slope,
)
from beautyrec.evaluation.off_policy.modelled import DM, DR, SNDR, OffCEM, ShrunkDR, SubGaussianDR, SwitchDR
from beautyrec.evaluation.off_policy.regressed import RegressedDR
from beautyrec.evaluation.off_policy.slates import PBM, RIPS, SNPBM, SNRIPS, CascadeDR, JointIPS, SNJointIPS
from beautyrec.evaluation.off_policy.weighted import IPS, MIPS, SNIPS, ClippedIPS, Replay

__all__ = [
    "AUTOMATIC",
    "CLIPPED_IPS",
    "DM",
    "DR",
    "IPS",
    "MIPS",
    "PBM",
    "RIPS",
    "SHRUNK_DR",
    "SNDR",
    "SNIPS",
    "SNPBM",
    "SNRIPS",
    "SUB_GAUSSIAN_DR",
    "SWITCH_DR",
    "CascadeDR",
    "Chosen",
    "ClippedIPS",
    "Estimator",
    "JointIPS",
    "OffCEM",
    "OwnWeights",
    "PositionValues",
    "RegressedDR",
    "Replay",
    "SNJointIPS",
    "ShrunkDR",
    "SubGaussianDR",
    "SwitchDR",
    "ValuesBuyers",
    "least_error",
    "per_row",
    "slope",
]
