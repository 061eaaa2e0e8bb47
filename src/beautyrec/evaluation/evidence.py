"""What off-policy estimators read: weights, outcomes and, if there is one, a model of the outcomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from beautyrec.errors import EvaluationError
from beautyrec.evaluation.moments import Grouping
from beautyrec.types import BoolArray, FloatArray, IntArray

OUTCOMES = ("clicked", "ordered", "revenue")
_LARGEST = 1e15  # weights and money beyond are mistakes, and their powers would not be numbers any more


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What came of each impression, or what a model expects of it; each array [B, K] (or any one shape).

    Args:
        clicked: 0 or 1, or a chance.
        ordered: 0 or 1, or a chance; None where the log has no orders.
        revenue: money, 0 without an order; None likewise.
    """

    clicked: FloatArray
    ordered: FloatArray | None = None
    revenue: FloatArray | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Those outcomes that are there."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name) is not None)

    def of(self, name: str) -> FloatArray:
        """One outcome by its name.

        Raises:
            EvaluationError: the outcome is not there.
        """
        if name not in self.names:
            raise EvaluationError(f"outcome '{name}' is not in the log; it has {list(self.names)}.")
        return np.asarray(getattr(self, name), dtype=np.float64)

    def each(self, of: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> Outcomes:
        """All outcomes that are there put through ``of``."""
        return Outcomes(**{name: of(self.of(name)) for name in self.names})


class Control(NamedTuple):
    """A known function of viewer and item; its weighted value has the target policy's mean as expectation."""

    logged: FloatArray
    """[B, K] of what was shown."""
    target: FloatArray
    """[B, K] its mean under the target policy."""


class Exposure(NamedTuple):
    """How much the shown items are seen, where attention falls down the slate (`beautyrec.evaluation.examination`)."""

    attention: FloatArray
    """[B, K] how likely a position is looked at, in any unit."""
    weight: FloatArray
    """[B, K] attention that the shown item gets under the target policy, wherever it stands, over that under the logging one."""


@dataclass(frozen=True, eq=False)
class SlateEvidence:
    """B slates of K positions shown by a logging policy, weighted towards a target policy.

    A row is one viewer in one room (a *room-viewer*); if the log has several requests of one, merge them first with
    `by_viewer`. A log of single impressions is the case K = 1.

    Args:
        weight: [B, K] chance of the shown item at its position under the target policy, over that under the logging
            policy. `SlateEvidence.of` makes it from the two and checks them.
        outcomes: what came of each impression.
        shown: [B, K] false where the slate is shorter.
        cluster: [B] what is independent of each other: the user, as a rule.
        expected_logged: expected outcomes of what was shown, from a model that did not see the cluster; None without one.
        expected_target: expected outcomes at each position under the target policy, from the same model.
        group_weight: [B, K] chance of the shown item's group under the target policy over that under the logging policy;
            None without groups.
        controls: functions with a known mean under the target policy, which take noise out (`RegressedDR`).
        estimated: whether the logging policy's chances were estimated; every lift then says so.
        conditional_weight: [B, K] chance of the shown item given those above it under the target policy, over that under
            the logging policy, for the estimators of whole slates (`with_conditional`); None without.
        exposure: for the position-based estimators; None without.
        slate_position: [B, K] the position in its own slate, from 1, where a row holds several slates (`by_viewer`); None
            where a row is one slate.

    Raises:
        EvaluationError: names the array and says how many values are wrong.

    Examples:
        >>> evidence = SlateEvidence.of(target=np.array([[0.5]]), logging=np.array([[0.25]]),
        ...     outcomes=Outcomes(np.array([[1.0]])), cluster=np.array([7]))
        >>> evidence.weight.tolist()
        [[2.0]]
    """

    weight: FloatArray
    outcomes: Outcomes
    shown: BoolArray
    cluster: npt.NDArray[Any]
    expected_logged: Outcomes | None = None
    expected_target: Outcomes | None = None
    group_weight: FloatArray | None = None
    controls: tuple[Control, ...] = ()
    estimated: bool = False
    conditional_weight: FloatArray | None = None
    exposure: Exposure | None = None
    slate_position: IntArray | None = None

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or len(self.weight) == 0:
            raise EvaluationError(f"weight must have shape [B, K] with B above 0; got {self.weight.shape}.")
        if np.shape(self.cluster) != (len(self.weight),):
            raise EvaluationError(f"cluster has shape {np.shape(self.cluster)}; expected ({len(self.weight)},).")
        self._check("shown", self.shown, low=0)
        if not np.any(self.shown):
            raise EvaluationError(f"nothing was shown in any of {len(self.weight)} rows; leave such requests out.")
        self._check("weight", self.weight, low=0, high=_LARGEST)
        for name in self.outcomes.names:
            self._check(name, self.outcomes.of(name), low=0, high=_LARGEST if name == "revenue" else 1)
        for model in ("expected_logged", "expected_target"):
            expected = getattr(self, model)
            for name in () if expected is None else self.outcomes.names:
                self._check(f"{model}.{name}", expected.of(name))
        if (self.expected_logged is None) != (self.expected_target is None):
            raise EvaluationError("expected_logged and expected_target come together: pass both or none.")
        least = {"group_weight": 0, "conditional_weight": 0, "slate_position": 0}
        for name, low in least.items():
            if getattr(self, name) is not None:
                self._check(name, getattr(self, name), low=low)
        for name, values in () if self.exposure is None else self.exposure._asdict().items():
            self._check(f"exposure.{name}", values, low=0)
        for number, control in enumerate(self.controls):
            self._check(f"controls[{number}].logged", control.logged)
            self._check(f"controls[{number}].target", control.target)

    @cached_property
    def grouping(self) -> Grouping:
        """Which cluster each row belongs to.

        Raises:
            EvaluationError: ids that are missing.
        """
        return Grouping.of(self.cluster)

    @classmethod
    def of(
        cls,
        *,
        target: FloatArray,
        logging: FloatArray,
        outcomes: Outcomes,
        cluster: npt.NDArray[Any],
        shown: BoolArray | None = None,
        expected: tuple[Outcomes, Outcomes] | None = None,
    ) -> SlateEvidence:
        """Evidence from the chances of what was shown.

        Args:
            target: [B, K] chance of the shown item at its position under the target policy, in [0, 1].
            logging: [B, K] the same under the logging policy, in (0, 1].
            outcomes: what came of each impression.
            cluster: [B] the user, as a rule.
            shown: [B, K] false where the slate is shorter; chances there are not read. All are shown if None.
            expected: what a model expects of what was logged, and under the target policy.

        Raises:
            EvaluationError: a chance is out of its range or not finite; says how many and where first.
        """
        shown = np.ones(np.shape(logging), dtype=np.bool_) if shown is None else shown
        model = (None, None) if expected is None else expected
        return cls(_ratio_of_chances(target, logging, shown), outcomes, shown, np.asarray(cluster), *model)

    def with_conditional(self, *, target: FloatArray, logging: FloatArray) -> SlateEvidence:
        """This evidence with `conditional_weight`.

        Args:
            target: [B, K] chance of the shown item given those above it under the target policy, in [0, 1]; not read where
                nothing was shown.
            logging: [B, K] the same under the logging policy, in (0, 1].

        Raises:
            EvaluationError: shapes that do not fit, or a chance out of its range or not finite.

        Examples:
            >>> evidence = impressions(target=np.array([0.5]), logging=np.array([0.5]), clicked=np.array([1]))
            >>> evidence.with_conditional(target=np.array([[0.5]]), logging=np.array([[0.2]])).conditional_weight.tolist()
            [[2.5]]
        """
        return replace(self, conditional_weight=_ratio_of_chances(target, logging, self.shown))

    def by_viewer(self, viewer: npt.NDArray[Any]) -> SlateEvidence:
        """Evidence with one row a viewer of a room: the requests of ``viewer`` [B] side by side.

        Args:
            viewer: [B] what tells one viewer in one room from another. Rows of one viewer must share a cluster; the
                first one's is taken.
        """
        _, first, group = np.unique(viewer, return_index=True, return_inverse=True)
        order = np.argsort(group, kind="stable")
        starts = np.searchsorted(group[order], np.arange(len(first)))
        place = np.empty(len(group), dtype=np.int64)
        place[order] = np.arange(len(group)) - starts[group[order]]

        def side_by_side(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            wide = np.zeros((len(first), int(place.max()) + 1, values.shape[1]), dtype=values.dtype)
            wide[group, place] = values
            return wide.reshape(len(first), -1)

        return replace(self, slate_position=self.positions)._each(side_by_side, np.asarray(self.cluster)[first])

    def where(self, keep: BoolArray) -> SlateEvidence:
        """The rows where ``keep`` [B] is true."""
        return self._each(lambda values: values[keep], np.asarray(self.cluster)[keep])

    @property
    def positions(self) -> IntArray:
        """[B, K] the position of each impression in its own slate, from 1; 0 may stand where nothing was shown."""
        if self.slate_position is not None:
            return self.slate_position
        return np.broadcast_to(np.arange(1, self.weight.shape[1] + 1), self.weight.shape)

    def _each(self, of: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], cluster: npt.NDArray[Any]) -> SlateEvidence:
        """All that is [B, K] put through ``of``, for rows of these clusters."""

        def maybe(values: npt.NDArray[Any] | None) -> npt.NDArray[Any] | None:
            return None if values is None else of(values)

        return replace(
            self,
            weight=of(self.weight),
            outcomes=self.outcomes.each(of),
            shown=of(self.shown),
            cluster=cluster,
            expected_logged=None if self.expected_logged is None else self.expected_logged.each(of),
            expected_target=None if self.expected_target is None else self.expected_target.each(of),
            group_weight=maybe(self.group_weight),
            controls=tuple(Control(of(control.logged), of(control.target)) for control in self.controls),
            conditional_weight=maybe(self.conditional_weight),
            exposure=None if self.exposure is None else Exposure(*map(of, self.exposure)),
            slate_position=maybe(self.slate_position),
        )

    def _check(self, name: str, values: npt.NDArray[Any], low: float = -np.inf, high: float = np.inf) -> None:
        if np.shape(values) != self.weight.shape:
            raise EvaluationError(f"{name} has shape {np.shape(values)}; expected {self.weight.shape}.")
        wrong = ~(np.isfinite(values) & (values >= low) & (values <= high))
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise EvaluationError(
                f"{name}: {int(wrong.sum())} of {wrong.size} values are not finite or outside [{low:g}, {high:g}]; the "
                f"first is {values[row, column]} in row {row}, position {column + 1}. Repair or drop these rows."
            )


def _ratio_of_chances(target: FloatArray, logging: FloatArray, shown: BoolArray) -> FloatArray:
    """[B, K] target over logging, both checked; 0 where nothing was shown."""
    if np.shape(target) != np.shape(logging) or np.shape(shown) != np.shape(logging):
        raise EvaluationError(
            f"target {np.shape(target)}, logging {np.shape(logging)} and shown {np.shape(shown)} differ in shape."
        )
    logged = np.where(shown, logging, 1.0)
    check_chances("logging", logged, "(0, 1]", (logged > 0) & (logged <= 1 + 1e-9))
    wanted = np.where(shown, target, 0.0)
    check_chances("target", wanted, "[0, 1]", (wanted >= 0) & (wanted <= 1 + 1e-9))
    ratio: FloatArray = wanted / logged
    return ratio


def check_chances(name: str, values: FloatArray, bounds: str, right: BoolArray) -> None:
    """Raises an `EvaluationError` that counts the values that are not ``right`` (NaN never is)."""
    if not right.all():
        row, column = (int(at) for at in np.argwhere(~right)[0])
        raise EvaluationError(
            f"{name}: {int((~right).sum())} of {right.size} chances are outside {bounds}; the first is "
            f"{values[row, column]} in row {row}, position {column + 1}. An item that was shown had a chance above zero; "
            f"look for rounding or a wrong column."
        )


def impressions(
    *,
    target: FloatArray,
    logging: FloatArray,
    clicked: npt.NDArray[Any],
    cluster: npt.NDArray[Any] | None = None,
    expected: tuple[FloatArray, FloatArray] | None = None,
) -> SlateEvidence:
    """Evidence from a log of single impressions: one row an impression, all [n].

    Args:
        target: chance of the shown item at its position under the target policy.
        logging: the logged propensity.
        clicked: 0 or 1.
        cluster: what is independent of each other; every impression if None.
        expected: a model's click chance of what was logged, and its mean under the target policy.

    Raises:
        EvaluationError: as `SlateEvidence.of`.

    Examples:
        >>> log = impressions(target=np.array([0.5, 0.5]), logging=np.array([0.25, 0.5]), clicked=np.array([0, 1]))
        >>> log.weight.ravel().tolist()
        [2.0, 1.0]
    """
    ids: IntArray = np.arange(len(logging), dtype=np.int64)
    model = None if expected is None else (Outcomes(expected[0][:, None]), Outcomes(expected[1][:, None]))
    return SlateEvidence.of(
        target=target[:, None],
        logging=logging[:, None],
        outcomes=Outcomes(np.asarray(clicked, dtype=np.float64)[:, None]),
        cluster=ids if cluster is None else cluster,
        expected=model,
    )
