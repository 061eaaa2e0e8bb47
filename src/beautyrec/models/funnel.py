"""How likely an impression is to be clicked and a click to become an order: boosted trees, calibrated later in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

import numpy as np
import pandas as pd

from beautyrec.errors import ConfigError, MissingExtraError
from beautyrec.models.calibrated import sigmoid
from beautyrec.models.calibration import Method, Platt
from beautyrec.models.funnel_base import (
    CTCVR,
    CTR,
    CVR,
    Examples,
    FunnelLearner,
    FunnelModel,
    check_labels,
    check_methods,
    fit_lines,
    lines_from,
    lines_state,
    sample_of_impressions,
)
from beautyrec.models.funnel_delay import completed, first_chance
from beautyrec.models.state import ModelState
from beautyrec.models.trees import MAX_LEAVES, TreeEnsemble
from beautyrec.types import BoolArray, FloatArray, Progress

__all__ = ["CTCVR", "CTR", "CVR", "Boosting", "Funnel", "FunnelModel", "TreeFunnelModel"]

_ROUNDS: Final = 2


@dataclass(frozen=True)
class Boosting:
    """How trees are grown, for scikit-learn's histogram gradient boosting.

    Args:
        trees: how many.
        leaves: of each tree at most, 2 to 16.
        learning_rate: how much of each tree is taken.
        l2: penalty on the values of leaves.
        rows_a_leaf: at least so many rows in each leaf.
    """

    trees: int = 100
    leaves: int = 6
    learning_rate: float = 0.06
    l2: float = 20.0
    rows_a_leaf: int = 300

    def __post_init__(self) -> None:
        """Checks the bounds."""
        low = {"trees": 1, "leaves": 2, "rows_a_leaf": 1, "l2": 0}
        wrong = {name: getattr(self, name) for name, least in low.items() if getattr(self, name) < least}
        if wrong or self.leaves > MAX_LEAVES or not 0 < self.learning_rate <= 1:
            raise ConfigError(
                f"{self}: give 1 tree or more, 2 to {MAX_LEAVES} leaves, a learning rate in (0, 1], l2 >= 0, 1 row a leaf."
            )


@dataclass(frozen=True)
class Funnel(FunnelLearner):
    """Hyperparameters of a model of click and order.

    The chance of a click is learnt on impressions. The chance of an order is learnt on clicks alone, with few leaves
    and much regularisation: clicks are few and not a random sample of impressions, so it is to be read as the chance
    of an order *given a click*, and is least sure for items that are seldom clicked. The earlier part of the rows
    grows the trees, the later part calibrates both (:mod:`beautyrec.models.calibration`).
    Where features look back over windows, leave out the first days of a log: their windows are not yet full.

    Args:
        click: trees for the click.
        order: trees for the order after a click.
        negatives_a_click: impressions without a click kept for each click, drawn at random; the predictions stay on
            the scale of all impressions.
        calibration_share: share of the rows, the latest, that calibrate; above 0 and below 1.
        click_calibration: how the click is calibrated.
        order_calibration: how the order is.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> heat = rng.random(4000)
        >>> clicked = rng.random(4000) < 0.4 * heat
        >>> rows = pd.DataFrame({"ts": pd.date_range("2026-01-01", periods=4000, freq="min", tz="UTC"), "heat": heat,
        ...                      "clicked": clicked, "ordered": clicked & (rng.random(4000) < 0.3)})
        >>> model = Funnel().fit(rows, features=("heat",), seed=0)
        >>> predicted = model.predict(pd.DataFrame({"heat": [0.1, 0.9]}))
        >>> list(predicted), bool(predicted["ctr"].is_monotonic_increasing)
        (['ctr', 'cvr', 'ctcvr'], True)
    """

    click: Boosting = field(default_factory=Boosting)
    order: Boosting = field(default_factory=lambda: Boosting(40, 4, 0.06, 20.0, 40))
    negatives_a_click: float = 20.0
    calibration_share: float = 0.2
    click_calibration: Method = field(default_factory=Platt)
    order_calibration: Method = field(default_factory=Platt)

    def __post_init__(self) -> None:
        """Checks the bounds."""
        if not 0 < self.calibration_share < 1:
            raise ConfigError(f"funnel: calibration_share is {self.calibration_share}; give one above 0 and below 1.")
        if not self.negatives_a_click > 0:
            raise ConfigError(f"funnel: negatives_a_click is {self.negatives_a_click}; give a number above 0.")

    def fit(
        self, rows: pd.DataFrame, *, features: Sequence[str], seed: int = 0, on_progress: Progress | None = None
    ) -> TreeFunnelModel:
        """A model fitted on impressions, see :meth:`FunnelLearner.fit`; the steps are four.

        Raises:
            SchemaError: a column is missing.
            FitError: no rows, no features, labels with gaps, infinite features, or no clicks or no orders in the part
                that grows the trees.
            ConfigError: a calibration goes by a column that is no feature.
            MissingExtraError: scikit-learn is not installed.
        """
        done = on_progress or (lambda _done, _total: None)
        check_methods(features, self.click_calibration, self.order_calibration)
        data = Examples.of(rows, tuple(features))
        early, late = data.cut(1.0 - self.calibration_share)
        check_labels(early)
        click_trees = self._fit_click(early, seed)
        done(1, 4)
        order_trees = self._fit_order(early.where(early.clicked), seed)
        done(2, 4)
        log_odds = click_trees.raw(late.columns), order_trees.raw(late.columns)
        done(3, 4)
        lines = fit_lines(late, log_odds, self.click_calibration, self.order_calibration)
        done(4, 4)
        return TreeFunnelModel(data.names, *lines, click_trees, order_trees)

    def _fit_click(self, early: Examples, seed: int) -> TreeEnsemble:
        """Trees for the click, grown on all clicks and a sample of the other impressions.

        Keeping a share of those without a click multiplies the odds of a click by 1 / share; log(share) takes it back.
        """
        sample, share = sample_of_impressions(early, self.negatives_a_click, seed)
        return _grow(self.click, sample.columns, sample.clicked, None, seed).shifted(float(np.log(share)))

    def _fit_order(self, clicks: Examples, seed: int) -> TreeEnsemble:
        """Trees for the order; where orders may still come, grown again on what the last ones expect of them."""
        if (clicks.maturity >= 1).all():
            return _grow(self.order, clicks.columns, clicks.ordered, None, seed)
        chance = first_chance(clicks.ordered, clicks.maturity)
        for _ in range(_ROUNDS):
            row, label, weight = completed(clicks.ordered, clicks.maturity, chance)
            trees = _grow(self.order, [column[row] for column in clicks.columns], label, weight, seed)
            chance = sigmoid(trees.raw(clicks.columns))
        return trees


@dataclass(frozen=True, eq=False)
class TreeFunnelModel(FunnelModel):
    """Boosted trees for click and order.

    Args:
        features: the columns it reads, in their order.
        click_line: calibration of the click.
        order_line: calibration of the order.
        click_trees: log odds of a click, before calibration.
        order_trees: log odds of an order after a click, before calibration.
    """

    click_trees: TreeEnsemble
    order_trees: TreeEnsemble
    kind: ClassVar[str] = "funnel_trees"

    def log_odds(self, rows: pd.DataFrame, columns: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:  # noqa: ARG002
        """[n] log odds of a click and of an order after it, before calibration."""
        return self.click_trees.raw(columns), self.order_trees.raw(columns)

    def state(self) -> ModelState:
        """Everything needed to build this model again with :meth:`from_state`."""
        arrays = {**self.click_trees.arrays("click_"), **self.order_trees.arrays("order_")}
        lines, meta = lines_state(self)
        return ModelState(self.kind, {**arrays, **lines}, meta)

    @classmethod
    def from_state(cls, state: ModelState) -> TreeFunnelModel:
        """The model that gave ``state``; its predictions are the same to the bit.

        Raises:
            ArtifactError: the state is of another kind, or an array or the names of the features are missing.
        """
        features, click_line, order_line = lines_from(state, cls.kind)
        click, order = (TreeEnsemble.from_arrays(state.arrays, prefix) for prefix in ("click_", "order_"))
        return cls(features, click_line, order_line, click, order)


def _grow(
    boosting: Boosting, columns: Sequence[FloatArray], label: BoolArray, weight: FloatArray | None, seed: int
) -> TreeEnsemble:
    """Trees for one label, grown on one thread so that sums are added in one order on every machine."""
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
        from threadpoolctl import threadpool_limits
    except ImportError:
        raise MissingExtraError("scikit-learn", "train") from None
    model = HistGradientBoostingClassifier(
        max_iter=boosting.trees,
        max_leaf_nodes=boosting.leaves,
        learning_rate=boosting.learning_rate,
        l2_regularization=boosting.l2,
        min_samples_leaf=boosting.rows_a_leaf,
        early_stopping=False,
        random_state=seed,
    )
    with threadpool_limits(limits=1):
        model.fit(np.stack([_some(column) for column in columns], axis=1), label, sample_weight=weight)
    return TreeEnsemble.from_sklearn(model)


def _some(column: FloatArray) -> FloatArray:
    """The column; zeros for one without a single value, which scikit-learn cannot bin. No tree splits on either."""
    return np.zeros_like(column) if np.isnan(column).all() else column
