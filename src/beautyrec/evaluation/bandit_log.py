"""A log of single items: n rounds, one of A actions shown in each (any contextual-bandit log)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.action_scan import ActionScan, scan_actions
from beautyrec.evaluation.evidence import Control, Outcomes, SlateEvidence, check_chances
from beautyrec.types import FloatArray, IntArray

_LEAST = 1e-6  # chances below are not told apart by the control that takes their logarithm


@dataclass(frozen=True, eq=False)
class BanditLog:
    """What was shown in n rounds and what came of it; `evidence` weights it towards a target policy.

    Args:
        action: [n] index of what was shown, 0 to A - 1.
        outcomes: what came of it, each [n]; a reward between 0 and 1 goes into ``clicked``, money into ``revenue``.
        logging: [n, A] chances of all actions under the logging policy, or [n] of the one shown.
        cluster: [n] what is independent of each other; every round if None.
        group: [A] group of each action (its category, say), for `MIPS` and `OffCEM`; needs ``logging`` [n, A].
        estimated: whether ``logging`` was estimated (`beautyrec.evaluation.propensities`) and not recorded.

    Raises:
        EvaluationError: shapes that do not fit, or chances out of range; says how many and where first.

    Examples:
        >>> log = BanditLog(np.array([0, 1]), Outcomes(np.array([1.0, 0.0])), np.full((2, 2), 0.5))
        >>> log.evidence(np.array([[0.8, 0.2], [0.8, 0.2]])).weight.ravel().tolist()
        [1.6, 0.4]
    """

    action: IntArray
    outcomes: Outcomes
    logging: FloatArray
    cluster: npt.NDArray[Any] | None = None
    group: IntArray | None = None
    estimated: bool = False

    def __post_init__(self) -> None:
        n = len(self.action)
        if np.shape(self.action) != (n,) or n == 0 or not np.issubdtype(self.action.dtype, np.integer):
            raise EvaluationError(f"action must be whole numbers [n], n above 0; got {np.shape(self.action)}.")
        if self.logging.shape[0] != n or self.logging.ndim > 2:
            raise EvaluationError(f"logging has shape {self.logging.shape}; expected ({n},) or ({n}, A).")
        if self.logging.ndim == 2:
            self._check_shape("logging", self.logging)
            self._check_chances("logging", self.logging, scan_actions(self.logging, (), self.action))
        elif self.group is not None:
            raise EvaluationError("groups need the chances of all actions: pass logging as [n, A].")
        for name in self.outcomes.names:
            if self.outcomes.of(name).shape != (n,):
                raise EvaluationError(f"{name} has shape {self.outcomes.of(name).shape}; expected ({n},).")

    def evidence(self, target: FloatArray, expected: Outcomes | None = None) -> SlateEvidence:
        """The log weighted towards a policy, as all estimators, intervals and lifts read it.

        Args:
            target: [n, A] its chances of all actions.
            expected: a model's expected outcomes of all actions, each [n, A], from rounds of other clusters.

        Raises:
            EvaluationError: as the class, for the target and the model.
        """
        self._check_shape("target", target)
        if expected is not None:
            for name in expected.names:
                if expected.of(name).shape != target.shape:
                    raise EvaluationError(f"expected {name}: shape {expected.of(name).shape}, not {target.shape}.")
        propensity = self.logging if self.logging.ndim == 1 else self._shown(self.logging)[:, 0]
        names = () if expected is None else expected.names
        arrays = [target, *(() if expected is None else (expected.of(name) for name in names))]
        scan = scan_actions(target, arrays, self.action)
        self._check_chances("target", target, scan)
        logged, mean = ([column[:, None] for column in part] for part in (scan.shown, scan.means))
        pair = None
        if expected is not None:
            pair = (
                Outcomes(**dict(zip(names, logged[1:], strict=True))),
                Outcomes(**dict(zip(names, mean[1:], strict=True))),
            )
        plain = SlateEvidence.of(
            target=logged[0],
            logging=propensity[:, None],
            outcomes=_each(self.outcomes, lambda values: values[:, None]),
            cluster=np.arange(len(self.action)) if self.cluster is None else self.cluster,
            expected=pair,
        )
        weight, controls = self._group_weight(target), self._controls(target, Control(logged[0], mean[0]))
        return replace(plain, group_weight=weight, controls=controls, estimated=self.estimated)

    def _shown(self, values: FloatArray) -> FloatArray:
        """[n, 1] the values [n, A] of what was shown."""
        return np.take_along_axis(values, self.action[:, None], axis=1)

    def _group_weight(self, target: FloatArray) -> FloatArray | None:
        if self.group is None:
            return None
        if self.group.shape != (target.shape[1],):
            raise EvaluationError(f"group has shape {self.group.shape}; expected ({target.shape[1]},), one an action.")
        _, group = np.unique(self.group, return_inverse=True)
        member = (group[:, None] == np.arange(group.max() + 1)).astype(np.float64)
        column = group[self.action][:, None]
        wanted, logged = (np.take_along_axis(chances @ member, column, axis=1) for chances in (target, self.logging))
        weight: FloatArray = wanted / logged
        return weight

    def _controls(self, target: FloatArray, of_target: Control) -> tuple[Control, ...]:
        """The target policy's chance of an item, and the logarithm of the logging policy's where all are known.

        Items that the logging policy cannot show count 0: no weighted mean could have shown them.
        """
        if self.logging.ndim == 1:
            return (of_target,)
        mean = _mean_under(target)
        possible = self.logging > 0
        chance = np.where(possible, target, 0.0)
        told = np.where(possible, np.log(np.maximum(self.logging, _LEAST)), 0.0)
        return tuple(Control(self._shown(part), mean(part)) for part in (chance, told))

    def _check_shape(self, name: str, chances: FloatArray) -> None:
        if chances.ndim != 2 or len(chances) != len(self.action):
            raise EvaluationError(f"{name} has shape {chances.shape}; expected ({len(self.action)}, A).")
        if self.logging.ndim == 2 and chances.shape != self.logging.shape:
            raise EvaluationError(f"{name} has shape {chances.shape}, logging {self.logging.shape}; they must agree.")
        if self.action.min() < 0 or self.action.max() >= chances.shape[1]:
            raise EvaluationError(
                f"action is from {self.action.min()} to {self.action.max()}; A is {chances.shape[1]}."
            )

    def _check_chances(self, name: str, chances: FloatArray, scan: ActionScan) -> None:
        """Raises where chances are out of range or do not sum to 1."""
        if not (scan.least >= 0 and scan.largest <= 1 + 1e-9):  # NaN is neither
            check_chances(name, chances, "[0, 1]", (chances >= 0) & (chances <= 1 + 1e-9))
        off = np.abs(scan.total - 1)
        if (off > 1e-6).any():
            row = int(off.argmax())
            raise EvaluationError(
                f"{name}: the chances of {int((off > 1e-6).sum())} of {len(off)} rounds do not sum to 1; row {row} sums to "
                f"{scan.total[row]:.6g}."
            )


def _mean_under(target: FloatArray) -> Any:
    """From values [n, A] to their means [n, 1] under the target policy."""
    return lambda values: np.einsum("na,na->n", target, values)[:, None]


def _each(outcomes: Outcomes, of: Any) -> Outcomes:
    return Outcomes(**{name: of(outcomes.of(name)) for name in outcomes.names})
